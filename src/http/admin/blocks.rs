//! Blocks: subjects that get no codes, until a time or until the block is lifted.

use std::net::IpAddr;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{ActingStaff, BlockKind};
use counterfoil_domain::values::{
    AccountId, BlockId, Channel, EmailAddress, Identifier, MailDomain, PhoneNumber, PhonePrefix, Reason,
};
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ListResponse, parse_id};
use crate::accounts::{BlockOutcome, StaffAction, WantedBlock};
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{
    AddressRange, AdminRole, CountryCode, FromFields, JsonBody, PageRequest, QueryParams, RequestFields,
    StaffCaller,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};
use crate::http::{AppState, Problem};
use crate::limits::blocks::{self, BlockedSubject, StoredBlock};

/// The name of this list in its cursors.
const LIST_NAME: &str = "blocks";

/// A subject that gets no codes.
#[derive(Serialize, ToSchema)]
#[schema(as = Block)]
pub struct BlockResponse {
    /// The id of the block, by which it is lifted.
    id: BlockId,
    /// The kind of subject that is blocked.
    kind: BlockKind,
    /// The prefix, number, mailbox, network, domain or country; `null` where the key that it was sealed under is gone.
    #[schema(example = "+98912123")]
    subject: Option<String>,
    /// When it was set.
    since: DateTime<Utc>,
    /// When it ends by itself; `null` where it lasts until it is lifted.
    until: Option<DateTime<Utc>>,
    /// When it was lifted or ended; `null` while it holds.
    ended_at: Option<DateTime<Utc>>,
    /// Why it was set.
    reason: Option<String>,
    /// The member of staff who set it, or gave it another end.
    by: Option<ActingStaff>,
}

impl BlockResponse {
    fn new(block: StoredBlock, now: DateTime<Utc>) -> Self {
        let StoredBlock { id, kind, subject, since, until, ended_at, reason, by } = block;
        let ended_at = ended_at.or(until.filter(|until| *until <= now));
        Self { id, kind, subject: subject.map(|subject| subject.text()), since, until, ended_at, reason, by }
    }
}

/// What is to be blocked, until when, and why.
#[derive(Debug)]
pub struct SetBlockRequest(WantedBlock);

impl FromFields for SetBlockRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let names = BlockKind::ALL.map(BlockKind::as_str);
        let named: Vec<&str> = names.into_iter().filter(|name| fields.has(name)).collect();
        let region = fields.default_region();
        let prefix = fields.optional("prefix", PhonePrefix::parse);
        let number = fields.optional("phone_number", |text| PhoneNumber::parse(text, region));
        let address = fields.optional("email", EmailAddress::parse);
        let network = fields.optional("ip_address", AddressRange::parse);
        let domain = fields.optional("mail_domain", MailDomain::parse);
        let country = fields.optional("country", CountryCode::parse);
        let (reason, until) = (fields.required_reason(), fields.time("until"));
        if !fields.is_only_asked() && named.len() != 1 {
            fields.complain(named.get(1).unwrap_or(&"prefix"), "field_one_blocked");
            return None;
        }
        let subject = prefix?
            .map(BlockedSubject::Prefix)
            .or(number?.map(BlockedSubject::PhoneNumber))
            .or(address?.map(BlockedSubject::from_email))
            .or(network?.map(|AddressRange(network)| BlockedSubject::from_network(network)))
            .or(domain?.map(BlockedSubject::MailDomain))
            .or(country?.map(|CountryCode(region)| BlockedSubject::Country(region)));
        Some(Self(WantedBlock { subject: subject?, until: until?, reason: reason? }))
    }
}

/// The forms of a block that was set, or was there.
pub enum BlockSetResponse {}

impl DescribeOperation for BlockSetResponse {
    fn describe(operation: &mut OperationDraft) {
        let block = operation.schema::<BlockResponse>();
        operation.answer(201, "The subject is blocked now.", [("application/json", block.clone())]);
        operation.answer(
            200,
            "The subject was blocked already. The block has the end that was asked for.",
            [("application/json", block)],
        );
    }
}

