//! The event store: how accounts are loaded, and how what was decided becomes durable.
//!
//! One statement, one round trip, carries whatever commits are waiting: the heads that are compared and swapped, the
//! events, the read models, the reservations of identifiers, the codes to send. Of each commit either all is there
//! or nothing. Reading streams back is postgres-es's work ([`replay`]); appending is ours, because the stock path
//! takes a round trip per event, updates its views outside the transaction, and cannot tell a stale version from
//! other trouble.
//!
//! Heads that were loaded or appended are remembered. What is remembered may be out of date, since other nodes append
//! too: a commit finds that out by itself, but a refusal does not, so nothing is refused on memory alone.

mod append;
mod append_sql;
mod commit;
mod erasures;
pub(crate) mod follower;
mod keeper;
pub(crate) mod leaf;
mod ledger_page;
mod load;
mod outages;
mod rehash;
pub mod replay;
mod rewrap;
pub mod sequencer;
pub(crate) mod streams;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::{AccountId, Identifier};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::crypto::entropy;
use crate::crypto::personal_data::{AccountKeys, KeyScope, LookupHashes, PersonalData};
use crate::postgres::batcher::{Batcher, ask_all};
use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::Clock;
use crate::runtime::response_delay::RoundTripTimes;

use append::AppendCommits;
pub use append::AppendOutcome;
pub use commit::{Commit, CommitAuthority};
pub use follower::LedgerFollower;
pub use leaf::Leaf;
pub(crate) use ledger_page::LedgerEvent;
pub use ledger_page::WantedEvents;
use load::{LoadByAccount, LoadByLookup, StoredHead};
pub use outages::CommitOutages;
pub use rehash::RehashReport;
pub use rewrap::RewrapReport;

/// The form in which this version writes states. A head in another form is folded again from its events.
const STATE_FORMAT: i32 = 19;

/// How many connections of a thread append. A second one halves the batches, which costs more than the first one's waiting
/// for the disk.
const APPENDERS_EACH: usize = 1;

/// How many connections of a thread load by account, and as many by identifier.
const LOADERS_EACH: usize = 1;

/// How many requests of a kind may wait; more are turned away at once, to be tried again.
const WAITING_AT_MOST: usize = 10_000;

/// How many bytes are remembered of accounts where no setting says it.
const REMEMBERED: u64 = 16 << 20;

/// What an entry of a cache takes besides its value: its key, its place in the cache's tables, and what the allocator adds.
const ENTRY: usize = 120;

/// Accounts by their bytes.
#[derive(Clone, Debug)]
struct HeadBytes;

impl Weighter<AccountId, Arc<AccountHead>> for HeadBytes {
    fn weight(&self, _: &AccountId, head: &Arc<AccountHead>) -> u64 {
        (ENTRY + size_of::<AccountHead>() + head.state.heap_bytes() + head.keys.heap_bytes()) as u64
    }
}

/// What leads to accounts, by its bytes.
#[derive(Clone, Debug)]
struct OwnerBytes;

impl Weighter<Vec<u8>, Owner> for OwnerBytes {
    fn weight(&self, lookup: &Vec<u8>, _: &Owner) -> u64 {
        (ENTRY + size_of::<Owner>() + lookup.capacity()) as u64
    }
}

type Heads = Cache<AccountId, Arc<AccountHead>, HeadBytes>;
type Owners = Cache<Vec<u8>, Owner, OwnerBytes>;

/// The caches of a node: seven eighths of the bytes are for accounts, the rest for what leads to them, which is smaller.
fn caches(bytes: u64) -> (Heads, Owners) {
    let (heads, owners) = (bytes / 8 * 7, bytes / 8);
    let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX);
    (
        Cache::with_weighter(items(heads, 1_000), heads, HeadBytes),
        Cache::with_weighter(items(owners, 200), owners, OwnerBytes),
    )
}

