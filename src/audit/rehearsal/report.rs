//! What a rehearsal comes to, counted.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use counterfoil_domain::values::AccountId;
use serde::{Serialize, Serializer};

use super::account::{RehearsalDifference, RehearsedOutcome, RehearsedRequest};
use crate::delivery::Price;

/// What a rehearsal comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RehearsalReport {
    /// How many events were read, those from before the period included.
    pub events: u64,
    /// Of how many accounts.
    pub accounts: u64,
    /// How many of them something would have been different for.
    pub accounts_concerned: u64,
    /// What was granted on record in the period.
    pub on_record: PerRequest<u64>,
    /// What of that would have been refused.
    pub refused: PerRequest<RefusalTally>,
    /// What access rules refused on record in the period, which no limits change.
    pub refused_by_rules: PerRequest<u64>,
    /// What was refused on record, and would have been granted.
    pub let_through: PerRequest<RefusalTally>,
    /// Codes that were not looked at and would have been.
    pub codes_looked_at: RefusalTally,
    /// Sessions that would have ended earlier.
    pub sessions_ended_earlier: RefusalTally,
    /// Sessions that would have gone on for longer.
    pub sessions_ended_later: RefusalTally,
    /// What the codes cost, where prices are set.
    pub cost: Option<CodeCost>,
    /// What would have been different on each day, in UTC.
    pub by_day: BTreeMap<NaiveDate, DayDifferences>,
}

/// How often something would have been different on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DayDifferences {
    /// What was granted on record, and would have been refused.
    pub refused: PerRequest<u64>,
    /// What was refused on record, and would have been granted.
    pub let_through: PerRequest<u64>,
    /// Codes that were not looked at and would have been.
    pub codes_looked_at: u64,
    /// Sessions that would have ended earlier.
    pub sessions_ended_earlier: u64,
    /// Sessions that would have gone on for longer.
    pub sessions_ended_later: u64,
}

/// How many differences of an account are told. All of them are counted.
const MOST_DIFFERENCES: usize = 20;

/// An account for which something would have been different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountConcerned {
    /// The id of the account.
    pub account_id: AccountId,
    /// How often something would have been different.
    pub total: u64,
    /// What would have been different, in the order of the events: the first 20 times, those at the end of sessions last.
    pub differences: Vec<RehearsalDifference>,
}

impl AccountConcerned {
    /// An account of which nothing is known to be different yet.
    pub(super) fn new(account_id: AccountId) -> Self {
        Self { account_id, total: 0, differences: Vec::new() }
    }

    pub(super) fn add(&mut self, difference: RehearsalDifference) {
        self.total += 1;
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(difference);
        }
    }
}

/// Something of each kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PerRequest<T> {
    /// With a code, to sign in.
    pub sign_ins: T,
    /// The requests for a code.
    pub codes: T,
    /// For the next tokens of a session.
    pub refreshes: T,
    /// The requests for anything else.
    pub others: T,
}

impl<T> PerRequest<T> {
    /// That of one kind.
    pub fn of(&mut self, request: RehearsedRequest) -> &mut T {
        match request {
            RehearsedRequest::SignIn => &mut self.sign_ins,
            RehearsedRequest::Code => &mut self.codes,
            RehearsedRequest::Refresh => &mut self.refreshes,
            RehearsedRequest::Other => &mut self.others,
        }
    }
}

/// How often, and how often for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusalTally {
    /// How often it happened.
    pub total: u64,
    /// Of these for each reason, as events name it.
    pub why: BTreeMap<&'static str, u64>,
}

/// What the codes would cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodeCost {
    /// Of those that would not have been sent.
    #[serde(serialize_with = "as_text")]
    pub saved: Price,
    /// Of those that would have been sent besides.
    #[serde(serialize_with = "as_text")]
    pub spent: Price,
    /// How many codes are in neither, since it is not known any more where they went.
    pub unknown: u64,
}

impl RehearsedOutcome {
    /// The name by which it is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused(RehearsedRequest::SignIn) => "sign_in_refused",
            Self::Refused(RehearsedRequest::Code) => "code_refused",
            Self::Refused(RehearsedRequest::Refresh) => "refresh_refused",
            Self::Refused(RehearsedRequest::Other) => "other_refused",
            Self::LetThrough(RehearsedRequest::SignIn) => "sign_in_let_through",
            Self::LetThrough(RehearsedRequest::Code) => "code_let_through",
            Self::LetThrough(RehearsedRequest::Refresh) => "refresh_let_through",
            Self::LetThrough(RehearsedRequest::Other) => "other_let_through",
            Self::LookedAt => "code_looked_at",
            Self::EndedEarlier => "session_ended_earlier",
            Self::EndedLater => "session_ended_later",
        }
    }
}

/// Writes the name by which the outcome is told.
impl Serialize for RehearsedOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn as_text<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(price)
}

impl RehearsalReport {
    /// Counts a difference in the report.
    pub fn count(&mut self, difference: &RehearsalDifference) {
        let tally = match difference.what {
            RehearsedOutcome::Refused(request) => self.refused.of(request),
            RehearsedOutcome::LetThrough(request) => self.let_through.of(request),
            RehearsedOutcome::LookedAt => &mut self.codes_looked_at,
            RehearsedOutcome::EndedEarlier => &mut self.sessions_ended_earlier,
            RehearsedOutcome::EndedLater => &mut self.sessions_ended_later,
        };
        tally.total += 1;
        *tally.why.entry(difference.why).or_default() += 1;
        let day = self.by_day.entry(difference.at.date_naive()).or_default();
        *match difference.what {
            RehearsedOutcome::Refused(request) => day.refused.of(request),
            RehearsedOutcome::LetThrough(request) => day.let_through.of(request),
            RehearsedOutcome::LookedAt => &mut day.codes_looked_at,
            RehearsedOutcome::EndedEarlier => &mut day.sessions_ended_earlier,
            RehearsedOutcome::EndedLater => &mut day.sessions_ended_later,
        } += 1;
    }
}
