//! The REST API: requests in, commands and queries out, answers back. The whole route table is on this screen.

mod accounts;
mod admin;
mod answer;
mod audit;
mod cookies;
mod cors;
mod extract;
mod key_set;
mod oauth;
mod observe;
mod operations;
mod problem;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route, guard};

pub use admin::Cursors;
pub use cors::cors;
pub use extract::{ForwardedHeader, Proxies, bearer};
pub use observe::{observe, request_id};
pub use problem::Problem;

use crate::session_links;
use operations::{healthz, metrics, readyz};

/// Every path, its methods and their handlers. A path answers with and without its trailing slash.
pub fn routes(config: &mut ServiceConfig) {
    use accounts::{
        devices, disown, history, identifiers, login, logout, logout_all, profile, refresh, resend,
        second_factor, token_verify, verify,
    };
    use admin::{accounts as all_accounts, device_sessions, projections, statistics};
    use audit::{accounts as audited_accounts, events, stream};
    use oauth::{ended_sessions, introspect, revoke};

    config
        .service(resource("/accounts/login", [web::post().to(login::post)], &[Method::POST]))
        .service(resource("/accounts/verify", [web::post().to(verify::post)], &[Method::POST]))
        .service(resource("/accounts/verify/resend", [web::post().to(resend::post)], &[Method::POST]))
        .service(resource("/accounts/refresh", [web::post().to(refresh::post)], &[Method::POST]))
        .service(resource("/accounts/token/verify", [web::post().to(token_verify::post)], &[Method::POST]))
        .service(resource(
            "/accounts/profile",
            [get().to(profile::get), web::patch().to(profile::patch)],
            &[Method::GET, Method::HEAD, Method::PATCH],
        ))
        .service(resource("/accounts/profile/update", [web::patch().to(profile::patch)], &[Method::PATCH]))
        .service(resource("/accounts/logout", [web::post().to(logout::post)], &[Method::POST]))
        .service(resource("/accounts/logout/all", [web::post().to(logout_all::post)], &[Method::POST]))
        .service(resource("/accounts/history", [get().to(history::get)], &[Method::GET, Method::HEAD]))
        .service(resource("/accounts/devices", [get().to(devices::get)], &[Method::GET, Method::HEAD]))
        .service(resource(
            &format!("{}/{{link}}", session_links::PATH),
            [get().to(disown::get), web::post().to(disown::post)],
            &[Method::GET, Method::HEAD, Method::POST],
        ))
        .service(resource(
            "/accounts/devices/{id}",
            [web::patch().to(devices::patch), web::delete().to(devices::delete)],
            &[Method::PATCH, Method::DELETE],
        ))
        .service(resource("/accounts/identifiers", [web::post().to(identifiers::post)], &[Method::POST]))
        .service(resource(
            "/accounts/identifiers/verify",
            [web::post().to(identifiers::verify)],
            &[Method::POST],
        ))
        .service(resource(
            "/accounts/second-factor",
            [get().to(second_factor::get), web::post().to(second_factor::post)],
            &[Method::GET, Method::HEAD, Method::POST],
        ))
        .service(resource(
            "/accounts/second-factor/confirm",
            [web::post().to(second_factor::confirm)],
            &[Method::POST],
        ))
        .service(resource(
            "/accounts/second-factor/verify",
            [web::post().to(second_factor::verify)],
            &[Method::POST],
        ))
        .service(resource(
            "/accounts/second-factor/recovery-codes",
            [web::post().to(second_factor::renew)],
            &[Method::POST],
        ))
        .service(resource(
            "/admin/device-sessions",
            [get().to(device_sessions::get)],
            &[Method::GET, Method::HEAD],
        ))
        .service(resource(
            "/admin/device-sessions/{id}",
            [web::delete().to(device_sessions::delete)],
            &[Method::DELETE],
        ))
        .service(resource("/admin/accounts", [get().to(all_accounts::list)], &[Method::GET, Method::HEAD]))
        .service(resource(
            "/admin/accounts/{id}",
            [get().to(all_accounts::get)],
            &[Method::GET, Method::HEAD],
        ))
        .service(resource(
            "/admin/accounts/{id}/suspend",
            [web::post().to(all_accounts::suspend)],
            &[Method::POST],
        ))
        .service(resource(
            "/admin/accounts/{id}/reinstate",
            [web::post().to(all_accounts::reinstate)],
            &[Method::POST],
        ))
        .service(resource(
            "/admin/accounts/{id}/sign-out",
            [web::post().to(all_accounts::sign_out)],
            &[Method::POST],
        ))
        .service(resource(
            "/admin/accounts/{id}/roles",
            [web::post().to(all_accounts::change_roles)],
            &[Method::POST],
        ))
        .service(resource("/admin/projections", [get().to(projections::get)], &[Method::GET, Method::HEAD]))
        .service(resource(
            "/admin/projections/{name}/rebuild",
            [web::post().to(projections::rebuild)],
            &[Method::POST],
        ))
        .service(resource("/admin/stats", [get().to(statistics::get)], &[Method::GET, Method::HEAD]))
        .service(resource("/audit/events", [get().to(events::get)], &[Method::GET, Method::HEAD]))
        .service(resource("/audit/events/stream", [web::get().to(stream::get)], &[Method::GET]))
        .service(resource(
            "/audit/accounts/{id}",
            [get().to(audited_accounts::get)],
            &[Method::GET, Method::HEAD],
        ))
        .service(resource("/oauth/introspect", [web::post().to(introspect::post)], &[Method::POST]))
        .service(resource("/oauth/ended-sessions", [web::get().to(ended_sessions::get)], &[Method::GET]))
        .service(resource("/oauth/revoke", [web::post().to(revoke::post)], &[Method::POST]))
        .service(resource("/.well-known/jwks.json", [get().to(key_set::get)], &[Method::GET, Method::HEAD]))
        .service(resource("/healthz", [get().to(healthz)], &[Method::GET, Method::HEAD]))
        .service(resource("/readyz", [get().to(readyz)], &[Method::GET, Method::HEAD]))
        .service(resource("/metrics", [get().to(metrics)], &[Method::GET, Method::HEAD]))
        .default_service(web::to(|| async { Err::<(), _>(Problem::NotFound) }));
}

/// GET, and HEAD, which is the same without its body (RFC 9110, section 9.3.2).
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A path with its handlers; other methods are answered with the ones there are.
fn resource<const N: usize>(path: &str, handlers: [Route; N], allowed: &'static [Method]) -> Resource {
    handlers
        .into_iter()
        .fold(web::resource(path), Resource::route)
        .default_service(web::to(move || async move { Err::<(), _>(Problem::MethodNotAllowed(allowed)) }))
}
