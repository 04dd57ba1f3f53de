//! What a rehearsal comes to, counted.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::account::{Difference, Request, What};
use crate::delivery::Price;

/// What a rehearsal comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many events were read, those from before the period included.
    pub events: u64,
    /// Of how many accounts.
    pub accounts: u64,
    /// How many of them something would have been different for.
    pub accounts_concerned: u64,
    /// What was granted on record in the period.
    pub on_record: Requests<u64>,
    /// What of that would have been refused.
    pub refused: Requests<Tally>,
    /// What was refused on record, and would have been granted.
    pub let_through: Requests<Tally>,
    /// Codes that were not looked at and would have been.
    pub codes_looked_at: Tally,
    /// Sessions that would have ended earlier.
    pub sessions_ended_earlier: Tally,
    /// Sessions that would have gone on for longer.
    pub sessions_ended_later: Tally,
    /// What the codes cost, where prices are set.
    pub cost: Option<Cost>,
}

/// Something of each kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests<T> {
    /// With a code, to sign in.
    pub sign_ins: T,
    /// For a code.
    pub codes: T,
    /// For the next tokens of a session.
    pub refreshes: T,
    /// For anything else.
    pub others: T,
}

impl<T> Requests<T> {
    /// That of one kind.
    pub fn of(&mut self, request: Request) -> &mut T {
        match request {
            Request::SignIn => &mut self.sign_ins,
            Request::Code => &mut self.codes,
            Request::Refresh => &mut self.refreshes,
            Request::Other => &mut self.others,
        }
    }
}

/// How often, and how often for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How often.
    pub total: u64,
    /// Of these for each reason, as events name it.
    pub why: BTreeMap<&'static str, u64>,
}

/// What codes cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Of those that would not have been sent.
    #[serde(serialize_with = "as_text")]
    pub saved: Price,
    /// Of those that would have been sent besides.
    #[serde(serialize_with = "as_text")]
    pub spent: Price,
    /// How many codes are in neither, since nobody knows any more where they went.
    pub unknown: u64,
}

fn as_text<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(price)
}

impl Report {
    /// Counts a difference.
    pub fn count(&mut self, difference: &Difference) {
        let tally = match difference.what {
            What::Refused(request) => self.refused.of(request),
            What::LetThrough(request) => self.let_through.of(request),
            What::LookedAt => &mut self.codes_looked_at,
            What::EndedEarlier => &mut self.sessions_ended_earlier,
            What::EndedLater => &mut self.sessions_ended_later,
        };
        tally.total += 1;
        *tally.why.entry(difference.why).or_default() += 1;
    }
}
