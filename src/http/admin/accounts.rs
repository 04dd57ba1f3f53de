//! Everybody's accounts: search through them, look at one, and intervene in it.

use std::collections::BTreeSet;

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::{AccountId, FullName, Identifier, Reason, Role};
use counterfoil_projections::profile::Profile;
use counterfoil_projections::profile::search::{self, AccountFilter, AccountSummary};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;
use utoipa::ToSchema;

use super::{List, Why, account_by, id};
use crate::delivery::outbox::{self, MessageDelivery};
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, NoContent, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Admin, Body, Fields, Form, Page, Query, Staff, Wrong, read_any_identifier};

/// As which list cursors name it.
const LIST: &str = "accounts";

#[derive(Debug)]
pub struct Sought {
    page: Page,
    identifier: Option<Identifier>,
    name: Option<FullName>,
    state: Option<Standing>,
}

impl Form for Sought {
    fn read(fields: &mut Fields) -> Option<Self> {
        let page = Page::read(fields);
        let identifier = read_any_identifier(fields);
        let name = fields.optional("fullname", FullName::parse);
        let state = fields.optional("state", Standing::parse);
        Some(Self { page: page?, identifier: identifier?, name: name?, state: state? })
    }
}

/// Whether accounts may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Standing {
    Active,
    Suspended,
}

impl Standing {
    fn parse(name: &str) -> Result<Self, Wrong> {
        match name {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            _ => Err(Wrong("state_unknown")),
        }
    }
}

/// An account, with what is looked up for it alone.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountDetail)]
pub struct Detail {
    #[serde(flatten)]
    account: AccountSummary,
    roles: BTreeSet<Role>,
    /// Whether there is an authenticator.
    second_factor: bool,
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
    state: web::Data<State>,
    staff: Staff<Admin, Query<Sought>>,
) -> Result<Sent<Json<List<AccountSummary>>>, Problem> {
    let Query(Sought { page: Page { limit, cursor }, identifier, name, state: sought }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST, &cursor)).transpose()?;
    let account = match identifier {
        None => None,
        Some(identifier) => match account_by(&state, &identifier).await? {
            Some(account) => Some(account),
            None => return Ok(answer::json(List::nothing())),
        },
    };
    let suspended = sought.map(|standing| standing == Standing::Suspended);
    let (filter, now) = (AccountFilter { account, name, suspended }, state.clock.now());
    let found = state.query(async |db: &_| search::search(db, &filter, after, limit.0, now).await).await?;
    Ok(answer::json(List::of(found, &state.cursors, LIST)))
}

pub const SHOW_DOC: OperationDoc =
    OperationDoc { id: "account", summary: "Look at an account", ..OperationDoc::EMPTY };

pub async fn show(
    state: web::Data<State>,
    _: Staff<Admin, ()>,
    account: web::Path<String>,
) -> Result<Sent<Json<Detail>>, Problem> {
    let (account, now) = (AccountId(id(&account)?), state.clock.now());
    let standing = state.accounts.standing(account).await.map_err(|error| state.problem(&error))?;
    let member = standing.member().ok_or(Problem::NotFound)?;
    let profile = state.profile(account).await?.ok_or(Problem::NotFound)?;
    let devices = state.query(async |db: &_| user_login::active(db, account, now).await).await?;
    let messages = state.query(async |db: &_| outbox::of_account(db, account).await).await?;
    let is_active = !standing.is_suspended(now);
    let suspended_until = match &standing {
        UserAccount::Suspended(suspended) if !is_active => suspended.until,
        UserAccount::Suspended(_)
        | UserAccount::Unknown
        | UserAccount::Pending(_)
        | UserAccount::Active(_) => None,
    };
    let account = AccountSummary { profile: Profile { is_active, ..profile }, suspended_until };
    Ok(answer::json(Detail {
        account,
        roles: member.roles.clone(),
        second_factor: standing.authenticator().is_some(),
        devices,
        messages,
    }))
}

#[derive(Debug)]
pub struct Suspension {
    reason: Reason,
    until: Option<DateTime<Utc>>,
}

impl Form for Suspension {
    fn read(fields: &mut Fields) -> Option<Self> {
        let reason = fields.required_reason();
        let until = fields.time("until");
        Some(Self { reason: reason?, until: until? })
    }
}

pub const SUSPEND_DOC: OperationDoc = OperationDoc {
    id: "suspendAccount",
    summary: "Suspend an account",
    details: "Ends its sessions, and lets nobody in until then, or until it is reinstated.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn suspend(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Suspension>>,
    account: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let (until, who) = staff.intervening(|Body(asked)| (asked.until, Some(asked.reason)));
    if until.is_some_and(|until| until <= state.clock.now()) {
        return Err(Problem::invalid_field("until", "time_past"));
    }
    let suspended = state.accounts.suspend(AccountId(id(&account)?), until, who).await;
    suspended.map_err(|error| state.problem(&error))?;
    Ok(answer::no_content())
}

pub const REINSTATE_DOC: OperationDoc = OperationDoc {
    id: "reinstateAccount",
    summary: "Let an account be used again",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn reinstate(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Why>>,
    account: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let ((), who) = staff.intervening(|Body(why)| ((), why.reason));
    let reinstated = state.accounts.reinstate(AccountId(id(&account)?), who).await;
    reinstated.map_err(|error| state.problem(&error))?;
    Ok(answer::no_content())
}

pub const SIGN_OUT_DOC: OperationDoc =
    OperationDoc { id: "signOutAccount", summary: "End all sessions of an account", ..OperationDoc::EMPTY };

pub async fn sign_out(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Why>>,
    account: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let ((), who) = staff.intervening(|Body(why)| ((), why.reason));
    let signed_out = state.accounts.sign_out(AccountId(id(&account)?), who).await;
    signed_out.map_err(|error| state.problem(&error))?;
    Ok(answer::no_content())
}

pub const UNLOCK_DOC: OperationDoc = OperationDoc {
    id: "unlockAccount",
    summary: "Lift the lock that wrong codes set",
    details: "Codes are sent to the account and looked at again, as if none had been. An administrator does not unlock their own account.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn unlock(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Why>>,
    account: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let ((), who) = staff.intervening(|Body(why)| ((), why.reason));
    let unlocked = state.accounts.unlock(AccountId(id(&account)?), who).await;
    unlocked.map_err(|error| state.problem(&error))?;
    Ok(answer::no_content())
}

#[derive(Debug)]
pub struct Roles {
    roles: BTreeSet<Role>,
    reason: Option<Reason>,
}

impl Form for Roles {
    fn read(fields: &mut Fields) -> Option<Self> {
        let roles = fields.list("roles", Role::parse);
        let reason = fields.reason();
        Some(Self { roles: roles?.into_iter().collect(), reason: reason? })
    }
}

pub const CHANGE_ROLES_DOC: OperationDoc = OperationDoc {
    id: "changeRoles",
    summary: "Give an account these roles and no other",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn change_roles(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Roles>>,
    account: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let (roles, who) = staff.intervening(|Body(asked)| (asked.roles, asked.reason));
    let changed = state.accounts.change_roles(AccountId(id(&account)?), roles, who).await;
    changed.map_err(|error| state.problem(&error))?;
    Ok(answer::no_content())
}
