//! Tokens are taken as they were issued, and not otherwise.

mod forgeries;
mod mutants;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{SessionProof, SessionTokens};
use counterfoil_domain::values::{AuthenticationMethods, Channel, Generation};

use super::export_access_keys;
use super::{
    AccessKeys, ExtraClaims, InvalidToken, IssuedTokens, TokenKind, TokenPolicy, Tokens, TooManyClaims,
};
use crate::crypto::entropy;
use crate::crypto::keyring::{KeyPurpose, Keyring, SigningAlgorithm};

fn policy() -> TokenPolicy {
    TokenPolicy {
        issuer: "counterfoil".to_owned(),
        audience: "counterfoil".to_owned(),
        access_lifetime: TimeDelta::minutes(10),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).expect("in range")
}

/// Issued by one node, opened by another: nothing is known beforehand.
fn two_nodes() -> (Tokens, Tokens) {
    let keyring = Keyring::generate();
    (Tokens::new(&keyring, policy()), Tokens::new(&keyring, policy()))
}

/// Proved by a code to a phone number, so many seconds before now.
fn proof(seconds_before: i64) -> SessionProof {
    let methods = AuthenticationMethods { channel: Channel::Phone, second_factor: false };
    SessionProof { at: now() - TimeDelta::seconds(seconds_before), methods }
}

fn issue(tokens: &Tokens) -> IssuedTokens {
    tokens.issue(
        entropy::account_id(now()),
        &SessionTokens {
            session: entropy::session_id(now()),
            generation: Generation(7),
            issued_at: now(),
            expires_at: now() + TimeDelta::days(30),
        },
        proof(100),
        ExtraClaims::default(),
        now(),
    )
}

