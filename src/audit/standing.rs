//! An account as it stood at a time: its events until then, read back by postgres-es and folded by the same `apply` that
//! every decision goes by.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{
    AccountFact, Challenge, CodeCounters, CodeState, PersonalDetails, SecondFactor, Session, SessionFact,
    UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{
    AccountId, AuthenticatorId, Channel, Client, Generation, LanguageTag, Role, TimeStep,
};
use cqrs_es::Aggregate as _;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::StateChange;
use super::changes;
use crate::journal::{Journal, JournalError};

/// An account at a time, for people to read. What decisions go by is all in it, but what codes are derived from.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AccountStanding {
    /// The time at which the account stood so.
    pub at: DateTime<Utc>,
    /// How many events it had.
    pub version: i64,
    /// `unknown`, `pending` (no identifier has been proved), `active`, `suspended` or `erased`.
    #[schema(value_type = String, example = "active")]
    pub state: &'static str,
    /// Until when it was suspended; none where it was not, or until it would be reinstated.
    pub suspended_until: Option<DateTime<Utc>>,
    /// When it was to be erased; none where that was not asked for.
    pub erasure_due_at: Option<DateTime<Utc>>,
    /// Until when a legal hold kept it from being erased; none where there was no hold.
    pub legal_hold_until: Option<DateTime<Utc>>,
    /// The kinds of identifier that it had one of.
    pub identifiers: Vec<Channel>,
    /// How many identifiers it had let go.
    pub identifiers_released: u32,
    /// What it could do beyond its own.
    pub roles: BTreeSet<Role>,
    /// The language that messages to its person were written in.
    pub language: Option<LanguageTag>,
    /// The devices that were signed in, by their sessions' ids.
    pub sessions: BTreeMap<String, SignedIn>,
    /// Codes and tries of all callers.
    pub codes: Option<WindowCounts>,
    /// Codes and tries of its known devices.
    pub codes_of_known_devices: Option<WindowCounts>,
    /// Its second factor, once one had been offered.
    pub second_factor: Option<FactorStanding>,
}

/// A second factor, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FactorStanding {
    /// The authenticator that could be confirmed.
    pub offered: Option<AuthenticatorId>,
    /// The authenticator that counted.
    pub enrolled: Option<AuthenticatorId>,
    /// The newest half minute whose code was used.
    pub last_step: Option<TimeStep>,
    /// How many recovery codes were left.
    pub recovery_codes_left: u8,
    /// Wrong codes in an hour.
    pub wrong_in_an_hour: usize,
    /// Wrong codes since the last right one.
    pub wrong_in_a_row: u32,
}

/// A device that was signed in.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = SignedInThen)]
pub struct SignedIn {
    /// The newest generation of its tokens.
    pub generation: Generation,
    /// When it signed in.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// When it was last refreshed, or signed in.
    pub last_used_at: DateTime<Utc>,
    /// When it would end unless it was refreshed.
    pub expires_at: DateTime<Utc>,
    /// When it would end in any case.
    pub ends_at: DateTime<Utc>,
    /// When its user was last proved to be there.
    pub proved_at: DateTime<Utc>,
    /// Where the last code went that proved its user.
    pub proved_by: Channel,
    /// When the second factor was last passed in it.
    pub second_factor_at: Option<DateTime<Utc>>,
    /// From where it signed in, if that can still be opened.
    pub client: Option<Client>,
}

/// Codes and tries, counted in the windows that end at the time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WindowCounts {
    /// The code that could be redeemed to sign in.
    pub pending: Option<PendingCode>,
    /// The code that could be redeemed to add an identifier.
    pub pending_to_add: Option<PendingCode>,
    /// The code that could be redeemed to prove the user of a session.
    pub pending_to_reauthenticate: Option<PendingCode>,
    /// Codes sent to its identifiers in 24 hours.
    pub sent_in_a_day: usize,
    /// Codes sent to identifiers that it wanted in 24 hours.
    pub sent_elsewhere_in_a_day: usize,
    /// Wrong codes in an hour.
    pub wrong_in_an_hour: usize,
    /// Wrong codes since the last right one.
    pub wrong_in_a_row: u32,
}

