//! The commands `counterfoil audit …`, which read and verify the log.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use counterfoil_domain::user_account::UserAccountEvent;
use ipnet::IpNet;
use serde_json::Value;
use uuid::Uuid;

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::ReadReason;
use super::output::{cell, time_cell};
use super::proofs::{
    self, CheckpointCommand, CheckpointsCommand, ConsistencyCommand, ExportCommand, InclusionCommand,
};
use super::rehearse::RehearseCommand;
use super::sessions::SessionListArguments;
use super::verify::VerifyCommand;
use super::{Failure, accounts, event_lines, output, times};
use crate::runtime::network;

/// How many events a table or a JSON document has where nothing is said.
const USUAL: usize = 100;

/// The path of the log.
const EVENTS: &str = "/audit/events/";

/// The path of the device sessions, as auditors read them.
const SESSIONS: &str = "/audit/device-sessions/";

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Print events: as a table the newest first, in the other forms in the order of the log.
    Events(EventsArguments),
    /// Print device sessions across all accounts: who was signed in at a time, and from where.
    Sessions(SessionListArguments),
    /// Replay an account event by event: each with what it changed.
    Replay {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// Only the event of that number, with the account as it was after it.
        #[arg(long, value_name = "N")]
        step: Option<i64>,
        #[command(flatten)]
        why: ReadReason,
        /// Print everything that is stored, a line each
        #[arg(long, short)]
        verbose: bool,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print an account as it stood at a time, rebuilt from its events.
    At {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// The time, such as `2026-11-27T18:00`, `2026-11-27`, `friday` or `7d` (ago).
        #[arg(value_parser = times::past)]
        time: DateTime<Utc>,
        #[command(flatten)]
        why: ReadReason,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Say how many codes, sign-ins and sessions on record would have come out otherwise under other limits.
    Rehearse(RehearseCommand),
    /// Say whether the log is unaltered and complete, and by whom it was witnessed. Exit status 1 when it is altered or something is missing.
    Verify(VerifyCommand),
    /// List checkpoints of the log, the last one first, with the witnesses that cosigned them.
    Checkpoints(CheckpointsCommand),
    /// Print the last checkpoint as a signed note, to be kept where nothing of the service can change it.
    Checkpoint(CheckpointCommand),
    /// Prove that an event is in the log (RFC 6962).
    Inclusion(InclusionCommand),
    /// Prove that the log goes on from what it was (RFC 6962).
    Consistency(ConsistencyCommand),
    /// Print the keys by which others verify this log and its witnesses.
    Keys,
    /// Write a bundle that proves the life of an account up to a time. It holds the keys of what is personal in it.
    Evidence {
        /// A phone number, an e-mail address, or the account's id.
        account: String,
        /// The time, such as `2026-11-27T18:00`, `friday` or `7d` (ago); now, where it is not given.
        #[arg(long, value_name = "TIME", value_parser = times::past)]
        at: Option<DateTime<Utc>>,
        #[command(flatten)]
        why: ReadReason,
    },
    /// Write the log into a folder that proves by itself that it is whole.
    Export(ExportCommand),
}

#[derive(Debug, Args)]
pub struct EventsArguments {
    /// Of that account: a phone number, an e-mail address, or an id.
    #[arg(long)]
    account: Option<String>,
    /// What this member of staff did: the id of their account, `operator:NAME` or `service:NAME`.
    #[arg(long)]
    actor: Option<String>,
    /// What came from this IP address or network. Refreshes from it are found by `audit sessions`.
    #[arg(long, value_parser = network::parse)]
    address: Option<IpNet>,
    /// Of that kind, such as `LoggedIn`; of any of those named.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = PossibleValuesParser::new(UserAccountEvent::NAMES))]
    types: Vec<String>,
    /// Not before that time, by the event's own; such as `2026-11-27`, `friday` or `7d` (ago).
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    since: Option<DateTime<Utc>>,
    /// Only events before that time.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    until: Option<DateTime<Utc>>,
    /// After that position in the log; a table is then in the order of the log as well.
    #[arg(long, value_name = "POSITION", conflicts_with = "follow")]
    after: Option<i64>,
    /// The last so many, in the order of the log.
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "all", "after"], value_parser = clap::value_parser!(u16).range(1..=200))]
    last: Option<u16>,
    /// Print events as they come, until the command is stopped.
    #[arg(long, conflicts_with_all = ["limit", "all", "csv", "json"])]
    follow: bool,
    #[command(flatten)]
    why: ReadReason,
    /// Without `--limit` or `--all`, 100 events as a table or as JSON, and all as CSV or NDJSON.
    #[command(flatten)]
    extent: output::ListExtent,
    #[command(flatten)]
    form: RecordFormat,
    /// With a byte order mark before the CSV, by which spreadsheets know that it is UTF-8.
    #[arg(long, requires = "csv")]
    bom: bool,
    /// Print everything that is stored, a line each
    #[arg(long, short)]
    verbose: bool,
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
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        match self {
            Self::Rehearse(rehearse) => return rehearse.run(door),
            Self::Verify(verify) => return verify.run(door),
            Self::Checkpoints(list) => door.open(async |client| list.print(client).await),
            Self::Checkpoint(last) => door.open(async |client| last.print(client).await),
            Self::Inclusion(proof) => door.open(async |client| proof.print(client).await),
            Self::Consistency(proof) => door.open(async |client| proof.print(client).await),
            Self::Keys => proofs::print_keys(door),
            Self::Evidence { account, at, why } => door.open(async |client| {
                let account = account_id(client, &account, &why).await?;
                let request = StaffRequest::get(format!("/audit/accounts/{account}/evidence/"))
                    .with("at", at.map(instant))
                    .because(why.reason());
                // It is verified byte for byte.
                let mut answer = client.stream(&request).await?;
                while let Some(chunk) = answer.chunk().await? {
                    output::bytes(&chunk)?;
                }
                Ok(())
            }),
            Self::Export(export) => export.run(door),
            Self::Events(events) => door.open(async |client| events.print(client).await),
            Self::Sessions(sessions) => door.open(async |client| sessions.run(client, SESSIONS).await),
            Self::Replay { account, step, why, verbose, json } => door.open(async |client| {
                let account = account_id(client, &account, &why).await?;
                match step {
                    Some(step) => show_step(client, &account, step, &why, (verbose, json)).await,
                    None => replay(client, &account, &why, (verbose, json)).await,
                }
            }),
            Self::At { account, time, why, json } => door.open(async |client| {
                let account = account_id(client, &account, &why).await?;
                let request = StaffRequest::get(format!("/audit/accounts/{account}/"))
                    .with("at", Some(instant(time)))
                    .because(why.reason());
                show_standing(&client.ask(&request).await?, json)
            }),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Returns the filter of an account that a text names, as auditors may: by its id, or by an identifier of it.
fn account_filter(text: &str) -> Result<&'static str, Failure> {
    if Uuid::try_parse(text).is_ok() {
        return Ok("account_id");
    }
    let filter = accounts::identifier_filter(text);
    Ok(filter.ok_or_else(|| format!("{text:?} is no phone number, e-mail address or id of an account"))?)
}

