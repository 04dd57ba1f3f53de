//! How a key comes into use and goes out of it.

use super::{Key, KeyId, KeyState, Keyring, KeyringError, Purpose};

/// What a step of a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
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
    /// Identifiers are stored as their hashes under the one key for lookups.
    #[error("the lookup key cannot be rotated: every stored identifier would have to be hashed anew")]
    Lookup,
    /// There is no such key.
    #[error("there is no {0} key {1}")]
    Unknown(Purpose, String),
    /// The key makes what is new.
    #[error(
        "the {0} key {1} is active: what is new is made with it; rotate first, which puts another in its place"
    )]
    Active(Purpose, KeyId),
}

impl Keyring {
    /// Takes the next step of replacing the active key of a purpose: adds a pending key where there is none, and where
    /// there is one makes it the active one, whose forerunner retires. Between the two every node must have read the
    /// keyring, or it meets what it cannot open.
    ///
    /// # Errors
    /// [`RotationError::Lookup`] for the purpose that cannot be rotated.
    pub fn rotate(&mut self, purpose: Purpose) -> Result<Rotated, RotationError> {
        if purpose == Purpose::Lookup {
            return Err(RotationError::Lookup);
        }
        let former = self.active(purpose).id.clone();
        let pending = self.of(purpose).find(|key| key.state == KeyState::Pending);
        let Some(pending) = pending.map(|key| key.id.clone()) else {
            return Ok(Rotated::Added(self.add_pending(purpose)));
        };
        self.set_state(purpose, &former, KeyState::Retiring);
        self.set_state(purpose, &pending, KeyState::Active);
        Ok(Rotated::Activated { active: pending, retiring: former })
    }

    /// Takes a key out, so that nothing opens any more that was made with it.
    ///
    /// # Errors
    /// [`RotationError`] when there is no such key, or it is the active one.
    pub fn retire(&mut self, purpose: Purpose, id: &str) -> Result<(), RotationError> {
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

    fn add_pending(&mut self, purpose: Purpose) -> KeyId {
        let mut fresh = std::iter::repeat_with(|| Key::generate(purpose, KeyState::Pending));
        let key = fresh.find(|key| self.find(purpose, key.id.as_str()).is_none());
        let key = key.expect("ids do not run out");
        let id = key.id.clone();
        self.keys.insert((purpose, id.clone()), key);
        id
    }

    fn set_state(&mut self, purpose: Purpose, id: &KeyId, state: KeyState) {
        if let Some(key) = self.keys.get_mut(&(purpose, id.clone())) {
            key.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rotated, RotationError};
    use crate::keyring::{Keyring, Purpose};

    #[test]
    fn a_key_is_pending_then_active_then_retiring_then_gone() {
        let mut keyring = Keyring::generate();
        let purpose = Purpose::SealAccess;
        let first = keyring.active(purpose).id.clone();

        let Rotated::Added(second) = keyring.rotate(purpose).expect("adds") else { panic!("not added") };
        assert_eq!(keyring.active(purpose).id, first);
        assert!(keyring.find(purpose, second.as_str()).is_some(), "a pending key opens");

        let activated = Rotated::Activated { active: second.clone(), retiring: first.clone() };
        assert_eq!(keyring.rotate(purpose).expect("activates"), activated);
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
        let Rotated::Added(pending) = keyring.rotate(Purpose::Code).expect("adds") else {
            panic!("not added")
        };
        keyring.retire(Purpose::Code, pending.as_str()).expect("goes");
        assert_eq!(keyring, before);
    }

    #[test]
    fn the_lookup_key_is_not_rotated() {
        let mut keyring = Keyring::generate();
        let before = keyring.clone();
        assert!(matches!(keyring.rotate(Purpose::Lookup), Err(RotationError::Lookup)));
        assert_eq!(keyring, before);
    }
}
