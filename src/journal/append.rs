//! Appending commits, many in one statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::profile::Profile;
use counterfoil_projections::{ALL, AccountStream, RowChanges};
use cqrs_es::Aggregate as _;
use deadpool_postgres::{Client, GenericClient};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::append_sql::{AppendParts, PROFILE};
use super::outages::CommitOutages;
use super::{Commit, CommitAuthority};
use crate::postgres::batcher::BatchQuery;
use crate::postgres::{Database, DatabaseError};

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It is durable; with the profile as it left it, where it changed that of a joined account and its answer did
    /// not get lost.
    Committed(Option<Profile>),
    /// The account had moved on, or the identifier had been taken: nothing was written. Load and decide again.
    Stale,
}

impl AppendOutcome {
    /// Whether it is durable.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed(_))
    }
}

/// Appends whatever commits are waiting. A stale one is left out without harming its neighbours.
///
/// After an error it is not known which of the commits happened; sending them again settles it.
#[derive(Clone, Debug)]
pub(super) struct AppendCommits {
    pub(super) outages: CommitOutages,
}

impl BatchQuery for AppendCommits {
    type Request = Arc<Commit>;
    type Answer = AppendOutcome;

    const MOST: usize = 64;

    async fn ask(
        &self,
        connection: &Client,
        commits: &[Arc<Commit>],
    ) -> Result<Vec<AppendOutcome>, DatabaseError> {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        metrics::histogram!("counterfoil_commits_in_a_batch").record(commits.len() as f64);
        self.noting_outages(settle(connection, commits)).await
    }

    /// One statement changes one row once.
    fn subject(&self, commit: &Arc<Commit>) -> Option<Uuid> {
        Some(commit.account.0)
    }

    fn not_connected(&self) {
        self.outages.failed(Duration::ZERO);
    }
}

impl AppendCommits {
    /// Appends a commit in a transaction of its own: one that happens by another account's authority, since within one statement two
    /// commits do not see each other, and two that take each other's authority would both happen; and one that erases, which takes
    /// another statement.
    pub(super) async fn by_itself(
        &self,
        database: &Database,
        commit: &Arc<Commit>,
    ) -> Result<AppendOutcome, DatabaseError> {
        let mut connection = database.connection().await.inspect_err(|_| self.not_connected())?;
        self.noting_outages(settle_by_itself(&mut connection, commit)).await
    }

    async fn noting_outages<T>(
        &self,
        sending: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let sent_at = Instant::now();
        let answer = sending.await;
        match &answer {
            Ok(_) => self.outages.acknowledged(sent_at.elapsed()),
            Err(error) if error.is_passing() => self.outages.failed(sent_at.elapsed()),
            Err(_) => {}
        }
        answer
    }
}

/// Sends the commits, and tells what became of each.
async fn settle(connection: &Client, commits: &[Arc<Commit>]) -> Result<Vec<AppendOutcome>, DatabaseError> {
    let mut committed = send(connection, commits).await?;
    let mut outcomes = Vec::with_capacity(commits.len());
    for commit in commits {
        outcomes.push(match committed.remove(&commit.account.0) {
            Some(profile) => AppendOutcome::Committed(profile),
            None => unless_on_record(connection, commit).await?,
        });
    }
    Ok(outcomes)
}

/// Locks the heads that the commit builds on, in the order in which every statement locks heads, and sends it if they are as it
/// expects.
async fn settle_by_itself(
    connection: &mut Client,
    commit: &Arc<Commit>,
) -> Result<AppendOutcome, DatabaseError> {
    let transaction = connection.transaction().await?;
    let own = CommitAuthority { account: commit.account, version: commit.expected_version };
    let built_on: Vec<CommitAuthority> = [own].into_iter().chain(commit.authority).collect();
    let accounts: Vec<Uuid> = built_on.iter().map(|head| head.account.0).collect();
    let versions: Vec<i64> = built_on.iter().map(|head| head.version).collect();
    let lock = transaction.prepare_cached(include_str!("sql/lock_heads.sql")).await?;
    let all_locked: bool = transaction.query_one(&lock, &[&accounts, &versions]).await?.get(0);
    if all_locked
        && let Some(profile) =
            send(&transaction, std::slice::from_ref(commit)).await?.remove(&commit.account.0)
    {
        if commit.erases {
            transaction.execute("SELECT erase_account($1)", &[&commit.account.0]).await?;
        }
        transaction.commit().await?;
        return Ok(AppendOutcome::Committed(profile));
    }
    transaction.rollback().await?;
    unless_on_record(connection, commit).await
}

