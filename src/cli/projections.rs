//! `counterfoil projections`

use std::process::ExitCode;
use std::time::Instant;

use clap::Subcommand;
use counterfoil_projections::{ALL, FOLLOWING, ReadModel};
use serde::Serialize;

use super::{Failure, output, setup};
use crate::clock::{Clock as _, SystemClock};
use crate::rebuild;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub enum Projections {
    /// Make read models again from the log and put them in place of the live ones, while the service runs.
    Rebuild {
        /// Which; all of them unless one is named.
        name: Option<String>,
    },
    /// Say how far each read model has come.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say whether the live rows are those that the log comes to. Exit status 1 when they are not.
    Check {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Projections {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::Rebuild { name } => rebuild_models(settings, &named(name.as_deref())?),
            Self::Status { json } => status(settings, json),
            Self::Check { json } => check(settings, json),
        }
    }
}

/// Every read model: those written with the events, then those that follow the ledger.
fn every() -> impl Iterator<Item = ReadModel> {
    ALL.into_iter().chain(FOLLOWING.map(|follower| follower.model))
}

fn named(name: Option<&str>) -> Result<Vec<ReadModel>, Failure> {
    let models: Vec<ReadModel> =
        every().filter(|model| name.is_none_or(|name| model.table.name == name)).collect();
    if models.is_empty() {
        let names: Vec<&str> = every().map(|model| model.table.name).collect();
        return Err(format!("there is no such projection; there are {}", names.join(", ")).into());
    }
    Ok(models)
}

fn rebuild_models(settings: &Settings, models: &[ReadModel]) -> Result<ExitCode, Failure> {
    setup::with_journal(&settings.as_owner(), async |journal| {
        let started = Instant::now();
        let mut report = output::ProgressReport::new("rebuild");
        let done = rebuild::rebuild(journal, models, &mut |progress| report.show(progress)).await?;
        report.finish();
        let names: Vec<&str> = models.iter().map(|model| model.table.name).collect();
        let (names, seconds) = (names.join(", "), started.elapsed().as_secs_f64());
        let line =
            format!("{names}: {} events of {} accounts in {seconds:.2} s\n", done.events, done.accounts);
        output::text(&line)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn check(settings: &Settings, json: bool) -> Result<ExitCode, Failure> {
    let checked = setup::with_journal(settings, async |journal| {
        let mut report = output::ProgressReport::new("check");
        let checked =
            rebuild::check(journal, &every().collect::<Vec<_>>(), SystemClock.now(), &mut |progress| {
                report.show(progress);
            })
            .await?;
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

/// How far a read model has come.
#[derive(Serialize)]
struct Status {
    name: &'static str,
    /// The number of the ledger that it has come to; none for one that is written with the events.
    position: Option<i64>,
    /// How many numbered events it has still to take.
    behind: i64,
    rows: i64,
}

fn status(settings: &Settings, json: bool) -> Result<ExitCode, Failure> {
    let statuses = setup::with_journal(settings, async |journal| {
        let connection = journal.database().connection().await?;
        let end: i64 = connection.query_one("SELECT seq FROM sequencer", &[]).await?.get(0);
        let mut statuses = Vec::new();
        for model in every() {
            let name = model.table.name;
            let position =
                connection.query_opt("SELECT seq FROM followers WHERE name = $1", &[&name]).await?;
            let position: Option<i64> = position.map(|row| row.get(0));
            let rows: i64 = connection.query_one(&format!("SELECT count(*) FROM {name}"), &[]).await?.get(0);
            statuses.push(Status { name, position, behind: end - position.unwrap_or(end), rows });
        }
        Ok(statuses)
    })?;
    if json {
        output::json(&statuses)?;
    } else {
        let rows = statuses.iter().map(|status| {
            let position = status.position.map_or("with the events".to_owned(), |seq| seq.to_string());
            [status.name.to_owned(), position, status.behind.to_string(), status.rows.to_string()]
        });
        output::table(&["projection", "position", "behind", "rows"], rows)?;
    }
    Ok(ExitCode::SUCCESS)
}
