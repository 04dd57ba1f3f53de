//! How the commands of staff ask: by the operations of the HTTP API, in this process or of a server.
//!
//! Without `--server` the handlers run here, on the database of the settings, for the operator who typed the command. With it the
//! request goes over the network, in the name of the account that signed in by `login`. The answer is the same.

mod remote;
mod sign_in;
mod token_store;

use std::fmt;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::web::Bytes;
use serde_json::Value;

use super::{Failure, setup};
use crate::accounts::Accounts;
use crate::app::LocalService;
use crate::delivery::Gateway;
use crate::settings::{SettingsError, Sources};
use remote::RemoteServer;

pub use sign_in::{LoginCommand, LogoutCommand, SecondFactorCommand};

/// The most items that a page of a list has.
const PAGE: usize = 200;

/// Where the commands of staff ask, before it is opened.
pub struct StaffDoor<'a> {
    /// The URL of the server; none where the handlers run here.
    pub server: Option<String>,
    /// Reads the settings, which the handlers here need.
    pub sources: &'a dyn Fn() -> Result<Sources, SettingsError>,
    /// The gateways of a program that embeds the service, each by the name of its section.
    pub own_gateways: &'a [(String, Arc<dyn Gateway>)],
}

impl StaffDoor<'_> {
    /// Runs the work of a command on a client.
    ///
    /// # Errors
    /// Those of the work; or when the server or the database cannot be used.
    pub fn open<T>(&self, work: impl AsyncFnOnce(&StaffClient) -> Result<T, Failure>) -> Result<T, Failure> {
        if let Some(server) = &self.server {
            let server = RemoteServer::new(server)?;
            return actix_web::rt::System::new().block_on(work(&StaffClient::Remote(Box::new(server))));
        }
        let settings = (self.sources)()?.check()?;
        setup::with_local_service(&settings, self.own_gateways, async |service| {
            work(&StaffClient::Local(service)).await
        })
    }

    /// Runs the work of a command on the accounts in the database of the settings.
    ///
    /// # Errors
    /// Those of the work; or when the database cannot be used.
    pub fn with_accounts<T>(
        &self,
        work: impl AsyncFnOnce(&Accounts) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let settings = (self.sources)()?.check()?;
        setup::with_state(&settings, self.own_gateways, async |state| work(&state.accounts).await)
    }
}

/// What is asked of the API.
#[derive(Clone, Debug)]
pub struct StaffRequest {
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// The reason, which goes into the header where the body does not have it.
    pub reason: Option<String>,
}

impl StaffRequest {
    /// Asks for what is at a path.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), query: Vec::new(), body: None, reason: None }
    }

    /// Changes something by a JSON body.
    pub fn change(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: Some(body), reason: None }
    }

    /// Adds a filter, where it is given.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Adds a filter that has its name with it, where there is one.
    #[must_use]
    pub fn with_named(self, filter: Option<(&'static str, &str)>) -> Self {
        let (name, value) = filter.unzip();
        self.with(name.unwrap_or_default(), value)
    }

    /// Gives the reason, where there is one.
    #[must_use]
    pub fn because(self, reason: Option<&str>) -> Self {
        Self { reason: reason.map(str::to_owned), ..self }
    }

    /// Returns the path with the query.
    fn target(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(&self.query).finish();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }
}

/// By which the commands of staff ask.
pub enum StaffClient {
    /// The handlers in this process.
    Local(LocalService),
    /// A server, over the network.
    Remote(Box<RemoteServer>),
}

impl fmt::Debug for StaffClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local(_) => "Local",
            Self::Remote(_) => "Remote",
        })
    }
}

/// The answer of the API, whose body is still to be read.
pub struct StaffAnswer {
    status: StatusCode,
    body: AnswerBody,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

enum AnswerBody {
    Local(BoxBody),
    Remote(Box<reqwest::Response>),
}

impl fmt::Debug for StaffAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaffAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why the API refused what a command asked.
#[derive(Debug)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// The problem (RFC 9457); null where the answer was none.
    pub problem: Value,
}

impl Refused {
    /// Whether what was asked for is not valid, which another time or state would not change.
    pub fn is_wrong_usage(&self) -> bool {
        self.code() == "invalid_fields"
    }

