//! The answer of a reading that takes minutes: a line of JSON each second with how far it has come, and the result as the last
//! line. Closing the connection stops the reading, so that none goes on that has no reader.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::ActingStaff;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::error::TryRecvError;

use crate::audit::feed::LedgerFeed;
use crate::audit::long_reading::{LongReading, LongReadingError};
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::http::response::ApiResponse;
use crate::http::{AppState, Problem};

/// How often it is told how far the reading has come.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How many accounts are told at a time.
const ACCOUNTS_AT_ONCE: usize = 200;

/// The answer to a reading that cannot begin.
pub(super) fn refused(error: &LongReadingError) -> Problem {
    match error {
        LongReadingError::Running => Problem::LogReadingRunning,
        LongReadingError::Database(error) => Problem::from_database(error),
    }
}

/// Lines of JSON, the last of them the result.
pub enum ReadingResponse {}

impl DescribeOperation for ReadingResponse {
    fn describe(operation: &mut OperationDraft) {
        let text = utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .into();
        operation.answer(
            200,
            "Lines of JSON, one document each: `progress` each second, and `result` as the last.",
            [("application/x-ndjson", text)],
        );
    }
}

/// What a reading found, who asked for it, and when.
#[derive(Serialize)]
struct ReadingResult<S> {
    #[serde(flatten)]
    found: S,
    by: ActingStaff,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
}

/// A reading that is followed, until its result has been told.
struct FollowedReading<T, R> {
    reading: LongReading<T>,
    feed: LedgerFeed,
    /// Makes the result of what was found.
    result: Option<R>,
}

/// Streams the reading. A fault, or the end of the service, ends the connection without a result.
pub(super) fn follow<T, S>(
    state: &AppState,
    feed: &LedgerFeed,
    by: ActingStaff,
    reading: LongReading<T>,
    found: impl FnOnce(T) -> S + 'static,
) -> ApiResponse<ReadingResponse>
where
    T: Send + 'static,
    S: Serialize + 'static,
{
    let (clock, started_at) = (state.clock.clone(), state.clock.now());
    let result = move |read| ReadingResult { found: found(read), by, started_at, finished_at: clock.now() };
    let feed = feed.clone();
    let followed = FollowedReading { reading, feed, result: Some(result) };
    let body = stream::try_unfold(followed, |mut followed| async move {
        Ok::<_, Box<dyn std::error::Error>>(
            followed.next().await?.map(|lines| (Bytes::from(lines), followed)),
        )
    });
    ApiResponse::new(HttpResponse::Ok().content_type("application/x-ndjson").streaming(body))
}

impl<T: Send + 'static, S: Serialize, R: FnOnce(T) -> S> FollowedReading<T, R> {
    /// The next lines; none after the result.
    async fn next(&mut self) -> Result<Option<String>, Box<dyn std::error::Error>> {
        if self.result.is_none() {
            return Ok(None);
        }
        if self.feed.has_stopped() {
            return Err("the service is stopping".into());
        }
        let accounts = self.accounts();
        if !accounts.is_empty() {
            return Ok(Some(accounts));
        }
        let found = tokio::time::timeout(TELL_EVERY, self.reading.result()).await;
        // What was found meanwhile comes before the result.
        let mut lines = String::new();
        loop {
            let accounts = self.accounts();
            if accounts.is_empty() {
                break;
            }
            lines += &accounts;
        }
        let Ok(found) = found else {
            let so_far = *self.reading.progress.borrow();
            lines += &line(&json!({"progress": {"done": so_far.done, "of": so_far.of}}));
            return Ok(Some(lines));
        };
        let found = found.ok_or("the reading was stopped")?.inspect_err(|error| {
            tracing::warn!(%error, "a reading of the whole log was cut off");
        })?;
        let Some(result) = self.result.take() else { return Ok(None) };
        lines += &line(&json!({"result": result(found)}));
        Ok(Some(lines))
    }

    /// Lines of some accounts that have been found, if there are any.
    fn accounts(&mut self) -> String {
        let mut lines = String::new();
        for _ in 0..ACCOUNTS_AT_ONCE {
            match self.reading.accounts.try_recv() {
                Ok(account) => lines += &line(&json!({"account": account})),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        lines
    }
}

fn line(document: &serde_json::Value) -> String {
    format!("{document}\n")
}
