//! Who is calling: the one access token of a request, in a header or in a cookie, of a session that has not ended.

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use utoipa::openapi::security::SecurityRequirement;

use super::client::client_ip;
use crate::http::AppState;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::http::problem::A_MINUTE;
use crate::http::{CookieMode, HttpPolicy};
use crate::http::{Problem, cookies};
use crate::tokens::{Token, TokenKind};

/// The cookie that clients of the original service send.
const LEGACY_COOKIE: &str = "Authorization";

/// An account that is signed in. A request that may write is counted for the account and for its address, before anything else
/// is looked at.
#[derive(Clone, Copy, Debug)]
pub struct SignedInCaller {
    /// The access token of the request.
    pub token: Token,
}

impl FromRequest for SignedInCaller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>().cloned();
        let presented = access_token(request);
        let writes_from = (!request.method().is_safe()).then(|| client_ip(request));
        async move {
            let state = state.ok_or(Problem::Internal)?;
            let text = presented?;
            let opened = state.tokens.open(TokenKind::Access, &text, state.clock.now());
            let token = opened.map_err(|_| Problem::InvalidAccessToken)?;
            if state.is_revoked(&token).await? {
                return Err(Problem::InvalidAccessToken);
            }
            state.note_use(&token);
            if let Some(ip) = writes_from {
                let counted = state.accounts.count_write(token.account, Some(ip)).await;
                counted.map_err(|error| Problem::from_limits(&error))?;
            }
            Ok(Self { token })
        }
        .boxed_local()
    }
}

impl DescribeOperation for SignedInCaller {
    fn describe(operation: &mut OperationDraft) {
        describe(operation, &[]);
    }
}

/// Describes an operation that takes an access token, of an account with these roles.
pub(super) fn describe(operation: &mut OperationDraft, roles: &[&str]) {
    for scheme in ["bearer", "cookie"] {
        operation.security(SecurityRequirement::new(scheme, roles.iter().copied()));
    }
    operation.problems([
        Problem::Unauthenticated,
        Problem::InvalidAccessToken,
        Problem::AmbiguousCredentials,
        Problem::Unavailable,
    ]);
    if operation.changes_something() {
        operation.problems([Problem::CrossSiteRequest, Problem::TooManyRequests(A_MINUTE)]);
    }
}

/// The text of the access token that a request presents, not opened yet.
///
/// # Errors
/// [`Problem`] when it presents none, or two, or a cookie from another site's page.
pub fn access_token(request: &HttpRequest) -> Result<String, Problem> {
    let state = request.app_data::<web::Data<AppState>>().ok_or(Problem::Internal)?;
    let presented = credentials(request.method(), request.headers(), &state.http)?;
    if presented.in_our_cookie {
        cookies::note(request, cookies::ACCESS);
    }
    Ok(presented.token)
}

/// The text of the refresh token in our own cookie, where there is one.
///
/// # Errors
/// [`Problem`] when there are two, or the cookie comes from another site's page.
pub fn refresh_cookie(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let state = request.app_data::<web::Data<AppState>>().ok_or(Problem::Internal)?;
    let headers = request.headers();
    let found = cookie(headers, &[cookies::REFRESH])?.filter(|_| state.http.cookies != CookieMode::Off);
    if found.is_some() && !is_from_our_pages(headers, &state.http.allowed_origins) {
        return Err(Problem::CrossSiteRequest);
    }
    Ok(found.map(|(_, token)| {
        cookies::note(request, cookies::REFRESH);
        token.to_owned()
    }))
}

/// Whether a browser says that one of our own pages sent the request, or a page of an allowed origin.
pub fn is_our_page(request: &HttpRequest) -> bool {
    let state = request.app_data::<web::Data<AppState>>();
    let is_browser = [cookies::SEC_FETCH_SITE, header::ORIGIN];
    let is_browser = is_browser.iter().any(|name| request.headers().contains_key(name));
    is_browser && state.is_some_and(|state| is_from_our_pages(request.headers(), &state.http.allowed_origins))
}

