//! Ask whether a token works now. The answer gives no reason and no claims.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Body, Fields, Form};

pub struct TokenVerify {
    token: String,
}

impl Form for TokenVerify {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { token: fields.required("token", str::parse)? })
    }
}

pub async fn post(state: web::Data<State>, Body(body): Body<TokenVerify>) -> Result<HttpResponse, Problem> {
    state.working_token(&body.token).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}
