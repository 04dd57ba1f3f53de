//! Second factors of staff: secrets of authenticators and recovery codes, derived when they are shown and again when they are
//! tried, stored nowhere.
//!
//! An authenticator's secret is `HMAC-SHA-256(key, authenticator)`, cut to the 160 bits that RFC 4226, section 4, asks for, and
//! its codes are those of RFC 6238 with the numbers that every app takes: SHA-1, six digits, half a minute. A recovery code is
//! 80 bits of `HMAC-SHA-256(key, batch ‖ number)`. The log has the ids and the keyring the key: neither alone tells any of them.
//! An id ends in four bytes that stand for the key's name ([`MacKey::tag`]): what people keep in their apps and drawers cannot be
//! made anew when another key becomes active, so each is derived with the key that it began with, as long as that is kept.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::SecondFactorMatcher;
use counterfoil_domain::values::{AuthenticatorId, OtpCode, RecoveryBatchId, RecoveryCode, TimeStep};
use qrcode::QrCode;
use qrcode::render::svg;
use totp_rs::{Builder, Secret, Totp};
use uuid::Uuid;

use crate::crypto::entropy;
use crate::crypto::keyring::{KeyPurpose, Keyring, MacKey, MacKeyRing, MacKeys};

/// How many bytes an authenticator's secret has.
const SECRET: usize = 20;

/// How many bytes a recovery code stands for.
const RECOVERY_CODE: usize = 10;

/// Derives secrets and recovery codes.
#[derive(Clone)]
pub struct SecondFactors {
    authenticators: MacKeys,
    recovery_codes: MacKeys,
    issuer: String,
}

/// What a user puts into their authenticator app. All of it is secret.
pub struct AuthenticatorEnrolment {
    /// The secret in Base32 (RFC 4648), for apps without a camera.
    pub secret: String,
    /// The same as a URI (`otpauth://totp/…`), as apps read it from a QR code.
    pub uri: String,
    /// The QR code (ISO/IEC 18004) of the URI, as an SVG document.
    pub qr_code: String,
}

impl fmt::Debug for SecondFactors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactors").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthenticatorEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrolment").finish_non_exhaustive()
    }
}

impl SecondFactors {
    /// Second factors under the keyring's keys, for a service that calls itself that.
    pub fn new(keyring: &Keyring, app_name: &str) -> Self {
        Self {
            authenticators: MacKeys::new(keyring, KeyPurpose::SecondFactor, b"authenticator"),
            recovery_codes: MacKeys::new(keyring, KeyPurpose::RecoveryCode, b"recovery code"),
            // A colon ends the issuer in the URI.
            issuer: app_name.replace(':', " "),
        }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.authenticators.use_keyring(keyring);
        self.recovery_codes.use_keyring(keyring);
    }

    /// The id of a new authenticator, whose secret is derived with the active key.
    pub fn new_authenticator(&self, now: DateTime<Utc>) -> AuthenticatorId {
        AuthenticatorId(naming(self.authenticators.load().active(), entropy::uuid_v7(now)))
    }

    /// The id of a new batch of recovery codes, derived with the active key.
    pub fn new_recovery_batch(&self, now: DateTime<Utc>) -> RecoveryBatchId {
        RecoveryBatchId(naming(self.recovery_codes.load().active(), entropy::uuid_v7(now)))
    }

    /// What the user of an account enters into their app, which shows it under that name.
    /// None where its key is gone.
    pub fn enrolment(&self, authenticator: AuthenticatorId, name: &str) -> Option<AuthenticatorEnrolment> {
        let totp = self.totp(authenticator, &name.replace(':', " "))?;
        let uri = totp.to_url().expect("an account has a name, and no colon is in it");
        let code = QrCode::new(&uri).expect("a URI of a few hundred characters fits");
        let qr_code = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
        Some(AuthenticatorEnrolment { secret: totp.secret().to_base32(), uri, qr_code })
    }

    /// The recovery codes of a batch, in the order of their numbers; none where its key is gone.
    pub fn recovery_codes(&self, batch: RecoveryBatchId) -> Option<Vec<RecoveryCode>> {
        let keys = self.recovery_codes.load();
        let key = key_of(&keys, batch.0)?.key();
        let code = |number: u8| {
            let mac = hmac::sign(key, &[batch.0.as_bytes(), [number].as_slice()].concat());
            let text = Secret::from(mac.as_ref()[..RECOVERY_CODE].to_vec()).to_base32();
            RecoveryCode::parse(&text).expect("80 bits are 16 characters of Base32")
        };
        Some((0..RecoveryBatchId::CODES).map(code).collect())
    }

    fn totp(&self, authenticator: AuthenticatorId, name: &str) -> Option<Totp> {
        let keys = self.authenticators.load();
        let mac = hmac::sign(key_of(&keys, authenticator.0)?.key(), authenticator.0.as_bytes());
        let builder = Builder::new().with_secret(mac.as_ref()[..SECRET].to_vec());
        let builder = builder.with_issuer(Some(self.issuer.as_str())).with_account_name(name);
        Some(builder.build().expect("160 bits are enough, and no name has a colon"))
    }
}

/// A random id that ends in what stands for the key's name.
fn naming(key: &MacKey, id: Uuid) -> Uuid {
    let mut bytes = id.into_bytes();
    bytes[12..].copy_from_slice(&key.tag());
    Uuid::from_bytes(bytes)
}

