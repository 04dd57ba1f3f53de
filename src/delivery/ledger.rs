//! What messages cost: the message ledger, summed up.

use chrono::NaiveDate;
use deadpool_postgres::GenericClient;
use serde::{Serialize, Serializer};

use super::Price;

/// By what the ledger is summed up, beside the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerGrouping {
    /// By the day alone.
    Day,
    /// By the gateway that took the messages.
    Gateway,
    /// By the country of the recipients.
    Country,
    /// The prefix of the number, and its country.
    Prefix,
}

/// A line of the summary. What it is not summed up by is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerSum {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The gateway that took the messages.
    pub gateway: String,
    /// The country, as ISO 3166-1 names it in two letters.
    pub country: String,
    /// The number without its last four digits.
    pub prefix: String,
    /// How many messages were handed over.
    pub messages: i64,
    /// What they cost, by the prices that were set then.
    #[serde(serialize_with = "as_decimal")]
    pub cost: Price,
}

fn as_decimal<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(price)
}

/// The ledger from that day on, the latest day first.
///
/// # Errors
/// When the database does not answer.
pub async fn sums(
    client: &impl GenericClient,
    since: NaiveDate,
    grouping: LedgerGrouping,
) -> Result<Vec<LedgerSum>, tokio_postgres::Error> {
    let by = |groupings: &[LedgerGrouping]| groupings.contains(&grouping);
    let (gateway, country, prefix) = (
        by(&[LedgerGrouping::Gateway]),
        by(&[LedgerGrouping::Country, LedgerGrouping::Prefix]),
        by(&[LedgerGrouping::Prefix]),
    );
    let rows = client.query(include_str!("sql/sums.sql"), &[&since, &gateway, &country, &prefix]).await?;
    let sum = |row: &tokio_postgres::Row| LedgerSum {
        day: row.get("day"),
        gateway: row.get("gateway"),
        country: row.get("country"),
        prefix: row.get("prefix"),
        messages: row.get("messages"),
        cost: Price::from_millionths(u64::try_from(row.get::<_, i64>("cost")).unwrap_or_default()),
    };
    Ok(rows.iter().map(sum).collect())
}
