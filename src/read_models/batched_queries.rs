//! Reads of the HTTP layer in batches: the requests that wait at a moment share one query.

use counterfoil_domain::values::{AccountId, SessionId};
use counterfoil_projections::profile::{self, Profile};
use counterfoil_projections::revoked_token;
use deadpool_postgres::Client;

use crate::postgres::DatabaseError;
use crate::postgres::batcher::BatchQuery;

/// Reads profiles, many in one query.
#[derive(Clone, Copy, Debug)]
pub struct ProfileQuery;

impl BatchQuery for ProfileQuery {
    type Request = AccountId;
    type Answer = Option<Profile>;

    const MOST: usize = 256;

    async fn ask(
        &self,
        connection: &Client,
        accounts: &[AccountId],
    ) -> Result<Vec<Option<Profile>>, DatabaseError> {
        Ok(profile::find(connection, accounts).await?)
    }
}

/// Tells whether sessions have been ended before their tokens expired.
#[derive(Clone, Copy, Debug)]
pub struct RevocationQuery;

impl BatchQuery for RevocationQuery {
    type Request = (AccountId, SessionId);
    type Answer = bool;

    const MOST: usize = 256;

    async fn ask(
        &self,
        connection: &Client,
        sessions: &[(AccountId, SessionId)],
    ) -> Result<Vec<bool>, DatabaseError> {
        let revoked = revoked_token::revoked(connection, sessions).await?;
        Ok(sessions.iter().map(|(_, session)| revoked.contains(session)).collect())
    }
}
