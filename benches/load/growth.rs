//! What a refresh costs as an account's history grows, and as the database fills with accounts.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use counterfoil::crypto::entropy;
use counterfoil::crypto::keyring::Keyring;
use counterfoil::crypto::personal_data::PersonalData;
use counterfoil::journal::{AccountRef, Commit, Journal};
use counterfoil::postgres::Database;
use counterfoil::runtime::clock::{Clock as _, SystemClock};
use counterfoil::tokens::{self, ExtraClaims, TokenKind, TokenPolicy};
use counterfoil_domain::user_account::{
    AccountFact, SessionFact, SessionProof, SessionTokens, UserAccountEvent,
};
use counterfoil_domain::values::{AuthenticationMethods, Channel, Client};
use cqrs_es::Aggregate as _;

use super::client::{complete, drive};
use super::pgbench;
use super::run::{BenchRun, deal};
use super::scenario::{DeviceTokens, RefreshCaller};
use super::service::ServiceProcess;

/// Events of an account, from few to many.
const HISTORIES: [(&str, u32); 3] = [("10", 10), ("1k", 1_000), ("100k", 100_000)];

/// How many events a commit of the bulk has.
const AT_ONCE: u32 = 500;

pub fn measure(bench: &mut BenchRun, tokens: Vec<DeviceTokens>, many: usize) {
    let tokens = histories(bench, tokens);
    accounts(bench, tokens, many);
}

/// A lone client refreshes accounts of different histories in turns, so that what else goes on meets all alike.
fn histories(bench: &mut BenchRun, mut tokens: Vec<DeviceTokens>) -> Vec<DeviceTokens> {
    let mut devices: Vec<DeviceTokens> = HISTORIES
        .iter()
        .map(|(_, events)| {
            let device = tokens.pop().unwrap();
            age(&bench.url, &bench.folder, &device, *events)
        })
        .collect();
    let service = ServiceProcess::start(&bench.folder, &bench.url);
    let mut medians: [Vec<f64>; 3] = [const { Vec::new() }; 3];
    for _ in 0..15 {
        for (device, medians) in devices.iter_mut().zip(&mut medians) {
            let caller = RefreshCaller { devices: vec![device.clone()], turn: 0 };
            let (measured, mut callers) = complete(service.port, vec![caller], 60);
            *device = callers.remove(0).devices.remove(0);
            medians.push(measured.median_ms);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let [few, some, lots] = medians.each_mut().map(median);
    bench.report.figure("refresh_10_events_ms", few);
    bench.report.figure("refresh_1k_events_vs_10", some / few);
    bench.report.figure("refresh_100k_events_vs_10", lots / few);
    tokens.extend(devices);
    tokens
}

/// Gives an account so many events, refreshes all of them, and a token for the last.
fn age(url: &str, folder: &std::path::Path, device: &DeviceTokens, events: u32) -> DeviceTokens {
    let keyring = Keyring::read(&folder.join(".counterfoil/keyring.json")).unwrap();
    let policy = TokenPolicy {
        issuer: "counterfoil".to_owned(),
        audience: "counterfoil".to_owned(),
        access_lifetime: TimeDelta::seconds(600),
    };
    let tokens = tokens::Tokens::new(&keyring, policy);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal =
            Journal::new(Database::new(url, 2).unwrap(), PersonalData::new(&keyring), Arc::new(SystemClock));
        let now = SystemClock.now();
        let token = tokens.open(TokenKind::Refresh, &device.refresh, now).unwrap();
        let client = Client { ip: [127, 0, 0, 1].into(), user_agent: None, device_name: None };
        let expires_at = now + TimeDelta::days(30);
        let mut generation = token.generation;
        let mut left = events;
        while left > 0 {
            let loaded = journal.load(&AccountRef::Account(token.account), now).await.unwrap();
            let mut state = loaded.head.state.clone();
            let refreshes: Vec<UserAccountEvent> = (0..left.min(AT_ONCE))
                .map(|_| {
                    generation = generation.next();
                    let fact = AccountFact::Session(SessionFact::TokenRefreshed {
                        session: token.session,
                        generation,
                        expires_at,
                        moved: None,
                    });
                    UserAccountEvent { at: now, fact, person: None, client: Some(client.clone()) }
                })
                .collect();
            refreshes.iter().for_each(|event| state.apply(event.clone()));
            left -= left.min(AT_ONCE);
            let id = entropy::uuid_v7(now);
            let commit =
                Commit::new(id, None, loaded, state, refreshes, Vec::new(), journal.personal_data()).unwrap();
            assert!(journal.append(&Arc::new(commit)).await.unwrap().is_committed());
        }
        let session = SessionTokens { session: token.session, generation, issued_at: now, expires_at };
        let methods = AuthenticationMethods { channel: Channel::Phone, second_factor: false };
        let proof = SessionProof { at: token.issued_at, methods };
        let issued = tokens.issue(token.account, &session, proof, ExtraClaims::default(), now);
        journal.database().close().await;
        DeviceTokens { access: issued.access, refresh: issued.refresh }
    })
}