/// The key that an id was made with, where it is still in the keyring.
fn key_of(keys: &MacKeyRing, id: Uuid) -> Option<&MacKey> {
    let (_, tag) = id.as_bytes().split_last_chunk()?;
    keys.find_by_tag(*tag)
}

impl SecondFactorMatcher for SecondFactors {
    fn step(&self, authenticator: AuthenticatorId, code: &OtpCode, at: DateTime<Utc>) -> Option<TimeStep> {
        let time = u64::try_from(at.timestamp()).ok()?;
        self.totp(authenticator, "")?.check(code.as_str(), time).map(TimeStep)
    }

    fn recovery_code(&self, batch: RecoveryBatchId, code: &RecoveryCode) -> Option<u8> {
        let is = |right: &RecoveryCode| {
            constant_time::verify_slices_are_equal(right.as_str().as_bytes(), code.as_str().as_bytes())
                .is_ok()
        };
        // Every code is compared, whichever is right.
        let numbered = (0_u8..).zip(self.recovery_codes(batch)?);
        numbered.fold(None, |found, (number, right)| if is(&right) { Some(number) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::SecondFactors;
    use crate::crypto::keyring::{KeyPurpose, Keyring};
    use crate::runtime::clock::{Clock as _, SystemClock};
    use chrono::{DateTime, TimeDelta};
    use counterfoil_domain::user_account::SecondFactorMatcher as _;
    use counterfoil_domain::values::{OtpCode, TimeStep};
    use totp_rs::{Builder, Secret};

    /// RFC 6238, appendix B, SHA-1: the last six of the eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let totp = Builder::new().with_secret(b"12345678901234567890".to_vec()).build().expect("a secret");
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (time, code) in vectors {
            assert_eq!(totp.generate(time).to_string(), code);
        }
    }

    #[test]
    fn a_code_is_good_in_its_half_minute_and_the_one_on_either_side() {
        let factors = SecondFactors::new(&Keyring::generate(), "Example: Staff");
        let authenticator = factors.new_authenticator(SystemClock.now());
        let enrolment = factors.enrolment(authenticator, "+989121234567").expect("its key is there");
        assert!(enrolment.uri.starts_with("otpauth://totp/Example%20%20Staff:%2B989121234567?secret="));
        assert!(enrolment.qr_code.contains("<svg "));

        let secret = Secret::try_from_base32(&enrolment.secret).expect("Base32");
        let app = Builder::new().with_secret(secret).build().expect("a secret");
        let now = DateTime::from_timestamp(1_800_000_010, 0).expect("a time");
        let code = OtpCode::parse(&app.generate(1_800_000_010).to_string()).expect("six digits");
        let at = |seconds| factors.step(authenticator, &code, now + TimeDelta::seconds(seconds));
        let step = Some(TimeStep(60_000_000));
        assert_eq!([at(-40), at(0), at(49)], [step; 3]);
        assert_eq!([at(-41), at(50)], [None; 2]);
        let other = factors.new_authenticator(SystemClock.now());
        assert_eq!(factors.step(other, &code, now), None);
    }

    #[test]
    fn recovery_codes_are_of_one_batch_and_one_key() {
        let keyring = Keyring::generate();
        let factors = SecondFactors::new(&keyring, "Example");
        let batch = factors.new_recovery_batch(SystemClock.now());
        let codes = factors.recovery_codes(batch).expect("their key is there");
        let again = SecondFactors::new(&keyring, "Another name");
        for (number, code) in (0..).zip(&codes) {
            assert_eq!(again.recovery_code(batch, code), Some(number));
            assert_eq!(factors.recovery_code(factors.new_recovery_batch(SystemClock.now()), code), None);
        }
        assert_eq!(codes.len(), 10);
        assert_eq!(SecondFactors::new(&Keyring::generate(), "").recovery_code(batch, &codes[0]), None);
    }

    #[test]
    fn an_authenticator_and_recovery_codes_outlive_the_rotation_of_their_keys() {
        let mut keyring = Keyring::generate();
        let former = [KeyPurpose::SecondFactor, KeyPurpose::RecoveryCode]
            .map(|purpose| keyring.active(purpose).id.clone());
        let factors = SecondFactors::new(&keyring, "Example");
        let now = SystemClock.now();
        let (authenticator, batch) = (factors.new_authenticator(now), factors.new_recovery_batch(now));
        let secret = |id| factors.enrolment(id, "name").map(|enrolment| enrolment.secret);
        let (kept, codes) = (secret(authenticator), factors.recovery_codes(batch));
        assert!(kept.is_some() && codes.is_some());
        for _ in 0..2 {
            keyring.rotate(KeyPurpose::SecondFactor, None).expect("the next step");
            keyring.rotate(KeyPurpose::RecoveryCode, None).expect("the next step");
            factors.use_keyring(&keyring);
            assert_eq!((secret(authenticator), factors.recovery_codes(batch)), (kept.clone(), codes.clone()));
        }
        let (newer, newer_batch) = (factors.new_authenticator(now), factors.new_recovery_batch(now));
        keyring.retire(KeyPurpose::SecondFactor, former[0].as_str()).expect("retires");
        keyring.retire(KeyPurpose::RecoveryCode, former[1].as_str()).expect("retires");
        factors.use_keyring(&keyring);
        assert_eq!((secret(authenticator), factors.recovery_codes(batch)), (None, None));
        assert!(secret(newer).is_some() && factors.recovery_codes(newer_batch).is_some());
    }
}
