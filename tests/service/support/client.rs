//! A client of the REST API: a method an endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use super::OpenApiContract;
use counterfoil_domain::values::AccountId;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Speaks to one node.
#[derive(Clone)]
pub struct ApiClient {
    address: SocketAddr,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct ApiAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// A device that has signed in.
#[derive(Debug, Clone)]
pub struct SignedInDevice {
    pub user: Value,
    pub access: String,
    pub refresh: String,
}

impl SignedInDevice {
    pub fn account(&self) -> AccountId {
        AccountId(self.user["id"].as_str().unwrap().parse().unwrap())
    }
}

impl ApiClient {
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy();
        // The server closes a connection that was idle for five seconds, which may be just when a request is sent.
        let http = http.pool_idle_timeout(Duration::from_secs(2));
        // A redirect is an answer that the contract does not know, so none is followed.
        let http = http.redirect(Policy::none()).build().unwrap();
        Self { address, http }
    }

    /// Where the node listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request to be completed by the test.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// Sends a request; an error when no answer came. What comes has to be as the document has it.
    pub async fn try_send(request: RequestBuilder) -> Result<ApiAnswer, reqwest::Error> {
        let (client, request) = request.build_split();
        let request = request?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = ApiAnswer { status, headers, text: response.text().await? };
        OpenApiContract::check(&method, &path, &answer);
        Ok(answer)
    }

    pub async fn send(request: RequestBuilder) -> ApiAnswer {
        Self::try_send(request).await.expect("the service answers")
    }

    pub async fn post(&self, path: &str, body: Value) -> ApiAnswer {
        Self::send(self.request(Method::POST, path).json(&body)).await
    }

    /// Sends a GET with that access token.
    pub async fn get(&self, path: &str, access_token: &str) -> ApiAnswer {
        Self::send(self.request(Method::GET, path).bearer_auth(access_token)).await
    }

    /// Sends a JSON body with that access token.
    pub async fn send_json(&self, method: Method, path: &str, access_token: &str, body: Value) -> ApiAnswer {
        Self::send(self.request(method, path).bearer_auth(access_token).json(&body)).await
    }

    pub async fn post_as(&self, device: &SignedInDevice, path: &str, body: Value) -> ApiAnswer {
        self.send_json(Method::POST, path, &device.access, body).await
    }

    pub async fn login(&self, phone_number: &str) -> ApiAnswer {
        self.post("/accounts/login/", json!({"phone_number": phone_number})).await
    }

    pub async fn verify(&self, phone_number: &str, code: &str) -> ApiAnswer {
        self.post("/accounts/verify/", json!({"phone_number": phone_number, "code": code})).await
    }

    pub async fn resend(&self, phone_number: &str) -> ApiAnswer {
        self.post("/accounts/verify/resend/", json!({"phone_number": phone_number})).await
    }

    pub async fn refresh(&self, refresh_token: &str) -> ApiAnswer {
        self.post("/accounts/refresh/", json!({"refresh_token": refresh_token})).await
    }

    pub async fn token_verify(&self, token: &str) -> ApiAnswer {
        self.post("/accounts/token/verify/", json!({"token": token})).await
    }

    pub async fn logout(&self, refresh_token: &str) -> ApiAnswer {
        self.post("/accounts/logout/", json!({"refresh_token": refresh_token})).await
    }

    pub async fn profile(&self, access_token: &str) -> ApiAnswer {
        Self::send(self.request(Method::GET, "/accounts/profile/").bearer_auth(access_token)).await
    }

    pub async fn rename(&self, access_token: &str, fullname: &str) -> ApiAnswer {
        let request = self.request(Method::PATCH, "/accounts/profile/update/").bearer_auth(access_token);
        Self::send(request.json(&json!({"fullname": fullname}))).await
    }

    /// Changes the profile, at either of its paths.
    pub async fn patch(&self, path: &str, access_token: &str, body: Value) -> ApiAnswer {
        Self::send(self.request(Method::PATCH, path).bearer_auth(access_token).json(&body)).await
    }

    /// Asks for a code to another identifier: `{"email": …}`.
    pub async fn add_identifier(&self, access_token: &str, identifier: &Value) -> ApiAnswer {
        let request = self.request(Method::POST, "/accounts/identifiers/").bearer_auth(access_token);
        Self::send(request.json(identifier)).await
    }

    /// Redeems the code that went to another identifier.
    pub async fn verify_identifier(&self, access_token: &str, identifier: &Value, code: &str) -> ApiAnswer {
        let mut body = identifier.clone();
        body["code"] = json!(code);
        let request = self.request(Method::POST, "/accounts/identifiers/verify/").bearer_auth(access_token);
        Self::send(request.json(&body)).await
    }

    /// Sends bytes as they are; what comes back until the service closes the connection.
    pub async fn send_raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
        read.await.expect("the service closes the connection").unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Asks for a code and redeems it.
    pub async fn sign_in(&self, phone_number: &str) -> SignedInDevice {
        let code = self.login(phone_number).await.ok()["code"].as_str().unwrap().to_owned();
        self.verify(phone_number, &code).await.signed_in()
    }
}

impl ApiAnswer {
    /// The body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The body of an answer that has to be 200.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The names in a JSON object, in alphabetical order; of the body with "", else of that part of it (`/user`).
    pub fn names(&self, part: &str) -> Vec<String> {
        self.json().pointer(part).unwrap().as_object().unwrap().keys().cloned().collect()
    }

    /// The code that was sent.
    pub fn code(&self) -> String {
        self.ok()["code"].as_str().unwrap().to_owned()
    }

    /// All that a caller sees but the request's id and the date: equal for answers that the caller cannot tell apart.
    pub fn appearance(&self) -> String {
        let headers =
            self.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
        let mut headers: Vec<String> = headers.map(|header| format!("{header:?}")).collect();
        headers.sort_unstable();
        format!("{}\n{}\n{}", self.status, headers.join("\n"), self.text)
    }

    /// How many seconds to wait before trying again.
    pub fn retry_after(&self) -> Option<i64> {
        self.header("retry-after").map(|seconds| seconds.parse().unwrap())
    }

    /// A header, where there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that this is a problem (RFC 9457) of that status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        for text in ["type", "title", "detail"] {
            assert!(body[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {self:?}");
        }
    }

    /// Checks that this refuses some fields of the body, each with a complaint.
    #[track_caller]
    pub fn refuses_fields(&self, fields: &[&str]) {
        self.is_problem(400, "invalid_fields");
        let errors = self.json()["errors"].as_object().unwrap().clone();
        assert_eq!(errors.keys().map(String::as_str).collect::<Vec<_>>(), fields, "{self:?}");
        for complaints in errors.values() {
            assert!(complaints[0].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
    }

    /// The device that a right code has signed in.
    pub fn signed_in(&self) -> SignedInDevice {
        let body = self.ok();
        let token = |name: &str| body["token"][name].as_str().unwrap().to_owned();
        SignedInDevice {
            user: body["user"].clone(),
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }
}
