//! One-time codes: derived when they are sent and again when they are tried, stored nowhere.
//!
//! `code = HMAC-SHA-256(code key, nonce ‖ purpose ‖ kind ‖ identifier) mod 10⁶`. The nonce is in the event, the key
//! in the keyring: neither alone tells the code. The remainder of 64 bits is uneven by less than one part in 10¹³.
//!
//! A challenge does not say which key its code was derived with, so while code keys are being rotated the code of each
//! is right: two or three in a million instead of one, for the few minutes that a rotation takes.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::{constant_time, hmac};
use counterfoil_domain::user_account::{OtpMatcher, Purpose};
use counterfoil_domain::values::{ChallengeNonce, Identifier, OtpCode};

use crate::crypto::keyring::{self, KeyState, Keyring, KeyringKey};
use crate::crypto::test_identifiers::TestIdentifiers;
use crate::runtime::clock::Clock;

/// Derives one-time codes and compares them.
#[derive(Clone)]
pub struct OtpCodes {
    keys: Arc<ArcSwap<CodeKeys>>,
    tests: TestIdentifiers,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct CodeKeys {
    active: hmac::Key,
    /// Pending and retiring ones.
    others: Vec<hmac::Key>,
}

impl CodeKeys {
    fn new(keyring: &Keyring) -> Self {
        let key = |pepper: &KeyringKey| hmac::Key::new(hmac::HMAC_SHA256, &*pepper.derive(&[b"otp"]));
        let others = keyring.of(keyring::KeyPurpose::Code).filter(|pepper| pepper.state != KeyState::Active);
        Self { active: key(keyring.active(keyring::KeyPurpose::Code)), others: others.map(key).collect() }
    }
}

impl fmt::Debug for OtpCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpCodes").finish_non_exhaustive()
    }
}

impl OtpCodes {
    /// Codes derived with the keyring's active code key, but for the listed identifiers, which have theirs.
    pub fn new(keyring: &Keyring, tests: TestIdentifiers, clock: Arc<dyn Clock>) -> Self {
        Self { keys: Arc::new(ArcSwap::from_pointee(CodeKeys::new(keyring))), tests, clock }
    }

    /// Whether an identifier has a code that is always the same.
    pub fn is_test(&self, identifier: &Identifier) -> bool {
        self.tests.code(identifier, &*self.clock).is_some()
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.store(Arc::new(CodeKeys::new(keyring)));
    }

    /// The code of a challenge, for the identifier it goes to.
    pub fn derive(&self, nonce: &ChallengeNonce, identifier: &Identifier, purpose: Purpose) -> OtpCode {
        let fixed = self.tests.code(identifier, &*self.clock).cloned();
        fixed.unwrap_or_else(|| derive(&self.keys.load().active, nonce, identifier, purpose))
    }
}

fn derive(key: &hmac::Key, nonce: &ChallengeNonce, identifier: &Identifier, purpose: Purpose) -> OtpCode {
    let mut mac = hmac::Context::with_key(key);
    mac.update(nonce.as_bytes());
    // A NUL ends each text: none of them can hold one, so no two inputs run together into the same bytes.
    for text in [purpose.as_str(), identifier.channel().as_str(), identifier.as_str()] {
        mac.update(text.as_bytes());
        mac.update(&[0]);
    }
    let tag = mac.sign();
    let number = tag.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    OtpCode::from_number(number)
}

