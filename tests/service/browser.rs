//! Pages in a real browser: ours live by their cookies, others' get nothing out of them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::support::{ApiClient, ProviderReply, ProviderServer, TestApp};

/// Chromium, driven over WebDriver (W3C); ended with this value.
struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
}

impl Browser {
    async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| Some(line.split_once("successfully on port ")?.1.replace('.', "")));
        let port = port.expect("it says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
        ]});
        let capabilities = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut browser = Self { driver, http, session: format!("http://127.0.0.1:{port}/session") };
        let id = browser.tell("", capabilities).await["sessionId"].as_str().unwrap().to_owned();
        browser.session += &format!("/{id}");
        browser
    }

    /// Sends a command of WebDriver; its value.
    async fn tell(&self, command: &str, parameters: Value) -> Value {
        let sent = self.http.post(format!("{}{command}", self.session)).json(&parameters).send().await;
        let answer: Value = sent.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{answer}");
        answer["value"].clone()
    }

    async fn run(&self, command: &str, script: &str, arguments: Value) -> Value {
        self.tell(&format!("/execute/{command}"), json!({"script": script, "args": arguments})).await
    }

    async fn end(&self) {
        self.http.delete(&self.session).send().await.unwrap();
    }

    /// Sends a request from a page at `origin`, with cookies; its status and body, or that the browser kept the answer from
    /// the page.
    async fn fetch(&self, origin: &str, url: &str, options: Value) -> Value {
        if self.run("sync", "return location.origin", json!([])).await != origin {
            self.tell("/url", json!({"url": origin})).await;
        }
        let script = "const [url, options, done] = arguments;
            fetch(url, {credentials: 'include', ...options})
                .then(async answer => done({status: answer.status, body: await answer.text()}))
                .catch(error => done(error.name));";
        self.run("async", script, json!([url, options])).await
    }

    /// The first element of the page that a CSS selector finds, as WebDriver names it.
    async fn find(&self, selector: &str) -> Option<String> {
        let found = self.tell("/elements", json!({"using": "css selector", "value": selector})).await;
        let first = found.as_array().unwrap().first()?;
        Some(first.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned())
    }

    /// Presses a button with the mouse, as its user does.
    async fn press(&self, element: &str) {
        self.tell(&format!("/element/{element}/click"), json!({})).await;
    }

    /// What the page shows.
    async fn text(&self) -> String {
        self.run("sync", "return document.body.innerText", json!([])).await.as_str().unwrap().to_owned()
    }

    /// What the page's policy has kept it from since it was opened: the directive, and what it wanted.
    async fn refused_by_policy(&self) -> Value {
        let script = "const done = arguments[0], refused = [];
            const note = reports => refused.push(...reports.map(r => `${r.body.effectiveDirective} ${r.body.blockedURL}`));
            new ReportingObserver(note, {types: ['csp-violation'], buffered: true}).observe();
            setTimeout(() => done(refused), 300);";
        self.run("async", script, json!([])).await
    }

    async fn cookies_that_scripts_see(&self) -> Value {
        self.run("sync", "return document.cookie", json!([])).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

/// A site of one empty page; its port.
fn site() -> u16 {
    let page = || async {
        HttpResponse::Ok().content_type("text/html").body("<!doctype html><title>a page</title>")
    };
    let server = HttpServer::new(move || App::new().default_service(web::to(page))).workers(1);
    let server = server.disable_signals().bind("127.0.0.1:0").unwrap();
    let port = server.addrs()[0].port();
    tokio::spawn(server.run());
    port
}

fn json_body(method: &str, body: &Value) -> Value {
    json!({"method": method, "headers": {"content-type": "application/json"}, "body": body.to_string()})
}

#[tokio::test]
async fn a_page_of_the_same_site_uses_cookies_and_a_page_of_another_site_gains_nothing_from_them() {
    let ours = format!("http://localhost:{}", site());
    // Of the same site, so that the browser does send the cookies along; and of another site altogether.
    let (neighbour, stranger) =
        (format!("http://localhost:{}", site()), format!("http://127.0.0.1:{}", site()));
    let settings = format!("[browsers]\ncookies = \"only\"\nallowed_origins = [\"{ours}\"]");
    let app = TestApp::with_toml(&settings).await;
    let api = format!("http://localhost:{}/accounts", app.api.address().port());
    let browser = Browser::start().await;
    let of_page = async |origin: &str, path: &str, options: Value| {
        let answer = browser.fetch(origin, &format!("{api}{path}"), options).await;
        (answer["status"].as_u64(), answer["body"].as_str().unwrap_or_default().to_owned())
    };
    let (post, get, nothing) = (|body: Value| json_body("POST", &body), json!({"method": "GET"}), json!({}));

    let phone = "+989121234567";
    let (_, sent) = of_page(&ours, "/login/", post(json!({"phone_number": phone}))).await;
    let code = serde_json::from_str::<Value>(&sent).unwrap()["code"].clone();
    let (status, body) = of_page(&ours, "/verify/", post(json!({"phone_number": phone, "code": code}))).await;
    assert_eq!(status, Some(200), "{body}");
    assert!(!body.contains("cfa_") && !body.contains("cfr_"), "{body}");
    assert_eq!(browser.cookies_that_scripts_see().await, "");
    assert_eq!(of_page(&ours, "/profile/", get.clone()).await.0, Some(200));
    let rename = json_body("PATCH", &json!({"fullname": "Ada"}));
    assert_eq!(of_page(&ours, "/profile/", rename).await.0, Some(200));

    for other in [&neighbour, &stranger] {
        // Neither what is read, nor what is changed by JSON, nor what a form could send.
        assert_eq!(of_page(other, "/profile/", get.clone()).await.0, None, "{other}");
        let rename = json_body("PATCH", &json!({"fullname": "Mallory"}));
        assert_eq!(of_page(other, "/profile/", rename).await.0, None, "{other}");
        assert_eq!(of_page(other, "/logout/", post(nothing.clone())).await.0, None, "{other}");
        let like_a_form = json!({"method": "POST", "mode": "no-cors", "body": "{}"});
        assert_eq!(of_page(other, "/logout/", like_a_form).await.0, None, "{other}");
    }

    let (status, profile) = of_page(&ours, "/profile/", get.clone()).await;
    assert!(status == Some(200) && profile.contains("\"Ada\""), "{profile}");
    assert_eq!(of_page(&ours, "/refresh/", post(nothing.clone())).await.0, Some(200));
    assert_eq!(of_page(&ours, "/logout/", post(nothing.clone())).await.0, Some(204));
    assert_eq!(of_page(&ours, "/profile/", get).await.0, Some(401));
    assert_eq!(of_page(&ours, "/refresh/", post(nothing)).await.0, Some(400));
    browser.end().await;
}

#[tokio::test]
async fn an_allowed_page_of_another_site_uses_cookies_of_its_own_partition() {
    // `localhost` and `127.0.0.1` are two sites.
    let app_page = format!("http://127.0.0.1:{}", site());
    let settings = format!("[browsers]\ncookies = \"only\"\nallowed_origins = [\"{app_page}\"]");
    let app = TestApp::with_toml(&settings).await;
    let api = format!("http://localhost:{}/accounts", app.api.address().port());
    let browser = Browser::start().await;
    let of_page = async |path: &str, options: Value| {
        let answer = browser.fetch(&app_page, &format!("{api}{path}"), options).await;
        (answer["status"].as_u64(), answer["body"].as_str().unwrap_or_default().to_owned())
    };
    let (post, get) = (|body: Value| json_body("POST", &body), json!({"method": "GET"}));
    let phone = "+989121234567";
    let (_, sent) = of_page("/login/", post(json!({"phone_number": phone}))).await;
    let code = serde_json::from_str::<Value>(&sent).unwrap()["code"].clone();
    let (status, body) = of_page("/verify/", post(json!({"phone_number": phone, "code": code}))).await;
    assert!(status == Some(200) && !body.contains("cfa_"), "{body}");
    assert_eq!(of_page("/profile/", get.clone()).await.0, Some(200));
    assert_eq!(of_page("/refresh/", post(json!({}))).await.0, Some(200));
    assert_eq!(of_page("/logout/", post(json!({}))).await.0, Some(204));
    let (status, body) = of_page("/profile/", get).await;
    assert!(status == Some(401) && body.contains("not_authenticated"), "the cookie is gone: {body}");
    browser.end().await;
}

#[tokio::test]
async fn the_link_in_a_sign_in_notice_asks_for_confirmation_and_its_button_ends_the_session() {
    let provider = ProviderServer::start(|_| ProviderReply::text(200, ""));
    // The links in messages name the port, so it is chosen before the service starts, outside the range from which the
    // kernel gives ports.
    let port =
        (20_000..30_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let (listen, public_url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let app = TestApp::with_settings(&[
        ("server.listen", &listen),
        ("server.public_url", &public_url),
        ("delivery.phone", "sms"),
        ("gateways.sms.kind", "webhook"),
        ("gateways.sms.url", &provider.url),
        ("gateways.sms.secret", "whsec_aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2g="),
    ])
    .await;
    // The last of so many messages.
    let message = async |count: usize| loop {
        if let Some(asked) = provider.requests().get(count - 1) {
            break serde_json::from_str::<Value>(&asked.body).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let phone = "+989121234567";
    let sign_in = async |messages: usize, user_agent: &str| {
        app.api.login(phone).await.ok();
        let code = message(messages).await["code"].clone();
        let verify = app.api.request(reqwest::Method::POST, "/accounts/verify/");
        let verify =
            verify.header("user-agent", user_agent).json(&json!({"phone_number": phone, "code": code}));
        ApiClient::send(verify).await.signed_in()
    };
    let own = sign_in(1, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0").await;
    app.advance_time(60);
    let strange =
        sign_in(2, "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36").await;
    let notice = message(3).await;
    let text = notice["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with(&public_url)).unwrap();

    let browser = Browser::start().await;
    browser.tell("/url", json!({"url": link})).await;
    let question = browser.text().await;
    assert!(question.contains("Chrome on Windows") && question.contains("end its session"), "{question}");
    app.api.profile(&strange.access).await.ok();

    browser.press(&browser.find("form button").await.unwrap()).await;
    let answered = async {
        while browser.find("form").await.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.expect("another page");
    let done = browser.text().await;
    assert!(done.contains("The device is signed out."), "{done}");
    app.api.profile(&strange.access).await.is_problem(401, "invalid_access_token");
    app.api.refresh(&strange.refresh).await.is_problem(400, "invalid_token");
    app.api.profile(&own.access).await.ok();

    // Opened once more, it has nothing left to ask.
    browser.tell("/url", json!({"url": link})).await;
    assert_eq!((browser.text().await, browser.find("form").await), (done, None));
    browser.end().await;
}

#[tokio::test]
async fn the_documentation_page_shows_the_openapi_document_and_loads_nothing_from_another_host() {
    let app = TestApp::start().await;
    let ours = format!("http://{}", app.api.address());
    let browser = Browser::start().await;
    browser.tell("/url", json!({"url": format!("{ours}/docs/")})).await;
    let shown = async {
        while !browser.text().await.contains("Ask for a code") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), shown).await.expect("the document is shown");
    // An operation unfolded, with its examples.
    browser.press(&browser.find("#operations-Users-askForCode button").await.unwrap()).await;
    let unfolded = async {
        while !browser.text().await.contains("code_quota_spent") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), unfolded).await.expect("its examples are shown");

    let loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let loaded = browser.run("sync", loaded, json!([])).await;
    let loaded: Vec<&str> = loaded.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        loaded.len() >= 4 && loaded.iter().all(|url| url.starts_with(&ours) || url.starts_with("data:")),
        "{loaded:?}"
    );
    assert_eq!(browser.refused_by_policy().await, json!([]));
    let picture =
        "document.body.append(Object.assign(new Image(), {src: 'https://elsewhere.example/x.png'}))";
    browser.run("sync", picture, json!([])).await;
    assert_eq!(browser.refused_by_policy().await, json!(["img-src https://elsewhere.example/x.png"]));
    browser.end().await;
}