/// Returns the id of the account that a text names.
pub(super) async fn account_id(
    client: &StaffClient,
    text: &str,
    why: &ReadReason,
) -> Result<String, Failure> {
    let filter = account_filter(text)?;
    if filter == "account_id" {
        return Ok(text.to_owned());
    }
    // At the server, who may read all may ask for the identifier itself; an auditor elsewhere may not.
    let path = if client.is_local() { "/admin/identifiers/" } else { EVENTS };
    let request =
        StaffRequest::get(path).with(filter, Some(text)).with("limit", (!client.is_local()).then_some(1));
    let found = client.ask(&request.because(why.reason())).await?;
    match found["account_id"].as_str().or_else(|| found["items"][0]["account_id"].as_str()) {
        Some(account) => Ok(account.to_owned()),
        None => Err(format!("no account is known by {text}").into()),
    }
}

impl EventsArguments {
    fn request(&self, path: &str) -> Result<StaffRequest, Failure> {
        let account =
            self.account.as_deref().map(|account| Ok::<_, Failure>((account_filter(account)?, account)));
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        Ok(StaffRequest::get(path)
            .with_named(account.transpose()?)
            .with("actor", self.actor.as_deref())
            .with("ip_address", self.address)
            .with("type", types)
            .with("since", self.since.map(instant))
            .with("until", self.until.map(instant))
            .because(self.why.reason()))
    }

