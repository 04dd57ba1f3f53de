//! The commands `counterfoil accounts …`, which show and change accounts.

use std::collections::BTreeSet;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{AccountId, EmailAddress, Identifier, PhoneNumber, Reason, Role};
use counterfoil_projections::profile::search::{self, AccountSummary};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;
use uuid::Uuid;

use super::{Failure, output, setup};
use crate::accounts::{Accounts as Service, AccountsError, StaffAction};
use crate::delivery::outbox::{self, MessageDelivery};
use crate::journal::Journal;
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Replay an account from its events and print its login history.
    History {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Find the account that has a phone number or an e-mail address. Exit status 1 when there is none.
    Find {
        /// The phone number, e-mail address, or id.
        account: String,
        #[command(flatten)]
        form: output::ListFormat,
    },
    /// Print an account as it stands, with its roles, the devices that are signed in, and what became of its messages. Of an
    /// account that was never signed in to, what became of its messages.
    Show {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Give an account a role.
    Grant {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// The role: `admin` or `auditor`
        #[arg(value_parser = Role::parse)]
        role: Role,
        /// Take the role instead.
        #[arg(long)]
        revoke: bool,
        /// Why, for the record.
        #[arg(long, value_parser = Reason::parse)]
        reason: Option<Reason>,
    },
    /// Let an account not be used, and end all its sessions.
    Suspend {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Why, for the record.
        #[arg(long, value_parser = Reason::parse)]
        reason: Reason,
        /// Until when (RFC 3339); until it is reinstated where nothing is said.
        #[arg(long, value_parser = future)]
        until: Option<DateTime<Utc>>,
    },
    /// Remove the second factor of a member of staff who lost it, so that they can enrol another.
    RemoveSecondFactor {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Why, for the record.
        #[arg(long, value_parser = Reason::parse)]
        reason: Reason,
    },
    /// Let a suspended account be used again.
    Reinstate {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Why, for the record.
        #[arg(long, value_parser = Reason::parse)]
        reason: Option<Reason>,
    },
}

/// An event, for a person to read.
#[derive(Serialize)]
struct EventLine {
    sequence: i64,
    at: String,
    event: &'static str,
    details: serde_json::Value,
    ip_address: Option<String>,
    device_name: Option<String>,
    user_agent: Option<String>,
}

impl AccountsCommand {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::History { account, json } => history(settings, &account, json)?,
            Self::Find { account, form } => find(settings, &account, form)?,
            Self::Show { account, json } => show(settings, &account, json)?,
            Self::Grant { account, role, revoke, reason } => {
                intervene(settings, &account, async |accounts, account| {
                    let standing = accounts.standing(account).await?;
                    let mut roles = standing.member().map(|member| member.roles.clone()).unwrap_or_default();
                    if revoke {
                        roles.remove(&role)
                    } else {
                        roles.insert(role)
                    };
                    accounts
                        .change_roles(account, roles, StaffAction::operator(super::operator_name(), reason))
                        .await
                })?;
            }
            Self::Suspend { account, reason, until } => {
                intervene(settings, &account, async |accounts, account| {
                    accounts
                        .suspend(account, until, StaffAction::operator(super::operator_name(), Some(reason)))
                        .await
                })?;
            }
            Self::RemoveSecondFactor { account, reason } => {
                intervene(settings, &account, async |accounts, account| {
                    accounts
                        .remove_second_factor(
                            account,
                            StaffAction::operator(super::operator_name(), Some(reason)),
                        )
                        .await
                })?;
            }
            Self::Reinstate { account, reason } => {
                intervene(settings, &account, async |accounts, account| {
                    accounts.reinstate(account, StaffAction::operator(super::operator_name(), reason)).await
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A time (RFC 3339) that is not over.
fn future(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| error.to_string())?.to_utc();
    if time > SystemClock.now() { Ok(time) } else { Err("this time is over".to_owned()) }
}

fn intervene(
    settings: &Settings,
    account: &str,
    act: impl AsyncFnOnce(&Service, AccountId) -> Result<(), AccountsError>,
) -> Result<(), Failure> {
    setup::with_service(settings, async |state| {
        let account = named(state.accounts.journal(), settings, account).await?;
        Ok(act(&state.accounts, account).await?)
    })
}

fn history(settings: &Settings, account: &str, json: bool) -> Result<(), Failure> {
    let history = setup::with_journal(settings, async |journal| {
        let account = named(journal, settings, account).await?;
        Ok(journal.history(account).await?)
    })?;
    if history.is_empty() {
        return Err("no account has that id".into());
    }
    let lines: Vec<EventLine> = history.iter().map(|(sequence, event)| line(*sequence, event)).collect();
    if json {
        output::json(&lines)?;
    } else {
        let headings = ["#", "time", "event", "details", "address", "device"];
        output::table(&headings, lines.into_iter().map(cells))?;
    }
    Ok(())
}

async fn found(journal: &Journal, account: AccountId) -> Result<Option<AccountSummary>, Failure> {
    let db = journal.database().connection().await?;
    let filter = search::AccountFilter { account: Some(account), ..search::AccountFilter::default() };
    let mut page = search::search(&db, &filter, None, 1, SystemClock.now()).await?;
    Ok(page.items.pop())
}

fn find(settings: &Settings, account: &str, form: output::ListFormat) -> Result<(), Failure> {
    let found = setup::with_journal(settings, async |journal| {
        let account = found(journal, named(journal, settings, account).await?).await?;
        account.ok_or_else(|| NOT_JOINED.into())
    })?;
    let headings = ["id", "phone number", "e-mail address", "name", "joined", "last sign-in", "state"];
    form.list(headings, &[found], |account| {
        let profile = &account.profile;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            profile.id.to_string(),
            text(&profile.phone_number),
            text(&profile.email),
            text(&profile.fullname),
            output::time(Some(profile.date_joined)),
            output::time(profile.last_login),
            state(account),
        ]
    })?;
    Ok(())
}

fn state(account: &AccountSummary) -> String {
    match (account.profile.is_active, account.suspended_until) {
        (true, _) => "active".to_owned(),
        (false, None) => "suspended".to_owned(),
        (false, until) => format!("suspended until {}", output::time(until)),
    }
}

/// Why an account is not found that has asked for codes only.
const NOT_JOINED: &str =
    "the account was never signed in to; `accounts show` prints what became of its codes";

/// An account that has asked for codes and was never signed in to.
#[derive(Serialize)]
struct Newcomer {
    id: AccountId,
    messages: Vec<MessageDelivery>,
}

/// An account as it stands.
#[derive(Serialize)]
struct AccountDetail {
    #[serde(flatten)]
    account: AccountSummary,
    roles: BTreeSet<Role>,
    second_factor: bool,
    devices: Vec<Device>,
    messages: Vec<MessageDelivery>,
}

fn show(settings: &Settings, account: &str, json: bool) -> Result<(), Failure> {
    let detail = setup::with_service(settings, async |service| {
        let journal = service.accounts.journal();
        let id = named(journal, settings, account).await?;
        let Some(account) = found(journal, id).await? else {
            let messages = outbox::of_account(&service.database.connection().await?, id).await?;
            return Ok(Err(Newcomer { id, messages }));
        };
        let standing = service.accounts.standing(id).await?;
        let roles = standing.member().map(|member| member.roles.clone()).unwrap_or_default();
        let second_factor = standing.authenticator().is_some();
        let db = service.database.connection().await?;
        let devices = user_login::active(&db, id, SystemClock.now()).await?;
        let messages = outbox::of_account(&db, id).await?;
        Ok(Ok(AccountDetail { account, roles, second_factor, devices, messages }))
    })?;
    let detail = match detail {
        Ok(detail) => detail,
        Err(newcomer) if newcomer.messages.is_empty() => {
            return Err("no messages went to that account".into());
        }
        Err(newcomer) if json => return Ok(output::json(&newcomer)?),
        Err(Newcomer { id, messages }) => {
            let facts = [("id", id.to_string()), ("state", "never signed in to".to_owned())];
            output::table(&["account", ""], facts.map(|(name, value)| [name.to_owned(), value]))?;
            return message_table(messages);
        }
    };
    if json {
        output::json(&detail)?;
        return Ok(());
    }
    let AccountDetail { account, roles, second_factor, devices, messages } = detail;
    let profile = &account.profile;
    let roles: Vec<&str> = roles.into_iter().map(Role::as_str).collect();
    let facts = [
        ("id", profile.id.to_string()),
        ("phone number", profile.phone_number.clone().unwrap_or_default()),
        ("e-mail address", profile.email.clone().unwrap_or_default()),
        ("name", profile.fullname.clone().unwrap_or_default()),
        ("joined", output::time(Some(profile.date_joined))),
        ("last sign-in", output::time(profile.last_login)),
        ("state", state(&account)),
        ("roles", roles.join(", ")),
        ("second factor", if second_factor { "enrolled" } else { "none" }.to_owned()),
    ];
    output::table(&["account", ""], facts.map(|(name, value)| [name.to_owned(), value]))?;
    let headings = ["session", "device", "address", "signed in", "last seen", "expires"];
    let rows = devices.into_iter().map(|device| {
        [
            device.id.to_string(),
            device.device_name.or(device.user_agent).unwrap_or_default(),
            device.ip_address.map(|ip| ip.to_string()).unwrap_or_default(),
            output::time(Some(device.signed_in_at)),
            output::time(Some(device.last_seen_at)),
            output::time(Some(device.expires_at)),
        ]
    });
    output::table(&headings, rows)?;
    message_table(messages)
}

/// Prints what became of messages, the newest first.
fn message_table(messages: Vec<MessageDelivery>) -> Result<(), Failure> {
    let headings = ["message", "channel", "asked for", "state", "gateway", "tries", "reason"];
    let rows = messages.into_iter().map(|message| {
        [
            message.kind,
            message.channel,
            output::time(Some(message.asked_at)),
            message.state,
            message.gateway.unwrap_or_default(),
            message.attempts.to_string(),
            message.reason.unwrap_or_default(),
        ]
    });
    output::table(&headings, rows)?;
    Ok(())
}

/// The account that a text names: by its id, or by an identifier of it.
pub(super) async fn named(journal: &Journal, settings: &Settings, text: &str) -> Result<AccountId, Failure> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(AccountId(id));
    }
    let identifier = if text.contains('@') {
        Identifier::Email(EmailAddress::parse(text)?)
    } else {
        Identifier::Phone(PhoneNumber::parse(text, settings.http.default_region)?)
    };
    Ok(journal.find(&identifier).await?.ok_or("no account is known by that identifier")?)
}

fn line(sequence: i64, event: &UserAccountEvent) -> EventLine {
    // The fact stands in the event's JSON under its name.
    let fact = serde_json::to_value(&event.fact).unwrap_or_default();
    let client = event.client.as_ref();
    EventLine {
        sequence,
        at: event.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        event: event.name(),
        details: fact.get(event.name()).cloned().unwrap_or_default(),
        ip_address: client.map(|client| client.ip.to_string()),
        device_name: client
            .and_then(|client| client.device_name.as_ref())
            .map(|name| name.as_str().to_owned()),
        user_agent: client
            .and_then(|client| client.user_agent.as_ref())
            .map(|agent| agent.as_str().to_owned()),
    }
}

fn cells(line: EventLine) -> [String; 6] {
    let fields = line.details.as_object().into_iter().flatten();
    let details = fields.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
    let device = line.device_name.or(line.user_agent).unwrap_or_default();
    [
        line.sequence.to_string(),
        line.at,
        line.event.to_owned(),
        details,
        line.ip_address.unwrap_or_default(),
        device,
    ]
}
