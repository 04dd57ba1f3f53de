//! Bundles of evidence about one account, verified without the service.

use chrono::SecondsFormat;
use counterfoil::audit::evidence::{EvidenceBundle, EvidenceFault};
use counterfoil::runtime::clock::Clock as _;
use counterfoil::transparency::note::SignedNote;
use reqwest::Method;
use serde_json::{Value, json};

use super::{auditor, live, sign};
use crate::support::{SignedInDevice, TestApp};

async fn bundle(app: &TestApp, auditor: &SignedInDevice, of: &SignedInDevice, at: &str) -> String {
    let path = format!("/audit/accounts/{}/evidence/?at={at}&reason=dispute", of.account());
    let answer = app.api.get(&path, &auditor.access).await;
    answer.ok();
    answer.text
}

/// The session of a device, by its own list.
async fn session(app: &TestApp, device: &SignedInDevice) -> String {
    let devices = app.api.get("/accounts/devices/", &device.access).await.ok();
    let own = devices.as_array().unwrap().iter().find(|device| device["current"] == true).unwrap();
    own["id"].as_str().unwrap().to_owned()
}

fn now(app: &TestApp) -> String {
    app.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[tokio::test]
async fn a_bundle_proves_who_was_signed_in_at_a_time_and_from_where() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    let first = app.api.sign_in("+989121234567").await;
    let its_session = session(&app, &first).await;
    app.advance_time(60);
    let between = now(&app);
    app.advance_time(60);
    app.api.sign_in("+989121234567").await;
    assert_eq!(app.api.logout(&first.refresh).await.status, 204);
    live(&app, 0, 3).await;
    sign(&app).await;

    let text = bundle(&app, &auditor, &first, &between).await;
    let verdict = EvidenceBundle::verify(&text, &app.trusted_keys()).unwrap();
    assert!(verdict.is_closed);
    let sessions = verdict.answer["sessions"].as_object().unwrap();
    assert_eq!(sessions.keys().collect::<Vec<_>>(), [&its_session]);
    assert_eq!(sessions.values().next().unwrap()["client"]["ip"], "127.0.0.1");
    let path = format!("/audit/accounts/{}/?at={between}&reason=x", first.account());
    assert_eq!(app.api.get(&path, &auditor.access).await.ok(), verdict.answer);

    // Without a later event, one could be left out.
    let text = bundle(&app, &auditor, &first, &now(&app)).await;
    let verdict = EvidenceBundle::verify(&text, &app.trusted_keys()).unwrap();
    assert!(!verdict.is_closed);
    assert_eq!(verdict.answer["sessions"].as_object().unwrap().len(), 1);
    // By the key of another log it proves nothing.
    let stranger = TestApp::start().await;
    let refused = EvidenceBundle::verify(&text, &stranger.trusted_keys());
    assert_eq!(refused.unwrap_err(), EvidenceFault::Checkpoint);
}

fn fits(schema: &str, document: &Value) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let faults: Vec<String> = validator.iter_errors(document).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}: {document}");
}

#[tokio::test]
async fn bundles_and_certificates_have_the_published_form_and_the_signature_of_the_log() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    let device = app.api.sign_in("+989121234567").await;
    app.api.rename(&device.access, "Ada Lovelace").await.ok();
    sign(&app).await;
    let text = bundle(&app, &auditor, &device, &now(&app)).await;
    fits(
        include_str!("../../../docs/schemas/evidence-bundle.schema.json"),
        &serde_json::from_str(&text).unwrap(),
    );

    let erasure =
        app.api.send_json(Method::DELETE, "/accounts/profile/", &device.access, json!({})).await.ok();
    let note: SignedNote = erasure["certificate"].as_str().unwrap().parse().unwrap();
    assert_eq!(note.verify(&app.trusted_keys().log[0]), Ok(()));
    let (header, line) = note.text.split_once('\n').unwrap();
    let certified: Value = serde_json::from_str(line).unwrap();
    assert_eq!(header, "counterfoil-erasure/v1");
    fits(include_str!("../../../docs/schemas/erasure-certificate.schema.json"), &certified);
    for member in ["account_id", "erased_at", "sequence", "leaf", "keys", "rows"] {
        assert_eq!(certified[member], erasure[member], "{member}");
    }
}

