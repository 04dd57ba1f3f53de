//! Appending commits, many in one statement.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::profile::Profile;
use counterfoil_projections::{ALL, Changes, Stream};
use cqrs_es::Aggregate as _;
use deadpool_postgres::{Client, GenericClient};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::outages::CommitOutages;
use super::{Authority, Commit, STATE_FORMAT};
use crate::postgres::batcher::Ask;
use crate::postgres::{Database, DatabaseError};

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable; with the profile as it left it, where it changed one that somebody has joined by and its answer did
    /// not get lost.
    Committed(Option<Profile>),
    /// The account had moved on, or the identifier had been taken: nothing was written. Load and decide again.
    Stale,
}

impl Verdict {
    /// Whether it is durable.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed(_))
    }
}

/// Appends whatever commits are waiting. A stale one is left out without harming its neighbours.
///
/// After an error it is not known which of the commits happened; sending them again settles it.
#[derive(Clone, Debug)]
pub(super) struct Append {
    pub(super) outages: CommitOutages,
}

impl Ask for Append {
    type Request = Arc<Commit>;
    type Answer = Verdict;

    const MOST: usize = 64;

    async fn ask(&self, connection: &Client, commits: &[Arc<Commit>]) -> Result<Vec<Verdict>, DatabaseError> {
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

impl Append {
    /// Appends a commit that happens by another account's authority, in a transaction of its own. Within one statement two
    /// commits do not see each other, so two that take each other's authority would both happen.
    pub(super) async fn by_authority(
        &self,
        database: &Database,
        commit: &Arc<Commit>,
        authority: Authority,
    ) -> Result<Verdict, DatabaseError> {
        let mut connection = database.connection().await.inspect_err(|_| self.not_connected())?;
        self.noting_outages(settle_by_authority(&mut connection, commit, authority)).await
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
async fn settle(connection: &Client, commits: &[Arc<Commit>]) -> Result<Vec<Verdict>, DatabaseError> {
    let mut committed = send(connection, commits).await?;
    let mut verdicts = Vec::with_capacity(commits.len());
    for commit in commits {
        verdicts.push(match committed.remove(&commit.account.0) {
            Some(profile) => Verdict::Committed(profile),
            None => unless_on_record(connection, commit).await?,
        });
    }
    Ok(verdicts)
}

/// Locks both heads, in the order in which every statement locks heads, and sends the commit if both are as it expects.
async fn settle_by_authority(
    connection: &mut Client,
    commit: &Arc<Commit>,
    authority: Authority,
) -> Result<Verdict, DatabaseError> {
    let transaction = connection.transaction().await?;
    let (accounts, versions) =
        ([commit.account.0, authority.account.0], [commit.expected_version, authority.version]);
    let lock = transaction.prepare_cached(include_str!("sql/lock_heads.sql")).await?;
    let all_locked: bool =
        transaction.query_one(&lock, &[&accounts.as_slice(), &versions.as_slice()]).await?.get(0);
    if all_locked
        && let Some(profile) =
            send(&transaction, std::slice::from_ref(commit)).await?.remove(&commit.account.0)
    {
        transaction.commit().await?;
        return Ok(Verdict::Committed(profile));
    }
    transaction.rollback().await?;
    unless_on_record(connection, commit).await
}

/// What became of a commit that was found stale: it may have happened before, and its answer got lost.
async fn unless_on_record(connection: &Client, commit: &Commit) -> Result<Verdict, DatabaseError> {
    if !is_on_record(connection, commit).await? {
        return Ok(Verdict::Stale);
    }
    wait_for_replication(connection, commit.account).await?;
    Ok(Verdict::Committed(None))
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
    let columns = Columns::of(commits);
    let parts = columns.parts();
    let statement = connection.prepare_cached(statement(parts)).await?;
    let rows = connection.query(&statement, &columns.parameters(parts)).await?;
    let profile = |row| parts.models[PROFILE].then(|| Profile::from_row(row)).flatten();
    Ok(rows.iter().map(|row| (row.get("account_id"), profile(row))).collect())
}

/// The place among the read models of the one whose rows are given back.
const PROFILE: usize = 0;

/// Which parts of the statement a batch needs. A part costs PostgreSQL something even with nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    one: bool,
    reserving: bool,
    releasing: bool,
    keys: bool,
    outbox: bool,
    models: [bool; ALL.len()],
}

impl Parts {
    const KINDS: usize = 1 << (5 + ALL.len());

    /// A number for each combination, below [`Self::KINDS`].
    fn kind(self) -> usize {
        let flags =
            [self.one, self.reserving, self.releasing, self.keys, self.outbox].into_iter().chain(self.models);
        flags.fold(0, |kind, flag| kind << 1 | usize::from(flag))
    }
}

/// The statement of those parts, put together at its first use.
fn statement(parts: Parts) -> &'static str {
    static STATEMENTS: [OnceLock<String>; Parts::KINDS] = [const { OnceLock::new() }; Parts::KINDS];
    STATEMENTS[parts.kind()].get_or_init(|| compose(parts))
}

fn compose(parts: Parts) -> String {
    let (heads, mut used) = match parts.reserving {
        true => (include_str!("sql/append_heads_reserving.sql"), 11),
        false => (include_str!("sql/append_heads.sql"), 6),
    };
    let mut sql = heads.trim_end().to_owned();
    for (wanted, part, parameters) in [
        (true, include_str!("sql/append_events.sql"), 9),
        (parts.releasing, include_str!("sql/append_releases.sql"), 2),
        (parts.keys, include_str!("sql/append_keys.sql"), 4),
        (parts.outbox, include_str!("sql/append_outbox.sql"), 9),
    ] {
        if wanted {
            sql += ",\n";
            sql += renumbered(part, used).trim_end();
            used += parameters;
        }
    }
    for (model, wanted) in ALL.iter().zip(parts.models) {
        if wanted {
            let (table, name) = (model.table, model.table.name);
            let records = table.records(used + 1);
            let changes = format!("(SELECT r.* FROM {records} JOIN head USING (account_id)) changes");
            let given_back = if name == ALL[PROFILE].table.name { " RETURNING t.*" } else { "" };
            sql += &format!(",\n{name}_written AS ({}{given_back})", table.upsert(name, &changes));
            used += table.width();
        }
    }
    let (profile, of_profile) = match parts.models[PROFILE] {
        true => (", profiles_written.*", " LEFT JOIN profiles_written USING (account_id)"),
        false => ("", ""),
    };
    sql += &format!("\nSELECT head.account_id{profile}");
    for (model, wanted) in ALL.iter().zip(parts.models) {
        if let (Some(channel), true) = (model.announced_on, wanted) {
            sql += &format!(", (SELECT pg_notify('{channel}', ''))::text");
        }
    }
    sql += &format!(" FROM head{of_profile}");
    if parts.one { of_one(&sql) } else { sql }
}

/// The same for arrays of one element each, taken out instead of unnested: what runs then has half as many parts to set
/// up, and that is most of what a commit by itself costs.
fn of_one(sql: &str) -> String {
    let mut pieces = sql.split("unnest(");
    let mut rewritten = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (arrays, rest) = piece.split_once(')').unwrap_or((piece, ""));
        let elements: Vec<String> = arrays.split(',').map(|array| format!("({})[1]", array.trim())).collect();
        rewritten += &format!("(SELECT {}){rest}", elements.join(", "));
    }
    rewritten
}

/// The SQL with its parameters counted from after the first `by`. The comments name them too, and follow.
fn renumbered(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let mut renumbered = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = piece[..digits].parse().unwrap_or_default();
        renumbered += &format!("${}{}", number + by, &piece[digits..]);
    }
    renumbered
}

