//! The rooms of a node, put together from its settings.

use std::sync::Arc;

use counterfoil_domain::user_account::Services;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::accounts::{Accounts, ErasureRegister, Signing};
use crate::crypto::client_fingerprints::ClientMarks;
use crate::crypto::keyring::Keyring;
use crate::crypto::message_links::{SessionLinks, UndoLinks, UnlockLinks};
use crate::crypto::one_time_codes::OtpCodes;
use crate::crypto::personal_data::PersonalData;
use crate::crypto::second_factors::SecondFactors;
use crate::delivery::notices::NoticeWriter;
use crate::delivery::{Gateways, OutboxWorker};
use crate::http::{AppState, KeyedParts, ListCursors};
use crate::journal::Journal;
use crate::limits::Limits;
use crate::limits::blocks::ActiveBlocks;
use crate::limits::code_stops::CodeStops;
use crate::postgres::{Database, DatabaseError, DatabaseUrl};
use crate::read_models::ended_sessions;
use crate::runtime::clock::Clock;
use crate::settings::Settings;
use crate::tokens::Tokens;
use crate::transparency::CheckpointKeys;

/// Returns the state of a node with these settings on that database.
///
/// # Errors
/// When the database URL is malformed.
pub fn new_state(
    settings: &Settings,
    database: &DatabaseUrl,
    keyring: &Keyring,
    gateways: Gateways,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
) -> Result<AppState, DatabaseError> {
    let database = Database::new(&database.0, settings.connections_of_thread)?;
    let memory = settings.memory;
    let tokens = Tokens::remembering(memory.tokens, keyring, settings.tokens.clone());
    let personal_data = PersonalData::new(keyring);
    let journal = Journal::remembering(memory.accounts, database.clone(), personal_data, clock.clone());
    let ended =
        ended_sessions::follow(database.clone(), clock.clone(), ended_sessions::kept_for(&settings.tokens));
    let blocks = ActiveBlocks::follow(database.clone(), journal.personal_data().clone());
    let codes = OtpCodes::new(keyring, settings.test_identifiers.clone(), clock.clone());
    let notices = NoticeWriter {
        new_device: settings.new_device_notice,
        links: SessionLinks::new(keyring, settings.http.public_url.clone()),
        unlock_links: UnlockLinks::new(keyring, settings.http.public_url.clone()),
        undo_links: UndoLinks::new(keyring, settings.http.public_url.clone()),
    };
    let second_factors = SecondFactors::new(keyring, settings.delivery.texts.app_name());
    let client_marks = ClientMarks::new(keyring);
    let services = Services {
        codes: Arc::new(codes.clone()),
        clients: Arc::new(client_marks.clone()),
        second_factors: Arc::new(second_factors.clone()),
        answers: Arc::new(journal.outages().clone()),
        policy: Arc::new(settings.policy.clone()),
    };
    let prices = settings.delivery.prices.clone();
    let limits = match settings.limits.clone() {
        Some((policy, place)) => Limits::new(policy, place, database.clone(), keyring, prices, clock.clone()),
        None => Limits::of_one_node(settings.writes),
    };
    let outbox_worker = OutboxWorker::new(
        database.clone(),
        journal.personal_data().clone(),
        codes,
        gateways,
        &settings.delivery,
        clock.clone(),
    );
    let checkpoint_keys = CheckpointKeys::new(keyring, settings.transparency.origin.clone());
    let signing = Signing { tokens, checkpoint_keys };
    let accounts =
        Accounts::new(journal, services, outbox_worker, notices, signing, clock.clone(), ended.clone())
            .within(limits)
            .with_blocks(blocks, CodeStops::writing_to(database.clone(), keyring))
            .forgetting_after(settings.retention)
            .with_register(settings.erasure_register.as_deref().map(ErasureRegister::new))
            .with_configured_claims(settings.claims.clone());
    let http = Arc::new(settings.http.clone());
    let keyed = KeyedParts { cursors: ListCursors::new(keyring), second_factors, client_marks };
    Ok(AppState::new(accounts, clock, ended, http, keyed, metrics))
}
