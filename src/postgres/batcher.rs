//! Queries in batches: the requests that wait at a moment go out as one statement.
//!
//! Requests queue; a few workers each take what is waiting, up to a bound, and send it at once. There is no timer: a
//! lone request goes out at once by itself, and while a statement is under way the next batch gathers. A batch that
//! the database refuses is halved until the one request that it refuses stands alone.

use std::collections::HashSet;
use std::sync::Arc;

use deadpool_postgres::Client;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::postgres::{Database, DatabaseError};
use crate::runtime::restart::restarted;

/// What is asked together.
pub trait BatchQuery: Send + Sync + 'static {
    /// One request of a batch.
    type Request: Send + Sync;
    /// The answer to one request.
    type Answer: Send;

    /// The most requests that go out together.
    const MOST: usize;

    /// Asks all of them in one statement. As many answers as requests, in their order.
    fn ask(
        &self,
        connection: &Client,
        requests: &[Self::Request],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, DatabaseError>> + Send;

    /// What at most one of the requests that go out together may be about; none when that does not matter.
    fn subject(&self, _: &Self::Request) -> Option<Uuid> {
        None
    }

    /// Learns that there was no connection to ask by.
    fn not_connected(&self) {}
}

type Waiting<A> =
    (<A as BatchQuery>::Request, oneshot::Sender<Result<<A as BatchQuery>::Answer, DatabaseError>>);

/// A queue of requests, and the workers that send them.
#[derive(Debug)]
pub struct Batcher<A: BatchQuery> {
    queue: mpsc::Sender<Waiting<A>>,
}

impl<A: BatchQuery> Clone for Batcher<A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<A: BatchQuery> Batcher<A> {
    /// Starts the workers, on the present runtime. They end when the last handle is dropped.
    pub fn start(ask: A, database: Database, workers: usize, waiting_at_most: usize) -> Self {
        let (queue, requests) = mpsc::channel(waiting_at_most);
        let (ask, requests) = (Arc::new(ask), Arc::new(Mutex::new(requests)));
        for _ in 0..workers {
            let (ask, database, requests) = (ask.clone(), database.clone(), requests.clone());
            tokio::spawn(restarted("a worker", move || {
                work(ask.clone(), database.clone(), requests.clone())
            }));
        }
        Self { queue }
    }

    /// Asks, in one batch with the other requests that wait.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when the database is away, and at once when too many are waiting already.
    pub async fn ask(&self, request: A::Request) -> Result<A::Answer, DatabaseError> {
        let (sender, answer) = oneshot::channel();
        let unavailable = |why: &str| DatabaseError::Unavailable(why.to_owned());
        self.queue.try_send((request, sender)).map_err(|_| unavailable("too many requests are waiting"))?;
        answer.await.unwrap_or_else(|_| Err(unavailable("the worker has stopped")))
    }
}

async fn work<A: BatchQuery>(ask: Arc<A>, database: Database, queue: Arc<Mutex<mpsc::Receiver<Waiting<A>>>>) {
    let mut batch = Vec::new();
    loop {
        if queue.lock().await.recv_many(&mut batch, A::MOST).await == 0 {
            return;
        }
        // A caller that has given up was told that nothing may have happened: that is kept true where it still can be.
        batch.retain(|(_, asker)| !asker.is_closed());
        if batch.is_empty() {
            continue;
        }
        let (requests, askers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let answers = match database.connection().await {
            Ok(connection) => ask_all(&*ask, &connection, &requests).await,
            Err(error) => {
                ask.not_connected();
                requests.iter().map(|_| Err(error.clone())).collect()
            }
        };
        for (asker, answer) in askers.into_iter().zip(answers) {
            // The caller may have given up.
            drop(asker.send(answer));
        }
    }
}

/// Asks in one statement; in more where requests exclude each other, or one of them is refused.
pub(crate) async fn ask_all<A: BatchQuery>(
    ask: &A,
    connection: &Client,
    requests: &[A::Request],
) -> Vec<Result<A::Answer, DatabaseError>> {
    let mut answers = Vec::with_capacity(requests.len());
    // A stack of what is still to be asked, the next on top, so that answers come in order.
    let mut parts = vec![requests];
    while let Some(part) = parts.pop() {
        let mut subjects = HashSet::new();
        let repeated =
            part.iter().position(|request| ask.subject(request).is_some_and(|it| !subjects.insert(it)));
        let (now, later) = part.split_at(repeated.unwrap_or(part.len()));
        if !later.is_empty() {
            parts.push(later);
        }
        match ask.ask(connection, now).await {
            Ok(all) => answers.extend(all.into_iter().map(Ok)),
            Err(DatabaseError::Refused(_)) if now.len() > 1 => {
                let (first, second) = now.split_at(now.len() / 2);
                parts.push(second);
                parts.push(first);
            }
            Err(error) => answers.extend(now.iter().map(|_| Err(error.clone()))),
        }
    }
    answers
}
