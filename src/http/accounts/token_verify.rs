//! Ask whether a token works now. The answer gives no reason and no claims.

use actix_web::{HttpResponse, web};
use counterfoil_projections::user_login;
use serde_json::json;

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Body, Fields, Form};
use crate::tokens::{Kind, Token, Tokens};

pub struct TokenVerify {
    token: String,
}

impl Form for TokenVerify {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { token: fields.required("token", str::parse)? })
    }
}

pub async fn post(state: web::Data<State>, Body(body): Body<TokenVerify>) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let kind = Tokens::kind_of(&body.token).ok_or(Problem::InvalidToken)?;
    let token = state.tokens.open(kind, &body.token, now).map_err(|_| Problem::InvalidToken)?;
    let works = match kind {
        Kind::Access => !state.is_revoked(&token).await?,
        Kind::Refresh => {
            let Token { account, session, generation, .. } = token;
            let query =
                async |db: &_| user_login::is_refreshable(db, account, session, generation, now).await;
            state.query(query).await?
        }
    };
    works.then(|| HttpResponse::Ok().json(json!({}))).ok_or(Problem::InvalidToken)
}
