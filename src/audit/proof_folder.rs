//! The log as a folder of files, which proves by itself, without any database, that it is whole: every event as it is stored, the tiles of
//! the tree (C2SP `tlog-tiles`), and checkpoints.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::logged_event::{ChainFault, EventChain, LoggedEvent};
use super::verify::{LogPlace, VerificationProgress, VerificationReport, nameless};
use super::{PAGE, snapshot};
use crate::journal::{Journal, JournalError};
use crate::transparency::TrustedKeys;
use crate::transparency::note::SignedNote;
use crate::transparency::store;
use crate::transparency::tile::{TILE_WIDTH, TilePath};
use crate::transparency::tree::{TreeEdge, TreeHash};
use crate::transparency::verification::TreeVerification;

/// The file of the events, a line of JSON each, in the order of the log.
const EVENTS: &str = "events.ndjson";

/// The file of checkpoints, a line of JSON each, the smallest first.
const CHECKPOINTS: &str = "checkpoints.ndjson";

/// The folder of tiles.
const TILES: &str = "tile";

/// How many bytes a whole tile has.
const TILE_BYTES: usize = TILE_WIDTH as usize * 32;

/// Why there is no folder, or why it cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum ProofFolderError {
    /// The database gave no answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Nothing was signed yet.
    #[error(
        "the log has no checkpoint yet: it gets one within a second of its first event, while the service runs"
    )]
    Unsigned,
}

impl From<tokio_postgres::Error> for ProofFolderError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Journal(error.into())
    }
}

fn of(path: &Path) -> impl Fn(io::Error) -> ProofFolderError {
    move |error| ProofFolderError::File { path: path.to_owned(), error }
}

/// A line of the file of checkpoints.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    size: i64,
    note: String,
}

/// Writes the log up to its last checkpoint into a new folder. Returns how many events it has.
///
/// # Errors
/// [`ProofFolderError`]; what was written so far stays.
pub async fn export_proofs(
    journal: &Journal,
    folder: &Path,
    progress: &mut impl FnMut(VerificationProgress),
) -> Result<i64, ProofFolderError> {
    let mut connection = journal.database().connection().await.map_err(JournalError::from)?;
    let snapshot = snapshot(&mut connection).await?;
    let last = store::last_checkpoint(&snapshot).await?.ok_or(ProofFolderError::Unsigned)?;
    fs::create_dir(folder).map_err(of(folder))?;
    let path = folder.join(EVENTS);
    let mut events = BufWriter::new(File::create_new(&path).map_err(of(&path))?);
    let statement = snapshot.prepare_cached(include_str!("sql/logged_events.sql")).await?;
    let mut tiles = TileWriter::new(folder);
    let mut before = 0;
    while before < last.size {
        let most = PAGE.min(last.size - before);
        let rows = snapshot.query(&statement, &[&before, &most]).await?;
        for row in &rows {
            let event = LoggedEvent::of_row(row);
            serde_json::to_writer(&mut events, &event).map_err(io::Error::from).map_err(of(&path))?;
            events.write_all(b"\n").map_err(of(&path))?;
            before = event.seq;
            let leaf = TreeHash(row.get::<_, &[u8]>("leaf").try_into().unwrap_or_default());
            tiles.push(leaf)?;
        }
        let done = u64::try_from(before).unwrap_or_default();
        progress(VerificationProgress { done, of: u64::try_from(last.size).unwrap_or_default() });
        if rows.is_empty() {
            break;
        }
    }
    events.flush().map_err(of(&path))?;
    tiles.end()?;
    let path = folder.join(CHECKPOINTS);
    let mut checkpoints = File::create_new(&path).map_err(of(&path))?;
    for checkpoint in store::cosigned_and_last(&snapshot).await? {
        let line = CheckpointLine { size: checkpoint.size, note: checkpoint.note.to_string() };
        let line = serde_json::to_string(&line).expect("texts and numbers are JSON");
        writeln!(checkpoints, "{line}").map_err(of(&path))?;
    }
    Ok(last.size)
}

/// Collects the hashes of tiles, by their levels.
struct Tiles {
    tree: TreeEdge,
    levels: Vec<Vec<u8>>,
}

impl Tiles {
    fn new() -> Self {
        Self { tree: TreeEdge::default(), levels: vec![Vec::new()] }
    }

