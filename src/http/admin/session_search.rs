//! The search through the device sessions of everybody, as administrators and auditors ask for it.

use chrono::{DateTime, SecondsFormat, Utc};
use counterfoil_domain::values::{AccountId, DeviceName, Identifier};
use counterfoil_projections::SearchPage;
use counterfoil_projections::user_login::search::{
    self, DeviceSession, DeviceSessionFilter, DeviceSessionPosition,
};
use uuid::Uuid;

use super::find_account;
use crate::http::extract::{
    AddressRange, AskedSpan, FromFields, PageLimit, PageRequest, RequestFields, named_identifier,
    read_any_identifier,
};
use crate::http::{AppState, Problem};

/// The name of this list in its cursors.
pub const LIST_NAME: &str = "device-sessions";

/// Which device sessions are looked for, and which page of them.
#[derive(Debug)]
pub struct DeviceSessionSearchFilter {
    page: PageRequest,
    selection: SessionSelection,
    active: Option<bool>,
}

/// Which device sessions are meant; all of it has to hold.
#[derive(Debug)]
pub struct SessionSelection {
    identifier: Option<Identifier>,
    account: Option<AccountId>,
    addresses: Option<AddressRange>,
    device_name: Option<DeviceName>,
    at: Option<DateTime<Utc>>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl FromFields for DeviceSessionSearchFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let selection = SessionSelection::from_fields(fields);
        let active = fields.optional("active", str::parse);
        Some(Self { page: page?, selection: selection?, active: active? })
    }
}

impl FromFields for SessionSelection {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let identifier = read_any_identifier(fields);
        let account = fields.optional("account_id", |text| Uuid::try_parse(text).map(AccountId));
        let addresses = fields.optional("ip_address", AddressRange::parse);
        let device_name = fields.optional("device_name", DeviceName::parse);
        let (at, span) = (fields.time("at"), fields.time_span());
        let AskedSpan { since, until } = span?;
        Some(Self {
            identifier: identifier?,
            account: account?,
            addresses: addresses?,
            device_name: device_name?,
            at: at?,
            since,
            until,
        })
    }
}

impl SessionSelection {
    /// Whether nothing is selected by, so that every session is meant.
    pub fn is_empty(&self) -> bool {
        let Self { identifier, account, addresses, device_name, at, since, until } = self;
        let names_none = identifier.is_none() && account.is_none() && addresses.is_none();
        names_none && device_name.is_none() && [at, since, until].into_iter().all(Option::is_none)
    }

    /// Returns the filter of the search, with the account of the identifier. `None` where no session can match, since the identifier
    /// belongs to no account or to another one.
    pub async fn into_filter(
        self,
        state: &AppState,
        active: Option<bool>,
    ) -> Result<Option<DeviceSessionFilter>, Problem> {
        let mut filter = DeviceSessionFilter {
            account: self.account,
            addresses: self.addresses.map(|AddressRange(network)| (network.network(), network.broadcast())),
            device_name: self.device_name.map(|name| name.as_str().to_owned()),
            active,
            at: self.at,
            since: self.since,
            until: self.until,
        };
        if let Some(identifier) = self.identifier {
            let account = find_account(state, &identifier).await?;
            if account.is_none() || filter.account.is_some_and(|named| Some(named) != account) {
                return Ok(None);
            }
            filter.account = account;
        }
        Ok(Some(filter))
    }
}

/// A page of a search whose account is known.
#[derive(Debug)]
pub struct ResolvedSearch {
    pub filter: DeviceSessionFilter,
    after: Option<DeviceSessionPosition>,
    limit: PageLimit,
}

impl DeviceSessionSearchFilter {
    /// Finds the account of the identifier, and where the page begins. `None` where what is asked for belongs to no account.
    pub async fn resolve(self, state: &AppState) -> Result<Option<ResolvedSearch>, Problem> {
        let Some(filter) = self.selection.into_filter(state, self.active).await? else { return Ok(None) };
        let PageRequest { limit, cursor } = self.page;
        let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
        if after.is_some_and(|after: DeviceSessionPosition| !after.is_of(&filter)) {
            return Err(Problem::invalid_field("cursor", "cursor_invalid"));
        }
        Ok(Some(ResolvedSearch { filter, after, limit }))
    }
}

impl ResolvedSearch {
    /// Finds the page of the sessions that match.
    pub async fn find(
        &self,
        state: &AppState,
    ) -> Result<SearchPage<DeviceSession, DeviceSessionPosition>, Problem> {
        let Self { filter, after, limit } = self;
        let now = state.clock.now();
        state.query(async |db: &_| search::search(db, filter, *after, limit.0, now).await).await
    }
}

/// A search in the words in which it is put on record: those that name no person, and those that may be personal.
#[derive(Debug)]
pub struct DescribedSearch {
    clear: Vec<String>,
    sealed: Vec<String>,
    identifier: Option<String>,
}

impl DescribedSearch {
    /// The text that may stand in the log in clear, with the account that was found, and the text that is sealed.
    pub fn described(mut self, account: Option<AccountId>) -> (String, Option<String>) {
        match account {
            Some(account) => self.clear.insert(0, format!("account_id={account}")),
            None => self.sealed.extend(self.identifier),
        }
        self.clear.insert(0, "device-sessions".to_owned());
        let sealed = (!self.sealed.is_empty()).then(|| self.sealed.join(" "));
        (self.clear.join(" "), sealed)
    }
}

impl DeviceSessionSearchFilter {
    /// Describes the search for the record.
    pub fn on_record(&self) -> DescribedSearch {
        let asked = &self.selection;
        let mut clear = Vec::new();
        clear.extend(self.active.map(|active| format!("active={active}")));
        for (name, time) in [("at", asked.at), ("since", asked.since), ("until", asked.until)] {
            let written = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            clear.extend(time.map(|time| format!("{name}={}", written(time))));
        }
        let mut sealed = Vec::new();
        sealed.extend(asked.addresses.map(|AddressRange(network)| format!("ip_address={network}")));
        sealed.extend(asked.device_name.as_ref().map(|name| format!("device_name={}", name.as_str())));
        DescribedSearch { clear, sealed, identifier: asked.identifier.as_ref().map(named_identifier) }
    }
}
