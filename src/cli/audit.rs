//! The commands `counterfoil audit …`, which read and verify the log.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::Client;
use serde::Serialize;

use super::rehearse::RehearseCommand;
use super::{Failure, accounts, output, setup};
use crate::audit::{
    self, AccountStanding, EventFilter, EventPages, EventRecord, HistoryStep, PageOrder, StateChange, csv,
};
use crate::journal::Journal;
use crate::settings::{Settings, Sources};

/// How many events a table or a JSON document has where nothing is said.
const USUAL: usize = 100;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Print events: as a table the newest first, in the other forms in the order of the log.
    Events(EventsArguments),
    /// Replay an account event by event: each with what it changed.
    Replay {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Only the event of that number, with the account as it was after it.
        #[arg(long, value_name = "N")]
        step: Option<i64>,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print an account as it stood at a time, rebuilt from its events.
    At {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// The time (RFC 3339).
        time: DateTime<Utc>,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Say how many codes, sign-ins and sessions on record would have come out otherwise under other limits.
    Rehearse(RehearseCommand),
    /// Say whether the log is unaltered and complete. Exit status 1 when it is not.
    Verify {
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct EventsArguments {
    /// Of that account: a phone number, an e-mail address, or an id.
    #[arg(long)]
    account: Option<String>,
    /// Of that kind, such as `LoggedIn`; of any of those named.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = PossibleValuesParser::new(UserAccountEvent::NAMES))]
    types: Vec<String>,
    /// Not before that time (RFC 3339), by the event's own.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// Before that time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// After that position in the log.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: i64,
    /// Without `--limit` or `--all`, 100 events as a table or as JSON, and all as CSV or NDJSON.
    #[command(flatten)]
    extent: output::ListExtent,
    #[command(flatten)]
    form: RecordFormat,
    /// With a byte order mark before the CSV, by which spreadsheets know that it is UTF-8.
    #[arg(long, requires = "csv")]
    bom: bool,
}

#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub struct RecordFormat {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
    /// As CSV, safe to open in a spreadsheet.
    #[arg(long)]
    csv: bool,
    /// As JSON, a line an event.
    #[arg(long)]
    ndjson: bool,
}

impl AuditCommand {
    pub fn run(self, sources: &Sources) -> Result<ExitCode, Failure> {
        let settings = &sources.clone().check()?;
        setup::with_journal(settings, async |journal| match self {
            Self::Events(events) => events.print(journal, settings).await,
            Self::Replay { account, step, json } => replay(journal, settings, &account, step, json).await,
            Self::At { account, time, json } => {
                let account = accounts::named(journal, settings, &account).await?;
                let standing = audit::standing_at(journal, account, time).await?;
                show(&standing.ok_or("no account has that id")?, json)
            }
            Self::Rehearse(rehearse) => rehearse.run(journal, sources, settings).await,
            Self::Verify { json } => verify(journal, json).await,
        })
    }
}

impl EventsArguments {
    async fn print(self, journal: &Journal, settings: &Settings) -> Result<ExitCode, Failure> {
        let account = match &self.account {
            Some(account) => Some(accounts::named(journal, settings, account).await?),
            None => None,
        };
        let filter = EventFilter {
            account,
            types: self.types.clone(),
            since: self.since,
            until: self.until,
            ..EventFilter::default()
        };
        let end = audit::end(journal).await?;
        let long = self.form.csv || self.form.ndjson;
        let most = self.extent.most(USUAL, long);
        if long {
            let most = u64::try_from(most).unwrap_or(u64::MAX);
            return self.export(EventPages::new(journal.clone(), filter, self.after..end, most)).await;
        }
        // One more tells whether there are more.
        let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let order = if self.form.json { PageOrder::OldestFirst } else { PageOrder::NewestFirst };
        let mut pages = EventPages::new(journal.clone(), filter, self.after..end, one_more).ordered(order);
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        let is_cut = items.len() > most;
        items.truncate(most);
        let next = items.last().filter(|_| is_cut).map(|last| last.position);
        let part = output::ListPart { items, next };
        if self.form.json {
            output::json(&part)?;
        } else {
            let headings = ["#", "time", "account", "event", "details", "address", "device"];
            output::table(&headings, part.items.iter().map(cells))?;
        }
        output::say_where_it_ends(&part);
        Ok(ExitCode::SUCCESS)
    }

    /// Writes records as they are read, in the order of the log.
    async fn export(&self, mut pages: EventPages) -> Result<ExitCode, Failure> {
        let end = pages.positions.end;
        let mut report = output::ProgressReport::counting("positions", "events");
        if self.form.csv {
            let mark = if self.bom { csv::BYTE_ORDER_MARK } else { "" };
            output::csv(&[mark.as_bytes(), &csv::headings()].concat())?;
        }
        while let Some(page) = pages.next().await? {
            if self.form.csv {
                output::csv(&csv::lines(&page))?;
            } else {
                output::text(&output::json_escaped(&lines(&page)?))?;
            }
            report.count(pages.positions.start.try_into()?, end.try_into()?, "");
        }
        report.finish();
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(records: &[EventRecord]) -> Result<String, Failure> {
    let mut lines = String::new();
    for record in records {
        lines += &serde_json::to_string(record)?;
        lines.push('\n');
    }
    Ok(lines)
}

fn cells(record: &EventRecord) -> [String; 7] {
    let client = record.client.as_ref();
    let details = record.fact.as_ref().map(|fact| details(fact.get())).unwrap_or_default();
    let device = client.map(device).unwrap_or_default();
    [
        record.position.to_string(),
        record.at.map(time).unwrap_or_default(),
        format!("{} {}", record.account_id, record.sequence),
        record.event_type.clone(),
        details,
        client.map(|client| client.ip.to_string()).unwrap_or_default(),
        device,
    ]
}

fn device(client: &Client) -> String {
    let name = client.device_name.as_ref().map(|name| name.as_str());
    name.or(client.user_agent.as_ref().map(|agent| agent.as_str())).unwrap_or_default().to_owned()
}

/// What an event says, a member a line.
fn details(fact: &str) -> String {
    let fact: serde_json::Value = serde_json::from_str(fact).unwrap_or_default();
    let members =
        fact.as_object().into_iter().flatten().filter_map(|(_, members)| members.as_object()).flatten();
    members.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

fn time(at: DateTime<Utc>) -> String {
    output::time(Some(at))
}

async fn replay(
    journal: &Journal,
    settings: &Settings,
    account: &str,
    step: Option<i64>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let account = accounts::named(journal, settings, account).await?;
    let steps = audit::steps(journal, account).await?;
    let steps: Vec<HistoryStep> = steps.filter(|each| step.is_none_or(|step| step == each.step)).collect();
    if steps.is_empty() {
        return Err("there is no such event of such an account".into());
    }
    if json {
        output::json(&steps)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = steps.iter().map(|step| {
        let client = step.event.client.as_ref();
        let from = client.map(|client| format!("{}\n{}", client.ip, device(client))).unwrap_or_default();
        let changes =
            step.changes.iter().filter(|change| !matches!(change.path.as_str(), "/at" | "/version"));
        let changes: Vec<String> = changes.map(changed).collect();
        let fact = serde_json::to_string(&step.event.fact).unwrap_or_default();
        [
            step.step.to_string(),
            time(step.event.at),
            step.event.event_type.to_owned(),
            details(&fact),
            from,
            changes.join("\n"),
        ]
    });
    output::table(&["#", "time", "event", "details", "from", "changed"], rows)?;
    match (step, steps.last()) {
        (Some(_), Some(last)) => show(&last.state, false),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What is different; of what is new or gone, a member a line.
fn changed(StateChange { path, before, after }: &StateChange) -> String {
    let listed = |what: &str, members: &serde_json::Map<String, serde_json::Value>| {
        let lines = members.iter().map(|(name, value)| format!("\n  {name}: {value}"));
        format!("{path}: {what}{}", lines.collect::<String>())
    };
    match (before, after) {
        (serde_json::Value::Null, serde_json::Value::Object(members)) => listed("new", members),
        (serde_json::Value::Object(members), serde_json::Value::Null) => listed("gone", members),
        (before, after) => format!("{path}: {before} → {after}"),
    }
}

fn show(standing: &AccountStanding, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(standing)?;
        return Ok(ExitCode::SUCCESS);
    }
    let document = serde_json::to_value(standing)?;
    let members = document.as_object().into_iter().flatten().filter(|(name, _)| *name != "sessions");
    output::table(&["account", ""], members.map(|(name, value)| [name.clone(), plain(value)]))?;
    let sessions = standing.sessions.iter().map(|(id, session)| {
        let client = session.client.as_ref();
        [
            id.clone(),
            session.signed_in_at.map(time).unwrap_or_default(),
            time(session.last_used_at),
            time(session.expires_at),
            session.generation.0.to_string(),
            client.map(|client| client.ip.to_string()).unwrap_or_default(),
            client.map(device).unwrap_or_default(),
        ]
    });
    let headings = ["session", "signed in", "last used", "expires", "generation", "address", "device"];
    output::table(&headings, sessions)?;
    Ok(ExitCode::SUCCESS)
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| serde_json::to_string_pretty(value).unwrap_or_default(), str::to_owned)
}

/// A verification, for a program to read.
#[derive(Serialize)]
struct VerificationResult {
    unaltered: bool,
    complete: bool,
    #[serde(flatten)]
    verified: audit::VerificationReport,
}

async fn verify(journal: &Journal, json: bool) -> Result<ExitCode, Failure> {
    let mut report = output::ProgressReport::counting("events and numbers", "verify");
    let verified =
        audit::verify(journal, &mut |progress| report.count(progress.done, progress.of, "")).await?;
    report.finish();
    let (unaltered, complete) = (verified.is_unaltered(), verified.is_complete());
    if json {
        output::json(&VerificationResult { unaltered, complete, verified })?;
    } else {
        let answer = |holds, place: &Option<audit::LogPlace>| {
            let place = place.as_ref().map(|place| format!(": {place}")).unwrap_or_default();
            format!("{}{place}", if holds { "yes" } else { "NO" })
        };
        output::text(&format!(
            "unaltered: {}\ncomplete:  {}\n{} events of {} accounts; {} wait for their number\n",
            answer(unaltered, &verified.altered),
            answer(complete, &verified.missing),
            verified.events,
            verified.accounts,
            verified.waiting
        ))?;
    }
    Ok(if unaltered && complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
