//! Rehearsals of other limits on the whole log.

use actix_web::web;
use chrono::{DateTime, SecondsFormat, Utc};
use counterfoil_domain::values::Reason;
use serde::Serialize;

use super::reading_stream::{self, ReadingResponse, follow};
use super::{on_record, with_reason};
use crate::audit::feed::LedgerFeed;
use crate::audit::long_reading::LongReadings;
use crate::audit::rehearsal::{
    Proposal, ProposedPolicy, REHEARSED_SETTINGS, RehearsalPolicy, RehearsalReport, UnfitSetting,
};
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AskedSpan, AuditorRole, FromFields, JsonBody, NamedSettings, RequestFields, StaffCaller,
};
use crate::http::response::ApiResponse;
use crate::http::{AppState, Problem};

/// Which limits are rehearsed, for which time, and why.
#[derive(Debug)]
pub struct RehearsalRequest {
    settings: NamedSettings,
    span: AskedSpan,
    reason: Option<Reason>,
}

impl FromFields for RehearsalRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let settings = fields.settings("settings", &REHEARSED_SETTINGS);
        let span = fields.time_span();
        let reason = fields.reason();
        Some(Self { settings: settings?, span: span?, reason: reason? })
    }
}

/// What a rehearsal came to.
#[derive(Serialize)]
struct RehearsalResult {
    since: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    settings: Vec<RehearsedSetting>,
    #[serde(flatten)]
    report: RehearsalReport,
}

/// A setting as it is, and as it would have been.
#[derive(Serialize)]
struct RehearsedSetting {
    setting: String,
    present: String,
    proposed: String,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "rehearseLimits",
    summary: "Rehearse other limits on the log",
    details: "Decides again everything that was asked of the accounts from `since` until `until`, as if these settings of `[codes]` \
        and `[sessions]` had held, and changes nothing. The answer is lines of JSON: `{\"progress\": {\"done\", \"of\"}}` each \
        second, `{\"account\": {\"account_id\", \"total\", \"differences\"}}` for each of the first 10,000 accounts concerned, and at \
        the end `{\"result\": {…}}` with the counts, also `by_day`. An answer without a result was cut off. Closing the \
        connection stops the rehearsal. One verification or rehearsal goes on at a time.",
    problems: &[Problem::LogReadingRunning, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    feed: web::Data<LedgerFeed>,
    readings: web::Data<LongReadings>,
    policy: web::Data<RehearsalPolicy>,
    staff: StaffCaller<AuditorRole, JsonBody<RehearsalRequest>>,
) -> Result<ApiResponse<ReadingResponse>, Problem> {
    let by = staff.actor();
    let (JsonBody(asked), who) = with_reason(staff, |JsonBody(asked)| asked.reason.take())?;
    let RehearsalRequest { settings: NamedSettings(proposed), span, reason: _ } = asked;
    let now = state.clock.now();
    let until = span.until.unwrap_or(now).min(now);
    if span.since.is_some_and(|since| since >= until) {
        return Err(Problem::invalid_field("since", "since_not_before"));
    }
    let ProposedPolicy { policy: rehearsed, present } =
        policy.proposals.propose(&proposed).map_err(|unfit| refused(&unfit))?;
    let claim = readings.claim().await.map_err(|error| reading_stream::refused(&error))?;
    on_record(&state, &who, described(&proposed, span), None).await?;
    let prices = policy.prices.clone();
    let proposal = Proposal { policy: rehearsed, since: span.since, until, prices };
    let settings = proposed.into_iter().zip(present);
    let settings: Vec<RehearsedSetting> = settings
        .map(|((setting, proposed), present)| RehearsedSetting { setting, present, proposed })
        .collect();
    let result = move |report| RehearsalResult { since: span.since, until, settings, report };
    Ok(follow(&state, &feed, by, claim.rehearse(proposal), result))
}

fn refused(unfit: &UnfitSetting) -> Problem {
    Problem::invalid_field(&format!("settings.{}", unfit.setting), "setting_unfit")
}

/// The rehearsal as it is put on record.
fn described(proposed: &[(String, String)], AskedSpan { since, until }: AskedSpan) -> String {
    let mut what = vec!["rehearsal".to_owned()];
    what.extend(proposed.iter().map(|(setting, value)| format!("{setting}={value}")));
    for (name, time) in [("since", since), ("until", until)] {
        what.extend(time.map(|time| format!("{name}={}", time.to_rfc3339_opts(SecondsFormat::AutoSi, true))));
    }
    what.join(" ")
}
