//! Everything about a phone number or an e-mail address, whether or not its person has joined.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{CodeRefused, UserAccount};
use counterfoil_domain::values::{AccountId, BlockId, Identifier};
use serde::Serialize;
use utoipa::ToSchema;

use super::{find_account, identifier_summary};
use crate::delivery::outbox::{self, MessageDelivery};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, QueryParams, RequestFields, StaffCaller, read_any_identifier,
};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::limits::code_stops::CodeStop;
use crate::limits::{LimitsError, PrefixConversion};

/// Which identifier is asked about.
#[derive(Debug)]
pub struct IdentifierFilter {
    identifier: Option<Identifier>,
}

impl FromFields for IdentifierFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { identifier: read_any_identifier(fields)? })
    }
}

/// A phone number or an e-mail address: what is in the way of a code to it, and what became of its messages.
#[derive(Serialize, ToSchema)]
pub struct IdentifierResponse {
    /// The number, in E.164.
    phone_number: Option<String>,
    /// The e-mail address, where the identifier is one.
    email: Option<String>,
    /// The account that the identifier finds, where a code was ever asked for.
    account_id: Option<AccountId>,
    /// Whether the account was ever signed in to.
    joined: bool,
    /// What happened last and what is in the way, in a sentence.
    #[schema(
        example = "Last code sent at 00:55 UTC by SMS, taken by the provider; asked again too soon until 00:56 UTC; 1 of 10 codes today."
    )]
    summary: String,
    /// All that keeps a code from being sent there now. The limits of the address that asks are not
    /// among them.
    obstacles: Vec<Obstacle>,
    /// What stopped codes within the last day, the limits of the addresses that asked included; the latest first.
    stops: Vec<PastStop>,
    /// The codes of the last 24 hours, and how many there may be.
    codes: CodeQuota,
    /// What became of the codes to the prefix of the number; `null` for an e-mail address, or where no limits are shared.
    prefix: Option<PrefixConversion>,
    /// The newest messages of that kind of identifier of the account, the newest first.
    messages: Vec<MessageDelivery>,
}

/// What keeps a code from being sent to an identifier, or its person from signing in.
#[derive(Serialize, ToSchema)]
pub(super) struct Obstacle {
    /// `too_soon`, `quota_spent`, `paused`, `locked`, `account_suspended`, `country_not_served`, `block_` with the kind of a block, or
    /// the name of a shared limit.
    #[schema(example = "too_soon")]
    pub(super) kind: String,
    /// The subject of the shared limit, by which `DELETE /admin/limits/{subject}/` lifts it; of a block, what is blocked.
    pub(super) subject: Option<String>,
    /// The id of the block, by which `DELETE /admin/blocks/{block}/` lifts it.
    pub(super) block: Option<BlockId>,
    /// When it ends by itself, where it does.
    pub(super) until: Option<DateTime<Utc>>,
}

/// What stopped codes to an identifier.
#[derive(Serialize, ToSchema)]
pub(super) struct PastStop {
    /// The name of a shared limit, `block_` with the kind of a block, `rule_` with the name of an access rule, or
    /// `country_not_served`.
    #[schema(example = "codes_per_address")]
    pub(super) kind: String,
    /// When it first stopped a code within the day.
    first_at: DateTime<Utc>,
    /// When it last stopped one.
    pub(super) last_at: DateTime<Utc>,
    /// Until when it was to last, as it was known at the last time.
    until: Option<DateTime<Utc>>,
    /// How many codes it stopped.
    times: i64,
    /// Whether that time is not over.
    pub(super) present: bool,
}

impl PastStop {
    fn new(stop: CodeStop, now: DateTime<Utc>) -> Self {
        let CodeStop { kind, first_at, last_at, until, times } = stop;
        Self { kind, first_at, last_at, until, times, present: until.is_some_and(|until| now < until) }
    }
}

