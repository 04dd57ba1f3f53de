//! The answers of a guard that lets a request not through, in the form of the server's own problems.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

/// Why a guard lets a request not through. As an answer it is a problem document (RFC 9457) with the server's status, code and
/// challenge for the same problem, in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardProblem {
    /// The request has no access token.
    #[error("Sign in first: no access token was sent.")]
    Unauthenticated,
    /// The access token is not valid, or its session has ended.
    #[error("The access token is not valid or has expired.")]
    InvalidAccessToken,
    /// The request has more than one access token.
    #[error("Send one access token, in one place.")]
    AmbiguousCredentials,
    /// The guard cannot tell at this moment which sessions have ended.
    #[error("The service cannot answer right now. Try again in a moment.")]
    Unavailable,
    /// The program did not register a [`Guard`](crate::Guard) as application data.
    #[error("Something went wrong.")]
    NoGuard,
}

impl GuardProblem {
    /// The stable code, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated => "not_authenticated",
            Self::InvalidAccessToken => "invalid_access_token",
            Self::AmbiguousCredentials => "invalid_request",
            Self::Unavailable => "unavailable",
            Self::NoGuard => "internal_error",
        }
    }

    /// The challenge of a 401 (RFC 6750, section 3).
    fn challenge(self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated => Some("Bearer"),
            Self::InvalidAccessToken => Some(r#"Bearer error="invalid_token""#),
            Self::AmbiguousCredentials | Self::Unavailable | Self::NoGuard => None,
        }
    }
}

impl ResponseError for GuardProblem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::InvalidAccessToken => StatusCode::UNAUTHORIZED,
            Self::AmbiguousCredentials => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoGuard => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if *self == Self::Unavailable {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        let body = json!({
            "type": format!("urn:counterfoil:problem:{}", self.code()),
            "title": self.status_code().canonical_reason(),
            "status": self.status_code().as_u16(),
            "detail": self.to_string(),
            "code": self.code(),
        });
        response.content_type("application/problem+json").body(body.to_string())
    }
}
