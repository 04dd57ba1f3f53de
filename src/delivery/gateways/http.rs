//! How gateways are asked that speak HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::delivery::NotAccepted;
use crate::runtime::clock::Clock;

const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes: the real ones are a hundredth of it.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The client of all gateways. It follows no redirect and asks no proxy: a message goes where the settings say.
#[derive(Clone)]
pub(super) struct GatewayClient {
    client: Client,
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for GatewayClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// What a gateway answered.
pub(super) struct GatewayAnswer {
    pub status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl GatewayClient {
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(CONNECTED_WITHIN)
            .timeout(ANSWERED_WITHIN)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent("counterfoil")
            .build()?;
        Ok(Self { client, clock })
    }

    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.request(Method::POST, url)
    }

    /// Sends a request, and reads what comes back. The client's own errors name the URL, so none of them is kept.
    pub async fn send(&self, request: RequestBuilder) -> Result<GatewayAnswer, NotAccepted> {
        let mut response = request.send().await.map_err(|error| cut_off(&error))?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| self.wait(value));
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| cut_off(&error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(unavailable("the answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(GatewayAnswer { status, retry_after, body })
    }

    /// The wait that a `Retry-After` header asks for, in seconds or until a time (RFC 9110, section 10.2.3).
    fn wait(&self, value: &str) -> Option<Duration> {
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = DateTime::parse_from_rfc2822(value).ok()?;
        Some((until.to_utc() - self.clock.now()).to_std().unwrap_or_default())
    }
}

impl GatewayAnswer {
    /// Its body, where it is JSON of that form.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// It is to be asked again, when it said so.
    pub fn unavailable(&self, reason: String) -> NotAccepted {
        NotAccepted::Unavailable { reason, retry_after: self.retry_after }
    }

    /// What its status alone says of a message that was not accepted.
    pub fn by_status(&self) -> NotAccepted {
        let reason = format!("status {}", self.status.as_u16());
        match self.status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                self.unavailable(reason)
            }
            status if status.is_server_error() => self.unavailable(reason),
            status if status.is_success() => self.unavailable(format!("{reason}, and no clear answer")),
            _ => NotAccepted::Refused { reason },
        }
    }
}

fn unavailable(reason: &str) -> NotAccepted {
    NotAccepted::Unavailable { reason: reason.to_owned(), retry_after: None }
}

fn cut_off(error: &reqwest::Error) -> NotAccepted {
    unavailable(if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the answer broke off"
    })
}
