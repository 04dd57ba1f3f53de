//! Tests of recovery by staff: `/admin/accounts/{id}/identifiers/…`.

use counterfoil::app::delete_expired;
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, events_of};
use crate::support::{ApiAnswer, SignedInDevice, TestApp};

const COLLEAGUE: &str = "+989130000002";
const NEW: &str = "+989121234999";
const DAY: i64 = 24 * 60 * 60;

async fn propose(app: &TestApp, admin: &SignedInDevice, of: &SignedInDevice, what: Value) -> ApiAnswer {
    let mut body = json!({"reason": "seen in person", "case": "HD-1"});
    body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    app.api.post_as(admin, &format!("/admin/accounts/{}/identifiers/", of.account()), body).await
}

async fn confirm(app: &TestApp, admin: &SignedInDevice, of: &SignedInDevice, proposal: &Value) -> ApiAnswer {
    let body = json!({"proposal": proposal, "reason": "I have seen the passport too"});
    app.api.post_as(admin, &format!("/admin/accounts/{}/identifiers/confirm/", of.account()), body).await
}

async fn withdraw(app: &TestApp, admin: &SignedInDevice, of: &SignedInDevice, proposal: &Value) -> ApiAnswer {
    let path = format!("/admin/accounts/{}/identifiers/{}/", of.account(), proposal.as_str().unwrap());
    app.api.send_json(Method::DELETE, &path, &admin.access, json!({})).await
}

/// How many messages of that kind were written for an account.
async fn told(app: &TestApp, kind: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM outbox WHERE kind = '{kind}'")).await
}

#[tokio::test]
async fn a_second_administrator_confirms_a_replacement_and_everybody_concerned_is_told_twice() {
    let app = TestApp::start().await;
    let (admin, colleague) = (app.sign_in_admin(ADMIN).await, app.sign_in_admin(COLLEAGUE).await);
    let user = app.api.sign_in(PHONE).await;
    let proposed = propose(&app, &admin, &user, json!({"action": "replace", "phone_number": NEW})).await.ok();
    let (action, number, when) =
        (&proposed["action"], &proposed["phone_number"], &proposed["takes_effect_at"]);
    assert_eq!((action, number, when), (&json!("replace"), &json!(NEW), &Value::Null));
    assert_eq!(proposed["proposed_by"], json!({"account": admin.account()}));
    let path = format!("/admin/accounts/{}/", user.account());
    let shown = app.api.get(&path, &colleague.access).await.ok();
    assert_eq!(shown["identifier_proposal"], proposed);
    // The old number and the new one.
    assert_eq!(told(&app, "identifier_change_proposed").await, 2);
    app.api.profile(&user.access).await.ok();

    confirm(&app, &admin, &user, &proposed["id"]).await.is_problem(409, "own_proposal");
    let again = propose(&app, &colleague, &user, json!({"action": "release", "phone_number": PHONE})).await;
    again.is_problem(409, "proposal_open");
    let done = confirm(&app, &colleague, &user, &proposed["id"]).await;
    assert_eq!((done.status.as_u16(), done.text.as_str()), (204, ""), "{done:?}");
    confirm(&app, &colleague, &user, &proposed["id"]).await.is_problem(404, "not_found");
    assert_eq!(
        (told(&app, "identifier_replaced").await, told(&app, "identifier_set_by_staff").await),
        (1, 1)
    );
    app.api.profile(&user.access).await.is_problem(401, "invalid_access_token");
    assert_eq!(app.api.get(&path, &admin.access).await.ok()["identifier_proposal"], Value::Null);
    app.advance_time(60);
    assert_eq!(app.api.sign_in(NEW).await.account(), user.account());
    assert_ne!(app.api.sign_in(PHONE).await.account(), user.account());
    let events = events_of(&app, &user).await;
    let expected =
        ["IdentifierChangeProposed", "IdentifierChangeConfirmed", "IdentifierReplaced", "LoggedOut"];
    assert_eq!(events[events.len() - 6..events.len() - 2], expected, "{events:?}");
    // Who is who is sealed.
    let sql = format!("SELECT count(*) FROM events WHERE payload::text LIKE '%{}%'", &NEW[1..]);
    assert_eq!(app.database.value::<i64>(&sql).await, 0);
}

#[tokio::test]
async fn a_recycled_number_is_released_and_its_new_holder_signs_up_with_it() {
    let app = TestApp::start().await;
    let (admin, colleague) = (app.sign_in_admin(ADMIN).await, app.sign_in_admin(COLLEAGUE).await);
    let former = app.api.sign_in(PHONE).await;
    let proposed =
        propose(&app, &admin, &former, json!({"action": "release", "phone_number": PHONE})).await.ok();
    assert_eq!(confirm(&app, &colleague, &former, &proposed["id"]).await.status, 204);
    app.api.profile(&former.access).await.is_problem(401, "invalid_access_token");
    app.advance_time(60);
    let holder = app.api.sign_in(PHONE).await;
    assert_ne!(holder.account(), former.account());
    // The former account keeps its data; staff give it another identifier, but not one that another account has.
    let taken = propose(&app, &admin, &former, json!({"action": "add", "phone_number": PHONE})).await;
    taken.is_problem(409, "identifier_taken");
    let back = json!({"action": "add", "email": "ada@example.com"});
    let proposed = propose(&app, &admin, &former, back).await.ok();
    assert_eq!(confirm(&app, &colleague, &former, &proposed["id"]).await.status, 204);
    let code = app.api.post("/accounts/login/", json!({"email": "ada@example.com"})).await.code();
    let body = json!({"email": "ada@example.com", "code": code});
    assert_eq!(app.api.post("/accounts/verify/", body).await.signed_in().account(), former.account());
}

