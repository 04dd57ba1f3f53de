//! Everybody's accounts: search through them, look at one, and intervene in it.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::{AccountId, FullName, Identifier, Reason, Role};
use counterfoil_projections::profile::Profile;
use counterfoil_projections::profile::search::{self, Account, Filter};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;

use super::{List, Why, account_by, id};
use crate::app::State;
use crate::delivery::outbox::{self, Delivery};
use crate::http::Problem;
use crate::http::extract::{Admin, Body, Fields, Form, Page, Query, Staff, Wrong, read_any_identifier, time};

/// As which list cursors name it.
const LIST: &str = "accounts";

#[derive(Debug)]
pub struct Sought {
    page: Page,
    identifier: Option<Identifier>,
    name: Option<FullName>,
    suspended: Option<bool>,
}

impl Form for Sought {
    fn read(fields: &mut Fields) -> Option<Self> {
        let page = Page::read(fields);
        let identifier = read_any_identifier(fields);
        let name = fields.optional("fullname", FullName::parse);
        let suspended = fields.optional("state", suspended);
        Some(Self { page: page?, identifier: identifier?, name: name?, suspended: suspended? })
    }
}

/// Whether it is the state of suspended accounts.
fn suspended(state: &str) -> Result<bool, Wrong> {
    match state {
        "active" => Ok(false),
        "suspended" => Ok(true),
        _ => Err(Wrong("state_unknown")),
    }
}

/// An account, with what is looked up for it alone.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    account: Account,
    roles: BTreeSet<Role>,
    /// Whether there is an authenticator.
    second_factor: bool,
    devices: Vec<Device>,
    messages: Vec<Delivery>,
}

pub async fn list(
    state: web::Data<State>,
    staff: Staff<Admin, Query<Sought>>,
) -> Result<HttpResponse, Problem> {
    let Query(Sought { page: Page { limit, cursor }, identifier, name, suspended }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST, &cursor)).transpose()?;
    let account = match identifier {
        None => None,
        Some(identifier) => match account_by(&state, &identifier).await? {
            Some(account) => Some(account),
            None => return Ok(HttpResponse::Ok().json(List::<()> { items: Vec::new(), next: None })),
        },
    };
    let (filter, now) = (Filter { account, name, suspended }, state.clock.now());
    let found =
        state.query(async |db: &_| search::search(db, &filter, after, limit.get(), now).await).await?;
    Ok(HttpResponse::Ok().json(List::of(found, &state.cursors, LIST)))
}

pub async fn get(
    state: web::Data<State>,
    _: Staff<Admin, ()>,
    account: web::Path<String>,
) -> Result<HttpResponse, Problem> {
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
    let account = Account { profile: Profile { is_active, ..profile }, suspended_until };
    Ok(HttpResponse::Ok().json(Detail {
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
        let reason = fields.required("reason", Reason::parse);
        let until = fields.optional("until", time);
        Some(Self { reason: reason?, until: until? })
    }
}

pub async fn suspend(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Suspension>>,
    account: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (until, who) = staff.intervening(|Body(asked)| (asked.until, Some(asked.reason)));
    if until.is_some_and(|until| until <= state.clock.now()) {
        return Err(Problem::invalid_field("until", "time_past"));
    }
    let suspended = state.accounts.suspend(AccountId(id(&account)?), until, who).await;
    suspended.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn reinstate(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Why>>,
    account: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let ((), who) = staff.intervening(|Body(why)| ((), why.reason));
    let reinstated = state.accounts.reinstate(AccountId(id(&account)?), who).await;
    reinstated.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn sign_out(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Why>>,
    account: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let ((), who) = staff.intervening(|Body(why)| ((), why.reason));
    let signed_out = state.accounts.sign_out(AccountId(id(&account)?), who).await;
    signed_out.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug)]
pub struct Roles {
    roles: BTreeSet<Role>,
    reason: Option<Reason>,
}

impl Form for Roles {
    fn read(fields: &mut Fields) -> Option<Self> {
        let roles = fields.list("roles", Role::parse);
        let reason = fields.optional("reason", Reason::parse);
        Some(Self { roles: roles?.into_iter().collect(), reason: reason? })
    }
}

pub async fn change_roles(
    state: web::Data<State>,
    staff: Staff<Admin, Body<Roles>>,
    account: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (roles, who) = staff.intervening(|Body(asked)| (asked.roles, asked.reason));
    let changed = state.accounts.change_roles(AccountId(id(&account)?), roles, who).await;
    changed.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}
