//! What would have become of what people asked for, had another policy held.
//!
//! Each account's commands are done again in their order, by the same decisions, on a copy of the account that goes by the
//! proposed policy; where that comes to something else than the record, it is counted. Nothing is written, and no personal
//! data is opened but where codes went, to price them.

mod account;
mod on_record;
mod report;
mod request;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Policy, UserAccount, UserAccountEvent};
use counterfoil_domain::values::AccountId;
use cqrs_es::Aggregate as _;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{VerificationProgress, snapshot};
use crate::delivery::PriceList;
use crate::journal::{Journal, JournalError, streams};

pub use account::{AccountRehearsal, RehearsalDifference, RehearsedOutcome, RehearsedRequest};
pub use report::{AccountConcerned, CodeCost, DayDifferences, PerRequest, RefusalTally, RehearsalReport};
pub use settings::{
    PolicyProposals, ProposedPolicy, REHEARSED_SETTINGS, RehearsalPolicy, SettingValue, UnfitSetting,
};

/// How many events are read at a time.
const ROWS: i32 = 2_000;

/// What is proposed, and for which time.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The policy that would have held.
    pub policy: Policy,
    /// From when on; from the beginning where there is no time. Until then all was as it is on record.
    pub since: Option<DateTime<Utc>>,
    /// The time at which the rehearsal ends.
    pub until: DateTime<Utc>,
    /// What codes cost, where that is known.
    pub prices: Option<PriceList>,
}

/// Rehearses the proposal on the whole log, as of one moment, in flat memory. `concerned` hears of each account for which something
/// would have been different.
///
/// # Errors
/// [`JournalError`] when the database does not answer, or an event cannot be read.
pub async fn rehearse(
    journal: &Journal,
    proposal: &Proposal,
    progress: &mut impl FnMut(VerificationProgress),
    concerned: &mut (impl FnMut(AccountConcerned) + Send),
) -> Result<RehearsalReport, JournalError> {
    let mut connection = journal.database().connection().await?;
    let snapshot = snapshot(&mut connection).await?;
    let accounts: i64 = snapshot.query_one("SELECT count(*) FROM heads", &[]).await?.get(0);
    let of = accounts.try_into().unwrap_or_default();
    let statement = snapshot.prepare_cached(include_str!("../sql/courses.sql")).await?;
    let courses = snapshot.bind(&statement, &[&UserAccount::TYPE, &proposal.since]).await?;

    let mut rehearsals = Rehearsals::new(proposal, concerned);
    let mut rows = snapshot.query_portal(&courses, ROWS).await?;
    while let Some(last) = rows.last() {
        progress(VerificationProgress {
            done: last.get::<_, i64>("done").try_into().unwrap_or_default(),
            of,
        });
        // The next are read while these are rehearsed.
        let read = async { Ok(snapshot.query_portal(&courses, ROWS).await?) };
        let rehearse = async {
            rows.iter().try_for_each(|row| rehearsals.take(row))?;
            rehearsals.price(&snapshot, journal).await
        };
        (rows, ()) = tokio::try_join!(read, rehearse)?;
    }
    rehearsals.finish_account();
    rehearsals.price(&snapshot, journal).await?;
    progress(VerificationProgress { done: of, of });
    Ok(rehearsals.report)
}

/// One account after the other.
struct Rehearsals<'a> {
    proposal: &'a Proposal,
    policy: Arc<Policy>,
    account: Option<AccountId>,
    rehearsal: AccountRehearsal,
    commit: Commit,
    concerned: Option<AccountConcerned>,
    tell: &'a mut (dyn FnMut(AccountConcerned) + Send),
    report: RehearsalReport,
    /// The codes that have to be priced, each with whether it would have been sent.
    unpriced: Vec<(AccountId, i64, bool)>,
}

/// The events of a command, as far as they have been read.
#[derive(Default)]
struct Commit {
    id: Option<String>,
    sequence: i64,
    events: Vec<UserAccountEvent>,
}

impl<'a> Rehearsals<'a> {
    fn new(proposal: &'a Proposal, tell: &'a mut (dyn FnMut(AccountConcerned) + Send)) -> Self {
        let policy = Arc::new(proposal.policy.clone());
        let cost = proposal.prices.as_ref().map(|_| CodeCost::default());
        Self {
            proposal,
            rehearsal: AccountRehearsal::new(policy.clone()),
            policy,
            account: None,
            commit: Commit::default(),
            concerned: None,
            tell,
            report: RehearsalReport { cost, ..RehearsalReport::default() },
            unpriced: Vec::new(),
        }
    }

