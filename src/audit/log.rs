//! Pages of the log, in its order.
//!
//! A page begins after a position and is found by an index, whatever the filter. Times do not run in the order of the
//! log; between which positions a span of time lies is looked up first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::ActingStaff;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::{event_subject, profile};
use deadpool_postgres::Client;
use ipnet::IpNet;
use tokio_postgres::Row;
use uuid::Uuid;

use super::EventRecord;
use super::page_query::{PageBounds, PageQuery};
use super::plain_members::{Profiles, acting_account};
use crate::crypto::personal_data::AccountKeys;
use crate::journal::{Journal, JournalError, streams};

/// How many records a reader of the whole log takes at a time.
pub const PAGE: i64 = 1_000;

/// Which records, by what is in all of its parts that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The records of this account.
    pub account: Option<AccountId>,
    /// Of any of these kinds; of any at all where none is named.
    pub types: Vec<String>,
    /// Not before that time, by the event's own.
    pub since: Option<DateTime<Utc>>,
    /// The records before this time.
    pub until: Option<DateTime<Utc>>,
    /// What this member of staff, or this program, brought about.
    pub actor: Option<ActingStaff>,
    /// What came from these addresses. Refreshes are not among it, whose addresses the stays of sessions tell.
    pub addresses: Option<IpNet>,
    /// None at all: what was asked for belongs to no account.
    pub of_no_account: bool,
}

impl EventFilter {
    /// Whether it takes the subjects of events, which follow the log.
    pub fn needs_subjects(&self) -> bool {
        self.actor.is_some() || self.addresses.is_some()
    }
}

/// In which order records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOrder {
    /// In that of the log.
    OldestFirst,
    /// The other way round, for people who look for what happened last.
    NewestFirst,
}

/// Records that match, page by page.
#[derive(Clone, Debug)]
pub struct EventPages {
    journal: Journal,
    filter: EventFilter,
    order: PageOrder,
    /// After which position there are pages still, and up to which one.
    pub positions: Range<i64>,
    left: u64,
}

impl EventPages {
    /// Those after the range's start, up to its end, at most so many.
    pub fn new(journal: Journal, filter: EventFilter, positions: Range<i64>, most: u64) -> Self {
        Self { journal, filter, order: PageOrder::OldestFirst, positions, left: most }
    }

    /// The same records in that order.
    #[must_use]
    pub fn ordered(self, order: PageOrder) -> Self {
        Self { order, ..self }
    }

    /// The next page, of 1,000 records or fewer; none at the end.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer.
    pub async fn next(&mut self) -> Result<Option<Vec<EventRecord>>, JournalError> {
        Ok(self.next_sealed().await?.map(|page| page.open()))
    }

    /// The same, still to be opened.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn next_sealed(&mut self) -> Result<Option<SealedPage>, JournalError> {
        let limit = i64::try_from(self.left).unwrap_or(i64::MAX).min(PAGE);
        let Range { start, end } = self.positions;
        let page = sealed_page(&self.journal, &self.filter, self.order, start..end, limit).await?;
        let Some(last) = page.rows.last() else { return Ok(None) };
        match self.order {
            PageOrder::OldestFirst => self.positions.start = last.get("seq"),
            PageOrder::NewestFirst => self.positions.end = last.get::<_, i64>("seq") - 1,
        }
        self.left -= page.rows.len() as u64;
        Ok(Some(page))
    }
}

/// A page as it is stored, with the keys that open it. Opening it takes the processor as long as reading it takes the
/// database.
#[derive(Debug, Default)]
pub struct SealedPage {
    rows: Vec<Row>,
    keys: BTreeMap<AccountId, AccountKeys>,
    /// Of the accounts, and of the staff that the events name.
    profiles: Profiles,
}

impl SealedPage {
    /// Its records, with what can still be opened of them.
    pub fn open(&self) -> Vec<EventRecord> {
        self.rows.iter().map(|row| EventRecord::of(row, &self.keys, &self.profiles)).collect()
    }
}

/// The position of the last record there is; 0 where there is none.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn end(journal: &Journal) -> Result<i64, JournalError> {
    let connection = journal.database().connection().await?;
    Ok(connection.query_one("SELECT seq FROM sequencer", &[]).await?.get(0))
}

/// Up to which position it is known which records match; the filters of actors and addresses are a moment behind the log.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn known_end(journal: &Journal, filter: &EventFilter) -> Result<i64, JournalError> {
    if !filter.needs_subjects() {
        return end(journal).await;
    }
    let connection = journal.database().connection().await?;
    let statement = connection.prepare_cached("SELECT seq FROM followers WHERE name = $1").await?;
    Ok(connection.query_one(&statement, &[&event_subject::NAME]).await?.get(0))
}

/// The first `limit` records after a position, up to another, that match.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn page(
    journal: &Journal,
    filter: &EventFilter,
    after: i64,
    up_to: i64,
    limit: i64,
) -> Result<Vec<EventRecord>, JournalError> {
    Ok(sealed_page(journal, filter, PageOrder::OldestFirst, after..up_to, limit).await?.open())
}

async fn sealed_page(
    journal: &Journal,
    filter: &EventFilter,
    order: PageOrder,
    positions: Range<i64>,
    limit: i64,
) -> Result<SealedPage, JournalError> {
    if filter.of_no_account {
        return Ok(SealedPage::default());
    }
    let mut connection = journal.database().connection().await?;
    let Some((after, up_to)) = within(&connection, filter, positions.start, positions.end).await? else {
        return Ok(SealedPage::default());
    };
    let query = PageQuery::new(filter, order, PageBounds { after, up_to, limit });
    let (sql, parameters) = query.statement();
    // Events and keys as of one moment.
    let page = connection.transaction().await?;
    let statement = page.prepare_cached(&sql).await?;
    let rows = page.query(&statement, &parameters).await?;
    let mut accounts: Vec<Uuid> = rows.iter().map(|row| row.get("account_id")).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let keys = streams::keys(&page, journal.personal_data(), &accounts).await?;
    let payloads = rows.iter().filter_map(|row| row.get::<_, Option<&str>>("payload"));
    let named = accounts.iter().copied().chain(payloads.filter_map(acting_account));
    let named: BTreeSet<AccountId> = named.map(AccountId).collect();
    let found = profile::find(&page, &named.into_iter().collect::<Vec<_>>()).await?;
    let profiles = found.into_iter().flatten().map(|profile| (profile.id.0, profile)).collect();
    page.commit().await?;
    Ok(SealedPage { rows, keys, profiles })
}

/// The bounds, brought together around the times that are asked for; none where there is nothing of these.
async fn within(
    connection: &Client,
    EventFilter { since, until, .. }: &EventFilter,
    after: i64,
    up_to: i64,
) -> Result<Option<(i64, i64)>, JournalError> {
    if since.is_none() && until.is_none() {
        return Ok(Some((after, up_to)));
    }
    let statement = connection.prepare_cached(include_str!("sql/span.sql")).await?;
    let row = connection.query_one(&statement, &[since, until]).await?;
    let bounds = row.get::<_, Option<i64>>("first").zip(row.get::<_, Option<i64>>("last"));
    Ok(bounds.map(|(first, last)| (after.max(first - 1), up_to.min(last))))
}
