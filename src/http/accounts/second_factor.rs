//! The second factor of staff: set it up, and pass it.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{OtpCode, RecoveryBatchId, RecoveryCode, SecondFactorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, FromFields, JsonBody, RequestFields, SignedInCaller};
use crate::http::problem::A_MINUTE;
use crate::http::response::{self, ApiResponse, OkJson};
use crate::tokens::Token;

/// How it stands with an account's second factor.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondFactor)]
pub struct SecondFactorResponse {
    /// Whether there is an authenticator.
    enrolled: bool,
    /// When it was last passed in this session.
    passed_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    recovery_codes_left: u8,
}

/// What goes into an authenticator app.
#[derive(Serialize, ToSchema)]
#[schema(as = Authenticator)]
pub struct AuthenticatorResponse {
    /// The secret, in Base32 (RFC 4648).
    #[schema(example = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    secret: String,
    /// The same as a URI, as apps read it from a QR code.
    #[schema(example = "otpauth://totp/Counterfoil:ada%40example.com?secret=…&issuer=Counterfoil")]
    uri: String,
    /// The QR code of it, as an SVG document.
    #[schema(example = "<svg …/>")]
    qr_code: String,
}

#[derive(Serialize, ToSchema)]
pub struct RecoveryCodesResponse {
    /// Each stands in for the authenticator once. They are told this once.
    #[schema(example = json!(["JBSW-Y3DP-EHPK-3PXP"]))]
    recovery_codes: Vec<String>,
}

pub struct ConfirmSecondFactorRequest {
    code: OtpCode,
}

impl FromFields for ConfirmSecondFactorRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { code: fields.required("code", OtpCode::parse)? })
    }
}

pub struct PassSecondFactorRequest {
    code: SecondFactorCode,
}

impl FromFields for PassSecondFactorRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { code: fields.required("code", SecondFactorCode::parse)? })
    }
}

pub const SHOW_DOC: OperationDoc = OperationDoc {
    id: "secondFactor",
    summary: "See how it stands with the second factor",
    ..OperationDoc::EMPTY
};

pub async fn show(
    state: web::Data<AppState>,
    caller: SignedInCaller,
) -> Result<ApiResponse<OkJson<SecondFactorResponse>>, Problem> {
    Ok(response::json(status(&state, caller.token).await?))
}

pub const OFFER_DOC: OperationDoc = OperationDoc {
    id: "offerSecondFactor",
    summary: "Get an authenticator to set up",
    details: "For who has a role. It becomes the second factor once a code of it has come. Who has one already passes that \
        one first. It takes fresh proof.",
    problems: &[Problem::Forbidden, Problem::SecondFactorRequired, Problem::FreshProofRequired],
    ..OperationDoc::EMPTY
};

pub async fn offer(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
) -> Result<ApiResponse<OkJson<AuthenticatorResponse>>, Problem> {
    let authenticator = state.second_factors.new_authenticator(state.clock.now());
    let offered = state.accounts.offer_second_factor(caller.token, authenticator, client.into()).await;
    offered.map_err(|error| state.problem(&error))?;
    let profile = state.profile(caller.token.account).await?.ok_or(Problem::InvalidAccessToken)?;
    let name = profile.email.or(profile.phone_number).ok_or(Problem::Internal)?;
    let enrolment = state.second_factors.enrolment(authenticator, &name).ok_or(Problem::Internal)?;
    let (secret, uri, qr_code) = (enrolment.secret, enrolment.uri, enrolment.qr_code);
    Ok(response::json(AuthenticatorResponse { secret, uri, qr_code }))
}

pub const CONFIRM_DOC: OperationDoc = OperationDoc {
    id: "enrolSecondFactor",
    summary: "Confirm the authenticator, by a code that it shows",
    details: "It is the second factor from then on, and passed in this session. It takes fresh proof.",
    problems: &[
        Problem::InvalidCode,
        Problem::TooManyTries(A_MINUTE),
        Problem::SecondFactorRequired,
        Problem::FreshProofRequired,
    ],
    ..OperationDoc::EMPTY
};

pub async fn confirm(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    JsonBody(ConfirmSecondFactorRequest { code }): JsonBody<ConfirmSecondFactorRequest>,
) -> Result<ApiResponse<OkJson<RecoveryCodesResponse>>, Problem> {
    let batch = state.second_factors.new_recovery_batch(state.clock.now());
    let enrolled = state.accounts.enrol_second_factor(caller.token, code, batch, client.into()).await;
    enrolled.map_err(|error| state.problem(&error))?;
    recovery_codes(&state, batch)
}

pub const VERIFY_DOC: OperationDoc = OperationDoc {
    id: "passSecondFactor",
    summary: "Pass the second factor",
    details: "By what the authenticator shows, or a recovery code. Neither is taken twice. The session has the rights of the \
        account's roles for twelve hours, or half an hour without a refresh; what changes something takes a pass of the last \
        ten minutes.",
    problems: &[Problem::InvalidCode, Problem::TooManyTries(A_MINUTE), Problem::NoSecondFactor],
    ..OperationDoc::EMPTY
};

pub async fn verify(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    JsonBody(PassSecondFactorRequest { code }): JsonBody<PassSecondFactorRequest>,
) -> Result<ApiResponse<OkJson<SecondFactorResponse>>, Problem> {
    let passed = state.accounts.pass_second_factor(caller.token, code, client.into()).await;
    passed.map_err(|error| state.problem(&error))?;
    Ok(response::json(status(&state, caller.token).await?))
}

pub const RENEW_DOC: OperationDoc = OperationDoc {
    id: "renewRecoveryCodes",
    summary: "Get new recovery codes",
    details: "Those before are void. It takes fresh proof.",
    problems: &[Problem::SecondFactorRequired, Problem::NoSecondFactor, Problem::FreshProofRequired],
    ..OperationDoc::EMPTY
};

pub async fn renew_recovery_codes(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
) -> Result<ApiResponse<OkJson<RecoveryCodesResponse>>, Problem> {
    let batch = state.second_factors.new_recovery_batch(state.clock.now());
    let renewed = state.accounts.renew_recovery_codes(caller.token, batch, client.into()).await;
    renewed.map_err(|error| state.problem(&error))?;
    recovery_codes(&state, batch)
}

async fn status(state: &AppState, token: Token) -> Result<SecondFactorResponse, Problem> {
    let account = state.accounts.standing(token.account).await.map_err(|error| state.problem(&error))?;
    let session =
        account.live_session(token.session, state.clock.now()).ok_or(Problem::InvalidAccessToken)?;
    let authenticator = account.authenticator();
    Ok(SecondFactorResponse {
        enrolled: authenticator.is_some(),
        passed_at: session.second_factor_at,
        recovery_codes_left: authenticator.map_or(0, |enrolled| enrolled.recovery_left()),
    })
}

fn recovery_codes(
    state: &AppState,
    batch: RecoveryBatchId,
) -> Result<ApiResponse<OkJson<RecoveryCodesResponse>>, Problem> {
    let codes = state.second_factors.recovery_codes(batch).ok_or(Problem::Internal)?;
    let recovery_codes = codes.iter().map(RecoveryCode::grouped).collect();
    Ok(response::json(RecoveryCodesResponse { recovery_codes }))
}
