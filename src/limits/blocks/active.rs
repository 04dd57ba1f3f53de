//! The blocks that a node knows: a copy in memory that follows the table.
//!
//! A node compares a fingerprint of the table once a second, and reads the blocks again when it has changed. So a block holds on
//! every node within about two seconds. While the table cannot be read, the last copy counts. Until the first copy is there, a
//! request waits for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::BlockKind;
use counterfoil_domain::values::{BlockId, Identifier};
use tokio::sync::{Notify, watch};

use super::BlockedSubject;
use super::store::{self, BlocksFingerprint};
use crate::crypto::personal_data::PersonalData;
use crate::limits::StoreUnavailable;
use crate::postgres::{Database, DatabaseError};
use crate::runtime::restart::restarted;

/// How often a node looks whether the blocks have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(4);

/// After how many looks the blocks are read in any case.
const READ_AFTER: u32 = 60;

/// How long a request waits for the first copy.
const FIRST_WITHIN: Duration = Duration::from_millis(600);

/// A block that may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveBlock {
    /// The id of the block.
    pub id: BlockId,
    /// The subject that is blocked.
    pub subject: BlockedSubject,
    /// When the block ends, where a time is set.
    pub until: Option<DateTime<Utc>>,
}

impl ActiveBlock {
    fn holds(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What a request is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedAct {
    /// Ask for a code. Every kind of block keeps from it.
    AskForCode,
    /// Try a code. Blocks of addresses keep from it, and those of the one number or mailbox. A prefix, a domain or a country that
    /// is blocked does not make the codes void that were sent there before.
    TryCode,
}

impl BlockedAct {
    fn is_kept_by(self, kind: BlockKind) -> bool {
        match kind {
            BlockKind::PhoneNumber | BlockKind::Email | BlockKind::IpAddress => true,
            BlockKind::Prefix | BlockKind::MailDomain | BlockKind::Country => self == Self::AskForCode,
        }
    }
}

/// The blocks, by what a request has in its hands.
#[derive(Debug, Default)]
struct BlockIndex {
    by_text: HashMap<(BlockKind, String), ActiveBlock>,
    networks: Vec<ActiveBlock>,
}

impl BlockIndex {
    fn new(blocks: Vec<ActiveBlock>) -> Self {
        let mut index = Self::default();
        for block in blocks {
            match &block.subject {
                BlockedSubject::Network(_) => index.networks.push(block),
                BlockedSubject::Email(address) => {
                    index.by_text.insert((BlockKind::Email, address.mailbox()), block);
                }
                subject @ (BlockedSubject::Prefix(_)
                | BlockedSubject::PhoneNumber(_)
                | BlockedSubject::MailDomain(_)
                | BlockedSubject::Country(_)) => {
                    index.by_text.insert((subject.kind(), subject.text()), block);
                }
            }
        }
        index
    }

    /// The blocks of an identifier, whether or not they still hold.
    fn of_identifier(&self, identifier: &Identifier) -> impl Iterator<Item = &ActiveBlock> {
        let names: Vec<(BlockKind, String)> = match identifier {
            Identifier::Phone(number) => {
                let (text, region) = (number.as_str(), number.region());
                let prefixes = (2..=text.len()).map(|length| (BlockKind::Prefix, text[..length].to_owned()));
                let number = (BlockKind::PhoneNumber, text.to_owned());
                let country = region.map(|region| (BlockKind::Country, region.to_string()));
                [number].into_iter().chain(prefixes).chain(country).collect()
            }
            Identifier::Email(address) => {
                let domain = address.domain();
                let below = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
                let domains = [domain].into_iter().chain(below);
                let domains = domains.map(|domain| (BlockKind::MailDomain, domain.to_owned()));
                [(BlockKind::Email, address.mailbox())].into_iter().chain(domains).collect()
            }
        };
        names.into_iter().filter_map(|name| self.by_text.get(&name))
    }

    fn is_empty(&self) -> bool {
        self.by_text.is_empty() && self.networks.is_empty()
    }
}

/// The blocks as this node knows them.
#[derive(Debug)]
pub struct ActiveBlocks {
    known: ArcSwapOption<BlockIndex>,
    has_first: watch::Sender<bool>,
    look: Notify,
}

impl ActiveBlocks {
    /// No blocks, and none to come.
    pub fn none() -> Arc<Self> {
        Arc::new(Self {
            known: ArcSwapOption::from_pointee(BlockIndex::default()),
            has_first: watch::Sender::new(true),
            look: Notify::new(),
        })
    }

    /// Follows the blocks of a database for as long as the returned value lives. Works on the present runtime.
    pub fn follow(database: Database, personal_data: PersonalData) -> Arc<Self> {
        let (has_first, look) = (watch::Sender::new(false), Notify::new());
        let blocks = Arc::new(Self { known: ArcSwapOption::empty(), has_first, look });
        let weak = Arc::downgrade(&blocks);
        tokio::spawn(restarted("the copy of the blocks", move || {
            keep_following(weak.clone(), database.clone(), personal_data.clone())
        }));
        blocks
    }

    /// Looks at once whether the blocks have changed, and not only when the second is over.
    pub fn look_now(&self) {
        self.look.notify_one();
    }

    /// The block that keeps a client at that address from what they are about to do with an identifier.
    ///
    /// # Errors
    /// When no copy of the blocks is there yet.
    pub async fn keeping_from(
        &self,
        act: BlockedAct,
        identifier: &Identifier,
        ip: IpAddr,
        now: DateTime<Utc>,
    ) -> Result<Option<ActiveBlock>, StoreUnavailable> {
        let known = self.known().await?;
        if known.is_empty() {
            return Ok(None);
        }
        let networks = known.networks.iter().filter(|block| block.subject.covers_address(ip));
        let mut blocks = networks.chain(known.of_identifier(identifier));
        let block = blocks.find(|block| block.holds(now) && act.is_kept_by(block.subject.kind()));
        Ok(block.cloned())
    }

    /// Every block that keeps codes from an identifier now, whatever the address that asks.
    ///
    /// # Errors
    /// When no copy of the blocks is there yet.
    pub async fn of_identifier(
        &self,
        identifier: &Identifier,
        now: DateTime<Utc>,
    ) -> Result<Vec<ActiveBlock>, StoreUnavailable> {
        let known = self.known().await?;
        Ok(known.of_identifier(identifier).filter(|block| block.holds(now)).cloned().collect())
    }

    async fn known(&self) -> Result<Arc<BlockIndex>, StoreUnavailable> {
        let unavailable = || StoreUnavailable("the blocks are not read yet".to_owned());
        if let Some(known) = self.known.load_full() {
            return Ok(known);
        }
        let mut first = self.has_first.subscribe();
        let waited = tokio::time::timeout(FIRST_WITHIN, first.wait_for(|has_first| *has_first)).await;
        waited.ok().and_then(Result::ok).ok_or_else(unavailable)?;
        self.known.load_full().ok_or_else(unavailable)
    }

    fn learn(&self, blocks: Vec<ActiveBlock>) {
        metrics::gauge!("counterfoil_blocks").set(u32::try_from(blocks.len()).unwrap_or(u32::MAX));
        self.known.store(Some(Arc::new(BlockIndex::new(blocks))));
        self.has_first.send_replace(true);
    }
}

async fn keep_following(blocks: Weak<ActiveBlocks>, database: Database, personal_data: PersonalData) {
    let (mut seen, mut looks, mut is_trouble) = (None, 0_u32, false);
    while let Some(following) = blocks.upgrade() {
        if looks.is_multiple_of(READ_AFTER) {
            seen = None;
        }
        let looked = look(&following, &database, &personal_data, &mut seen);
        let looked = tokio::time::timeout(LOOK_WITHIN, looked).await.unwrap_or(Err(DatabaseError::Late));
        match looked {
            Ok(()) => is_trouble = false,
            Err(error) => {
                seen = None;
                // Once, and not every second while the database is away.
                if !std::mem::replace(&mut is_trouble, true) {
                    tracing::warn!(%error, "the blocks cannot be read: those that are known go on holding");
                }
            }
        }
        looks = looks.wrapping_add(1);
        let wake = async {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = following.look.notified() => {}
            }
        };
        wake.await;
    }
}

async fn look(
    blocks: &ActiveBlocks,
    database: &Database,
    personal_data: &PersonalData,
    seen: &mut Option<BlocksFingerprint>,
) -> Result<(), DatabaseError> {
    let connection = database.connection().await?;
    let present = store::fingerprint(&connection).await?;
    if *seen == Some(present) {
        return Ok(());
    }
    let not_ended = store::not_ended(&connection, personal_data).await?;
    let active = not_ended.into_iter().filter_map(|stored| {
        Some(ActiveBlock { id: stored.id, subject: stored.subject?, until: stored.until })
    });
    blocks.learn(active.collect());
    *seen = Some(present);
    Ok(())
}
