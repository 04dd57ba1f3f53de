//! The bodies of answers that more than one endpoint gives.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::cookies;
use super::extract::is_our_page;
use crate::accounts::CodeOnItsWay;
use crate::language::Language;
use crate::settings::{Cookies, HttpPolicy};
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

/// A pair of tokens; the tokens themselves are left out where they are given in cookies only.
#[derive(Serialize)]
pub(super) struct TokenAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    token_type: &'static str,
    expires_in: i64,
    refresh_expires_in: i64,
}

/// An answer begun, with cookies where the request comes from a page that is to have them, and the tokens for its body.
pub(super) fn with_tokens(
    request: &HttpRequest,
    policy: &HttpPolicy,
    tokens: IssuedTokens,
) -> (HttpResponseBuilder, TokenAnswer) {
    let mut response = HttpResponse::Ok();
    let cookies = if is_our_page(request) { policy.cookies } else { Cookies::Off };
    if cookies != Cookies::Off {
        cookies::give(&mut response, &tokens);
    }
    let shown = |token| (cookies != Cookies::Only).then_some(token);
    let answer = TokenAnswer {
        access_token: shown(tokens.access),
        refresh_token: shown(tokens.refresh),
        token_type: "Bearer",
        expires_in: tokens.access_lifetime.num_seconds(),
        refresh_expires_in: tokens.refresh_lifetime.num_seconds(),
    };
    (response, answer)
}