    /// Adds a leaf. Returns the tiles that are whole with it.
    fn push(&mut self, leaf: TreeHash) -> Vec<(TilePath, Vec<u8>)> {
        let levels = &mut self.levels;
        let mut whole = Vec::new();
        self.tree.push(leaf, |node, hash| {
            if !node.level.is_multiple_of(8) {
                return;
            }
            let level = (node.level / 8) as usize;
            levels.resize_with(levels.len().max(level + 1), Vec::new);
            levels[level].extend_from_slice(&hash.0);
            if levels[level].len() == TILE_BYTES {
                whole.push((
                    tile(level, node.index / u64::from(TILE_WIDTH), TILE_BYTES),
                    std::mem::take(&mut levels[level]),
                ));
            }
        });
        whole
    }

    /// The tiles that are not whole in the end.
    fn end(self) -> Vec<(TilePath, Vec<u8>)> {
        let size = self.tree.size();
        let begun = self.levels.into_iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        begun.map(|(level, hashes)| (tile(level, size >> (8 * level + 8), hashes.len()), hashes)).collect()
    }
}

fn tile(level: usize, index: u64, bytes: usize) -> TilePath {
    TilePath {
        level: u8::try_from(level).unwrap_or(u8::MAX),
        index: i64::try_from(index).unwrap_or(i64::MAX),
        width: u16::try_from(bytes / 32).unwrap_or(TILE_WIDTH),
    }
}

struct TileWriter {
    tiles: Tiles,
    folder: PathBuf,
}

impl TileWriter {
    fn new(folder: &Path) -> Self {
        Self { tiles: Tiles::new(), folder: folder.join(TILES) }
    }

    fn push(&mut self, leaf: TreeHash) -> Result<(), ProofFolderError> {
        let whole = self.tiles.push(leaf);
        write_tiles(&self.folder, whole)
    }

    fn end(self) -> Result<(), ProofFolderError> {
        let Self { tiles, folder } = self;
        write_tiles(&folder, tiles.end())
    }
}

fn write_tiles(folder: &Path, tiles: Vec<(TilePath, Vec<u8>)>) -> Result<(), ProofFolderError> {
    for (tile, hashes) in tiles {
        let path = folder.join(tile.to_string());
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(of(parent))?;
        fs::write(&path, hashes).map_err(of(&path))?;
    }
    Ok(())
}

/// Verifies a folder that [`export_proofs`] wrote, by keys that the caller brings.
///
/// # Errors
/// [`ProofFolderError`] when a file cannot be read. What a file says is no error; the report tells what is wrong.
pub fn verify_folder(
    folder: &Path,
    keys: &TrustedKeys,
    progress: &mut impl FnMut(VerificationProgress),
) -> Result<VerificationReport, ProofFolderError> {
    let mut verification = FolderVerification {
        folder,
        checkpoints: read_checkpoints(folder)?,
        chains: HashMap::new(),
        tree: TreeVerification::new(keys),
        tiles: Tiles::new(),
        is_whole: true,
        found: VerificationReport::default(),
    };
    let path = folder.join(EVENTS);
    let file = File::open(&path).map_err(of(&path))?;
    let of_all = file.metadata().map_err(of(&path))?.len();
    let (mut before, mut read) = (0, 0);
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(of(&path))?;
        read += line.len() as u64 + 1;
        before = verification.follow(before, &line)?;
        if verification.found.events.is_multiple_of(1_000) {
            progress(VerificationProgress { done: read, of: of_all });
        }
    }
    verification.end(before)
}

/// The checkpoints of a folder, by their sizes; what cannot be read stands in their place.
fn read_checkpoints(folder: &Path) -> Result<BTreeMap<i64, Option<SignedNote>>, ProofFolderError> {
    let path = folder.join(CHECKPOINTS);
    let text = fs::read(&path).map_err(of(&path))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    // A line that says nothing of itself is one of no size, which no log has.
    let checkpoint = |line: &[u8]| match serde_json::from_slice::<CheckpointLine>(line) {
        Ok(line) => (line.size, line.note.parse().ok()),
        Err(_) => (0, None),
    };
    Ok(lines.map(checkpoint).collect())
}

struct FolderVerification<'a> {
    folder: &'a Path,
    checkpoints: BTreeMap<i64, Option<SignedNote>>,
    chains: HashMap<(String, String), EventChain>,
    tree: TreeVerification<'a>,
    tiles: Tiles,
    /// Whether every number so far had its event.
    is_whole: bool,
    found: VerificationReport,
}

