//! What an installation sets of the proofs of its log.

use super::note::{KeyName, VerifierKey};

/// What others are told of the log.
#[derive(Clone, Debug)]
pub struct TransparencyPolicy {
    /// The name of the log in its checkpoints, which no other log has.
    pub origin: KeyName,
    /// Whether everybody may read checkpoints and tiles.
    pub is_public: bool,
    /// Who is asked to cosign checkpoints.
    pub witnesses: Vec<WitnessPolicy>,
}

/// A witness of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessPolicy {
    /// Where it takes checkpoints (the submission prefix of C2SP `tlog-witness`), without a slash at its end.
    pub url: String,
    /// The key by which its cosignatures are verified.
    pub key: VerifierKey,
}
