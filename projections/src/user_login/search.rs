//! The search of staff through the device sessions of all accounts.
//!
//! A page is found by going along an index from where the page before it ended, by the account, by the address that
//! sessions were last used from or had at a time, or by the time of sign-in, and stays where it is however many sessions begin meanwhile. What no index tells is looked for in the
//! sessions that come along, up to [`EXAMINED`] a page: it may then have fewer than were asked for, or none, with more
//! to come.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::ActingStaff;
use counterfoil_domain::values::{AccountId, SessionId};
use deadpool_postgres::GenericClient;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use utoipa::ToSchema;
use uuid::Uuid;

use super::device_kind;
use crate::search::{END_OF_TIME, EXAMINED, SearchPage};

/// The statement that finds sessions along the index by the time of sign-in.
pub const BY_SIGN_IN: &str = concat!(include_str!("search/by_sign_in.sql"), include_str!("search/page.sql"));
/// The statement that finds the sessions of an account.
pub const BY_ACCOUNT: &str = concat!(include_str!("search/by_account.sql"), include_str!("search/page.sql"));
/// The statement that finds sessions along the index by the last address.
pub const BY_ADDRESS: &str = concat!(include_str!("search/by_address.sql"), include_str!("search/page.sql"));
/// The statement that finds sessions along the index by the address at a time.
pub const BY_STAY: &str = concat!(include_str!("search/by_stay.sql"), include_str!("search/page.sql"));

/// The longest that a session lives (`sessions.absolute` goes no further).
const LONGEST_SESSION: TimeDelta = TimeDelta::days(366);

/// What sessions are looked for; all of it has to hold.
#[derive(Clone, Debug, Default)]
pub struct DeviceSessionFilter {
    /// Only sessions of this account.
    pub account: Option<AccountId>,
    /// At one of these addresses, the first and the last of them, of one family: at the time of [`at`](Self::at); without
    /// such a time, when they were last used.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// With these words in the name of the device, in any order and spelling; in the `User-Agent` header of one without a name.
    pub device_name: Option<String>,
    /// Only sessions that are active now, or only others.
    pub active: Option<bool>,
    /// Only sessions that were active at this time.
    pub at: Option<DateTime<Utc>>,
    /// Only sessions that signed in at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only sessions that signed in before this time.
    pub until: Option<DateTime<Utc>>,
}

/// Along which index a page is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchIndex {
    Account(AccountId),
    Address(IpAddr),
    Stay(IpAddr, DateTime<Utc>),
    SignIn,
}

/// Where a page ends, and the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSessionPosition {
    /// That of the sign-in; where pages go along the stays, of the beginning of the stay.
    time: DateTime<Utc>,
    session: SessionId,
    /// Where pages go along the addresses.
    address: Option<IpAddr>,
}

/// A device session, as staff see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceSession {
    /// The id of the session.
    pub id: SessionId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// Where the code that proved it had gone.
    #[schema(example = "phone")]
    pub channel: String,
    /// The name the device has been given; else what its `User-Agent` header says it is, where that can be told.
    #[schema(example = "My phone")]
    pub device_name: Option<String>,
    /// The `User-Agent` header it last sent.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    pub user_agent: Option<String>,
    /// The address it was last used from: by its sign-in or a refresh. Where sessions of a time were asked for, the address
    /// that it had then, if that is known.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub ip_address: Option<IpAddr>,
    /// When it signed in.
    pub signed_in_at: DateTime<Utc>,
    /// When it signed in, was last refreshed, or an access token of it was last used, up to a minute ago.
    pub last_seen_at: DateTime<Utc>,
    /// When it is signed out unless it is refreshed, or was.
    pub expires_at: DateTime<Utc>,
    /// When it was ended, if it was.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it was ended.
    #[schema(example = "signed_out")]
    pub end_reason: Option<String>,
    /// The member of staff or the program that ended it; `null` where its owner did, or where it ended by itself.
    pub ended_by: Option<ActingStaff>,
    /// Whether it is active now.
    pub active: bool,
}

impl DeviceSessionFilter {
    fn path(&self) -> SearchIndex {
        match (self.account, self.addresses, self.at) {
            (Some(account), _, _) => SearchIndex::Account(account),
            (None, Some((_, last)), Some(at)) => SearchIndex::Stay(last, at),
            (None, Some((_, last)), None) => SearchIndex::Address(last),
            (None, None, _) => SearchIndex::SignIn,
        }
    }

    /// Whether every session that comes along matches.
    fn is_told_by(&self, path: SearchIndex) -> bool {
        let times = self.since.is_none() && self.until.is_none();
        let path_tells = match path {
            SearchIndex::Account(_) => times && self.addresses.is_none(),
            SearchIndex::Address(_) => times,
            SearchIndex::Stay(..) => false,
            SearchIndex::SignIn => true,
        };
        path_tells && self.at.is_none() && self.active.is_none() && self.device_name.is_none()
    }

