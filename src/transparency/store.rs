//! The tree as the database has it: its checkpoints, and the hashes of its nodes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::note::{Checkpoint, NoteError, SignedNote};
use super::proofs;
use super::tile::{TILE_WIDTH, TilePath};
use super::tree::{self, TreeHash, TreeNode, TreePart};
use crate::journal::JournalError;

/// How many binary levels a level of tiles has.
const TILE_HEIGHT: u32 = 8;

/// A checkpoint with the signatures that it has.
#[derive(Clone, Debug)]
pub struct StoredCheckpoint {
    /// How many events the log had.
    pub size: i64,
    /// When it was signed.
    pub at: DateTime<Utc>,
    /// The note, with the signatures of witnesses.
    pub note: SignedNote,
    /// What the note says.
    pub checkpoint: Checkpoint,
    /// Who cosigned it, and when.
    pub cosignatures: Vec<(String, DateTime<Utc>)>,
}

/// Returns checkpoints of fewer than so many events, of the most events first.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn checkpoints_below(
    client: &impl GenericClient,
    size: i64,
    most: i64,
) -> Result<Vec<StoredCheckpoint>, JournalError> {
    let statement = client.prepare_cached(include_str!("sql/checkpoints.sql")).await?;
    let rows = client.query(&statement, &[&size, &most]).await?;
    Ok(rows.iter().filter_map(|row| stored(row).ok()).collect())
}

/// Returns checkpoints of more than so many events, of the fewest first, each with its size; an error where the table has something else
/// in its place.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn checkpoints_above(
    client: &impl GenericClient,
    size: i64,
    most: i64,
) -> Result<Vec<(i64, Result<StoredCheckpoint, NoteError>)>, JournalError> {
    let statement = client.prepare_cached(include_str!("sql/checkpoints_above.sql")).await?;
    let rows = client.query(&statement, &[&size, &most]).await?;
    Ok(rows.iter().map(|row| (row.get("size"), stored(row))).collect())
}

/// Returns the last checkpoint, and the last one that each witness has cosigned, the smallest first.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn cosigned_and_last(client: &impl GenericClient) -> Result<Vec<StoredCheckpoint>, JournalError> {
    let statement = client.prepare_cached(include_str!("sql/cosigned_and_last.sql")).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().filter_map(|row| stored(row).ok()).collect())
}

/// Returns the last checkpoint; `None` before the first one.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn last_checkpoint(client: &impl GenericClient) -> Result<Option<StoredCheckpoint>, JournalError> {
    Ok(checkpoints_below(client, i64::MAX, 1).await?.pop())
}

/// A row of checkpoints. It is something else where the table was edited, which a verification tells of.
fn stored(row: &Row) -> Result<StoredCheckpoint, NoteError> {
    let mut note: SignedNote = row.get::<_, &str>("note").parse()?;
    for line in row.get::<_, Vec<&str>>("signatures") {
        note.signatures.push(line.parse()?);
    }
    let witnesses: Vec<String> = row.get("witnesses");
    let times: Vec<DateTime<Utc>> = row.get("times");
    Ok(StoredCheckpoint {
        size: row.get("size"),
        at: row.get("at"),
        checkpoint: note.text.parse()?,
        note,
        cosignatures: witnesses.into_iter().zip(times).collect(),
    })
}

/// Returns the hash of each part of the tree; `None` where the database lacks one of its nodes.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn part_hashes(
    client: &impl GenericClient,
    parts: &[TreePart],
) -> Result<Option<Vec<TreeHash>>, JournalError> {
    let nodes: Vec<TreeNode> = parts.iter().flatten().copied().collect();
    let mut known = HashMap::new();
    let (low, high): (Vec<TreeNode>, Vec<TreeNode>) =
        nodes.into_iter().partition(|node| node.level < TILE_HEIGHT);
    of_leaves(client, &low, &mut known).await?;
    of_tiles(client, &high, &mut known).await?;
    let hash = |part: &TreePart| {
        let hashes: Option<Vec<TreeHash>> = part.iter().map(|node| known.get(node).copied()).collect();
        Some(tree::join(&hashes?))
    };
    Ok(parts.iter().map(hash).collect())
}