/// Accounts of strangers between the real ones: beside each, as many as make up the number. No reader opens what is sealed
/// in their rows, so that is random bytes; keys and sizes are as they would be.
fn strangers(beside_each: usize) -> String {
    format!(
        "BEGIN;
         CREATE TEMPORARY TABLE stranger ON COMMIT DROP AS
         SELECT overlay(gen_random_uuid()::text PLACING left(h.account_id::text, 13) FROM 1 FOR 13)::uuid AS id
           FROM heads h, generate_series(1, {beside_each});
         INSERT INTO heads SELECT id, 3, 2, (SELECT state FROM heads LIMIT 1), 1, sha256(id::text::bytea) FROM stranger;
         INSERT INTO identifiers SELECT sha256(id::text::bytea), id, 'phone' FROM stranger;
         INSERT INTO account_keys
         SELECT s.id, k.scope, k.wrapping_id, k.wrapped
           FROM stranger s, (SELECT DISTINCT ON (scope) * FROM account_keys) k;
         INSERT INTO profiles (account_id, phone_number, is_active, date_joined)
         SELECT id, '+989120000000', true, now() FROM stranger;
         INSERT INTO user_logins (account_id, session_id, channel, generation, signed_in_at, last_seen_at, expires_at)
         SELECT id, id, 'phone', 1, now(), now(), now() + interval '30 days' FROM stranger;
         INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, personal, leaf)
         SELECT e.aggregate_type, s.id::text, 1, e.event_type, e.event_version, e.payload, e.metadata, e.personal, e.leaf
           FROM stranger s, (SELECT * FROM events LIMIT 1) e;
         INSERT INTO ledger
         SELECT q.seq + row_number() OVER (), s.id, 1, 'LoggedIn', sha256('') FROM stranger s, sequencer q;
         UPDATE followers SET seq = seq + (SELECT count(*) FROM stranger);
         UPDATE sequencer SET seq = seq + (SELECT count(*) FROM stranger);
         COMMIT;
         UPDATE sequencer SET seen = pg_current_snapshot();"
    )
}

/// Refreshes of the same accounts, alone in the database and among many; each beside pgbench at its own time.
fn accounts(bench: &mut BenchRun, tokens: Vec<DeviceTokens>, many: usize) {
    let (few, tokens) = throughput(bench, tokens, "refresh_64_few_accounts");
    std::thread::sleep(Duration::from_secs(2)); // for the sequencer's rows to be all there
    bench.psql(&strangers(many.div_ceil(tokens.len())));
    bench.psql("VACUUM ANALYZE");
    bench.psql("CHECKPOINT");
    let accounts: f64 = bench.psql("SELECT count(*) FROM heads").trim().parse().unwrap();
    bench.report.figure("growth_accounts", accounts);
    let (lots, _) = throughput(bench, tokens, "refresh_64_many_accounts");
    bench.report.figure("refresh_2m_accounts_vs_10k", lots / few);
}

fn throughput(bench: &mut BenchRun, tokens: Vec<DeviceTokens>, name: &str) -> (f64, Vec<DeviceTokens>) {
    let service = ServiceProcess::start(&bench.folder, &bench.url);
    bench.report.figure("cold_start_ms", service.ready_after.as_secs_f64() * 1e3);
    let seconds = bench.time.as_secs() / 2;
    let before = pgbench::run(&bench.url, &bench.folder, 64, seconds).per_second;
    let callers = deal(tokens, 64);
    let (measured, callers) = drive(service.port, callers, Duration::from_secs(1), bench.time);
    let after = pgbench::run(&bench.url, &bench.folder, 64, seconds).per_second;
    let ratio = measured.per_second * 2.0 / (before + after);
    bench.report.measured(name, &measured, Some((&format!("{name}_vs_pgbench"), ratio)));
    (ratio, callers.into_iter().flat_map(|caller| caller.devices).collect())
}
