//! GET `/accounts/devices/`, PATCH and DELETE `/accounts/devices/{id}/`

use counterfoil::runtime::clock::Clock as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, ProxyMode, SignedInDevice, TestApp};

const DEVICES: &str = "/accounts/devices/";
const PHONE: &str = "+989121234567";
const OTHER_PHONE: &str = "+989121234568";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/141.0.0.0 Safari/537.36";

/// Signs in on a device that sends such a `User-Agent` header and gives itself such a name.
async fn sign_in(
    app: &TestApp,
    phone: &str,
    user_agent: Option<&str>,
    device_name: Option<&str>,
) -> SignedInDevice {
    app.advance_time(60);
    let code = app.api.login(phone).await.code();
    let request = app.api.request(Method::POST, "/accounts/verify/");
    let request = user_agent.into_iter().fold(request, |request, text| request.header("user-agent", text));
    let body = json!({"phone_number": phone, "code": code, "device_name": device_name});
    ApiClient::send(request.json(&body)).await.signed_in()
}

async fn devices(app: &TestApp, device: &SignedInDevice) -> Vec<Value> {
    let answer = ApiClient::send(app.api.request(Method::GET, DEVICES).bearer_auth(&device.access)).await;
    answer.ok().as_array().unwrap().clone()
}

async fn id_of(app: &TestApp, device: &SignedInDevice) -> String {
    let devices = devices(app, device).await;
    let current = devices.iter().find(|listed| listed["current"] == true).unwrap();
    current["id"].as_str().unwrap().to_owned()
}

fn at(app: &TestApp, method: Method, id: &str) -> RequestBuilder {
    let request = app.api.request(method.clone(), &format!("{DEVICES}{id}/"));
    if method == Method::PATCH { request.json(&json!({"device_name": "Eve’s"})) } else { request }
}

async fn rename(app: &TestApp, by: &SignedInDevice, id: &str, name: Value) -> ApiAnswer {
    let request = app.api.request(Method::PATCH, &format!("{DEVICES}{id}/")).bearer_auth(&by.access);
    ApiClient::send(request.json(&json!({"device_name": name}))).await
}

async fn revoke(app: &TestApp, by: &SignedInDevice, id: &str) -> ApiAnswer {
    ApiClient::send(at(app, Method::DELETE, id).bearer_auth(&by.access)).await
}

#[tokio::test]
async fn devices_200_has_the_documented_facts_and_no_others() {
    let app = TestApp::start().await;
    let device = sign_in(&app, PHONE, Some(CHROME), Some("Ada’s laptop")).await;
    let answer = ApiClient::send(app.api.request(Method::GET, DEVICES).bearer_auth(&device.access)).await;
    let names = [
        "current",
        "device_name",
        "expires_at",
        "id",
        "ip_address",
        "last_seen_at",
        "signed_in_at",
        "user_agent",
    ];
    assert_eq!(answer.names("/0"), names);
    let listed = &answer.ok()[0];
    assert_eq!((&listed["device_name"], &listed["user_agent"]), (&json!("Ada’s laptop"), &json!(CHROME)));
    assert_eq!((&listed["ip_address"], &listed["current"]), (&json!("127.0.0.1"), &json!(true)));
    assert_eq!(listed["signed_in_at"], device.user["last_login"]);
    assert_eq!(listed["last_seen_at"], listed["signed_in_at"]);
    uuid::Uuid::try_parse(listed["id"].as_str().unwrap()).unwrap();
}

#[tokio::test]
async fn devices_200_lists_the_own_live_logins_the_last_used_first() {
    let app = TestApp::start().await;
    let first = sign_in(&app, PHONE, None, Some("first")).await;
    let second = sign_in(&app, PHONE, None, Some("second")).await;
    let gone = sign_in(&app, PHONE, None, Some("gone")).await;
    let foreign = sign_in(&app, OTHER_PHONE, None, Some("foreign")).await;
    assert_eq!(app.api.logout(&gone.refresh).await.status, 204);
    let listed = |devices: Vec<Value>| -> Vec<(String, bool)> {
        let of = |device: &Value| {
            (device["device_name"].as_str().unwrap().to_owned(), device["current"].as_bool().unwrap())
        };
        devices.iter().map(of).collect()
    };
    let expected = |names: [(&str, bool); 2]| names.map(|(name, current)| (name.to_owned(), current));
    assert_eq!(listed(devices(&app, &first).await), expected([("second", false), ("first", true)]));
    app.advance_time(1);
    app.api.refresh(&first.refresh).await.ok();
    assert_eq!(listed(devices(&app, &second).await), expected([("first", false), ("second", true)]));
    assert_eq!(listed(devices(&app, &foreign).await), [("foreign".to_owned(), true)]);
}

