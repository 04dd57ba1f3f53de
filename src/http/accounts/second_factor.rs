//! The second factor of staff: set it up, and pass it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{OtpCode, RecoveryBatchId, RecoveryCode, SecondFactorCode};
use serde::Serialize;

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Body, Caller, Fields, Form, Peer};
use crate::tokens::Token;

/// How it stands with an account's second factor.
#[derive(Serialize)]
struct Status {
    /// Whether there is an authenticator.
    enrolled: bool,
    /// When it was last passed in this session.
    passed_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    recovery_codes_left: u8,
}

/// What goes into an authenticator app.
#[derive(Serialize)]
struct Offered {
    secret: String,
    uri: String,
    qr_code: String,
}

#[derive(Serialize)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

pub struct Confirmation {
    code: OtpCode,
}

impl Form for Confirmation {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { code: fields.required("code", OtpCode::parse)? })
    }
}

pub struct Proof {
    code: SecondFactorCode,
}

impl Form for Proof {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { code: fields.required("code", SecondFactorCode::parse)? })
    }
}

pub async fn get(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(status(&state, caller.token).await?))
}

pub async fn post(state: web::Data<State>, caller: Caller, peer: Peer) -> Result<HttpResponse, Problem> {
    let offered = state.accounts.offer_second_factor(caller.token, peer.into()).await;
    let authenticator = offered.map_err(|error| state.problem(&error))?;
    let profile = state.profile(caller.token.account).await?.ok_or(Problem::InvalidAccessToken)?;
    let name = profile.email.or(profile.phone_number).ok_or(Problem::Internal)?;
    let enrolment = state.second_factors.enrolment(authenticator, &name);
    let (secret, uri, qr_code) = (enrolment.secret, enrolment.uri, enrolment.qr_code);
    Ok(HttpResponse::Ok().json(Offered { secret, uri, qr_code }))
}

pub async fn confirm(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    Body(Confirmation { code }): Body<Confirmation>,
) -> Result<HttpResponse, Problem> {
    let enrolled = state.accounts.enrol_second_factor(caller.token, code, peer.into()).await;
    Ok(recovery_codes(&state, enrolled.map_err(|error| state.problem(&error))?))
}

pub async fn verify(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    Body(Proof { code }): Body<Proof>,
) -> Result<HttpResponse, Problem> {
    let passed = state.accounts.pass_second_factor(caller.token, code, peer.into()).await;
    passed.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::Ok().json(status(&state, caller.token).await?))
}

pub async fn renew(state: web::Data<State>, caller: Caller, peer: Peer) -> Result<HttpResponse, Problem> {
    let renewed = state.accounts.renew_recovery_codes(caller.token, peer.into()).await;
    Ok(recovery_codes(&state, renewed.map_err(|error| state.problem(&error))?))
}

async fn status(state: &State, token: Token) -> Result<Status, Problem> {
    let account = state.accounts.standing(token.account).await.map_err(|error| state.problem(&error))?;
    let session =
        account.live_session(token.session, state.clock.now()).ok_or(Problem::InvalidAccessToken)?;
    let authenticator = account.authenticator();
    Ok(Status {
        enrolled: authenticator.is_some(),
        passed_at: session.second_factor_at,
        recovery_codes_left: authenticator.map_or(0, |enrolled| enrolled.recovery_left()),
    })
}

fn recovery_codes(state: &State, batch: RecoveryBatchId) -> HttpResponse {
    let codes = state.second_factors.recovery_codes(batch);
    let recovery_codes = codes.iter().map(RecoveryCode::grouped).collect();
    HttpResponse::Ok().json(RecoveryCodes { recovery_codes })
}