    async fn print(self, client: &StaffClient) -> Result<(), Failure> {
        if self.follow {
            return self.follow(client).await;
        }
        if self.form.csv || self.form.ndjson {
            return self.export(client).await;
        }
        let most = self.last.map_or_else(|| self.extent.most(USUAL, false), usize::from);
        let oldest_first = (self.form.json || self.after.is_some()) && self.last.is_none();
        let request = self.request(EVENTS)?.with("order", (!oldest_first).then_some("desc"));
        let (mut items, next) = self.pages(client, &request, most).await?;
        if self.last.is_some() {
            items.reverse();
        }
        let next = next.filter(|_| self.last.is_none());
        let part = output::ListPart { items, next };
        if self.form.json {
            output::json(&part)?;
        } else {
            let lines = part.items.iter().map(|record| event_lines::cells(record, self.verbose));
            output::lines(&event_lines::HEADINGS, lines, self.verbose)?;
        }
        output::say_where_it_ends(&part);
        if part.items.is_empty() {
            output::note("no event matches");
        }
        Ok(())
    }

    /// Reads pages of the log until there are so many events, and one more request tells whether there are more.
    async fn pages(
        &self,
        client: &StaffClient,
        request: &StaffRequest,
        most: usize,
    ) -> Result<(Vec<Value>, Option<i64>), Failure> {
        let (mut items, mut after) = (Vec::new(), self.after);
        loop {
            let missing = (most - items.len()).min(200);
            let page = request.clone().with("limit", Some(missing)).with("after", after);
            let mut page = client.ask(&page).await?;
            if let Value::Array(found) = page["items"].take() {
                items.extend(found);
            }
            after = page["next"].as_i64();
            let Some(next) = after else { return Ok((items, None)) };
            if items.len() < most {
                continue;
            }
            let more = request.clone().with("limit", Some(1)).with("after", Some(next));
            let more = client.ask(&more).await?;
            let is_cut = more["items"].as_array().is_some_and(|items| !items.is_empty());
            return Ok((items, is_cut.then_some(next)));
        }
    }

    /// Writes records as they come, in the order of the log.
    async fn export(&self, client: &StaffClient) -> Result<(), Failure> {
        let format = if self.form.csv { "csv" } else { "ndjson" };
        let limit = (self.last.is_none()).then(|| self.extent.limit()).flatten();
        let request = self
            .request(EVENTS)?
            .with("format", Some(format))
            .with("bom", self.bom.then_some(1))
            .with("after", self.after)
            .with("limit", limit);
        let mut answer = client.stream(&request).await?;
        let mut report = output::LineCount::new("events");
        while let Some(lines) = answer.lines().await? {
            if self.form.csv {
                output::csv(&lines)?;
            } else {
                report.add(lines.iter().filter(|byte| **byte == b'\n').count());
                output::text(&output::json_escaped(&String::from_utf8_lossy(&lines)))?;
            }
        }
        report.finish();
        Ok(())
    }

    /// Prints events as they come, as server-sent events bring them.
    async fn follow(&self, client: &StaffClient) -> Result<(), Failure> {
        let mut answer = client.stream(&self.request("/audit/events/stream/")?).await?;
        let mut partial = String::new();
        while let Some(chunk) = answer.chunk().await? {
            partial += &String::from_utf8_lossy(&chunk);
            while let Some((line, rest)) = partial.split_once('\n') {
                if let Some(record) = line.strip_prefix("data: ") {
                    self.print_one(record)?;
                }
                partial = rest.to_owned();
            }
        }
        Ok(())
    }

    fn print_one(&self, record: &str) -> Result<(), Failure> {
        if self.form.ndjson {
            return Ok(output::text(&format!("{}\n", output::json_escaped(record)))?);
        }
        let record: Value = serde_json::from_str(record)?;
        let cells = event_lines::cells(&record, self.verbose).map(|cell| output::escaped(&cell));
        Ok(output::text(&format!("{}\n", cells.join("  ")))?)
    }
}

