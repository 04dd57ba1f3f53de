//! All accounts: search through them, look at one, and intervene in it.

use std::collections::BTreeSet;

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::{AccountId, FullName, Identifier, Role};
use counterfoil_projections::profile::Profile;
use counterfoil_projections::profile::search::{self, AccountFilter, AccountSummary};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;
use utoipa::ToSchema;

use super::identifier_proposals::{self, IdentifierProposalResponse};
use super::legal_hold::LegalHoldResponse;
use super::{InterventionRequest, ListResponse, ReasonedInterventionRequest, find_account, parse_id};
use crate::accounts::ActionGrounds;
use crate::delivery::outbox::{self, MessageDelivery};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, InvalidParameter, JsonBody, PageRequest, QueryParams, RequestFields, StaffCaller,
    read_any_identifier,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};

/// The name of this list in its cursors.
const LIST_NAME: &str = "accounts";

#[derive(Debug)]
pub struct AccountSearchFilter {
    page: PageRequest,
    identifier: Option<Identifier>,
    name: Option<FullName>,
    state: Option<AccountState>,
    role: Option<Role>,
}

impl FromFields for AccountSearchFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let identifier = read_any_identifier(fields);
        let name = fields.optional("fullname", FullName::parse);
        let state = fields.optional("state", AccountState::parse);
        let role = fields.optional("role", Role::parse);
        Some(Self { page: page?, identifier: identifier?, name: name?, state: state?, role: role? })
    }
}

/// Whether accounts may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AccountState {
    Active,
    Suspended,
}

impl AccountState {
    fn parse(name: &str) -> Result<Self, InvalidParameter> {
        match name {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            _ => Err(InvalidParameter("state_unknown")),
        }
    }
}

/// An account, with what is looked up for it alone.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountDetail)]
pub struct AccountDetailResponse {
    #[serde(flatten)]
    account: AccountSummary,
    /// Whether there is an authenticator.
    second_factor: bool,
    /// When it is erased, where that was asked for. It has no sessions until then.
    erasure_due_at: Option<DateTime<Utc>>,
    /// The legal hold that keeps it from being erased.
    legal_hold: Option<LegalHoldResponse>,
    /// The change of its identifiers that staff proposed, while it is open.
    identifier_proposal: Option<IdentifierProposalResponse>,
    devices: Vec<Device>,
    messages: Vec<MessageDelivery>,
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "accounts",
    summary: "Search through the accounts",
    details: "A page may have fewer items than asked for, or none, and not be the last.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<AccountSearchFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<AccountSummary>>>, Problem> {
    let QueryParams(AccountSearchFilter {
        page: PageRequest { limit, cursor },
        identifier,
        name,
        state: account_state,
        role,
    }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let account = match identifier {
        None => None,
        Some(identifier) => match find_account(&state, &identifier).await? {
            Some(account) => Some(account),
            None => return Ok(response::json(ListResponse::empty())),
        },
    };
    let suspended = account_state.map(|account_state| account_state == AccountState::Suspended);
    let (filter, now) = (AccountFilter { account, name, suspended, role }, state.clock.now());
    let found = state.query(async |db: &_| search::search(db, &filter, after, limit.0, now).await).await?;
    Ok(response::json(ListResponse::from_page(found, &state.cursors, LIST_NAME)))
}

pub const SHOW_DOC: OperationDoc =
    OperationDoc { id: "account", summary: "Look at an account", ..OperationDoc::EMPTY };

pub async fn show(
    state: web::Data<AppState>,
    _: StaffCaller<AdminRole, ()>,
    account: web::Path<String>,
) -> Result<ApiResponse<OkJson<AccountDetailResponse>>, Problem> {
    let (account, now) = (AccountId(parse_id(&account)?), state.clock.now());
    let standing = state.accounts.standing(account).await.map_err(|error| state.problem(&error))?;
    let member = standing.member().ok_or(Problem::NotFound)?;
    let profile = state.profile(account).await?.ok_or(Problem::NotFound)?;
    let devices = state.query(async |db: &_| user_login::active(db, account, now).await).await?;
    let messages = state.query(async |db: &_| outbox::of_account(db, account).await).await?;
    let identifier_proposal = match standing.open_proposal(now) {
        Some(_) => identifier_proposals::open(&state, account).await?,
        None => None,
    };
    let is_active = !standing.is_suspended(now);
    let suspended_until = match &standing {
        UserAccount::Suspended(suspended) if !is_active => suspended.until,
        UserAccount::Suspended(_)
        | UserAccount::Unknown
        | UserAccount::Pending(_)
        | UserAccount::Active(_) => None,
    };
    let account = AccountSummary {
        profile: Profile { is_active, ..profile },
        suspended_until,
        roles: member.roles.clone(),
    };
    Ok(response::json(AccountDetailResponse {
        account,
        second_factor: standing.authenticator().is_some(),
        erasure_due_at: standing.erasure_time(now),
        legal_hold: standing.legal_hold(now).map(LegalHoldResponse::from),
        identifier_proposal,
        devices,
        messages,
    }))
}

#[derive(Debug)]
pub struct SuspendAccountRequest {
    grounds: ActionGrounds,
    until: Option<DateTime<Utc>>,
}

impl FromFields for SuspendAccountRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let grounds = fields.required_grounds();
        let until = fields.time("until");
        Some(Self { grounds: grounds?, until: until? })
    }
}

