//! Every way a session can end, and every use of its tokens afterwards: on the node where it ended and on another.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, DatabaseProxy, ProxyMode, SignedInDevice, TestApp};

/// After how many milliseconds the tokens are used.
const DELAYS: [u64; 4] = [0, 10, 100, 1_000];

/// For how long after the end an access token may still work on another node.
const SOON: Duration = Duration::from_secs(2);

/// How a session ends.
#[derive(Clone, Copy, Debug)]
enum SessionEnd {
    Logout,
    LogoutAll,
    LogoutAllOthers,
    DeviceRevoked,
    DeviceLimit,
    SignedInAgain,
    TokenReuse,
    ClientChanged,
    EndedByAdmin,
    SignedOutByAdmin,
    Suspended,
    Idle,
    Absolute,
}

impl SessionEnd {
    const ALL: [Self; 13] = [
        Self::Logout,
        Self::LogoutAll,
        Self::LogoutAllOthers,
        Self::DeviceRevoked,
        Self::DeviceLimit,
        Self::SignedInAgain,
        Self::TokenReuse,
        Self::ClientChanged,
        Self::EndedByAdmin,
        Self::SignedOutByAdmin,
        Self::Suspended,
        Self::Idle,
        Self::Absolute,
    ];

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Logout
            | Self::LogoutAll
            | Self::LogoutAllOthers
            | Self::DeviceRevoked
            | Self::SignedInAgain
            | Self::TokenReuse
            | Self::EndedByAdmin
            | Self::SignedOutByAdmin
            | Self::Suspended => &[],
            Self::DeviceLimit => &[("sessions.device_limit", "1")],
            Self::ClientChanged => &[("sessions.binding", "device_and_ip")],
            Self::Idle | Self::Absolute => &[("sessions.idle", "60"), ("sessions.absolute", "90")],
        }
    }

    /// Ends the session whose newest tokens these are, and whose last spent refresh token that one.
    async fn bring_about(self, app: &TestApp, phone: &str, newest: &SignedInDevice, spent: &str) {
        let other_device = async || {
            app.advance_time(60);
            app.api.sign_in(phone).await
        };
        let done = match self {
            Self::Logout => app.api.logout(&newest.refresh).await,
            Self::LogoutAll => logout_all(app, newest, json!({})).await,
            Self::LogoutAllOthers => {
                logout_all(app, &other_device().await, json!({"keep_current": true})).await
            }
            Self::DeviceRevoked => {
                let other = other_device().await;
                let list = app.api.request(Method::GET, "/accounts/devices/").bearer_auth(&other.access);
                let devices = ApiClient::send(list).await.ok();
                let of = |device: &&Value| device["current"] == false;
                let id =
                    devices.as_array().unwrap().iter().find(of).unwrap()["id"].as_str().unwrap().to_owned();
                let revoke = app.api.request(Method::DELETE, &format!("/accounts/devices/{id}/"));
                ApiClient::send(revoke.bearer_auth(&other.access)).await
            }
            Self::DeviceLimit => {
                other_device().await;
                return;
            }
            Self::SignedInAgain => {
                app.advance_time(60);
                let code = app.api.login(phone).await.code();
                let verify = app.api.request(Method::POST, "/accounts/verify/").bearer_auth(&newest.access);
                ApiClient::send(verify.json(&json!({"phone_number": phone, "code": code}))).await.signed_in();
                return;
            }
            Self::TokenReuse => {
                app.advance_time(60);
                app.api.refresh(spent).await.is_problem(400, "invalid_token");
                return;
            }
            Self::ClientChanged => {
                let request =
                    app.api.request(Method::POST, "/accounts/refresh/").header("user-agent", "Eve/1.0");
                let answer = ApiClient::send(request.json(&json!({"refresh_token": newest.refresh}))).await;
                answer.is_problem(400, "invalid_token");
                return;
            }
            Self::EndedByAdmin => {
                let admin = admin(app, phone).await;
                let path = format!("/admin/device-sessions/?account_id={}", account(app, newest).await);
                let sessions = app.api.get(&path, &admin.access).await.ok();
                let path =
                    format!("/admin/device-sessions/{}/", sessions["items"][0]["id"].as_str().unwrap());
                app.api.send_json(Method::DELETE, &path, &admin.access, json!({"reason": "stolen"})).await
            }
            Self::SignedOutByAdmin | Self::Suspended => {
                let admin = admin(app, phone).await;
                let what = if matches!(self, Self::Suspended) { "suspend" } else { "sign-out" };
                let path = format!("/admin/accounts/{}/{what}/", account(app, newest).await);
                app.api.send_json(Method::POST, &path, &admin.access, json!({"reason": "stolen"})).await
            }
            Self::Idle => return app.advance_time(60),
            Self::Absolute => return app.advance_time(40),
        };
        assert_eq!(done.status, 204, "{self:?}: {done:?}");
    }
}

/// An administrator for each person.
async fn admin(app: &TestApp, phone: &str) -> SignedInDevice {
    app.sign_in_admin(&phone.replacen("+98912", "+98913", 1)).await
}

