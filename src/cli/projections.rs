//! `counterfoil projections`

use std::process::ExitCode;
use std::time::Instant;

use clap::Subcommand;
use counterfoil_projections::{ALL, FOLLOWING, ReadModel};

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
            Self::Check { json } => check(settings, json),
        }
    }
}

/// Every read model: those written with the events, then those that follow the ledger.
fn every() -> impl Iterator<Item = ReadModel> {
    ALL.into_iter().chain(FOLLOWING)
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
    setup::with_journal(settings, async |journal| {
        for model in models {
            let (name, started) = (model.table.name, Instant::now());
            let mut report = output::ProgressReport::new(name);
            let done = rebuild::rebuild(journal, model, &mut |progress| {
                report.show(progress);
            })
            .await?;
            report.finish();
            let seconds = started.elapsed().as_secs_f64();
            let line =
                format!("{name}: {} events of {} accounts in {seconds:.2} s\n", done.events, done.accounts);
            output::text(&line)?;
        }
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
