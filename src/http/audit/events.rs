//! The log: a page of it, or all of it as it comes.

use std::fmt::Write as _;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::event_filter::{AuditEventFilter, ResolvedFilter};
use super::{on_record, problem, reachable_end, with_reason};
use crate::audit::{EventPages, EventRecord, PageOrder, csv};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{
    AuditorRole, DEFAULT_LIMIT, FromFields, InvalidParameter, QueryParams, RequestFields, StaffCaller,
    read_limit,
};
use crate::http::response::ApiResponse;

/// The format in which the log is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum LogFormat {
    /// A page, as one JSON document.
    Json,
    /// All of it, a JSON document a line.
    Ndjson,
    /// All of it, as a table.
    Csv,
}

impl LogFormat {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Json, "json", "application/json"),
        (Self::Ndjson, "ndjson", "application/x-ndjson"),
        (Self::Csv, "csv", "text/csv"),
    ];

    fn parse(name: &str) -> Result<Self, InvalidParameter> {
        let found = Self::ALL.into_iter().find(|(_, its, _)| *its == name);
        found.map(|(format, _, _)| format).ok_or(InvalidParameter("format_unknown"))
    }

    /// The first that the request's `Accept` header names; JSON where it names none.
    fn accepted(request: &HttpRequest) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let named = accept.unwrap_or_default().split(',').filter_map(|range| range.split(';').next());
        let known = |range: &str| Self::ALL.into_iter().find(|(_, _, media)| *media == range.trim());
        named.filter_map(known).map(|(format, _, _)| format).next().unwrap_or(Self::Json)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// Which events are asked for, how many of them and in which format.
#[derive(Debug)]
pub struct EventExportFilter {
    filter: AuditEventFilter,
    order: Option<LogOrder>,
    limit: Option<u64>,
    format: Option<LogFormat>,
    bom: Option<ByteOrderMark>,
}

impl FromFields for EventExportFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let filter = AuditEventFilter::from_fields(fields);
        let order = fields.optional("order", LogOrder::parse);
        let limit = read_limit(fields);
        let format = fields.optional("format", LogFormat::parse);
        let bom = fields.optional("bom", ByteOrderMark::parse);
        let limit = limit?.map(|limit| limit.0.into());
        Some(Self { filter: filter?, order: order?, limit, format: format?, bom: bom? })
    }
}

/// In which order events are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
enum LogOrder {
    /// The order of the log; `after` goes upwards.
    Asc,
    /// The last event first; `after` goes downwards.
    Desc,
}

impl LogOrder {
    fn parse(name: &str) -> Result<Self, InvalidParameter> {
        match name {
            "asc" => Ok(Self::Asc),
            "desc" => Ok(Self::Desc),
            _ => Err(InvalidParameter("order_unknown")),
        }
    }
}

/// Whether CSV begins with a byte order mark, by which spreadsheets know that it is UTF-8: `1`, or `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = u8, minimum = 0, maximum = 1, example = 1)]
struct ByteOrderMark(bool);

impl ByteOrderMark {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        match text {
            "1" => Ok(Self(true)),
            "0" => Ok(Self(false)),
            _ => Err(InvalidParameter("bom_unknown")),
        }
    }
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = Records)]
struct RecordsResponse {
    items: Vec<EventRecord>,
    /// After which position the next page begins.
    next: Option<i64>,
}

/// A page, or all of it.
pub enum LogResponse {}

