//! The tree over the ledger, built again and compared with what the database keeps of it.

use std::collections::VecDeque;

use deadpool_postgres::Transaction;

use super::PAGE;
use super::verify::{VerificationReport, nameless};
use crate::journal::JournalError;
use crate::transparency::TrustedKeys;
use crate::transparency::note::NoteError;
use crate::transparency::store::{self, StoredCheckpoint};
use crate::transparency::tree::{TreeEdge, TreeHash};
use crate::transparency::verification::TreeVerification;

/// The tree that the numbers of the ledger come to, as they are read.
pub(super) struct TreeReading<'t, 'k> {
    snapshot: &'t Transaction<'t>,
    tree: TreeVerification<'k>,
    /// How many events the tree has that the database keeps, and its edge; none where it is that of no tree.
    tree_size: i64,
    edge: Option<TreeEdge>,
    /// Whether every number so far had a leaf. After one that has none, there is no tree to compare.
    is_whole: bool,
    checkpoints: VecDeque<(i64, Result<StoredCheckpoint, NoteError>)>,
    /// Up to which size checkpoints were read.
    read_to: i64,
    /// The hashes of complete subtrees, by the levels of tiles from 1 on, that follow those which were compared.
    hashes: Vec<Vec<u8>>,
}

/// How many hashes of a level are compared at a time: those of a tile.
const TILE: usize = 256 * 32;

impl<'t, 'k> TreeReading<'t, 'k> {
    /// The reading of a ledger, before its first number.
    pub(super) async fn new(
        snapshot: &'t Transaction<'t>,
        keys: &'k TrustedKeys,
    ) -> Result<Self, JournalError> {
        let row = snapshot.query_one("SELECT size, edge FROM tree", &[]).await?;
        let tree_size: i64 = row.get("size");
        let edge = u64::try_from(tree_size).ok().and_then(|size| TreeEdge::from_bytes(size, row.get("edge")));
        let (checkpoints, hashes) = (VecDeque::new(), Vec::new());
        let tree = TreeVerification::new(keys);
        Ok(Self { snapshot, tree, tree_size, edge, is_whole: true, checkpoints, read_to: 0, hashes })
    }

    /// Takes the leaf of the next number.
    pub(super) async fn follow(
        &mut self,
        position: i64,
        leaf: &[u8],
        found: &mut VerificationReport,
    ) -> Result<(), JournalError> {
        let leaf: Option<[u8; 32]> = leaf.try_into().ok();
        let follows = u64::try_from(position).is_ok_and(|position| position == self.tree.size() + 1);
        let Some(leaf) = leaf.filter(|_| self.is_whole && follows) else {
            self.is_whole = false;
            return Ok(());
        };
        let hashes = &mut self.hashes;
        let grown = self.tree.push(TreeHash(leaf), |node, hash| {
            if node.level > 0 && node.level.is_multiple_of(8) {
                let level = (node.level / 8) as usize;
                hashes.resize_with(hashes.len().max(level), Vec::new);
                hashes[level - 1].extend_from_slice(&hash.0);
            }
        });
        if let Err(fault) = grown {
            found.altered(|| nameless(position, fault.what()));
        }
        if position == self.tree_size {
            self.compare_edge(position, found);
        }
        self.compare_full_tiles(position, found).await?;
        while let Some((size, checkpoint)) = self.next_checkpoint(position).await? {
            let compared = match checkpoint {
                Ok(checkpoint) => self.tree.compare(&checkpoint.note).map_err(|fault| fault.what()),
                Err(_) => Err("the checkpoint of this number cannot be read"),
            };
            if let Err(what) = compared {
                found.altered(|| nameless(size, what));
            }
        }
        Ok(())
    }

