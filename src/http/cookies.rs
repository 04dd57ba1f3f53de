//! Cookies of our own, in which browsers keep their tokens out of the reach of scripts (RFC 6265bis, section 4.1.3).

use std::collections::BTreeSet;

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponseBuilder, web};

use crate::http::AppState;
use crate::http::{CookieMode, HttpPolicy};
use crate::tokens::IssuedTokens;

/// The access token. Its prefix makes browsers hold it to this host, to all of its paths, and to secure connections.
pub const ACCESS: &str = "__Host-counterfoil_access";

/// The refresh token. It is sent to the accounts' own paths and to no other of the host, which rules out the other prefix.
pub const REFRESH: &str = "__Secure-counterfoil_refresh";

const ACCESS_PATH: &str = "/";
const REFRESH_PATH: &str = "/accounts";

/// By which browsers say how the site of a page relates to the service's (Fetch Metadata).
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The cookies of ours that a request was judged by.
#[derive(Default)]
struct RefusableCookies(BTreeSet<&'static str>);

/// Records that a token of the request came in that cookie.
pub fn note(request: &HttpRequest, name: &'static str) {
    let mut extensions = request.extensions_mut();
    if let Some(presented) = extensions.get_mut::<RefusableCookies>() {
        presented.0.insert(name);
    } else {
        extensions.insert(RefusableCookies(BTreeSet::from([name])));
    }
}

/// Gives a browser its tokens.
pub fn give(
    response: &mut HttpResponseBuilder,
    request: &HttpRequest,
    policy: &HttpPolicy,
    tokens: &IssuedTokens,
) {
    let lifetime = |lifetime: chrono::TimeDelta| Duration::seconds(lifetime.num_seconds());
    for (name, token, token_lifetime) in [
        (ACCESS, &tokens.access, tokens.access_lifetime),
        (REFRESH, &tokens.refresh, tokens.refresh_lifetime),
    ] {
        let cookie = set_cookie(request, policy, name, token, lifetime(token_lifetime));
        response.append_header((header::SET_COOKIE, cookie));
    }
}

/// Takes both away, where browsers are given any.
pub fn take(response: &mut HttpResponseBuilder, request: &HttpRequest, policy: &HttpPolicy) {
    if policy.cookies != CookieMode::Off {
        for name in [ACCESS, REFRESH] {
            response.append_header((header::SET_COOKIE, cleared(request, policy, name)));
        }
    }
}

/// The `Set-Cookie` headers that take away the cookies whose tokens a request was refused for.
pub fn refused(request: &HttpRequest) -> Vec<String> {
    let extensions = request.extensions();
    let presented = extensions.get::<RefusableCookies>().zip(request.app_data::<web::Data<AppState>>());
    let cleared = presented.map(|(presented, state)| {
        presented.0.iter().map(|name| cleared(request, &state.http, name)).collect()
    });
    cleared.unwrap_or_default()
}

fn cleared(request: &HttpRequest, policy: &HttpPolicy, name: &'static str) -> String {
    set_cookie(request, policy, name, "", Duration::ZERO)
}

/// The `Set-Cookie` header for the page that asks. Browsers take no `SameSite=Strict` cookie from another site, so that pages
/// of an allowed origin elsewhere get theirs in the partition of their own site (CHIPS).
fn set_cookie(
    request: &HttpRequest,
    policy: &HttpPolicy,
    name: &'static str,
    value: &str,
    lifetime: Duration,
) -> String {
    let from_another_site =
        request.headers().get(SEC_FETCH_SITE).is_some_and(|site| site.as_bytes() == b"cross-site");
    let path = if name == ACCESS {
        ACCESS_PATH.to_owned()
    } else {
        format!("{}{REFRESH_PATH}", policy.public_path())
    };
    let cookie = Cookie::build(name, value)
        .path(path)
        .secure(true)
        .http_only(true)
        .same_site(if from_another_site { SameSite::None } else { SameSite::Strict })
        .max_age(lifetime)
        .finish();
    // The library knows no `Partitioned` yet.
    if from_another_site { format!("{cookie}; Partitioned") } else { cookie.to_string() }
}
