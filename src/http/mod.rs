//! The REST API: requests in, commands and queries out, answers back. The whole route table is on this screen.

mod accounts;
mod admin;
mod answer;
mod audit;
mod cookies;
mod cors;
mod docs;
mod document;
mod extract;
mod held_body;
mod key_set;
mod oauth;
pub mod oauth_clients;
mod observe;
mod operations;
mod page;
mod policy;
mod problem;
mod route;
mod state;

use actix_web::web::{self, ServiceConfig};

pub use admin::Cursors;
pub use cors::cors;
pub use extract::{ForwardedHeader, Proxies, bearer};
pub use observe::{log_left_out, observe, request_id};
pub use policy::{Cookies, HttpPolicy};
pub use problem::Problem;
pub use state::State;
pub(crate) use state::{KeyedParts, in_time};

use crate::crypto::message_links::{SessionLinks, UndoLinks, UnlockLinks};
use route::{DELETE, GET, PATCH, POST, Resource, STREAM, at, on};

/// Every path, its methods, their handlers, and what the document tells of them beyond the handlers' signatures.
fn table() -> Vec<Resource> {
    use accounts::{
        devices, disown, history, identifiers, login, logout, logout_all, profile, reauthenticate, refresh,
        resend, second_factor, token_verify, undo, unlock, verify,
    };
    use admin::{
        accounts as all_accounts, alarms, device_sessions, identifiers as looked_up, limits, projections,
        statistics,
    };
    use audit::{accounts as audited_accounts, events, stream};
    use oauth::{ended_sessions, introspect, revoke};

    vec![
        at("/accounts/login/", [on(POST, login::post, login::POST)]),
        at("/accounts/verify/", [on(POST, verify::post, verify::POST)]),
        at("/accounts/verify/resend/", [on(POST, resend::post, resend::POST)]),
        at("/accounts/reauthenticate/", [on(POST, reauthenticate::post, reauthenticate::POST)]),
        at("/accounts/reauthenticate/verify/", [on(POST, reauthenticate::verify, reauthenticate::VERIFY)]),
        at("/accounts/refresh/", [on(POST, refresh::post, refresh::POST)]),
        at("/accounts/token/verify/", [on(POST, token_verify::post, token_verify::POST)]),
        at(
            "/accounts/profile/",
            [on(GET, profile::get, profile::GET), on(PATCH, profile::patch, profile::PATCH)],
        ),
        at("/accounts/profile/update/", [on(PATCH, profile::patch, profile::PATCH_UPDATE)]),
        at("/accounts/logout/", [on(POST, logout::post, logout::POST)]),
        at("/accounts/logout/all/", [on(POST, logout_all::post, logout_all::POST)]),
        at("/accounts/history/", [on(GET, history::get, history::GET)]),
        at("/accounts/devices/", [on(GET, devices::get, devices::GET)]),
        at(
            "/accounts/devices/{id}/",
            [on(PATCH, devices::patch, devices::PATCH), on(DELETE, devices::delete, devices::DELETE)],
        ),
        at("/accounts/identifiers/", [on(POST, identifiers::post, identifiers::POST)]),
        at("/accounts/identifiers/verify/", [on(POST, identifiers::verify, identifiers::VERIFY)]),
        at("/accounts/identifiers/{identifier}/", [on(DELETE, identifiers::delete, identifiers::DELETE)]),
        at(
            format!("{}/{{link}}", UndoLinks::PATH),
            [on(GET, undo::get, undo::GET), on(POST, undo::post, undo::POST)],
        ),
        at(
            format!("{}/{{link}}", SessionLinks::PATH),
            [on(GET, disown::get, disown::GET), on(POST, disown::post, disown::POST)],
        ),
        at(
            format!("{}/{{link}}", UnlockLinks::PATH),
            [on(GET, unlock::get, unlock::GET), on(POST, unlock::post, unlock::POST)],
        ),
        at(
            "/accounts/second-factor/",
            [
                on(GET, second_factor::get, second_factor::GET),
                on(POST, second_factor::post, second_factor::POST),
            ],
        ),
        at("/accounts/second-factor/confirm/", [on(POST, second_factor::confirm, second_factor::CONFIRM)]),
        at("/accounts/second-factor/verify/", [on(POST, second_factor::verify, second_factor::VERIFY)]),
        at("/accounts/second-factor/recovery-codes/", [on(POST, second_factor::renew, second_factor::RENEW)]),
        at("/admin/device-sessions/", [on(GET, device_sessions::get, device_sessions::GET)]),
        at("/admin/device-sessions/{id}/", [on(DELETE, device_sessions::delete, device_sessions::DELETE)]),
        at("/admin/accounts/", [on(GET, all_accounts::list, all_accounts::LIST_TOLD)]),
        at("/admin/accounts/{id}/", [on(GET, all_accounts::get, all_accounts::GET)]),
        at("/admin/accounts/{id}/suspend/", [on(POST, all_accounts::suspend, all_accounts::SUSPEND)]),
        at("/admin/accounts/{id}/reinstate/", [on(POST, all_accounts::reinstate, all_accounts::REINSTATE)]),
        at("/admin/accounts/{id}/sign-out/", [on(POST, all_accounts::sign_out, all_accounts::SIGN_OUT)]),
        at("/admin/accounts/{id}/unlock/", [on(POST, all_accounts::unlock, all_accounts::UNLOCK)]),
        at("/admin/accounts/{id}/roles/", [on(POST, all_accounts::change_roles, all_accounts::CHANGE_ROLES)]),
        at("/admin/identifiers/", [on(GET, looked_up::get, looked_up::GET)]),
        at("/admin/limits/", [on(GET, limits::get, limits::GET)]),
        at("/admin/limits/{subject}/", [on(DELETE, limits::delete, limits::DELETE)]),
        at("/admin/alarms/", [on(GET, alarms::get, alarms::GET)]),
        at("/admin/projections/", [on(GET, projections::get, projections::GET)]),
        at("/admin/projections/{name}/rebuild/", [on(POST, projections::rebuild, projections::REBUILD)]),
        at("/admin/stats/", [on(GET, statistics::get, statistics::GET)]),
        at("/audit/events/", [on(GET, events::get, events::GET)]),
        at("/audit/events/stream/", [on(STREAM, stream::get, stream::GET)]),
        at("/audit/accounts/{id}/", [on(GET, audited_accounts::get, audited_accounts::GET)]),
        at("/oauth/introspect", [on(POST, introspect::post, introspect::POST)]),
        at("/oauth/ended-sessions/", [on(STREAM, ended_sessions::get, ended_sessions::GET)]),
        at("/oauth/revoke", [on(POST, revoke::post, revoke::POST)]),
        at("/.well-known/jwks.json", [on(GET, key_set::get, key_set::GET)]),
        at(operations::HEALTHZ_PATH, [on(GET, operations::healthz, operations::HEALTHZ)]),
        at(operations::READYZ_PATH, [on(GET, operations::readyz, operations::READYZ)]),
        at(operations::METRICS_PATH, [on(GET, operations::metrics, operations::METRICS)]),
        at("/openapi.json", [on(GET, docs::document, docs::DOCUMENT)]),
    ]
}

/// Has the service answer at every path, and at those of the document and of the metrics where the policy shows them.
pub fn routes(config: &mut ServiceConfig, policy: &HttpPolicy) {
    register(config, |path| match path {
        docs::PATH => policy.docs,
        operations::METRICS_PATH => policy.metrics,
        _ => true,
    });
    if policy.docs {
        docs::pages(config);
    }
}

/// Has the listener for operators answer at their paths alone.
pub fn operator_routes(config: &mut ServiceConfig) {
    register(config, |path| operations::PATHS.contains(&path));
}

fn register(config: &mut ServiceConfig, is_shown: impl Fn(&str) -> bool) {
    for resource in table() {
        if is_shown(&resource.path) {
            resource.register(config);
        }
    }
    config.default_service(web::to(|| async { Err::<(), _>(Problem::NotFound) }));
}

/// The OpenAPI document (version 3.1).
pub fn document() -> serde_json::Value {
    document::document(table())
}
