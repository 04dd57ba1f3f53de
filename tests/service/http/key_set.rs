//! The public keys, for services that verify access tokens themselves.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil::crypto::keyring::{KeyPurpose, Keyring, SigningAlgorithm};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, TestApp};

async fn key_set(app: &TestApp) -> ApiAnswer {
    ApiClient::send(app.api.request(Method::GET, "/.well-known/jwks.json")).await
}

/// The keyring's key pairs, as they are to be published.
fn published(keyring: &Keyring) -> Value {
    let key = |key: &counterfoil::crypto::keyring::KeyringKey| {
        let pair = Ed25519KeyPair::from_pkcs8(key.secret()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": key.id.as_str(), "use": "sig", "alg": "EdDSA"})
    };
    json!({"keys": keyring.of(KeyPurpose::SignAccess).map(key).collect::<Vec<_>>()})
}

#[tokio::test]
async fn pending_active_and_retiring_keys_are_published_and_nothing_secret() {
    let app = TestApp::start().await;
    let mut keyring = app.keyring.clone();
    for keys in 1..=3 {
        let answer = key_set(&app).await;
        assert_eq!(answer.ok(), published(&keyring));
        assert_eq!(answer.json()["keys"].as_array().unwrap().len(), [1, 2, 2][keys - 1]);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
        keyring.rotate(KeyPurpose::SignAccess, None).unwrap();
        app.state.use_keyring(&keyring);
    }
}

#[tokio::test]
async fn keys_of_hmac_are_not_published() {
    let app = TestApp::start().await;
    app.state.use_keyring(&Keyring::signing_access_by(SigningAlgorithm::Hs256));
    assert_eq!(key_set(&app).await.ok(), json!({"keys": []}));
    let device = app.api.sign_in("+989121234567").await;
    app.api.profile(&device.access).await.ok();
}
