//! Add or replace the phone number or e-mail address: ask for a code to the new one, and redeem it.

use actix_web::{HttpResponse, web};
use counterfoil_domain::values::{Identifier, OtpCode};

use crate::app::State;
use crate::http::extract::{Body, Caller, Fields, Form, Peer, WantedLanguage, read_identifier};
use crate::http::{Problem, answer};

pub struct Wanted {
    identifier: Identifier,
}

impl Form for Wanted {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { identifier: read_identifier(fields)? })
    }
}

pub struct Proof {
    identifier: Identifier,
    code: OtpCode,
}

impl Form for Proof {
    fn read(fields: &mut Fields) -> Option<Self> {
        let identifier = read_identifier(fields);
        let code = fields.required("code", OtpCode::parse);
        Some(Self { identifier: identifier?, code: code? })
    }
}

pub async fn post(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    WantedLanguage(language): WantedLanguage,
    Body(Wanted { identifier }): Body<Wanted>,
) -> Result<HttpResponse, Problem> {
    let former = former(&state, &caller, &identifier).await?;
    let code = state.accounts.add_identifier(caller.token, identifier, former, peer.into()).await;
    Ok(answer::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}

pub async fn verify(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    Body(Proof { identifier, code }): Body<Proof>,
) -> Result<HttpResponse, Problem> {
    let account = caller.token.account;
    let former = former(&state, &caller, &identifier).await?;
    let proved = state.accounts.verify_identifier(caller.token, identifier, former, code, peer.into()).await;
    let profile = match proved.map_err(|error| state.problem(&error))? {
        Some(profile) => profile,
        None => state.profile(account).await?.ok_or(Problem::InvalidAccessToken)?,
    };
    Ok(HttpResponse::Ok().json(profile))
}

/// What the caller has of the same kind. The profile is written with the log, and as current.
async fn former(
    state: &State,
    caller: &Caller,
    identifier: &Identifier,
) -> Result<Option<Identifier>, Problem> {
    let profile = state.profile(caller.token.account).await?;
    Ok(profile.and_then(|profile| profile.identifier(identifier.channel())))
}
