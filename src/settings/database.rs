//! The section `database`: the URLs of PostgreSQL, and how many connections a node has.

use std::num::NonZero;

use super::raw::raw_section;
use super::{Environment, SettingsError, invalid};
use crate::crypto::secret::{Secret, UrlWithPassword};
use crate::postgres::DatabaseUrl;

/// Connections that belong to no thread: two that read the log back, one that looks for ended sessions, and two that listen.
const CONNECTIONS_BESIDE: usize = 5;

/// Threads with connections besides the workers: the one that runs what goes on beside requests, and the one for operators.
const THREADS_BESIDE: usize = 2;

/// The fewest connections that a thread needs: one for what is read in one go, one for what is asked meanwhile.
const FEWEST_OF_THREAD: usize = 2;

raw_section!(RawDatabase {
    url: Option<Secret<UrlWithPassword>>,
    migration_url: Option<Secret<UrlWithPassword>>,
    connections: usize,
});

/// The section `database`, checked, with the workers that share the connections.
pub(super) struct DatabaseSettings {
    pub url: Option<DatabaseUrl>,
    pub migration_url: Option<DatabaseUrl>,
    pub connections: usize,
    pub connections_of_thread: usize,
    pub workers: usize,
}

impl RawDatabase {
    /// Checks the section, for a server with that number of worker threads; 0 is one for each core.
    pub fn check(self, environment: Environment, workers: usize) -> Result<DatabaseSettings, SettingsError> {
        if environment == Environment::Production && self.url.is_none() {
            return Err(invalid("database.url", "is missing; set DATABASE_URL"));
        }
        if self.migration_url.is_some() && self.url.is_none() {
            return Err(invalid("database.migration_url", "goes with database.url, which is missing"));
        }
        let (workers, connections_of_thread) = share(self.connections, workers)?;
        Ok(DatabaseSettings {
            url: self.url.as_ref().map(database_url),
            migration_url: self.migration_url.as_ref().map(database_url),
            connections: self.connections,
            connections_of_thread,
            workers,
        })
    }
}

/// How many workers there are, and how many connections each thread may have of those of the node. With 0 workers there is one
/// for each core, as far as the connections suffice.
fn share(connections: usize, workers: usize) -> Result<(usize, usize), SettingsError> {
    let at_least = |workers: usize| CONNECTIONS_BESIDE + FEWEST_OF_THREAD * (workers + THREADS_BESIDE);
    let needed = at_least(workers.max(1));
    if !(needed..=10_000).contains(&connections) {
        let problem = format!("must be {needed} to 10000: two for each of the server.workers, and nine");
        return Err(invalid("database.connections", &problem));
    }
    let workers = match workers {
        0 => {
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            cores.min((connections - at_least(0)) / FEWEST_OF_THREAD)
        }
        set => set,
    };
    Ok((workers, (connections - CONNECTIONS_BESIDE) / (workers + THREADS_BESIDE)))
}

fn database_url(url: &Secret<UrlWithPassword>) -> DatabaseUrl {
    DatabaseUrl(url.expose().as_str().to_owned())
}
