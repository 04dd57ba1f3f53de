//! Credentials put together at random, of pieces that mean something where they belong.

use std::collections::BTreeMap;

use fastrand::Rng;
use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::support::{ApiAnswer, ApiClient, TestApp};

const TRIES: usize = 600;

/// Some pieces in a row, and now and then bytes that are no text.
fn value(rng: &mut Rng, start: &str, tokens: &[String]) -> Vec<u8> {
    let pieces = [
        "Bearer",
        "bearer",
        "Basic",
        " ",
        "%20",
        "\t",
        "\"",
        "'",
        ",",
        ";",
        "=",
        "; ",
        "Authorization=",
        "theme=dark",
    ];
    let mut value = start.as_bytes().to_vec();
    for _ in 0..rng.usize(..6) {
        match rng.u8(..10) {
            0..5 => value.extend(rng.choice(pieces).into_iter().flat_map(str::bytes)),
            5..8 => value.extend(rng.choice(tokens).into_iter().flat_map(|token| token.bytes())),
            8 => value.extend((0..rng.usize(..40)).map(|_| rng.u8(0x80..))),
            _ => value.extend((0..rng.usize(..6_000)).map(|_| rng.u8(b'!'..b'~'))),
        }
    }
    value
}

#[tokio::test]
async fn random_combinations_of_credentials_are_accepted_or_refused_and_never_answered_with_500() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let app = TestApp::start().await;
    let device = app.api.sign_in("+989121234567").await;
    let half = &device.access[..device.access.len() / 2];
    let tokens =
        [device.access.clone(), device.refresh.clone(), half.to_owned(), device.access.to_uppercase()];

    let mut refusals: BTreeMap<String, ApiAnswer> = BTreeMap::new();
    for _ in 0..TRIES {
        let mut sent = Vec::new();
        let mut request = app.api.request(Method::GET, "/accounts/profile/");
        for (name, starts) in
            [("authorization", ["Bearer ", ""]), ("cookie", ["Authorization=Bearer ", "Authorization="])]
        {
            if rng.bool() || name == "authorization" && rng.bool() {
                let start = rng.choice(starts).unwrap_or_default();
                let value = HeaderValue::from_bytes(&value(&mut rng, start, &tokens)).unwrap();
                sent.push(format!("{name}: {value:?}"));
                request = request.header(name, value);
            }
        }
        let answer = ApiClient::send(request).await;
        if answer.status == 200 {
            assert!(sent.iter().any(|header| header.contains(&device.access)), "{sent:?}: {answer:?}");
            continue;
        }
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        let expected = match code.as_str() {
            "not_authenticated" | "invalid_access_token" => 401,
            "invalid_request" => 400,
            _ => panic!("{sent:?}: {answer:?}"),
        };
        assert_eq!(answer.status, expected, "{sent:?}: {answer:?}");
        let first = refusals.entry(code).or_insert_with(|| answer.clone());
        assert_eq!(answer.appearance(), first.appearance(), "{sent:?}");
    }
    assert_eq!(refusals.len(), 3, "{refusals:?}");
    app.api.profile(&device.access).await.ok();
}