#[tokio::test]
async fn one_changed_byte_of_a_bundle_is_refused_naming_the_part() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    let device = app.api.sign_in("+989121234567").await;
    app.api.rename(&device.access, "Ada Lovelace").await.ok();
    let session = session(&app, &device).await;
    live(&app, 0, 3).await;
    sign(&app).await;
    let text = bundle(&app, &auditor, &device, &now(&app)).await;
    let keys = app.trusted_keys();
    EvidenceBundle::verify(&text, &keys).unwrap();
    for at in 0..text.len() {
        if !text.is_char_boundary(at) || !text.is_char_boundary(at + 1) {
            continue;
        }
        let other = if &text[at..=at] == "1" { "2" } else { "1" };
        let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert!(
            EvidenceBundle::verify(&changed, &keys).is_err(),
            "byte {at}: {}",
            &text[at..text.len().min(at + 40)]
        );
    }

    let edited = |edit: &dyn Fn(&mut Value)| {
        // The order of the members is that of the text, so that only what was edited differs.
        let bundle: EvidenceBundle = serde_json::from_str(&text).unwrap();
        let mut value = serde_json::to_value(&bundle).unwrap();
        edit(&mut value);
        let bundle: EvidenceBundle = serde_json::from_value(value).unwrap();
        EvidenceBundle::verify(&bundle.to_text(), &keys).unwrap_err()
    };
    assert_eq!(edited(&|it| it["answer"]["sessions"] = json!({})), EvidenceFault::Answer);
    assert_eq!(
        edited(&|it| it["answer"]["sessions"][&session]["client"]["ip"] = "192.0.2.1".into()),
        EvidenceFault::Answer
    );
    assert_eq!(edited(&|it| it["events"][1]["event"]["payload"] = "{}".into()), EvidenceFault::Event(2));
    assert_eq!(edited(&|it| it["events"][1]["event"]["personal"] = Value::Null), EvidenceFault::Event(2));
    assert_eq!(edited(&|it| drop(it["events"].as_array_mut().unwrap().remove(0))), EvidenceFault::Event(2));
    assert_eq!(edited(&|it| it["events"] = json!([])), EvidenceFault::Event(1));
    assert_eq!(edited(&|it| it["events"][1]["path"] = json!([])), EvidenceFault::Proof(2));
    assert_eq!(edited(&|it| it["events"][1]["event"]["seq"] = 1.into()), EvidenceFault::Proof(2));
    assert_eq!(edited(&|it| it["keys"]["person"] = "A".repeat(43).into()), EvidenceFault::Form);
    assert_eq!(
        edited(&|it| it["keys"]["person"] = format!("{}=", "A".repeat(43)).into()),
        EvidenceFault::Keys(1)
    );
    assert_eq!(edited(&|it| it["checkpoint"] = "x".into()), EvidenceFault::Checkpoint);
    assert_eq!(edited(&|it| it["at"] = "2020-01-01T00:00:00Z".into()), EvidenceFault::Event(1));
    assert_eq!(edited(&|it| it["format"] = "v2".into()), EvidenceFault::Form);
}

#[tokio::test]
async fn evidence_of_an_erased_account_proves_its_events_and_opens_nothing() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    let device = app.api.sign_in("+989121234567").await;
    app.api.send_json(Method::DELETE, "/accounts/profile/", &device.access, json!({})).await.ok();
    sign(&app).await;
    let text = bundle(&app, &auditor, &device, &now(&app)).await;
    assert!(!text.contains("127.0.0.1"));
    let verdict = EvidenceBundle::verify(&text, &app.trusted_keys()).unwrap();
    assert_eq!(verdict.answer["state"], "erased");
}

#[tokio::test]
async fn there_is_no_evidence_of_an_account_that_has_no_signed_event() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    let device = app.api.sign_in("+989121234567").await;
    let path = format!("/audit/accounts/{}/evidence/?reason=x", device.account());
    app.api.get(&path, &auditor.access).await.is_problem(503, "unavailable");
    let unknown = "/audit/accounts/00000000-0000-0000-0000-000000000000/evidence/?reason=x";
    app.api.get(unknown, &auditor.access).await.is_problem(404, "not_found");
    app.api.get("/audit/accounts/x/evidence/?reason=x", &auditor.access).await.is_problem(404, "not_found");
    let path = format!("/audit/accounts/{}/evidence/?at=soon&reason=x", device.account());
    app.api.get(&path, &auditor.access).await.refuses_fields(&["at"]);
}
