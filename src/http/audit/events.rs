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
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::Sent;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{Auditor, Fields, Form, Position, Query, Staff, USUAL, Wrong, limit};

/// How the log is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Format {
    /// A page, as one JSON document.
    Json,
    /// All of it, a JSON document a line.
    Ndjson,
    /// All of it, as a table.
    Csv,
}

impl Format {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Json, "json", "application/json"),
        (Self::Ndjson, "ndjson", "application/x-ndjson"),
        (Self::Csv, "csv", "text/csv"),
    ];

    fn parse(name: &str) -> Result<Self, Wrong> {
        let found = Self::ALL.into_iter().find(|(_, its, _)| *its == name);
        found.map(|(format, _, _)| format).ok_or(Wrong("format_unknown"))
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

/// Which events, from where on.
#[derive(Debug)]
pub struct Sought {
    pub(super) filter: EventFilter,
    pub(super) after: Option<i64>,
    pub(super) reason: Option<Reason>,
}

impl Form for Sought {
    fn read(fields: &mut Fields) -> Option<Self> {
        let account = fields.optional("account_id", |text| Uuid::try_parse(text).map(AccountId));
        let types = fields.optional("type", Types::parse);
        let (since, until) = (fields.time("since"), fields.time("until"));
        let after = fields.optional("after", Position::parse);
        let reason = fields.reason();
        let filter = EventFilter {
            account: account?,
            types: types?.map(|Types(names)| names).unwrap_or_default(),
            since: since?,
            until: until?,
        };
        Some(Self { filter, after: after?.map(|after| after.0), reason: reason? })
    }
}

/// As it is put on record.
impl fmt::Display for Sought {
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

/// The same, and how many of them in which form.
#[derive(Debug)]
pub struct Wanted {
    sought: Sought,
    limit: Option<u64>,
    format: Option<Format>,
    bom: Option<Mark>,
}

impl Form for Wanted {
    fn read(fields: &mut Fields) -> Option<Self> {
        let sought = Sought::read(fields);
        let limit = limit(fields);
        let format = fields.optional("format", Format::parse);
        let bom = fields.optional("bom", Mark::parse);
        Some(Self { sought: sought?, limit: limit?.map(|limit| limit.0.into()), format: format?, bom: bom? })
    }
}

/// Whether CSV begins with a byte order mark, by which spreadsheets know that it is UTF-8: `1`, or `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = u8, minimum = 0, maximum = 1, example = 1)]
struct Mark(bool);

impl Mark {
    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "1" => Ok(Self(true)),
            "0" => Ok(Self(false)),
            _ => Err(Wrong("bom_unknown")),
        }
    }
}

/// Names of events, with commas between them.
struct Types(Vec<String>);

impl Types {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let names = text.split(',').map(str::trim).map(|name| {
            UserAccountEvent::NAMES.contains(&name).then(|| name.to_owned()).ok_or(Wrong("type_unknown"))
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl PartialSchema for Types {
    fn schema() -> RefOr<Schema> {
        let names = UserAccountEvent::NAMES.iter().copied();
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        ArrayBuilder::new().items(name).min_items(Some(1)).into()
    }
}

impl ToSchema for Types {}

/// A page of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = Records)]
struct List {
    items: Vec<EventRecord>,
    /// After which position the next page begins.
    next: Option<i64>,
}

/// A page, or all of it.
pub enum Log {}

impl DescribeOperation for Log {
    fn describe(operation: &mut OperationDraft) {
        let text = || ObjectBuilder::new().schema_type(Type::String).into();
        let page = operation.schema::<List>();
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
    state: web::Data<State>,
    request: HttpRequest,
    mut staff: Staff<Auditor, Query<Wanted>>,
) -> Result<Sent<Log>, Problem> {
    let format = staff.asked.0.format.unwrap_or_else(|| Format::accepted(&request));
    let named = staff.asked.0.sought.reason.take();
    let what = |Query(Wanted { sought, limit, format: _, bom: _ }): &Query<Wanted>| {
        let limit = limit.map(|limit| format!(" limit={limit}")).unwrap_or_default();
        format!("events format={}{sought}{limit}", format.name())
    };
    let Query(Wanted { sought, limit, format: _, bom }) = on_record(&state, staff, named, what).await?;
    let after = sought.after.unwrap_or(0);
    let journal = state.accounts.journal().clone();
    let end = audit::end(&journal).await.map_err(|error| problem(&error))?;
    let pages = |most| EventPages::new(journal, sought.filter, after..end, most);
    match format {
        Format::Json => page(pages, limit.unwrap_or(USUAL.0.into())).await,
        Format::Ndjson => {
            Ok(whole(pages(limit.unwrap_or(u64::MAX)), "application/x-ndjson", Vec::new(), lines))
        }
        Format::Csv => {
            let pages = pages(limit.unwrap_or(u64::MAX));
            let mark = if bom == Some(Mark(true)) { csv::BYTE_ORDER_MARK } else { "" };
            let first = [mark.as_bytes(), &csv::headings()].concat();
            Ok(whole(pages, "text/csv; charset=utf-8; header=present", first, csv::lines))
        }
    }
}

async fn page(pages: impl FnOnce(u64) -> EventPages, limit: u64) -> Result<Sent<Log>, Problem> {
    let items = pages(limit).next().await.map_err(|error| problem(&error))?.unwrap_or_default();
    let is_full = items.len() as u64 == limit;
    let next = items.last().filter(|_| is_full).map(|last| last.position);
    Ok(Sent::new(HttpResponse::Ok().json(List { items, next })))
}

/// How many pages are opened and written at a time, while the next one is read.
const OPENED_AT_ONCE: usize = 2;

/// Pages as they are read, each when one of those before it has been taken. A fault on the way ends the connection before
/// the body does, so that nobody takes a part for the whole.
fn whole(
    pages: EventPages,
    media_type: &'static str,
    first: Vec<u8>,
    write: fn(&[EventRecord]) -> Vec<u8>,
) -> Sent<Log> {
    let sealed = stream::try_unfold(pages, |mut pages| async move {
        match pages.next_sealed().await {
            Ok(page) => Ok(page.map(|page| (page, pages))),
            Err(error) => {
                tracing::warn!(%error, "an export of the log was cut off");
                Err(Box::<dyn std::error::Error>::from(error))
            }
        }
    });
    // On threads of their own, so that those who ask for little do not wait for him who asks for much.
    let written = sealed.map_ok(move |page| async move {
        Ok(spawn_blocking(move || Bytes::from(write(&page.open()))).await?)
    });
    let first = stream::iter([Ok(Bytes::from(first))]);
    let body = first.chain(written.try_buffered(OPENED_AT_ONCE));
    let mut answer = HttpResponse::Ok();
    if media_type.starts_with("text/csv") {
        answer.insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"events.csv\""));
    }
    Sent::new(answer.content_type(media_type).streaming(body))
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
