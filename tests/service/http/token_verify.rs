//! Tests of POST `/accounts/token/verify/`.

use serde_json::{Value, json};

use crate::support::TestApp;

const PATH: &str = "/accounts/token/verify/";
const PHONE: &str = "+989121234567";

#[tokio::test]
async fn token_verify_200_is_an_empty_object() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    for token in [&device.access, &device.refresh] {
        let answer = app.api.token_verify(token).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "{}"));
    }
    // The check does not spend the refresh token.
    app.api.refresh(&device.refresh).await.ok();
}

#[tokio::test]
async fn token_verify_400_is_the_same_whatever_is_wrong_with_the_token() {
    let (app, elsewhere) = (TestApp::start().await, TestApp::start().await);
    let (expired, foreign) = (app.api.sign_in(PHONE).await, elsewhere.api.sign_in(PHONE).await);
    app.advance_time(31 * 24 * 3600);
    let revoked = app.api.sign_in(PHONE).await;
    app.api.logout(&revoked.refresh).await;
    app.advance_time(60);
    let device = app.api.sign_in(PHONE).await;
    let spent = device.refresh;
    app.api.refresh(&spent).await.ok();

    let mut tokens = vec![spent];
    for device in [expired, revoked, foreign] {
        tokens.extend([device.access, device.refresh]);
    }
    let valid = device.access;
    tokens.extend([1, 3, 5, 40].map(|end| valid[..valid.len() - end].to_owned()));
    tokens.extend(["A", "=", " ", "\n", "\0"].map(|end| format!("{valid}{end}")));
    tokens.extend(
        ["", " ", "x", "🙂", "\0", "cfa", "cfr___", "cfa_1_00000000_AAAA", "eyJhbGciOiJub25lIn0.e30."]
            .map(str::to_owned),
    );
    tokens.extend([valid.replacen("cfa", "cfr", 1), valid.to_uppercase(), "x".repeat(10_000)]);
    // One bit of each fifth character, wherever it stands.
    let forged = (0..valid.len()).step_by(5).map(|at| {
        let mut bytes = valid.clone().into_bytes();
        bytes[at] ^= 1;
        String::from_utf8(bytes).unwrap()
    });
    tokens.extend(forged);

    let seen = app.api.token_verify("never one of ours").await.appearance();
    for token in tokens {
        let answer = app.api.token_verify(&token).await;
        answer.is_problem(400, "invalid_token");
        assert_eq!(answer.appearance(), seen, "{token}");
    }
    app.api.token_verify(&valid).await.ok();
}

#[tokio::test]
async fn token_verify_400_names_each_wrong_field() {
    let app = TestApp::start().await;
    for odd in [Value::Null, json!(5), json!(true), json!(["x"]), json!({"a": 1})] {
        app.api.post(PATH, json!({"token": odd})).await.refuses_fields(&["token"]);
    }
    app.api.post(PATH, json!({})).await.refuses_fields(&["token"]);
    app.api.post(PATH, json!({"token": "x", "type": "access"})).await.refuses_fields(&["type"]);
}