impl DescribeOperation for LogResponse {
    fn describe(operation: &mut OperationDraft) {
        let text = || ObjectBuilder::new().schema_type(Type::String).into();
        let page = operation.schema::<RecordsResponse>();
        let forms = [
            ("application/json", page),
            ("application/x-ndjson", text()),
            ("text/csv; charset=utf-8; header=present", text()),
        ];
        operation.answer(
            200,
            "A page as JSON; the whole log, or what is left of it, in the other forms.",
            forms,
        );
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "events",
    summary: "Read the log",
    details: "In its order or, with `order=desc`, the last event first. Give `next` back as `after`. Which form is answered, \
        `format` says, or else `Accept`. `phone_number` or `email` stands for the account that has it. `actor` finds what a \
        member of staff or a program brought about: the id of an account, `operator:NAME` or `service:NAME`. `ip_address`, an \
        address or a network, finds what came from there, but no refreshes: ask for device sessions `at` a time for these.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    request: HttpRequest,
    staff: StaffCaller<AuditorRole, QueryParams<EventExportFilter>>,
) -> Result<ApiResponse<LogResponse>, Problem> {
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.filter.reason.take())?;
    let QueryParams(EventExportFilter { filter, order, limit, format, bom }) = asked;
    let format = format.unwrap_or_else(|| LogFormat::accepted(&request));
    let ResolvedFilter { filter, after, what, query } = filter.resolve(&state).await?;
    let in_order = if order == Some(LogOrder::Desc) { " order=desc" } else { "" };
    let limited = limit.map(|limit| format!(" limit={limit}")).unwrap_or_default();
    let what = format!("events format={}{what}{in_order}{limited}", format.name());
    let end = reachable_end(&state, &filter, after).await?;
    on_record(&state, &who, what, query).await?;
    let journal = state.accounts.journal().clone();
    let pages = |most| match order.unwrap_or(LogOrder::Asc) {
        LogOrder::Asc => EventPages::new(journal, filter, after.unwrap_or(0)..end, most),
        LogOrder::Desc => {
            let end = after.map_or(end, |after| end.min(after - 1));
            EventPages::new(journal, filter, 0..end, most).ordered(PageOrder::NewestFirst)
        }
    };
    match format {
        LogFormat::Json => page(pages, limit.unwrap_or(DEFAULT_LIMIT.0.into())).await,
        LogFormat::Ndjson => {
            Ok(whole(pages(limit.unwrap_or(u64::MAX)), "application/x-ndjson", Vec::new(), lines))
        }
        LogFormat::Csv => {
            let pages = pages(limit.unwrap_or(u64::MAX));
            let mark = if bom == Some(ByteOrderMark(true)) { csv::BYTE_ORDER_MARK } else { "" };
            let first = [mark.as_bytes(), &csv::headings()].concat();
            Ok(whole(pages, "text/csv; charset=utf-8; header=present", first, csv::lines))
        }
    }
}

async fn page(
    pages: impl FnOnce(u64) -> EventPages,
    limit: u64,
) -> Result<ApiResponse<LogResponse>, Problem> {
    let items = pages(limit).next().await.map_err(|error| problem(&error))?.unwrap_or_default();
    let is_full = items.len() as u64 == limit;
    let next = items.last().filter(|_| is_full).map(|last| last.position);
    Ok(ApiResponse::new(HttpResponse::Ok().json(RecordsResponse { items, next })))
}

/// How many pages are opened and written at a time, while the next one is read.
const OPENED_AT_ONCE: usize = 2;

/// Pages as they are read, each when one of those before it has been taken. A fault on the way ends the connection before
/// the body does, so that no reader takes a part for the whole.
fn whole(
    pages: EventPages,
    media_type: &'static str,
    first: Vec<u8>,
    write: fn(&[EventRecord]) -> Vec<u8>,
) -> ApiResponse<LogResponse> {
    let sealed = stream::try_unfold(pages, |mut pages| async move {
        match pages.next_sealed().await {
            Ok(page) => Ok(page.map(|page| (page, pages))),
            Err(error) => {
                tracing::warn!(%error, "an export of the log was cut off");
                Err(Box::<dyn std::error::Error>::from(error))
            }
        }
    });
    // On threads of their own, so that a small request does not wait for a large export.
    let written = sealed.map_ok(move |page| async move {
        Ok(spawn_blocking(move || Bytes::from(write(&page.open()))).await?)
    });
    let first = stream::iter([Ok(Bytes::from(first))]);
    let body = first.chain(written.try_buffered(OPENED_AT_ONCE));
    let mut answer = HttpResponse::Ok();
    if media_type.starts_with("text/csv") {
        answer.insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"events.csv\""));
    }
    ApiResponse::new(answer.content_type(media_type).streaming(body))
}

pub(super) fn lines(records: &[EventRecord]) -> Vec<u8> {
    let mut lines = String::new();
    for record in records {
        // Texts, numbers and times are JSON.
        let line = serde_json::to_string(record).unwrap_or_default();
        let written = writeln!(lines, "{line}");
        debug_assert!(written.is_ok(), "a text takes what memory does");
    }
    lines.into_bytes()
}
