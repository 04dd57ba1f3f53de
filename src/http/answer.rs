//! The bodies of answers that more than one endpoint gives.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::language::Language;
use crate::accounts::CodeOnItsWay;
use crate::tokens::IssuedTokens;

/// A code is on its way.
#[derive(Serialize)]
struct CodeAnswer<'a> {
    detail: String,
    expires_in: u64,
    resend_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

pub(super) fn code_sent(code: &CodeOnItsWay, language: Language) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_LANGUAGE, language.tag())).json(CodeAnswer {
        detail: language.message("code_sent"),
        expires_in: code.expires_in.as_secs(),
        resend_after: code.resend_after.as_secs(),
        code: code.code.as_ref().map(|code| code.as_str()),
    })
}

/// A pair of tokens.
#[derive(Serialize)]
pub(super) struct TokenAnswer {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: i64,
    refresh_expires_in: i64,
}

impl From<IssuedTokens> for TokenAnswer {
    fn from(tokens: IssuedTokens) -> Self {
        Self {
            access_token: tokens.access,
            refresh_token: tokens.refresh,
            token_type: "Bearer",
            expires_in: tokens.access_lifetime.num_seconds(),
            refresh_expires_in: tokens.refresh_lifetime.num_seconds(),
        }
    }
}
