use std::collections::HashMap;

use aws_lc_rs::signature::Ed25519KeyPair;

use super::*;
use crate::crypto::entropy;
use crate::transparency::tree::{self, TreeEdge, TreeNode};

/// A log that can be asked for any of its checkpoints and proofs.
struct Log {
    signer: NoteSigner,
    nodes: HashMap<TreeNode, TreeHash>,
    edge: TreeEdge,
    heads: Vec<TreeHead>,
}

fn signer(name: &str, kind: SignerKind, seed: u8) -> NoteSigner {
    NoteSigner::new(name.parse().unwrap(), kind, Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
}

impl Log {
    fn new() -> Self {
        let (nodes, edge) = (HashMap::new(), TreeEdge::default());
        let heads = vec![edge.head()];
        Self { signer: signer("log.example", SignerKind::Log, 1), nodes, edge, heads }
    }

    /// The same log up to a size, and other entries from there on.
    fn grow(&mut self, to: u64, entries: u8) {
        while self.edge.size() < to {
            let leaf = TreeHash([entries ^ u8::try_from(self.edge.size()).unwrap(); 32]);
            self.edge.push(leaf, |node, hash| {
                self.nodes.insert(node, hash);
            });
            self.heads.push(self.edge.head());
        }
    }

    fn request(&self, old: u64, size: u64) -> String {
        let parts = tree::consistency(old, size);
        let hash =
            |part: &tree::TreePart| tree::join(&part.iter().map(|node| self.nodes[node]).collect::<Vec<_>>());
        let proof: String = parts.iter().map(|part| format!("{}\n", hash(part))).collect();
        let head = self.heads[usize::try_from(size).unwrap()];
        let text = Checkpoint { origin: "log.example".parse().unwrap(), head }.to_string();
        let note = SignedNote { signatures: vec![self.signer.sign(&text)], text };
        format!("old {old}\n{proof}\n{note}")
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("witness-{:032x}", u128::from_be_bytes(entropy::bytes()))))
    }

    fn open(&self) -> Result<Witness, WitnessError> {
        let log = signer("log.example", SignerKind::Log, 1).verifier().clone();
        Witness::open(signer("witness.example", SignerKind::Witness, 2), [log], &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

#[test]
fn a_log_that_goes_on_is_cosigned_from_size_to_size_and_after_a_restart() {
    let (folder, mut log) = (Folder::new(), Log::new());
    log.grow(100, 0);
    let mut witness = folder.open().unwrap();
    let mut old = 0;
    for size in [0, 1, 2, 2, 7, 64, 65, 100] {
        let request = log.request(old, size);
        let line = witness
            .add_checkpoint(&request, now())
            .unwrap_or_else(|refusal| panic!("{old} {size} {refusal:?}"));
        let (_, note) = request.split_once("\n\n").unwrap();
        let note: SignedNote = format!("{note}{line}").parse().unwrap();
        assert_eq!(note.verify_witness(witness.key()), Ok(now()));
        old = size;
        drop(witness);
        witness = folder.open().unwrap();
    }
    assert_eq!(witness.add_checkpoint(&log.request(0, 100), now()), Err(WitnessRefusal::OtherSize(100)));
    // The empty tree has one root.
    log.heads[0].root = TreeHash([1; 32]);
    let witness = Folder::new();
    assert_eq!(
        witness.open().unwrap().add_checkpoint(&log.request(0, 0), now()),
        Err(WitnessRefusal::Unproved)
    );
}

#[test]
fn no_fork_is_cosigned() {
    let (folder, mut log, mut fork) = (Folder::new(), Log::new(), Log::new());
    log.grow(20, 0);
    fork.grow(10, 0);
    fork.grow(40, 1);
    let witness = folder.open().unwrap();
    witness.add_checkpoint(&log.request(0, 20), now()).unwrap();
    assert_eq!(witness.add_checkpoint(&fork.request(20, 20), now()), Err(WitnessRefusal::OtherRoot));
    assert_eq!(witness.add_checkpoint(&fork.request(20, 40), now()), Err(WitnessRefusal::Unproved));
    assert_eq!(witness.add_checkpoint(&fork.request(10, 40), now()), Err(WitnessRefusal::OtherSize(20)));
    assert_eq!(witness.add_checkpoint(&log.request(10, 15), now()), Err(WitnessRefusal::OtherSize(20)));
    // A proof between the forks, put together from both.
    log.grow(41, 0);
    let both = log.request(20, 41).replace(&log.heads[41].root.to_string(), &fork.heads[40].root.to_string());
    assert_eq!(witness.add_checkpoint(&both, now()), Err(WitnessRefusal::NotSigned));
    witness.add_checkpoint(&log.request(20, 41), now()).unwrap();
}

#[test]
fn requests_of_two_forks_at_once_get_one_cosignature() {
    let (folder, mut log, mut fork) = (Folder::new(), Log::new(), Log::new());
    log.grow(50, 0);
    fork.grow(50, 1);
    let witness = folder.open().unwrap();
    for size in 1..50 {
        let requests = [log.request(0, size), fork.request(0, size)];
        let fresh = Folder::new();
        let witness = if size == 1 { &witness } else { &fresh.open().unwrap() };
        let signed: Vec<bool> = std::thread::scope(|scope| {
            let asked: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(|| witness.add_checkpoint(request, now()).is_ok()))
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert_eq!(signed.iter().filter(|signed| **signed).count(), 1, "{size}");
    }
}

#[test]
fn what_is_malformed_unknown_or_unsigned_is_refused_and_changes_nothing() {
    let (folder, mut log) = (Folder::new(), Log::new());
    log.grow(5, 0);
    let witness = folder.open().unwrap();
    let right = log.request(0, 5);
    for (request, refusal) in [
        (right.replace("old 0", "old 00"), "Malformed"),
        (right.replace("old 0", "old -1"), "Malformed"),
        (right.replace("old 0", "new 0"), "Malformed"),
        (right.replace("old 0", "old 0\nYQ=="), "Malformed"),
        (
            right.replace("old 0", &format!("old 0{}", format!("\n{}", TreeHash([0; 32])).repeat(64))),
            "Malformed",
        ),
        (right.replace("old 0", &format!("old 0\n{}", TreeHash([0; 32]))), "Unproved"),
        (right.replace("\n\n", "\n"), "Malformed"),
        (right.replace("old 0", "old 6"), "Malformed"),
        (right.replace("log.example\n", "other.example\n"), "UnknownLog"),
        (right.replace("— log.example", "— other.example"), "NotSigned"),
        (right.replace("\n5\n", "\n6\n"), "NotSigned"),
        (String::new(), "Malformed"),
    ] {
        let answer = witness.add_checkpoint(&request, now());
        assert!(format!("{answer:?}").starts_with(&format!("Err({refusal}")), "{request}: {answer:?}");
    }
    witness.add_checkpoint(&right, now()).unwrap();
}

#[test]
fn a_folder_has_one_witness_and_an_altered_file_stops_it() {
    let (folder, mut log) = (Folder::new(), Log::new());
    log.grow(5, 0);
    let witness = folder.open().unwrap();
    assert!(matches!(folder.open(), Err(WitnessError::Taken(_))));
    witness.add_checkpoint(&log.request(0, 5), now()).unwrap();
    drop(witness);
    let path = file_of(&folder.0, &"log.example".parse().unwrap());
    let kept = fs::read_to_string(&path).unwrap();
    for altered in [kept.replace("\n5\n", "\n4\n"), String::new(), kept.replace('—', "-")] {
        fs::write(&path, altered).unwrap();
        assert!(matches!(folder.open(), Err(WitnessError::Altered { .. })));
    }
    fs::write(&path, kept).unwrap();
    folder.open().unwrap();
}