impl OtpMatcher for OtpCodes {
    fn matches(
        &self,
        nonce: &ChallengeNonce,
        identifier: &Identifier,
        purpose: Purpose,
        code: &OtpCode,
    ) -> bool {
        let CodeKeys { active, others } = &**self.keys.load();
        let is = |right: &OtpCode| {
            constant_time::verify_slices_are_equal(right.as_str().as_bytes(), code.as_str().as_bytes())
                .is_ok()
        };
        if let Some(fixed) = self.tests.code(identifier, &*self.clock) {
            return is(fixed);
        }
        let is_right = |key: &hmac::Key| is(&derive(key, nonce, identifier, purpose));
        // Every key is tried, whichever was right.
        others.iter().fold(is_right(active), |found, key| found | is_right(key))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::OtpCodes;
    use crate::crypto::test_identifiers::TestIdentifiers;
    use crate::crypto::{entropy, keyring, keyring::Keyring};
    use crate::runtime::clock::SystemClock;
    use counterfoil_domain::user_account::{OtpMatcher as _, Purpose};
    use counterfoil_domain::values::{ChallengeNonce, EmailAddress, Identifier, PhoneNumber};

    fn codes(keyring: &Keyring) -> OtpCodes {
        OtpCodes::new(keyring, TestIdentifiers::default(), Arc::new(SystemClock))
    }

    #[test]
    fn a_code_is_for_one_challenge_and_one_identifier() {
        let codes = codes(&Keyring::generate());
        let phone = Identifier::Phone(PhoneNumber::parse("+989121234567", None).expect("valid"));
        let email = Identifier::Email(EmailAddress::parse("ada@example.com").expect("valid"));
        // One pair of codes in a million is equal by chance, so four challenges are tried.
        let same = (0..4)
            .filter(|n| {
                let nonce = ChallengeNonce::new([*n; 16]);
                let code = codes.derive(&nonce, &phone, Purpose::SignIn);
                assert!(codes.matches(&nonce, &phone, Purpose::SignIn, &code));
                codes.matches(&nonce, &email, Purpose::SignIn, &code)
                    || codes.matches(&ChallengeNonce::new([*n + 100; 16]), &phone, Purpose::SignIn, &code)
            })
            .count();
        assert!(same < 2);
    }

    #[test]
    fn a_code_is_right_while_its_key_is_there_on_nodes_that_have_come_as_far_or_not() {
        let phone = Identifier::Phone(PhoneNumber::parse("+989121234567", None).expect("valid"));
        let mut keyring = Keyring::generate();
        let former = keyring.active(keyring::KeyPurpose::Code).id.clone();
        let before = codes(&keyring);
        keyring.rotate(keyring::KeyPurpose::Code, None).expect("adds");
        let behind = codes(&keyring);
        keyring.rotate(keyring::KeyPurpose::Code, None).expect("activates");
        let ahead = codes(&keyring);
        keyring.retire(keyring::KeyPurpose::Code, former.as_str()).expect("retires");
        // One pair of codes in a million is equal by chance, so four challenges are tried.
        let nonces = [1, 2, 3, 4].map(|n| ChallengeNonce::new([n; 16]));
        for nonce in &nonces {
            let old = before.derive(nonce, &phone, Purpose::SignIn);
            assert!(behind.matches(nonce, &phone, Purpose::SignIn, &old));
            assert!(ahead.matches(nonce, &phone, Purpose::SignIn, &old));
            let new = ahead.derive(nonce, &phone, Purpose::SignIn);
            assert!(behind.matches(nonce, &phone, Purpose::SignIn, &new));
        }
        ahead.clone().use_keyring(&keyring);
        let still = nonces.iter().filter(|nonce| {
            let old = before.derive(nonce, &phone, Purpose::SignIn);
            ahead.matches(nonce, &phone, Purpose::SignIn, &old)
        });
        assert!(still.count() < 2);
    }

    #[test]
    fn codes_are_spread_evenly_over_every_position() {
        let codes = codes(&Keyring::generate());
        let phone = Identifier::Phone(PhoneNumber::parse("+989121234567", None).expect("valid"));
        let mut counts = [[0_u32; 10]; 6];
        let samples = 20_000;
        for _ in 0..samples {
            let code = codes.derive(&entropy::challenge_nonce(), &phone, Purpose::SignIn);
            for (position, digit) in code.as_str().bytes().enumerate() {
                counts[position][usize::from(digit - b'0')] += 1;
            }
        }
        let expected = f64::from(samples) / 10.0;
        for (position, digits) in counts.iter().enumerate() {
            let chi_squared: f64 = digits.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
            // Nine degrees of freedom: above 45 about once in a million runs.
            assert!(chi_squared < 45.0, "position {position}: {digits:?}");
        }
    }
}