/// A code that could be redeemed; nothing that would help to guess it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PendingCode {
    /// The channel that the code was sent by.
    pub channel: Channel,
    /// When it would stop working.
    pub expires_at: DateTime<Utc>,
    /// How many wrong codes had been tried against it.
    pub wrong_tries: u8,
}

/// One event, and what it made of the account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryStep {
    /// Which event of the account, from 1.
    pub step: i64,
    /// How many there are.
    pub of: i64,
    /// The event of this step.
    pub event: AccountEvent,
    /// The account after it, at its time.
    pub state: AccountStanding,
    /// What is different from the account before it, at the time before.
    pub changes: Vec<StateChange>,
}

/// An event of an account. What a decision went by is in it, that of a refusal too.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountEvent {
    /// The name of the event.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "LoggedIn")]
    pub event_type: &'static str,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What the event says happened.
    pub fact: AccountFact,
    /// Who the person is, where the event tells it and its key is there.
    pub person: Option<PersonalDetails>,
    /// From where the command came, likewise.
    pub client: Option<Client>,
}

/// The account as it stood at a time, that of an event included; none where there is no such account.
///
/// # Errors
/// [`JournalError`] when its events cannot be read.
pub async fn standing_at(
    journal: &Journal,
    account: AccountId,
    at: DateTime<Utc>,
) -> Result<Option<AccountStanding>, JournalError> {
    let history = journal.history(account).await?;
    let known = !history.is_empty();
    Ok(known.then(|| standing_of(history, at)))
}

/// The account as it stood at a time, by its events in their order.
pub(super) fn standing_of(history: Vec<(i64, UserAccountEvent)>, at: DateTime<Utc>) -> AccountStanding {
    let mut replay = AccountReplay::default();
    for (sequence, event) in history.into_iter().take_while(|(_, event)| event.at <= at) {
        replay.take(sequence, event);
    }
    replay.standing(at)
}

/// Every event of an account with what it made of it, one after the other; nothing where there is no such account.
///
/// # Errors
/// [`JournalError`] when its events cannot be read.
pub async fn steps(
    journal: &Journal,
    account: AccountId,
) -> Result<impl Iterator<Item = HistoryStep> + use<>, JournalError> {
    let history = journal.history(account).await?;
    let of = history.last().map_or(0, |(sequence, _)| *sequence);
    let (mut replay, mut before) = (AccountReplay::default(), Value::Null);
    Ok(history.into_iter().map(move |(sequence, event)| {
        if before.is_null() {
            before = shown(&replay.standing(event.at));
        }
        let shown_event = AccountEvent {
            event_type: event.name(),
            at: event.at,
            fact: event.fact.clone(),
            person: event.person.clone(),
            client: event.client.clone(),
        };
        replay.take(sequence, event);
        let state = replay.standing(shown_event.at);
        let after = shown(&state);
        let changes = changes::between(&before, &after);
        before = after;
        HistoryStep { step: sequence, of, event: shown_event, state, changes }
    }))
}

fn shown(standing: &AccountStanding) -> Value {
    serde_json::to_value(standing).expect("texts, numbers and times are JSON")
}

/// An account on its way through its events.
#[derive(Default)]
struct AccountReplay {
    version: i64,
    account: UserAccount,
    began: BTreeMap<String, (DateTime<Utc>, Option<Client>)>,
}

impl AccountReplay {
    fn take(&mut self, sequence: i64, event: UserAccountEvent) {
        if let AccountFact::Session(SessionFact::LoggedIn { session, .. }) = &event.fact {
            self.began.insert(session.to_string(), (event.at, event.client.clone()));
        }
        if let Some((session, _)) = event.ended_session() {
            self.began.remove(&session.to_string());
        }
        self.version = sequence;
        self.account.apply(event);
    }

