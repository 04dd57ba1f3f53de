//! The commands `counterfoil accounts …`, which show and change accounts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use actix_web::http::Method;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand, ValueEnum};
use counterfoil_domain::values::Role;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::{Refused, StaffClient, StaffDoor, StaffRequest};
use super::intervention::{OptionalGrounds, ReadReason, RequiredGrounds};
use super::listing::ListArguments;
use super::output::{cell, time_cell};
use super::recovery::{self, RecoveryCommand};
use super::{Failure, audit, erasures, messages, output, times};

/// The most accounts that a name may stand for in a message about it.
const CANDIDATES: usize = 10;

#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Print accounts, the last that joined first; by their name, state or role.
    List(AccountListArguments),
    /// Print an account as it stands, with its roles, the devices that are signed in, and what became of its messages. Of a phone
    /// number or an e-mail address, also what is in the way of a code, whether or not a person has joined by it.
    Show {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: ReadReason,
        /// Write JSON instead of tables
        #[arg(long)]
        json: bool,
    },
    /// Give an account a role.
    Grant {
        #[command(flatten)]
        account: NamedAccount,
        /// The role: `admin` or `auditor`
        #[arg(value_parser = Role::parse)]
        role: Role,
        /// Take the role instead.
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        why: OptionalGrounds,
    },
    /// Let an account not be used, and end all its sessions.
    Suspend {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: RequiredGrounds,
        /// Until when, such as `7d`, `friday` or `2026-12-31`; until it is reinstated where nothing is said.
        #[arg(long, value_parser = times::future)]
        until: Option<DateTime<Utc>>,
    },
    /// Let a suspended account be used again.
    Reinstate {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: OptionalGrounds,
    },
    /// End all sessions of an account.
    SignOut {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: OptionalGrounds,
    },
    /// Lift the lock that wrong codes set, and what else keeps codes from the account.
    Unlock {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: OptionalGrounds,
    },
    /// Give an account another phone number or e-mail address, or release one, by two administrators.
    #[command(subcommand)]
    Identifiers(RecoveryCommand),
    /// Erase an account: destroy the keys of what is personal in its events, and delete what is known of its user. Nothing brings it
    /// back.
    Erase {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: RequiredGrounds,
        /// Write JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Write everything that is held about the user of an account, as one JSON document that can be handed to them.
    Export {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        #[command(flatten)]
        why: ReadReason,
    },
    /// Keep an account from being erased, until a time or until `release-hold`. Its user can use it as before.
    Hold {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: RequiredGrounds,
        /// Until when, such as `90d`, `friday` or `2026-12-31`.
        #[arg(long, value_parser = times::future)]
        until: DateTime<Utc>,
    },
    /// Release a legal hold. An erasure that waited for it takes place.
    ReleaseHold {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: RequiredGrounds,
    },
    /// Erase again the accounts that an erasure register lists and that a restored database has. A node that has the register in its
    /// settings does it by itself when it starts.
    EraseAgain {
        /// The erasure register, or a copy of it
        register: PathBuf,
    },
    /// Remove the second factor of an account whose person lost it, so that they can enrol another.
    RemoveSecondFactor {
        #[command(flatten)]
        account: NamedAccount,
        #[command(flatten)]
        why: RequiredGrounds,
    },
}

/// The account that a command is about.
#[derive(Debug, Args)]
pub struct NamedAccount {
    /// A phone number, an e-mail address, the account's id, or a name that one account has.
    pub(super) account: String,
}

