//! Cookies of our own, and pages of other origins

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, TestApp};

const PHONE: &str = "+989121234567";
const SETTINGS: &str = r#"
[browsers]
cookies = "MODE"
allowed_origins = ["https://app.example"]
"#;

async fn start(cookies: &str) -> TestApp {
    TestApp::with_toml(&SETTINGS.replace("MODE", cookies)).await
}

/// As a page of our own sends it.
fn from_our_page(request: RequestBuilder) -> RequestBuilder {
    request.header("sec-fetch-site", "same-origin")
}

async fn verify(app: &TestApp, prepare: impl Fn(RequestBuilder) -> RequestBuilder) -> ApiAnswer {
    let code = app.api.login(PHONE).await.code();
    let request = app.api.request(Method::POST, "/accounts/verify/");
    ApiClient::send(prepare(request.json(&json!({"phone_number": PHONE, "code": code})))).await
}

/// The cookies of an answer, each with its attributes.
fn cookies(answer: &ApiAnswer) -> Vec<Vec<String>> {
    let headers = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    headers.map(|header| header.split("; ").map(str::to_owned).collect()).collect()
}

/// What a browser sends back for a cookie: its name and value.
fn pair(answer: &ApiAnswer, name: &str) -> String {
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
        (&cookies[1], "__Secure-counterfoil_refresh=cfr_", "Path=/accounts"),
    ] {
        assert!(cookie[0].starts_with(name) && cookie[0].len() < 4096, "{cookie:?}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", path] {
            assert!(cookie.iter().any(|its| its == attribute), "{attribute}: {cookie:?}");
        }
        assert!(!cookie.iter().any(|its| its.starts_with("Domain")), "{cookie:?}");
    }
}

