//! What searches through all accounts share: pages that go along an index.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

/// How many rows are looked at for a page where no index tells which match.
pub const EXAMINED: i64 = 5_000;

/// A time after every sign-in, 9999-12-31T23:59:59Z.
pub(crate) const END_OF_TIME: DateTime<Utc> = DateTime::from_timestamp_secs(253_402_300_799).unwrap();

/// Some of what matches, and where the rest begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPage<T, P> {
    /// The rows that match.
    pub items: Vec<T>,
    /// After which the next page begins; nothing where this is the last.
    pub next: Option<P>,
}

impl<T, P> SearchPage<T, P> {
    /// The page in rows that hold one item more than there is place for, where there is one, each beside the last row that
    /// was examined (`edge_…`) and how many were; a row without an item (by its id, `null`) where none matches.
    pub(crate) fn from_rows(
        rows: &[Row],
        limit: u8,
        most: i64,
        id: &str,
        read: impl Fn(&Row) -> T,
        position: impl Fn(&Row, &str) -> P,
    ) -> Self {
        let found: Vec<&Row> =
            rows.iter().filter(|row| row.get::<_, Option<uuid::Uuid>>(id).is_some()).collect();
        let place = usize::from(limit);
        let next = match rows.first() {
            _ if found.len() > place => found.get(place - 1).map(|last| position(last, "")),
            Some(any) if any.get::<_, i64>("examined") == most => Some(position(any, "edge_")),
            Some(_) | None => None,
        };
        Self { items: found.into_iter().take(place).map(read).collect(), next }
    }
}