impl FolderVerification<'_> {
    /// Takes the line of the next number. Returns its number.
    fn follow(&mut self, before: i64, line: &[u8]) -> Result<i64, ProofFolderError> {
        let event: Option<LoggedEvent> = serde_json::from_slice(line).ok();
        let Some(event) = event.filter(|event| event.sealed().is_ok()) else {
            self.is_whole = false;
            self.found.altered(|| nameless(before + 1, "this line is no event"));
            return Ok(before + 1);
        };
        if event.seq != before + 1 {
            self.is_whole = false;
            self.found.missing(|| nameless(before + 1, "this number is not there"));
        }
        self.found.events += 1;
        let place = |what| LogPlace {
            position: Some(event.seq),
            account_id: Some(event.aggregate_id.clone()),
            sequence: Some(event.sequence),
            what,
        };
        let stream = (event.aggregate_type.clone(), event.aggregate_id.clone());
        match self.chains.entry(stream).or_default().follow(&event) {
            Ok(_) => {}
            Err(ChainFault::Missing) => {
                self.found.missing(|| place("the event before this one is not there"));
            }
            Err(ChainFault::Altered) => {
                self.found
                    .altered(|| place("this event, or the one before it, is not what its leaf was made of"));
            }
        }
        match TreeHash::from_hex(&event.leaf) {
            Some(leaf) if self.is_whole => self.grow(event.seq, leaf)?,
            Some(_) | None => self.is_whole = false,
        }
        Ok(event.seq)
    }

    /// Adds a leaf to the tree, and compares the tiles and the checkpoint that are whole with it.
    fn grow(&mut self, seq: i64, leaf: TreeHash) -> Result<(), ProofFolderError> {
        if let Err(fault) = self.tree.push(leaf, |_, _| {}) {
            self.found.altered(|| nameless(seq, fault.what()));
        }
        for (tile, hashes) in self.tiles.push(leaf) {
            self.compare_tile(tile, &hashes, seq)?;
        }
        if let Some(note) = self.checkpoints.remove(&seq) {
            let compared = match note {
                Some(note) => self.tree.compare(&note).map_err(|fault| fault.what()),
                None => Err("the checkpoint of this number cannot be read"),
            };
            if let Err(what) = compared {
                self.found.altered(|| nameless(seq, what));
            }
        }
        Ok(())
    }

    fn compare_tile(&mut self, tile: TilePath, hashes: &[u8], seq: i64) -> Result<(), ProofFolderError> {
        let path = self.folder.join(TILES).join(tile.to_string());
        match fs::read(&path) {
            Ok(kept) if kept == hashes => {}
            Ok(_) => self
                .found
                .altered(|| nameless(seq, "the tile up to this number is not what the events come to")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.found.missing(|| nameless(seq, "the tile up to this number is not there"));
            }
            Err(error) => return Err(of(&path)(error)),
        }
        Ok(())
    }

    fn end(mut self, last: i64) -> Result<VerificationReport, ProofFolderError> {
        if self.is_whole {
            let tiles = std::mem::replace(&mut self.tiles, Tiles::new());
            for (tile, hashes) in tiles.end() {
                self.compare_tile(tile, &hashes, last)?;
            }
        }
        // What was not met on the way is beyond the end, or is no checkpoint at all.
        if let Some((size, note)) = self.checkpoints.pop_first() {
            match note {
                Some(_) if size > last => {
                    self.found.missing(|| {
                        nameless(last + 1, "the log was signed with this number, which is not there")
                    });
                }
                Some(_) | None => {
                    self.found.altered(|| nameless(size, "the checkpoint of this number cannot be read"));
                }
            }
        }
        if self.tree.unreached().is_some() && self.is_whole {
            self.found.missing(|| {
                nameless(last + 1, "a checkpoint that was kept has this number, which is not there")
            });
        }
        self.found.accounts = self.chains.len() as u64;
        (self.found.checkpoints, self.found.signed, self.found.witnesses) = self.tree.finish();
        // A folder without its last checkpoint says nothing of what came after it.
        if self.found.signed < last {
            self.found.altered(|| nameless(last, "no trusted key has signed the log up to its last number"));
        }
        Ok(self.found)
    }
}
