//! The commands `counterfoil messages …`: what became of messages.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::listing::ListArguments;
use super::output::{self, cell, time_cell};
use super::{Failure, accounts, times};

#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// Print messages, the newest first: which were sent, which failed, and why.
    List(MessageListArguments),
}

/// Which messages; all that is said has to hold.
#[derive(Debug, Args)]
pub struct MessageListArguments {
    /// To this phone number or e-mail address.
    #[arg(long)]
    to: Option<String>,
    /// In this state: `waiting`, `sent`, `failed`, `expired` or `replaced`.
    #[arg(long)]
    state: Option<String>,
    /// Messages that this gateway took or refused.
    #[arg(long)]
    gateway: Option<String>,
    /// To numbers of this country, such as `IR`.
    #[arg(long)]
    country: Option<String>,
    /// On this channel: `phone` or `email`.
    #[arg(long)]
    channel: Option<String>,
    /// Asked for then or later; such as `2026-11-27`, `friday` or `2h` (ago).
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    since: Option<DateTime<Utc>>,
    /// Asked for before this time.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    until: Option<DateTime<Utc>>,
    #[command(flatten)]
    list: ListArguments,
}

impl MessagesCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        let Self::List(list) = self;
        door.open(async |client| list.run(client).await)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl MessageListArguments {
    async fn run(self, client: &StaffClient) -> Result<(), Failure> {
        let to = self.to.as_deref().map(|to| {
            let filter = accounts::identifier_filter(to);
            filter
                .map(|filter| (filter, to))
                .ok_or_else(|| format!("{to:?} is no phone number and no e-mail address"))
        });
        let to = to.transpose()?;
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let request = StaffRequest::get("/admin/messages/")
            .with_named(to)
            .with("state", self.state)
            .with("gateway", self.gateway)
            .with("country", self.country)
            .with("channel", self.channel)
            .with("since", self.since.map(time))
            .with("until", self.until.map(time));
        let headings =
            ["asked for", "account", "message", "channel", "country", "state", "gateway", "tries", "reason"];
        let cells = |message: &Value| {
            [
                time_cell(&message["asked_at"]),
                cell(&message["account_id"]),
                cell(&message["kind"]),
                cell(&message["channel"]),
                cell(&message["country"]),
                cell(&message["state"]),
                cell(&message["gateway"]),
                cell(&message["attempts"]),
                cell(&message["reason"]),
            ]
        };
        self.list.print(client, request, headings, cells).await
    }
}

/// Prints the messages of an account or an identifier, the newest first.
///
/// # Errors
/// When the standard output cannot be written to.
pub fn table(messages: &Value) -> Result<(), Failure> {
    let headings = ["message", "channel", "asked for", "state", "gateway", "tries", "reason"];
    let rows = messages.as_array().into_iter().flatten().map(|message| {
        [
            cell(&message["kind"]),
            cell(&message["channel"]),
            time_cell(&message["asked_at"]),
            cell(&message["state"]),
            cell(&message["gateway"]),
            cell(&message["attempts"]),
            cell(&message["reason"]),
        ]
    });
    output::table(&headings, rows)?;
    Ok(())
}
