//! The event store: how accounts are loaded, and how what was decided becomes durable.
//!
//! One statement, one round trip, carries a commit: the head that is compared and swapped, the events, the read
//! models, the reservation of an identifier, the row for the code to send. Either all of it is there or none.
//! Reading streams back is postgres-es's work ([`replay`]); appending is ours, because the stock path takes a round
//! trip per event, updates its views outside the transaction, and cannot tell a stale version from other trouble.

mod append;
mod commit;
mod leaf;
mod load;
pub mod replay;

use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::{AccountId, Identifier};

use crate::database::{Database, DatabaseError};
use crate::personal_data::{AccountKeys, PersonalData};

pub use append::Verdict;
pub use commit::{Commit, Message};
pub use leaf::Leaf;

/// The form in which this version writes states. A head in another form is folded again from its events.
const STATE_FORMAT: i32 = 1;

/// The event store.
#[derive(Clone, Debug)]
pub struct Journal {
    database: Database,
    personal_data: PersonalData,
}

/// By what an account is found.
#[derive(Clone, Debug)]
pub enum Address {
    /// By its id.
    Account(AccountId),
    /// By an identifier, which may not belong to an account yet.
    Identifier(Identifier),
}

/// An account as it stood when it was loaded: what a decision and its commit build on.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The account; a fresh id when nothing has happened yet.
    pub account: AccountId,
    /// How many events it has.
    pub version: i64,
    /// What they come to.
    pub state: UserAccount,
    /// The leaf of the last of them.
    leaf: Leaf,
    /// The keys of its personal data.
    keys: AccountKeys,
    /// The hash to reserve when this account begins with an identifier.
    reservation: Option<(Vec<u8>, &'static str)>,
}

/// Why the journal could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database gave no answer.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What is stored cannot be read: a key is missing, or a row was altered.
    #[error("account {account} cannot be read: {reason}")]
    Unreadable {
        /// The account.
        account: AccountId,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<tokio_postgres::Error> for JournalError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Journal {
    /// The journal in a database.
    pub fn new(database: Database, personal_data: PersonalData) -> Self {
        Self { database, personal_data }
    }

    /// How personal data is sealed and looked up.
    pub fn personal_data(&self) -> &PersonalData {
        &self.personal_data
    }

    /// The database it is in.
    pub fn database(&self) -> &Database {
        &self.database
    }
}
