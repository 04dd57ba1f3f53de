//! The command `counterfoil audit verify`, which checks the whole log.

use std::process::ExitCode;

use actix_web::http::Method;
use clap::Args;
use serde_json::Value;

use super::client::{StaffDoor, StaffRequest};
use super::intervention::ReadReason;
use super::output::cell;
use super::{Failure, output, reading, setup};
use crate::audit::{self, VerificationProgress, VerificationResult};

#[derive(Debug, Args)]
pub struct VerifyCommand {
    #[command(flatten)]
    why: ReadReason,
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        let mut report = output::ProgressReport::counting("events and numbers", "verify");
        let result = if door.server.is_some() {
            door.open(async |client| {
                let body = self.why.body([]);
                let request = StaffRequest::change(Method::POST, "/audit/verifications/", body);
                reading::follow(client, &request, report, |_| {}).await
            })?
        } else {
            // At the server it writes nothing, so that a copy of the database can be verified as well.
            let settings = (door.sources)()?.check()?;
            setup::with_journal(&settings, async |journal| {
                let told = &mut |progress: VerificationProgress| report.count(progress.done, progress.of, "");
                let verified = audit::verify(journal, told).await?;
                report.finish();
                Ok(serde_json::to_value(VerificationResult::from(verified))?)
            })?
        };
        if self.json {
            output::json(&result)?;
        } else {
            show(&result)?;
        }
        let holds = result["unaltered"] == true && result["complete"] == true;
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn show(result: &Value) -> Result<(), Failure> {
    let answer = |holds: &Value, place: &Value| match (holds == true, place.is_null()) {
        (true, _) => "yes".to_owned(),
        (false, true) => "NO".to_owned(),
        (false, false) => format!("NO: {}", named(place)),
    };
    let count = |name: &str| cell(&result[name]);
    Ok(output::text(&format!(
        "unaltered: {}\ncomplete:  {}\n{} events of {} accounts; {} wait for their number\n",
        answer(&result["unaltered"], &result["altered"]),
        answer(&result["complete"], &result["missing"]),
        count("events"),
        count("accounts"),
        count("waiting"),
    ))?)
}

/// Returns a place in the log: the position, the account and its event, as far as they are known.
fn named(place: &Value) -> String {
    let position = place["position"].as_i64().map(|position| format!("number {position}, "));
    let event = (place["account_id"].as_str().zip(place["sequence"].as_i64()))
        .map(|(account, sequence)| format!("account {account}, event {sequence}, "));
    let parts = [position, event, Some(output::escaped(&cell(&place["what"])))];
    parts.into_iter().flatten().collect()
}