/// What became of a commit that was found stale: it may have happened before, and its answer got lost.
async fn unless_on_record(connection: &Client, commit: &Commit) -> Result<AppendOutcome, DatabaseError> {
    if !is_on_record(connection, commit).await? {
        return Ok(AppendOutcome::Stale);
    }
    wait_for_replication(connection, commit.account).await?;
    Ok(AppendOutcome::Committed(None))
}

/// Waits until what can be read of an account is as durable as a commit is: by one write that changes nothing of its head.
///
/// A commit whose connection ended while it waited for a synchronous standby can be read, and is lost if the standby takes
/// over. Standbys get the log in its order, so they have that commit once they have confirmed a later write.
pub(super) async fn wait_for_replication(
    connection: &Client,
    account: AccountId,
) -> Result<(), DatabaseError> {
    let statement = connection.prepare_cached(include_str!("sql/touch_head.sql")).await?;
    connection.execute(&statement, &[&account.0]).await?;
    Ok(())
}

/// Whether a commit that was found stale is itself what made it so: it was sent before, and its answer got lost.
async fn is_on_record(connection: &Client, commit: &Commit) -> Result<bool, DatabaseError> {
    let statement = connection.prepare_cached(include_str!("sql/find_commit.sql")).await?;
    let account = commit.account.to_string();
    let parameters: [&(dyn ToSql + Sync); 3] = [&UserAccount::TYPE, &account, &commit.version()];
    let found = connection.query_opt(&statement, &parameters).await?;
    Ok(found.is_some_and(|row| row.get::<_, Option<&str>>(0).is_some_and(|id| commit.metadata.contains(id))))
}

/// The accounts whose commits happened, with their profiles where those changed.
async fn send(
    connection: &impl GenericClient,
    commits: &[Arc<Commit>],
) -> Result<HashMap<Uuid, Option<Profile>>, DatabaseError> {
    let columns = CommitColumns::of(commits);
    let parts = columns.parts();
    let statement = connection.prepare_cached(parts.statement()).await?;
    let rows = connection.query(&statement, &columns.parameters(parts)).await?;
    let profile = |row| parts.models[PROFILE].then(|| Profile::from_row(row)).flatten();
    Ok(rows.iter().map(|row| (row.get("account_id"), profile(row))).collect())
}

/// The commits, turned from rows into columns.
#[derive(Default)]
struct CommitColumns<'a> {
    accounts: Vec<Uuid>,
    expected: Vec<i64>,
    versions: Vec<i64>,
    states: Vec<&'a [u8]>,
    leaves: Vec<&'a [u8]>,
    lookups: Vec<Option<&'a [u8]>>,
    channels: Vec<Option<&'a str>>,
    lookup_key_ids: Vec<Option<&'a str>>,
    other_lookups: Vec<Option<&'a [u8]>>,
    guards: Vec<Option<&'a [u8]>>,
    release_accounts: Vec<Uuid>,
    released: Vec<&'a str>,
    event_accounts: Vec<Uuid>,
    sequences: Vec<i64>,
    types: Vec<&'a str>,
    event_versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadata: Vec<&'a str>,
    personal: Vec<Option<&'a [u8]>>,
    event_leaves: Vec<&'a [u8]>,
    key_accounts: Vec<Uuid>,
    scopes: Vec<&'a str>,
    wrapping_ids: Vec<&'a str>,
    wrapped: Vec<&'a [u8]>,
    outbox: OutboxColumns<'a>,
    changes: Vec<RowChanges>,
}

/// Rows of the outbox, turned into columns.
#[derive(Default)]
struct OutboxColumns<'a> {
    accounts: Vec<Uuid>,
    sequences: Vec<i64>,
    numbers: Vec<i16>,
    kinds: Vec<&'a str>,
    channels: Vec<&'a str>,
    languages: Vec<&'a str>,
    contents: Vec<Option<&'a [u8]>>,
    expiries: Vec<DateTime<Utc>>,
    gateways: Vec<Option<&'a str>>,
    countries: Vec<Option<&'a str>>,
}

impl<'a> CommitColumns<'a> {
    fn of(commits: &'a [Arc<Commit>]) -> Self {
        let mut columns = Self::default();
        for commit in commits {
            columns.push(commit);
        }
        let streams: Vec<AccountStream<'_>> = commits
            .iter()
            .map(|commit| AccountStream { account: commit.account, events: &commit.events })
            .collect();
        columns.changes = ALL.iter().map(|model| (model.changes)(&streams)).collect();
        columns
    }

