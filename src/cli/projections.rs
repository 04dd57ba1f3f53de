//! The commands `counterfoil projections …`, which look after read models and event listeners.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Subcommand;
use counterfoil_domain::values::Reason;
use counterfoil_projections::ReadModel;
use serde::Serialize;

use super::{Failure, output, setup};
use crate::listeners::{self, ListenerStatus, SkipOutcome};
use crate::read_models::rebuild;
use crate::read_models::{FOLLOWERS, Projection, ReadModelStatus, RebuildClaim, overview};
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub enum ProjectionsCommand {
    /// Make read models again from the log and put them in place of the live ones, while the service runs.
    Rebuild {
        /// Which; all of them unless one is named.
        name: Option<String>,
    },
    /// Say how far each read model and each event listener has come.
    Status {
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Say whether the live rows are those that the log comes to. Exit status 1 when they are not.
    Check {
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Have an event listener tried again at once, or pass over the event that it stands at.
    Resume {
        /// The name of the listener.
        name: String,
        /// The number of the event to pass over, which the status shows
        #[arg(long, value_name = "NUMBER", requires = "reason")]
        skip_event: Option<i64>,
        /// Why the event is passed over, which is kept on record. It must name no user
        #[arg(long, requires = "skip_event", value_parser = Reason::parse)]
        reason: Option<Reason>,
    },
}

impl ProjectionsCommand {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::Rebuild { name } => rebuild_models(settings, named(name.as_deref())?),
            Self::Status { json } => status(settings, json),
            Self::Check { json } => check(settings, json),
            Self::Resume { name, skip_event: Some(seq), reason: Some(reason) } => {
                skip_event(settings, &name, seq, &reason)
            }
            Self::Resume { name, .. } => resume(settings, &name),
        }
    }
}

fn named(name: Option<&str>) -> Result<Vec<Projection>, Failure> {
    let Some(name) = name else { return Ok(Projection::all().collect()) };
    if let Some(projection) = Projection::named(name) {
        return Ok(vec![projection]);
    }
    let names: Vec<&str> = Projection::all().map(|projection| projection.name()).collect();
    Err(format!("there is no such projection; there are {}", names.join(", ")).into())
}

fn rebuild_models(settings: &Settings, projections: Vec<Projection>) -> Result<ExitCode, Failure> {
    setup::with_journal(&settings.as_owner(), async |journal| {
        let started = Instant::now();
        let names: Vec<&str> = projections.iter().map(Projection::name).collect();
        let names = names.join(", ");
        let mut report = output::ProgressReport::new("rebuild");
        let claim = RebuildClaim::take(journal.database(), projections).await?;
        claim.begin().await?;
        let events = claim.rebuild(journal, &mut |progress| report.show(progress)).await?;
        report.finish();
        let seconds = started.elapsed().as_secs_f64();
        output::text(&format!("{names}: {events} events in {seconds:.2} s\n"))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn check(settings: &Settings, json: bool) -> Result<ExitCode, Failure> {
    let checked = setup::with_journal(settings, async |journal| {
        let mut report = output::ProgressReport::new("check");
        let models: Vec<ReadModel> =
            Projection::all().filter_map(|projection| projection.immediate()).collect();
        let mut show = |progress| report.show(progress);
        let mut checked = rebuild::check(journal, &models, SystemClock.now(), &mut show).await?;
        for follower in FOLLOWERS {
            checked.push(rebuild::follower::check(journal, follower, &mut show).await?);
        }
        report.finish();
        Ok(checked)
    })?;
    if json {
        output::json(&checked)?;
    } else {
        let rows = checked.iter().map(|c| [c.name.to_owned(), c.rows.to_string(), c.differing.to_string()]);
        output::table(&["projection", "rows", "differing"], rows)?;
    }
    let equal = checked.iter().all(|checked| checked.differing == 0);
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn status(settings: &Settings, json: bool) -> Result<ExitCode, Failure> {
    let (standings, listeners) = setup::with_journal(settings, async |journal| {
        let connection = journal.database().connection().await?;
        Ok((overview(&connection).await?, listeners::overview(&connection).await?))
    })?;
    if json {
        let read_models = standings.into_iter().map(ProjectionStatus::ReadModel);
        let listeners = listeners.into_iter().map(ProjectionStatus::Listener);
        output::json(&read_models.chain(listeners).collect::<Vec<_>>())?;
    } else {
        let headings = ["projection", "position", "behind", "seconds", "rows", "format", "state"];
        let cells = standings.iter().map(cells).chain(listeners.iter().map(cells_of_listener));
        output::table(&headings, cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An element of the status in JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum ProjectionStatus {
    ReadModel(ReadModelStatus),
    Listener(ListenerStatus),
}

fn cells(standing: &ReadModelStatus) -> [String; 7] {
    [
        standing.name.to_owned(),
        standing.position.map_or("with the events".to_owned(), |seq| seq.to_string()),
        standing.behind.to_string(),
        format!("{:.1}", standing.seconds_behind),
        standing.rows.to_string(),
        standing.format.to_string(),
        standing.to_string(),
    ]
}

/// A listener has no rows.
fn cells_of_listener(listener: &ListenerStatus) -> [String; 7] {
    [
        listener.name.clone(),
        listener.position.to_string(),
        listener.behind.to_string(),
        format!("{:.1}", listener.seconds_behind),
        String::new(),
        String::new(),
        listener.to_string(),
    ]
}

/// How often an order is repeated while a node hands the event over, which takes no longer than this in all.
const SKIP_TRIES: u32 = 60;
const SKIP_EVERY: Duration = Duration::from_millis(250);

fn resume(settings: &Settings, name: &str) -> Result<ExitCode, Failure> {
    let exists = setup::with_journal(settings, async |journal| {
        Ok(listeners::resume(&journal.database().connection().await?, name).await?)
    })?;
    if !exists {
        return Err(no_listener(name));
    }
    output::text(&format!("{name} is tried again at once\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn skip_event(settings: &Settings, name: &str, seq: i64, reason: &Reason) -> Result<ExitCode, Failure> {
    let outcome = setup::with_journal(settings, async |journal| {
        let connection = journal.database().connection().await?;
        for _ in 0..SKIP_TRIES {
            match listeners::skip_event(&connection, name, seq, reason.as_str()).await? {
                SkipOutcome::Busy => tokio::time::sleep(SKIP_EVERY).await,
                outcome @ (SkipOutcome::Skipped | SkipOutcome::NotThere) => return Ok(outcome),
            }
        }
        Ok(SkipOutcome::Busy)
    })?;
    match outcome {
        SkipOutcome::Skipped => {
            output::text(&format!("{name} goes on after event {seq}, which it never takes\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        SkipOutcome::NotThere => {
            Err(format!("{name} does not stand at event {seq}; see `counterfoil projections status`").into())
        }
        SkipOutcome::Busy => Err(format!("a node is handing event {seq} over to {name}; try again").into()),
    }
}

fn no_listener(name: &str) -> Failure {
    format!("there is no event listener {name:?}; see `counterfoil projections status`").into()
}
