//! Cookies of our own, and pages of other origins

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, Api, TestApp};

const PHONE: &str = "+989121234567";
const SETTINGS: &str = r#"
[browsers]
cookies = "MODE"
allowed_origins = ["https://app.example"]
"#;

async fn start(cookies: &str) -> TestApp {
    TestApp::configured(&SETTINGS.replace("MODE", cookies)).await
}

/// As a page of our own sends it.
fn from_our_page(request: RequestBuilder) -> RequestBuilder {
    request.header("sec-fetch-site", "same-origin")
}

async fn verify(app: &TestApp, prepare: impl Fn(RequestBuilder) -> RequestBuilder) -> Answer {
    let code = app.api.login(PHONE).await.code();
    let request = app.api.request(Method::POST, "/accounts/verify/");
    Api::send(prepare(request.json(&json!({"phone_number": PHONE, "code": code})))).await
}

/// The cookies of an answer, each with its attributes.
fn cookies(answer: &Answer) -> Vec<Vec<String>> {
    let headers = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    headers.map(|header| header.split("; ").map(str::to_owned).collect()).collect()
}

/// What a browser sends back for a cookie: its name and value.
fn pair(answer: &Answer, name: &str) -> String {
    let cookies = cookies(answer);
    let cookie = cookies.iter().find(|cookie| cookie[0].starts_with(&format!("{name}=")));
    cookie.unwrap_or_else(|| panic!("no {name} in {answer:?}"))[0].clone()
}

#[tokio::test]
async fn verify_gives_our_own_page_its_tokens_in_cookies_that_no_script_reads() {
    let app = start("only").await;
    let answer = verify(&app, from_our_page).await;
    assert_eq!(answer.names("/token"), ["expires_in", "refresh_expires_in", "token_type"]);
    let cookies = cookies(&answer);
    assert_eq!(cookies.len(), 2);
    for (cookie, name, path) in [
        (&cookies[0], "__Host-counterfoil_access=cfa_", "Path=/"),
        (&cookies[1], "__Secure-counterfoil_refresh=cfr_", "Path=/accounts/refresh"),
    ] {
        assert!(cookie[0].starts_with(name) && cookie[0].len() < 4096, "{cookie:?}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", path] {
            assert!(cookie.iter().any(|its| its == attribute), "{attribute}: {cookie:?}");
        }
        assert!(!cookie.iter().any(|its| its.starts_with("Domain")), "{cookie:?}");
    }
}

#[tokio::test]
async fn verify_gives_cookies_to_nobody_but_pages_of_ours_and_of_allowed_origins() {
    let allowed = |request: RequestBuilder| request.header("origin", "https://app.example");
    let foreign = |request: RequestBuilder| request.header("origin", "https://evil.example");
    let cross_site = |request: RequestBuilder| request.header("sec-fetch-site", "cross-site");
    let (also, off) = (start("also").await, start("off").await);
    for (app, prepare, given) in [
        (&also, &allowed as &dyn Fn(RequestBuilder) -> RequestBuilder, 2),
        (&also, &from_our_page, 2),
        (&also, &foreign, 0),
        (&also, &cross_site, 0),
        (&also, &|request| request, 0),
        (&off, &from_our_page, 0),
    ] {
        app.wait(61);
        let answer = verify(app, prepare).await;
        assert_eq!(cookies(&answer).len(), given, "{answer:?}");
        answer.signed_in();
    }
}