/// Returns the hashes of a tile; `None` where the tree that was signed last has not so many there.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn tile(client: &impl GenericClient, tile: TilePath) -> Result<Option<Vec<u8>>, JournalError> {
    let size = proofs::tree_size(client).await?;
    let each = 1 << (TILE_HEIGHT * u32::from(tile.level));
    let first = tile.index.checked_mul(TILE_WIDTH.into());
    let end = first.and_then(|first| (first + i64::from(tile.width)).checked_mul(each));
    if end.is_none_or(|end| end > size) {
        return Ok(None);
    }
    let hashes: Vec<u8> = if tile.level == 0 {
        let first = tile.index * i64::from(TILE_WIDTH) + 1;
        let last = first + i64::from(tile.width) - 1;
        let statement = client.prepare_cached(include_str!("sql/leaves.sql")).await?;
        let rows = client.query(&statement, &[&vec![first], &vec![last]]).await?;
        rows.iter().flat_map(|row| row.get::<_, Vec<u8>>("leaf")).collect()
    } else {
        let statement = client.prepare_cached(include_str!("sql/hashes.sql")).await?;
        let (levels, tiles) = (vec![i16::from(tile.level)], vec![tile.index]);
        let widths = vec![i32::from(tile.width)];
        let rows = client.query(&statement, &[&levels, &tiles, &vec![0], &widths]).await?;
        rows.first().map(|row| row.get("hashes")).unwrap_or_default()
    };
    Ok((hashes.len() == usize::from(tile.width) * 32).then_some(hashes))
}

async fn of_leaves(
    client: &impl GenericClient,
    nodes: &[TreeNode],
    known: &mut HashMap<TreeNode, TreeHash>,
) -> Result<(), JournalError> {
    if nodes.is_empty() {
        return Ok(());
    }
    let number = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
    let firsts: Vec<i64> = nodes.iter().map(|node| number((node.index << node.level) + 1)).collect();
    let lasts: Vec<i64> = nodes.iter().map(|node| number((node.index + 1) << node.level)).collect();
    let statement = client.prepare_cached(include_str!("sql/leaves.sql")).await?;
    let mut leaves: Vec<Vec<u8>> = vec![Vec::new(); nodes.len()];
    for row in client.query(&statement, &[&firsts, &lasts]).await? {
        let part = usize::try_from(row.get::<_, i64>("part")).unwrap_or_default();
        leaves[part - 1].extend_from_slice(row.get("leaf"));
    }
    known.extend(
        nodes.iter().zip(&leaves).filter_map(|(node, leaves)| Some((*node, over(leaves, node.level)?))),
    );
    Ok(())
}

async fn of_tiles(
    client: &impl GenericClient,
    nodes: &[TreeNode],
    known: &mut HashMap<TreeNode, TreeHash>,
) -> Result<(), JournalError> {
    if nodes.is_empty() {
        return Ok(());
    }
    let place = |node: &TreeNode| {
        let (level, within) = (node.level / TILE_HEIGHT, node.level % TILE_HEIGHT);
        let first = node.index << within;
        let level = i16::try_from(level).expect("a tree has 64 levels");
        let tile = i64::try_from(first >> TILE_HEIGHT).expect("numbers of events are below 2⁶³");
        (level, tile, i32::try_from(first & 255).expect("below 256"), 1_i32 << within)
    };
    let places: Vec<_> = nodes.iter().map(place).collect();
    let levels: Vec<i16> = places.iter().map(|place| place.0).collect();
    let tiles: Vec<i64> = places.iter().map(|place| place.1).collect();
    let firsts: Vec<i32> = places.iter().map(|place| place.2).collect();
    let counts: Vec<i32> = places.iter().map(|place| place.3).collect();
    let statement = client.prepare_cached(include_str!("sql/hashes.sql")).await?;
    for row in client.query(&statement, &[&levels, &tiles, &firsts, &counts]).await? {
        let part = usize::try_from(row.get::<_, i64>("part")).unwrap_or_default();
        let node = nodes[part - 1];
        known.extend(over(row.get("hashes"), node.level % TILE_HEIGHT).map(|hash| (node, hash)));
    }
    Ok(())
}

/// The hash over `2^height` hashes; none where they are not so many.
fn over(hashes: &[u8], height: u32) -> Option<TreeHash> {
    let (chunks, rest) = hashes.as_chunks::<32>();
    let mut level: Vec<TreeHash> = chunks.iter().copied().map(TreeHash).collect();
    if !rest.is_empty() || level.len() != 1 << height {
        return None;
    }
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| TreeHash::of_children(&pair[0], &pair[1])).collect();
    }
    level.pop()
}
