//! Add or replace the phone number or e-mail address: ask for a code to the new one, and redeem it. Remove one of them.

use actix_web::web;
use counterfoil_domain::values::{AccountId, EmailAddress, Identifier, OtpCode, PhoneNumber};
use counterfoil_projections::profile::Profile;

use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    ClientInfo, FromFields, JsonBody, ProvedCaller, RequestFields, SignedInCaller, WantedLanguage,
    read_identifier,
};
use crate::http::problem::{A_MINUTE, A_RULE};
use crate::http::response::{ApiResponse, CodeSentResponse, NoContent, OkJson};
use crate::http::{Problem, response};

pub struct AddIdentifierRequest {
    identifier: Identifier,
}

impl FromFields for AddIdentifierRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { identifier: read_identifier(fields)? })
    }
}

pub struct VerifyIdentifierRequest {
    identifier: Identifier,
    code: OtpCode,
}

impl FromFields for VerifyIdentifierRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let identifier = read_identifier(fields);
        let code = fields.required("code", OtpCode::parse);
        Some(Self { identifier: identifier?, code: code? })
    }
}

pub const REQUEST_CODE_DOC: OperationDoc = OperationDoc {
    id: "addIdentifier",
    summary: "Ask for a code to another number or address",
    details: "Whether another account has it already is told only to those who prove that it is theirs. It takes a \
        sign-in, or the second factor, within ten minutes in this session, which is asked for before the body is looked at.",
    problems: &[
        Problem::CodeTooSoon(A_MINUTE),
        Problem::CodeQuotaSpent(A_MINUTE),
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::IdentifierTaken,
        Problem::RefusedByRule(A_RULE),
        Problem::RuleUnavailable(A_RULE),
    ],
    ..OperationDoc::EMPTY
};

pub async fn request_code(
    state: web::Data<AppState>,
    client: ClientInfo,
    WantedLanguage(language): WantedLanguage,
    ProvedCaller { token, asked: JsonBody(AddIdentifierRequest { identifier }) }: ProvedCaller<
        JsonBody<AddIdentifierRequest>,
    >,
) -> Result<ApiResponse<OkJson<CodeSentResponse>>, Problem> {
    let former = former(&state, token.account, &identifier).await?;
    let code = state.accounts.add_identifier(token, identifier, former, client.into()).await;
    Ok(response::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}

pub const VERIFY_DOC: OperationDoc = OperationDoc {
    id: "verifyIdentifier",
    summary: "Redeem the code that went there",
    details: "It is added, or takes the place of the former one of its kind, which signs the other \
        devices out.",
    problems: &[
        Problem::InvalidCode,
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::IdentifierTaken,
    ],
    ..OperationDoc::EMPTY
};

pub async fn verify(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    JsonBody(VerifyIdentifierRequest { identifier, code }): JsonBody<VerifyIdentifierRequest>,
) -> Result<ApiResponse<OkJson<Profile>>, Problem> {
    let account = caller.token.account;
    let former = former(&state, account, &identifier).await?;
    let proved =
        state.accounts.verify_identifier(caller.token, identifier, former, code, client.into()).await;
    let profile = match proved.map_err(|error| state.problem(&error))? {
        Some(profile) => profile,
        None => state.profile(account).await?.ok_or(Problem::InvalidAccessToken)?,
    };
    Ok(response::json(profile))
}

pub const REMOVE_DOC: OperationDoc = OperationDoc {
    id: "removeIdentifier",
    summary: "Remove the number or the address",
    details: "In any spelling, percent-encoded; never the last one. It takes a sign-in, or the second factor, within ten \
        minutes in this session, and signs the other devices out.",
    problems: &[Problem::FreshProofRequired, Problem::LastIdentifier],
    ..OperationDoc::EMPTY
};

pub async fn remove(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    identifier: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let identifier = parse_identifier(&identifier, &state).ok_or(Problem::NotFound)?;
    let removed = state.accounts.remove_identifier(caller.token, identifier, client.into()).await;
    removed.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

/// The identifier that stands in a path. A text that cannot be one belongs to no account.
fn parse_identifier(text: &str, state: &AppState) -> Option<Identifier> {
    if text.contains('@') {
        return EmailAddress::parse(text).ok().map(Identifier::Email);
    }
    PhoneNumber::parse(text, state.http.default_region).ok().map(Identifier::Phone)
}

/// What the caller has of the same kind. The profile is written with the log, and as current.
async fn former(
    state: &AppState,
    account: AccountId,
    identifier: &Identifier,
) -> Result<Option<Identifier>, Problem> {
    let profile = state.profile(account).await?;
    Ok(profile.and_then(|profile| profile.identifier(identifier.channel())))
}
