//! What administrators read is on record.

use counterfoil_domain::user_account::{AccountFact, StaffRecordFact};
use reqwest::Method;

use super::{ADMIN, PHONE};
use crate::support::{ApiClient, SignedInDevice, TestApp};

/// What an administrator read, as the log has it: the page, what was searched for, and why.
async fn reads(app: &TestApp, admin: &SignedInDevice) -> Vec<(String, Option<String>, Option<String>)> {
    let history = app.journal().history(admin.account()).await.unwrap();
    let reads = history.into_iter().filter_map(|(_, event)| {
        let AccountFact::StaffRecord(StaffRecordFact::StaffRead { what, .. }) = event.fact else {
            return None;
        };
        let person = event.person.unwrap_or_default();
        Some((what, person.query, person.reason.map(|reason| reason.as_str().to_owned())))
    });
    reads.collect()
}

#[tokio::test]
async fn a_page_and_a_search_are_recorded_once_and_what_was_searched_for_is_sealed() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let account = device.account();
    for path in [
        format!("/admin/accounts/{account}/"),
        format!("/admin/accounts/{account}/?cursor=not-read"),
        "/admin/accounts/?phone_number=%2B989121234567".to_owned(),
        "/admin/accounts/?fullname=Ada&state=active".to_owned(),
        "/admin/accounts/?fullname=Bob&state=active".to_owned(),
        "/admin/accounts/?fullname=Ada&state=active&limit=1".to_owned(),
        "/admin/identifiers/?email=unknown@example.com".to_owned(),
        "/admin/device-sessions/?ip_address=192.0.2.0/24&active=true".to_owned(),
    ] {
        let request = app.api.request(Method::GET, &path).bearer_auth(&admin.access);
        ApiClient::send(request.header("X-Audit-Reason", "ticket 7")).await.ok();
    }
    let page = |what: &str| what.to_owned();
    let asked = |what: &str, query: &str| (page(what), Some(query.to_owned()), Some("ticket 7".to_owned()));
    assert_eq!(
        reads(&app, &admin).await,
        [
            (page(&format!("GET /admin/accounts/{account}")), None, Some("ticket 7".to_owned())),
            (page(&format!("GET /admin/accounts account_id={account}")), None, Some("ticket 7".to_owned())),
            asked("GET /admin/accounts state=active", "fullname=Ada"),
            asked("GET /admin/accounts state=active", "fullname=Bob"),
            asked("GET /admin/identifiers", "email=unknown@example.com"),
            asked("GET /admin/device-sessions active=true", "ip_address=192.0.2.0/24"),
        ]
    );
    let stored: String = app.database.value("SELECT string_agg(payload::text, '') FROM events").await;
    for text in ["Ada", "unknown@", "192.0.2.0", "ticket 7"] {
        assert!(!stored.contains(text), "{text}");
    }
}

#[tokio::test]
async fn a_query_that_the_operation_does_not_read_leaves_nothing_of_it_in_the_log() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let account = device.account();
    for path in [format!("/admin/accounts/{account}/"), "/admin/projections/".to_owned()] {
        app.api.get(&format!("{path}?note=Ada&phone_number=%2B989121234567"), &admin.access).await.ok();
    }
    let page = |path: String| (format!("GET {path}"), None, None);
    assert_eq!(reads(&app, &admin).await[0], page(format!("/admin/accounts/{account}")));
    let stored: String = app.database.value("SELECT string_agg(payload::text, '') FROM events").await;
    for text in ["Ada", "9121234567"] {
        assert!(!stored.contains(text), "{text}");
    }
}

#[tokio::test]
async fn what_is_refused_is_not_read_and_not_recorded() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.api.get("/admin/accounts/?state=happy", &admin.access).await.refuses_fields(&["state"]);
    let request = app.api.request(Method::GET, "/admin/accounts/").bearer_auth(&admin.access);
    ApiClient::send(request.header("X-Audit-Reason", "x".repeat(301))).await.refuses_fields(&["reason"]);
    assert_eq!(reads(&app, &admin).await, []);
}

#[tokio::test]
async fn after_three_hundred_pages_in_ten_minutes_nothing_more_is_shown_for_a_while() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for n in 0..300 {
        app.api.get(&format!("/admin/accounts/?fullname=A{n}"), &admin.access).await.ok();
    }
    let refused = app.api.get("/admin/accounts/?fullname=B", &admin.access).await;
    refused.is_problem(429, "too_many_requests");
    assert!(refused.retry_after().is_some_and(|wait| (1..=600).contains(&wait)), "{refused:?}");
    app.advance_time(refused.retry_after().unwrap());
    let renewed = app.api.refresh(&admin.refresh).await.ok();
    app.api.get("/admin/accounts/?fullname=B", renewed["access_token"].as_str().unwrap()).await.ok();
}