/// Refuses what a page of another site asks for: for a request that only reads by its method, and yet has a lasting effect.
///
/// # Errors
/// [`Problem::CrossSiteRequest`].
pub fn refuse_other_sites(request: &HttpRequest) -> Result<(), Problem> {
    let state = request.app_data::<web::Data<AppState>>().ok_or(Problem::Internal)?;
    let is_ours = is_from_our_pages(request.headers(), &state.http.allowed_origins);
    is_ours.then_some(()).ok_or(Problem::CrossSiteRequest)
}

/// The text of an access token, as a request presents it.
struct AccessTokenText {
    token: String,
    /// Whether a cookie of ours has it.
    in_our_cookie: bool,
}

/// The token's text. Two tokens that differ are refused, wherever they stand: which one counts must not be a guess.
fn credentials(
    method: &Method,
    headers: &HeaderMap,
    policy: &HttpPolicy,
) -> Result<AccessTokenText, Problem> {
    let header = bearer(headers)?;
    let cookie = from_cookie(headers, policy.cookies)?;
    match (header, cookie) {
        (Some(header), Some(cookie)) if header != cookie.token => Err(Problem::AmbiguousCredentials),
        (Some(token), cookie) => {
            Ok(AccessTokenText { token, in_our_cookie: cookie.is_some_and(|cookie| cookie.in_our_cookie) })
        }
        (None, Some(presented)) => {
            let changes_nothing = *method == Method::GET || *method == Method::HEAD;
            if changes_nothing || is_from_our_pages(headers, &policy.allowed_origins) {
                Ok(presented)
            } else {
                Err(Problem::CrossSiteRequest)
            }
        }
        (None, None) => Err(Problem::Unauthenticated),
    }
}

/// `Authorization: Bearer <token>` (RFC 6750, section 2.1), the scheme in any case.
///
/// # Errors
/// [`Problem`] when there are two, or something else is there.
pub fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
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

/// Our own cookie, whose value is the token; or a cookie `Authorization` of the value `Bearer <token>`, raw, quoted or
/// with `%20` for the space.
fn from_cookie(headers: &HeaderMap, ours: CookieMode) -> Result<Option<AccessTokenText>, Problem> {
    let names: &[&str] =
        if ours == CookieMode::Off { &[LEGACY_COOKIE] } else { &[LEGACY_COOKIE, cookies::ACCESS] };
    let Some((name, value)) = cookie(headers, names)? else { return Ok(None) };
    if name == cookies::ACCESS {
        return Ok(Some(AccessTokenText { token: value.to_owned(), in_our_cookie: true }));
    }
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Bearer%20"));
    let token = token.ok_or(Problem::InvalidAccessToken)?;
    Ok(Some(AccessTokenText { token: token.to_owned(), in_our_cookie: false }))
}

/// The one cookie of any of these names.
fn cookie<'a>(headers: &'a HeaderMap, names: &[&str]) -> Result<Option<(&'a str, &'a str)>, Problem> {
    let values = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    let mut wanted = pairs.filter(|(name, _)| names.contains(name));
    match (wanted.next(), wanted.next()) {
        (found, None) => Ok(found),
        (_, Some(_)) => Err(Problem::AmbiguousCredentials),
    }
}

/// Whether one of our own pages sent the request, or a page of an allowed origin, by what browsers say. A client that is
/// no browser says nothing, and carries no cookie that it was not given on purpose.
fn is_from_our_pages(headers: &HeaderMap, allowed_origins: &[String]) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text(header::ORIGIN).is_some_and(|origin| allowed_origins.iter().any(|allowed| allowed == origin)) {
        return true;
    }
    if let Some(site) = text(cookies::SEC_FETCH_SITE) {
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
        let allowed_origins = vec!["https://app.example".to_owned()];
        let policy = HttpPolicy { allowed_origins, cookies: CookieMode::Also, ..HttpPolicy::default() };
        credentials(method, &map, &policy).map(|presented| presented.token)
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
            ("cookie", "c=d; __Host-counterfoil_access=x"),
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
            [("cookie", "Authorization=Bearer x; __Host-counterfoil_access=y"), ("x", "y")],
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
            (vec![cookie, ("sec-fetch-site", "same-site"), ("origin", "https://app.example")], true),
            (vec![cookie, ("sec-fetch-site", "cross-site"), ("origin", "http://app.example")], false),
            (vec![cookie, ("host", "a.example"), ("origin", "https://app.example.evil")], false),
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
