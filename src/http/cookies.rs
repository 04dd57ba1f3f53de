//! Cookies of our own, in which browsers keep their tokens out of the reach of scripts (RFC 6265bis, section 4.1.3).

use actix_web::HttpResponseBuilder;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};

use crate::tokens::IssuedTokens;

/// The access token. Its prefix makes browsers hold it to this host, to all of its paths, and to secure connections.
pub const ACCESS: &str = "__Host-counterfoil_access";

/// The refresh token, sent to where it can be traded and nowhere else; that rules out the other prefix.
pub const REFRESH: &str = "__Secure-counterfoil_refresh";

const ACCESS_PATH: &str = "/";
const REFRESH_PATH: &str = "/accounts/refresh";

/// Gives a browser its tokens.
pub fn give(response: &mut HttpResponseBuilder, tokens: &IssuedTokens) {
    let lifetime = |lifetime: chrono::TimeDelta| Duration::seconds(lifetime.num_seconds());
    response.cookie(cookie(ACCESS, ACCESS_PATH, tokens.access.clone(), lifetime(tokens.access_lifetime)));
    response.cookie(cookie(REFRESH, REFRESH_PATH, tokens.refresh.clone(), lifetime(tokens.refresh_lifetime)));
}

/// Takes them away.
pub fn take(response: &mut HttpResponseBuilder) {
    for (name, path) in [(ACCESS, ACCESS_PATH), (REFRESH, REFRESH_PATH)] {
        response.cookie(cookie(name, path, String::new(), Duration::ZERO));
    }
}

fn cookie(name: &'static str, path: &'static str, value: String, lifetime: Duration) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(path)
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(lifetime)
        .finish()
}
