//! Read models made again in the background of a node.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

use super::{ClaimError, Projection, RebuildClaim};
use crate::journal::Journal;
use crate::postgres::DatabaseError;

/// Starts rebuilds on a runtime that outlives the requests that ask for them.
#[derive(Clone, Debug)]
pub struct RebuildStarter {
    journal: Journal,
    runtime: Handle,
}

impl RebuildStarter {
    /// Of that journal, on the present runtime.
    pub fn new(journal: Journal) -> Self {
        Self { journal, runtime: Handle::current() }
    }

    /// Claims a read model.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub async fn claim(&self, projection: Projection) -> Result<RebuildClaim, ClaimError> {
        let database = self.journal.database().clone();
        self.here(async move { RebuildClaim::take(&database, vec![projection]).await }).await?
    }

    /// Begins to make again what was claimed. It goes on by itself; [`overview`](super::overview) tells how far it has come.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn begin(&self, claim: RebuildClaim) -> Result<(), DatabaseError> {
        let journal = self.journal.clone();
        self.here(async move {
            claim.begin().await?;
            tokio::spawn(make(claim, journal));
            Ok(())
        })
        .await?
    }

    async fn here<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let stopped = |_| DatabaseError::Unavailable("the service is stopping".to_owned());
        self.runtime.spawn(work).await.map_err(stopped)
    }
}

async fn make(claim: RebuildClaim, journal: Journal) {
    let mut silent = |_| {};
    match AssertUnwindSafe(claim.rebuild(&journal, &mut silent)).catch_unwind().await {
        Ok(Ok(events)) => tracing::info!(events, "a read model was made again"),
        Ok(Err(error)) => tracing::error!(%error, "a read model could not be made again"),
        // The claim is gone with it, by which everybody sees that it was interrupted.
        Err(_) => tracing::error!("making a read model again panicked"),
    }
}
