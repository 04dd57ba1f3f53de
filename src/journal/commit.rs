//! What one command makes durable, prepared down to the bytes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{UserAccount, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Channel, Identifier};
use counterfoil_projections::RecordedEvent;
use cqrs_es::Aggregate as _;
use serde::Serialize;
use uuid::Uuid;

use super::leaf::LeafColumns;
use super::{AccountHead, Leaf, LoadedAccount};
use crate::crypto::personal_data::{AccountKeys, KeyScope, LookupHashes, PersonalData, WrappedKey};
use crate::delivery::outbox::{self, QueuedMessage};
use crate::language::Language;

/// A commit: the events of one command, and all that becomes true with them.
///
/// It can be sent again as it is. The version it builds on lets it happen once, and its id tells afterwards whether
/// it was this commit that happened.
#[derive(Clone, Debug)]
pub struct Commit {
    pub(super) account: AccountId,
    pub(super) expected_version: i64,
    /// The account by whose authority it happens, as it stood when it was asked whether it may.
    pub(super) authority: Option<CommitAuthority>,
    pub(super) metadata: String,
    pub(super) rows: Vec<EventRow>,
    pub(super) state: Vec<u8>,
    pub(super) leaf: Leaf,
    pub(super) reservation: Option<(LookupHashes, &'static str)>,
    pub(super) releases: Vec<&'static str>,
    pub(super) keys: Vec<WrappedKey>,
    pub(super) outbox: Vec<OutboxRow>,
    /// Whether it erases the account: the keys and what is known of the user go in the same transaction.
    pub(super) erases: bool,
    /// The same events, for the projectors.
    pub(super) events: Vec<RecordedEvent<UserAccountEvent>>,
    /// The account once it has happened.
    pub(super) after: Arc<AccountHead>,
}

/// Another account at a version, which a commit builds on as it builds on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitAuthority {
    /// The account that the commit also builds on.
    pub account: AccountId,
    /// How many events it had.
    pub version: i64,
}

/// A row of `events`, as it is written and hashed.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    pub(super) sequence: i64,
    pub(super) event_type: &'static str,
    pub(super) event_version: &'static str,
    pub(super) payload: String,
    pub(super) personal: Option<Vec<u8>>,
    pub(super) leaf: Leaf,
}

/// A row of `outbox`.
#[derive(Clone, Debug)]
pub(super) struct OutboxRow {
    pub(super) kind: &'static str,
    pub(super) channel: Channel,
    pub(super) language: Language,
    pub(super) content: Option<Vec<u8>>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) handed_to: Option<&'static str>,
    pub(super) country: Option<String>,
}

/// The country of a number (ISO 3166-1 alpha-2); none of an e-mail address.
fn country(to: &Identifier) -> Option<String> {
    let Identifier::Phone(number) = to else { return None };
    number.region().map(|region| region.to_string())
}

/// The `metadata` of an event: which commit wrote it, on whose request.
#[derive(Serialize)]
struct CommitMetadata<'a> {
    commit: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
}

impl Commit {
    /// The commit of `events`, which made `state` of the account as it was loaded. `None` when nothing happened.
    pub fn new(
        id: Uuid,
        request: Option<&str>,
        loaded: LoadedAccount,
        state: UserAccount,
        events: Vec<UserAccountEvent>,
        messages: Vec<QueuedMessage>,
        personal_data: &PersonalData,
    ) -> Option<Self> {
        let last = events.last()?;
        let LoadedAccount { head, remembered: _, reservation } = loaded;
        let gained = events.iter().find_map(|event| gained(event, personal_data));
        let releases = events.iter().filter_map(UserAccountEvent::released).map(Channel::as_str).collect();
        let AccountHead { account, version, leaf, mut keys, state: _ } = Arc::unwrap_or_clone(head);
        let keys_added =
            personal_data.add_missing(&mut keys, [KeyScope::Person, KeyScope::origin_at(last.at)]);
        let metadata = serde_json::to_string(&CommitMetadata { commit: id, request })
            .expect("an id and a text are JSON");
        let rows = rows(account, version, leaf, &metadata, &events, &keys);
        let (new_version, leaf) = rows.last().map(|row| (row.sequence, row.leaf))?;
        let row = |(queued, number): (QueuedMessage, i16)| OutboxRow {
            kind: queued.message.kind(),
            channel: queued.message.to.channel(),
            language: queued.language,
            content: queued
                .handed_to
                .is_none()
                .then(|| keys.seal(KeyScope::Person, &outbox::place(new_version, number), &queued.message)),
            expires_at: queued.expires_at,
            handed_to: queued.handed_to,
            country: country(&queued.message.to),
        };
        let outbox = messages.into_iter().zip(0..).map(row).collect();
        Some(Self {
            account,
            expected_version: version,
            authority: None,
            metadata,
            rows,
            state: keys.seal(KeyScope::Person, &state_place(new_version), &state),
            leaf,
            reservation: gained.or(reservation.filter(|_| version == 0)),
            releases,
            keys: keys_added,
            outbox,
            erases: last.erases(),
            events: (version + 1..)
                .zip(events)
                .map(|(sequence, event)| RecordedEvent { sequence, event })
                .collect(),
            after: Arc::new(AccountHead { account, version: new_version, state, leaf, keys }),
        })
    }

    /// The same, to happen only while that account is at that version too.
    pub fn on_authority(self, authority: Option<CommitAuthority>) -> Self {
        Self { authority, ..self }
    }

    /// When it was decided.
    pub fn decided_at(&self) -> DateTime<Utc> {
        self.events.last().map_or(DateTime::UNIX_EPOCH, |recorded| recorded.event.at)
    }

    pub(super) fn version(&self) -> i64 {
        self.rows.last().map_or(self.expected_version, |row| row.sequence)
    }
}

/// The hashes to reserve for an identifier that becomes the account's, and its kind.
fn gained(event: &UserAccountEvent, personal_data: &PersonalData) -> Option<(LookupHashes, &'static str)> {
    let channel = event.acquired()?;
    let identifier = event.person.as_ref()?.identifier.as_ref()?;
    Some((personal_data.lookup(identifier), channel.as_str()))
}

fn rows(
    account: AccountId,
    version: i64,
    mut leaf: Leaf,
    metadata: &str,
    events: &[UserAccountEvent],
    keys: &AccountKeys,
) -> Vec<EventRow> {
    let aggregate_id = account.to_string();
    let row = |(sequence, event): (i64, &UserAccountEvent)| {
        let mut row = EventRow {
            sequence,
            event_type: event.name(),
            event_version: UserAccountEvent::VERSION,
            payload: serde_json::to_string(event).expect("an event is texts, numbers and times"),
            personal: keys.seal_event(sequence, event),
            leaf,
        };
        leaf = leaf.next(LeafColumns {
            aggregate_type: UserAccount::TYPE,
            aggregate_id: &aggregate_id,
            sequence,
            event_type: row.event_type,
            event_version: row.event_version,
            payload: &row.payload,
            metadata,
            personal: row.personal.as_deref(),
        });
        row.leaf = leaf;
        row
    };
    (version + 1..).zip(events).map(row).collect()
}

/// To what a sealed state is bound.
pub(super) fn state_place(version: i64) -> String {
    format!("state/{version}")
}