pub const SET_DOC: OperationDoc = OperationDoc {
    id: "setBlock",
    summary: "Block a subject from getting and trying codes",
    details: "Exactly one of `prefix`, `phone_number`, `email` (with its sub-addresses), `ip_address` (an address or a network; one \
        IPv6 address stands for its /64), `mail_domain` (with the domains below it) and `country`; until a time, or until it is \
        lifted. It holds on every node within about two seconds. Callers whom it stops get 429, whether or not there is an account. \
        Sessions go on. The same again changes nothing; with another `until` it gives the block that end.",
    problems: &[Problem::BlocksOneself, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn set(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<SetBlockRequest>>,
) -> Result<ApiResponse<BlockSetResponse>, Problem> {
    let (wanted, who) = staff.into_action(|JsonBody(SetBlockRequest(wanted))| {
        let reason = wanted.reason.clone();
        (wanted, Some(reason))
    });
    let now = state.clock.now();
    if wanted.until.is_some_and(|until| until <= now) {
        return Err(Problem::invalid_field("until", "time_past"));
    }
    require_other_person(&state, &who, &wanted.subject).await?;
    let outcome = state.accounts.set_block(wanted, &who).await.map_err(|error| state.problem(&error))?;
    let (mut response, block) = match outcome {
        BlockOutcome::Set(block) => (HttpResponse::Created(), block),
        BlockOutcome::Kept(block) => (HttpResponse::Ok(), block),
    };
    Ok(ApiResponse::new(response.json(BlockResponse::new(block, now))))
}

/// Refuses a block that would keep out the administrator who sets it. The operator at the server signs in to nothing.
async fn require_other_person(
    state: &AppState,
    who: &StaffAction,
    subject: &BlockedSubject,
) -> Result<(), Problem> {
    let ActingStaff::Account(account) = who.by.acting() else { return Ok(()) };
    let own = own_identifiers(state, account).await?;
    let covers_own = own.iter().any(|identifier| subject.covers(identifier));
    let ip: IpAddr = who.origin.client.ip;
    if covers_own || subject.covers_address(ip) { Err(Problem::BlocksOneself) } else { Ok(()) }
}

async fn own_identifiers(state: &AppState, account: AccountId) -> Result<Vec<Identifier>, Problem> {
    let profile = state.profile(account).await?;
    let of = |channel| profile.as_ref().and_then(|profile| profile.identifier(channel));
    Ok(Channel::ALL.into_iter().filter_map(of).collect())
}

/// Which blocks are listed.
#[derive(Debug)]
pub struct BlockFilter {
    page: PageRequest,
    active: Option<bool>,
}

impl FromFields for BlockFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let active = fields.optional("active", str::parse);
        Some(Self { page: page?, active: active? })
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "blocks",
    summary: "See what is blocked",
    details: "The newest first; with `active=true` those that hold now, with `active=false` those that are over. A block is kept for 400 \
        days after its end.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<BlockFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<BlockResponse>>>, Problem> {
    let QueryParams(BlockFilter { page: PageRequest { limit, cursor }, active }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let (now, personal_data) = (state.clock.now(), state.accounts.journal().personal_data().clone());
    let found =
        state.query(async |db: &_| blocks::list(db, &personal_data, (active, now), after, limit.0).await);
    let SearchPage { items, next } = found.await?;
    let items = items.into_iter().map(|block| BlockResponse::new(block, now)).collect();
    Ok(response::json(ListResponse::from_page(SearchPage { items, next }, &state.cursors, LIST_NAME)))
}

/// Why a block is lifted.
#[derive(Debug)]
pub struct LiftBlockRequest {
    reason: Reason,
}

impl FromFields for LiftBlockRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { reason: fields.required_reason()? })
    }
}

pub const LIFT_DOC: OperationDoc = OperationDoc {
    id: "liftBlock",
    summary: "Lift a block",
    details: "It ends on every node within about two seconds. A block that is over is lifted as little as one that never was: 404.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn lift(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<LiftBlockRequest>>,
    block: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let block = BlockId(parse_id(&block)?);
    let ((), who) = staff.into_action(|JsonBody(LiftBlockRequest { reason })| ((), Some(reason)));
    let lifted = state.accounts.lift_block(block, &who).await.map_err(|error| state.problem(&error))?;
    if lifted { Ok(response::no_content()) } else { Err(Problem::NotFound) }
}
