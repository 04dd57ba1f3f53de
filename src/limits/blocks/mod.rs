//! Blocks: subjects that staff keep from getting and trying codes, until a time or until they lift the block.
//!
//! The blocks are in the table `blocks`. Each node keeps a copy in memory ([`ActiveBlocks`]) that follows the table, so that no
//! request asks the database for them.

mod active;
mod blocked_subject;
pub(super) mod store;

pub use active::{ActiveBlock, ActiveBlocks, BlockedAct};
pub use blocked_subject::BlockedSubject;
pub use store::{StoredBlock, change, end, list, not_ended, prune, stored};