/// Which accounts; all that is said has to hold.
#[derive(Debug, Args)]
pub struct AccountListArguments {
    /// With these words in the name, in any order and spelling.
    #[arg(long)]
    name: Option<String>,
    /// Accounts that are in this state.
    #[arg(long, value_enum)]
    state: Option<StateArgument>,
    /// With this role: `admin` or `auditor`.
    #[arg(long, value_parser = Role::parse)]
    role: Option<Role>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateArgument {
    Active,
    Suspended,
}

impl AccountsCommand {
    /// Whether the command can be given to a server over HTTP.
    pub fn runs_at_a_server(&self) -> bool {
        !matches!(self, Self::EraseAgain { .. })
    }

    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        if let Self::EraseAgain { register } = &self {
            erasures::erase_again(door, register)?;
        } else {
            door.open(async |client| self.ask(client).await)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn ask(self, client: &StaffClient) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(client).await,
            Self::Show { account, why, json } => show(client, &account.account, &why, json).await,
            Self::Grant { account, role, revoke, why } => grant(client, &account, role, revoke, &why).await,
            Self::Identifiers(recovery) => recovery.run(client).await,
            Self::Suspend { account, why, until } => {
                let until = until.map(|until| until.to_rfc3339_opts(SecondsFormat::AutoSi, true));
                let body = why.body([("until", json!(until))]);
                intervene(client, &account, (Method::POST, "suspend/"), body).await
            }
            Self::Reinstate { account, why } => {
                intervene(client, &account, (Method::POST, "reinstate/"), why.body([])).await
            }
            Self::SignOut { account, why } => {
                intervene(client, &account, (Method::POST, "sign-out/"), why.body([])).await
            }
            Self::Unlock { account, why } => {
                intervene(client, &account, (Method::POST, "unlock/"), why.body([])).await
            }
            Self::Export { account, why } => export(client, &account, &why).await,
            Self::Erase { account, why, json } => erasures::erase(client, &account.account, &why, json).await,
            Self::Hold { account, why, until } => {
                let until = until.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                let body = why.body([("until", json!(until))]);
                intervene(client, &account, (Method::POST, "hold/"), body).await
            }
            Self::ReleaseHold { account, why } => {
                intervene(client, &account, (Method::DELETE, "hold/"), why.body([])).await
            }
            Self::EraseAgain { .. } => Err("this command needs the database".into()),
            Self::RemoveSecondFactor { account, why } => {
                intervene(client, &account, (Method::DELETE, "second-factor/"), why.body([])).await
            }
        }
    }
}

impl AccountListArguments {
    async fn run(self, client: &StaffClient) -> Result<(), Failure> {
        let state = self.state.map(|state| match state {
            StateArgument::Active => "active",
            StateArgument::Suspended => "suspended",
        });
        let request = StaffRequest::get("/admin/accounts/")
            .with("fullname", self.name)
            .with("state", state)
            .with("role", self.role.map(Role::as_str));
        let headings =
            ["id", "phone number", "e-mail address", "name", "joined", "last sign-in", "state", "roles"];
        let cells = |account: &Value| {
            [
                cell(&account["id"]),
                cell(&account["phone_number"]),
                cell(&account["email"]),
                cell(&account["fullname"]),
                time_cell(&account["date_joined"]),
                time_cell(&account["last_login"]),
                state_of(account),
                roles_of(account).into_iter().collect::<Vec<_>>().join(", "),
            ]
        };
        self.list.print(client, request, headings, cells).await
    }
}

/// Writes the document as it comes. Where it breaks off, the command fails.
async fn export(client: &StaffClient, account: &str, why: &ReadReason) -> Result<(), Failure> {
    let id = audit::account_id(client, account, why).await?;
    let request = StaffRequest::get(format!("/audit/accounts/{id}/export/")).because(why.reason());
    let answer = client.stream(&request).await;
    let mut answer = answer.map_err(|failure| {
        let refused: Option<&Refused> = failure.downcast_ref();
        let is_unknown = refused.is_some_and(|refused| refused.code() == "not_found");
        if is_unknown { format!("there is no account {id}, or it was erased").into() } else { failure }
    })?;
    while let Some(lines) = answer.lines().await? {
        output::text(&output::json_escaped(&String::from_utf8_lossy(&lines)))?;
    }
    Ok(())
}

/// Returns the filter that an identifier is, by which the API finds what belongs to it; none for another text.
pub(super) fn identifier_filter(text: &str) -> Option<&'static str> {
    let is_number = |c: char| c.is_numeric() || " +-()./".contains(c);
    if text.contains('@') {
        Some("email")
    } else if text.chars().any(char::is_numeric) && text.chars().all(is_number) {
        Some("phone_number")
    } else {
        None
    }
}

