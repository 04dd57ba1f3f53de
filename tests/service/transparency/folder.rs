//! The log as a folder of files, and what a verification without a database finds in it.

use std::fs;
use std::path::{Path, PathBuf};

use counterfoil::audit::VerificationReport;
use counterfoil::audit::proof_folder::{ProofFolderError, export_proofs, verify_folder};
use counterfoil::transparency::TrustedKeys;
use serde_json::Value;

use super::{live, sign};
use crate::support::TestApp;

/// A folder that is gone with this value.
struct ProofFolder(PathBuf);

impl ProofFolder {
    async fn export(app: &TestApp) -> Self {
        let id = uuid::Uuid::from_bytes(counterfoil::crypto::entropy::bytes());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("proofs-{id}"));
        export_proofs(&app.journal(), &path, &mut |_| {}).await.unwrap();
        Self(path)
    }

    fn verified(&self, keys: &TrustedKeys) -> VerificationReport {
        verify_folder(&self.0, keys, &mut |_| {}).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.0.join("events.ndjson")).unwrap().lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(self.0.join("events.ndjson"), format!("{}\n", lines.join("\n"))).unwrap();
    }
}

impl Drop for ProofFolder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn bytes_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(bytes_of(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_folder_verifies_without_a_database_by_the_key_of_its_log_alone() {
    let app = TestApp::start().await;
    let nowhere = export_proofs(&app.journal(), Path::new("/nonexistent/x"), &mut |_| {}).await;
    assert!(matches!(nowhere, Err(ProofFolderError::Unsigned)));
    live(&app, 0, 70).await;
    sign(&app).await;
    let folder = ProofFolder::export(&app).await;
    let found = folder.verified(&app.trusted_keys());
    assert!(found.is_unaltered() && found.is_complete(), "{found:?}");
    assert_eq!((found.events, found.accounts, found.checkpoints, found.signed), (280, 70, 1, 280));
    // By the key of another log, it is not signed.
    let stranger = TestApp::start().await;
    assert!(!folder.verified(&stranger.trusted_keys()).is_unaltered());
    // What is personal stays sealed.
    let text = folder.lines().concat();
    assert!(!text.contains("98912000") && !text.contains("127.0.0.1"));
    let kept: Vec<Value> = folder.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept[6]["seq"], 7);
}

#[tokio::test]
async fn every_edit_of_a_line_of_a_folder_is_found_and_located() {
    let app = TestApp::start().await;
    live(&app, 0, 70).await;
    sign(&app).await;
    let folder = ProofFolder::export(&app).await;
    let (keys, lines) = (app.trusted_keys(), folder.lines());
    let change = |at: usize, edit: &dyn Fn(&mut Value)| {
        let mut changed = lines.clone();
        let mut event: Value = serde_json::from_str(&changed[at]).unwrap();
        edit(&mut event);
        changed[at] = event.to_string();
        changed
    };
    let with = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut changed = lines.clone();
        edit(&mut changed);
        changed
    };
    for (what, changed, unaltered, complete, position) in [
        ("payload", change(6, &|event| event["payload"] = "{}".into()), false, true, 7),
        ("metadata", change(6, &|event| event["metadata"] = "{}".into()), false, true, 7),
        ("personal", change(6, &|event| event["personal"] = "AAAA".into()), false, true, 7),
        ("no base64", change(6, &|event| event["personal"] = "?".into()), false, false, 7),
        ("type", change(6, &|event| event["event_type"] = "LoggedOut".into()), false, true, 7),
        ("version", change(6, &|event| event["event_version"] = "9".into()), false, true, 7),
        ("leaf", change(6, &|event| event["leaf"] = "00".repeat(32).into()), false, true, 7),
        ("account", change(6, &|event| event["aggregate_id"] = "x".into()), true, false, 7),
        ("sequence", change(6, &|event| event["sequence"] = 77.into()), true, false, 7),
        ("number", change(6, &|event| event["seq"] = 77.into()), false, false, 7),
        ("no event", with(&|lines| lines[6] = "{}".to_owned()), false, false, 7),
        ("swapped", with(&|lines| lines.swap(6, 40)), false, false, 7),
        ("removed", with(&|lines| drop(lines.remove(6))), false, false, 7),
        ("doubled", with(&|lines| lines.insert(7, lines[6].clone())), false, false, 8),
        ("cut", with(&|lines| drop(lines.pop())), false, false, 279),
        ("all cut", with(&|lines| lines.truncate(1)), false, false, 1),
    ] {
        folder.write(&changed);
        let found = folder.verified(&keys);
        assert_eq!((found.is_unaltered(), found.is_complete()), (unaltered, complete), "{what}: {found:?}");
        let places = [&found.altered, &found.missing];
        let first = places.into_iter().flatten().filter_map(|place| place.position).min();
        assert_eq!(first, Some(position), "{what}: {found:?}");
    }
    folder.write(&lines);
    assert!(folder.verified(&keys).is_unaltered());
}

#[tokio::test]
async fn one_changed_byte_in_any_file_of_a_folder_is_found() {
    let app = TestApp::start().await;
    live(&app, 0, 66).await;
    sign(&app).await;
    let folder = ProofFolder::export(&app).await;
    let keys = app.trusted_keys();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let files = bytes_of(&folder.0);
    assert_eq!(files.len(), 5, "{files:?}"); // two tiles of leaves, one above
    for file in &files {
        let kept = fs::read(file).unwrap();
        for _ in 0..40 {
            let (at, bit) = (random.usize(..kept.len()), random.u8(0..8));
            let mut changed = kept.clone();
            changed[at] ^= 1 << bit;
            fs::write(file, &changed).unwrap();
            let found = folder.verified(&keys);
            let is_found = !(found.is_unaltered() && found.is_complete());
            assert!(is_found, "seed {seed}: byte {at} of {}, bit {bit}", file.display());
        }
        fs::write(file, &kept).unwrap();
    }
    for file in &files {
        let kept = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        let found = verify_folder(&folder.0, &keys, &mut |_| {});
        assert!(found.is_err() || !found.unwrap().is_complete(), "{}", file.display());
        fs::write(file, &kept).unwrap();
    }
}
