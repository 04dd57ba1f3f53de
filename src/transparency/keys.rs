//! The keys by which this installation signs what it says of its log.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::signature::Ed25519KeyPair;

use super::WitnessPolicy;
use super::note::{KeyName, NoteSigner, SignedNote, SignerKind, VerifierKey};
use super::verification::TrustedKeys;
use crate::crypto::keyring::{KeyPurpose, KeyState, Keyring, KeyringKey};

/// The `checkpoint` keys of the keyring. They follow the keyring: every clone changes with it.
#[derive(Clone, Debug)]
pub struct CheckpointKeys {
    origin: KeyName,
    signers: Arc<ArcSwap<Vec<KeyringSigner>>>,
}

#[derive(Debug)]
struct KeyringSigner {
    signer: NoteSigner,
    state: KeyState,
}

impl CheckpointKeys {
    /// The keys of a log of that name.
    pub fn new(keyring: &Keyring, origin: KeyName) -> Self {
        let signers = Arc::new(ArcSwap::from_pointee(signers(keyring, &origin)));
        Self { origin, signers }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.signers.store(Arc::new(signers(keyring, &self.origin)));
    }

    /// The name of the log, under which it signs.
    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Signs a text that ends with a line break: by the active key, and by those that retire, so that readers who have not heard of
    /// the new one yet can go on.
    pub fn sign(&self, text: String) -> SignedNote {
        let signers = self.signers.load();
        let signing = signers.iter().filter(|key| key.state != KeyState::Pending);
        let signatures = signing.map(|key| key.signer.sign(&text)).collect();
        SignedNote { text, signatures }
    }

    /// The keys by which others verify, the active one first.
    pub fn verifiers(&self) -> Vec<VerifierKey> {
        self.signers.load().iter().map(|key| key.signer.verifier().clone()).collect()
    }
}

/// By which keys this installation verifies its own log: those that it signs with, and those of its witnesses.
#[derive(Clone, Debug)]
pub struct VerificationKeys {
    keys: CheckpointKeys,
    witnesses: Arc<[VerifierKey]>,
}

impl VerificationKeys {
    /// The keys of that log, and of the witnesses of the settings.
    pub fn new(keys: CheckpointKeys, witnesses: &[WitnessPolicy]) -> Self {
        Self { keys, witnesses: witnesses.iter().map(|witness| witness.key.clone()).collect() }
    }

    /// The keys as they stand.
    pub fn trusted(&self) -> TrustedKeys {
        TrustedKeys { log: self.keys.verifiers(), witnesses: self.witnesses.to_vec(), kept: Vec::new() }
    }
}

/// A signer for each key, that of the active key first.
fn signers(keyring: &Keyring, origin: &KeyName) -> Vec<KeyringSigner> {
    let signer = |key: &KeyringKey| {
        let pair = Ed25519KeyPair::from_pkcs8(key.secret());
        let pair = pair.expect("the key was checked when the keyring was read");
        KeyringSigner { signer: NoteSigner::new(origin.clone(), SignerKind::Log, pair), state: key.state }
    };
    let mut signers: Vec<KeyringSigner> = keyring.of(KeyPurpose::Checkpoint).map(signer).collect();
    signers.sort_by_key(|signer| signer.state != KeyState::Active);
    signers
}
