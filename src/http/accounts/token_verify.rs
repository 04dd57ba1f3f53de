//! Ask whether a token works now. The answer gives no reason and no claims.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Body, Fields, Form, Presented};

pub struct TokenVerify {
    token: Presented,
}

impl Form for TokenVerify {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { token: fields.required("token", Presented::parse)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "verifyToken",
    summary: "Ask whether a token works",
    problems: &[Problem::InvalidToken, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Nothing more is said.
#[derive(Serialize, ToSchema)]
pub struct Works {}

pub async fn handler(
    state: web::Data<State>,
    Body(body): Body<TokenVerify>,
) -> Result<Sent<Json<Works>>, Problem> {
    state.working_token(&body.token.0).await?;
    Ok(answer::json(Works {}))
}
