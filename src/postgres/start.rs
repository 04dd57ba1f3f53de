//! What a node asks of the database before it serves requests.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{ConnectionTarget, Database, DatabaseError};

/// How often both sessions are asked by which backend they are served.
const ROUNDS: usize = 4;

const TRANSACTION_POOLING: &str = "the URL of the database leads to a connection pooler that serves each transaction by \
    another session of the server (transaction pooling): prepared statements and announcements need session pooling, or a \
    connection to PostgreSQL itself";

impl ConnectionTarget {
    /// Refuses a connection pooler that serves each transaction by another session of the server.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when that is so, [`DatabaseError::Unavailable`] when there is no connection.
    pub async fn refuse_transaction_pooling(&self) -> Result<(), DatabaseError> {
        let not_connected = |error| DatabaseError::not_connected(&error);
        let first = self.open(None).await.map_err(not_connected)?;
        let second = self.open(None).await.map_err(not_connected)?;
        let mut backends = None;
        for _ in 0..ROUNDS {
            let pair = (backend(&first.client).await?, backend(&second.client).await?);
            // Each session keeps a backend of its own.
            if pair.0 == pair.1 || *backends.get_or_insert_with(|| pair.clone()) != pair {
                return Err(DatabaseError::Refused(TRANSACTION_POOLING.to_owned()));
            }
        }
        Ok(())
    }
}

/// The process of the server that serves a session, asked without a prepared statement.
async fn backend(client: &Client) -> Result<Option<String>, DatabaseError> {
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0).map(str::to_owned)
    }))
}

impl Database {
    /// Refuses what no node can work with, and warns where all nodes of this database together may have more connections than
    /// the server gives.
    ///
    /// # Errors
    /// As [`ConnectionTarget::refuse_transaction_pooling`].
    pub async fn check_at_start(&self, connections_of_node: usize) -> Result<(), DatabaseError> {
        self.target.refuse_transaction_pooling().await?;
        let row = self.connection().await?.query_one(include_str!("start.sql"), &[]).await?;
        let (nodes, most): (i64, i64) = (row.get("nodes"), row.get("most"));
        let wanted = nodes.saturating_mul(connections_of_node.try_into().unwrap_or(i64::MAX));
        if wanted > most {
            tracing::warn!(
                nodes,
                connections_of_node,
                most,
                "the nodes of this database may have more connections than the server gives: lower database.connections or \
                 raise max_connections"
            );
        }
        Ok(())
    }
}
