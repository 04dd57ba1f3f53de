//! What lets others prove that the log is whole: the Merkle tree over the events, checkpoints of it that this installation and witnesses
//! sign, and proofs.

pub mod cosigning;
pub mod keys;
pub mod note;
mod policy;
pub mod proofs;
pub mod store;
pub mod tile;
pub mod tree;
pub mod verification;
pub mod witness;
pub mod writer;

pub use keys::{CheckpointKeys, VerificationKeys};
pub use note::KeyName;
pub use policy::{TransparencyPolicy, WitnessPolicy};
pub use verification::{TrustedKeys, WitnessVerdict};
pub use writer::{CheckpointOutcome, CheckpointWriter};
