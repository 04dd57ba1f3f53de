//! Ask what a token says and whether it works now (RFC 7662).

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{ServiceClient, TokenForm};
use crate::tokens::{ExtraClaims, Kind, Token, TokenPolicy};

/// The answer for a token that works. Nothing personal is in it, but what the installation puts into its tokens.
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    token_type: &'static str,
    sub: String,
    sid: String,
    iss: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(skip_serializing_if = "ExtraClaims::is_empty")]
    ext: ExtraClaims,
}

impl<'a> Active<'a> {
    fn of(token: &Token, policy: &'a TokenPolicy, ext: ExtraClaims) -> Self {
        let issued_at = token.issued_at.timestamp();
        Self {
            active: true,
            token_type: match token.kind {
                Kind::Access => "Bearer",
                // Section 2.2 wants a type of RFC 6749, section 5.1; a refresh token has none, so it is named.
                Kind::Refresh => "refresh_token",
            },
            sub: token.account.to_string(),
            sid: token.session.to_string(),
            iss: &policy.issuer,
            aud: &policy.audience,
            jti: token.id(),
            iat: issued_at,
            nbf: issued_at,
            exp: token.expires_at.timestamp(),
            ext,
        }
    }
}

/// The answer for any other text: one, whatever is wrong with it.
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

pub async fn post(
    state: web::Data<State>,
    _: ServiceClient,
    TokenForm(token): TokenForm,
) -> Result<HttpResponse, Problem> {
    match state.working_token(&token).await {
        Ok(works) => {
            let ext = match works.kind {
                Kind::Access => state.tokens.extra_claims(&token).unwrap_or_default(),
                Kind::Refresh => ExtraClaims::default(),
            };
            Ok(HttpResponse::Ok().json(Active::of(&works, state.tokens.policy(), ext)))
        }
        Err(Problem::InvalidToken) => Ok(HttpResponse::Ok().json(Inactive { active: false })),
        Err(problem) => Err(problem),
    }
}
