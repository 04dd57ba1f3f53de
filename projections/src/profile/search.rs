//! The search of staff through the accounts that users have joined by. Pages are as those of
//! [device sessions](crate::user_login::search).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, FullName, Role};
use deadpool_postgres::GenericClient;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Profile;
use crate::search::{END_OF_TIME, EXAMINED, SearchPage};

/// The statement that finds accounts along the index by the time of joining.
pub const BY_JOIN: &str = concat!(include_str!("search/by_join.sql"), include_str!("search/page.sql"));
/// The statement that finds accounts along the index of suspended ones.
pub const SUSPENDED: &str = concat!(include_str!("search/suspended.sql"), include_str!("search/page.sql"));
/// The statement that finds accounts along the index of those with a role.
pub const STAFF: &str = concat!(include_str!("search/staff.sql"), include_str!("search/page.sql"));
/// The statement that finds one account.
pub const BY_ACCOUNT: &str = concat!(include_str!("search/by_account.sql"), include_str!("search/page.sql"));

/// What accounts are looked for; all of it has to hold.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Only the account with this id.
    pub account: Option<AccountId>,
    /// With these words in the name, in any order and spelling (`search_form` of the migrations).
    pub name: Option<FullName>,
    /// Suspended now, or not.
    pub suspended: Option<bool>,
    /// Only accounts with this role.
    pub role: Option<Role>,
}

/// Where a page ends, and the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPosition {
    date_joined: DateTime<Utc>,
    account: AccountId,
}

/// An account, as it stands in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountSummary {
    /// The profile as its user sees it.
    #[serde(flatten)]
    pub profile: Profile,
    /// Until when it is suspended; nothing where it is not, or until it is reinstated.
    pub suspended_until: Option<DateTime<Utc>>,
    /// What it may do as staff.
    pub roles: BTreeSet<Role>,
}

/// The accounts that match, after a position, the last that joined first.
///
/// # Errors
/// When the database does not answer.
pub async fn search(
    client: &impl GenericClient,
    filter: &AccountFilter,
    after: Option<AccountPosition>,
    limit: u8,
    now: DateTime<Utc>,
) -> Result<SearchPage<AccountSummary, AccountPosition>, tokio_postgres::Error> {
    let first = AccountPosition { date_joined: END_OF_TIME, account: AccountId(Uuid::max()) };
    let AccountPosition { date_joined, account } = after.unwrap_or(first);
    let more_than = i64::from(limit) + 1;
    let is_told = filter.name.is_none() && filter.suspended.is_none() && filter.role.is_none();
    let examined = if is_told { more_than } else { EXAMINED };
    let name = filter.name.as_ref().map(FullName::as_str);
    let role = filter.role.map(Role::as_str);
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![&more_than, &filter.suspended, &now, &name, &examined, &date_joined, &account.0, &role];
    let sql = match (&filter.account, filter.role, filter.suspended) {
        (Some(account), _, _) => {
            parameters.push(&account.0);
            BY_ACCOUNT
        }
        (None, Some(_), _) => STAFF,
        (None, None, Some(true)) => SUSPENDED,
        (None, None, Some(false) | None) => BY_JOIN,
    };
    let rows = client.query(&client.prepare_cached(sql).await?, &parameters).await?;
    let position = |row: &Row, prefix: &str| AccountPosition {
        date_joined: row.get(&*format!("{prefix}date_joined")),
        account: AccountId(row.get(&*format!("{prefix}account_id"))),
    };
    let accounts =
        SearchPage::from_rows(&rows, limit, examined, "account_id", AccountSummary::from_row, position);
    let joined = accounts.items.into_iter().flatten().collect();
    Ok(SearchPage { items: joined, next: accounts.next })
}

impl AccountSummary {
    fn from_row(row: &Row) -> Option<Self> {
        let profile = Profile::from_row(row)?;
        let suspended_until = row.get::<_, Option<_>>("suspended_until").filter(|_| !profile.is_active);
        let roles = row.get::<_, Option<&str>>("roles").unwrap_or_default();
        let roles = roles.split(',').filter_map(|name| Role::parse(name).ok()).collect();
        Some(Self { profile, suspended_until, roles })
    }
}
