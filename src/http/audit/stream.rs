//! The log as it grows, as server-sent events (HTML, section 9.2).

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use counterfoil_domain::user_account::RequiredProof;
use counterfoil_domain::values::Role;
use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use utoipa::PartialSchema as _;

use super::event_filter::{AuditEventFilter, ResolvedFilter};
use super::{on_record, problem, reachable_end, with_reason};
use crate::audit::feed::LedgerFeed;
use crate::audit::{self, EventFilter, EventRecord};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, HeaderDoc, OperationDoc, OperationDraft};
use crate::http::extract::{AuditorRole, FieldError as _, LogPosition, QueryParams, StaffCaller, check_role};
use crate::http::response::ApiResponse;
use crate::tokens::Token;

/// By which a client that comes back says how far it has come.
const LAST_EVENT_ID: &str = "last-event-id";

/// How many records are sent together at most.
const MOST: i64 = 200;

/// How often a comment is sent when nothing happens, so that no proxy on the way takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How often it is looked whether the subjects of events have come to the end of the log.
const SUBJECTS_WITHIN: Duration = Duration::from_millis(100);

/// How often it is looked whether the reader still may read.
const RECHECK: Duration = Duration::from_secs(5);

/// How long a client may take to take what it was sent. One that is slower is let go, and may come back.
const TAKE_WITHIN: Duration = Duration::from_secs(10);

/// Server-sent events without an end.
pub enum EventStreamResponse {}

impl DescribeOperation for EventStreamResponse {
    fn describe(operation: &mut OperationDraft) {
        operation.events("An event for each of the log, with its position as the id.");
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "eventStream",
    summary: "Follow the log as it grows",
    details: "As server-sent events.",
    headers: &[HeaderDoc {
        name: "Last-Event-ID",
        description: "After which position to begin.",
        schema: LogPosition::schema,
    }],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    feed: web::Data<LedgerFeed>,
    request: HttpRequest,
    staff: StaffCaller<AuditorRole, QueryParams<AuditEventFilter>>,
) -> Result<ApiResponse<EventStreamResponse>, Problem> {
    let token = staff.token();
    let (QueryParams(mut asked), who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    asked.after = last_event_id(&request)?.or(asked.after);
    let ResolvedFilter { filter, after, what, query } = asked.resolve(&state).await?;
    reachable_end(&state, &filter, after).await?;
    on_record(&state, &who, format!("stream{what}"), query).await?;
    // Before the end is looked up, so that nothing comes between.
    let end = feed.follow();
    let after = match after {
        Some(after) => after,
        None => audit::end(state.accounts.journal()).await.map_err(|error| problem(&error))?,
    };
    let follower = Follower { state, token, filter, after, end, checked: Instant::now() };
    let (sender, mut sent) = mpsc::channel(1);
    actix_web::rt::spawn(follower.send(sender));
    let body = stream::poll_fn(move |context| sent.poll_recv(context)).map(Ok::<_, Infallible>);
    Ok(ApiResponse::new(HttpResponse::Ok().content_type("text/event-stream").streaming(body)))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(header) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let position = LogPosition::parse(header.to_str().unwrap_or_default());
    position
        .map(|position| Some(position.0))
        .map_err(|error| Problem::invalid_field("Last-Event-ID", error.message()))
}

/// The connection of an auditor who follows the log.
struct Follower {
    state: web::Data<AppState>,
    /// The access token of the auditor; none for the operator at the server.
    token: Option<Token>,
    filter: EventFilter,
    after: i64,
    end: watch::Receiver<Option<i64>>,
    checked: Instant,
}

impl Follower {
    /// Sends what is new until the client goes or is too slow, may not read any more, or the service stops.
    async fn send(mut self, to: mpsc::Sender<Bytes>) {
        let mut next = Some(Bytes::from_static(b"retry: 1000\n\n"));
        while let Some(bytes) = next {
            if to.send_timeout(bytes, TAKE_WITHIN).await.is_err() {
                return;
            }
            next = self.next().await;
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if self.checked.elapsed() > RECHECK {
                self.checked = Instant::now();
                if let Some(token) = self.token {
                    check_role(&self.state, token, Role::Auditor, RequiredProof::InSession).await.ok()?;
                }
            }
            let end = (*self.end.borrow_and_update())?;
            if self.after < end {
                let journal = self.state.accounts.journal();
                let end = match self.filter.needs_subjects() {
                    true => audit::known_end(journal, &self.filter).await.ok()?.min(end),
                    false => end,
                };
                let page = audit::page(journal, &self.filter, self.after, end, MOST).await.ok()?;
                match page.last() {
                    Some(last) => {
                        self.after = last.position;
                        return Some(Bytes::from(page.iter().map(event).collect::<String>()));
                    }
                    None => self.after = self.after.max(end),
                }
            }
            let wait = if self.after < end { SUBJECTS_WITHIN } else { HEARTBEAT };
            match timeout(wait.min(heartbeat.duration_since(Instant::now())), self.end.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) if Instant::now() < heartbeat => {}
                Err(_) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }
}

/// A record as an event. Its JSON is on one line.
fn event(record: &EventRecord) -> String {
    let json = serde_json::to_string(record).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {json}\n\n", record.position, record.event_type)
}