/// Returns what an event changed, a line a change.
fn changes(step: &Value, verbose: bool) -> String {
    let changes = step["changes"].as_array().into_iter().flatten();
    // Each event moves these on; people look for what else is different.
    let moves_on = |path: &str| {
        matches!(path, "/at" | "/version")
            || !verbose && (path.ends_with("/last_used_at") || path.ends_with("/expires_at"))
    };
    let told = changes.filter(|change| !change["path"].as_str().is_some_and(moves_on));
    let told: Vec<String> = told.map(|change| changed(change, verbose)).collect();
    told.join(if verbose { "\n" } else { "; " })
}

/// What is different; of what is new or gone, a member a line in the long form.
fn changed(change: &Value, verbose: bool) -> String {
    let (path, before, after) = (cell(&change["path"]), &change["before"], &change["after"]);
    let listed = |what: &str, members: &Value| {
        let members = members.as_object().into_iter().flatten();
        let lines = members.map(|(name, value)| format!("\n  {name}: {value}"));
        format!("{path}: {what}{}", if verbose { lines.collect::<String>() } else { String::new() })
    };
    match (before, after) {
        (Value::Null, Value::Object(_)) => listed("new", after),
        (Value::Object(_), Value::Null) => listed("gone", before),
        (before, after) => format!("{path}: {before} → {after}"),
    }
}

const STEP_HEADINGS: [&str; 7] = ["#", "time", "event", "what", "address", "device", "changed"];

fn step_cells(step: &Value, verbose: bool) -> [String; 7] {
    let event = &step["event"];
    [
        cell(&step["step"]),
        time_cell(&event["at"]),
        cell(&event["type"]),
        event_lines::what(event, verbose),
        cell(&event["client"]["ip"]),
        event_lines::device(&event["client"], verbose),
        changes(step, verbose),
    ]
}

async fn replay(
    client: &StaffClient,
    account: &str,
    why: &ReadReason,
    (verbose, json): (bool, bool),
) -> Result<(), Failure> {
    let request = StaffRequest::get(format!("/audit/accounts/{account}/steps/")).because(why.reason());
    let (mut steps, mut after) = (Vec::new(), None);
    loop {
        let mut page = client.ask(&request.clone().with("limit", Some(200)).with("after", after)).await?;
        if let Value::Array(found) = page["items"].take() {
            steps.extend(found);
        }
        after = page["next"].as_i64();
        if after.is_none() {
            break;
        }
    }
    if json {
        return Ok(output::json(&steps)?);
    }
    output::lines(&STEP_HEADINGS, steps.iter().map(|step| step_cells(step, verbose)), verbose)?;
    Ok(())
}

async fn show_step(
    client: &StaffClient,
    account: &str,
    step: i64,
    why: &ReadReason,
    (verbose, json): (bool, bool),
) -> Result<(), Failure> {
    let request = StaffRequest::get(format!("/audit/accounts/{account}/"))
        .with("step", Some(step))
        .because(why.reason());
    let step = client.ask(&request).await?;
    if json {
        return Ok(output::json(&step)?);
    }
    output::lines(&STEP_HEADINGS, [step_cells(&step, verbose)], verbose)?;
    show_standing(&step["state"], false)
}

fn show_standing(standing: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(standing)?);
    }
    let members = standing.as_object().into_iter().flatten().filter(|(name, _)| *name != "sessions");
    output::table(&["account", ""], members.map(|(name, value)| [name.clone(), event_lines::plain(value)]))?;
    let sessions = standing["sessions"].as_object().into_iter().flatten().map(|(id, session)| {
        [
            id.clone(),
            time_cell(&session["signed_in_at"]),
            time_cell(&session["last_used_at"]),
            time_cell(&session["expires_at"]),
            cell(&session["generation"]),
            cell(&session["client"]["ip"]),
            event_lines::device(&session["client"], false),
        ]
    });
    let headings = ["session", "signed in", "last used", "expires", "generation", "address", "device"];
    output::table(&headings, sessions)?;
    Ok(())
}
