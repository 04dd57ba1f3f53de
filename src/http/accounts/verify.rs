//! Redeem a code for a session.

use actix_web::{HttpRequest, web};
use counterfoil_domain::values::{DeviceName, Identifier, OtpCode};
use counterfoil_projections::profile::Profile;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::RequestContext;
use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    ClientInfo, FromFields, JsonBody, PresentedToken, RequestFields, read_identifier,
};
use crate::http::problem::{A_MINUTE, A_RULE};
use crate::http::response::{ApiResponse, OkJson, TokenResponse};
use crate::http::{Problem, response};

pub struct SignInRequest {
    identifier: Identifier,
    code: OtpCode,
    device_name: Option<DeviceName>,
}

impl FromFields for SignInRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let identifier = read_identifier(fields);
        let code = fields.required("code", OtpCode::parse);
        let device_name = fields.optional("device_name", DeviceName::parse);
        Some(Self { identifier: identifier?, code: code?, device_name: device_name? })
    }
}

/// The user who signed in, and the tokens of this device.
#[derive(Serialize, ToSchema)]
pub struct SignInResponse {
    user: Profile,
    token: TokenResponse,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "signIn",
    summary: "Redeem a code",
    details: "A code that is wrong, expired, used up or was never asked for is answered alike. A device that presents a token of \
        its live session gets a new session in its place.",
    problems: &[
        Problem::InvalidCode,
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::DeviceLimitReached,
        Problem::RefusedByRule(A_RULE),
        Problem::RuleUnavailable(A_RULE),
        Problem::Unavailable,
    ],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    request: HttpRequest,
    client: ClientInfo,
    PresentedToken(shown): PresentedToken,
    JsonBody(verify): JsonBody<SignInRequest>,
) -> Result<ApiResponse<OkJson<SignInResponse>>, Problem> {
    let origin = RequestContext { shown, ..client.named(verify.device_name) };
    let signed_in = state.accounts.verify_otp(verify.identifier, verify.code, origin).await;
    let signed_in = signed_in.map_err(|error| state.problem(&error))?;
    let user = match signed_in.profile {
        Some(profile) => profile,
        None => {
            let profile = state.profile(signed_in.account).await;
            let profile = profile.inspect_err(|_| state.accounts.leave_unanswered(signed_in.at));
            profile?.ok_or(Problem::Internal)?
        }
    };
    let (mut response, token) = response::with_tokens(&request, &state.http, signed_in.tokens);
    Ok(response::with_json(&mut response, SignInResponse { user, token }))
}
