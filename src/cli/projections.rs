//! The commands `counterfoil projections …`, which look after read models.

use std::process::ExitCode;
use std::time::Instant;

use clap::Subcommand;
use counterfoil_projections::ReadModel;

use super::{Failure, output, setup};
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
    /// Say how far each read model has come.
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
}

impl ProjectionsCommand {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::Rebuild { name } => rebuild_models(settings, named(name.as_deref())?),
            Self::Status { json } => status(settings, json),
            Self::Check { json } => check(settings, json),
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
    let standings = setup::with_journal(settings, async |journal| {
        Ok(overview(&journal.database().connection().await?).await?)
    })?;
    if json {
        output::json(&standings)?;
    } else {
        let headings = ["projection", "position", "behind", "seconds", "rows", "format", "state"];
        output::table(&headings, standings.iter().map(cells))?;
    }
    Ok(ExitCode::SUCCESS)
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
