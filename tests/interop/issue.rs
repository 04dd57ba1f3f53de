//! Issues tokens, and prints them with the keys they were made with and the claims they should hold, for implementations
//! that share no code with ours.

use std::io;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use counterfoil::crypto::keyring::{KeyPurpose, Keyring};
use counterfoil::runtime::clock::{Clock as _, SystemClock};
use counterfoil::tokens::{ExtraClaims, TokenPolicy, Tokens};
use counterfoil_domain::user_account::{SessionProof, SessionTokens};
use counterfoil_domain::values::{AccountId, AuthenticationMethods, Channel, Generation, SessionId};
use serde_json::{Value, json};
use uuid::Uuid;

const SESSIONS: u32 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keyring = Keyring::generate();
    let policy = TokenPolicy {
        issuer: "https://issuer.example".to_owned(),
        audience: "https://audience.example".to_owned(),
        access_lifetime: TimeDelta::minutes(10),
    };
    let tokens = Tokens::new(&keyring, policy.clone());
    let now = SystemClock.now().trunc_subsecs(0);

    let key = |purpose| {
        let key = keyring.active(purpose);
        json!({ "id": key.id.as_str(), "secret": STANDARD.encode(key.secret()) })
    };
    let pair = keyring.active(KeyPurpose::SignAccess);
    let public = Ed25519KeyPair::from_pkcs8(pair.secret())?.public_key().as_ref().to_vec();
    let issued = (1..=SESSIONS).flat_map(|generation| {
        let account = AccountId(Uuid::from_u128(u128::from(generation) << 64 | 0x7000_8000_0000_0000_0000));
        let session = SessionTokens {
            session: SessionId(Uuid::from_u128(u128::MAX - u128::from(generation))),
            generation: Generation(generation * generation),
            issued_at: now,
            expires_at: now + TimeDelta::days(30),
        };
        let channel = if generation % 2 == 0 { Channel::Phone } else { Channel::Email };
        let methods = AuthenticationMethods { channel, second_factor: generation % 3 == 0 };
        let proof = SessionProof { at: now - TimeDelta::seconds(i64::from(generation)), methods };
        let issued = tokens.issue(account, &session, proof, ExtraClaims::default(), now);
        let access_expires_at = session.issued_at + policy.access_lifetime;
        [
            json!({ "token": issued.access, "claims": claims(&policy, account, &session, proof, "access", access_expires_at) }),
            json!({ "token": issued.refresh, "claims": claims(&policy, account, &session, proof, "refresh", session.expires_at) }),
        ]
    });
    let all = json!({
        "seal_access": key(KeyPurpose::SealAccess),
        "seal_refresh": key(KeyPurpose::SealRefresh),
        "sign_access": { "id": pair.id.as_str(), "public": STANDARD.encode(public) },
        "sign_refresh": key(KeyPurpose::SignRefresh),
        "tokens": issued.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_writer(io::stdout(), &all)?)
}

fn claims(
    policy: &TokenPolicy,
    account: AccountId,
    session: &SessionTokens,
    proof: SessionProof,
    typ: &str,
    expires_at: DateTime<Utc>,
) -> Value {
    let SessionTokens { session, generation, issued_at, expires_at: _ } = session;
    let mut claims = json!({
        "iss": policy.issuer,
        "aud": policy.audience,
        "sub": account.to_string(),
        "sid": session.to_string(),
        "jti": format!("{session}.{}.{typ}", generation.0),
        "gen": generation.0,
        "typ": typ,
        "iat": issued_at.timestamp(),
        "nbf": issued_at.timestamp(),
        "exp": expires_at.timestamp(),
    });
    if typ == "access" {
        claims["auth_time"] = json!(proof.at.timestamp());
        claims["amr"] = json!(proof.methods.names());
    }
    claims
}