    /// The checkpoint of a number, if there is one.
    async fn next_checkpoint(
        &mut self,
        position: i64,
    ) -> Result<Option<(i64, Result<StoredCheckpoint, NoteError>)>, JournalError> {
        if self.checkpoints.is_empty() && self.read_to < position {
            self.checkpoints = store::checkpoints_above(self.snapshot, position - 1, PAGE).await?.into();
            self.read_to = self.checkpoints.back().map_or(i64::MAX, |(size, _)| *size);
        }
        let is_next = self.checkpoints.front().is_some_and(|(size, _)| *size <= position);
        Ok(if is_next { self.checkpoints.pop_front() } else { None })
    }

    async fn compare_full_tiles(
        &mut self,
        position: i64,
        found: &mut VerificationReport,
    ) -> Result<(), JournalError> {
        for level in 1..=self.hashes.len() {
            if self.hashes[level - 1].len() == TILE {
                let each = 1_i64 << (8 * level);
                self.compare_tile(level, position / each / 256 - 1, found).await?;
            }
        }
        Ok(())
    }

    async fn compare_tile(
        &mut self,
        level: usize,
        tile: i64,
        found: &mut VerificationReport,
    ) -> Result<(), JournalError> {
        let hashes = std::mem::take(&mut self.hashes[level - 1]);
        let level = i16::try_from(level).expect("a tree has 64 levels");
        let sql = "SELECT hashes FROM tree_tiles WHERE level = $1 AND tile = $2";
        let statement = self.snapshot.prepare_cached(sql).await?;
        let row = self.snapshot.query_opt(&statement, &[&level, &tile]).await?;
        let kept: &[u8] = row.as_ref().map(|row| row.get("hashes")).unwrap_or_default();
        // The tree may be a moment behind the ledger, but has all that its size says.
        let whole = (self.tree_size >> (8 * level)) - tile * 256;
        let whole = usize::try_from(whole.clamp(0, 256)).unwrap_or_default();
        let pairs = hashes.chunks(32).zip(kept.chunks(32)).take(whole);
        let differs = pairs.clone().position(|(hash, kept)| hash != kept);
        let differs = differs.or((kept.len() != whole * 32).then_some(pairs.len()));
        if let Some(differs) = differs {
            let each = 1_i64 << (8 * level);
            let first = (tile * 256 + i64::try_from(differs).unwrap_or_default()) * each + 1;
            found
                .altered(|| nameless(first, "from this number on, the tree is not what the ledger comes to"));
        }
        Ok(())
    }

    /// Compares what is left when the last number has been read.
    pub(super) async fn end(mut self, found: &mut VerificationReport) -> Result<(), JournalError> {
        let last = i64::try_from(self.tree.size()).unwrap_or(i64::MAX);
        if self.is_whole {
            for level in 1..=self.hashes.len() {
                self.compare_tile(level, last >> (8 * level + 8), found).await?;
            }
            if self.tree_size > last {
                self.compare_edge(last, found);
            }
        }
        let beyond = store::checkpoints_above(self.snapshot, last, 1).await?;
        if let (Some((_, checkpoint)), true) = (beyond.first(), self.is_whole) {
            match checkpoint {
                Ok(_) => found.missing(|| {
                    nameless(last + 1, "the log was signed with this number, which is not there")
                }),
                Err(_) => {
                    found.altered(|| nameless(last + 1, "a checkpoint after this number cannot be read"));
                }
            }
        }
        if self.tree.unreached().is_some() && self.is_whole {
            found.missing(|| {
                nameless(last + 1, "a checkpoint that was kept has this number, which is not there")
            });
        }
        (found.checkpoints, found.signed, found.witnesses) = self.tree.finish();
        Ok(())
    }

    /// Compares the edge that the tree grows from next, when its last number was read, or the last one of all.
    fn compare_edge(&self, last: i64, found: &mut VerificationReport) {
        let size = self.tree_size;
        if size > last {
            found.missing(|| nameless(last + 1, "the tree has this number, which is not there"));
        }
        if self.edge.is_none() || (size == last && self.edge.as_ref() != Some(self.tree.edge())) {
            found.altered(|| nameless(size, "the edge of the tree is not what the ledger comes to"));
        }
    }
}
