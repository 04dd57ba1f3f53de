//! The command `counterfoil audit verify`, which checks the whole log.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::client::StaffDoor;
use super::{Failure, output, setup};
use crate::audit;
use crate::journal::Journal;

#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// A verification, for a program to read.
#[derive(Serialize)]
struct VerificationResult {
    unaltered: bool,
    complete: bool,
    #[serde(flatten)]
    verified: audit::VerificationReport,
}

impl VerifyCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        let settings = (door.sources)()?.check()?;
        setup::with_journal(&settings, async |journal| verify(journal, self.json).await)
    }
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