#[test]
fn an_access_token_carries_extra_claims_and_others_read_them() {
    let keyring = Keyring::generate();
    let tokens = Tokens::new(&keyring, policy());
    let members = |text: &str| serde_json::from_str(text).expect("an object");
    let extra = |members| ExtraClaims::new(&members).expect("short");
    let session = |generation| SessionTokens {
        session: entropy::session_id(now()),
        generation: Generation(generation),
        issued_at: now(),
        expires_at: now() + TimeDelta::days(30),
    };
    let account = entropy::account_id(now());
    let issued = tokens.issue(
        account,
        &session(1),
        proof(0),
        extra(members(r#"{"tenant":"acme","n":[1,{"a":null}]}"#)),
        now(),
    );
    let export = export_access_keys(&keyring, &policy()).expect("exports");
    let (_, read) =
        AccessKeys::parse(export.as_bytes()).expect("parses").open(&issued.access, now()).expect("opens");
    let ours = Tokens::new(&keyring, policy()).extra_claims(&issued.access).expect("opens");
    for read in [read, ours] {
        let value: serde_json::Value = read.read().expect("fits");
        assert_eq!(value, serde_json::json!({"tenant": "acme", "n": [1, {"a": null}]}));
        assert!(read.read::<Vec<u8>>().is_none());
    }
    let plain = tokens.issue(account, &session(2), proof(0), extra(members("{}")), now());
    assert!(tokens.extra_claims(&plain.access).expect("opens").is_empty());
    assert!(plain.access.len() < issued.access.len());
    assert!(tokens.extra_claims(&issued.refresh).is_err(), "a refresh token is no access token");

    let long = serde_json::Map::from_iter([("x".to_owned(), "x".repeat(ExtraClaims::MAX_BYTES).into())]);
    assert_eq!(ExtraClaims::new(&long).map(drop), Err(TooManyClaims));
}

#[test]
fn an_access_token_says_when_and_by_what_its_user_was_proved_and_never_later_than_it_was_issued() {
    let (issuer, other) = two_nodes();
    let session = SessionTokens {
        session: entropy::session_id(now()),
        generation: Generation(1),
        issued_at: now(),
        expires_at: now() + TimeDelta::days(30),
    };
    for channel in Channel::ALL {
        for second_factor in [false, true] {
            for (before, told) in [(100, 100), (0, 0), (-5, 0)] {
                let methods = AuthenticationMethods { channel, second_factor };
                let proof = SessionProof { methods, ..proof(before) };
                let account = entropy::account_id(now());
                let issued = issuer.issue(account, &session, proof, ExtraClaims::default(), now());
                let at = now() - TimeDelta::seconds(told);
                for tokens in [&issuer, &other] {
                    let access = tokens.open(TokenKind::Access, &issued.access, now()).expect("opens");
                    assert_eq!(access.proof, Some(SessionProof { at, methods }));
                    let refresh = tokens.open(TokenKind::Refresh, &issued.refresh, now()).expect("opens");
                    assert_eq!(refresh.proof, None);
                }
            }
        }
    }
}

#[test]
fn a_token_opens_as_its_own_kind_only() {
    let (issuer, other) = two_nodes();
    let issued = issue(&issuer);
    for tokens in [issuer, other] {
        assert_eq!(
            tokens.open(TokenKind::Access, &issued.access, now()).expect("opens").generation,
            Generation(7)
        );
        assert!(tokens.open(TokenKind::Refresh, &issued.refresh, now()).is_ok());
        assert_eq!(tokens.open(TokenKind::Refresh, &issued.access, now()), Err(InvalidToken));
        assert_eq!(tokens.open(TokenKind::Access, &issued.refresh, now()), Err(InvalidToken));
        for (from, to) in [("cfa_", "cfr_"), ("cfr_", "cfa_")] {
            let relabelled = issued.access.replace(from, to);
            assert_eq!(tokens.open(TokenKind::Refresh, &relabelled, now()), Err(InvalidToken));
        }
    }
}

#[test]
fn a_token_works_until_it_expires_and_not_before_it_was_issued() {
    let (issuer, other) = two_nodes();
    let access = issue(&issuer).access;
    for tokens in [issuer, other] {
        let at = |seconds| tokens.open(TokenKind::Access, &access, now() + TimeDelta::seconds(seconds));
        assert!(at(599).is_ok());
        assert_eq!(at(600), Err(InvalidToken));
        assert!(at(-30).is_ok());
        assert_eq!(at(-31), Err(InvalidToken));
        assert!(tokens.open_expired(TokenKind::Access, &access, now() + TimeDelta::days(1)).is_ok());
    }
}

#[test]
fn the_bearer_reads_nothing_from_a_token_and_no_two_are_alike() {
    let tokens = Tokens::new(&Keyring::generate(), policy());
    let (first, second) = (issue(&tokens), issue(&tokens));
    assert_eq!(first.access.len(), second.access.len());
    let blocks = |text: &str| -> Vec<String> {
        text.as_bytes()[14..].chunks(12).map(|block| String::from_utf8_lossy(block).into_owned()).collect()
    };
    let second_blocks = blocks(&second.access);
    assert!(blocks(&first.access).iter().all(|block| block.len() < 12 || !second_blocks.contains(block)));
}

#[test]
fn a_token_of_another_keyring_issuer_or_audience_is_refused() {
    let keyring = Keyring::generate();
    let access = issue(&Tokens::new(&keyring, policy())).access;
    let other_keys = Tokens::new(&Keyring::generate(), policy());
    assert_eq!(other_keys.open(TokenKind::Access, &access, now()), Err(InvalidToken));
    for other in [
        TokenPolicy { issuer: "other".to_owned(), ..policy() },
        TokenPolicy { audience: "other".to_owned(), ..policy() },
    ] {
        assert_eq!(Tokens::new(&keyring, other).open(TokenKind::Access, &access, now()), Err(InvalidToken));
    }
}

#[test]
fn a_remembered_token_is_refused_when_its_seal_or_signing_key_is_gone_and_not_before() {
    for purpose in [KeyPurpose::SealAccess, KeyPurpose::SignAccess] {
        let mut keyring = Keyring::generate();
        let (tokens, former) = (Tokens::new(&keyring, policy()), keyring.active(purpose).id.clone());
        let clone = tokens.clone();
        let old = issue(&tokens).access;
        for _ in 0..2 {
            keyring.rotate(purpose, None).expect("rotates");
            tokens.use_keyring(&keyring);
            assert!(clone.open(TokenKind::Access, &old, now()).is_ok(), "{purpose}");
        }
        let new = issue(&clone).access;
        keyring.retire(purpose, former.as_str()).expect("retires");
        tokens.use_keyring(&keyring);
        assert_eq!(clone.open(TokenKind::Access, &old, now()), Err(InvalidToken), "{purpose}");
        assert!(clone.open(TokenKind::Access, &new, now()).is_ok(), "{purpose}");
    }
}

#[test]
fn keys_of_both_algorithms_stand_side_by_side_and_each_verifies_by_its_own() {
    let by_ed25519 = Keyring::generate();
    let mut by_hmac = by_ed25519.clone();
    by_hmac.rotate(KeyPurpose::SignAccess, Some(SigningAlgorithm::Hs256)).expect("adds");
    let pending = Tokens::new(&by_hmac, policy());
    by_hmac.rotate(KeyPurpose::SignAccess, None).expect("activates");
    let after = Tokens::new(&by_hmac, policy());
    let before = issue(&Tokens::new(&by_ed25519, policy())).access;
    let access = issue(&Tokens::new(&by_hmac, policy())).access;
    for tokens in [pending, after] {
        assert!(tokens.open(TokenKind::Access, &before, now()).is_ok());
        assert!(tokens.open(TokenKind::Access, &access, now()).is_ok());
    }
    let without = Tokens::new(&by_ed25519, policy());
    assert_eq!(without.open(TokenKind::Access, &access, now()), Err(InvalidToken));
}
