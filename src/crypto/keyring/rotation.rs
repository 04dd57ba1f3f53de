//! How a key comes into use and goes out of it.

use super::mac::key_tag;
use super::{KeyId, KeyPurpose, KeyState, Keyring, KeyringError, KeyringKey, SigningAlgorithm};

/// What a step of a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// It added the first key of a purpose that the keyring was made before, at once the active one.
    Begun(KeyId),
    /// It added a key that opens, and will make once every node has it.
    Added(KeyId),
    /// It made the pending key the active one.
    Activated {
        /// The key that makes what is new from now on.
        active: KeyId,
        /// The key that did so before, and still opens.
        retiring: KeyId,
    },
}

/// Why a key cannot come or go.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The keyring could not be read or written.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// Identifiers are found by their hashes under two lookup keys at most.
    #[error("the lookup key {0} is still retiring: run `keys rewrap lookup`, and retire it first")]
    StillRetiring(KeyId),
    /// The key that waits to become active is for another algorithm than was asked for.
    #[error("the {0} key {1} is pending, and for another algorithm; retire it first")]
    OtherAlgorithm(KeyPurpose, KeyId),
    /// There is no such key.
    #[error("there is no {0} key {1}")]
    Unknown(KeyPurpose, String),
    /// The key makes what is new.
    #[error(
        "the {0} key {1} is active: what is new is made with it; rotate first, which puts another in its place"
    )]
    Active(KeyPurpose, KeyId),
}

impl Keyring {
    /// Takes the next step of replacing the active key of a purpose: adds a pending key where there is none, and where
    /// there is one makes it the active one, whose forerunner retires. The first key of a purpose is active at once. Between the two every node must have read the
    /// keyring, or it meets what it cannot open. A key is for the same algorithm as its forerunner, or for the one
    /// wanted.
    ///
    /// # Errors
    /// [`RotationError`] where the lookup key before is still in use, and for an algorithm that does not fit.
    pub fn rotate(
        &mut self,
        purpose: KeyPurpose,
        wanted: Option<SigningAlgorithm>,
    ) -> Result<RotationStep, RotationError> {
        let retiring = self.of(purpose).find(|key| key.state == KeyState::Retiring);
        if let (KeyPurpose::Lookup, Some(retiring)) = (purpose, retiring) {
            return Err(RotationError::StillRetiring(retiring.id.clone()));
        }
        if self.of(purpose).next().is_none() {
            let algorithm = purpose.algorithm(wanted)?;
            return Ok(RotationStep::Begun(self.add(purpose, algorithm, KeyState::Active)));
        }
        let former = self.active(purpose).clone();
        let pending = self.of(purpose).find(|key| key.state == KeyState::Pending);
        let Some(pending) = pending.cloned() else {
            let algorithm = purpose.algorithm(wanted.or(former.algorithm))?;
            return Ok(RotationStep::Added(self.add(purpose, algorithm, KeyState::Pending)));
        };
        if wanted.is_some() && wanted != pending.algorithm {
            return Err(RotationError::OtherAlgorithm(purpose, pending.id));
        }
        self.set_state(purpose, &former.id, KeyState::Retiring);
        self.set_state(purpose, &pending.id, KeyState::Active);
        Ok(RotationStep::Activated { active: pending.id, retiring: former.id })
    }

    /// Takes a key out, so that nothing opens any more that was made with it.
    ///
    /// # Errors
    /// [`RotationError`] when there is no such key, or it is the active one.
    pub fn retire(&mut self, purpose: KeyPurpose, id: &str) -> Result<(), RotationError> {
        let key = self.find(purpose, id).ok_or_else(|| RotationError::Unknown(purpose, id.to_owned()))?;
        let id = key.id.clone();
        match key.state {
            KeyState::Active => Err(RotationError::Active(purpose, id)),
            KeyState::Pending | KeyState::Retiring => {
                self.keys.remove(&(purpose, id));
                Ok(())
            }
        }
    }

    fn add(&mut self, purpose: KeyPurpose, algorithm: Option<SigningAlgorithm>, state: KeyState) -> KeyId {
        let mut fresh = std::iter::repeat_with(|| KeyringKey::generate(purpose, algorithm, state));
        let is_free = |key: &KeyringKey| self.of(purpose).all(|other| key_tag(&other.id) != key_tag(&key.id));
        let key = fresh.find(is_free);
        let key = key.expect("ids do not run out");
        let id = key.id.clone();
        self.keys.insert((purpose, id.clone()), key);
        id
    }

