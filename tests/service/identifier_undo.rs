//! Changes of identifiers that their owner undoes, by the link in the notice: GET and POST
//! `/accounts/identifiers/undo/{link}`

use counterfoil::crypto::message_links::{ChangeNumber, UndoLinks};
use counterfoil_domain::user_account::{AccountFact, IdentifierFact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Identifier, PhoneNumber};
use reqwest::Method;
use serde_json::{Value, json};

use crate::delivery::{accepting, by_webhook, messages};
use crate::identifiers::{holds_together, until_answered};
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const OWNER: &str = "+989121234567";
const THIEF: &str = "+989121234568";
const OWNER_EMAIL: &str = "ada@example.com";
const THIEF_EMAIL: &str = "eve@example.com";
const HOURS: i64 = 60 * 60;

fn identifier(text: &str) -> Value {
    if text.contains('@') { json!({"email": text}) } else { json!({"phone_number": text}) }
}

/// Adds that identifier, or puts it in the place of the one of its kind.
async fn add(app: &TestApp, device: &SignedInDevice, text: &str) {
    let code = app.api.add_identifier(&device.access, &identifier(text)).await.code();
    app.api.verify_identifier(&device.access, &identifier(text), &code).await.ok();
    app.advance_time(60);
}

async fn remove(app: &TestApp, device: &SignedInDevice, text: &str) -> ApiAnswer {
    let path = format!("/accounts/identifiers/{text}/");
    ApiClient::send(app.api.request(Method::DELETE, &path).bearer_auth(&device.access)).await
}

async fn sign_in(app: &TestApp, text: &str) -> SignedInDevice {
    app.advance_time(60);
    let code = app.api.post("/accounts/login/", identifier(text)).await.code();
    let mut body = identifier(text);
    body["code"] = json!(code);
    app.api.post("/accounts/verify/", body).await.signed_in()
}

/// The path of the link that undoes that change of an account.
fn link(app: &TestApp, account: AccountId, change: u32) -> String {
    format!(
        "/accounts/identifiers/undo/{}",
        UndoLinks::new(&app.keyring, None).token(account, ChangeNumber(change))
    )
}

async fn open(api: &ApiClient, path: &str) -> ApiAnswer {
    ApiClient::send(api.request(Method::GET, path)).await
}

async fn press(api: &ApiClient, path: &str) -> ApiAnswer {
    ApiClient::send(api.request(Method::POST, path)).await
}

async fn history(app: &TestApp, account: AccountId) -> Vec<UserAccountEvent> {
    app.journal().history(account).await.unwrap().into_iter().map(|(_, event)| event).collect()
}

async fn owner(app: &TestApp, number: &str) -> Option<AccountId> {
    let number = Identifier::Phone(PhoneNumber::parse(number, None).unwrap());
    app.journal().find(&number).await.unwrap()
}

async fn profile(app: &TestApp, device: &SignedInDevice) -> (Value, Value) {
    let profile = app.api.profile(&device.access).await.ok();
    (profile["phone_number"].clone(), profile["email"].clone())
}

fn link_in(message: &Value) -> Option<String> {
    let text = message["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://"))?;
    Some(link.strip_prefix("https://auth.example").unwrap().to_owned())
}

