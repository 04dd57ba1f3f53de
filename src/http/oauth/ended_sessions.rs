//! Follow which sessions end, as server-sent events: for services that check access tokens by themselves and have no way to
//! the database.
//!
//! First come the sessions that have ended and whose tokens have not expired, then each that ends, as `ended` with the
//! session and when its tokens have expired anyway. Ten times a second `current` says that no other session had ended so many
//! milliseconds ago; it stays away while this node does not know. A client that is too slow is cut off, and begins again. When the
//! node stops, the stream ends, so that its clients go on at another node and the node does not wait for them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::audit::feed::LedgerFeed;
use crate::http::AppState;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{ReadSessions, ServiceClient};
use crate::http::response::ApiResponse;
use counterfoil_guard::ended_sessions::{EndedSession, EndedSessions};

/// How often it is said that nothing else has ended.
const BEAT: Duration = Duration::from_millis(100);

/// Server-sent events without an end.
pub enum EndedSessionsResponse {}

impl DescribeOperation for EndedSessionsResponse {
    fn describe(operation: &mut OperationDraft) {
        operation.events("Events `ended` and `current`.");
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "endedSessions",
    summary: "Follow which sessions end",
    details: "As server-sent events, for services that check access tokens by themselves.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    feed: web::Data<LedgerFeed>,
    _: ServiceClient<ReadSessions>,
) -> ApiResponse<EndedSessionsResponse> {
    let events = events(state.ended_sessions(), feed);
    ApiResponse::new(HttpResponse::Ok().content_type("text/event-stream").streaming(events))
}

struct Watch {
    ended: Arc<EndedSessions>,
    before: VecDeque<EndedSession>,
    since: Receiver<EndedSession>,
    feed: web::Data<LedgerFeed>,
}

fn events(
    ended: Arc<EndedSessions>,
    feed: web::Data<LedgerFeed>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let (before, since) = ended.watch();
    let watch = Watch { ended, before: before.into(), since, feed };
    unfold(watch, async |mut watch| {
        let event = watch.next().await?;
        Some((Ok(event), watch))
    })
}

impl Watch {
    /// The next event; none where one that ended was missed, or the node stops.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(ended) = self.before.pop_front() {
            return Some(told(ended));
        }
        while !self.feed.has_stopped() {
            match tokio::time::timeout(BEAT, self.since.recv()).await {
                Ok(Ok(ended)) => return Some(told(ended)),
                Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => return None,
                Err(_) => {}
            }
            if let Some(age) = self.ended.age() {
                let data = json!({ "age_ms": age.as_millis() });
                return Some(format!("event: current\ndata: {data}\n\n").into());
            }
        }
        None
    }
}

fn told((session, expires_at): EndedSession) -> Bytes {
    let data = json!({ "sid": session, "exp": expires_at.timestamp() });
    format!("event: ended\ndata: {data}\n\n").into()
}
