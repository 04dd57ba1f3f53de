//! Ask for the pending code once more.

use actix_web::web;
use counterfoil_domain::values::Identifier;

use crate::accounts::RequestContext;
use crate::http::State;
use crate::http::answer::{CodeSent, Json, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Body, Fields, Form, Peer, Shown, WantedLanguage, read_identifier};
use crate::http::problem::A_MINUTE;
use crate::http::{Problem, answer};

pub struct Resend {
    identifier: Identifier,
}

impl Form for Resend {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { identifier: read_identifier(fields)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "askForCodeAgain",
    summary: "Have the pending code sent again",
    problems: &[
        Problem::NoPendingCode,
        Problem::CodeTooSoon(A_MINUTE),
        Problem::CodeQuotaSpent(A_MINUTE),
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::Unavailable,
    ],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<State>,
    peer: Peer,
    Shown(shown): Shown,
    WantedLanguage(language): WantedLanguage,
    Body(resend): Body<Resend>,
) -> Result<Sent<Json<CodeSent>>, Problem> {
    let code = state.accounts.resend_otp(resend.identifier, RequestContext { shown, ..peer.into() }).await;
    Ok(answer::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}
