//! The log: a page of it, or all of it as it comes.

use std::fmt::{self, Write as _};

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{AccountId, Reason};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{on_record, problem};
use crate::audit::{self, EventFilter, EventPages, EventRecord, csv};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{
    AuditorRole, DEFAULT_LIMIT, FromFields, InvalidParameter, LogPosition, QueryParams, RequestFields,
    StaffCaller, read_limit,
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

/// Which events are asked for, and after which position.
#[derive(Debug)]
pub struct AuditEventFilter {
    pub(super) filter: EventFilter,
    pub(super) after: Option<i64>,
    pub(super) reason: Option<Reason>,
}

impl FromFields for AuditEventFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let account = fields.optional("account_id", |text| Uuid::try_parse(text).map(AccountId));
        let types = fields.optional("type", EventTypes::parse);
        let (since, until) = (fields.time("since"), fields.time("until"));
        let after = fields.optional("after", LogPosition::parse);
        let reason = fields.reason();
        let filter = EventFilter {
            account: account?,
            types: types?.map(|EventTypes(names)| names).unwrap_or_default(),
            since: since?,
            until: until?,
        };
        Some(Self { filter, after: after?.map(|after| after.0), reason: reason? })
    }
}

/// Writes the filter as it is put on record.
impl fmt::Display for AuditEventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventFilter { account, types, since, until } = &self.filter;
        if let Some(account) = account {
            write!(f, " account_id={account}")?;
        }
        if !types.is_empty() {
            write!(f, " type={}", types.join(","))?;
        }
        for (name, time) in [("since", since), ("until", until)] {
            if let Some(time) = time {
                write!(f, " {name}={}", time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))?;
            }
        }
        self.after.map_or(Ok(()), |after| write!(f, " after={after}"))
    }
}

/// Which events are asked for, how many of them and in which format.
#[derive(Debug)]
pub struct EventExportFilter {
    filter: AuditEventFilter,
    limit: Option<u64>,
    format: Option<LogFormat>,
    bom: Option<ByteOrderMark>,
}

impl FromFields for EventExportFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let filter = AuditEventFilter::from_fields(fields);
        let limit = read_limit(fields);
        let format = fields.optional("format", LogFormat::parse);
        let bom = fields.optional("bom", ByteOrderMark::parse);
        Some(Self { filter: filter?, limit: limit?.map(|limit| limit.0.into()), format: format?, bom: bom? })
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

/// Names of events, with commas between them.
struct EventTypes(Vec<String>);

impl EventTypes {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let names = text.split(',').map(str::trim).map(|name| {
            UserAccountEvent::NAMES
                .contains(&name)
                .then(|| name.to_owned())
                .ok_or(InvalidParameter("type_unknown"))
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl PartialSchema for EventTypes {
    fn schema() -> RefOr<Schema> {
        let names = UserAccountEvent::NAMES.iter().copied();
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        ArrayBuilder::new().items(name).min_items(Some(1)).into()
    }
}

impl ToSchema for EventTypes {}

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
    details: "In its order. Give `next` back as `after`. Which form is answered, `format` says, or else \
        `Accept`.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    request: HttpRequest,
    mut staff: StaffCaller<AuditorRole, QueryParams<EventExportFilter>>,
) -> Result<ApiResponse<LogResponse>, Problem> {
    let format = staff.asked.0.format.unwrap_or_else(|| LogFormat::accepted(&request));
    let named = staff.asked.0.filter.reason.take();
    let what = |QueryParams(EventExportFilter { filter, limit, format: _, bom: _ }): &QueryParams<
        EventExportFilter,
    >| {
        let limit = limit.map(|limit| format!(" limit={limit}")).unwrap_or_default();
        format!("events format={}{filter}{limit}", format.name())
    };
    let QueryParams(EventExportFilter { filter, limit, format: _, bom }) =
        on_record(&state, staff, named, what).await?;
    let after = filter.after.unwrap_or(0);
    let journal = state.accounts.journal().clone();
    let end = audit::end(&journal).await.map_err(|error| problem(&error))?;
    let pages = |most| EventPages::new(journal, filter.filter, after..end, most);
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
