//! Nothing that is stored helps to guess a code.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::TestApp;

/// In the dump, the challenge's nonce, which the code is derived from.
const SALT: &str = "nonce base64url";

/// What a thief of the database has: every value in every row of every table that belongs to an account, by its column.
async fn dump(app: &TestApp, account: &str) -> BTreeMap<String, Vec<u8>> {
    let tables = "SELECT string_agg(table_name, ',') FROM information_schema.columns
                   WHERE table_schema = 'public' AND column_name IN ('account_id', 'aggregate_id')";
    let tables: String = app.database.value(tables).await;
    let mut values = BTreeMap::new();
    for table in tables.split(',') {
        let column = if table == "events" { "aggregate_id" } else { "account_id::text" };
        let rows =
            format!("SELECT coalesce(json_agg(t), '[]')::text FROM {table} t WHERE {column} = '{account}'");
        let rows: String = app.database.value(&rows).await;
        for (number, row) in serde_json::from_str::<Vec<Value>>(&rows).unwrap().iter().enumerate() {
            collect(&format!("{table}[{number}]"), row, &mut values);
        }
    }
    values
}

/// Each text in all the ways that it can be read as bytes.
fn collect(name: &str, value: &Value, values: &mut BTreeMap<String, Vec<u8>>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                collect(&format!("{name}.{field}"), value, values);
            }
        }
        Value::Array(items) => {
            for (number, value) in items.iter().enumerate() {
                collect(&format!("{name}[{number}]"), value, values);
            }
        }
        Value::String(text) => {
            let mut add = |how: &str, bytes: Option<Vec<u8>>| {
                if let Some(bytes) = bytes.filter(|bytes| bytes.len() >= 4) {
                    values.insert(format!("{name} {how}"), bytes);
                }
            };
            let hex = text.trim_start_matches("\\x").replace('-', "");
            let pairs = (0..hex.len() / 2).map(|n| u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok());
            add("text", Some(text.clone().into_bytes()));
            add("hex", pairs.collect());
            add("base64url", URL_SAFE_NO_PAD.decode(text).ok());
            add("base64", STANDARD_NO_PAD.decode(text).ok());
        }
        Value::Number(number) => {
            values.insert(format!("{name} number"), number.to_string().into_bytes());
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Calls with what a code could have been stored as, alone and beside values of the dump.
fn forms(code: &str, salts: &[(&Vec<u8>, hmac::Key)], mut form: impl FnMut(&[u8])) {
    let code = code.as_bytes();
    for hash in [&digest::SHA256, &digest::SHA512, &digest::SHA3_256] {
        form(digest::digest(hash, code).as_ref());
    }
    for (salt, key) in salts {
        for parts in [[salt, code], [code, salt]] {
            let mut hash = digest::Context::new(&digest::SHA256);
            parts.iter().for_each(|part| hash.update(part));
            form(hash.finish().as_ref());
        }
        form(hmac::sign(key, code).as_ref());
    }
}

/// Which of the codes the dump would hold in some form. A column may keep a part of it.
fn found(values: &BTreeMap<String, Vec<u8>>, salt: &str, codes: Range<u32>) -> Vec<String> {
    let long = values.values().filter(|bytes| bytes.len() >= 16);
    let stored: HashSet<&[u8]> = long.map(|bytes| &bytes[..16]).collect();
    let salts = values.iter().filter(|(name, bytes)| bytes.len() <= 64 && name.ends_with(salt));
    let salts: Vec<_> = salts.map(|(_, salt)| (salt, hmac::Key::new(hmac::HMAC_SHA256, salt))).collect();
    assert!(!salts.is_empty());
    let codes = codes.map(|code| format!("{code:06}"));
    codes
        .filter(|code| {
            let mut is_stored = false;
            forms(code, &salts, |form| is_stored |= stored.contains(&form[..16]));
            is_stored
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_reveals_a_code_to_a_reader_of_the_database_who_tries_all_codes() {
    let app = TestApp::start().await;
    let mut stolen = Vec::new();
    for phone in ["+989121234567", "+989121234568", "+989121234569"] {
        let code = app.api.login(phone).await.code();
        let account = "SELECT account_id::text FROM outbox ORDER BY asked_at DESC LIMIT 1";
        let account: String = app.database.value(account).await;
        stolen.push((dump(&app, &account).await, code));
    }

    // Each candidate in each form, beside the nonce in each of its spellings.
    let (values, code) = &stolen[0];
    assert!(values.len() > 30 && values.keys().any(|name| name.contains("payload")), "{:?}", values.keys());
    assert_eq!(found(values, SALT, 0..1_000_000), [""; 0]);
    // The search does find a code where one is kept badly.
    let mut careless = values.clone();
    let nonce = values.iter().find(|(name, _)| name.ends_with(SALT)).unwrap().1.clone();
    let kept = digest::digest(&digest::SHA256, &[&nonce, code.as_bytes()].concat());
    careless.insert("outbox.kept".to_owned(), kept.as_ref().to_vec());
    let number: u32 = code.parse().unwrap();
    assert_eq!(found(&careless, SALT, number.saturating_sub(500)..number + 500), [code.as_str()]);

    // Nor does any pair of columns give the codes by the way that they are made, without the key.
    let derived = |key: &[u8], message: &[u8]| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
        let number = tag.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        format!("{:06}", number % 1_000_000)
    };
    let guesses = |formula: &(&String, &String)| {
        stolen.iter().all(|(values, code)| {
            let (key, message) = (values.get(formula.0), values.get(formula.1));
            key.zip(message).is_some_and(|(key, message)| derived(key, message) == *code)
        })
    };
    let pairs = values.keys().flat_map(|key| values.keys().map(move |message| (key, message)));
    assert_eq!(pairs.filter(guesses).count(), 0);
}