#[tokio::test]
async fn a_page_uses_refreshes_and_signs_out_by_its_cookies_alone() {
    let app = start("only").await;
    let signed_in = verify(&app, from_our_page).await;
    let send = async |method, path: &str, cookie: &str, body: Option<Value>| {
        let request = from_our_page(app.api.request(method, path)).header("cookie", cookie);
        Api::send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    };
    let (access, refresh) =
        (pair(&signed_in, "__Host-counterfoil_access"), pair(&signed_in, "__Secure-counterfoil_refresh"));
    send(Method::GET, "/accounts/profile/", &access, None).await.ok();
    let refreshed = send(Method::POST, "/accounts/refresh/", &refresh, Some(json!({}))).await;
    assert_eq!(refreshed.names(""), ["expires_in", "refresh_expires_in", "token_type"]);
    let access = pair(&refreshed, "__Host-counterfoil_access");
    // The cookie of one kind under the name of the other is no token.
    let swapped = access.replace("__Host-counterfoil_access", "__Secure-counterfoil_refresh");
    send(Method::POST, "/accounts/refresh/", &swapped, Some(json!({})))
        .await
        .is_problem(400, "invalid_token");

    let signed_out = send(Method::POST, "/accounts/logout/", &access, Some(json!({}))).await;
    assert_eq!(signed_out.status, 204);
    for cookie in cookies(&signed_out) {
        assert!(cookie[0].ends_with('=') && cookie.iter().any(|its| its == "Max-Age=0"), "{cookie:?}");
    }
    send(Method::GET, "/accounts/profile/", &access, None).await.is_problem(401, "invalid_access_token");
    let refresh = pair(&refreshed, "__Secure-counterfoil_refresh");
    send(Method::POST, "/accounts/refresh/", &refresh, Some(json!({})))
        .await
        .is_problem(400, "invalid_token");
}

#[tokio::test]
async fn cookies_do_nothing_for_another_sites_page() {
    let app = start("also").await;
    let signed_in = verify(&app, from_our_page).await;
    let (access, refresh) =
        (pair(&signed_in, "__Host-counterfoil_access"), pair(&signed_in, "__Secure-counterfoil_refresh"));
    for (path, cookie) in [("/accounts/refresh/", &refresh), ("/accounts/logout/", &access)] {
        for (name, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let request = app.api.request(Method::POST, path).header("cookie", cookie).header(name, value);
            Api::send(request.json(&json!({}))).await.is_problem(403, "cross_site_request");
        }
    }
    app.api.refresh(&signed_in.signed_in().refresh).await.ok();
}

#[tokio::test]
async fn refresh_400_for_two_tokens_and_for_none() {
    let app = start("also").await;
    let signed_in = verify(&app, from_our_page).await;
    let cookie = pair(&signed_in, "__Secure-counterfoil_refresh");
    let request = from_our_page(app.api.request(Method::POST, "/accounts/refresh/")).header("cookie", cookie);
    Api::send(request.json(&json!({"refresh_token": "x"}))).await.is_problem(400, "invalid_request");
    app.api.post("/accounts/refresh/", json!({})).await.refuses_fields(&["refresh_token"]);
    // Without the setting the cookie is nobody's.
    let off = start("off").await;
    let request = from_our_page(off.api.request(Method::POST, "/accounts/refresh/"));
    let request = request.header("cookie", "__Secure-counterfoil_refresh=x");
    Api::send(request.json(&json!({}))).await.refuses_fields(&["refresh_token"]);
}

#[tokio::test]
async fn only_allowed_origins_are_told_that_they_may_read() {
    let app = start("off").await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://app.example", false),
        ("https://app.example.evil", false),
        ("https://evilapp.example", false),
        ("https://appxexample", false),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let preflight = app.api.request(Method::OPTIONS, "/accounts/profile/").header("origin", origin);
        let preflight = preflight
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,content-type");
        let refused = app.api.request(Method::GET, "/accounts/profile/").header("origin", origin);
        for (request, status) in [(preflight, None), (refused, Some(401))] {
            let answer = Api::send(request).await;
            let told = answer.header("access-control-allow-origin");
            assert_eq!(told, allowed.then_some(origin), "{origin}: {answer:?}");
            assert!(
                !allowed || answer.header("access-control-allow-credentials") == Some("true"),
                "{answer:?}"
            );
            assert!(answer.header("x-request-id").is_some(), "{answer:?}");
            if let Some(status) = status {
                assert_eq!(answer.status, status);
                assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"), "{answer:?}");
            } else if allowed {
                assert_eq!(answer.status, 200);
                assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
            }
        }
    }
}