/// The commits, turned from rows into columns.
#[derive(Default)]
struct Columns<'a> {
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
    outbox: Outbox<'a>,
    changes: Vec<Changes>,
}

/// Rows of the outbox, turned into columns.
#[derive(Default)]
struct Outbox<'a> {
    accounts: Vec<Uuid>,
    sequences: Vec<i64>,
    numbers: Vec<i16>,
    kinds: Vec<&'a str>,
    channels: Vec<&'a str>,
    languages: Vec<&'a str>,
    contents: Vec<Option<&'a [u8]>>,
    expiries: Vec<DateTime<Utc>>,
    gateways: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(commits: &'a [Arc<Commit>]) -> Self {
        let mut columns = Self::default();
        for commit in commits {
            columns.push(commit);
        }
        let streams: Vec<Stream<'_>> =
            commits.iter().map(|commit| Stream { account: commit.account, events: &commit.events }).collect();
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
        }
    }

    fn parts(&self) -> Parts {
        let mut models = [false; ALL.len()];
        for (wanted, changes) in models.iter_mut().zip(&self.changes) {
            *wanted = !changes.is_empty();
        }
        let lengths = [self.accounts.len(), self.sequences.len(), self.scopes.len(), self.outbox.kinds.len()];
        let rows = self.changes.iter().map(Changes::len);
        Parts {
            one: lengths.into_iter().chain(rows).all(|length| length <= 1),
            reserving: self.lookups.iter().any(Option::is_some),
            releasing: !self.released.is_empty(),
            keys: !self.scopes.is_empty(),
            outbox: !self.outbox.kinds.is_empty(),
            models,
        }
    }

    /// In the order of [`compose`].
    fn parameters(&self, parts: Parts) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&self.accounts, &self.expected, &self.versions, &self.states, &self.leaves, &STATE_FORMAT];
        if parts.reserving {
            let reservations: [&(dyn ToSql + Sync); 5] =
                [&self.lookups, &self.channels, &self.lookup_key_ids, &self.other_lookups, &self.guards];
            parameters.extend(reservations);
        }
        parameters.extend([
            &UserAccount::TYPE as &(dyn ToSql + Sync),
            &self.event_accounts,
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
            let outbox: [&(dyn ToSql + Sync); 9] = [
                &rows.accounts,
                &rows.sequences,
                &rows.numbers,
                &rows.kinds,
                &rows.channels,
                &rows.languages,
                &rows.contents,
                &rows.expiries,
                &rows.gateways,
            ];
            parameters.extend(outbox);
        }
        let changes = self.changes.iter().zip(parts.models).filter(|(_, wanted)| *wanted);
        parameters.extend(changes.flat_map(|(changes, _)| changes.parameters()));
        parameters
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_projections::profile;

    use super::{ALL, PROFILE, Parts, compose};

    #[test]
    fn what_is_given_back_is_the_profile() {
        assert_eq!(ALL[PROFILE].table.name, profile::READ_MODEL.table.name);
    }

    #[test]
    fn every_combination_of_parts_counts_its_parameters_without_a_gap() {
        for bits in 0..Parts::KINDS {
            let flag = |n: usize| bits >> n & 1 == 1;
            let parts = Parts {
                one: flag(8),
                reserving: flag(7),
                releasing: flag(6),
                keys: flag(5),
                outbox: flag(4),
                models: [flag(3), flag(2), flag(1), flag(0)],
            };
            assert_eq!(parts.kind(), bits);
            let sql = compose(parts);
            let parameters = 15
                + if parts.reserving { 5 } else { 0 }
                + if parts.releasing { 2 } else { 0 }
                + if parts.keys { 4 } else { 0 }
                + if parts.outbox { 9 } else { 0 }
                + ALL
                    .iter()
                    .zip(parts.models)
                    .filter(|(_, wanted)| *wanted)
                    .map(|(m, _)| m.table.width())
                    .sum::<usize>();
            for n in 1..=parameters {
                assert!(sql.contains(&format!("${n}")), "{parts:?} lacks ${n}");
            }
            assert!(!sql.contains(&format!("${}", parameters + 1)), "{parts:?}");
            assert_eq!(sql.contains("unnest("), !parts.one, "{parts:?}");
            assert_eq!(sql.contains("RETURNING t.*"), parts.models[PROFILE], "{parts:?}");
            assert_eq!(sql.contains("JOIN profiles_written"), parts.models[PROFILE], "{parts:?}");
        }
    }
}
