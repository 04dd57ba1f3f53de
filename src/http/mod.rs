//! The REST API: requests in, commands and queries out, responses back. This file has the whole route table.

mod account_export;
mod accounts;
mod admin;
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
mod own_problem;
mod own_routes;
mod page;
mod policy;
mod problem;
mod problem_body;
mod response;
mod route;
mod staff_conflict;
mod state;
mod transparency;

use actix_web::web::{self, ServiceConfig};

pub use admin::ListCursors;
pub use cors::cors;
pub use extract::{ForwardedHeader, TrustedProxies, bearer};
pub use observe::{log_left_out, observe, request_id};
pub use own_problem::OwnProblem;
pub use own_routes::{OwnRouteError, OwnRoutes};
pub use policy::{CookieMode, HttpPolicy};
pub use problem::Problem;
pub use staff_conflict::StaffConflict;
pub use state::AppState;
pub(crate) use state::{KeyedParts, in_time};

use crate::crypto::message_links::{SessionLinks, UndoLinks, UnlockLinks};
pub use document::{DescribeOperation, HeaderDoc, OperationDoc, OperationDraft};
pub use extract::{
    AdminRole, AuditorRole, ClientAddress, FieldError, FromFields, JsonBody, LocalOperator, RequestFields,
    SignedInCaller, StaffCaller,
};
pub use response::{ApiResponse, NoContent, OkJson, json, no_content};
use route::get_stream;
pub use route::{ApiResource, MethodRoute, delete, get, patch, path, post};