    fn set_state(&mut self, purpose: KeyPurpose, id: &KeyId, state: KeyState) {
        if let Some(key) = self.keys.get_mut(&(purpose, id.clone())) {
            key.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RotationError, RotationStep};
    use crate::crypto::keyring::{KeyPurpose, Keyring, KeyringError, SigningAlgorithm};

    #[test]
    fn a_key_is_pending_then_active_then_retiring_then_gone() {
        let mut keyring = Keyring::generate();
        let purpose = KeyPurpose::SealAccess;
        let first = keyring.active(purpose).id.clone();

        let RotationStep::Added(second) = keyring.rotate(purpose, None).expect("adds") else {
            panic!("not added")
        };
        assert_eq!(keyring.active(purpose).id, first);
        assert!(keyring.find(purpose, second.as_str()).is_some(), "a pending key opens");

        let activated = RotationStep::Activated { active: second.clone(), retiring: first.clone() };
        assert_eq!(keyring.rotate(purpose, None).expect("activates"), activated);
        assert_eq!(keyring.active(purpose).id, second);
        assert!(keyring.find(purpose, first.as_str()).is_some(), "a retiring key opens");

        let refused = keyring.retire(purpose, second.as_str());
        assert!(matches!(refused, Err(RotationError::Active(..))), "{refused:?}");
        keyring.retire(purpose, first.as_str()).expect("retires");
        assert!(keyring.find(purpose, first.as_str()).is_none());
        let refused = keyring.retire(purpose, first.as_str());
        assert!(matches!(refused, Err(RotationError::Unknown(..))), "{refused:?}");
        assert_eq!(Keyring::parse(&keyring.to_json().expect("json")).expect("reads back"), keyring);
    }

    #[test]
    fn a_rotation_can_be_called_off() {
        let mut keyring = Keyring::generate();
        let before = keyring.clone();
        let RotationStep::Added(pending) = keyring.rotate(KeyPurpose::Code, None).expect("adds") else {
            panic!("not added")
        };
        keyring.retire(KeyPurpose::Code, pending.as_str()).expect("goes");
        assert_eq!(keyring, before);
    }

    #[test]
    fn an_algorithm_is_kept_unless_another_is_wanted() {
        let mut keyring = Keyring::generate();
        let (purpose, by_hmac) = (KeyPurpose::SignAccess, Some(SigningAlgorithm::Hs256));
        keyring.rotate(purpose, by_hmac).expect("adds");
        let refused = keyring.rotate(purpose, Some(SigningAlgorithm::Eddsa));
        assert!(matches!(refused, Err(RotationError::OtherAlgorithm(..))), "{refused:?}");
        for _ in 0..3 {
            keyring.rotate(purpose, None).expect("goes on");
        }
        assert_eq!(keyring.active(purpose).algorithm, by_hmac);
        assert_eq!(keyring.of(purpose).count(), 3, "both algorithms side by side");

        let refused = keyring.rotate(KeyPurpose::Code, by_hmac);
        let expected =
            RotationError::Keyring(KeyringError::Algorithm(KeyPurpose::Code, SigningAlgorithm::Hs256));
        assert_eq!(refused.expect_err("signs nothing").to_string(), expected.to_string());
    }

    #[test]
    fn a_lookup_key_is_replaced_by_one_and_no_third_comes_before_the_first_is_gone() {
        let mut keyring = Keyring::generate();
        let former = keyring.active(KeyPurpose::Lookup).id.clone();
        keyring.rotate(KeyPurpose::Lookup, None).expect("adds");
        keyring.rotate(KeyPurpose::Lookup, None).expect("activates");
        let before = keyring.clone();
        let refused = keyring.rotate(KeyPurpose::Lookup, None);
        assert!(matches!(&refused, Err(RotationError::StillRetiring(id)) if *id == former), "{refused:?}");
        assert_eq!(keyring, before);
        keyring.retire(KeyPurpose::Lookup, former.as_str()).expect("retires");
        keyring.rotate(KeyPurpose::Lookup, None).expect("adds");
    }
}
