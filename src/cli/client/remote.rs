//! A server over the network, in the name of the account that signed in.

use std::io::IsTerminal as _;
use std::time::Duration;

use reqwest::header::{HeaderValue, USER_AGENT};
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::super::{Failure, output};
use super::token_store::{StoredTokens, TokenStore};
use super::{StaffAnswer, StaffRequest};
use crate::runtime::network::is_this_machine;

/// How long a server may take to be reached.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A server, and the tokens for it.
pub struct RemoteServer {
    url: Url,
    client: Client,
}

impl RemoteServer {
    /// Returns a server that is not asked yet.
    ///
    /// # Errors
    /// When the URL is none, or tokens would cross a network in clear.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let mut url = Url::parse(url)
            .map_err(|error| format!("--server {url}: {error}; give it as in https://auth.example.com"))?;
        let is_safe = match url.scheme() {
            "https" => true,
            "http" => url.host_str().is_some_and(is_this_machine),
            _ => false,
        };
        if !is_safe {
            return Err(format!("--server {url}: only https is used with a server on another machine").into());
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let client = Client::builder().connect_timeout(CONNECT_WITHIN).build()?;
        Ok(Self { url, client })
    }

    /// Returns the URL, by which the tokens are kept.
    pub fn name(&self) -> &str {
        self.url.as_str()
    }

    /// Asks in the name of the account that signed in. A token that has expired is refreshed, and a second factor that was passed too
    /// long ago is asked for on a terminal.
    ///
    /// # Errors
    /// When no account is signed in, or the server does not answer.
    pub(super) async fn ask(&self, request: &StaffRequest) -> Result<StaffAnswer, Failure> {
        let answer = self.ask_signed_in(request).await?;
        if answer.status.as_u16() != 403 || !std::io::stdin().is_terminal() {
            return Ok(answer);
        }
        let status = answer.status;
        let problem = answer.json().await?;
        if problem["code"] != "second_factor_required" {
            return Err(super::Refused { status: status.as_u16(), problem }.into());
        }
        self.pass_second_factor(&output::prompt("Code of your authenticator: ")?).await?;
        self.ask_signed_in(request).await
    }

    /// Passes the second factor in the session.
    ///
    /// # Errors
    /// [`super::Refused`] when the code is wrong.
    pub async fn pass_second_factor(&self, code: &str) -> Result<(), Failure> {
        let body = json!({ "code": code.trim() });
        let request =
            StaffRequest::change(actix_web::http::Method::POST, "/accounts/second-factor/verify/", body);
        accepted(self.ask_signed_in(&request).await?).await.map(drop)
    }

    async fn ask_signed_in(&self, request: &StaffRequest) -> Result<StaffAnswer, Failure> {
        let tokens = self.tokens()?;
        let answer = self.send(request, Some(&tokens.access_token)).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        let tokens = self.refresh(&tokens).await?;
        self.send(request, Some(&tokens.access_token)).await
    }

    fn tokens(&self) -> Result<StoredTokens, Failure> {
        let tokens = TokenStore::open()?.tokens(self.name()).cloned();
        Ok(tokens
            .ok_or_else(|| format!("sign in first: counterfoil --server {} login IDENTIFIER", self.url))?)
    }

    /// Refreshes the tokens, unless another command has done so meanwhile.
    async fn refresh(&self, spent: &StoredTokens) -> Result<StoredTokens, Failure> {
        let mut store = TokenStore::open()?;
        match store.tokens(self.name()) {
            Some(tokens) if tokens.access_token != spent.access_token => return Ok(tokens.clone()),
            Some(_) | None => {}
        }
        let body = json!({ "refresh_token": spent.refresh_token });
        let refreshed = self.post("/accounts/refresh/", body).await;
        let Ok(refreshed) = refreshed else {
            let again = format!("the sign-in has ended; counterfoil --server {} login IDENTIFIER", self.url);
            return Err(again.into());
        };
        let tokens = tokens_in(&refreshed)?;
        store.keep(self.name(), Some(tokens.clone()))?;
        Ok(tokens)
    }

    /// Sends a JSON body without a token, and reads the answer.
    ///
    /// # Errors
    /// [`super::Refused`], or when the server does not answer.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        let request = StaffRequest::change(actix_web::http::Method::POST, path, body);
        accepted(self.send(&request, None).await?).await
    }

    async fn send(&self, request: &StaffRequest, access_token: Option<&str>) -> Result<StaffAnswer, Failure> {
        let url = self.url.join(request.target().trim_start_matches('/'))?;
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes())?;
        let mut sent = self.client.request(method, url).header(USER_AGENT, user_agent());
        if let Some(token) = access_token {
            sent = sent.bearer_auth(token);
        }
        if let Some(reason) = &request.reason {
            sent = sent.header("X-Audit-Reason", HeaderValue::from_bytes(reason.as_bytes())?);
        }
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let answered = sent.send().await;
        StaffAnswer::of_remote(answered.map_err(|error| format!("{}: {}", self.url, said_by(&error)))?)
    }
}

/// Returns the tokens of an answer.
pub fn tokens_in(answer: &Value) -> Result<StoredTokens, Failure> {
    let tokens = serde_json::from_value(answer.clone());
    Ok(tokens.map_err(|_| "the server answered without tokens")?)
}

async fn accepted(answer: StaffAnswer) -> Result<Value, Failure> {
    let status = answer.status;
    let body = answer.json().await.unwrap_or_default();
    if status.is_success() {
        Ok(body)
    } else {
        Err(super::Refused { status: status.as_u16(), problem: body }.into())
    }
}

fn user_agent() -> String {
    format!("counterfoil/{}", env!("CARGO_PKG_VERSION"))
}

/// Returns what went wrong, down to its cause.
fn said_by(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
