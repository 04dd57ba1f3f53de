//! Blocks: set and lifted by staff, and asked about before a code is sent or tried.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{Refusal, StaffRecordFact};
use counterfoil_domain::values::{BlockId, Identifier, Reason};
use deadpool_postgres::Client;
use uuid::Uuid;

use super::commit::late;
use super::staff::StaffAction;
use super::{Accounts, AccountsError, TIME_LIMIT};
use crate::crypto::entropy;
use crate::journal::JournalError;
use crate::limits::LimitsError;
use crate::limits::alarms::{self, AlarmAcknowledgement};
use crate::limits::blocks::{self, ActiveBlock, BlockedAct, BlockedSubject, StoredBlock};
use crate::limits::code_stops::CodeStop;
use crate::postgres::DatabaseError;

/// The longest wait that a blocked caller is told. It does not say how long the block lasts.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A block that staff want.
#[derive(Clone, Debug)]
pub struct WantedBlock {
    /// What is to be blocked.
    pub subject: BlockedSubject,
    /// When the block is to end; `None` until it is lifted.
    pub until: Option<DateTime<Utc>>,
    /// Why it is to be set.
    pub reason: Reason,
}

/// What came of setting a block.
#[derive(Clone, Debug)]
pub enum BlockOutcome {
    /// The block is new.
    Set(StoredBlock),
    /// The subject was blocked already; the block has the end that is wanted.
    Kept(StoredBlock),
}

impl Accounts {
    /// Checks that no block keeps a caller from what they are about to do with an identifier. The database is not asked.
    pub(super) async fn require_not_blocked(
        &self,
        act: BlockedAct,
        identifier: &Identifier,
        ip: IpAddr,
    ) -> Result<(), LimitsError> {
        let now = self.clock.now();
        let Some(block) = self.blocks.keeping_from(act, identifier, ip, now).await? else { return Ok(()) };
        metrics::counter!("counterfoil_limits_refused_total", "limit" => "block").increment(1);
        let until = block.until.and_then(|until| (until - now).to_std().ok());
        let wait = until.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        Err(LimitsError::Blocked { kind: block.subject.kind(), until: block.until, wait })
    }

    /// Notes why a code was not sent, where neither the account nor a fault is the reason.
    pub(super) fn note_stop(&self, identifier: &Identifier, error: &AccountsError) {
        let now = self.clock.now();
        let (kind, until) = match error {
            AccountsError::Limits(LimitsError::Refused { limit, wait }) => {
                (limit.name().to_owned(), TimeDelta::from_std(*wait).ok().map(|wait| now + wait))
            }
            AccountsError::Limits(LimitsError::CountryNotServed) => ("country_not_served".to_owned(), None),
            AccountsError::Limits(LimitsError::Blocked { kind, until, .. }) => {
                (format!("block_{}", kind.as_str()), *until)
            }
            AccountsError::Refused(Refusal::RefusedByRule { rule }) => (format!("rule_{rule}"), None),
            AccountsError::Refused(_)
            | AccountsError::Limits(LimitsError::Unanswered(_))
            | AccountsError::InvalidToken
            | AccountsError::Busy
            | AccountsError::NotTaken(_)
            | AccountsError::RuleUnavailable(_)
            | AccountsError::Claims(_)
            | AccountsError::Register(_)
            | AccountsError::Journal(_) => return,
        };
        if let Some(stops) = &self.stops {
            stops.note(identifier, kind, now, until);
        }
    }

    /// The blocks that keep codes from an identifier now.
    ///
    /// # Errors
    /// When this node has not read the blocks yet.
    pub async fn blocks_of(&self, identifier: &Identifier) -> Result<Vec<ActiveBlock>, LimitsError> {
        Ok(self.blocks.of_identifier(identifier, self.clock.now()).await?)
    }

    /// What stopped codes to an identifier within the last day.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be read.
    pub async fn stops_of(&self, identifier: &Identifier) -> Result<Vec<CodeStop>, AccountsError> {
        let now = self.clock.now();
        let Some(stops) = &self.stops else { return Ok(Vec::new()) };
        self.ask_database(async |db| stops.of_identifier(db, identifier, now).await).await
    }