#[tokio::test]
async fn an_owner_takes_back_the_number_that_a_thief_replaced() {
    let (phones, mails) = (accepting(), accepting());
    let mut settings = by_webhook(&phones.url, &mails.url);
    settings.push(("server.public_url", "https://auth.example/"));
    let app = TestApp::with_settings(&settings).await;
    app.api.login(OWNER).await.ok();
    let code = messages(&phones, 1).await[0]["code"].as_str().unwrap().to_owned();
    let own = app.api.verify(OWNER, &code).await.signed_in();
    // The thief holds a fresh session of the account, and its tokens are those of the owner's device.
    let stolen = own.clone();
    app.advance_time(60);
    app.api.add_identifier(&stolen.access, &identifier(THIEF)).await.ok();
    let code = messages(&phones, 2).await[1]["code"].as_str().unwrap().to_owned();
    app.api.verify_identifier(&stolen.access, &identifier(THIEF), &code).await.ok();

    let notice = messages(&phones, 3).await.pop().unwrap();
    assert_eq!((&notice["kind"], &notice["to"]), (&json!("identifier_replaced"), &json!(OWNER)));
    let link = link_in(&notice).unwrap();
    // Looking at the page, as a scanner of links does, changes nothing.
    let written = history(&app, own.account()).await.len();
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let page = ApiClient::send(app.api.request(method.clone(), &link)).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert!(method == Method::HEAD || page.text.contains("<form method=\"post\">"), "{}", page.text);
    }
    assert_eq!(history(&app, own.account()).await.len(), written);
    app.api.profile(&stolen.access).await.ok();

    app.advance_time(72 * HOURS - 120);
    let done = press(&app.api, &link).await;
    assert!(done.status == 200 && !done.text.contains("<form"), "{}", done.text);
    app.api.refresh(&stolen.refresh).await.is_problem(400, "invalid_token");
    let told = messages(&phones, 5).await;
    let mut told: Vec<&Value> = told[3..].iter().map(|message| &message["to"]).collect();
    told.sort_by_key(|to| to.to_string());
    assert_eq!(told, [&json!(OWNER), &json!(THIEF)]);
    assert!(link_in(&messages(&phones, 5).await[4]).is_none());

    // The link is spent, and says so without a form.
    let written = history(&app, own.account()).await;
    for answer in [press(&app.api, &link).await, open(&app.api, &link).await] {
        assert!(answer.status == 404 && !answer.text.contains("<form"), "{}", answer.text);
    }
    assert_eq!(history(&app, own.account()).await, written);

    app.api.login(OWNER).await.ok();
    let code = messages(&phones, 6).await[5]["code"].as_str().unwrap().to_owned();
    let again = app.api.verify(OWNER, &code).await.signed_in();
    assert_eq!(again.account(), own.account());
    assert_eq!(again.user["phone_number"], OWNER);
    app.api.login(THIEF).await.ok();
    let code = messages(&phones, 7).await[6]["code"].as_str().unwrap().to_owned();
    assert_ne!(app.api.verify(THIEF, &code).await.signed_in().account(), own.account());
    holds_together(&app).await;
}

#[tokio::test]
async fn a_thief_s_sessions_are_refused_at_once_when_the_change_is_undone() {
    let app = TestApp::start().await;
    let stolen = app.api.sign_in(OWNER).await;
    add(&app, &stolen, THIEF).await;
    let second = sign_in(&app, THIEF).await;
    assert_eq!(second.account(), stolen.account());
    assert_eq!(press(&app.api, &link(&app, stolen.account(), 1)).await.status, 200);
    for device in [&stolen, &second] {
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    }
    let reason = "SELECT count(*) FROM user_logins WHERE end_reason = 'identifier_change_undone'";
    assert_eq!(app.database.value::<i64>(reason).await, 2);
    assert_eq!(owner(&app, OWNER).await, Some(stolen.account()));
    assert_eq!(owner(&app, THIEF).await, None);
    assert_eq!(sign_in(&app, OWNER).await.account(), stolen.account());
    holds_together(&app).await;
}

#[tokio::test]
async fn an_undo_link_does_nothing_after_72_hours() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(OWNER).await;
    let code = app.api.add_identifier(&device.access, &identifier(THIEF)).await.code();
    app.api.verify_identifier(&device.access, &identifier(THIEF), &code).await.ok();
    let link = link(&app, device.account(), 1);
    app.advance_time(72 * HOURS - 2);
    assert_eq!(open(&app.api, &link).await.status, 200);
    app.advance_time(2);
    let written = history(&app, device.account()).await;
    for answer in [open(&app.api, &link).await, press(&app.api, &link).await] {
        assert!(answer.status == 404 && !answer.text.contains("<form"), "{}", answer.text);
    }
    assert_eq!(history(&app, device.account()).await, written);
    assert_eq!(owner(&app, THIEF).await, Some(device.account()));
}

