//! Responses: their forms, by which the document knows them, and the bodies that more than one endpoint gives.

use std::marker::PhantomData;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::cookies;
use super::document::{DescribeOperation, OperationDraft};
use super::extract::is_our_page;
use crate::accounts::{CodeOnItsWay, Erasure, ErasureOutcome, PostponedErasure};
use crate::http::{CookieMode, HttpPolicy};
use crate::language::Language;
use crate::tokens::IssuedTokens;

/// A response of the form `F`, by which the document describes it.
pub struct ApiResponse<F>(HttpResponse, PhantomData<F>);

impl<F> ApiResponse<F> {
    /// Wraps a response that has the form.
    pub fn new(response: HttpResponse) -> Self {
        Self(response, PhantomData)
    }
}

impl<F> Responder for ApiResponse<F> {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl<F: DescribeOperation> DescribeOperation for ApiResponse<F> {
    fn describe(operation: &mut OperationDraft) {
        F::describe(operation);
    }
}

/// The form of 200 with a `T` as JSON.
pub struct OkJson<T>(PhantomData<T>);

impl<T: ToSchema> DescribeOperation for OkJson<T> {
    fn describe(operation: &mut OperationDraft) {
        let schema = operation.schema::<T>();
        operation.answer(200, "As wanted.", [("application/json", schema)]);
    }
}

/// The form of 204.
pub enum NoContent {}

impl DescribeOperation for NoContent {
    fn describe(operation: &mut OperationDraft) {
        operation.answer(204, "Done.", []);
    }
}

/// The form of 200 with what an erasure destroyed, or of 202 with when it is to be.
pub enum ErasedOrPostponed {}

impl DescribeOperation for ErasedOrPostponed {
    fn describe(operation: &mut OperationDraft) {
        let erased = operation.schema::<Erasure>();
        operation.answer(200, "The account is erased.", [("application/json", erased)]);
        let postponed = operation.schema::<PostponedErasure>();
        let description = "The account is closed, and is to be erased.";
        operation.answer(202, description, [("application/json", postponed)]);
    }
}

/// Returns what an erasure came to.
pub(super) fn erasure(outcome: &ErasureOutcome) -> ApiResponse<ErasedOrPostponed> {
    ApiResponse::new(match outcome {
        ErasureOutcome::Erased(erasure) => HttpResponse::Ok().json(erasure),
        ErasureOutcome::Postponed(postponed) => HttpResponse::Accepted().json(postponed),
    })
}

/// Returns 200 with that body.
pub fn json<T: Serialize>(body: T) -> ApiResponse<OkJson<T>> {
    with_json(&mut HttpResponse::Ok(), body)
}

/// Completes a response with that body.
pub(super) fn with_json<T: Serialize>(response: &mut HttpResponseBuilder, body: T) -> ApiResponse<OkJson<T>> {
    ApiResponse::new(response.json(body))
}

/// Returns 204 without a body.
pub fn no_content() -> ApiResponse<NoContent> {
    ApiResponse::new(HttpResponse::NoContent().finish())
}

/// 204, and the browser forgets its tokens where it has them in cookies.
pub(super) fn signed_out(request: &HttpRequest, policy: &HttpPolicy) -> ApiResponse<NoContent> {
    let mut response = HttpResponse::NoContent();
    cookies::take(&mut response, request, policy);
    ApiResponse::new(response.finish())
}

/// A code is on its way.
#[derive(Serialize, ToSchema)]
pub(super) struct CodeSentResponse {
    /// The same in words.
    #[schema(example = "A code is on its way.")]
    detail: String,
    /// For how many seconds the code works.
    #[schema(example = 300)]
    expires_in: u64,
    /// After how many seconds another can be asked for.
    #[schema(example = 60)]
    resend_after: u64,
    /// The code itself, in the development profile only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "123456")]
    code: Option<String>,
}

pub(super) fn code_sent(code: &CodeOnItsWay, language: Language) -> ApiResponse<OkJson<CodeSentResponse>> {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_LANGUAGE, language.tag()));
    let body = CodeSentResponse {
        detail: language.message("code_sent"),
        expires_in: code.expires_in.as_secs(),
        resend_after: code.resend_after.as_secs(),
        code: code.code.as_ref().map(|code| code.as_str().to_owned()),
    };
    with_json(&mut response, body)
}

/// A pair of tokens; the tokens themselves are left out where they are given in cookies only.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct TokenResponse {
    /// The token for the header `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_it_is")]
    #[schema(nullable = false, example = "cfa_1_…")]
    access_token: Option<String>,
    /// To be traded for the next pair.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_it_is")]
    #[schema(nullable = false, example = "cfr_1_…")]
    refresh_token: Option<String>,
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// For how many seconds the access token works.
    #[schema(example = 600)]
    expires_in: i64,
    /// For how many seconds the refresh token works.
    #[schema(example = 2_592_000)]
    refresh_expires_in: i64,
}

/// Serializes a token without looking for characters to escape, which costs a refresh as much as to seal the token: it has none
/// (RFC 4648, section 5).
fn as_it_is<S: Serializer>(token: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(token) = token else { return serializer.serialize_none() };
    let quoted = format!("\"{token}\"");
    let raw: &RawValue = serde_json::from_str(&quoted).map_err(S::Error::custom)?;
    raw.serialize(serializer)
}

/// An answer begun, with cookies where the request comes from a page that is to have them, and the tokens for its body.
pub(super) fn with_tokens(
    request: &HttpRequest,
    policy: &HttpPolicy,
    tokens: IssuedTokens,
) -> (HttpResponseBuilder, TokenResponse) {
    let mut response = HttpResponse::Ok();
    let cookies = if is_our_page(request) { policy.cookies } else { CookieMode::Off };
    if cookies != CookieMode::Off {
        cookies::give(&mut response, request, policy, &tokens);
    }
    let shown = |token| (cookies != CookieMode::Only).then_some(token);
    let answer = TokenResponse {
        access_token: shown(tokens.access),
        refresh_token: shown(tokens.refresh),
        token_type: "Bearer",
        expires_in: tokens.access_lifetime.num_seconds(),
        refresh_expires_in: tokens.refresh_lifetime.num_seconds(),
    };
    (response, answer)
}
