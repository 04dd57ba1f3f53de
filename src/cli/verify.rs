//! The command `counterfoil audit verify`, which checks the whole log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use actix_web::http::Method;
use clap::Args;
use serde_json::Value;

use super::client::{StaffDoor, StaffRequest};
use super::intervention::ReadReason;
use super::output::cell;
use super::{Failure, output, reading, setup};
use crate::audit::evidence::EvidenceBundle;
use crate::audit::proof_folder::verify_folder;
use crate::audit::{self, VerificationProgress, VerificationResult};
use crate::transparency::note::{SignedNote, VerifierKey};
use crate::transparency::{CheckpointKeys, TrustedKeys, VerificationKeys};

#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// A folder of `audit export --proofs`, or a bundle of `audit evidence`, which is verified without any database, by the keys that
    /// are named here.
    #[arg(value_name = "FOLDER", requires = "keys")]
    folder: Option<PathBuf>,
    /// A key of the log, as `audit keys` printed it; besides those of the keyring, where there is one. Once for each.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<VerifierKey>,
    /// The key of a witness, besides those of the settings. Once for each.
    #[arg(long = "witness", value_name = "KEY")]
    witnesses: Vec<VerifierKey>,
    /// A checkpoint that was kept elsewhere, as `audit checkpoint` printed it: the log has to go on from it. Once for each.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    #[command(flatten)]
    why: ReadReason,
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        let mut report = output::ProgressReport::counting("events and numbers", "verify");
        let kept = self.checkpoints.iter().map(|path| {
            let note: Result<SignedNote, _> = std::fs::read_to_string(path)?.parse();
            note.map_err(|error| Failure::from(format!("{}: {error}", path.display())))
        });
        let mut trusted =
            TrustedKeys { log: self.keys, witnesses: self.witnesses, kept: kept.collect::<Result<_, _>>()? };
        if let Some(bundle) = self.folder.as_ref().filter(|path| path.is_file()) {
            return verify_bundle(bundle, &trusted, self.json);
        }
        let result = if let Some(folder) = &self.folder {
            let told = &mut |progress: VerificationProgress| report.count(progress.done, progress.of, "");
            let verified = verify_folder(folder, &trusted, told)?;
            report.finish();
            serde_json::to_value(VerificationResult::from(verified))?
        } else if door.server.is_some() {
            if trusted.is_named() {
                return Err("--key, --witness and --checkpoint are for verifications without --server".into());
            }
            door.open(async |client| {
                let body = self.why.body([]);
                let request = StaffRequest::change(Method::POST, "/audit/verifications/", body);
                reading::follow(client, &request, report, |_| {}).await
            })?
        } else {
            // At the server it writes nothing, so that a copy of the database can be verified as well.
            let settings = (door.sources)()?.check()?;
            let transparency = &settings.transparency;
            setup::with_journal(&settings, async |journal| {
                let told = &mut |progress: VerificationProgress| report.count(progress.done, progress.of, "");
                let keys =
                    CheckpointKeys::new(&setup::keyring(&settings).await?, transparency.origin.clone());
                let own = VerificationKeys::new(keys, &transparency.witnesses).trusted();
                trusted.log.extend(own.log);
                trusted.witnesses.extend(own.witnesses);
                let verified = audit::verify(journal, &trusted, told).await?;
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

/// Verifies a bundle of evidence, and prints what it proves.
fn verify_bundle(path: &Path, trusted: &TrustedKeys, as_json: bool) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(path)?;
    let verdict =
        EvidenceBundle::verify(&text, trusted).map_err(|fault| format!("{}: {fault}", path.display()))?;
    let verdict = serde_json::to_value(verdict)?;
    if as_json {
        output::json(&verdict)?;
        return Ok(ExitCode::SUCCESS);
    }
    let closed = if verdict["is_closed"] == true {
        "and no other up to that time"
    } else {
        "later ones would not be in the bundle"
    };
    let sessions = verdict["answer"]["sessions"].as_object().map_or(0, serde_json::Map::len);
    output::text(&format!(
        "proved: account {} at {}: {}, {sessions} device sessions\n{} events are in the log {}, {closed}\nwitnessed: {}\n",
        cell(&verdict["account_id"]),
        cell(&verdict["at"]),
        cell(&verdict["answer"]["state"]),
        cell(&verdict["events"]),
        output::escaped(&cell(&verdict["origin"])),
        witness_lines(&verdict["witnesses"]),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn show(result: &Value) -> Result<(), Failure> {
    let answer = |holds: &Value, place: &Value| match (holds == true, place.is_null()) {
        (true, _) => "yes".to_owned(),
        (false, true) => "NO".to_owned(),
        (false, false) => format!("NO: {}", named(place)),
    };
    let count = |name: &str| cell(&result[name]);
    Ok(output::text(&format!(
        "unaltered: {}\ncomplete:  {}\nwitnessed: {}\n{} events of {} accounts; {} wait for their number\n",
        answer(&result["unaltered"], &result["altered"]),
        answer(&result["complete"], &result["missing"]),
        witnessed(result),
        count("events"),
        count("accounts"),
        count("waiting"),
    ))?)
}

/// Returns who confirms the log, and up to which number.
fn witnessed(result: &Value) -> String {
    let signed = format!(
        "signed up to number {}, {} checkpoints",
        cell(&result["signed"]),
        cell(&result["checkpoints"])
    );
    let lines = witness_lines(&result["witnesses"]);
    let (count, names) = lines.split_once('\n').unwrap_or((&lines, ""));
    let names = if names.is_empty() { String::new() } else { format!("\n{names}") };
    format!("{count}; {signed}{names}")
}

/// Returns how many witnesses confirm a log, and a line for each.
fn witness_lines(witnesses: &Value) -> String {
    let witnesses = witnesses.as_array().map(Vec::as_slice).unwrap_or_default();
    let count = witnesses.iter().filter(|witness| !witness["size"].is_null()).count();
    let lines = witnesses.iter().map(|witness| {
        let name = output::escaped(&cell(&witness["name"]));
        match witness["size"].as_i64() {
            Some(size) => format!("\n  {name}: up to number {size}, {}", cell(&witness["at"])),
            None => format!("\n  {name}: no"),
        }
    });
    format!("by {count} of {}{}", witnesses.len(), lines.collect::<String>())
}

/// Returns a place in the log: the position, the account and its event, as far as they are known.
fn named(place: &Value) -> String {
    let position = place["position"].as_i64().map(|position| format!("number {position}, "));
    let event = (place["account_id"].as_str().zip(place["sequence"].as_i64()))
        .map(|(account, sequence)| format!("account {account}, event {sequence}, "));
    let parts = [position, event, Some(output::escaped(&cell(&place["what"])))];
    parts.into_iter().flatten().collect()
}