#[tokio::test]
async fn a_forged_undo_link_is_answered_like_a_spent_one() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(OWNER).await;
    add(&app, &device, THIEF).await;
    let (path, never) = (link(&app, device.account(), 1), link(&app, device.account(), 2));
    press(&app.api, &path).await;
    let spent = without_nonce(&open(&app.api, &path).await);
    let written = history(&app, device.account()).await;
    for wrong in
        [&path[..path.len() - 1], &path.replace("undo/", "undo/A"), "/accounts/identifiers/undo/x", &never]
    {
        for method in [Method::GET, Method::POST] {
            let answer = ApiClient::send(app.api.request(method, wrong)).await;
            assert_eq!((answer.status.as_u16(), without_nonce(&answer)), (404, spent.clone()), "{wrong}");
        }
    }
    assert_eq!(history(&app, device.account()).await, written);
}

/// A page without the value that is another each time.
fn without_nonce(answer: &ApiAnswer) -> String {
    let (before, rest) = answer.text.split_once("nonce=\"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    format!("{before}{after}")
}

#[tokio::test]
async fn two_posts_at_once_on_two_nodes_undo_a_change_once() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    for round in 0..8 {
        let (old, new) = (&format!("+98912123{round:04}"), &format!("+98913123{round:04}"));
        let device = here.api.sign_in(old).await;
        add(&here, &device, new).await;
        let link = link(&here, device.account(), 1);
        assert_eq!(open(&there.api, &link).await.status, 200);
        let (one, other) = tokio::join!(
            until_answered(async || press(&here.api, &link).await),
            until_answered(async || press(&there.api, &link).await),
        );
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404]);
        let events = history(&here, device.account()).await;
        let count = |is: fn(&AccountFact) -> bool| events.iter().filter(|event| is(&event.fact)).count();
        assert_eq!(
            count(|fact| matches!(
                fact,
                AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone { .. })
            )),
            1
        );
        assert_eq!(
            count(|fact| matches!(fact, AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. }))),
            1
        );
        assert_eq!(owner(&here, old).await, Some(device.account()));
        assert_eq!(owner(&there, new).await, None);
        for node in [&here, &there] {
            here.advance_time(60);
            assert_eq!(node.api.sign_in(old).await.account(), device.account());
        }
    }
    holds_together(&here).await;
}

#[tokio::test]
async fn an_intruder_s_own_link_is_void_once_the_owner_has_undone_the_change() {
    let app = TestApp::start().await;
    let stolen = app.api.sign_in(OWNER).await;
    // The link of the second change goes to the thief's own number.
    add(&app, &stolen, THIEF).await;
    add(&app, &stolen, "+989121234569").await;
    let (owners, thiefs) = (link(&app, stolen.account(), 1), link(&app, stolen.account(), 2));
    // Pressed before the owner's, it does not stop the owner.
    assert_eq!(press(&app.api, &thiefs).await.status, 200);
    assert_eq!(owner(&app, THIEF).await, Some(stolen.account()));
    let stolen = sign_in(&app, THIEF).await;
    add(&app, &stolen, "+989121234569").await;
    let thiefs = link(&app, stolen.account(), 3);
    assert_eq!(press(&app.api, &owners).await.status, 200);
    let written = history(&app, stolen.account()).await;
    for change in 1..5 {
        assert_eq!(press(&app.api, &link(&app, stolen.account(), change)).await.status, 404, "{change}");
    }
    assert_eq!(press(&app.api, &thiefs).await.status, 404);
    assert_eq!(history(&app, stolen.account()).await, written);
    assert_eq!(sign_in(&app, OWNER).await.account(), stolen.account());
    holds_together(&app).await;
}

