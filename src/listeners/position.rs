//! The position of a listener, and the lease under which one node at a time may move it.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{EventListener, ListenerFault, ListenerPolicy};
use crate::crypto::entropy;
use crate::postgres::{Database, DatabaseError};
use crate::runtime::work_queue::{pause_after, pauses};

/// For how long a lease is good unless it is renewed. A listener of a node that has died goes on elsewhere after that time.
const LEASE: Duration = Duration::from_secs(3);

/// How long before the end of its lease a node stops: another node may begin by its own clock then.
const MARGIN: Duration = Duration::from_millis(500);

/// How many bytes of a fault are kept.
const LONGEST_FAULT: usize = 500;

/// How a listener stands, as the node that looks sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PositionLook {
    /// How many numbers of the ledger it has still to come to.
    pub(super) behind: i64,
    pub(super) is_parked: bool,
    /// Whether no node works for it, and it is not to be left alone after a failure.
    pub(super) is_due: bool,
}

/// The right to hand events over, until a moment by the clock of this process.
#[derive(Debug)]
pub(super) struct ListenerLease {
    id: Uuid,
    good_until: Instant,
    /// The last number that the listener is done with.
    pub(super) seq: i64,
    /// How often the next event has failed.
    pub(super) failures: u32,
}

impl ListenerLease {
    /// When this node may work no longer unless it has renewed the lease.
    pub(super) fn good_until(&self) -> Instant {
        self.good_until
    }

    fn extend(&mut self, asked_at: Instant) {
        self.good_until = asked_at + LEASE - MARGIN;
    }
}

/// What a failure has come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureCount {
    pub(super) failures: i32,
    pub(super) is_parked: bool,
}

/// The row of a listener.
#[derive(Clone, Debug)]
pub(super) struct ListenerPosition {
    name: &'static str,
    from_beginning: bool,
    database: Database,
}

impl ListenerPosition {
    pub(super) fn new(listener: &dyn EventListener, database: Database) -> Self {
        Self { name: listener.name(), from_beginning: listener.reads_from_beginning(), database }
    }

    /// Looks at the position; writes the first one of a new listener.
    pub(super) async fn look(&self) -> Result<PositionLook, DatabaseError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("sql/look.sql")).await?;
        let row = match connection.query_opt(&statement, &[&self.name]).await? {
            Some(row) => row,
            None => {
                let register = connection.prepare_cached(include_str!("sql/register.sql")).await?;
                connection.execute(&register, &[&self.name, &self.from_beginning]).await?;
                connection.query_one(&statement, &[&self.name]).await?
            }
        };
        Ok(PositionLook {
            behind: row.get("behind"),
            is_parked: row.get("is_parked"),
            is_due: row.get("is_due"),
        })
    }

    /// Takes the lease, unless another node has it.
    pub(super) async fn claim(&self) -> Result<Option<ListenerLease>, DatabaseError> {
        let (id, asked_at) = (Uuid::from_bytes(entropy::bytes()), Instant::now());
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("sql/claim.sql")).await?;
        let claimed = connection.query_opt(&statement, &[&self.name, &id, &LEASE.as_secs_f64()]).await?;
        Ok(claimed.map(|row| {
            let failures = u32::try_from(row.get::<_, i32>("failures")).unwrap_or_default();
            let mut lease = ListenerLease { id, good_until: asked_at, seq: row.get("seq"), failures };
            lease.extend(asked_at);
            lease
        }))
    }

    /// Renews the lease. Returns whether it is still this node's.
    pub(super) async fn renew(&self, lease: &mut ListenerLease) -> Result<bool, DatabaseError> {
        let asked_at = Instant::now();
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("sql/renew.sql")).await?;
        let renewed =
            connection.execute(&statement, &[&self.name, &lease.id, &LEASE.as_secs_f64()]).await? > 0;
        if renewed {
            lease.extend(asked_at);
        }
        Ok(renewed)
    }

    /// Moves the position, and renews the lease or gives it up. Returns whether the lease was still this node's; otherwise nothing
    /// has been written.
    pub(super) async fn keep(
        &self,
        lease: &mut ListenerLease,
        seq: i64,
        goes_on: bool,
    ) -> Result<bool, DatabaseError> {
        let (asked_at, seconds) = (Instant::now(), if goes_on { LEASE.as_secs_f64() } else { 0.0 });
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("sql/keep.sql")).await?;
        let kept = connection.execute(&statement, &[&self.name, &lease.id, &seq, &seconds]).await? > 0;
        if kept {
            lease.extend(asked_at);
            (lease.seq, lease.failures) = (seq, 0);
        }
        Ok(kept)
    }

    /// Notes that an event failed, and gives the lease up. Nothing where the lease was lost.
    pub(super) async fn put_off(
        &self,
        lease: &ListenerLease,
        seq: i64,
        fault: &ListenerFault,
        policy: &ListenerPolicy,
    ) -> Result<Option<FailureCount>, DatabaseError> {
        let failures = lease.failures.saturating_add(1);
        let is_parked = failures >= policy.failures_until_parked;
        let pause = match is_parked {
            true => policy.parked_pause,
            false => {
                let pauses = pauses().with_min_delay(policy.first_pause).with_max_delay(policy.longest_pause);
                pause_after(pauses, usize::try_from(failures).unwrap_or(usize::MAX))
            }
        };
        let mut text = fault.to_string();
        text.truncate(text.floor_char_boundary(LONGEST_FAULT));
        let parked_after = i32::try_from(policy.failures_until_parked).unwrap_or(i32::MAX);
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("sql/put_off.sql")).await?;
        let row = connection
            .query_opt(&statement, &[&self.name, &lease.id, &seq, &text, &pause.as_secs_f64(), &parked_after])
            .await?;
        Ok(row.map(|row| FailureCount { failures: row.get("failures"), is_parked: row.get("is_parked") }))
    }

    /// Raises the alarm of a parked listener.
    pub(super) async fn raise_alarm(&self) -> Result<(), DatabaseError> {
        let connection = self.database.connection().await?;
        crate::limits::raise_alarm(&connection, ALARM, self.name).await?;
        Ok(())
    }
}

/// The alarm of a parked listener.
const ALARM: &str = "listener_parked";