pub const SUSPEND_DOC: OperationDoc = OperationDoc {
    id: "suspendAccount",
    summary: "Suspend an account",
    details: "Ends its sessions, and allows no sign-in until then, or until it is reinstated.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn suspend(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<SuspendAccountRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let (until, who) = staff.into_action(|JsonBody(asked)| (asked.until, asked.grounds));
    if until.is_some_and(|until| until <= state.clock.now()) {
        return Err(Problem::invalid_field("until", "time_past"));
    }
    let suspended = state.accounts.suspend(AccountId(parse_id(&account)?), until, who).await;
    suspended.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

pub const REINSTATE_DOC: OperationDoc = OperationDoc {
    id: "reinstateAccount",
    summary: "Let an account be used again",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn reinstate(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<InterventionRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(InterventionRequest(grounds))| ((), grounds));
    let reinstated = state.accounts.reinstate(AccountId(parse_id(&account)?), who).await;
    reinstated.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

pub const SIGN_OUT_DOC: OperationDoc =
    OperationDoc { id: "signOutAccount", summary: "End all sessions of an account", ..OperationDoc::EMPTY };

pub async fn sign_out(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<InterventionRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(InterventionRequest(grounds))| ((), grounds));
    let signed_out = state.accounts.sign_out(AccountId(parse_id(&account)?), who).await;
    signed_out.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

pub const UNLOCK_DOC: OperationDoc = OperationDoc {
    id: "unlockAccount",
    summary: "Lift the lock that wrong codes set",
    details: "Codes are sent to the account and looked at again, as if none had been. An administrator does not unlock their own account.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn unlock(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<InterventionRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(InterventionRequest(grounds))| ((), grounds));
    let unlocked = state.accounts.unlock(AccountId(parse_id(&account)?), who).await;
    unlocked.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

#[derive(Debug)]
pub struct ChangeRolesRequest {
    roles: BTreeSet<Role>,
    grounds: ActionGrounds,
}

impl FromFields for ChangeRolesRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let roles = fields.list("roles", Role::parse);
        let grounds = fields.grounds();
        Some(Self { roles: roles?.into_iter().collect(), grounds: grounds? })
    }
}

pub const CHANGE_ROLES_DOC: OperationDoc = OperationDoc {
    id: "changeRoles",
    summary: "Give an account these roles and no other",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn change_roles(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ChangeRolesRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let (roles, who) = staff.into_action(|JsonBody(asked)| (asked.roles, asked.grounds));
    let changed = state.accounts.change_roles(AccountId(parse_id(&account)?), roles, who).await;
    changed.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

pub const REMOVE_SECOND_FACTOR_DOC: OperationDoc = OperationDoc {
    id: "removeSecondFactor",
    summary: "Remove the second factor of a user who lost it",
    details: "The account can enrol another one. Its owner is told. An administrator does not remove their own second factor.",
    problems: &[Problem::OwnAccount, Problem::NoSecondFactor],
    ..OperationDoc::EMPTY
};

pub async fn remove_second_factor(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonedInterventionRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(ReasonedInterventionRequest(grounds))| ((), grounds));
    let removed = state.accounts.remove_second_factor(AccountId(parse_id(&account)?), who).await;
    removed.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}
