//! Announcements, as PostgreSQL's `LISTEN` delivers them.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::target::OpenedSession;
use super::{CONNECT_WITHIN, Database, DatabaseError};

/// How often the server is asked whether it is still there: a connection that only listens would not hear of its end when
/// the server's machine is gone.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How long that may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What is announced on a channel, from one connection. It ends when the connection does.
#[derive(Debug)]
pub struct ChannelListener {
    announced: UnboundedReceiver<String>,
    watching: JoinHandle<()>,
}

impl ChannelListener {
    /// The next announcement; none when the connection has ended, and a new listener is needed.
    pub async fn next(&mut self) -> Option<String> {
        self.announced.recv().await
    }
}

impl Drop for ChannelListener {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Database {
    /// Listens on a channel, by a connection of its own.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when there is none in time.
    pub async fn listen(&self, channel: &'static str) -> Result<ChannelListener, DatabaseError> {
        let (announce, announced) = unbounded_channel();
        let session = tokio::time::timeout(CONNECT_WITHIN, async {
            let session = self.target.open(Some(announce)).await?;
            session.client.batch_execute(&format!("LISTEN {channel}")).await?;
            Ok(session)
        });
        let late = |_| DatabaseError::Unavailable("no connection in time".to_owned());
        let OpenedSession { client, driver, .. } =
            session.await.map_err(late)?.map_err(|error| DatabaseError::not_connected(&error))?;
        let needs_writes = self.target.needs_writes();
        let watching = tokio::spawn(async move {
            while will_do(&client, needs_writes).await {
                tokio::time::sleep(ASK_EVERY).await;
            }
            driver.abort();
        });
        Ok(ChannelListener { announced, watching })
    }
}

async fn will_do(client: &Client, needs_writes: bool) -> bool {
    let asked = async {
        let row = client.query_one("SELECT current_setting('transaction_read_only')", &[]).await?;
        row.try_get::<_, String>(0)
    };
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(read_only)) => !(needs_writes && read_only == "on"),
        Ok(Err(_)) | Err(_) => false,
    }
}
