//! The commands `counterfoil limits …`, which show, lift and block.

use std::process::ExitCode;

use actix_web::http::Method;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use counterfoil_domain::values::{PhoneNumber, Region};
use serde_json::{Value, json};

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::{ReadReason, ServiceActReason};
use super::listing::ListArguments;
use super::output::{cell, time_cell};
use super::{Failure, accounts, alarms, output, setup, times};
use crate::delivery::ledger::{self, LedgerGrouping, LedgerSum};
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::runtime::network;
use crate::settings::Settings;

/// How many limits of a subject are printed.
const USUAL: usize = 200;

#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Print the limits of a subject; without one, those that are full or nearly, those of the service, and the latest alarms.
    Show {
        /// An IP address, a phone number, an e-mail address, the prefix of a number (+98912123), a country (IR), `service`, or a
        /// subject as the list shows it.
        subject: Option<String>,
        #[command(flatten)]
        why: ReadReason,
        /// Write JSON instead of tables
        #[arg(long)]
        json: bool,
    },
    /// Let a caller through again, as if nothing had been counted.
    Lift {
        /// As `limits show` takes it. Of a number or an e-mail address, what wrong codes have set is lifted as well.
        subject: String,
        #[command(flatten)]
        why: ServiceActReason,
    },
    /// Send no code to a subject and look at none that comes from it, until a time.
    Block(BlockArguments),
    /// Print the blocks, the newest first.
    Blocks {
        /// Print the blocks that are over as well
        #[arg(long)]
        ended: bool,
        #[command(flatten)]
        list: ListArguments,
    },
    /// End a block before its time.
    Unblock {
        /// The id of the block, as `limits blocks` shows it
        block: String,
        #[command(flatten)]
        why: ServiceActReason,
    },
    /// Print how many messages were sent and what they cost, by day (UTC). It reads the database.
    Messages {
        /// Since which day; by default of the last seven.
        #[arg(long, value_name = "YYYY-MM-DD")]
        since: Option<NaiveDate>,
        /// What each day is told apart by.
        #[arg(long, value_enum, default_value = "gateway")]
        by: GroupingArgument,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct BlockArguments {
    /// A prefix of numbers (+98912123), a phone number, an e-mail address, a mail domain (example.com), an IP address or network
    /// (192.0.2.0/24), or a country (IR).
    subject: String,
    #[command(flatten)]
    why: ServiceActReason,
    /// Until when, such as `2h`, `friday` or `2026-12-31`; until it is ended where nothing is said.
    #[arg(long, value_parser = times::future)]
    until: Option<DateTime<Utc>>,
}

impl LimitsCommand {
    /// Whether it can be given to a server over HTTP.
    pub fn runs_at_a_server(&self) -> bool {
        !matches!(self, Self::Messages { .. })
    }

    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        match self {
            Self::Messages { since, by, json } => messages(&(door.sources)()?.check()?, since, by, json),
            Self::Show { subject: Some(subject), why, json } => {
                door.open(async |client| show_subject(client, &subject, &why, json).await)
            }
            Self::Show { subject: None, why, json } => {
                door.open(async |client| overview(client, &why, json).await)
            }
            Self::Lift { subject, why } => door.open(async |client| lift(client, &subject, &why).await),
            Self::Block(block) => door.open(async |client| block.run(client).await),
            Self::Blocks { ended, list } => door.open(async |client| blocks(client, ended, list).await),
            Self::Unblock { block, why } => door.open(async |client| {
                let path = format!("/admin/blocks/{block}/");
                client.ask(&StaffRequest::change(Method::DELETE, path, why.body([]))).await?;
                Ok(output::text(&format!("The block {block} has ended.\n"))?)
            }),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn limits_of(
    client: &StaffClient,
    subject: Option<&str>,
    why: &ReadReason,
) -> Result<Vec<Value>, Failure> {
    let request = StaffRequest::get("/admin/limits/").with("subject", subject).because(why.reason());
    Ok(client.list(&request, USUAL, None).await?.0)
}

async fn show_subject(
    client: &StaffClient,
    subject: &str,
    why: &ReadReason,
    json: bool,
) -> Result<(), Failure> {
    let limits = limits_of(client, Some(subject), why).await?;
    if json { Ok(output::json(&limits)?) } else { table(&limits) }
}

async fn overview(client: &StaffClient, why: &ReadReason, json: bool) -> Result<(), Failure> {
    let near = limits_of(client, None, why).await?;
    let mut service = limits_of(client, Some("service"), why).await?;
    service.retain(|limit| limit["count"] != 0);
    let alarms = alarms::latest(client, why).await?;
    if json {
        return Ok(output::json(&json!({ "near": near, "service": service, "alarms": alarms }))?);
    }
    output::text("Full or nearly\n")?;
    table(&near)?;
    output::text("The service\n")?;
    table(&service)?;
    output::text("Alarms\n")?;
    alarms::table(&alarms)
}

fn table(limits: &[Value]) -> Result<(), Failure> {
    let rows = limits.iter().map(|limit| {
        let names = ["kind", "subject", "count", "limit"].map(|name| cell(&limit[name]));
        names.into_iter().chain([time_cell(&limit["until"])])
    });
    output::table(&["limit", "of", "used", "most", "room again"], rows)?;
    Ok(())
}

async fn lift(client: &StaffClient, subject: &str, why: &ServiceActReason) -> Result<(), Failure> {
    let path = format!("/admin/limits/{}/", encoded(subject));
    client.ask(&StaffRequest::change(Method::DELETE, path, why.body([]))).await?;
    Ok(output::text(&format!("What was counted against {} is lifted.\n", output::escaped(subject)))?)
}

/// Returns a text as a segment of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

impl BlockArguments {
    async fn run(self, client: &StaffClient) -> Result<(), Failure> {
        let until = self.until.map(|until| until.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let body =
            self.why.body([(block_field(&self.subject), json!(self.subject)), ("until", json!(until))]);
        let block = client.ask(&StaffRequest::change(Method::POST, "/admin/blocks/", body)).await?;
        let until =
            if block["until"].is_null() { "it is ended".to_owned() } else { time_cell(&block["until"]) };
        let (id, kind, subject) = (cell(&block["id"]), cell(&block["kind"]), cell(&block["subject"]));
        Ok(output::text(&format!(
            "{kind} {} is blocked until {until}; the block is {id}.\n",
            output::escaped(&subject)
        ))?)
    }
}

/// Returns the field of a block that a subject is.
fn block_field(subject: &str) -> &'static str {
    if network::parse(subject).is_ok() {
        "ip_address"
    } else if subject.contains('@') {
        "email"
    } else if Region::parse(subject).is_some() {
        "country"
    } else if accounts::identifier_filter(subject).is_none() {
        "mail_domain"
    } else if subject.trim().starts_with('+') && PhoneNumber::parse(subject, None).is_err() {
        "prefix"
    } else {
        "phone_number"
    }
}

async fn blocks(client: &StaffClient, ended: bool, list: ListArguments) -> Result<(), Failure> {
    let request = StaffRequest::get("/admin/blocks/").with("active", (!ended).then_some(true));
    let headings = ["block", "kind", "subject", "since", "until", "reason", "by"];
    let cells = |block: &Value| {
        [
            cell(&block["id"]),
            cell(&block["kind"]),
            cell(&block["subject"]),
            time_cell(&block["since"]),
            time_cell(&block["until"]),
            cell(&block["reason"]),
            super::event_lines::plain(&block["by"]),
        ]
    };
    list.print(client, request, headings, cells).await
}

/// What the days of the message ledger are told apart by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GroupingArgument {
    /// By the day alone
    Day,
    /// By day and gateway
    Gateway,
    /// By day and country
    Country,
    /// The prefix: a number without its last four digits.
    Prefix,
}

impl From<GroupingArgument> for LedgerGrouping {
    fn from(by: GroupingArgument) -> Self {
        match by {
            GroupingArgument::Day => Self::Day,
            GroupingArgument::Gateway => Self::Gateway,
            GroupingArgument::Country => Self::Country,
            GroupingArgument::Prefix => Self::Prefix,
        }
    }
}

fn messages(
    settings: &Settings,
    since: Option<NaiveDate>,
    by: GroupingArgument,
    json: bool,
) -> Result<(), Failure> {
    let since = since.unwrap_or_else(|| SystemClock.now().date_naive() - TimeDelta::days(6));
    let sums = setup::with_journal(settings, async |journal| {
        let db = journal.database().connection().await?;
        Ok(ledger::sums(&db, since, by.into()).await?)
    })?;
    if json {
        return Ok(output::json(&sums)?);
    }
    let headings = ["day", "gateway", "country", "prefix", "messages", "cost"];
    output::table(&headings, sums.into_iter().map(of_sum))?;
    Ok(())
}

fn of_sum(sum: LedgerSum) -> [String; 6] {
    let LedgerSum { day, gateway, country, prefix, messages, cost } = sum;
    [day.to_string(), gateway, country, prefix, messages.to_string(), cost.to_string()]
}

#[cfg(test)]
mod tests {
    use super::{block_field, encoded};

    #[test]
    fn what_a_person_types_is_told_to_be_a_prefix_a_number_an_address_a_domain_or_a_country() {
        for (subject, field) in [
            ("+98912123", "prefix"),
            ("+989121234567", "phone_number"),
            ("0912 123 4567", "phone_number"),
            ("192.0.2.1", "ip_address"),
            ("2001:db8::/48", "ip_address"),
            ("ada@example.com", "email"),
            ("mail.example.com", "mail_domain"),
            ("IR", "country"),
        ] {
            assert_eq!(block_field(subject), field, "{subject}");
        }
        assert_eq!(encoded("+98 912/۱"), "%2B98%20912%2F%DB%B1");
    }
}
