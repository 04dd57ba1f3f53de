//! What proves the life of one account to others: its events, as they are stored, with the proofs that they are in the log, a
//! checkpoint that the log and its witnesses have signed, and the keys of what is personal in them. From these alone a reader computes
//! who was signed in at a time, and needs neither the database nor the word of the service.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{UserAccount, UserAccountEvent};
use counterfoil_domain::values::AccountId;
use cqrs_es::Aggregate as _;
use deadpool_postgres::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::logged_event::{EventChain, LoggedEvent};
use super::{snapshot, standing};
use crate::crypto::personal_data::{AccountKeys, KeyScope, WrappedKey};
use crate::journal::{Journal, JournalError};
use crate::transparency::note::{Checkpoint, SignedNote};
use crate::transparency::proofs::{self, ProofError};
use crate::transparency::store;
use crate::transparency::tree::{TreeHash, proves_inclusion};
use crate::transparency::{TrustedKeys, WitnessVerdict};

/// The form of a bundle.
const FORMAT: &str = "counterfoil-evidence/v1";

/// How many events a bundle has at most.
const MOST_EVENTS: usize = 10_000;

/// A bundle of evidence about an account at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBundle {
    format: String,
    account_id: AccountId,
    at: DateTime<Utc>,
    /// The signed note of the checkpoint, with its cosignatures.
    checkpoint: String,
    /// The keys of what is personal in the events, in base64, by their scopes. Who has the bundle can read the events.
    keys: BTreeMap<String, Zeroizing<String>>,
    /// The events up to the time and, where there is one, the event after it, which shows that none was left out before.
    events: Vec<ProvedEvent>,
    /// The account as it stood at the time, by the events.
    answer: Value,
}

/// An event with the proof that it is in the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvedEvent {
    event: LoggedEvent,
    /// The hashes beside the way to the root of the checkpoint, as hexadecimal digits.
    path: Vec<String>,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The database gave no answer, or lacks a part of the tree.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// There is no such account.
    #[error("the log has no such account")]
    NoAccount,
    /// The events of the account are not signed yet.
    #[error(
        "the events of the account are not signed yet: that happens within a second, while the service runs"
    )]
    Unsigned,
    /// The account has more events than a bundle takes.
    #[error("the account has more than {MOST_EVENTS} events up to that time: export the log instead")]
    TooLarge,
}

impl From<JournalError> for EvidenceError {
    fn from(error: JournalError) -> Self {
        Self::Proof(error.into())
    }
}

impl From<tokio_postgres::Error> for EvidenceError {
    fn from(error: tokio_postgres::Error) -> Self {
        JournalError::from(error).into()
    }
}

/// A part of a bundle that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFault {
    /// The file is not one that this software writes.
    #[error("form: the file is no bundle of evidence, or a byte of it was changed")]
    Form,
    /// The checkpoint cannot be read, or is not signed by a trusted key of its log.
    #[error("checkpoint: it is not signed by a key of the log that you named")]
    Checkpoint,
    /// A cosignature is not by the witness that it names.
    #[error("checkpoint: it is not cosigned by the witness that it names")]
    Cosignature,
    /// An event is missing, of another account, or not what its leaf was made of.
    #[error("events: number {0} of the account is not there, or is not what its leaf was made of")]
    Event(i64),
    /// The proof of an event does not lead to the checkpoint.
    #[error("events: number {0} of the account is not proved to be in the log")]
    Proof(i64),
    /// A key does not open what is personal in an event.
    #[error("keys: what is personal in number {0} of the account cannot be opened by them")]
    Keys(i64),
    /// The events come to something else.
    #[error("answer: the events come to something else")]
    Answer,
}

/// What a bundle proves.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceVerdict {
    /// The account that it is about.
    pub account_id: AccountId,
    /// The time that it is about.
    pub at: DateTime<Utc>,
    /// The name of the log.
    pub origin: String,
    /// How many events the log had when it was signed.
    pub log_size: u64,
    /// How many events of the account are proved.
    pub events: usize,
    /// Whether an event after the time shows that none before it was left out. Else one could follow that is not in the bundle.
    pub is_closed: bool,
    /// What the witnesses confirm that the reader trusts.
    pub witnesses: Vec<WitnessVerdict>,
    /// The account as it stood.
    pub answer: Value,
}

