//! What proves that the log is whole: checkpoints, proofs, tiles, witnesses and folders.

mod evidence;
mod folder;
mod tree;
mod witnesses;

use counterfoil::journal::sequencer::Sequencer;
use counterfoil::postgres::Database;
use counterfoil::transparency::CheckpointOutcome;
use counterfoil::transparency::note::{Checkpoint, SignedNote};
use counterfoil_domain::values::Role;

use crate::support::{SignedInDevice, TestApp};

/// Some accounts with a few events each.
pub async fn live(app: &TestApp, first: u32, count: u32) {
    for n in first..first + count {
        let device = app.api.sign_in(&format!("+98912{n:07}")).await;
        app.api.refresh(&device.refresh).await.ok();
    }
}

/// Numbers the log, and signs it to its end.
pub async fn sign(app: &TestApp) {
    let client = app.database.connect().await;
    client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap()).look().await.unwrap();
    while app.checkpoint_writer().write().await.unwrap() == CheckpointOutcome::Grown {}
}

/// The last checkpoint, as an auditor reads it.
pub async fn last_checkpoint(app: &TestApp, auditor: &SignedInDevice) -> (SignedNote, Checkpoint) {
    let last = app.api.get("/audit/checkpoints/latest/?reason=proof", &auditor.access).await.ok();
    let note: SignedNote = last["note"].as_str().unwrap().parse().unwrap();
    let checkpoint: Checkpoint = note.text.parse().unwrap();
    assert_eq!(last["size"], checkpoint.head.size);
    assert_eq!(last["root"], checkpoint.head.root.to_hex());
    (note, checkpoint)
}

pub async fn auditor(app: &TestApp) -> SignedInDevice {
    app.sign_in_staff("+989130000009", Role::Auditor).await
}