    fn push(&mut self, commit: &'a Commit) {
        let account = commit.account.0;
        self.accounts.push(account);
        self.expected.push(commit.expected_version);
        self.versions.push(commit.version());
        self.states.push(&commit.state);
        self.leaves.push(&commit.leaf.0);
        let reservation = commit.reservation.as_ref();
        self.lookups.push(reservation.map(|(hashes, _)| hashes.active.as_slice()));
        self.channels.push(reservation.map(|(_, channel)| *channel));
        self.lookup_key_ids.push(reservation.map(|(hashes, _)| &*hashes.key_id));
        self.other_lookups.push(reservation.and_then(|(hashes, _)| hashes.other.as_deref()));
        self.guards.push(reservation.and_then(|(hashes, _)| hashes.guard()));
        for channel in &commit.releases {
            self.release_accounts.push(account);
            self.released.push(channel);
        }
        for row in &commit.rows {
            self.event_accounts.push(account);
            self.sequences.push(row.sequence);
            self.types.push(row.event_type);
            self.event_versions.push(row.event_version);
            self.payloads.push(&row.payload);
            self.metadata.push(&commit.metadata);
            self.personal.push(row.personal.as_deref());
            self.event_leaves.push(&row.leaf.0);
        }
        for key in &commit.keys {
            self.key_accounts.push(account);
            self.scopes.push(&key.scope);
            self.wrapping_ids.push(&key.wrapping_id);
            self.wrapped.push(&key.wrapped);
        }
        for (row, number) in commit.outbox.iter().zip(0..) {
            self.outbox.accounts.push(account);
            self.outbox.sequences.push(commit.version());
            self.outbox.numbers.push(number);
            self.outbox.kinds.push(row.kind);
            self.outbox.channels.push(row.channel.as_str());
            self.outbox.languages.push(row.language.tag());
            self.outbox.contents.push(row.content.as_deref());
            self.outbox.expiries.push(row.expires_at);
            self.outbox.gateways.push(row.handed_to);
            self.outbox.countries.push(row.country.as_deref());
        }
    }

    fn parts(&self) -> AppendParts {
        let mut models = [false; ALL.len()];
        for (wanted, changes) in models.iter_mut().zip(&self.changes) {
            *wanted = !changes.is_empty();
        }
        let lengths = [self.accounts.len(), self.sequences.len(), self.scopes.len(), self.outbox.kinds.len()];
        let rows = self.changes.iter().map(RowChanges::len);
        AppendParts {
            one: lengths.into_iter().chain(rows).all(|length| length <= 1),
            reserving: self.lookups.iter().any(Option::is_some),
            releasing: !self.released.is_empty(),
            keys: !self.scopes.is_empty(),
            outbox: !self.outbox.kinds.is_empty(),
            models,
        }
    }

    /// In the order of [`AppendParts::statement`].
    fn parameters(&self, parts: AppendParts) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&self.accounts, &self.expected, &self.versions, &self.states, &self.leaves];
        if parts.reserving {
            let reservations: [&(dyn ToSql + Sync); 5] =
                [&self.lookups, &self.channels, &self.lookup_key_ids, &self.other_lookups, &self.guards];
            parameters.extend(reservations);
        }
        parameters.extend([
            &self.event_accounts as &(dyn ToSql + Sync),
            &self.sequences,
            &self.types,
            &self.event_versions,
            &self.payloads,
            &self.metadata,
            &self.personal,
            &self.event_leaves,
        ]);
        if parts.releasing {
            parameters.extend([&self.release_accounts as &(dyn ToSql + Sync), &self.released]);
        }
        if parts.keys {
            let keys: [&(dyn ToSql + Sync); 4] =
                [&self.key_accounts, &self.scopes, &self.wrapping_ids, &self.wrapped];
            parameters.extend(keys);
        }
        if parts.outbox {
            let rows = &self.outbox;
            let outbox: [&(dyn ToSql + Sync); 10] = [
                &rows.accounts,
                &rows.sequences,
                &rows.numbers,
                &rows.kinds,
                &rows.channels,
                &rows.languages,
                &rows.contents,
                &rows.expiries,
                &rows.gateways,
                &rows.countries,
            ];
            parameters.extend(outbox);
        }
        let changes = self.changes.iter().zip(parts.models).filter(|(_, wanted)| *wanted);
        parameters.extend(changes.flat_map(|(changes, _)| changes.parameters()));
        parameters
    }
}