/// Returns the id of the account that a text names.
///
/// # Errors
/// When it names none, or more than one.
pub(super) async fn account_id(client: &StaffClient, text: &str) -> Result<String, Failure> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(id.to_string());
    }
    let filter = identifier_filter(text);
    let request = StaffRequest::get("/admin/accounts/").with(filter.unwrap_or("fullname"), Some(text));
    let (found, _) = client.list(&request, CANDIDATES + 1, None).await?;
    match found.as_slice() {
        [account] => Ok(cell(&account["id"])),
        [] if filter.is_some() => Err(format!(
            "no account is known by {text}; `counterfoil accounts show {text}` prints what became of its codes"
        )
        .into()),
        [] => Err(format!("no account has the name {text:?}").into()),
        several => {
            let lines = several.iter().take(CANDIDATES).map(|account| {
                let known_as = ["phone_number", "email"].map(|name| cell(&account[name])).join(" ");
                format!("\n  {} {} {known_as}", cell(&account["id"]), cell(&account["fullname"]))
            });
            let and_more = if several.len() > CANDIDATES { "\n  and more" } else { "" };
            let listed: String = lines.collect();
            Err(format!("more than one account has the name {text:?}; give the id of one:{listed}{and_more}").into())
        }
    }
}

async fn detail(client: &StaffClient, id: &str) -> Result<Value, Failure> {
    client.ask(&StaffRequest::get(format!("/admin/accounts/{id}/"))).await
}

/// Changes an account, and says what is true of it now and what was before.
async fn intervene(
    client: &StaffClient,
    account: &NamedAccount,
    (method, what): (Method, &str),
    body: Value,
) -> Result<(), Failure> {
    let id = account_id(client, &account.account).await?;
    let before = detail(client, &id).await?;
    client.ask(&StaffRequest::change(method, format!("/admin/accounts/{id}/{what}"), body)).await?;
    say_what_changed(client, &id, &before).await
}

async fn say_what_changed(client: &StaffClient, id: &str, before: &Value) -> Result<(), Failure> {
    let after = detail(client, id).await?;
    let known_as = ["fullname", "phone_number", "email"].map(|name| cell(&after[name]));
    let known_as: Vec<String> = known_as.into_iter().filter(|text| !text.is_empty()).collect();
    let (before, after) = (summary(before), summary(&after));
    let before = if before == after { "as before".to_owned() } else { format!("before: {before}") };
    Ok(output::text(&format!("{} ({id}): {after}; {before}\n", known_as.join(" ")))?)
}

/// Returns what an intervention can change, in a line.
fn summary(account: &Value) -> String {
    let devices = account["devices"].as_array().map_or(0, Vec::len);
    let devices = if devices == 1 { "1 device".to_owned() } else { format!("{devices} devices") };
    let roles = roles_of(account);
    let roles = roles.into_iter().map(|role| format!(", {role}")).collect::<String>();
    let factor = if account["second_factor"] == true { ", second factor" } else { "" };
    format!("{}{}, {devices}{roles}{factor}", state_of(account), erasure_of(account))
}

/// Returns when an account is erased and until when it is held, as it goes on after its state.
fn erasure_of(account: &Value) -> String {
    let told = |what: &str, time: &Value| {
        if time.is_null() { String::new() } else { format!(", {what} {}", time_cell(time)) }
    };
    told("erased at", &account["erasure_due_at"]) + &told("held until", &account["legal_hold"]["until"])
}

async fn grant(
    client: &StaffClient,
    account: &NamedAccount,
    role: Role,
    revoke: bool,
    why: &OptionalGrounds,
) -> Result<(), Failure> {
    let id = account_id(client, &account.account).await?;
    let before = detail(client, &id).await?;
    let mut roles = roles_of(&before);
    if revoke {
        roles.remove(role.as_str())
    } else {
        roles.insert(role.as_str().to_owned())
    };
    let body = why.body([("roles", json!(roles))]);
    client.ask(&StaffRequest::change(Method::POST, format!("/admin/accounts/{id}/roles/"), body)).await?;
    say_what_changed(client, &id, &before).await
}

fn roles_of(account: &Value) -> BTreeSet<String> {
    account["roles"].as_array().into_iter().flatten().map(cell).collect()
}

fn state_of(account: &Value) -> String {
    match (account["is_active"].as_bool(), &account["suspended_until"]) {
        (Some(false), Value::Null) => "suspended".to_owned(),
        (Some(false), until) => format!("suspended until {}", time_cell(until)),
        (Some(true) | None, _) => "active".to_owned(),
    }
}