/// The event store, as one thread uses it.
#[derive(Clone, Debug)]
pub struct Journal {
    database: Database,
    appends: Batcher<AppendCommits>,
    loads_by_account: Batcher<LoadByAccount>,
    loads_by_lookup: Batcher<LoadByLookup>,
    shared: Arc<Shared>,
}

/// What all threads of a node share.
#[derive(Debug)]
struct Shared {
    personal_data: PersonalData,
    outages: CommitOutages,
    heads: Heads,
    owners: Owners,
    load_times: RoundTripTimes,
    append_times: RoundTripTimes,
}

/// Who had an identifier when it was looked up or reserved. Another node may have moved it away since; then the account
/// has let one go more, and whatever it is remembered by is looked up anew.
#[derive(Clone, Copy, Debug)]
struct Owner {
    account: AccountId,
    let_go: u32,
}

/// By what an account is found.
#[derive(Clone, Debug)]
pub enum AccountRef {
    /// The account of that id.
    Account(AccountId),
    /// By an identifier, which may not belong to an account yet.
    Identifier(Identifier),
}

/// An account as it stood at a version.
#[derive(Clone, Debug)]
pub struct AccountHead {
    /// The account of the head.
    pub account: AccountId,
    /// How many events it has.
    pub version: i64,
    /// What they come to.
    pub state: UserAccount,
    /// The leaf of the last of them.
    leaf: Leaf,
    /// The keys of its personal data.
    keys: AccountKeys,
}

