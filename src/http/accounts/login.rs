//! Ask for a code. Sign-up and sign-in are this one call and answer alike.

use actix_web::{HttpResponse, web};
use counterfoil_domain::values::{FullName, Identifier};

use crate::accounts::Origin;
use crate::app::State;
use crate::http::extract::{Body, Fields, Form, Peer, Shown, WantedLanguage, read_identifier};
use crate::http::{Problem, answer};

pub struct Login {
    identifier: Identifier,
    fullname: Option<FullName>,
}

impl Form for Login {
    fn read(fields: &mut Fields) -> Option<Self> {
        let identifier = read_identifier(fields);
        let fullname = fields.optional("fullname", FullName::parse);
        Some(Self { identifier: identifier?, fullname: fullname? })
    }
}

pub async fn post(
    state: web::Data<State>,
    peer: Peer,
    Shown(shown): Shown,
    WantedLanguage(language): WantedLanguage,
    Body(login): Body<Login>,
) -> Result<HttpResponse, Problem> {
    let code =
        state.accounts.request_otp(login.identifier, login.fullname, Origin { shown, ..peer.into() }).await;
    Ok(answer::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}
