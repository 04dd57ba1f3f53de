//! The commands `counterfoil messages …`: what became of messages.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::ReadReason;
use super::output::{self, cell, time_cell};
use super::{Failure, accounts, times};

/// How many messages are printed where nothing is said.
const USUAL: usize = 50;

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
    /// After which message the list goes on: `next` of the JSON before it.
    #[arg(long, allow_hyphen_values = true)]
    cursor: Option<String>,
    #[command(flatten)]
    why: ReadReason,
    #[command(flatten)]
    extent: output::ListExtent,
    #[command(flatten)]
    form: output::ListFormat,
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
        let to = self.to.as_deref();
        let filter = match to.map(|to| (to, accounts::identifier_filter(to))) {
            None => "",
            Some((_, Some(filter))) => filter,
            Some((to, None)) => return Err(format!("{to:?} is no phone number and no e-mail address").into()),
        };
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let request = StaffRequest::get("/admin/messages/")
            .with(filter, to)
            .with("state", self.state)
            .with("gateway", self.gateway)
            .with("country", self.country)
            .with("channel", self.channel)
            .with("since", self.since.map(time))
            .with("until", self.until.map(time))
            .because(self.why.reason());
        let most = self.extent.most(USUAL, self.form.is_whole());
        let (items, next) = client.list(&request, most, self.cursor).await?;
        let part = output::ListPart { items, next: next.as_str().map(str::to_owned) };
        let headings =
            ["asked for", "account", "message", "channel", "country", "state", "gateway", "tries", "reason"];
        self.form.part(headings, &part, |message| {
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
        })?;
        Ok(())
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
