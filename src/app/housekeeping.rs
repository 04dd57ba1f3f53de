//! What has expired is deleted now and then, by each node.

use chrono::TimeDelta;
use counterfoil_guard::LONGEST_ACCESS_LIFETIME;
use counterfoil_projections::revoked_token;
use deadpool_postgres::Client;

use crate::delivery::{outbox, outcomes};
use crate::http::{AppState, in_time};
use crate::limits::{self, blocks, code_stops};
use crate::tokens::LEEWAY;

/// For how long it can be told what became of a message.
const MESSAGES_KEPT: TimeDelta = TimeDelta::days(30);

/// Which erasures are looked for in the erasure register: a line can be missing whose node was killed, or had no place on its disk.
const REGISTER_LOOKS_BACK: TimeDelta = TimeDelta::days(1);

/// How many rows that have expired one statement deletes.
const PRUNED_AT_ONCE: i64 = 5_000;

/// Deletes what has expired, and counts the outcomes of messages that are to be deleted. Each node calls this once a minute;
/// missing it once does no harm.
pub async fn delete_expired(state: &AppState) {
    let now = state.clock.now() - LEEWAY * 2;
    let counted = state.query(async |db| {
        let counters = limits::prune(db, now).await?;
        blocks::prune(db, now).await?;
        outbox::expire(db, now).await?;
        outcomes::count(db).await?;
        Ok(counters)
    });
    let counters = counted.await.unwrap_or_default();
    let ended_before = now - LONGEST_ACCESS_LIFETIME;
    let page = |db: Client| async move { revoked_token::prune(&db, ended_before, PRUNED_AT_ONCE).await };
    let sessions = delete_in_pages(state, page).await;
    let expired_by = now - MESSAGES_KEPT;
    let page = |db: Client| async move { outbox::prune(&db, expired_by, PRUNED_AT_ONCE).await };
    let messages = delete_in_pages(state, page).await;
    let page = |db: Client| async move { code_stops::prune(&db, now, PRUNED_AT_ONCE).await };
    let stops = delete_in_pages(state, page).await;
    let lapsed = state.accounts.forget_never_signed_in().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "accounts that were never signed in to are still there");
        0
    });
    let proposals = state.accounts.apply_due_proposals().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "changes of identifiers that are due have not taken effect");
        0
    });
    let erased = state.accounts.erase_due().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "accounts that are to be erased are still there");
        0
    });
    let registered =
        state.accounts.complete_register(now - REGISTER_LOOKS_BACK).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the erasure register lacks erasures");
            0
        });
    let aged = state.accounts.forget_old_data().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "data that is older than it is kept is still there");
        0
    });
    tracing::debug!(
        aged,
        erased,
        registered,
        proposals,
        sessions,
        messages,
        counters,
        stops,
        lapsed,
        "forgot what has expired"
    );
}

/// Deletes page after page until one is not full, so that no backlog is too long for one statement; returns how many rows.
async fn delete_in_pages<F>(state: &AppState, page: impl Fn(Client) -> F) -> u64
where
    F: Future<Output = Result<u64, tokio_postgres::Error>>,
{
    let mut pruned = 0;
    loop {
        let deleted = in_time(async { Ok(page(state.database.connection().await?).await?) }).await;
        let rows = deleted.unwrap_or_default();
        pruned += rows;
        if rows < PRUNED_AT_ONCE.unsigned_abs() {
            return pruned;
        }
    }
}
