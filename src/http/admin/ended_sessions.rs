//! Many device sessions ended at once: first a dry run, which says what matches; then the same request, which ends no more than that.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, web};
use counterfoil_projections::user_login::search::{self, DeviceSession, DeviceSessionFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::session_search::SessionSelection;
use crate::accounts::{ActionGrounds, EndedSessionsCount};
use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, InvalidParameter, QueryParams, RequestFields, StaffCaller, record_staff_read,
};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::http::{Problem, StaffConflict};
use crate::tokens::Token;

/// The most sessions that one request ends.
const AT_MOST: u32 = 5_000;

/// How many of the sessions a dry run shows.
const SHOWN: usize = 50;

/// How many sessions are read at a time.
const PAGE: u8 = 200;

#[derive(Debug)]
pub struct EndSessionsRequest {
    selection: SessionSelection,
    dry_run: bool,
    expected: Option<ExpectedCount>,
    grounds: ActionGrounds,
}

/// How many sessions the caller expects to match, as the dry run said.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(minimum = 0, maximum = 5000, example = 12)]
struct ExpectedCount(u32);

impl ExpectedCount {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let count = text.parse().ok().filter(|count| *count <= AT_MOST);
        count.map(Self).ok_or(InvalidParameter("expected_out_of_range"))
    }
}

impl FromFields for EndSessionsRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let selection = SessionSelection::from_fields(fields);
        let active = fields.optional("active", str::parse);
        if active == Some(Some(false)) {
            fields.complain("active", "only_active_sessions_end");
        }
        let dry_run = fields.optional("dry_run", str::parse);
        let expected = fields.optional("expected", ExpectedCount::parse);
        let grounds = fields.grounds();
        let dry_run = dry_run?.unwrap_or(false);
        let request = Self { selection: selection?, dry_run, expected: expected?, grounds: grounds? };
        for (is_missing, field) in
            [(request.expected.is_none(), "expected"), (request.grounds.reason.is_none(), "reason")]
        {
            if is_missing && !dry_run {
                fields.complain(field, "field_required");
            }
        }
        Some(request)
    }
}

/// What the sessions are that match, or what came of ending them.
#[derive(Serialize, ToSchema)]
pub struct EndedSessionsResponse {
    /// Whether nothing was changed.
    dry_run: bool,
    /// How many active sessions match, besides the caller's own.
    #[schema(example = 12)]
    matched: u32,
    /// Whether more match than one request ends.
    and_more: bool,
    /// How many sessions match and are spared: the one that the caller acts in.
    #[schema(example = 0)]
    skipped: u32,
    /// The first of the sessions that match; in a dry run only.
    items: Vec<DeviceSession>,
    /// How many sessions ended with this.
    #[schema(example = 12)]
    ended: u32,
    /// How many had ended between the search and this.
    #[schema(example = 0)]
    already_ended: u32,
    /// How many could not be ended now. Another request ends them.
    #[schema(example = 0)]
    failed: u32,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "endDeviceSessions",
    summary: "End all device sessions that match",
    details: "Only active sessions match. At least one filter is needed. With `dry_run=true` it says what matches and changes \
        nothing. Without it, `expected` is the number that a dry run gave, and `reason` is needed; where more match by then, \
        nothing is ended. The session that the caller acts in is never ended by it. One request ends at most 5000 sessions.",
    problems: &[Problem::StaffConflict(StaffConflict::MoreMatched(13)), Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn end(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<EndSessionsRequest>>,
    request: HttpRequest,
) -> Result<ApiResponse<OkJson<EndedSessionsResponse>>, Problem> {
    let own = staff.token();
    let ((selection, dry_run, expected), who) = staff.into_action(|QueryParams(asked)| {
        ((asked.selection, asked.dry_run, asked.expected.map(|ExpectedCount(count)| count)), asked.grounds)
    });
    if selection.is_empty() {
        return Err(Problem::invalid_field("account_id", "filter_required"));
    }
    if dry_run {
        record_staff_read(&state, &request, &who).await?;
    }
    let MatchingSessions { mut sessions, and_more, skipped } =
        match selection.into_filter(&state, Some(true)).await? {
            Some(filter) => MatchingSessions::find(&state, &filter, own).await?,
            None => MatchingSessions::default(),
        };
    let matched = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
    if dry_run {
        sessions.truncate(SHOWN);
        let none = EndedSessionsCount::default();
        return Ok(answer(true, (matched, and_more, skipped), sessions, none));
    }
    if and_more || expected.is_none_or(|expected| matched > expected) {
        return Err(Problem::StaffConflict(StaffConflict::MoreMatched(matched)));
    }
    let named = sessions.iter().map(|session| (session.account_id, session.id)).collect();
    let ended = state.accounts.end_sessions(named, &who).await.map_err(|error| state.problem(&error))?;
    Ok(answer(false, (matched, and_more, skipped), Vec::new(), ended))
}

fn answer(
    dry_run: bool,
    (matched, and_more, skipped): (u32, bool, u32),
    items: Vec<DeviceSession>,
    EndedSessionsCount { ended, already_ended, failed }: EndedSessionsCount,
) -> ApiResponse<OkJson<EndedSessionsResponse>> {
    response::json(EndedSessionsResponse {
        dry_run,
        matched,
        and_more,
        skipped,
        items,
        ended,
        already_ended,
        failed,
    })
}

/// The sessions that a filter matches, as far as one request may end them.
#[derive(Default)]
struct MatchingSessions {
    sessions: Vec<DeviceSession>,
    and_more: bool,
    skipped: u32,
}

impl MatchingSessions {
    async fn find(
        state: &AppState,
        filter: &DeviceSessionFilter,
        own: Option<Token>,
    ) -> Result<Self, Problem> {
        let (now, most) = (state.clock.now(), AT_MOST as usize);
        let (mut sessions, mut seen, mut after, mut skipped) = (Vec::new(), BTreeSet::new(), None, 0);
        loop {
            let search = async |db: &_| search::search(db, filter, after, PAGE, now).await;
            let page = state.query(search).await?;
            for session in page.items {
                // A session that moves to another address while pages are read may be on two of them.
                if !seen.insert(session.id) {
                    continue;
                }
                if own.is_some_and(|token| token.session == session.id) {
                    skipped += 1;
                } else {
                    sessions.push(session);
                }
            }
            after = page.next;
            if after.is_none() || sessions.len() > most {
                let and_more = sessions.len() > most;
                sessions.truncate(most);
                return Ok(Self { sessions, and_more, skipped });
            }
        }
    }
}
