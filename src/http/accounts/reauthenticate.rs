//! Prove the user of a session again, without a new sign-in: for what takes fresh proof.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{Channel, Identifier, SecondFactorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    ClientInfo, FromFields, JsonBody, RequestFields, SentOrShownCode, SignedInCaller, WantedLanguage,
    read_any_identifier, read_either_code,
};
use crate::http::problem::{A_MINUTE, A_RULE};
use crate::http::response::{ApiResponse, CodeSentResponse, OkJson};
use crate::http::{Problem, response};
use crate::tokens::Token;

pub struct ReauthenticationRequest {
    identifier: Option<Identifier>,
}

impl FromFields for ReauthenticationRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { identifier: read_any_identifier(fields)? })
    }
}

pub struct ReauthenticationVerifyRequest {
    identifier: Option<Identifier>,
    code: SentOrShownCode,
}

impl FromFields for ReauthenticationVerifyRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let identifier = read_any_identifier(fields);
        let code = read_either_code(fields);
        Some(Self { identifier: identifier?, code: code? })
    }
}

/// The user of the session was proved.
#[derive(Serialize, ToSchema)]
pub struct ReauthenticationResponse {
    /// When the user was proved.
    auth_time: DateTime<Utc>,
    /// For how many seconds from then on the session may do what takes fresh proof.
    #[schema(example = 600)]
    expires_in: u64,
}

pub const REQUEST_CODE_DOC: OperationDoc = OperationDoc {
    id: "requestReauthentication",
    summary: "Ask for a code that proves the user again",
    details: "It goes to a number or address that the account has: the one that is named, or else the one that proved this \
        session last. It is good for this session alone, and is counted as a code to sign in is.",
    problems: &[
        Problem::CodeTooSoon(A_MINUTE),
        Problem::CodeQuotaSpent(A_MINUTE),
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::RefusedByRule(A_RULE),
        Problem::RuleUnavailable(A_RULE),
    ],
    ..OperationDoc::EMPTY
};

pub async fn request_code(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    WantedLanguage(language): WantedLanguage,
    JsonBody(ReauthenticationRequest { identifier }): JsonBody<ReauthenticationRequest>,
) -> Result<ApiResponse<OkJson<CodeSentResponse>>, Problem> {
    let identifier = own_identifier(&state, caller.token, identifier).await?;
    let code = state.accounts.request_reauthentication(caller.token, identifier, client.into()).await;
    Ok(response::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}

pub const VERIFY_DOC: OperationDoc = OperationDoc {
    id: "reauthenticate",
    summary: "Prove the user of the session again",
    details: "By the code that was sent, or by one that the account's authenticator shows (`totp`), which passes the second \
        factor. Tokens say so from the next refresh on; operations that take fresh proof go by the session and work at once.",
    problems: &[
        Problem::InvalidCode,
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::NoSecondFactor,
    ],
    ..OperationDoc::EMPTY
};

pub async fn verify(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    JsonBody(ReauthenticationVerifyRequest { identifier, code }): JsonBody<ReauthenticationVerifyRequest>,
) -> Result<ApiResponse<OkJson<ReauthenticationResponse>>, Problem> {
    let proved = match code {
        SentOrShownCode::Sent(code) => {
            let identifier = own_identifier(&state, caller.token, identifier).await?;
            state.accounts.reauthenticate(caller.token, identifier, code, client.into()).await
        }
        SentOrShownCode::Shown(code) => {
            if identifier.is_some() {
                own_identifier(&state, caller.token, identifier).await?;
            }
            let code = SecondFactorCode::Authenticator(code);
            state.accounts.pass_second_factor(caller.token, code, client.into()).await
        }
    };
    let auth_time = proved.map_err(|error| state.problem(&error))?;
    Ok(response::json(ReauthenticationResponse {
        auth_time,
        expires_in: state.accounts.proof_lasts().as_secs(),
    }))
}

/// The identifier that was named, which has to be one that the caller's account has; or else the one by which the session was
/// asked to be proved, or was proved last.
async fn own_identifier(
    state: &AppState,
    token: Token,
    named: Option<Identifier>,
) -> Result<Identifier, Problem> {
    let profile = state.profile(token.account).await?.ok_or(Problem::InvalidAccessToken)?;
    let Some(named) = named else {
        let channel = state.accounts.proof_channel(token).await.map_err(|error| state.problem(&error))?;
        let others = Channel::ALL.into_iter().filter(|other| *other != channel);
        let mut identifiers =
            [channel].into_iter().chain(others).filter_map(|channel| profile.identifier(channel));
        return identifiers.next().ok_or(Problem::InvalidAccessToken);
    };
    if profile.identifier(named.channel()).as_ref() == Some(&named) {
        return Ok(named);
    }
    Err(match named.channel() {
        Channel::Phone => Problem::invalid_field("phone_number", "phone_not_yours"),
        Channel::Email => Problem::invalid_field("email", "email_not_yours"),
    })
}