    /// When the sessions signed in, as far as what is asked tells: since the first time, and before the second. One that
    /// was active at a time had signed in by then, and not so long before that no policy lets a session live.
    fn signed_in(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let (mut since, mut until) =
            (self.since.unwrap_or(DateTime::UNIX_EPOCH), self.until.unwrap_or(END_OF_TIME));
        if let Some(at) = self.at {
            since = since.max(at.checked_sub_signed(LONGEST_SESSION).unwrap_or(since));
            until = until.min(just_after(at));
        }
        (since, until)
    }

    /// Before what the first page begins.
    fn start(&self) -> DeviceSessionPosition {
        let (time, session, address) = match self.path() {
            SearchIndex::SignIn => (self.signed_in().1, Uuid::nil(), None),
            SearchIndex::Account(_) => (END_OF_TIME, Uuid::max(), None),
            SearchIndex::Address(last) => (END_OF_TIME, Uuid::max(), Some(last)),
            SearchIndex::Stay(last, at) => (just_after(at), Uuid::nil(), Some(last)),
        };
        DeviceSessionPosition { time, session: SessionId(session), address }
    }
}

impl DeviceSessionPosition {
    /// Whether it is one of pages that a filter has.
    pub fn is_of(&self, filter: &DeviceSessionFilter) -> bool {
        self.address.is_some() == matches!(filter.path(), SearchIndex::Address(_) | SearchIndex::Stay(..))
    }
}

/// The first time after that one that the database tells from it.
fn just_after(time: DateTime<Utc>) -> DateTime<Utc> {
    time.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(END_OF_TIME).min(END_OF_TIME)
}

/// The sessions that match, after a position: by the address where addresses are asked for and no account, then the last
/// that signed in, or came there, first.
///
/// # Errors
/// When the database does not answer.
pub async fn search(
    client: &impl GenericClient,
    filter: &DeviceSessionFilter,
    after: Option<DeviceSessionPosition>,
    limit: u8,
    now: DateTime<Utc>,
) -> Result<SearchPage<DeviceSession, DeviceSessionPosition>, tokio_postgres::Error> {
    let path = filter.path();
    let DeviceSessionPosition { time, session, address } = after.unwrap_or_else(|| filter.start());
    let more_than = i64::from(limit) + 1;
    let examined = if filter.is_told_by(path) { more_than } else { EXAMINED };
    let name = filter.device_name.as_deref();
    let (since, until) = filter.signed_in();
    let (first, last) = filter.addresses.unzip();
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &more_than,
        &filter.at,
        &filter.active,
        &now,
        &name,
        &since,
        &until,
        &first,
        &last,
        &examined,
        &time,
        &session.0,
    ];
    let sql = match &path {
        SearchIndex::SignIn => BY_SIGN_IN,
        SearchIndex::Account(account) => {
            parameters.push(&account.0);
            BY_ACCOUNT
        }
        SearchIndex::Address(_) => {
            parameters.push(&address);
            BY_ADDRESS
        }
        SearchIndex::Stay(..) => {
            parameters.push(&address);
            BY_STAY
        }
    };
    let rows = client.query(&client.prepare_cached(sql).await?, &parameters).await?;
    let position = |row: &Row, prefix: &str| DeviceSessionPosition {
        time: row.get(&*format!("{prefix}place")),
        session: SessionId(row.get(&*format!("{prefix}session_id"))),
        address: address.and_then(|_| row.get(&*format!("{prefix}ip_address"))),
    };
    Ok(SearchPage::from_rows(&rows, limit, examined, "session_id", device_session, position))
}

fn device_session(row: &Row) -> DeviceSession {
    let user_agent: Option<String> = row.get("user_agent");
    let named: Option<String> = row.get("device_name");
    DeviceSession {
        id: SessionId(row.get("session_id")),
        account_id: AccountId(row.get("account_id")),
        channel: row.get("channel"),
        device_name: named.or_else(|| device_kind::from_user_agent(user_agent.as_deref()?)),
        user_agent,
        ip_address: row.get("ip_address"),
        signed_in_at: row.get("signed_in_at"),
        last_seen_at: row.get("last_seen_at"),
        expires_at: row.get("expires_at"),
        ended_at: row.get("ended_at"),
        end_reason: row.get("end_reason"),
        ended_by: row.get::<_, Option<Json<ActingStaff>>>("ended_by").map(|Json(by)| by),
        active: row.get("is_active"),
    }
}

/// The account of a session that there is or was.
///
/// # Errors
/// When the database does not answer.
pub async fn account_of(
    client: &impl GenericClient,
    session: SessionId,
) -> Result<Option<AccountId>, tokio_postgres::Error> {
    let row = client.query_opt(include_str!("account_of.sql"), &[&session.0]).await?;
    Ok(row.map(|row| AccountId(row.get(0))))
}
