//! The commands `counterfoil sessions …`, which list and end device sessions.

use std::process::ExitCode;

use actix_web::http::Method;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use counterfoil_domain::values::DeviceName;
use ipnet::IpNet;
use serde_json::Value;
use uuid::Uuid;

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::RequiredGrounds;
use super::listing::ListArguments;
use super::output::{cell, time_cell};
use super::{Failure, accounts, event_lines, output, times};
use crate::runtime::network;

/// The path of the device sessions.
const PATH: &str = "/admin/device-sessions/";

#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// Print device sessions, the last that signed in first; with an address, by the address. Without `--limit` or `--all`,
    /// 50 of them, and all as CSV.
    List(SessionListArguments),
    /// End one device session, or all active ones that match a filter. Of several, `--dry-run` says first how many there are, and
    /// `--expected` repeats that number: if more match by then, none is ended.
    End(SessionEndArguments),
}

/// Which sessions; all that is said has to hold. Times are as in 2026-01-31T12:00:00Z, 2026-01-31, `friday` or `7d` (ago).
#[derive(Debug, Args)]
pub struct SessionFilterArguments {
    /// Of an account: a phone number, an e-mail address, its id, or a name that one account has.
    #[arg(long)]
    account: Option<String>,
    /// At an IP address, or in a network (192.0.2.0/24): at the time of --at; without it, when they were last used.
    #[arg(long, value_parser = network::parse)]
    address: Option<IpNet>,
    /// With this in the device's name.
    #[arg(long, value_parser = DeviceName::parse)]
    device: Option<DeviceName>,
    /// Active at that time, with the address that they had then.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    at: Option<DateTime<Utc>>,
    /// Signed in then or later.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    since: Option<DateTime<Utc>>,
    /// Only sessions that were signed in before this time
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    until: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub struct SessionListArguments {
    #[command(flatten)]
    filter: SessionFilterArguments,
    /// Active now, or not.
    #[arg(long)]
    active: Option<bool>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Args)]
pub struct SessionEndArguments {
    /// The id of the one session
    #[arg(conflicts_with_all = ["account", "address", "device", "at", "since", "until", "dry_run", "expected"])]
    session: Option<Uuid>,
    #[command(flatten)]
    filter: SessionFilterArguments,
    /// Say which sessions match, and end none.
    #[arg(long, conflicts_with = "expected")]
    dry_run: bool,
    /// How many sessions the dry run said.
    #[arg(long, value_name = "N", required_unless_present_any = ["session", "dry_run"])]
    expected: Option<u64>,
    #[command(flatten)]
    why: RequiredGrounds,
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl SessionsCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        door.open(async |client| match self {
            Self::List(list) => list.run(client, PATH).await,
            Self::End(end) => end.run(client).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SessionFilterArguments {
    /// Adds the filters to a request.
    async fn add_to(&self, client: &StaffClient, request: StaffRequest) -> Result<StaffRequest, Failure> {
        let account = match &self.account {
            Some(account) => Some(accounts::account_id(client, account).await?),
            None => None,
        };
        let time =
            |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        Ok(request
            .with("account_id", account)
            .with("ip_address", self.address)
            .with("device_name", self.device.as_ref().map(DeviceName::as_str))
            .with("at", time(self.at))
            .with("since", time(self.since))
            .with("until", time(self.until)))
    }
}

impl SessionListArguments {
    /// Prints the sessions of the list at a path, for administrators or for auditors.
    pub async fn run(self, client: &StaffClient, path: &str) -> Result<(), Failure> {
        let request = self.filter.add_to(client, StaffRequest::get(path)).await?;
        self.list.print(client, request.with("active", self.active), HEADINGS, session_cells).await
    }
}

const HEADINGS: [&str; 10] = [
    "session",
    "account",
    "device",
    "address",
    "signed in",
    "last seen",
    "expires",
    "ended",
    "reason",
    "ended by",
];

impl SessionEndArguments {
    async fn run(self, client: &StaffClient) -> Result<(), Failure> {
        if let Some(session) = self.session {
            let path = format!("{PATH}{session}/");
            client.ask(&StaffRequest::change(Method::DELETE, path, self.why.body([]))).await?;
            return Ok(output::text(&format!("The session {session} has ended.\n"))?);
        }
        let request = StaffRequest { method: Method::DELETE, ..StaffRequest::get(PATH) };
        let request = self.why.add_to_query(self.filter.add_to(client, request).await?);
        let dry_run = self.dry_run.then_some(true);
        let request = request.with("dry_run", dry_run).with("expected", self.expected);
        let answer = client.ask(&request).await?;
        if self.json {
            return Ok(output::json(&answer)?);
        }
        if self.dry_run {
            let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            output::table(&HEADINGS, items.iter().map(session_cells))?;
            let matched = cell(&answer["matched"]);
            return Ok(output::text(&match items.len() {
                0 => "No session matches.\n".to_owned(),
                1 => "1 session matches; --expected 1 ends it.\n".to_owned(),
                shown => {
                    format!("{matched} sessions match, {shown} are shown; --expected {matched} ends them.\n")
                }
            })?);
        }
        let told = ["ended", "already_ended", "failed", "skipped"]
            .map(|what| format!("{}: {}", what.replace('_', " "), cell(&answer[what])));
        Ok(output::text(&format!("{}\n", told.join(", ")))?)
    }
}

fn session_cells(session: &Value) -> [String; 10] {
    [
        cell(&session["id"]),
        cell(&session["account_id"]),
        output::device_cell(session),
        cell(&session["ip_address"]),
        time_cell(&session["signed_in_at"]),
        time_cell(&session["last_seen_at"]),
        time_cell(&session["expires_at"]),
        time_cell(&session["ended_at"]),
        cell(&session["end_reason"]),
        session["ended_by"].as_object().map(|_| event_lines::plain(&session["ended_by"])).unwrap_or_default(),
    ]
}
