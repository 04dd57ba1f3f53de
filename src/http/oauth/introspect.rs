//! Ask what a token says and whether it works now (RFC 7662).

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{IntrospectTokens, ServiceClient, TokenForm};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::tokens::{ExtraClaims, Token, TokenKind, TokenPolicy};

/// What the service tells about a token (RFC 7662, section 2.2).
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum IntrospectionResponse {
    /// For a token that works.
    Active(Box<ActiveToken>),
    /// For any other text: one, whatever is wrong with it.
    Inactive(InactiveToken),
}

/// The answer for a token that works. Nothing personal is in it, but what the installation puts into its tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = ActiveToken)]
pub struct ActiveToken {
    active: bool,
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    sub: String,
    sid: String,
    iss: String,
    aud: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// When the user was last proved to be there, for an access token; a refresh does not move it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    auth_time: Option<i64>,
    /// By what (RFC 8176), for an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false, example = json!(["otp", "sms"]))]
    amr: Option<&'static [&'static str]>,
    #[serde(skip_serializing_if = "ExtraClaims::is_empty")]
    #[schema(value_type = Option<Object>, nullable = false)]
    ext: ExtraClaims,
}

impl ActiveToken {
    fn from_token(token: &Token, policy: &TokenPolicy, ext: ExtraClaims) -> Self {
        let issued_at = token.issued_at.timestamp();
        Self {
            active: true,
            token_type: match token.kind {
                TokenKind::Access => "Bearer",
                // Section 2.2 wants a type of RFC 6749, section 5.1; a refresh token has none, so it is named.
                TokenKind::Refresh => "refresh_token",
            },
            sub: token.account.to_string(),
            sid: token.session.to_string(),
            iss: policy.issuer.clone(),
            aud: policy.audience.clone(),
            jti: token.id(),
            iat: issued_at,
            nbf: issued_at,
            exp: token.expires_at.timestamp(),
            auth_time: token.proof.map(|proof| proof.at.timestamp()),
            amr: token.proof.map(|proof| proof.methods.names()),
            ext,
        }
    }
}

/// The answer for any other text: one, whatever is wrong with it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InactiveToken)]
pub struct InactiveToken {
    active: bool,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "introspect",
    summary: "Ask what a token says and whether it works (RFC 7662)",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    _: ServiceClient<IntrospectTokens>,
    TokenForm(token): TokenForm,
) -> Result<ApiResponse<OkJson<IntrospectionResponse>>, Problem> {
    match state.working_token(&token).await {
        Ok(works) => {
            let ext = match works.kind {
                TokenKind::Access => state.tokens.extra_claims(&token).unwrap_or_default(),
                TokenKind::Refresh => ExtraClaims::default(),
            };
            let active = ActiveToken::from_token(&works, state.tokens.policy(), ext);
            Ok(response::json(IntrospectionResponse::Active(Box::new(active))))
        }
        Err(Problem::InvalidToken) => {
            Ok(response::json(IntrospectionResponse::Inactive(InactiveToken { active: false })))
        }
        Err(problem) => Err(problem),
    }
}