/// Collects the evidence about an account at a time, by the last checkpoint.
///
/// # Errors
/// [`EvidenceError`].
pub async fn evidence(
    journal: &Journal,
    account: AccountId,
    at: DateTime<Utc>,
) -> Result<EvidenceBundle, EvidenceError> {
    let mut connection = journal.database().connection().await.map_err(JournalError::from)?;
    let snapshot = snapshot(&mut connection).await?;
    if snapshot.query_opt("SELECT FROM heads WHERE account_id = $1", &[&account.0]).await?.is_none() {
        return Err(EvidenceError::NoAccount);
    }
    let last = store::last_checkpoint(&snapshot).await?.ok_or(EvidenceError::Unsigned)?;
    let mut logged = logged_events(&snapshot, account, last.size).await?;
    if logged.is_empty() {
        return Err(EvidenceError::Unsigned);
    }
    let until = logged.iter().take_while(|event| time_of(event).is_none_or(|time| time <= at)).count();
    logged.truncate(until + 1);
    if logged.len() > MOST_EVENTS {
        return Err(EvidenceError::TooLarge);
    }
    let secrets = secrets(journal, &snapshot, account, &logged).await?;
    let keys = AccountKeys::from_secrets(account, &secrets);
    let answer = answer(&logged, &keys, at).map_err(|sequence| JournalError::Unreadable {
        account,
        reason: format!("event {sequence} is none that this version knows"),
    })?;
    let mut events = Vec::new();
    for event in logged {
        let proof = proofs::inclusion(&snapshot, event.seq, last.size).await?;
        events.push(ProvedEvent { event, path: proof.path.iter().map(TreeHash::to_hex).collect() });
    }
    let keys =
        secrets.iter().map(|(scope, secret)| (scope.to_string(), Zeroizing::new(STANDARD.encode(&**secret))));
    Ok(EvidenceBundle {
        format: FORMAT.to_owned(),
        account_id: account,
        at,
        checkpoint: last.note.to_string(),
        keys: keys.collect(),
        events,
        answer,
    })
}

async fn logged_events(
    snapshot: &Transaction<'_>,
    account: AccountId,
    size: i64,
) -> Result<Vec<LoggedEvent>, JournalError> {
    let statement = snapshot.prepare_cached(include_str!("sql/logged_events_of.sql")).await?;
    let rows = snapshot.query(&statement, &[&UserAccount::TYPE, &account.0, &size]).await?;
    Ok(rows.iter().map(LoggedEvent::of_row).collect())
}

/// The keys that the events need, as far as they are there.
async fn secrets(
    journal: &Journal,
    snapshot: &Transaction<'_>,
    account: AccountId,
    events: &[LoggedEvent],
) -> Result<BTreeMap<KeyScope, Zeroizing<Vec<u8>>>, JournalError> {
    let origins = events.iter().filter_map(time_of).map(KeyScope::origin_at);
    let wanted: Vec<KeyScope> = origins.chain([KeyScope::Person]).collect();
    let sql = "SELECT scope, wrapping_id, wrapped FROM account_keys WHERE account_id = $1";
    let rows = snapshot.query(sql, &[&account.0]).await?;
    let mut secrets = journal.personal_data().unwrap_secrets(account, rows.iter().map(WrappedKey::of));
    secrets.retain(|scope, _| wanted.contains(scope));
    Ok(secrets)
}

/// When an event was decided; none where its payload does not say.
fn time_of(event: &LoggedEvent) -> Option<DateTime<Utc>> {
    let event: UserAccountEvent = serde_json::from_str(&event.payload).ok()?;
    Some(event.at)
}

/// The account as it stood by these events; the number of one that cannot be read.
fn answer(logged: &[LoggedEvent], keys: &AccountKeys, at: DateTime<Utc>) -> Result<Value, i64> {
    let mut history = Vec::new();
    for logged in logged {
        let mut event: UserAccountEvent =
            serde_json::from_str(&logged.payload).map_err(|_| logged.sequence)?;
        if let Some(personal) = logged.sealed().map_err(|_| logged.sequence)? {
            keys.reveal_event(logged.sequence, &mut event, &personal);
        }
        history.push((logged.sequence, event));
    }
    let standing = standing::standing_of(history, at);
    Ok(serde_json::to_value(standing).expect("texts, numbers and times are JSON"))
}