/// Every path, its methods, their handlers, and what the document tells of them beyond the handlers' signatures.
fn route_table() -> Vec<ApiResource> {
    use accounts::{
        devices, disown, export, history, identifiers, login, logout, logout_all, profile, reauthenticate,
        refresh, resend, second_factor, token_verify, undo, unlock, verify,
    };
    use audit::{
        accounts as audited_accounts, checkpoints, device_sessions as audited_sessions, events, evidence,
        export as account_exports, proofs, rehearsals, steps, stream, verifications,
    };
    use oauth::{ended_sessions, introspect, revoke};

    let mut table = vec![
        path("/accounts/login/", [post(login::handler, login::DOC)]),
        path("/accounts/verify/", [post(verify::handler, verify::DOC)]),
        path("/accounts/verify/resend/", [post(resend::handler, resend::DOC)]),
        path(
            "/accounts/reauthenticate/",
            [post(reauthenticate::request_code, reauthenticate::REQUEST_CODE_DOC)],
        ),
        path("/accounts/reauthenticate/verify/", [post(reauthenticate::verify, reauthenticate::VERIFY_DOC)]),
        path("/accounts/refresh/", [post(refresh::handler, refresh::DOC)]),
        path("/accounts/token/verify/", [post(token_verify::handler, token_verify::DOC)]),
        path(
            "/accounts/profile/",
            [
                get(profile::show, profile::SHOW_DOC),
                patch(profile::update, profile::UPDATE_DOC),
                delete(profile::erase, profile::ERASE_DOC),
            ],
        ),
        path("/accounts/profile/update/", [patch(profile::update, profile::LEGACY_UPDATE_DOC)]),
        path("/accounts/logout/", [post(logout::handler, logout::DOC)]),
        path("/accounts/logout/all/", [post(logout_all::handler, logout_all::DOC)]),
        path("/accounts/export/", [get_stream(export::handler, export::DOC)]),
        path("/accounts/history/", [get(history::handler, history::DOC)]),
        path("/accounts/devices/", [get(devices::list, devices::LIST_DOC)]),
        path(
            "/accounts/devices/{id}/",
            [patch(devices::rename, devices::RENAME_DOC), delete(devices::sign_out, devices::SIGN_OUT_DOC)],
        ),
        path("/accounts/identifiers/", [post(identifiers::request_code, identifiers::REQUEST_CODE_DOC)]),
        path("/accounts/identifiers/verify/", [post(identifiers::verify, identifiers::VERIFY_DOC)]),
        path("/accounts/identifiers/{identifier}/", [delete(identifiers::remove, identifiers::REMOVE_DOC)]),
        path(
            format!("{}/{{link}}", UndoLinks::PATH),
            [get(undo::show_page, undo::SHOW_PAGE_DOC), post(undo::submit, undo::SUBMIT_DOC)],
        ),
        path(
            format!("{}/{{link}}", SessionLinks::PATH),
            [get(disown::show_page, disown::SHOW_PAGE_DOC), post(disown::submit, disown::SUBMIT_DOC)],
        ),
        path(
            format!("{}/{{link}}", UnlockLinks::PATH),
            [get(unlock::show_page, unlock::SHOW_PAGE_DOC), post(unlock::submit, unlock::SUBMIT_DOC)],
        ),
        path(
            "/accounts/second-factor/",
            [
                get(second_factor::show, second_factor::SHOW_DOC),
                post(second_factor::offer, second_factor::OFFER_DOC),
            ],
        ),
        path("/accounts/second-factor/confirm/", [post(second_factor::confirm, second_factor::CONFIRM_DOC)]),
        path("/accounts/second-factor/verify/", [post(second_factor::verify, second_factor::VERIFY_DOC)]),
        path(
            "/accounts/second-factor/recovery-codes/",
            [post(second_factor::renew_recovery_codes, second_factor::RENEW_DOC)],
        ),
        path("/audit/events/", [get(events::handler, events::DOC)]),
        path("/audit/events/stream/", [get_stream(stream::handler, stream::DOC)]),
        path("/audit/verifications/", [post(verifications::handler, verifications::DOC)]),
        path("/audit/rehearsals/", [post(rehearsals::handler, rehearsals::DOC)]),
        path("/audit/checkpoints/", [get(checkpoints::list, checkpoints::LIST_DOC)]),
        path("/audit/checkpoints/latest/", [get(checkpoints::last, checkpoints::LAST_DOC)]),
        path("/audit/proofs/inclusion/", [get(proofs::inclusion, proofs::INCLUSION_DOC)]),
        path("/audit/proofs/consistency/", [get(proofs::consistency, proofs::CONSISTENCY_DOC)]),
        path("/audit/device-sessions/", [get(audited_sessions::handler, audited_sessions::DOC)]),
        path("/audit/accounts/{id}/", [get(audited_accounts::handler, audited_accounts::DOC)]),
        path("/audit/accounts/{id}/evidence/", [get(evidence::handler, evidence::DOC)]),
        path("/audit/accounts/{id}/export/", [get_stream(account_exports::handler, account_exports::DOC)]),
        path("/audit/accounts/{id}/steps/", [get(steps::handler, steps::DOC)]),
        path("/oauth/introspect", [post(introspect::handler, introspect::DOC)]),
        path("/oauth/ended-sessions/", [get_stream(ended_sessions::handler, ended_sessions::DOC)]),
        path("/oauth/revoke", [post(revoke::handler, revoke::DOC)]),
        path("/transparency/checkpoint", [get(transparency::checkpoint, transparency::CHECKPOINT_DOC)]),
        path("/transparency/tile/{level}/{tile}", [get(transparency::tile, transparency::TILE_DOC)]),
        path("/.well-known/jwks.json", [get(key_set::handler, key_set::DOC)]),
        path(operations::HEALTHZ_PATH, [get(operations::healthz, operations::HEALTHZ_DOC)]),
        path(operations::READYZ_PATH, [get(operations::readyz, operations::READYZ_DOC)]),
        path(operations::METRICS_PATH, [get(operations::metrics, operations::METRICS_DOC)]),
        path("/openapi.json", [get(docs::handler, docs::DOC)]),
    ];
    table.extend(admin_routes());
    table
}