#[tokio::test]
async fn one_undo_link_undoes_every_later_change_of_identifiers() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(OWNER).await;
    add(&app, &device, OWNER_EMAIL).await;
    app.advance_time(73 * HOURS);
    let stolen = sign_in(&app, OWNER).await;
    // Both identifiers are replaced, and the address goes.
    add(&app, &stolen, THIEF_EMAIL).await;
    add(&app, &stolen, THIEF).await;
    assert_eq!(press(&app.api, &link(&app, device.account(), 1)).await.status, 404);
    assert_eq!(press(&app.api, &link(&app, device.account(), 2)).await.status, 200);
    let again = sign_in(&app, OWNER_EMAIL).await;
    assert_eq!(again.account(), device.account());
    assert_eq!(profile(&app, &again).await, (json!(OWNER), json!(OWNER_EMAIL)));
    assert_eq!(owner(&app, THIEF).await, None);

    // The address is removed, and another takes its place later.
    assert_eq!(remove(&app, &again, OWNER_EMAIL).await.status, 204);
    add(&app, &again, THIEF_EMAIL).await;
    assert_eq!(press(&app.api, &link(&app, device.account(), 4)).await.status, 200);
    let again = sign_in(&app, OWNER).await;
    assert_eq!(profile(&app, &again).await, (json!(OWNER), json!(OWNER_EMAIL)));

    // What was added goes, and nothing takes its place.
    assert_eq!(remove(&app, &again, OWNER_EMAIL).await.status, 204);
    app.advance_time(73 * HOURS);
    let again = sign_in(&app, OWNER).await;
    add(&app, &again, THIEF_EMAIL).await;
    assert_eq!(press(&app.api, &link(&app, device.account(), 7)).await.status, 200);
    let again = sign_in(&app, OWNER).await;
    assert_eq!(profile(&app, &again).await, (json!(OWNER), Value::Null));
    holds_together(&app).await;
}

#[tokio::test]
async fn a_number_that_another_account_proved_meanwhile_stays_there_until_it_is_free() {
    let app = TestApp::start().await;
    let stolen = app.api.sign_in(OWNER).await;
    add(&app, &stolen, THIEF).await;
    add(&app, &stolen, THIEF_EMAIL).await;
    // The owner, signed out, signs in and finds an account without anything in it.
    let fresh = sign_in(&app, OWNER).await;
    assert_ne!(fresh.account(), stolen.account());
    let link = link(&app, stolen.account(), 1);
    let page = press(&app.api, &link).await;
    assert!(page.status == 200 && !page.text.contains("<form"), "{}", page.text);
    app.api.profile(&stolen.access).await.is_problem(401, "invalid_access_token");
    // One identifier stays: without one the account could not be found.
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM identifiers").await, 2);
    app.api.profile(&fresh.access).await.ok();
    let written = history(&app, stolen.account()).await;
    assert_eq!(press(&app.api, &link).await.text.len(), page.text.len());
    assert_eq!(history(&app, stolen.account()).await, written, "there was nothing more to do");

    add(&app, &fresh, OWNER_EMAIL).await;
    assert_eq!(remove(&app, &fresh, OWNER).await.status, 204);
    assert_eq!(press(&app.api, &link).await.status, 200);
    let again = sign_in(&app, OWNER).await;
    assert_eq!(again.account(), stolen.account());
    assert_eq!(profile(&app, &again).await, (json!(OWNER), Value::Null));
    assert_eq!(press(&app.api, &link).await.status, 404);
    holds_together(&app).await;
}

#[tokio::test]
async fn an_undo_link_goes_to_older_identifiers_only_so_that_no_intruder_undoes_the_owners_change() {
    let (phones, mails) = (accepting(), accepting());
    let mut settings = by_webhook(&phones.url, &mails.url);
    settings.push(("server.public_url", "https://auth.example/"));
    let app = TestApp::with_settings(&settings).await;
    app.api.login(OWNER).await.ok();
    let code = messages(&phones, 1).await[0]["code"].as_str().unwrap().to_owned();
    let device = app.api.verify(OWNER, &code).await.signed_in();
    app.api.add_identifier(&device.access, &identifier(THIEF_EMAIL)).await.ok();
    let code = messages(&mails, 1).await[0]["code"].as_str().unwrap().to_owned();
    app.api.verify_identifier(&device.access, &identifier(THIEF_EMAIL), &code).await.ok();
    let added = messages(&phones, 2).await.pop().unwrap();
    assert_eq!(added["kind"], "identifier_added");
    assert_eq!(link_in(&added), Some(link(&app, device.account(), 1)));

    assert_eq!(remove(&app, &device, THIEF_EMAIL).await.status, 204);
    let to_owner = messages(&phones, 3).await.pop().unwrap();
    let to_thief = messages(&mails, 2).await.pop().unwrap();
    for notice in [&to_owner, &to_thief] {
        assert_eq!(notice["kind"], "identifier_removed");
    }
    assert_eq!(link_in(&to_owner), Some(link(&app, device.account(), 2)));
    assert_eq!(link_in(&to_thief), None);
}