/// What a decision and its commit build on.
#[derive(Clone, Debug)]
pub struct LoadedAccount {
    /// The account; of a fresh id and version 0 when nothing has happened yet.
    pub head: Arc<AccountHead>,
    /// Whether it comes from memory, and may be out of date.
    pub remembered: bool,
    /// The hashes to reserve when this account begins with an identifier, and its kind.
    reservation: Option<(LookupHashes, &'static str)>,
}

/// Why the journal could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The database gave no answer.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What is stored cannot be read: a key is missing, or a row was altered.
    #[error("account {account} cannot be read: {reason}")]
    Unreadable {
        /// The account that cannot be read.
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
    /// The journal in a database. Its connections work on the present runtime.
    pub fn new(database: Database, personal_data: PersonalData, clock: Arc<dyn Clock>) -> Self {
        Self::remembering(REMEMBERED, database, personal_data, clock)
    }

    /// The journal in a database, which remembers so many bytes of accounts.
    pub fn remembering(
        bytes: u64,
        database: Database,
        personal_data: PersonalData,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (heads, owners) = caches(bytes);
        let outages = CommitOutages::new(clock);
        Self::over(
            database,
            Arc::new(Shared {
                personal_data,
                outages,
                heads,
                owners,
                load_times: RoundTripTimes::default(),
                append_times: RoundTripTimes::default(),
            }),
        )
    }

    /// The same journal, with connections of its own that work on the present runtime. A thread that serves requests
    /// and talks to the database by itself hands nothing to others, which costs more than either.
    pub fn on_this_thread(&self, database: Database) -> Self {
        Self::over(database, self.shared.clone())
    }

    fn over(database: Database, shared: Arc<Shared>) -> Self {
        let append = AppendCommits { outages: shared.outages.clone() };
        Self {
            appends: Batcher::start(append, database.clone(), APPENDERS_EACH, WAITING_AT_MOST),
            loads_by_account: Batcher::start(LoadByAccount, database.clone(), LOADERS_EACH, WAITING_AT_MOST),
            loads_by_lookup: Batcher::start(LoadByLookup, database.clone(), LOADERS_EACH, WAITING_AT_MOST),
            database,
            shared,
        }
    }

    /// How personal data is sealed and looked up.
    pub fn personal_data(&self) -> &PersonalData {
        &self.shared.personal_data
    }

    /// The outages that keep callers from answers.
    pub fn outages(&self) -> &CommitOutages {
        &self.shared.outages
    }

    /// Waits until what can be read of an account is durable, as an appended commit is.
    ///
    /// # Errors
    /// [`JournalError`] when the database did not answer.
    pub async fn wait_for_replication(&self, account: AccountId) -> Result<(), JournalError> {
        let connection = self.database.connection().await?;
        Ok(append::wait_for_replication(&connection, account).await?)
    }

    /// How long the node has lately waited for an account that it did not remember.
    pub fn load_times(&self) -> &RoundTripTimes {
        &self.shared.load_times
    }

    /// How long the node has lately waited until a commit was durable.
    pub fn append_times(&self) -> &RoundTripTimes {
        &self.shared.append_times
    }

    /// The database it is in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The account that is remembered to have an identifier, or to have had it.
    pub fn remembered_owner(&self, identifier: &LookupHashes) -> Option<AccountId> {
        Some(self.owner(identifier)?.account)
    }

    /// By any of the hashes: the one that it is remembered by was the active one then.
    fn owner(&self, identifier: &LookupHashes) -> Option<Owner> {
        identifier.all().find_map(|hash| self.shared.owners.get(hash))
    }

    fn remember_owner(&self, lookup: Vec<u8>, head: &AccountHead) {
        let owner = Owner { account: head.account, let_go: head.state.identifiers_released() };
        self.shared.owners.insert(lookup, owner);
    }

    /// Loads an account, from memory where it is remembered with the keys that a commit at `now` needs.
    ///
    /// # Errors
    /// As [`load_anew`](Self::load_anew).
    pub async fn load(
        &self,
        address: &AccountRef,
        now: DateTime<Utc>,
    ) -> Result<LoadedAccount, JournalError> {
        let heads = &self.shared.heads;
        let head = match address {
            AccountRef::Account(account) => heads.get(account),
            AccountRef::Identifier(identifier) => {
                let owner = self.owner(&self.personal_data().lookup(identifier));
                owner.and_then(|owner| {
                    heads.get(&owner.account).filter(|head| head.state.identifiers_released() == owner.let_go)
                })
            }
        };
        match head.filter(|head| head.keys.has(KeyScope::origin_at(now))) {
            Some(head) => Ok(LoadedAccount { head, remembered: true, reservation: None }),
            None => self.load_anew(address, now).await,
        }
    }

    /// Loads an account from the database. An identifier that no account has is given a new account, which begins to
    /// exist with its first commit; an account id that is unknown loads as an account to which nothing has happened.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer, or what it has cannot be read.
    pub async fn load_anew(
        &self,
        address: &AccountRef,
        now: DateTime<Utc>,
    ) -> Result<LoadedAccount, JournalError> {
        let scope = KeyScope::origin_at(now);
        let (stored, account, reservation) = match address {
            AccountRef::Account(account) => {
                let load = self.loads_by_account.ask((*account, scope));
                (self.shared.load_times.measure(load).await?, *account, None)
            }
            AccountRef::Identifier(identifier) => {
                let hashes = self.personal_data().lookup(identifier);
                let load = self.loads_by_lookup.ask((hashes.clone(), scope));
                let stored = self.shared.load_times.measure(load).await?;
                (stored, entropy::account_id(now), Some((hashes, identifier.channel().as_str())))
            }
        };
        let Some(stored) = stored else {
            let keys = self.personal_data().unwrap(account, []);
            let head =
                AccountHead { account, version: 0, state: UserAccount::Unknown, leaf: Leaf::default(), keys };
            return Ok(LoadedAccount { head: Arc::new(head), remembered: false, reservation });
        };
        let head = Arc::new(self.read(stored).await?);
        if let Some((hashes, _)) = reservation {
            self.remember_owner(hashes.active, &head);
        }
        self.shared.heads.insert(head.account, head.clone());
        Ok(LoadedAccount { head, remembered: false, reservation: None })
    }

    async fn read(&self, stored: StoredHead) -> Result<AccountHead, JournalError> {
        let StoredHead { account, version, state, state_format, leaf, keys } = stored;
        let unreadable = |reason: &str| JournalError::Unreadable { account, reason: reason.to_owned() };
        let keys = self.personal_data().unwrap(account, keys);
        let state = if state_format == STATE_FORMAT {
            let opened = keys.open(KeyScope::Person, &commit::state_place(version), &state);
            opened.map_err(|_| unreadable("its state cannot be opened"))?
        } else {
            replay::refold(&self.database, account, version).await?
        };
        let leaf = leaf.ok_or_else(|| unreadable("its leaf is not 32 bytes"))?;
        Ok(AccountHead { account, version, state, leaf, keys })
    }

    /// Forgets what is remembered of an account.
    pub fn forget(&self, account: AccountId) {
        self.shared.heads.remove(&account);
    }

    /// Appends a commit, together with whatever others are waiting, and remembers what the account has come to.
    ///
    /// After an error it is not known whether it happened; sending it again settles it.
    ///
    /// # Errors
    /// [`JournalError`] when the database did not answer.
    pub async fn append(&self, commit: &Arc<Commit>) -> Result<AppendOutcome, JournalError> {
        // Nothing is remembered while it is in doubt.
        self.shared.heads.remove(&commit.account);
        let outcome = if commit.erases || commit.authority.is_some() {
            let append = AppendCommits { outages: self.shared.outages.clone() };
            Box::pin(append.by_itself(&self.database, commit)).await?
        } else {
            self.shared.append_times.measure(self.appends.ask(commit.clone())).await?
        };
        // What is left of an erased account needs no memory, and its keys are gone.
        if outcome.is_committed() && !commit.erases {
            self.shared.heads.insert(commit.account, commit.after.clone());
            if let Some((hashes, _)) = &commit.reservation {
                self.remember_owner(hashes.active.clone(), &commit.after);
            }
        }
        Ok(outcome)
    }

    /// Appends commits at once, by themselves. The outcomes are in the commits' order.
    ///
    /// # Errors
    /// The first commit's that could not be appended.
    pub async fn append_all(&self, commits: &[Arc<Commit>]) -> Result<Vec<AppendOutcome>, JournalError> {
        let connection = self.database.connection().await?;
        let append = AppendCommits { outages: self.shared.outages.clone() };
        let outcomes = ask_all(&append, &connection, commits).await;
        Ok(outcomes.into_iter().collect::<Result<_, DatabaseError>>()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use counterfoil_domain::user_account::UserAccount;
    use counterfoil_domain::values::AccountId;
    use uuid::Uuid;

    use super::{AccountHead, HeadBytes, Leaf, Owner, caches};
    use crate::crypto::entropy;
    use crate::crypto::keyring::Keyring;
    use crate::crypto::personal_data::{KeyScope, PersonalData};
    use crate::runtime::clock::{Clock as _, SystemClock};
    use quick_cache::Weighter as _;

    #[test]
    fn a_node_remembers_as_many_accounts_as_fit_into_the_memory_that_it_is_given() {
        const BYTES: u64 = 4 << 20;
        let (heads, owners) = caches(BYTES);
        let personal_data = PersonalData::new(&Keyring::generate());
        let mut each = 0;
        for n in 0..20_000 {
            let account = AccountId(Uuid::from_bytes(entropy::bytes()));
            let mut keys = personal_data.unwrap(account, []);
            personal_data.add_missing(&mut keys, [KeyScope::Person, KeyScope::origin_at(SystemClock.now())]);
            let head =
                AccountHead { account, version: n, state: UserAccount::Unknown, leaf: Leaf::default(), keys };
            let head = Arc::new(head);
            each = HeadBytes.weight(&account, &head);
            heads.insert(account, head);
            owners.insert(entropy::bytes::<32>().to_vec(), Owner { account, let_go: 0 });
        }
        assert!(each > u64::try_from(size_of::<AccountHead>()).unwrap(), "{each}");
        assert!(heads.weight() + owners.weight() <= BYTES, "{} and {}", heads.weight(), owners.weight());
        // The cache's shards are not filled evenly.
        let at_least = usize::try_from(BYTES / 8 * 7 / each / 2).unwrap();
        assert!(heads.len() >= at_least, "{} of {at_least}", heads.len());
    }
}