async fn show(client: &StaffClient, text: &str, why: &ReadReason, json: bool) -> Result<(), Failure> {
    let read = async |path: String| client.ask(&StaffRequest::get(path).because(why.reason())).await;
    let identifier = match identifier_filter(text).filter(|_| Uuid::try_parse(text).is_err()) {
        None => None,
        Some(filter) => {
            let request = StaffRequest::get("/admin/identifiers/").with(filter, Some(text));
            Some(client.ask(&request.because(why.reason())).await?)
        }
    };
    let account = match &identifier {
        None => {
            let id = account_id(client, text).await?;
            Some(read(format!("/admin/accounts/{id}/")).await?)
        }
        Some(page) if page["joined"] == true => {
            Some(read(format!("/admin/accounts/{}/", cell(&page["account_id"]))).await?)
        }
        Some(_) => None,
    };
    if json {
        let mut document = match account {
            Some(Value::Object(account)) => account,
            _ => Map::new(),
        };
        if let Some(page) = identifier {
            document.entry("messages").or_insert_with(|| page["messages"].clone());
            document.insert("identifier".to_owned(), page);
        }
        return Ok(output::json(&document)?);
    }
    if let Some(page) = &identifier {
        show_identifier(page)?;
    }
    match (&account, &identifier) {
        (Some(account), _) => show_account(account),
        (None, Some(page)) => messages::table(&page["messages"]),
        (None, None) => Ok(()),
    }
}

/// Prints the page of a phone number or an e-mail address: a sentence first, then what is in the way.
fn show_identifier(page: &Value) -> Result<(), Failure> {
    if let Some(summary) = page["summary"].as_str() {
        output::text(&format!("{}\n", output::escaped(summary)))?;
    }
    if page["joined"] == false {
        output::text("No person has joined by it: the account was never signed in to.\n")?;
    }
    let obstacles = page["obstacles"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !obstacles.is_empty() {
        let rows = obstacles.iter().map(|obstacle| {
            [cell(&obstacle["kind"]), cell(&obstacle["subject"]), time_cell(&obstacle["until"])]
        });
        output::table(&["in the way", "subject", "until"], rows)?;
    }
    Ok(())
}

fn show_account(account: &Value) -> Result<(), Failure> {
    let facts = [
        ("id", cell(&account["id"])),
        ("phone number", cell(&account["phone_number"])),
        ("e-mail address", cell(&account["email"])),
        ("name", cell(&account["fullname"])),
        ("joined", time_cell(&account["date_joined"])),
        ("last sign-in", time_cell(&account["last_login"])),
        ("state", state_of(account) + &erasure_of(account)),
        ("roles", roles_of(account).into_iter().collect::<Vec<_>>().join(", ")),
        ("second factor", if account["second_factor"] == true { "enrolled" } else { "none" }.to_owned()),
    ];
    output::table(&["account", ""], facts.map(|(name, value)| [name.to_owned(), value]))?;
    if !account["identifier_proposal"].is_null() {
        output::text(&format!("{}\n", output::escaped(&recovery::told(&account["identifier_proposal"]))))?;
    }
    let headings = ["session", "device", "address", "signed in", "last seen", "expires"];
    let rows = account["devices"].as_array().into_iter().flatten().map(|device| {
        [
            cell(&device["id"]),
            output::device_cell(device),
            cell(&device["ip_address"]),
            time_cell(&device["signed_in_at"]),
            time_cell(&device["last_seen_at"]),
            time_cell(&device["expires_at"]),
        ]
    });
    output::table(&headings, rows)?;
    messages::table(&account["messages"])
}

#[cfg(test)]
mod tests {
    use super::identifier_filter;

    #[test]
    fn a_text_is_told_to_be_a_number_an_address_or_a_name() {
        for (text, filter) in [
            ("+989121234567", Some("phone_number")),
            ("0912 123-4567", Some("phone_number")),
            ("۰۹۱۲۱۲۳۴۵۶۷", Some("phone_number")),
            ("(0912) 123 4567", Some("phone_number")),
            ("ada@example.com", Some("email")),
            ("Ada Lovelace", None),
            ("Ada 2", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(identifier_filter(text), filter, "{text}");
        }
    }
}
