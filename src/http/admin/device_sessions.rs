//! The device sessions of everybody: search through them, and end one.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, DeviceName, Identifier, SessionId};
use counterfoil_projections::user_login::search::{
    self, DeviceSession, DeviceSessionFilter, DeviceSessionPosition,
};
use uuid::Uuid;

use super::{ListResponse, ReasonedInterventionRequest, find_account, parse_id};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AddressRange, AdminRole, FromFields, JsonBody, PageRequest, QueryParams, RequestFields, StaffCaller,
    read_any_identifier,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};

/// The name of this list in its cursors.
const LIST_NAME: &str = "device-sessions";

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
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<DeviceSessionSearchFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<DeviceSession>>>, Problem> {
    let QueryParams(query) = staff.asked;
    let PageRequest { limit, cursor } = query.page;
    let mut filter = DeviceSessionFilter {
        account: query.account,
        addresses: query.addresses.map(|AddressRange(network)| (network.network(), network.broadcast())),
        device_name: query.device_name.map(|name| name.as_str().to_owned()),
        active: query.active,
        at: query.at,
        since: query.since,
        until: query.until,
    };
    if let Some(identifier) = query.identifier {
        let account = find_account(&state, &identifier).await?;
        match (account, filter.account) {
            (Some(account), None) => filter.account = Some(account),
            (Some(account), Some(named)) if account == named => {}
            (Some(_), Some(_)) | (None, _) => {
                return Ok(response::json(ListResponse::empty()));
            }
        }
    }
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    if after.is_some_and(|after: DeviceSessionPosition| !after.is_of(&filter)) {
        return Err(Problem::invalid_field("cursor", "cursor_invalid"));
    }
    let now = state.clock.now();
    let found = state.query(async |db: &_| search::search(db, &filter, after, limit.0, now).await).await?;
    Ok(response::json(ListResponse::from_page(found, &state.cursors, LIST_NAME)))
}

pub const END_DOC: OperationDoc =
    OperationDoc { id: "endDeviceSession", summary: "End a device session", ..OperationDoc::EMPTY };

pub async fn end(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonedInterventionRequest>>,
    session: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let session = SessionId(parse_id(&session)?);
    let account = state.query(async |db: &_| search::account_of(db, session).await).await?;
    let account = account.ok_or(Problem::NotFound)?;
    let ((), who) = staff.into_action(|JsonBody(ReasonedInterventionRequest(grounds))| ((), grounds));
    let ended = state.accounts.end_session(account, session, who).await;
    ended.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}
