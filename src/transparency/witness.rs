//! A witness (C2SP `tlog-witness`, from the side of the witness): it cosigns checkpoints of other logs, each only where the log goes on from
//! what the witness has cosigned before. So no log can show one history to some and another to others.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};

use super::note::{Checkpoint, KeyName, NoteError, NoteSigner, SignedNote, SignerKind, VerifierKey};
use super::tree::{TreeHash, TreeHead, proves_consistency};

/// How many hashes a proof has at most.
const LONGEST_PROOF: usize = 63;

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The folder of what was cosigned cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another witness works in the folder.
    #[error("{0}: another witness works in this folder")]
    Taken(PathBuf),
    /// A file of the folder is not what a witness wrote. It is not passed over: a fork could be signed then.
    #[error("{path}: {error}")]
    Altered {
        /// The file of a log.
        path: PathBuf,
        /// What is wrong with it.
        error: NoteError,
    },
    /// A key is that of a witness, and not of a log.
    #[error("{0}: it is the key of a witness, and not of a log")]
    NoLog(KeyName),
}

/// A request that a witness refuses, with the status that C2SP `tlog-witness` gives for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessRefusal {
    /// The request has another form: 400.
    Malformed(&'static str),
    /// No key of the log is trusted: 404.
    UnknownLog,
    /// No trusted key has signed the checkpoint: 403.
    NotSigned,
    /// The witness has cosigned the log with this size, and not with the one that the request goes on from: 409.
    OtherSize(u64),
    /// The log was cosigned with the same size and another root: 409.
    OtherRoot,
    /// The proof does not show that the log goes on: 422.
    Unproved,
    /// What is cosigned cannot be kept, so it is not cosigned: 503.
    NotKept(String),
}

/// A witness of some logs.
#[derive(Debug)]
pub struct Witness {
    signer: NoteSigner,
    folder: PathBuf,
    /// By their names: the keys of a log, and what was cosigned of it last.
    logs: BTreeMap<KeyName, Mutex<WitnessedLog>>,
    /// Held as long as this witness works in the folder.
    _lock: File,
}

#[derive(Debug)]
struct WitnessedLog {
    keys: Vec<VerifierKey>,
    last: TreeHead,
}

impl Witness {
    /// A witness of the logs with these keys, which keeps what it has cosigned in a folder: a file for each log.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(
        signer: NoteSigner,
        keys: impl IntoIterator<Item = VerifierKey>,
        folder: &Path,
    ) -> Result<Self, WitnessError> {
        fs::create_dir_all(folder).map_err(of(folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(of(&path))?;
        lock.try_lock().map_err(|_| WitnessError::Taken(folder.to_owned()))?;
        let mut by_name: BTreeMap<KeyName, Vec<VerifierKey>> = BTreeMap::new();
        for key in keys {
            if key.kind != SignerKind::Log {
                return Err(WitnessError::NoLog(key.name));
            }
            by_name.entry(key.name.clone()).or_default().push(key);
        }
        let mut logs = BTreeMap::new();
        for (name, keys) in by_name {
            let last = read_last(&file_of(folder, &name), &signer)?;
            logs.insert(name, Mutex::new(WitnessedLog { keys, last }));
        }
        Ok(Self { signer, folder: folder.to_owned(), logs, _lock: lock })
    }

    /// The key by which others verify its cosignatures.
    pub fn key(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Answers the request `add-checkpoint`: the line of the cosignature.
    ///
    /// # Errors
    /// [`WitnessRefusal`]; nothing is cosigned then.
    pub fn add_checkpoint(&self, request: &str, now: DateTime<Utc>) -> Result<String, WitnessRefusal> {
        let AddCheckpoint { old, proof, note } = AddCheckpoint::parse(request)?;
        let checkpoint: Checkpoint =
            note.text.parse().map_err(|_| WitnessRefusal::Malformed("the note is no checkpoint"))?;
        let log = self.logs.get(&checkpoint.origin).ok_or(WitnessRefusal::UnknownLog)?;
        // A thread that panicked has written nothing half: the file is renamed, and the size is set after it.
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if !log.keys.iter().any(|key| note.verify(key).is_ok()) {
            return Err(WitnessRefusal::NotSigned);
        }
        if old > checkpoint.head.size {
            return Err(WitnessRefusal::Malformed("the old size is larger than that of the checkpoint"));
        }
        if old != log.last.size {
            return Err(WitnessRefusal::OtherSize(log.last.size));
        }
        if old == checkpoint.head.size && old > 0 && log.last.root != checkpoint.head.root {
            return Err(WitnessRefusal::OtherRoot);
        }
        if !proves_consistency(&log.last, &checkpoint.head, &proof) {
            return Err(WitnessRefusal::Unproved);
        }
        let signature = self.signer.cosign(&checkpoint, now);
        let line = format!("{signature}\n");
        let kept = SignedNote { text: note.text, signatures: vec![signature] };
        let written = self.write(&checkpoint.origin, &kept.to_string());
        written.map_err(|error| WitnessRefusal::NotKept(error.to_string()))?;
        log.last = checkpoint.head;
        Ok(line)
    }

    /// Keeps what is cosigned, on the disk, before anyone is told of it.
    fn write(&self, origin: &KeyName, note: &str) -> Result<(), WitnessError> {
        let path = file_of(&self.folder, origin);
        let draft = path.with_extension("new");
        let mut file = File::create(&draft).map_err(of(&draft))?;
        file.write_all(note.as_bytes()).and_then(|()| file.sync_all()).map_err(of(&draft))?;
        fs::rename(&draft, &path).map_err(of(&path))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(of(&self.folder))
    }
}

/// What was cosigned of a log last; the empty tree where nothing was.
fn read_last(path: &Path, signer: &NoteSigner) -> Result<TreeHead, WitnessError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(TreeHead { size: 0, root: TreeHash::of_empty_tree() });
        }
        Err(error) => return Err(of(path)(error)),
    };
    let altered = |error| WitnessError::Altered { path: path.to_owned(), error };
    let note: SignedNote = text.parse().map_err(altered)?;
    note.verify_witness(signer.verifier()).map_err(altered)?;
    let checkpoint: Checkpoint = note.text.parse().map_err(altered)?;
    Ok(checkpoint.head)
}

/// Names have slashes; their hashes do not.
fn file_of(folder: &Path, origin: &KeyName) -> PathBuf {
    let hash = digest(&SHA256, origin.as_str().as_bytes());
    let name: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{name}.note"))
}

fn of(path: &Path) -> impl Fn(io::Error) -> WitnessError {
    move |error| WitnessError::File { path: path.to_owned(), error }
}

/// What the request `add-checkpoint` says.
struct AddCheckpoint {
    old: u64,
    proof: Vec<TreeHash>,
    note: SignedNote,
}

impl AddCheckpoint {
    fn parse(request: &str) -> Result<Self, WitnessRefusal> {
        let malformed = WitnessRefusal::Malformed;
        let (head, note) =
            request.split_once("\n\n").ok_or(malformed("there is no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(|text| text.parse::<u64>().ok().filter(|old| old.to_string() == text));
        let old = old.ok_or(malformed("the first line is not the old size"))?;
        let proof: Option<Vec<TreeHash>> = lines.map(TreeHash::from_base64).collect();
        let proof = proof.filter(|proof| proof.len() <= LONGEST_PROOF);
        let proof = proof.ok_or(malformed("the proof is not of at most 63 hashes"))?;
        let note = note.parse().map_err(|_| malformed("the checkpoint is no signed note"))?;
        Ok(Self { old, proof, note })
    }
}

#[cfg(test)]
mod tests;