#[tokio::test]
async fn what_cannot_be_proposed_confirmed_or_withdrawn_is_refused_and_nothing_changes() {
    let app = TestApp::start().await;
    let (admin, colleague) = (app.sign_in_admin(ADMIN).await, app.sign_in_admin(COLLEAGUE).await);
    let (user, other) = (app.api.sign_in(PHONE).await, app.api.sign_in(NEW).await);
    for (body, fields) in [
        (json!({}), vec!["action", "phone_number"]),
        (json!({"action": "swap", "phone_number": NEW}), vec!["action"]),
        (json!({"action": "add", "phone_number": "12"}), vec!["phone_number"]),
        (
            json!({"action": "add", "phone_number": NEW, "email": "a@b.example"}),
            vec!["email", "phone_number"],
        ),
        (json!({"action": "add", "phone_number": NEW, "reason": null}), vec!["reason"]),
    ] {
        propose(&app, &admin, &user, body).await.refuses_fields(&fields);
    }
    for (body, code) in [
        (json!({"action": "add", "phone_number": "+989121234998"}), "identifier_held"),
        (json!({"action": "replace", "email": "a@b.example"}), "identifier_not_held"),
        (json!({"action": "replace", "phone_number": PHONE}), "identifier_taken"),
        (json!({"action": "replace", "phone_number": NEW}), "identifier_taken"),
        (json!({"action": "release", "phone_number": NEW}), "identifier_not_held"),
    ] {
        propose(&app, &admin, &user, body).await.is_problem(409, code);
    }
    let own = propose(&app, &admin, &admin, json!({"action": "add", "email": "a@b.example"})).await;
    own.is_problem(409, "own_account");
    let proposed = propose(&app, &admin, &user, json!({"action": "add", "email": "a@b.example"})).await.ok();
    confirm(&app, &colleague, &other, &proposed["id"]).await.is_problem(404, "not_found");
    withdraw(&app, &colleague, &other, &proposed["id"]).await.is_problem(404, "not_found");
    assert_eq!(withdraw(&app, &colleague, &user, &proposed["id"]).await.status, 204);
    withdraw(&app, &colleague, &user, &proposed["id"]).await.is_problem(404, "not_found");
    confirm(&app, &colleague, &user, &proposed["id"]).await.is_problem(404, "not_found");
    // An administrator confirms nothing for their own account.
    let proposed =
        propose(&app, &admin, &colleague, json!({"action": "add", "email": "a@b.example"})).await.ok();
    confirm(&app, &colleague, &colleague, &proposed["id"]).await.is_problem(409, "own_account");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_another_administrator_it_takes_effect_after_a_day_once_on_two_nodes() {
    let app = TestApp::start().await;
    let (other_node, _proxy) = app.second_node(&[]).await;
    let admin = app.sign_in_admin(ADMIN).await;
    let user = app.api.sign_in(PHONE).await;
    let proposed = propose(&app, &admin, &user, json!({"action": "replace", "phone_number": NEW})).await.ok();
    assert!(proposed["takes_effect_at"].is_string(), "{proposed}");
    app.advance_time(DAY - 1);
    delete_expired(&app.state).await;
    let is_done = async || events_of(&app, &user).await.contains(&"IdentifierReplaced".to_owned());
    assert!(!is_done().await);
    app.advance_time(1);
    // While there is another administrator, only a confirmation counts.
    let colleague = app.api.sign_in(COLLEAGUE).await;
    app.give_roles(&colleague, [Role::Admin]).await;
    delete_expired(&app.state).await;
    assert!(!is_done().await);
    app.give_roles(&colleague, [Role::Auditor]).await;
    tokio::join!(delete_expired(&app.state), delete_expired(&other_node.state));
    let events = events_of(&app, &user).await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!((count("IdentifierChangeConfirmed"), count("IdentifierReplaced")), (1, 1), "{events:?}");
    assert_eq!(app.api.sign_in(NEW).await.account(), user.account());
}

#[tokio::test]
async fn the_owner_undoes_what_staff_did_by_the_link_in_the_notice() {
    let app = TestApp::start().await;
    let (admin, colleague) = (app.sign_in_admin(ADMIN).await, app.sign_in_admin(COLLEAGUE).await);
    let user = app.api.sign_in(PHONE).await;
    let proposed =
        propose(&app, &admin, &user, json!({"action": "release", "phone_number": PHONE})).await.ok();
    assert_eq!(confirm(&app, &colleague, &user, &proposed["id"]).await.status, 204);
    let links = counterfoil::crypto::message_links::UndoLinks::new(&app.keyring, None);
    let link = links.token(user.account(), counterfoil::crypto::message_links::ChangeNumber(1));
    let undone = app.api.request(Method::POST, &format!("/accounts/identifiers/undo/{link}"));
    assert_eq!(crate::support::ApiClient::send(undone).await.status, 200);
    app.advance_time(60);
    assert_eq!(app.api.sign_in(PHONE).await.account(), user.account());
}
