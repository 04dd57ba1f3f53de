//! Who is calling: the one access token of a request, in a header or in a cookie, of a session that has not ended.

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::app::State;
use crate::http::Problem;
use crate::tokens::{Kind, Token};

/// The cookie that clients of the original service send.
const COOKIE: &str = "Authorization";

/// Somebody signed in.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The token he proved it with.
    pub token: Token,
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<State>>().cloned();
        let credentials = credentials(request.method(), request.headers());
        async move {
            let state = state.ok_or(Problem::Internal)?;
            let text = credentials?;
            let opened = state.tokens.open(Kind::Access, &text, state.clock.now());
            let token = opened.map_err(|_| Problem::InvalidAccessToken)?;
            if state.is_revoked(&token).await? {
                return Err(Problem::InvalidAccessToken);
            }
            Ok(Self { token })
        }
        .boxed_local()
    }
}

/// The token's text. Two tokens that differ are refused, wherever they stand: which one counts must not be a guess.
fn credentials(method: &Method, headers: &HeaderMap) -> Result<String, Problem> {
    let header = from_header(headers)?;
    let cookie = from_cookie(headers)?;
    match (header, cookie) {
        (Some(header), Some(cookie)) if header != cookie => Err(Problem::AmbiguousCredentials),
        (Some(token), _) => Ok(token),
        (None, Some(token)) => {
            let changes_nothing = *method == Method::GET || *method == Method::HEAD;
            if changes_nothing || is_same_origin(headers) {
                Ok(token)
            } else {
                Err(Problem::CrossSiteRequest)
            }
        }
        (None, None) => Err(Problem::Unauthenticated),
    }
}

/// `Authorization: Bearer <token>` (RFC 6750, section 2.1), the scheme in any case.
fn from_header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::AmbiguousCredentials);
    }
    let value = value.to_str().map_err(|_| Problem::InvalidAccessToken)?;
    let (scheme, token) = value.split_once(' ').ok_or(Problem::InvalidAccessToken)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.to_owned()))
    } else {
        Err(Problem::InvalidAccessToken)
    }
}

/// A cookie `Authorization` of the value `Bearer <token>`, raw, quoted or with `%20` for the space.
fn from_cookie(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let values = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim());
    let Some(value) = ours.next() else { return Ok(None) };
    if ours.next().is_some() {
        return Err(Problem::AmbiguousCredentials);
    }
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Bearer%20"));
    token.map(|token| Some(token.to_owned())).ok_or(Problem::InvalidAccessToken)
}

/// Whether a browser says that one of our own pages sent the request. A client that is no browser says nothing, and
/// carries no cookie that it was not given on purpose.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match text(header::ORIGIN) {
        None => true,
        Some(origin) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == text(header::HOST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn read(method: &Method, headers: &[(&str, &str)]) -> Result<String, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        credentials(method, &map)
    }

    #[test]
    fn a_token_is_read_from_the_header_or_the_cookie() {
        for header in [
            ("authorization", "Bearer x"),
            ("authorization", "bearer x"),
            ("authorization", "BEARER x"),
            ("cookie", "Authorization=Bearer x"),
            ("cookie", "a=b; Authorization=\"Bearer x\""),
            ("cookie", "Authorization=Bearer%20x; c=d"),
        ] {
            assert_eq!(read(&Method::GET, &[header]), Ok("x".to_owned()), "{header:?}");
        }
        let both = [("authorization", "Bearer x"), ("cookie", "Authorization=Bearer x")];
        assert_eq!(read(&Method::PATCH, &both), Ok("x".to_owned()));
    }

    #[test]
    fn malformed_credentials_are_invalid_and_none_are_none() {
        for header in [
            ("authorization", "Bearer"),
            ("authorization", "Basic x"),
            ("authorization", "x"),
            ("authorization", "Bearer\tx"),
            ("authorization", "Bearer \u{e9}"),
            ("cookie", "Authorization=Bearer%2520x"),
            ("cookie", "Authorization=Bearer+x"),
            ("cookie", "Authorization=bearer x"),
            ("cookie", "Authorization=x"),
            ("cookie", "Authorization="),
        ] {
            assert_eq!(read(&Method::GET, &[header]), Err(Problem::InvalidAccessToken), "{header:?}");
        }
        for header in [("cookie", "authorization=Bearer x"), ("cookie", "other=Bearer x"), ("x", "Bearer x")]
        {
            assert_eq!(read(&Method::GET, &[header]), Err(Problem::Unauthenticated), "{header:?}");
        }
    }

    #[test]
    fn two_tokens_are_refused_in_any_order() {
        for headers in [
            [("authorization", "Bearer x"), ("authorization", "Bearer y")],
            [("authorization", "Bearer x"), ("cookie", "Authorization=Bearer y")],
            [("cookie", "Authorization=Bearer x"), ("cookie", "Authorization=Bearer y")],
            [("cookie", "Authorization=Bearer x; Authorization=Bearer y"), ("x", "y")],
        ] {
            assert_eq!(read(&Method::GET, &headers), Err(Problem::AmbiguousCredentials), "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_changes_something_only_from_our_own_pages() {
        let cookie = ("cookie", "Authorization=Bearer x");
        for (headers, allowed) in [
            (vec![cookie], true),
            (vec![cookie, ("sec-fetch-site", "same-origin")], true),
            (vec![cookie, ("sec-fetch-site", "none")], true),
            (vec![cookie, ("sec-fetch-site", "cross-site")], false),
            (vec![cookie, ("sec-fetch-site", "same-site")], false),
            (vec![cookie, ("host", "a.example"), ("origin", "https://a.example")], true),
            (vec![cookie, ("host", "a.example"), ("origin", "https://b.example")], false),
            (vec![cookie, ("host", "a.example"), ("origin", "null")], false),
            (vec![cookie, ("host", "a.example"), ("origin", "https://a.example.evil")], false),
        ] {
            let expected = if allowed { Ok("x".to_owned()) } else { Err(Problem::CrossSiteRequest) };
            assert_eq!(read(&Method::PATCH, &headers), expected, "{headers:?}");
            assert_eq!(read(&Method::GET, &headers), Ok("x".to_owned()), "{headers:?}");
        }
        let header = [("authorization", "Bearer x"), ("origin", "https://b.example")];
        assert_eq!(read(&Method::PATCH, &header), Ok("x".to_owned()));
    }
}
