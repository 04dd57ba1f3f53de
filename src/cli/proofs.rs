//! The commands `counterfoil audit checkpoints`, `checkpoint`, `inclusion`, `consistency`, `keys` and `export`: what lets others prove that
//! the log is whole.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::ReadReason;
use super::output::{cell, time_cell};
use super::{Failure, output, setup};
use crate::audit::VerificationProgress;
use crate::audit::proof_folder::export_proofs;
use crate::transparency::CheckpointKeys;

/// How many checkpoints are printed where nothing is said.
const USUAL: u16 = 20;

#[derive(Debug, Args)]
pub struct CheckpointsCommand {
    /// At most so many.
    #[arg(long, default_value_t = USUAL, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Only those of fewer events than these.
    #[arg(long, value_name = "SIZE")]
    below: Option<i64>,
    #[command(flatten)]
    why: ReadReason,
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl CheckpointsCommand {
    pub async fn print(self, client: &StaffClient) -> Result<(), Failure> {
        let request = StaffRequest::get("/audit/checkpoints/")
            .with("limit", Some(self.limit))
            .with("below", self.below)
            .because(self.why.reason());
        let found = client.ask(&request).await?;
        if self.json {
            return Ok(output::json(&found)?);
        }
        let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names = |checkpoint: &Value| {
            let witnesses = checkpoint["witnesses"].as_array().into_iter().flatten();
            witnesses.map(|witness| cell(&witness["name"])).collect::<Vec<_>>().join(", ")
        };
        let rows = items.iter().map(|checkpoint| {
            [
                cell(&checkpoint["size"]),
                time_cell(&checkpoint["at"]),
                cell(&checkpoint["root"]),
                names(checkpoint),
            ]
        });
        Ok(output::table(&["EVENTS", "SIGNED", "ROOT", "COSIGNED BY"], rows)?)
    }
}

#[derive(Debug, Args)]
pub struct CheckpointCommand {
    #[command(flatten)]
    why: ReadReason,
}

impl CheckpointCommand {
    pub async fn print(self, client: &StaffClient) -> Result<(), Failure> {
        let request = StaffRequest::get("/audit/checkpoints/latest/").because(self.why.reason());
        let found = client.ask(&request).await?;
        Ok(output::text(found["note"].as_str().unwrap_or_default())?)
    }
}

#[derive(Debug, Args)]
pub struct InclusionCommand {
    /// The number of the event in the log.
    seq: i64,
    /// In the tree of so many events, instead of the present one.
    #[arg(long)]
    size: Option<i64>,
    #[command(flatten)]
    why: ReadReason,
}

impl InclusionCommand {
    pub async fn print(self, client: &StaffClient) -> Result<(), Failure> {
        let request = StaffRequest::get("/audit/proofs/inclusion/")
            .with("seq", Some(self.seq))
            .with("size", self.size)
            .because(self.why.reason());
        Ok(output::json(&client.ask(&request).await?)?)
    }
}

#[derive(Debug, Args)]
pub struct ConsistencyCommand {
    /// How many events the smaller tree has.
    from: i64,
    /// How many events the larger tree has, instead of the present number.
    to: Option<i64>,
    #[command(flatten)]
    why: ReadReason,
}

impl ConsistencyCommand {
    pub async fn print(self, client: &StaffClient) -> Result<(), Failure> {
        let request = StaffRequest::get("/audit/proofs/consistency/")
            .with("from", Some(self.from))
            .with("to", self.to)
            .because(self.why.reason());
        Ok(output::json(&client.ask(&request).await?)?)
    }
}

/// Prints the keys by which others verify this log and its witnesses, a line each.
pub fn print_keys(door: &StaffDoor<'_>) -> Result<(), Failure> {
    at_the_server(door)?;
    let settings = (door.sources)()?.check()?;
    let keyring = setup::runtime()?.block_on(setup::keyring(&settings))?;
    let keys = CheckpointKeys::new(&keyring, settings.transparency.origin.clone()).verifiers();
    let witnesses = settings.transparency.witnesses.into_iter().map(|witness| witness.key);
    let lines: String = keys.into_iter().chain(witnesses).map(|key| format!("{key}\n")).collect();
    Ok(output::text(&lines)?)
}

#[derive(Debug, Args)]
pub struct ExportCommand {
    /// The folder to make: every event as it is stored, the tiles of the tree, and checkpoints. It proves the log without a database.
    #[arg(long, value_name = "FOLDER")]
    proofs: PathBuf,
}

impl ExportCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<(), Failure> {
        at_the_server(door)?;
        let settings = (door.sources)()?.check()?;
        let mut report = output::ProgressReport::counting("events", "export");
        let size = setup::with_journal(&settings, async |journal| {
            let told = &mut |progress: VerificationProgress| report.count(progress.done, progress.of, "");
            let size = export_proofs(journal, &self.proofs, told).await?;
            report.finish();
            Ok(size)
        })?;
        Ok(output::text(&format!("{size} events are in {}.\n", self.proofs.display()))?)
    }
}

fn at_the_server(door: &StaffDoor<'_>) -> Result<(), Failure> {
    match door.server {
        Some(_) => Err("this command needs the database: run it at the server, without --server".into()),
        None => Ok(()),
    }
}
