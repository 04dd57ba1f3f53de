use super::{KeyPurpose, Keyring, KeyringError, RotationStep, SigningAlgorithm};

/// The keyring's JSON, to be altered.
fn document() -> serde_json::Value {
    serde_json::to_value(Keyring::generate().document()).expect("json")
}

fn refused(document: &serde_json::Value) -> KeyringError {
    Keyring::parse(document.to_string().as_bytes()).expect_err("refused")
}

#[test]
fn a_generated_keyring_reads_back_and_can_be_used() {
    let keyring = Keyring::generate();
    let text = serde_json::to_vec(&keyring.document()).expect("json");
    let read = Keyring::parse(&text).expect("reads back");
    for purpose in KeyPurpose::ALL {
        assert_eq!(read.active(purpose).secret(), keyring.active(purpose).secret());
    }
}

#[test]
fn weak_short_and_missing_keys_are_refused() {
    let mut document = document();
    for secret in [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "c2hvcnQ=",
        "",
        // The bytes from 0 to 31, and a text.
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=",
    ] {
        document["keys"][0]["secret"] = secret.into();
        let refused = refused(&document);
        assert!(matches!(refused, KeyringError::Weak(_)), "{secret:?}: {refused:?}");
    }
    document["keys"].as_array_mut().expect("keys").remove(0);
    let refused = refused(&document);
    assert!(matches!(refused, KeyringError::NotOneActive(KeyPurpose::SealAccess)), "{refused:?}");
}

#[test]
fn examples_that_everybody_knows_are_refused() {
    let mut document = document();
    document["keys"][0]["secret"] = "GydVZHPphdRizVEZeppGx2AJVJ6sZHTyBsTuCET2g4k=".into();
    assert!(matches!(refused(&document), KeyringError::Known(_)));
    let mut document = self::document();
    // The key pair of RFC 8037, appendix A.1, as PKCS #8.
    document["keys"][2]["secret"] = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g".into();
    assert!(matches!(refused(&document), KeyringError::Known(_)));
}

#[test]
fn a_key_is_for_an_algorithm_of_its_purpose() {
    let by_hmac = Keyring::signing_access_by(SigningAlgorithm::Hs256);
    let read = Keyring::parse(&by_hmac.to_json().expect("json")).expect("reads back");
    assert_eq!(read.active(KeyPurpose::SignAccess).algorithm, Some(SigningAlgorithm::Hs256));
    // In the order of `KeyPurpose::ALL`: 2 signs access tokens, 3 refresh tokens, 4 makes codes.
    for (key, algorithm) in [(3, "eddsa"), (4, "hs256")] {
        let mut document = document();
        document["keys"][key]["algorithm"] = algorithm.into();
        let refused = refused(&document);
        assert!(matches!(refused, KeyringError::Algorithm(..)), "{key}: {refused:?}");
    }
    let mut document = document();
    document["keys"][2]["algorithm"] = "hs256".into();
    assert!(matches!(refused(&document), KeyringError::Weak(_)), "a key pair is no HMAC key");
    document["keys"][2]["algorithm"] = "none".into();
    assert!(matches!(refused(&document), KeyringError::Json { .. }));
}

#[test]
fn a_keyring_from_before_a_purpose_is_refused_with_what_to_run_and_completed_by_it() {
    let mut document = document();
    let later = |key: &serde_json::Value| ["link", "limit"].contains(&key["purpose"].as_str().expect("text"));
    document["keys"].as_array_mut().expect("keys").retain(|key| !later(key));
    let refused = refused(&document).to_string();
    assert!(refused.contains("no key for link, limit") && refused.contains("keys rotate"), "{refused}");

    let text = document.to_string();
    let mut keyring = Keyring::parse_former(text.as_bytes()).expect("may be completed");
    for purpose in [KeyPurpose::Link, KeyPurpose::Limit] {
        let first = keyring.rotate(purpose, None).expect("adds the first");
        assert_eq!(first, RotationStep::Begun(keyring.active(purpose).id.clone()));
    }
    assert_eq!(Keyring::parse(&keyring.to_json().expect("json")).expect("complete"), keyring);
}

#[test]
fn one_secret_is_one_key() {
    let mut document = document();
    document["keys"][1]["secret"] = document["keys"][0]["secret"].clone();
    assert!(matches!(refused(&document), KeyringError::Twice(_)));
}

#[test]
fn an_error_does_not_tell_what_stands_in_the_keyring() {
    let mut document = document();
    let secret = document["keys"][0]["secret"].as_str().expect("text").to_owned();
    document["keys"][0]["state"] = secret.clone().into();
    let refused = refused(&document);
    assert!(!format!("{refused} {refused:?}").contains(&secret[..8]), "{refused}");
}

#[test]
fn a_fingerprint_is_of_keys_and_states() {
    let (keyring, other) = (Keyring::generate(), Keyring::generate());
    assert_eq!(keyring.fingerprint(), keyring.clone().fingerprint());
    assert_ne!(keyring.fingerprint(), other.fingerprint());
    let mut rotated = keyring.clone();
    rotated.rotate(KeyPurpose::Code, None).expect("rotates");
    let pending = rotated.fingerprint();
    rotated.rotate(KeyPurpose::Code, None).expect("rotates");
    assert!(pending != keyring.fingerprint() && pending != rotated.fingerprint());
}

#[test]
fn a_key_never_shows_its_secret() {
    let shown = format!("{:?}", Keyring::generate());
    assert!(!shown.contains("secret"), "{shown}");
}
