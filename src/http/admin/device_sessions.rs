//! The device sessions of everybody: search through them, and end one.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, DeviceName, Identifier, Reason, SessionId};
use counterfoil_projections::user_login::search::{
    self, DeviceSession, DeviceSessionFilter, DeviceSessionPosition,
};
use uuid::Uuid;

use super::{List, account_by, id};
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, NoContent, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Admin, Body, Fields, Form, Network, Page, Query, Staff, read_any_identifier};

/// As which list cursors name it.
const LIST: &str = "device-sessions";

#[derive(Debug)]
pub struct Sought {
    page: Page,
    identifier: Option<Identifier>,
    account: Option<AccountId>,
    addresses: Option<Network>,
    device_name: Option<DeviceName>,
    active: Option<bool>,
    at: Option<DateTime<Utc>>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl Form for Sought {
    fn read(fields: &mut Fields) -> Option<Self> {
        let page = Page::read(fields);
        let identifier = read_any_identifier(fields);
        let account = fields.optional("account_id", |text| Uuid::try_parse(text).map(AccountId));
        let addresses = fields.optional("ip_address", Network::parse);
        let device_name = fields.optional("device_name", DeviceName::parse);
        let active = fields.optional("active", str::parse);
        let (at, since, until) = (fields.time("at"), fields.time("since"), fields.time("until"));
        Some(Self {
            page: page?,
            identifier: identifier?,
            account: account?,
            addresses: addresses?,
            device_name: device_name?,
            active: active?,
            at: at?,
            since: since?,
            until: until?,
        })
    }
}

#[derive(Debug)]
pub struct Ending {
    reason: Reason,
}

impl Form for Ending {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { reason: fields.required_reason()? })
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "deviceSessions",
    summary: "Search through the device sessions of everybody",
    details: "`at` finds who was signed in at that time, each with the address that it had then. `ip_address`, an address \
        or a network, is compared with that address; without `at`, with the address that a session was last used from (by its \
        sign-in or a refresh), and with none that it had before. A page may have fewer items than asked for, or \
        none, and not be the last.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<State>,
    staff: Staff<Admin, Query<Sought>>,
) -> Result<Sent<Json<List<DeviceSession>>>, Problem> {
    let Query(sought) = staff.asked;
    let Page { limit, cursor } = sought.page;
    let mut filter = DeviceSessionFilter {
        account: sought.account,
        addresses: sought.addresses.map(|Network(network)| (network.network(), network.broadcast())),
        device_name: sought.device_name.map(|name| name.as_str().to_owned()),
        active: sought.active,
        at: sought.at,
        since: sought.since,
        until: sought.until,
    };
    if let Some(identifier) = sought.identifier {
        let account = account_by(&state, &identifier).await?;
        match (account, filter.account) {
            (Some(account), None) => filter.account = Some(account),
            (Some(account), Some(named)) if account == named => {}
            (Some(_), Some(_)) | (None, _) => {
                return Ok(answer::json(List::nothing()));
            }
        }
    }
    let after = cursor.map(|cursor| state.cursors.read(LIST, &cursor)).transpose()?;
    if after.is_some_and(|after: DeviceSessionPosition| !after.is_of(&filter)) {
        return Err(Problem::invalid_field("cursor", "cursor_invalid"));
    }
    let now = state.clock.now();
    let found = state.query(async |db: &_| search::search(db, &filter, after, limit.0, now).await).await?;
    Ok(answer::json(List::of(found, &state.cursors, LIST)))
}

pub const END_DOC: OperationDoc =
    OperationDoc { id: "endDeviceSession", summary: "End a device session", ..OperationDoc::EMPTY };

pub async fn end(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Ending>>,
    session: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let session = SessionId(id(&session)?);
    let account = state.query(async |db: &_| search::account_of(db, session).await).await?;
    let account = account.ok_or(Problem::NotFound)?;
    let ((), who) = staff.intervening(|Body(Ending { reason })| ((), Some(reason)));
    let ended = state.accounts.end_session(account, session, who).await;
    ended.map_err(|error| state.problem(&error))?;
    Ok(answer::no_content())
}