/// Whose device it is.
async fn account(app: &TestApp, device: &SignedInDevice) -> String {
    app.api.profile(&device.access).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn logout_all(app: &TestApp, device: &SignedInDevice, body: Value) -> ApiAnswer {
    let request = app.api.request(Method::POST, "/accounts/logout/all/").bearer_auth(&device.access);
    ApiClient::send(request.json(&body)).await
}

fn next(answer: &ApiAnswer) -> SignedInDevice {
    let body = answer.ok();
    let token = |name: &str| body[name].as_str().unwrap().to_owned();
    SignedInDevice { user: Value::Null, access: token("access_token"), refresh: token("refresh_token") }
}

/// A user signs in on this node and refreshes on the other node, which remembers the account from then on.
async fn sign_in(end: SessionEnd, here: &TestApp, there: &TestApp, phone: &str) -> (SignedInDevice, String) {
    let first = here.api.sign_in(phone).await;
    if matches!(end, SessionEnd::Absolute) {
        here.advance_time(50);
    }
    let newest = next(&there.api.refresh(&first.refresh).await);
    for node in [here, there] {
        node.api.profile(&newest.access).await.ok();
        node.api.token_verify(&newest.access).await.ok();
        node.api.token_verify(&newest.refresh).await.ok();
    }
    (newest, first.refresh)
}

async fn ends_for_every_use(end: SessionEnd) {
    let here = TestApp::with_settings(end.settings()).await;
    let (there, proxy) = here.second_node(end.settings()).await;
    for (n, delay) in DELAYS.into_iter().enumerate() {
        let phone = format!("+98912123456{n}");
        let (newest, spent) = sign_in(end, &here, &there, &phone).await;
        end.bring_about(&here, &phone, &newest, &spent).await;
        let ended = Instant::now();
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let uses = [(&here, true), (&there, false)].map(async |(node, is_own)| {
            let asked = ended.elapsed();
            let profile = node.api.profile(&newest.access).await;
            let verified = node.api.token_verify(&newest.access).await;
            for (answer, refused) in [(profile, 401), (verified, 400)] {
                let still_works = !is_own && answer.status == 200 && asked < SOON;
                assert!(
                    still_works || answer.status == refused,
                    "{end:?}, {asked:?} later, own node: {is_own}: {answer:?}"
                );
            }
            for refresh in [&newest.refresh, &spent] {
                node.api.token_verify(refresh).await.is_problem(400, "invalid_token");
                node.api.refresh(refresh).await.is_problem(400, "invalid_token");
            }
        });
        join_all(uses).await;
    }
    ends_with_the_feed_cut(end, &here, &there, &proxy).await;
}

/// The other node hears of no change and reaches no database: it accepts no token, and refuses the ended one once it is back.
async fn ends_with_the_feed_cut(end: SessionEnd, here: &TestApp, there: &TestApp, proxy: &DatabaseProxy) {
    let phone = "+989121234569";
    let (newest, spent) = sign_in(end, here, there, phone).await;
    proxy.set_mode(ProxyMode::Stalled).await;
    end.bring_about(here, phone, &newest, &spent).await;
    tokio::time::sleep(SOON).await;
    let (answer, verified) =
        tokio::join!(there.api.profile(&newest.access), there.api.token_verify(&newest.access));
    assert!([401, 503].contains(&answer.status.as_u16()), "{end:?}: {answer:?}");
    assert!([400, 503].contains(&verified.status.as_u16()), "{end:?}: {verified:?}");
    proxy.set_mode(ProxyMode::Disconnected).await;
    proxy.set_mode(ProxyMode::Connected).await;
    for _ in 0..100 {
        let answer = there.api.profile(&newest.access).await;
        if answer.status != 503 {
            answer.is_problem(401, "invalid_access_token");
            there.api.refresh(&newest.refresh).await.is_problem(400, "invalid_token");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{end:?}: the other node did not recover within 5 seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_session_ends_no_token_of_it_works_afterwards() {
    // Three services at a time: each has two nodes with connections of their own.
    for ends in SessionEnd::ALL.chunks(3) {
        join_all(ends.iter().map(|end| ends_for_every_use(*end))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_under_way_does_not_outlive_signing_out_everywhere_else() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    for round in 0..5 {
        let phone = &format!("+98912123456{round}");
        let ending = here.api.sign_in(phone).await;
        here.advance_time(60);
        let kept = here.api.sign_in(phone).await;
        let refreshes = (0..20).map(async |n| {
            let node = if n % 2 == 0 { &here } else { &there };
            node.api.refresh(&ending.refresh).await
        });
        let (refreshed, done) =
            tokio::join!(join_all(refreshes), logout_all(&here, &kept, json!({"keep_current": true})));
        assert_eq!(done.status, 204, "{done:?}");
        let mut tokens = vec![ending.refresh.clone()];
        tokens.extend(
            refreshed.iter().filter(|answer| answer.status == 200).map(|answer| next(answer).refresh),
        );
        for token in &tokens {
            for node in [&here, &there] {
                node.api.refresh(token).await.is_problem(400, "invalid_token");
            }
        }
        here.api.refresh(&kept.refresh).await.ok();
    }
}
