//! The messages of the last 30 days, as staff look for them.

use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, Channel};
use counterfoil_projections::SearchPage;
use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Error, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::outbox::MessageDelivery;

/// How many messages are looked at for a page. A page of a filter that few of them match may be short, and not be the last.
const LOOKED_AT: i64 = 5_000;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// No gateway has it yet.
    Waiting,
    /// A gateway has it.
    Sent,
    /// No gateway can deliver it.
    Failed,
    /// No gateway took it before it was of no more use.
    Expired,
    /// A later code has made it void.
    Replaced,
}

impl DeliveryState {
    /// Every state that there is.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Sent, Self::Failed, Self::Expired, Self::Replaced];

    /// The name as it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
        }
    }
}

/// Which messages are looked for.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// What became of them.
    pub state: Option<DeliveryState>,
    /// The earliest time at which they were asked for.
    pub since: Option<DateTime<Utc>>,
    /// The time before which they were asked for.
    pub until: Option<DateTime<Utc>>,
    /// The name of the gateway that has them.
    pub gateway: Option<String>,
    /// The country of the number (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// The kind of identifier that they go to.
    pub channel: Option<Channel>,
    /// The account that they belong to.
    pub account: Option<AccountId>,
}

/// A place in the list: the last message that was looked at before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePosition(DateTime<Utc>, Uuid, i64, i16);

/// A message of any account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct FoundMessage {
    /// The account that it belongs to.
    account_id: AccountId,
    #[serde(flatten)]
    delivery: MessageDelivery,
    /// The country of the number (ISO 3166-1 alpha-2); `null` for e-mail.
    #[schema(example = "IR")]
    country: Option<String>,
}

impl FoundMessage {
    fn from_row(row: &Row) -> Self {
        Self {
            account_id: AccountId(row.get("account_id")),
            delivery: MessageDelivery::from_row(row),
            country: row.get("country"),
        }
    }
}

/// Returns the statement of a filter, which goes through the index that fits it.
fn statement(filter: &MessageFilter) -> String {
    let only = match (filter.account, filter.state) {
        (Some(_), _) => "AND account_id = $13",
        (None, None | Some(DeliveryState::Sent)) => "",
        (None, Some(_)) => "AND state = $9 AND state <> 'sent'",
    };
    include_str!("sql/messages.sql").replace("{only}", only)
}

/// The messages that match the filter, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn search(
    db: &Client,
    filter: &MessageFilter,
    after: Option<MessagePosition>,
    limit: u8,
) -> Result<SearchPage<FoundMessage, MessagePosition>, Error> {
    let (at, account, sequence, number) = match after {
        Some(MessagePosition(at, account, sequence, number)) => {
            (Some(at), Some(account), Some(sequence), Some(number))
        }
        None => (None, None, None, None),
    };
    let statement = db.prepare_cached(&statement(filter)).await?;
    let rows = db
        .query(
            &statement,
            &[
                &LOOKED_AT,
                &(i64::from(limit) + 1),
                &at,
                &account,
                &sequence,
                &number,
                &filter.since,
                &filter.until,
                &filter.state.map(DeliveryState::as_str),
                &filter.gateway,
                &filter.country,
                &filter.channel.map(Channel::as_str),
                &filter.account.map(|account| account.0),
            ],
        )
        .await?;
    let position = |row: &Row| {
        MessagePosition(row.get("asked_at"), row.get("account_id"), row.get("sequence"), row.get("number"))
    };
    let shown: Vec<&Row> = rows.iter().filter(|row| row.get("shown")).take(usize::from(limit)).collect();
    let next = if rows.len() > usize::from(limit) {
        shown.last().map(|last| position(last))
    } else {
        rows.last().filter(|last| last.get::<_, i64>("place") == LOOKED_AT).map(position)
    };
    Ok(SearchPage { items: shown.into_iter().map(FoundMessage::from_row).collect(), next })
}
