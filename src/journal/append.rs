//! Appending commits, many in one statement.

use std::sync::LazyLock;

use counterfoil_domain::user_account::UserAccount;
use counterfoil_projections::{ALL, Stream};
use cqrs_es::Aggregate as _;
use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Commit, Journal, JournalError, STATE_FORMAT};
use crate::database::DatabaseError;

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable.
    Committed,
    /// The account had moved on, or the identifier had been taken: nothing was written. Load and decide again.
    Stale,
}

/// The parameters before those of the read models.
const PARAMETERS: usize = 29;

static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    let mut sql = include_str!("sql/append.sql").trim_end().to_owned();
    for (n, model) in ALL.iter().enumerate() {
        let (table, name) = (model.table, model.table.name);
        let changes = format!(
            "(SELECT r.* FROM {} JOIN head USING (account_id)) changes",
            table.records(PARAMETERS + 1 + n)
        );
        sql += &format!(",\n{name}_written AS ({})", table.upsert(name, &changes));
    }
    sql + "\nSELECT account_id FROM head"
});

impl Journal {
    /// Appends commits of different accounts, each by itself: a stale one leaves the others alone. The verdicts are in
    /// the commits' order.
    ///
    /// After an error it is not known which of the commits happened; sending them again settles it.
    ///
    /// # Errors
    /// [`JournalError`] when the database did not answer.
    pub async fn append(&self, commits: &[Commit]) -> Result<Vec<Verdict>, JournalError> {
        let connection = self.database.connection().await?;
        let committed = send(&connection, commits).await?;
        let mut verdicts = Vec::with_capacity(commits.len());
        for commit in commits {
            let is_committed =
                committed.contains(&commit.account.0) || is_on_record(&connection, commit).await?;
            verdicts.push(if is_committed { Verdict::Committed } else { Verdict::Stale });
        }
        Ok(verdicts)
    }
}

/// Whether a commit that was found stale is itself what made it so: it was sent before, and its answer got lost.
async fn is_on_record(connection: &Object, commit: &Commit) -> Result<bool, DatabaseError> {
    let statement = connection.prepare_cached(include_str!("sql/find_commit.sql")).await?;
    let account = commit.account.to_string();
    let parameters: [&(dyn ToSql + Sync); 3] = [&UserAccount::TYPE, &account, &commit.version()];
    let found = connection.query_opt(&statement, &parameters).await?;
    Ok(found.is_some_and(|row| row.get::<_, Option<&str>>(0).is_some_and(|id| commit.metadata.contains(id))))
}

async fn send(connection: &Object, commits: &[Commit]) -> Result<Vec<Uuid>, DatabaseError> {
    let statement = connection.prepare_cached(&STATEMENT).await?;
    let columns = Columns::of(commits);
    let rows = connection.query(&statement, &columns.parameters()).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The commits, turned from rows into columns.
#[derive(Default)]
struct Columns<'a> {
    accounts: Vec<Uuid>,
    expected: Vec<i64>,
    versions: Vec<i64>,
    states: Vec<&'a [u8]>,
    leaves: Vec<&'a [u8]>,
    metadata: Vec<&'a str>,
    lookups: Vec<Option<&'a [u8]>>,
    channels: Vec<Option<&'a str>>,
    event_accounts: Vec<Uuid>,
    sequences: Vec<i64>,
    types: Vec<&'a str>,
    event_versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    personal: Vec<Option<&'a [u8]>>,
    event_leaves: Vec<&'a [u8]>,
    key_accounts: Vec<Uuid>,
    scopes: Vec<&'a str>,
    wrapping_ids: Vec<&'a str>,
    wrapped: Vec<&'a [u8]>,
    outbox_accounts: Vec<Uuid>,
    outbox_sequences: Vec<i64>,
    outbox_channels: Vec<&'a str>,
    purposes: Vec<&'a str>,
    nonces: Vec<&'a [u8]>,
    destinations: Vec<&'a [u8]>,
    expiries: Vec<chrono::DateTime<chrono::Utc>>,
    gateways: Vec<Option<&'a str>>,
    changes: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(commits: &'a [Commit]) -> Self {
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
        self.metadata.push(&commit.metadata);
        self.lookups.push(commit.reservation.as_ref().map(|(lookup, _)| lookup.as_slice()));
        self.channels.push(commit.reservation.as_ref().map(|(_, channel)| *channel));
        for row in &commit.rows {
            self.event_accounts.push(account);
            self.sequences.push(row.sequence);
            self.types.push(row.event_type);
            self.event_versions.push(row.event_version);
            self.payloads.push(&row.payload);
            self.personal.push(row.personal.as_deref());
            self.event_leaves.push(&row.leaf.0);
        }
        for key in &commit.keys {
            self.key_accounts.push(account);
            self.scopes.push(&key.scope);
            self.wrapping_ids.push(&key.wrapping_id);
            self.wrapped.push(&key.wrapped);
        }
        if let Some(message) = &commit.outbox {
            self.outbox_accounts.push(account);
            self.outbox_sequences.push(message.sequence);
            self.outbox_channels.push(message.channel.as_str());
            self.purposes.push(message.purpose.as_str());
            self.nonces.push(message.nonce.as_bytes());
            self.destinations.push(&message.destination);
            self.expiries.push(message.expires_at);
            self.gateways.push(message.handed_to);
        }
    }

    fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
            &self.accounts,
            &self.expected,
            &self.versions,
            &self.states,
            &self.leaves,
            &self.metadata,
            &self.lookups,
            &self.channels,
            &STATE_FORMAT,
            &UserAccount::TYPE,
            &self.event_accounts,
            &self.sequences,
            &self.types,
            &self.event_versions,
            &self.payloads,
            &self.personal,
            &self.event_leaves,
            &self.key_accounts,
            &self.scopes,
            &self.wrapping_ids,
            &self.wrapped,
            &self.outbox_accounts,
            &self.outbox_sequences,
            &self.outbox_channels,
            &self.purposes,
            &self.nonces,
            &self.destinations,
            &self.expiries,
            &self.gateways,
        ];
        parameters.extend(self.changes.iter().map(|json| json as &(dyn ToSql + Sync)));
        parameters
    }
}