/// The operations of administrators.
fn admin_routes() -> Vec<ApiResource> {
    use admin::{
        accounts as all_accounts, alarms, blocks, device_sessions, ended_sessions as sessions_at_once,
        erasure, identifier_proposals, identifiers as looked_up, legal_hold, limits, messages, projections,
        statistics,
    };

    vec![
        path(
            "/admin/device-sessions/",
            [
                get(device_sessions::list, device_sessions::LIST_DOC),
                delete(sessions_at_once::end, sessions_at_once::DOC),
            ],
        ),
        path("/admin/device-sessions/{id}/", [delete(device_sessions::end, device_sessions::END_DOC)]),
        path("/admin/accounts/", [get(all_accounts::list, all_accounts::LIST_DOC)]),
        path("/admin/accounts/{id}/", [get(all_accounts::show, all_accounts::SHOW_DOC)]),
        path("/admin/accounts/{id}/suspend/", [post(all_accounts::suspend, all_accounts::SUSPEND_DOC)]),
        path("/admin/accounts/{id}/reinstate/", [post(all_accounts::reinstate, all_accounts::REINSTATE_DOC)]),
        path("/admin/accounts/{id}/sign-out/", [post(all_accounts::sign_out, all_accounts::SIGN_OUT_DOC)]),
        path("/admin/accounts/{id}/unlock/", [post(all_accounts::unlock, all_accounts::UNLOCK_DOC)]),
        path(
            "/admin/accounts/{id}/roles/",
            [post(all_accounts::change_roles, all_accounts::CHANGE_ROLES_DOC)],
        ),
        path(
            "/admin/accounts/{id}/identifiers/",
            [post(identifier_proposals::propose, identifier_proposals::PROPOSE_DOC)],
        ),
        path(
            "/admin/accounts/{id}/identifiers/confirm/",
            [post(identifier_proposals::confirm, identifier_proposals::CONFIRM_DOC)],
        ),
        path(
            "/admin/accounts/{id}/identifiers/{proposal}/",
            [delete(identifier_proposals::withdraw, identifier_proposals::WITHDRAW_DOC)],
        ),
        path(
            "/admin/accounts/{id}/second-factor/",
            [delete(all_accounts::remove_second_factor, all_accounts::REMOVE_SECOND_FACTOR_DOC)],
        ),
        path("/admin/accounts/{id}/erase/", [post(erasure::handler, erasure::DOC)]),
        path(
            "/admin/accounts/{id}/hold/",
            [
                post(legal_hold::place, legal_hold::PLACE_DOC),
                delete(legal_hold::release, legal_hold::RELEASE_DOC),
            ],
        ),
        path("/admin/identifiers/", [get(looked_up::handler, looked_up::DOC)]),
        path("/admin/messages/", [get(messages::list, messages::LIST_DOC)]),
        path("/admin/limits/", [get(limits::list, limits::LIST_DOC)]),
        path("/admin/limits/{subject}/", [delete(limits::lift, limits::LIFT_DOC)]),
        path("/admin/blocks/", [get(blocks::list, blocks::LIST_DOC), post(blocks::set, blocks::SET_DOC)]),
        path("/admin/blocks/{block}/", [delete(blocks::lift, blocks::LIFT_DOC)]),
        path("/admin/alarms/", [get(alarms::list, alarms::LIST_DOC)]),
        path("/admin/alarms/{id}/acknowledge/", [post(alarms::acknowledge, alarms::ACKNOWLEDGE_DOC)]),
        path("/admin/projections/", [get(projections::list, projections::LIST_DOC)]),
        path("/admin/projections/{name}/rebuild/", [post(projections::rebuild, projections::REBUILD_DOC)]),
        path("/admin/stats/", [get(statistics::handler, statistics::DOC)]),
    ]
}

/// Registers every path; those of the document and of the metrics only where the policy shows them. The routes of an embedding
/// program come last.
pub fn routes(config: &mut ServiceConfig, policy: &HttpPolicy, own: &OwnRoutes) {
    register(config, |path| match path {
        docs::PATH => policy.docs,
        operations::METRICS_PATH => policy.metrics,
        _ => true,
    });
    if policy.docs {
        docs::pages(config);
    }
    own.register(config);
}

/// Checks that the routes of an embedding program collide with no other.
///
/// # Errors
/// [`OwnRouteError`] names the first that does.
pub fn check_routes(own: &OwnRoutes) -> Result<(), OwnRouteError> {
    own.check(&route_table(), &docs::PAGE_PATHS)
}

/// Registers the paths of the listener for operators.
pub fn operator_routes(config: &mut ServiceConfig) {
    register(config, |path| operations::PATHS.contains(&path));
}

fn register(config: &mut ServiceConfig, is_shown: impl Fn(&str) -> bool) {
    for resource in route_table() {
        if is_shown(&resource.path) {
            resource.register(config);
        }
    }
    config.default_service(web::to(|| async { Err::<(), _>(Problem::NotFound) }));
}

/// Returns the OpenAPI document (version 3.1).
pub fn document() -> serde_json::Value {
    document::document(route_table(), Vec::new())
}