impl EvidenceBundle {
    /// The text of the bundle, which a verification takes byte for byte.
    ///
    /// # Panics
    /// Never: texts, numbers and times are JSON.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("texts, numbers and times are JSON");
        format!("{text}\n")
    }

    /// Verifies the text of a bundle by keys that the reader has from elsewhere.
    ///
    /// # Errors
    /// [`EvidenceFault`], which names the part.
    pub fn verify(text: &str, keys: &TrustedKeys) -> Result<EvidenceVerdict, EvidenceFault> {
        let bundle: Self = serde_json::from_str(text).map_err(|_| EvidenceFault::Form)?;
        if bundle.to_text() != text || bundle.format != FORMAT {
            return Err(EvidenceFault::Form);
        }
        let note: SignedNote = bundle.checkpoint.parse().map_err(|_| EvidenceFault::Checkpoint)?;
        if note.to_string() != bundle.checkpoint {
            return Err(EvidenceFault::Checkpoint);
        }
        let checkpoint: Checkpoint = note.text.parse().map_err(|_| EvidenceFault::Checkpoint)?;
        let witnesses = bundle.signers(&note, &checkpoint, keys)?;
        bundle.follow(&checkpoint)?;
        let secrets = bundle.secrets().ok_or(EvidenceFault::Form)?;
        let account_keys = AccountKeys::from_secrets(bundle.account_id, &secrets);
        bundle.open(&account_keys, &secrets)?;
        let logged: Vec<LoggedEvent> = bundle.events.iter().map(|proved| proved.event.clone()).collect();
        let answer = answer(&logged, &account_keys, bundle.at).map_err(EvidenceFault::Event)?;
        if answer != bundle.answer {
            return Err(EvidenceFault::Answer);
        }
        let is_closed = logged.last().and_then(time_of).is_some_and(|last| last > bundle.at);
        let (events, origin) = (bundle.events.len(), checkpoint.origin.to_string());
        let (account_id, at, log_size) = (bundle.account_id, bundle.at, checkpoint.head.size);
        Ok(EvidenceVerdict { account_id, at, origin, log_size, events, is_closed, witnesses, answer })
    }

    /// What the signatures under the checkpoint say, by the keys that are trusted.
    fn signers(
        &self,
        note: &SignedNote,
        checkpoint: &Checkpoint,
        keys: &TrustedKeys,
    ) -> Result<Vec<WitnessVerdict>, EvidenceFault> {
        let own = keys.log.iter().filter(|key| key.name == checkpoint.origin && note.has_signature_of(key));
        let mut own = own.map(|key| note.verify(key)).peekable();
        if own.peek().is_none() || own.any(|signature| signature.is_err()) {
            return Err(EvidenceFault::Checkpoint);
        }
        let size = i64::try_from(checkpoint.head.size).ok();
        let verdict = |key: &crate::transparency::note::VerifierKey| {
            let name = key.name.to_string();
            if !note.has_signature_of(key) {
                return Ok(WitnessVerdict { name, size: None, at: None });
            }
            let at = note.verify_witness(key).map_err(|_| EvidenceFault::Cosignature)?;
            Ok(WitnessVerdict { name, size, at: Some(at) })
        };
        keys.witnesses.iter().map(verdict).collect()
    }

    /// Follows the chain of the account, from its first event, and each event to the root.
    fn follow(&self, checkpoint: &Checkpoint) -> Result<(), EvidenceFault> {
        let mut chain = EventChain::default();
        for proved in &self.events {
            let ProvedEvent { event, path } = proved;
            let sequence = event.sequence;
            let is_own = event.aggregate_type == UserAccount::TYPE
                && event.aggregate_id == self.account_id.to_string();
            let leaf = chain.follow(event).ok().filter(|_| is_own);
            let leaf = TreeHash(leaf.ok_or(EvidenceFault::Event(sequence))?.0);
            let path: Option<Vec<TreeHash>> = path.iter().map(|hash| TreeHash::from_hex(hash)).collect();
            let path = path.ok_or(EvidenceFault::Proof(sequence))?;
            let index = u64::try_from(event.seq - 1).map_err(|_| EvidenceFault::Proof(sequence))?;
            if !proves_inclusion(&leaf, index, checkpoint.head.size, &path, &checkpoint.head.root) {
                return Err(EvidenceFault::Proof(sequence));
            }
        }
        // All but the last are of the time or before.
        let late = |proved: &&ProvedEvent| time_of(&proved.event).is_none_or(|time| time > self.at);
        let before_last = self.events.len().saturating_sub(1);
        match self.events.iter().take(before_last).find(late) {
            Some(proved) => Err(EvidenceFault::Event(proved.event.sequence)),
            None if self.events.is_empty() => Err(EvidenceFault::Event(1)),
            None => Ok(()),
        }
    }

    /// The keys; none where one is no key.
    fn secrets(&self) -> Option<BTreeMap<KeyScope, Zeroizing<Vec<u8>>>> {
        let secrets = self.keys.iter().map(|(scope, secret)| {
            let secret = STANDARD.decode(secret.as_bytes()).ok().filter(|secret| secret.len() == 32)?;
            Some((scope.parse().ok()?, Zeroizing::new(secret)))
        });
        secrets.collect()
    }

    /// Opens what is personal in each event by the keys that are there for it: a key that opens nothing was changed.
    fn open(
        &self,
        keys: &AccountKeys,
        secrets: &BTreeMap<KeyScope, Zeroizing<Vec<u8>>>,
    ) -> Result<(), EvidenceFault> {
        for ProvedEvent { event, .. } in &self.events {
            let fault = EvidenceFault::Keys(event.sequence);
            let (Some(personal), Some(at)) = (event.sealed().map_err(|_| fault)?, time_of(event)) else {
                continue;
            };
            let (has_person, has_client) = AccountKeys::sealed_parts(&personal).ok_or(fault)?;
            let (person, client) = keys.open_event(event.sequence, &event.event_type, at, &personal);
            let opens = |has_part: bool, scope: KeyScope, is_open: bool| {
                !has_part || is_open || !secrets.contains_key(&scope)
            };
            let is_open = opens(has_person, KeyScope::Person, person.is_some())
                && opens(has_client, KeyScope::origin_at(at), client.is_some());
            if !is_open {
                return Err(fault);
            }
        }
        Ok(())
    }
}
