//! The stream of ended sessions, followed from another service.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::DateTime;
use counterfoil_domain::values::SessionId;
use reqwest::redirect::Policy;
use reqwest::{Client, Request, RequestBuilder, Url};
use serde::Deserialize;
use tokio::time::Instant;

use crate::Now;
use crate::ended_sessions::{EndedSessions, LookError};

/// How long a connection may be silent, several times as long as the stream ever is.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// How long to wait before it is connected to again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Why the stream of ended sessions cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowStreamError {
    /// The URL is malformed, or would carry the client's secret in clear.
    #[error("the URL of the service must be https; http is for this machine only")]
    Url,
    /// There is no TLS, or the client's id or secret does not fit into a header.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// An event, by its `data`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    Ended { sid: SessionId, exp: i64 },
    Current { age_ms: u64 },
}

/// The ended sessions of the service at that URL, followed for as long as the value lives.
pub(crate) fn follow(
    url: &str,
    id: &str,
    secret: &str,
    now: Now,
) -> Result<Arc<EndedSessions>, FollowStreamError> {
    let url = format!("{}/oauth/ended-sessions/", url.trim_end_matches('/'));
    let url: Url = url.parse().map_err(|_| FollowStreamError::Url)?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => {}
        ("http", Some(host)) if is_loopback(host) => {}
        _ => return Err(FollowStreamError::Url),
    }
    let client = Client::builder().connect_timeout(SILENT_FOR).read_timeout(SILENT_FOR);
    // A redirect could lead to a server without TLS.
    let client = client.redirect(Policy::none()).build()?;
    // Form-encoded before they are joined (RFC 6749, section 2.3.1).
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let request = client.get(url).basic_auth(encoded(id), Some(encoded(secret))).build()?;
    let ended = Arc::new(EndedSessions::new());
    let weak = Arc::downgrade(&ended);
    tokio::spawn(keep_reading(weak, client, request, now));
    Ok(ended)
}

async fn keep_reading(ended: Weak<EndedSessions>, client: Client, request: Request, now: Now) {
    while ended.strong_count() > 0 {
        let Some(request) = request.try_clone() else { return };
        if let Err(error) = read(&ended, RequestBuilder::from_parts(client.clone(), request), &now).await {
            tracing::warn!(error = %error.without_url(), "the stream of ended sessions is cut");
            if let Some(ended) = ended.upgrade() {
                ended.fail(LookError("the stream of ended sessions is cut".to_owned()));
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Reads the stream to its end.
async fn read(ended: &Weak<EndedSessions>, request: RequestBuilder, now: &Now) -> Result<(), reqwest::Error> {
    let mut answer = request.send().await?.error_for_status()?;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let Some(ended) = ended.upgrade() else { return Ok(()) };
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            match serde_json::from_slice(data) {
                Ok(Event::Ended { sid, exp }) => {
                    ended.learn(DateTime::from_timestamp(exp, 0).map(|exp| (sid, exp)), None);
                }
                Ok(Event::Current { age_ms }) => {
                    ended.learn([], Instant::now().checked_sub(Duration::from_millis(age_ms)));
                    ended.prune_when_due(now());
                }
                // Of a later version.
                Err(_) => {}
            }
        }
    }
    Ok(())
}

/// Whether the host of a URL is this machine.
fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
