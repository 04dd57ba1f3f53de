//! Whether the tree over a log is the one that was signed and cosigned.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::note::{Checkpoint, SignedNote, VerifierKey};
use super::tree::{TreeEdge, TreeHash, TreeNode};

/// By which keys a verification believes what is signed.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    /// Those of the log, under its name.
    pub log: Vec<VerifierKey>,
    /// The keys of witnesses.
    pub witnesses: Vec<VerifierKey>,
    /// Checkpoints that were kept elsewhere: a log has to go on from them.
    pub kept: Vec<SignedNote>,
}

impl TrustedKeys {
    /// Whether anything is trusted.
    pub fn is_named(&self) -> bool {
        !(self.log.is_empty() && self.witnesses.is_empty() && self.kept.is_empty())
    }

    /// The kept checkpoints by their sizes; 0 where one is no checkpoint.
    pub(crate) fn kept_by_size(&self) -> Vec<(u64, &SignedNote)> {
        let size = |note: &SignedNote| note.text.parse::<Checkpoint>().map_or(0, |it| it.head.size);
        self.kept.iter().map(|note| (size(note), note)).collect()
    }
}

/// What a witness confirms of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WitnessVerdict {
    /// The name of the witness.
    #[schema(example = "witness.example")]
    pub name: String,
    /// Up to which number the witness has cosigned this very log; null where it has not.
    pub size: Option<i64>,
    /// When the witness saw that, by the clock of the witness.
    pub at: Option<DateTime<Utc>>,
}

/// A tree that is built again, leaf by leaf, and compared with what is signed of it.
#[derive(Debug)]
pub struct TreeVerification<'k> {
    keys: &'k TrustedKeys,
    kept: Vec<(u64, &'k SignedNote)>,
    edge: TreeEdge,
    checkpoints: u64,
    signed: i64,
    witnesses: Vec<WitnessVerdict>,
}

impl<'k> TreeVerification<'k> {
    /// The verification of a log, before its first leaf.
    pub fn new(keys: &'k TrustedKeys) -> Self {
        let verdict = |key: &VerifierKey| WitnessVerdict { name: key.name.to_string(), size: None, at: None };
        let witnesses = keys.witnesses.iter().map(verdict).collect();
        let kept = keys.kept_by_size();
        Self { keys, kept, edge: TreeEdge::default(), checkpoints: 0, signed: 0, witnesses }
    }

    /// How many leaves there have been.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The tree as it is so far.
    pub fn edge(&self) -> &TreeEdge {
        &self.edge
    }

    /// Takes the next leaf, and tells of each node that is complete with it.
    ///
    /// # Errors
    /// [`CheckpointFault`] when a checkpoint of that size was kept elsewhere, and is not one of this log.
    pub fn push(
        &mut self,
        leaf: TreeHash,
        completed: impl FnMut(TreeNode, TreeHash),
    ) -> Result<(), CheckpointFault> {
        self.edge.push(leaf, completed);
        let size = self.size();
        let of_this_size = self.kept.extract_if(.., |(of, _)| *of == size);
        let kept: Vec<&SignedNote> = of_this_size.map(|(_, note)| note).collect();
        kept.into_iter().try_for_each(|note| self.compare(note))
    }

    /// The size of a checkpoint that was kept elsewhere and not reached; 0 where it is no checkpoint of events.
    pub fn unreached(&self) -> Option<u64> {
        self.kept.iter().map(|(size, _)| *size).min()
    }

    /// Compares a checkpoint of as many leaves as there have been with the tree.
    ///
    /// # Errors
    /// [`CheckpointFault`] when the checkpoint is not one of this log.
    pub fn compare(&mut self, note: &SignedNote) -> Result<(), CheckpointFault> {
        let checkpoint: Checkpoint = note.text.parse().map_err(|_| CheckpointFault::Malformed)?;
        if checkpoint.head != self.edge.head() {
            return Err(CheckpointFault::OtherRoot);
        }
        self.checkpoints += 1;
        let known = self.keys.log.iter().filter(|key| note.has_signature_of(key));
        let (signers, forged): (Vec<&VerifierKey>, Vec<&VerifierKey>) =
            known.partition(|key| note.verify(key).is_ok());
        let mut fault = (!forged.is_empty()).then_some(CheckpointFault::NotSigned);
        // The name of a log is that of its keys. What is signed under another name proves nothing of this log: a witness may have seen
        // that one alone.
        let is_own = |key: &&VerifierKey| key.name == checkpoint.origin;
        let size = i64::try_from(self.size()).unwrap_or(i64::MAX);
        if signers.iter().any(is_own) {
            self.signed = size;
        }
        let counts = self.keys.log.iter().any(|key| is_own(&key));
        for (key, verdict) in self.keys.witnesses.iter().zip(&mut self.witnesses) {
            match note.verify_witness(key) {
                Ok(at) if counts => (verdict.size, verdict.at) = (Some(size), Some(at)),
                Err(_) if note.has_signature_of(key) => {
                    fault.get_or_insert(CheckpointFault::NotCosigned);
                }
                Ok(_) | Err(_) => {}
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// How many checkpoints were compared, up to which number this log is signed by a trusted key, and what witnesses confirm.
    pub fn finish(self) -> (u64, i64, Vec<WitnessVerdict>) {
        (self.checkpoints, self.signed, self.witnesses)
    }
}

/// Why a checkpoint is not one of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointFault {
    /// It cannot be read.
    Malformed,
    /// The log has another root at its size.
    OtherRoot,
    /// The signature of the log is not by its key.
    NotSigned,
    /// The signature of a witness is not by its key.
    NotCosigned,
}

impl CheckpointFault {
    /// What is wrong at the number of the checkpoint.
    pub fn what(self) -> &'static str {
        match self {
            Self::Malformed => "the checkpoint of this number cannot be read",
            Self::OtherRoot => "the log up to this number is not the one that was signed",
            Self::NotSigned => "the checkpoint of this number is not signed by a key of this log",
            Self::NotCosigned => "the checkpoint of this number is not cosigned by the witness that it names",
        }
    }
}
