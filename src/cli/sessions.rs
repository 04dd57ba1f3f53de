//! The commands `counterfoil sessions …`, which list and end device sessions.

use std::process::ExitCode;

use chrono::{DateTime, FixedOffset};
use clap::{Args, Subcommand};
use counterfoil_domain::values::{DeviceName, Reason, SessionId};
use counterfoil_projections::user_login::search::{
    self, DeviceSession, DeviceSessionFilter, DeviceSessionPosition,
};
use ipnet::IpNet;
use uuid::Uuid;

use super::{Failure, accounts, output, setup};
use crate::accounts::StaffAction;
use crate::http::AppState;
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::runtime::network;
use crate::settings::Settings;

/// As which list cursors name it, over HTTP as well.
const LIST: &str = "device-sessions";

/// How many sessions are printed where nothing is said.
const USUAL: usize = 50;

#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// Print device sessions, the last that signed in first; with an address, by the address. Without `--limit` or `--all`,
    /// 50 of them, and all as CSV.
    List(SessionListArguments),
    /// End one device session
    End {
        /// The id of the session
        session: Uuid,
        /// Why, for the record.
        #[arg(long, value_parser = Reason::parse)]
        reason: Reason,
    },
}

/// Which sessions; all that is said has to hold. Times are as in 2026-01-31T12:00:00Z (RFC 3339).
#[derive(Debug, Args)]
pub struct SessionListArguments {
    /// Of an account: a phone number, an e-mail address, or its id.
    #[arg(long)]
    account: Option<String>,
    /// At an IP address, or in a network (192.0.2.0/24): at the time of --at; without it, when they were last used.
    #[arg(long, value_parser = network::parse)]
    address: Option<IpNet>,
    /// With this in the device's name.
    #[arg(long, value_parser = DeviceName::parse)]
    device: Option<DeviceName>,
    /// Active now, or not.
    #[arg(long)]
    active: Option<bool>,
    /// Active at that time, with the address that they had then.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<FixedOffset>>,
    /// Signed in then or later.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<FixedOffset>>,
    /// Only sessions that were signed in before this time
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<FixedOffset>>,
    /// After which session the list goes on: `next` of the JSON before it.
    #[arg(long, allow_hyphen_values = true)] // one cursor in 64 begins with a hyphen
    cursor: Option<String>,
    #[command(flatten)]
    extent: output::ListExtent,
    #[command(flatten)]
    form: output::ListFormat,
}

impl SessionsCommand {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run(settings)?,
            Self::End { session, reason } => setup::with_service(settings, async |state| {
                let session = SessionId(session);
                let account = search::account_of(&state.database.connection().await?, session).await?;
                let account = account.ok_or("there is no such session")?;
                let who = StaffAction::operator(super::operator_name(), Some(reason));
                Ok(state.accounts.end_session(account, session, who).await?)
            })?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl SessionListArguments {
    fn run(self, settings: &Settings) -> Result<(), Failure> {
        let form = self.form;
        let sessions = setup::with_service(settings, async |state| self.find(settings, state).await)?;
        let headings = [
            "session",
            "account",
            "device",
            "address",
            "signed in",
            "last seen",
            "expires",
            "ended",
            "reason",
        ];
        form.part(headings, &sessions, |session| {
            [
                session.id.to_string(),
                session.account_id.to_string(),
                session.device_name.clone().or_else(|| session.user_agent.clone()).unwrap_or_default(),
                session.ip_address.map(|ip| ip.to_string()).unwrap_or_default(),
                output::time(Some(session.signed_in_at)),
                output::time(Some(session.last_seen_at)),
                output::time(Some(session.expires_at)),
                output::time(session.ended_at),
                session.end_reason.clone().unwrap_or_default(),
            ]
        })?;
        Ok(())
    }

    async fn find(
        self,
        settings: &Settings,
        state: &AppState,
    ) -> Result<output::ListPart<DeviceSession, String>, Failure> {
        let account = match &self.account {
            Some(text) => Some(accounts::named(state.accounts.journal(), settings, text).await?),
            None => None,
        };
        let filter = DeviceSessionFilter {
            account,
            addresses: self.address.map(|network| (network.network(), network.broadcast())),
            device_name: self.device.map(|name| name.as_str().to_owned()),
            active: self.active,
            at: self.at.map(|time| time.to_utc()),
            since: self.since.map(|time| time.to_utc()),
            until: self.until.map(|time| time.to_utc()),
        };
        let (db, now) = (state.database.connection().await?, SystemClock.now());
        let cursor = self.cursor.map(|cursor| state.cursors.read(LIST, &cursor)).transpose();
        let cursor = cursor
            .ok()
            .filter(|cursor| cursor.is_none_or(|after: DeviceSessionPosition| after.is_of(&filter)));
        let mut next = cursor.ok_or("--cursor is not of this list")?;
        let most = self.extent.most(USUAL, self.form.is_whole());
        let mut items = Vec::new();
        while items.len() < most {
            let missing = u8::try_from(most - items.len()).unwrap_or(u8::MAX);
            let page = search::search(&db, &filter, next, missing, now).await?;
            items.extend(page.items);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok(output::ListPart { items, next: next.map(|next| state.cursors.write(LIST, &next)) })
    }
}