    /// Returns the stable code of the problem.
    pub fn code(&self) -> &str {
        self.problem["code"].as_str().unwrap_or_default()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.problem["detail"].as_str();
        f.write_str(detail.unwrap_or("the server did not answer as Counterfoil does"))?;
        for (field, complaints) in self.problem["errors"].as_object().into_iter().flatten() {
            for complaint in complaints.as_array().into_iter().flatten().filter_map(Value::as_str) {
                write!(f, " {field}: {complaint}")?;
            }
        }
        write!(f, " ({} {})", self.status, self.code())
    }
}

impl std::error::Error for Refused {}

impl StaffAnswer {
    fn new(status: StatusCode, body: AnswerBody) -> Self {
        Self { status, body, partial: Vec::new() }
    }

    fn of_remote(response: reqwest::Response) -> Result<Self, Failure> {
        let status = StatusCode::from_u16(response.status().as_u16())?;
        Ok(Self::new(status, AnswerBody::Remote(Box::new(response))))
    }

    /// Returns the next lines, whole ones only; `None` at the end.
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn lines(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        while let Some(chunk) = self.chunk().await? {
            self.partial.extend_from_slice(&chunk);
            if let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.partial.drain(..=end).collect()));
            }
        }
        Ok(None)
    }

    /// Returns the next part of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.body {
            AnswerBody::Remote(response) => Ok(response.chunk().await?),
            AnswerBody::Local(body) => {
                let mut body = std::pin::Pin::new(body);
                let next = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await;
                next.transpose().map_err(|error| error.to_string().into())
            }
        }
    }

    async fn json(mut self) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? })
    }
}

impl StaffClient {
    /// Asks for an answer whose body is read as it comes.
    ///
    /// # Errors
    /// [`Refused`], or when there is no answer.
    pub async fn stream(&self, request: &StaffRequest) -> Result<StaffAnswer, Failure> {
        let answer = match self {
            Self::Local(service) => Self::ask_here(service, request).await?,
            Self::Remote(server) => server.ask(request).await?,
        };
        if answer.status.is_success() {
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        let problem = answer.json().await.unwrap_or_default();
        Err(Refused { status, problem }.into())
    }

    /// Asks for a JSON document; null where the answer has no body.
    ///
    /// # Errors
    /// [`Refused`], or when there is no answer.
    pub async fn ask(&self, request: &StaffRequest) -> Result<Value, Failure> {
        self.stream(request).await?.json().await
    }

    /// Asks for a list, of so many items at most and after a cursor, on as many pages as that takes. Returns the items and the cursor
    /// to what follows them.
    ///
    /// # Errors
    /// [`Refused`], or when there is no answer.
    pub async fn list(
        &self,
        request: &StaffRequest,
        most: usize,
        cursor: Option<String>,
    ) -> Result<(Vec<Value>, Value), Failure> {
        let (mut items, mut next) = (Vec::new(), cursor);
        loop {
            let missing = (most - items.len()).min(PAGE);
            let page = request.clone().with("limit", Some(missing)).with("cursor", next);
            let mut page = self.ask(&page).await?;
            if let Value::Array(found) = page["items"].take() {
                items.extend(found);
            }
            let position = page["next"].take();
            next = position.as_str().map(str::to_owned);
            if next.is_none() || items.len() >= most {
                return Ok((items, position));
            }
        }
    }

    /// Whether the handlers run here.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    async fn ask_here(service: &LocalService, request: &StaffRequest) -> Result<StaffAnswer, Failure> {
        let uri: Uri = request.target().parse()?;
        let reason = request.reason.as_ref().map(|reason| HeaderValue::from_bytes(reason.as_bytes()));
        let name = HeaderName::from_static("x-audit-reason");
        let headers = reason.transpose()?.map(|reason| (name, reason)).into_iter().collect();
        let body = request.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let answered = service.answer(request.method.clone(), uri, headers, body).await;
        let answer = answered.map_err(|error| error.to_string())?;
        Ok(StaffAnswer::new(answer.status(), AnswerBody::Local(answer.into_body())))
    }
}
