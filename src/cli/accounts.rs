//! `counterfoil accounts`

use std::process::ExitCode;

use clap::Subcommand;
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{AccountId, EmailAddress, Identifier, PhoneNumber};
use serde::Serialize;
use uuid::Uuid;

use super::{Failure, output, setup};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// Replay an account from its events and print its login history.
    History {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// An event, for a person to read.
#[derive(Serialize)]
struct Line {
    sequence: i64,
    at: String,
    event: &'static str,
    details: serde_json::Value,
    ip_address: Option<String>,
    device_name: Option<String>,
    user_agent: Option<String>,
}

impl Accounts {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let Self::History { account, json } = self;
        let history = setup::with_journal(settings, async |journal| {
            let account = match parse(&account, settings)? {
                Key::Account(account) => account,
                Key::Identifier(identifier) => {
                    journal.find(&identifier).await?.ok_or("nobody is known by that identifier")?
                }
            };
            Ok(journal.history(account).await?)
        })?;
        if history.is_empty() {
            return Err("no account has that id".into());
        }
        let lines: Vec<Line> = history.iter().map(|(sequence, event)| line(*sequence, event)).collect();
        if json {
            output::json(&lines)?;
        } else {
            let headings = ["#", "time", "event", "details", "address", "device"];
            output::table(&headings, lines.into_iter().map(cells))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

enum Key {
    Account(AccountId),
    Identifier(Identifier),
}

fn parse(text: &str, settings: &Settings) -> Result<Key, Failure> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(Key::Account(AccountId(id)));
    }
    Ok(Key::Identifier(if text.contains('@') {
        Identifier::Email(EmailAddress::parse(text)?)
    } else {
        Identifier::Phone(PhoneNumber::parse(text, settings.http.default_region)?)
    }))
}

fn line(sequence: i64, event: &UserAccountEvent) -> Line {
    // The fact stands in the event's JSON under its name.
    let fact = serde_json::to_value(&event.fact).unwrap_or_default();
    let client = event.client.as_ref();
    Line {
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

fn cells(line: Line) -> [String; 6] {
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