/// How many codes an identifier got within 24 hours.
#[derive(Serialize, ToSchema)]
pub(super) struct CodeQuota {
    /// The codes that were sent.
    pub(super) sent: usize,
    /// How many there may be (`codes.per_day`).
    pub(super) limit: usize,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "identifier",
    summary: "Look at a phone number or an e-mail address",
    details: "Whether or not its person has joined: a sentence that sums it up, what is in the way of a code and until when, what \
        stopped codes within the last day, how many codes were sent, and what became of its messages and of the codes to its \
        prefix.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<IdentifierFilter>>,
) -> Result<ApiResponse<OkJson<IdentifierResponse>>, Problem> {
    let QueryParams(IdentifierFilter { identifier }) = staff.asked;
    let identifier =
        identifier.ok_or_else(|| Problem::invalid_field("phone_number", "field_one_identifier"))?;
    let (channel, now) = (identifier.channel(), state.clock.now());
    let account = find_account(&state, &identifier).await?;
    let (mut obstacles, mut joined, mut messages, mut sent) = (Vec::new(), false, Vec::new(), 0);
    if let Some(account) = account {
        let standing = state.accounts.standing(account).await.map_err(|error| state.problem(&error))?;
        joined = standing.member().is_some();
        sent = standing.codes_sent(channel, now);
        obstacles.extend(of_account(&standing, &state, channel, now));
        messages = state.query(async |db: &_| outbox::of_account(db, account).await).await?;
        messages.retain(|message| message.channel == channel.as_str());
    }
    obstacles.extend(of_blocks_and_limits(&state, &identifier, joined).await?);
    let stops = state.accounts.stops_of(&identifier).await.map_err(|error| state.problem(&error))?;
    let stops: Vec<PastStop> = stops.into_iter().map(|stop| PastStop::new(stop, now)).collect();
    let codes = CodeQuota { sent, limit: state.accounts.policy().codes_per_day };
    let prefix = match &identifier {
        Identifier::Phone(number) => state.accounts.limits().prefix_conversion(number).await,
        Identifier::Email(_) => Ok(None),
    };
    let prefix = prefix.map_err(|error| Problem::from_limits(&LimitsError::from(error)))?;
    let summary = identifier_summary::sentence(&messages, &obstacles, &stops, &codes, now);
    let (phone_number, email) = match &identifier {
        Identifier::Phone(number) => (Some(number.as_str().to_owned()), None),
        Identifier::Email(address) => (None, Some(address.as_str().to_owned())),
    };
    Ok(response::json(IdentifierResponse {
        phone_number,
        email,
        account_id: account,
        joined,
        summary,
        obstacles,
        stops,
        codes,
        prefix,
        messages,
    }))
}

/// What blocks and shared limits put in the way, whatever the address that asks.
async fn of_blocks_and_limits(
    state: &AppState,
    identifier: &Identifier,
    joined: bool,
) -> Result<Vec<Obstacle>, Problem> {
    let blocks = state.accounts.blocks_of(identifier).await;
    let blocks = blocks.map_err(|error| Problem::from_limits(&error))?;
    let shared = state.accounts.limits().obstacles(identifier, joined).await;
    let shared = shared.map_err(|error| Problem::from_limits(&LimitsError::from(error)))?;
    let of_blocks = blocks.into_iter().map(|block| Obstacle {
        kind: format!("block_{}", block.subject.kind().as_str()),
        subject: Some(block.subject.text()),
        block: Some(block.id),
        until: block.until,
    });
    let of_limits = shared.into_iter().map(|(kind, meter)| Obstacle {
        kind: kind.to_owned(),
        until: meter.as_ref().and_then(|meter| meter.until),
        subject: meter.map(|meter| meter.subject),
        block: None,
    });
    Ok(of_blocks.chain(of_limits).collect())
}

/// What the account itself puts in the way.
fn of_account(
    standing: &UserAccount,
    state: &AppState,
    channel: counterfoil_domain::values::Channel,
    now: DateTime<Utc>,
) -> Vec<Obstacle> {
    let obstacle = |kind: &str, until| Obstacle { kind: kind.to_owned(), subject: None, block: None, until };
    let suspended_until = match standing {
        UserAccount::Suspended(suspended) => suspended.until,
        UserAccount::Unknown | UserAccount::Pending(_) | UserAccount::Active(_) => None,
    };
    let suspended = standing.is_suspended(now).then(|| obstacle("account_suspended", suspended_until));
    let codes = standing.code_obstacles(channel, now, state.accounts.policy());
    let codes = codes.into_iter().map(|(why, until)| obstacle(name(why), until));
    suspended.into_iter().chain(codes).collect()
}

fn name(why: CodeRefused) -> &'static str {
    match why {
        CodeRefused::TooSoon => "too_soon",
        CodeRefused::QuotaSpent => "quota_spent",
        CodeRefused::Paused => "paused",
        CodeRefused::Locked => "locked",
    }
}