    /// Blocks a subject. Where it is blocked already, the block gets the end and the reason that are wanted; with the same end,
    /// nothing changes. It is put on record before it happens.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the caller is no administrator, or the session has ended meanwhile.
    pub async fn set_block(
        &self,
        wanted: WantedBlock,
        who: &StaffAction,
    ) -> Result<BlockOutcome, AccountsError> {
        let now = self.clock.now();
        let personal_data = self.journal.personal_data().clone();
        let active = self.ask_database(async |db| blocks::not_ended(db, &personal_data).await).await?;
        let is_same =
            |block: &StoredBlock| block.subject.as_ref() == Some(&wanted.subject) && block.is_active(now);
        let same = active.into_iter().find(is_same);
        if let Some(same) = &same
            && same.until == wanted.until
        {
            return Ok(BlockOutcome::Kept(same.clone()));
        }
        let block = same.as_ref().map_or_else(|| BlockId(entropy::uuid_v7(now)), |same| same.id);
        let WantedBlock { subject, until, reason } = wanted;
        let (kind, text) = (subject.kind(), subject.text());
        let public = subject.is_public().then(|| text.clone());
        let query = (!subject.is_public()).then(|| format!("{}={text}", kind.as_str()));
        let fact = |by| StaffRecordFact::BlockSet { block, kind, subject: public, until, by };
        self.put_on_record(who, query, fact).await?;
        let wanted = StoredBlock {
            id: block,
            kind,
            subject: Some(subject),
            since: now,
            until,
            ended_at: None,
            reason: Some(reason.as_str().to_owned()),
            by: Some(who.by.acting()),
        };
        let change = async |db: &mut Client| blocks::change(db, &personal_data, wanted, now).await;
        let stands = self.ask_database(change).await?;
        self.blocks.look_now();
        Ok(if same.is_some() { BlockOutcome::Kept(stands) } else { BlockOutcome::Set(stands) })
    }

    /// Lifts a block: whether there is one that holds. It is put on record before it happens.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the caller is no administrator, or the session has ended meanwhile.
    pub async fn lift_block(&self, block: BlockId, who: &StaffAction) -> Result<bool, AccountsError> {
        let now = self.clock.now();
        let personal_data = self.journal.personal_data().clone();
        let stored = self.ask_database(async |db| blocks::stored(db, &personal_data, block).await).await?;
        if !stored.is_some_and(|stored| stored.is_active(now)) {
            return Ok(false);
        }
        self.put_on_record(who, None, |by| StaffRecordFact::BlockLifted { block, by }).await?;
        self.ask_database(async |db| blocks::end(db, block, now).await).await?;
        self.blocks.look_now();
        Ok(true)
    }

    /// Takes note of an alarm: whether there is one. It is put on record before it happens; a second time, nothing happens.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the caller is no administrator, or the session has ended meanwhile.
    pub async fn acknowledge_alarm(&self, alarm: Uuid, who: &StaffAction) -> Result<bool, AccountsError> {
        let personal_data = self.journal.personal_data().clone();
        let find = async |db: &mut Client| alarms::find_alarm(db, &personal_data, alarm).await;
        let Some(found) = self.ask_database(find).await? else { return Ok(false) };
        if found.acknowledgement.is_some() {
            return Ok(true);
        }
        let (name, subject) = (found.alarm, found.subject);
        let fact = |by| StaffRecordFact::AlarmAcknowledged { alarm, name, subject, by };
        self.put_on_record(who, None, fact).await?;
        let reason = who.reason.as_ref().map(|reason| reason.as_str().to_owned());
        let acknowledgement =
            AlarmAcknowledgement { at: self.clock.now(), by: Some(who.by.acting()), reason };
        let note =
            async |db: &mut Client| alarms::acknowledge(db, &personal_data, alarm, &acknowledgement).await;
        self.ask_database(note).await?;
        Ok(true)
    }

    async fn ask_database<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, AccountsError> {
        let asked = async {
            let mut connection = self.journal.database().connection().await?;
            ask(&mut connection).await.map_err(DatabaseError::from)
        };
        let answer = tokio::time::timeout(TIME_LIMIT, asked).await;
        let answer = answer.map_or_else(|_| Err(late()), |answer| answer.map_err(JournalError::Database));
        Ok(answer?)
    }
}