#[tokio::test]
async fn devices_200_without_a_login_that_has_expired() {
    let app = TestApp::with_settings(&[("sessions.idle", "600")]).await;
    sign_in(&app, PHONE, None, Some("first")).await;
    app.advance_time(540);
    let second = sign_in(&app, PHONE, None, Some("second")).await;
    assert_eq!(devices(&app, &second).await.len(), 1);
}

#[tokio::test]
async fn devices_200_names_a_nameless_device_by_its_user_agent() {
    let app = TestApp::start().await;
    for (user_agent, name) in [
        (Some(CHROME), json!("Chrome on Windows")),
        (Some("okhttp/4.12.0"), json!("okhttp")),
        (Some("Mozilla/5.0"), json!(null)),
        (None, json!(null)),
    ] {
        let device = sign_in(&app, PHONE, user_agent, None).await;
        assert_eq!(devices(&app, &device).await[0]["device_name"], name, "{user_agent:?}");
    }
    // It is no fact, so the log has none of it.
    let stored: i64 = app.database.value("SELECT count(device_name) FROM user_logins").await;
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn devices_200_shows_the_user_agent_and_the_time_of_the_last_use() {
    let app = TestApp::start().await;
    let device = sign_in(&app, PHONE, Some(CHROME), None).await;
    app.advance_time(60);
    let request = app.api.request(Method::POST, "/accounts/refresh/").header("user-agent", "curl/8.5.0");
    ApiClient::send(request.json(&json!({"refresh_token": device.refresh}))).await.ok();
    let listed = &devices(&app, &device).await[0];
    assert_eq!((&listed["user_agent"], &listed["device_name"]), (&json!("curl/8.5.0"), &json!("curl")));
    assert!(listed["last_seen_at"].as_str().unwrap() > listed["signed_in_at"].as_str().unwrap());
}

/// By one row that is written now and then, whatever the number of requests and nodes; neither by an event, nor in a read
/// model, which stays what the log comes to.
#[tokio::test]
async fn a_device_that_only_uses_its_access_token_was_seen_within_a_minute() {
    let app = TestApp::start().await;
    let (node, _proxy) = app.second_node(&[]).await;
    let device = sign_in(&app, PHONE, Some(CHROME), None).await;
    let counts = async || {
        let sql = "SELECT (SELECT count(*) FROM events) || ' ' || (SELECT count(*) FROM session_uses)";
        app.database.value::<String>(sql).await
    };
    let before = app.clock.now();
    app.advance_time(300);
    for api in [&app.api, &node.api, &app.api] {
        app.advance_time(1);
        api.profile(&device.access).await.ok();
        api.token_verify(&device.access).await.ok();
    }
    assert_eq!(counts().await, "3 0", "a request writes nothing");
    // The later use is told, whichever node writes first.
    app.state.write_uses().await;
    node.state.write_uses().await;
    assert_eq!(counts().await, "3 1");
    let seen = app.clock.now();
    let listed = devices(&app, &device).await;
    assert_eq!(listed[0]["last_seen_at"], json!(seen));
    assert_eq!(listed[0]["signed_in_at"], json!(before));

    let admin = app.sign_in_admin(OTHER_PHONE).await;
    let path = format!("/admin/device-sessions/?account_id={}", device.account());
    assert_eq!(app.api.get(&path, &admin.access).await.ok()["items"][0]["last_seen_at"], json!(seen));
    let (models, now) = (counterfoil_projections::ALL, app.clock.now());
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &models, now, &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");

    // A refresh is later again, and what was written before it does not take it back.
    app.advance_time(10);
    let refreshed = app.api.refresh(&device.refresh).await.ok();
    app.state.write_uses().await;
    let device = SignedInDevice { access: refreshed["access_token"].as_str().unwrap().to_owned(), ..device };
    assert_eq!(devices(&app, &device).await[0]["last_seen_at"], json!(app.clock.now()));
}

/// What one node cannot write while the database is away, it writes later.
#[tokio::test]
async fn session_uses_that_cannot_be_written_are_written_later() {
    let app = TestApp::start().await;
    let (node, proxy) = app.second_node(&[]).await;
    let device = sign_in(&app, PHONE, None, None).await;
    app.advance_time(60);
    node.api.profile(&device.access).await.ok();
    let seen = app.clock.now();
    proxy.set_mode(ProxyMode::Disconnected).await;
    node.state.write_uses().await;
    let listed = devices(&app, &device).await;
    assert_eq!(listed[0]["last_seen_at"], listed[0]["signed_in_at"]);
    proxy.set_mode(ProxyMode::Connected).await;
    // A connection from before may have to be given up first.
    for _ in 0..3 {
        node.state.write_uses().await;
    }
    assert_eq!(devices(&app, &device).await[0]["last_seen_at"], json!(seen));
}

#[tokio::test]
async fn device_rename_200_gives_the_device_its_new_name() {
    let app = TestApp::start().await;
    let phone = sign_in(&app, PHONE, None, Some("phone")).await;
    let laptop = sign_in(&app, PHONE, Some(CHROME), None).await;
    for (device, name, kept) in
        [(&phone, "  گوشی آدا ", "گوشی آدا"), (&laptop, "Ada’s <b>laptop</b>", "Ada’s <b>laptop</b>")]
    {
        let id = id_of(&app, device).await;
        let renamed = rename(&app, &laptop, &id, json!(name)).await.ok();
        assert_eq!((&renamed["id"], &renamed["device_name"]), (&json!(id), &json!(kept)));
        assert!(devices(&app, &phone).await.iter().any(|listed| listed["device_name"] == kept));
    }
    // Refreshing does not take the name away.
    app.api.refresh(&laptop.refresh).await.ok();
    assert!(devices(&app, &phone).await.iter().any(|listed| listed["device_name"] == "Ada’s <b>laptop</b>"));
}

#[tokio::test]
async fn device_rename_400_names_each_wrong_field() {
    let app = TestApp::start().await;
    let device = sign_in(&app, PHONE, None, Some("phone")).await;
    let id = id_of(&app, &device).await;
    let long = "x".repeat(101);
    for odd in ["", " ", "a\0b", "a\nb", "a\u{202e}b", &long] {
        rename(&app, &device, &id, json!(odd)).await.refuses_fields(&["device_name"]);
    }
    for odd in [json!(null), json!(5), json!(true), json!(["x"]), json!({"a": 1})] {
        rename(&app, &device, &id, odd).await.refuses_fields(&["device_name"]);
    }
    let path = format!("{DEVICES}{id}/");
    app.api.patch(&path, &device.access, json!({})).await.refuses_fields(&["device_name"]);
    let more = json!({"device_name": "x", "current": true, "ip_address": "192.0.2.1"});
    app.api.patch(&path, &device.access, more).await.refuses_fields(&["current", "ip_address"]);
    assert_eq!(devices(&app, &device).await[0]["device_name"], "phone");
}

#[tokio::test]
async fn device_revoke_204_ends_its_tokens_at_once_and_no_others() {
    let app = TestApp::start().await;
    let revoked = sign_in(&app, PHONE, None, None).await;
    let own = sign_in(&app, PHONE, None, None).await;
    let id = id_of(&app, &revoked).await;
    let answer = revoke(&app, &own, &id).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    app.api.refresh(&revoked.refresh).await.is_problem(400, "invalid_token");
    app.api.profile(&revoked.access).await.is_problem(401, "invalid_access_token");
    for token in [&revoked.access, &revoked.refresh] {
        app.api.token_verify(token).await.is_problem(400, "invalid_token");
    }
    assert_eq!(devices(&app, &own).await.len(), 1);
    app.api.refresh(&own.refresh).await.ok();
    let reason: String =
        app.database.value("SELECT end_reason FROM user_logins WHERE ended_at IS NOT NULL").await;
    assert_eq!(reason, "device_revoked");
}

#[tokio::test]
async fn device_revoke_204_of_the_own_device_is_signing_out() {
    let app = TestApp::start().await;
    let device = sign_in(&app, PHONE, None, None).await;
    let id = id_of(&app, &device).await;
    assert_eq!(revoke(&app, &device, &id).await.status, 204);
    revoke(&app, &device, &id).await.is_problem(401, "invalid_access_token");
    app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    let reason: String = app.database.value("SELECT end_reason FROM user_logins").await;
    assert_eq!(reason, "signed_out");
}

#[tokio::test]
async fn device_404_is_the_same_for_every_id_that_is_no_live_session_of_the_caller() {
    let app = TestApp::start().await;
    let foreign = sign_in(&app, OTHER_PHONE, None, Some("foreign")).await;
    let ended = sign_in(&app, PHONE, None, None).await;
    let ended_id = id_of(&app, &ended).await;
    app.api.logout(&ended.refresh).await;
    let own = sign_in(&app, PHONE, None, None).await;
    let account = own.user["id"].as_str().unwrap();
    for method in [Method::PATCH, Method::DELETE] {
        let ask =
            async |id: &str| ApiClient::send(at(&app, method.clone(), id).bearer_auth(&own.access)).await;
        let seen = ask("00000000-0000-7000-8000-000000000000").await.appearance();
        let foreign_id = id_of(&app, &foreign).await;
        let long = "0".repeat(2_000);
        for id in [
            foreign_id.as_str(),
            &ended_id,
            account,
            "x",
            "0",
            "-1",
            "%00",
            "%ff",
            "%F0%9F%99%82",
            "..%2f",
            "null",
            "'%20OR%201=1--",
            &ended_id[1..],
            &format!("{foreign_id}0"),
            &long,
        ] {
            let answer = ask(id).await;
            answer.is_problem(404, "not_found");
            assert_eq!(answer.appearance(), seen, "{method} {id}");
        }
    }
    assert_eq!(devices(&app, &foreign).await[0]["device_name"], "foreign");
    app.api.refresh(&foreign.refresh).await.ok();
}

#[tokio::test]
async fn devices_401_without_a_token_or_with_one_that_is_not_valid() {
    let app = TestApp::start().await;
    let device = sign_in(&app, PHONE, None, None).await;
    let id = id_of(&app, &device).await;
    for (method, id) in [(Method::GET, ""), (Method::PATCH, &*id), (Method::DELETE, &*id)] {
        let request = || match id {
            "" => app.api.request(Method::GET, DEVICES),
            id => at(&app, method.clone(), id),
        };
        ApiClient::send(request()).await.is_problem(401, "not_authenticated");
        for token in ["x", &device.refresh, &device.access[1..]] {
            ApiClient::send(request().bearer_auth(token)).await.is_problem(401, "invalid_access_token");
        }
    }
    app.api.logout(&device.refresh).await;
    for method in [Method::PATCH, Method::DELETE] {
        let answer = ApiClient::send(at(&app, method, &id).bearer_auth(&device.access)).await;
        answer.is_problem(401, "invalid_access_token");
    }
}

#[tokio::test]
async fn device_403_for_a_cookie_from_another_site() {
    let app = TestApp::start().await;
    let device = sign_in(&app, PHONE, None, None).await;
    let other = sign_in(&app, PHONE, None, None).await;
    let id = id_of(&app, &other).await;
    let cookie = format!("Authorization=Bearer {}", device.access);
    for (header, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")]
    {
        for method in [Method::PATCH, Method::DELETE] {
            let request = at(&app, method, &id).header("cookie", &cookie).header(header, value);
            ApiClient::send(request).await.is_problem(403, "cross_site_request");
        }
        let list = app.api.request(Method::GET, DEVICES).header("cookie", &cookie).header(header, value);
        ApiClient::send(list).await.ok();
    }
    assert_eq!(devices(&app, &other).await.len(), 2);
    let request = at(&app, Method::DELETE, &id).header("cookie", &cookie);
    assert_eq!(ApiClient::send(request.header("sec-fetch-site", "same-origin")).await.status, 204);
}
