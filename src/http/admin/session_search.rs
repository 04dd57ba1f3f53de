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
    AddressRange, AskedSpan, FromFields, PageLimit, PageRequest, RequestFields, read_any_identifier,
};
use crate::http::{AppState, Problem};

/// The name of this list in its cursors.
pub const LIST_NAME: &str = "device-sessions";

/// Which device sessions are looked for.
#[derive(Debug)]
pub struct DeviceSessionSearchFilter {
    page: PageRequest,
    identifier: Option<Identifier>,
    account: Option<AccountId>,
    addresses: Option<AddressRange>,
    device_name: Option<DeviceName>,
    active: Option<bool>,
    at: Option<DateTime<Utc>>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl FromFields for DeviceSessionSearchFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let identifier = read_any_identifier(fields);
        let account = fields.optional("account_id", |text| Uuid::try_parse(text).map(AccountId));
        let addresses = fields.optional("ip_address", AddressRange::parse);
        let device_name = fields.optional("device_name", DeviceName::parse);
        let active = fields.optional("active", str::parse);
        let (at, span) = (fields.time("at"), fields.time_span());
        let AskedSpan { since, until } = span?;
        Some(Self {
            page: page?,
            identifier: identifier?,
            account: account?,
            addresses: addresses?,
            device_name: device_name?,
            active: active?,
            at: at?,
            since,
            until,
        })
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
        let mut filter = DeviceSessionFilter {
            account: self.account,
            addresses: self.addresses.map(|AddressRange(network)| (network.network(), network.broadcast())),
            device_name: self.device_name.map(|name| name.as_str().to_owned()),
            active: self.active,
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
        let mut clear = Vec::new();
        clear.extend(self.active.map(|active| format!("active={active}")));
        for (name, time) in [("at", self.at), ("since", self.since), ("until", self.until)] {
            let written = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            clear.extend(time.map(|time| format!("{name}={}", written(time))));
        }
        let mut sealed = Vec::new();
        sealed.extend(self.addresses.map(|AddressRange(network)| format!("ip_address={network}")));
        sealed.extend(self.device_name.as_ref().map(|name| format!("device_name={}", name.as_str())));
        let named = |identifier: &Identifier| match identifier {
            Identifier::Phone(number) => format!("phone_number={}", number.as_str()),
            Identifier::Email(address) => format!("email={}", address.as_str()),
        };
        DescribedSearch { clear, sealed, identifier: self.identifier.as_ref().map(named) }
    }
}
