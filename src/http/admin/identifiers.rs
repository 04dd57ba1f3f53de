//! Everything about a phone number or an e-mail address, whether or not its person has joined.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{CodeRefused, UserAccount};
use counterfoil_domain::values::{AccountId, Identifier};
use serde::Serialize;
use utoipa::ToSchema;

use super::find_account;
use crate::delivery::outbox::{self, MessageDelivery};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, QueryParams, RequestFields, StaffCaller, read_any_identifier,
};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::limits::LimitsError;

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
    /// All that keeps a code from being sent there now. The limits of the address that asks are not
    /// among them.
    obstacles: Vec<Obstacle>,
    /// The newest messages of that kind of identifier of the account, the newest first.
    messages: Vec<MessageDelivery>,
}

/// What keeps a code from being sent to an identifier, or its person from signing in.
#[derive(Serialize, ToSchema)]
struct Obstacle {
    /// `too_soon`, `quota_spent`, `paused`, `locked`, `account_suspended`, `country_not_served`, or the name of a shared limit.
    #[schema(value_type = String, example = "too_soon")]
    kind: &'static str,
    /// The subject of the shared limit, by which `DELETE /admin/limits/{subject}/` lifts it.
    subject: Option<String>,
    /// When it ends by itself, where it does.
    until: Option<DateTime<Utc>>,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "identifier",
    summary: "Look at a phone number or an e-mail address",
    details: "Whether or not its person has joined: what became of its messages, and what is in the way of a code, until when.",
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
    let (mut obstacles, mut joined, mut messages) = (Vec::new(), false, Vec::new());
    if let Some(account) = account {
        let standing = state.accounts.standing(account).await.map_err(|error| state.problem(&error))?;
        joined = standing.member().is_some();
        obstacles.extend(of_account(&standing, &state, channel, now));
        messages = state.query(async |db: &_| outbox::of_account(db, account).await).await?;
        messages.retain(|message| message.channel == channel.as_str());
    }
    let shared = state.accounts.limits().obstacles(&identifier, joined).await;
    let shared = shared.map_err(|error| Problem::from_limits(&LimitsError::from(error)))?;
    obstacles.extend(shared.into_iter().map(|(kind, meter)| Obstacle {
        kind,
        until: meter.as_ref().and_then(|meter| meter.until),
        subject: meter.map(|meter| meter.subject),
    }));
    let (phone_number, email) = match &identifier {
        Identifier::Phone(number) => (Some(number.as_str().to_owned()), None),
        Identifier::Email(address) => (None, Some(address.as_str().to_owned())),
    };
    Ok(response::json(IdentifierResponse {
        phone_number,
        email,
        account_id: account,
        joined,
        obstacles,
        messages,
    }))
}

/// What the account itself puts in the way.
fn of_account(
    standing: &UserAccount,
    state: &AppState,
    channel: counterfoil_domain::values::Channel,
    now: DateTime<Utc>,
) -> Vec<Obstacle> {
    let obstacle = |kind, until| Obstacle { kind, subject: None, until };
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