    fn take(&mut self, row: &Row) -> Result<(), JournalError> {
        let account = AccountId(row.get("account_id"));
        if self.account != Some(account) {
            self.finish_account();
            self.account = Some(account);
            self.report.accounts += 1;
        }
        self.report.events += 1;
        let unreadable =
            |error: serde_json::Error| JournalError::Unreadable { account, reason: error.to_string() };
        let event: UserAccountEvent = serde_json::from_str(row.get("payload")).map_err(unreadable)?;
        if self.proposal.since.is_some_and(|since| event.at < since) {
            self.rehearsal.remember(event);
            return Ok(());
        }
        if event.at >= self.proposal.until {
            return Ok(());
        }
        let id: Option<&str> = row.get("commit");
        if id.is_none() || self.commit.id.as_deref() != id {
            self.finish_commit();
            self.commit =
                Commit { id: id.map(str::to_owned), sequence: row.get("sequence"), events: Vec::new() };
        }
        self.commit.events.push(event);
        Ok(())
    }

    fn finish_commit(&mut self) {
        let Commit { sequence, events, .. } = std::mem::take(&mut self.commit);
        if let Some(request) = AccountRehearsal::granted(&events) {
            *self.report.on_record.of(request) += 1;
        }
        if let Some(request) = AccountRehearsal::refused_by_rule(&events) {
            *self.report.refused_by_rules.of(request) += 1;
        }
        let Some(difference) = self.rehearsal.take(&events) else { return };
        self.count(difference);
        let is_sent = matches!(difference.what, RehearsedOutcome::LetThrough(_));
        if let (
            RehearsedOutcome::Refused(RehearsedRequest::Code)
            | RehearsedOutcome::LetThrough(RehearsedRequest::Code),
            Some(account),
        ) = (difference.what, self.account)
            && self.proposal.prices.is_some()
        {
            self.unpriced.push((account, sequence, is_sent));
        }
    }

    fn finish_account(&mut self) {
        self.finish_commit();
        let rehearsal = std::mem::replace(&mut self.rehearsal, AccountRehearsal::new(self.policy.clone()));
        for difference in rehearsal.finish(self.proposal.until) {
            self.count(difference);
        }
        if let Some(concerned) = self.concerned.take() {
            self.report.accounts_concerned += 1;
            (self.tell)(concerned);
        }
    }

    fn count(&mut self, difference: RehearsalDifference) {
        self.report.count(&difference);
        if let Some(account) = self.account {
            self.concerned.get_or_insert_with(|| AccountConcerned::new(account)).add(difference);
        }
    }

    /// Adds what the codes cost, by where they went.
    async fn price(&mut self, snapshot: &Transaction<'_>, journal: &Journal) -> Result<(), JournalError> {
        let unpriced = std::mem::take(&mut self.unpriced);
        let (Some(prices), Some(cost)) = (&self.proposal.prices, &mut self.report.cost) else {
            return Ok(());
        };
        if unpriced.is_empty() {
            return Ok(());
        }
        let accounts: Vec<Uuid> = unpriced.iter().map(|(account, ..)| account.0).collect();
        let sequences: Vec<i64> = unpriced.iter().map(|(_, sequence, _)| *sequence).collect();
        let sent: Vec<bool> = unpriced.iter().map(|(.., is_sent)| *is_sent).collect();
        let keys = streams::keys(snapshot, journal.personal_data(), &accounts).await?;
        let statement = snapshot.prepare_cached(include_str!("../sql/personal_of.sql")).await?;
        let rows = snapshot.query(&statement, &[&UserAccount::TYPE, &accounts, &sequences, &sent]).await?;
        for row in &rows {
            let (account, is_sent) = (AccountId(row.get("account_id")), row.get("mark"));
            let (sequence, event_type) = (row.get("sequence"), row.get("event_type"));
            let person = keys.get(&account).and_then(|keys| {
                let personal: Option<&[u8]> = row.get("personal");
                keys.open_event(sequence, event_type, row.get("at"), personal?).0
            });
            match person.and_then(|person| person.identifier) {
                None => cost.unknown += 1,
                Some(to) if is_sent => cost.spent = cost.spent + prices.of(&to),
                Some(to) => cost.saved = cost.saved + prices.of(&to),
            }
        }
        Ok(())
    }
}