    fn standing(&self, at: DateTime<Utc>) -> AccountStanding {
        let (account, member) = (&self.account, self.account.member());
        let state = match account {
            UserAccount::Unknown => "unknown",
            UserAccount::Pending(pending) if pending.erased_at.is_some() => "erased",
            UserAccount::Pending(_) => "pending",
            // Its time is over, which no event marks.
            UserAccount::Suspended(_) if !account.is_suspended(at) => "active",
            UserAccount::Active(_) => "active",
            UserAccount::Suspended(_) => "suspended",
        };
        let suspended_until = match account {
            UserAccount::Suspended(suspended) if state == "suspended" => suspended.until,
            UserAccount::Suspended(_)
            | UserAccount::Unknown
            | UserAccount::Pending(_)
            | UserAccount::Active(_) => None,
        };
        let sessions =
            account.live_sessions(at).map(|session| (session.id.to_string(), self.signed_in(session)));
        AccountStanding {
            at,
            version: self.version,
            state,
            suspended_until,
            erasure_due_at: account.erasure_time(at),
            legal_hold_until: account.legal_hold(at).map(|hold| hold.until),
            identifiers: member.map(|member| member.identifiers.clone()).unwrap_or_default(),
            identifiers_released: account.identifiers_released(),
            roles: member.map(|member| member.roles.clone()).unwrap_or_default(),
            language: account.language().cloned(),
            sessions: sessions.collect(),
            codes: account.codes().map(|codes| counted(codes, at)),
            codes_of_known_devices: member
                .and_then(|member| member.known_codes.as_deref())
                .map(|codes| counted(codes, at)),
            second_factor: member.and_then(|member| member.second_factor.as_deref()).map(|it| factor(it, at)),
        }
    }

    fn signed_in(&self, session: &Session) -> SignedIn {
        let began = self.began.get(&session.id.to_string());
        SignedIn {
            generation: session.generation,
            signed_in_at: began.map(|(at, _)| *at),
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            ends_at: session.ends_at,
            proved_at: session.proved_at,
            proved_by: session.channel,
            second_factor_at: session.second_factor_at,
            client: began.and_then(|(_, client)| client.clone()),
        }
    }
}

fn counted(codes: &CodeState, at: DateTime<Utc>) -> WindowCounts {
    let pending = |code: &Option<Challenge>| {
        code.as_ref().filter(|code| at < code.expires_at).map(|code| PendingCode {
            channel: code.channel,
            expires_at: code.expires_at,
            wrong_tries: code.wrong_tries,
        })
    };
    let sum = |count: &dyn Fn(&CodeCounters) -> usize| count(&codes.phone) + count(&codes.email);
    WindowCounts {
        pending: pending(&codes.challenge),
        pending_to_add: pending(&codes.adding),
        pending_to_reauthenticate: pending(&codes.reauthentication),
        sent_in_a_day: sum(&|of| within(&of.sent, TimeDelta::hours(24), at)),
        sent_elsewhere_in_a_day: within(&codes.sent_elsewhere, TimeDelta::hours(24), at),
        wrong_in_an_hour: sum(&|of| within(&of.wrong.lately, TimeDelta::hours(1), at)),
        wrong_in_a_row: codes.phone.wrong.in_a_row + codes.email.wrong.in_a_row,
    }
}

fn factor(factor: &SecondFactor, at: DateTime<Utc>) -> FactorStanding {
    let (offered, enrolled) = (factor.offered.as_ref(), factor.enrolled.as_ref());
    FactorStanding {
        offered: offered.filter(|offer| at < offer.expires_at).map(|offer| offer.authenticator),
        enrolled: enrolled.map(|enrolled| enrolled.authenticator),
        last_step: enrolled.map(|enrolled| enrolled.last_step),
        recovery_codes_left: enrolled.map_or(0, |enrolled| enrolled.recovery_left()),
        wrong_in_an_hour: within(&factor.wrong.lately, TimeDelta::hours(1), at),
        wrong_in_a_row: factor.wrong.in_a_row,
    }
}

/// How many of the times are within a window that ends at the time.
fn within(times: &[DateTime<Utc>], window: TimeDelta, at: DateTime<Utc>) -> usize {
    times.iter().filter(|time| at - **time < window).count()
}