#[tokio::test]
async fn verify_gives_cookies_only_to_pages_of_ours_and_of_allowed_origins() {
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
        app.advance_time(61);
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
        ApiClient::send(match body {
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

/// The names of the cookies that an answer takes away.
fn cleared(answer: &ApiAnswer) -> Vec<String> {
    let cleared = cookies(answer).into_iter().map(|cookie| {
        assert!(cookie[0].ends_with('=') && cookie.iter().any(|its| its == "Max-Age=0"), "{cookie:?}");
        cookie[0].trim_end_matches('=').to_owned()
    });
    cleared.collect()
}

const BOTH: [&str; 2] = ["__Host-counterfoil_access", "__Secure-counterfoil_refresh"];

#[tokio::test]
async fn signing_out_when_the_browser_has_dropped_the_access_cookie_ends_the_session_and_clears_both() {
    let app = start("only").await;
    let signed_in = verify(&app, from_our_page).await;
    let (access, refresh) = (pair(&signed_in, BOTH[0]), pair(&signed_in, BOTH[1]));
    app.advance_time(601);
    let send = async |path: &str, cookie: &str| {
        let request = from_our_page(app.api.request(Method::POST, path)).header("cookie", cookie);
        ApiClient::send(request.json(&json!({}))).await
    };
    let signed_out = send("/accounts/logout/", &refresh).await;
    assert_eq!((signed_out.status.as_u16(), cleared(&signed_out)), (204, BOTH.map(str::to_owned).to_vec()));
    let refused = send("/accounts/refresh/", &refresh).await;
    refused.is_problem(400, "invalid_token");
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM user_logins WHERE ended_at IS NULL").await, 0);
    // Again, with what is left: the expired cookie, none, and some that were never ours.
    for cookie in [access.as_str(), "a=b", "__Secure-counterfoil_refresh=x", "__Host-counterfoil_access="] {
        let again = send("/accounts/logout/", cookie).await;
        assert_eq!(
            (again.status.as_u16(), cleared(&again)),
            (204, BOTH.map(str::to_owned).to_vec()),
            "{cookie}"
        );
    }
    // A client that is no page is told what is wrong.
    let request = |cookie: &str| app.api.request(Method::POST, "/accounts/logout/").header("cookie", cookie);
    let body = json!({});
    ApiClient::send(request("a=b").json(&body)).await.is_problem(401, "not_authenticated");
    let cookie = "__Secure-counterfoil_refresh=x";
    ApiClient::send(request(cookie).json(&body)).await.is_problem(400, "invalid_token");
}

#[tokio::test]
async fn a_browser_that_has_dropped_its_access_cookie_signs_in_again_to_one_session() {
    let app = start("only").await;
    let mut cookie = pair(&verify(&app, from_our_page).await, BOTH[1]);
    for _ in 0..3 {
        app.advance_time(601);
        let with_cookie = |request: RequestBuilder| from_our_page(request).header("cookie", &cookie);
        cookie = pair(&verify(&app, with_cookie).await, BOTH[1]);
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM user_logins WHERE ended_at IS NULL").await, 1);
}

#[tokio::test]
async fn a_cookie_whose_token_is_refused_is_cleared_by_the_refusal_and_the_other_is_kept() {
    let app = start("only").await;
    let signed_in = verify(&app, from_our_page).await;
    let both = format!("{}; {}", pair(&signed_in, BOTH[0]), pair(&signed_in, BOTH[1]));
    let send = async |method, path: &str| {
        let request = from_our_page(app.api.request(method, path)).header("cookie", &both);
        ApiClient::send(request.json(&json!({}))).await
    };
    app.advance_time(601);
    for (method, path) in [
        (Method::GET, "/accounts/profile/"),
        (Method::DELETE, "/accounts/devices/x/"),
        (Method::GET, "/admin/accounts/"),
    ] {
        let refused = send(method, path).await;
        refused.is_problem(401, "invalid_access_token");
        assert_eq!(cleared(&refused), BOTH[..1], "{path}");
    }
    app.advance_time(31 * 24 * 3600);
    let refused = send(Method::POST, "/accounts/refresh/").await;
    refused.is_problem(400, "invalid_token");
    assert_eq!(cleared(&refused), BOTH[1..]);
    // A token in a header or in a body clears no cookie.
    for request in [
        from_our_page(app.api.request(Method::GET, "/accounts/profile/").bearer_auth("x")),
        from_our_page(
            app.api.request(Method::POST, "/accounts/refresh/").json(&json!({"refresh_token": "x"})),
        ),
        from_our_page(app.api.request(Method::POST, "/accounts/token/verify/").json(&json!({"token": "x"})))
            .header("cookie", &both),
    ] {
        assert_eq!(cleared(&ApiClient::send(request).await), [""; 0]);
    }
}

#[tokio::test]
async fn every_way_to_end_the_callers_own_session_clears_its_cookies() {
    let app = start("only").await;
    let send = async |method, path: &str, access: &str, body: Value| {
        let request = from_our_page(app.api.request(method, path)).header("cookie", access);
        let answer = ApiClient::send(request.json(&body)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        cleared(&answer)
    };
    let mut access = Vec::new();
    for _ in 0..3 {
        app.advance_time(61);
        access.push(pair(&verify(&app, from_our_page).await, BOTH[0]));
    }
    let devices =
        from_our_page(app.api.request(Method::GET, "/accounts/devices/")).header("cookie", &access[2]);
    let devices = ApiClient::send(devices).await.ok();
    let device = |current: bool| {
        let found = devices.as_array().unwrap().iter().find(|device| device["current"] == current);
        format!("/accounts/devices/{}/", found.unwrap()["id"].as_str().unwrap())
    };
    assert_eq!(send(Method::DELETE, &device(false), &access[2], json!({})).await, [""; 0]);
    assert_eq!(send(Method::DELETE, &device(true), &access[2], json!({})).await, BOTH);
    let path = "/accounts/logout/all/";
    app.advance_time(61);
    let access = pair(&verify(&app, from_our_page).await, BOTH[0]);
    assert_eq!(send(Method::POST, path, &access, json!({"keep_current": true})).await, [""; 0]);
    assert_eq!(send(Method::POST, path, &access, json!({})).await, BOTH);
}

#[tokio::test]
async fn the_path_of_the_refresh_cookie_follows_the_public_url() {
    let settings = format!("[server]\npublic_url = \"https://x.example/auth/\"\n{SETTINGS}");
    let app = TestApp::with_toml(&settings.replace("MODE", "only")).await;
    let signed_in = verify(&app, from_our_page).await;
    let refresh = from_our_page(app.api.request(Method::POST, "/accounts/refresh/").json(&json!({})));
    let refreshed = ApiClient::send(refresh.header("cookie", pair(&signed_in, BOTH[1]))).await;
    let logout = from_our_page(app.api.request(Method::POST, "/accounts/logout/").json(&json!({})));
    let signed_out = ApiClient::send(logout.header("cookie", pair(&refreshed, BOTH[1]))).await;
    for answer in [signed_in, refreshed, signed_out] {
        for (cookie, path) in cookies(&answer).iter().zip(["Path=/", "Path=/auth/accounts"]) {
            assert!(cookie.iter().any(|its| its == path), "{path}: {cookie:?}");
        }
        assert_eq!(cookies(&answer).len(), 2);
    }
}

#[tokio::test]
async fn an_allowed_page_of_another_site_gets_cookies_that_its_browser_keeps() {
    let app = start("only").await;
    let elsewhere = |request: RequestBuilder| {
        request.header("origin", "https://app.example").header("sec-fetch-site", "cross-site")
    };
    let signed_in = verify(&app, elsewhere).await;
    let cookie = pair(&signed_in, BOTH[1]);
    let request = |path: &str, cookie: &str| {
        elsewhere(app.api.request(Method::POST, path)).header("cookie", cookie).json(&json!({}))
    };
    let refreshed = ApiClient::send(request("/accounts/refresh/", &cookie)).await;
    let signed_out = ApiClient::send(request("/accounts/logout/", &pair(&refreshed, BOTH[1]))).await;
    for answer in [&signed_in, &refreshed, &signed_out] {
        assert!(answer.status.is_success() && cookies(answer).len() == 2, "{answer:?}");
        for cookie in cookies(answer) {
            for attribute in ["SameSite=None", "Secure", "HttpOnly", "Partitioned"] {
                assert!(cookie.iter().any(|its| its == attribute), "{attribute}: {cookie:?}");
            }
        }
    }
    // Of the same site, though of another origin: strict, as for our own.
    app.advance_time(61);
    let beside = |request: RequestBuilder| {
        request.header("origin", "https://app.example").header("sec-fetch-site", "same-site")
    };
    for cookie in cookies(&verify(&app, beside).await) {
        assert!(cookie.iter().any(|its| its == "SameSite=Strict"), "{cookie:?}");
    }
}

#[tokio::test]
async fn cookies_do_nothing_for_a_page_of_another_site() {
    let app = start("also").await;
    let signed_in = verify(&app, from_our_page).await;
    let (access, refresh) =
        (pair(&signed_in, "__Host-counterfoil_access"), pair(&signed_in, "__Secure-counterfoil_refresh"));
    for (path, cookie) in
        [("/accounts/refresh/", &refresh), ("/accounts/logout/", &access), ("/accounts/logout/", &refresh)]
    {
        for (name, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let request = app.api.request(Method::POST, path).header("cookie", cookie).header(name, value);
            ApiClient::send(request.json(&json!({}))).await.is_problem(403, "cross_site_request");
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
    ApiClient::send(request.json(&json!({"refresh_token": "x"}))).await.is_problem(400, "invalid_request");
    app.api.post("/accounts/refresh/", json!({})).await.refuses_fields(&["refresh_token"]);
    // Without the setting, no cookie proves the caller.
    let off = start("off").await;
    let request = from_our_page(off.api.request(Method::POST, "/accounts/refresh/"));
    let request = request.header("cookie", "__Secure-counterfoil_refresh=x");
    ApiClient::send(request.json(&json!({}))).await.refuses_fields(&["refresh_token"]);
}

#[tokio::test]
async fn only_allowed_origins_get_cors_headers() {
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
            let answer = ApiClient::send(request).await;
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

#[tokio::test]
async fn a_preflight_may_name_the_headers_of_tracing_and_those_of_the_settings_and_is_else_a_problem() {
    let settings = SETTINGS.replace("MODE", "off") + "allowed_headers = [\"X-App-Version\"]";
    let app = TestApp::with_toml(&settings).await;
    let preflight = async |origin: &str, method: &str, headers: &str| {
        let request = app.api.request(Method::OPTIONS, "/accounts/login/").header("origin", origin);
        let request = request.header("access-control-request-method", method);
        ApiClient::send(request.header("access-control-request-headers", headers)).await
    };
    let ours = "https://app.example";
    for headers in [
        "traceparent,tracestate,baggage,sentry-trace",
        "authorization,content-type,accept-language,x-request-id,x-audit-reason",
        "x-app-version, Traceparent",
    ] {
        let answer = preflight(ours, "POST", headers).await;
        assert_eq!(answer.status, 200, "{headers}: {answer:?}");
        let allowed = answer.header("access-control-allow-headers").unwrap().to_lowercase();
        assert!(headers.split(',').all(|name| allowed.contains(&name.trim().to_lowercase())), "{allowed}");
    }
    for (origin, method, headers) in [
        (ours, "POST", "x-other"),
        (ours, "POST", "traceparent,x-other"),
        (ours, "PUT", "traceparent"),
        ("https://evil.example", "POST", "traceparent"),
    ] {
        let answer = preflight(origin, method, headers).await;
        answer.is_problem(400, "preflight_refused");
        assert_eq!(
            answer.header("content-security-policy"),
            Some("default-src 'none'; frame-ancestors 'none'")
        );
    }
}
