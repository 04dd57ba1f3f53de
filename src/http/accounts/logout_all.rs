//! Sign out everywhere, or everywhere else.

use actix_web::{HttpRequest, web};

use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, NoContent, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Body, Caller, Fields, Form, Peer};

pub struct LogoutAll {
    keep_current: bool,
}

impl Form for LogoutAll {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { keep_current: fields.flag("keep_current")? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "signOutEverywhere",
    summary: "Sign out on all devices, or on all others",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
    peer: Peer,
    Body(logout): Body<LogoutAll>,
) -> Result<Sent<NoContent>, Problem> {
    let ended = state.accounts.logout_all(caller.token, logout.keep_current, peer.into()).await;
    ended.map_err(|error| state.problem(&error))?;
    Ok(if logout.keep_current { answer::no_content() } else { answer::signed_out(&request, &state.http) })
}
