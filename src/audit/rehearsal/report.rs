//! What a rehearsal comes to, counted.

use std::collections::BTreeMap;

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
    }
}
