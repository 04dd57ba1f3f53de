//! The erasure register: a file outside the database with a line for each erasure. A restored backup brings erased accounts back, and
//! the register says which.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use counterfoil_domain::values::AccountId;
use serde::{Deserialize, Serialize};

use super::erasure::DestroyedData;

/// The file, as a node knows it. Several processes can share one file: each locks it while it writes.
#[derive(Clone, Debug)]
pub struct ErasureRegister {
    path: Arc<Path>,
    lines: Arc<Mutex<KnownLines>>,
    has_caught_up: Arc<AtomicBool>,
}

/// The lines that were read or written so far.
#[derive(Debug, Default)]
struct KnownLines {
    accounts: BTreeSet<AccountId>,
    /// How many bytes of the file they take.
    bytes: u64,
}

/// A line of the register. It holds nothing personal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RegisteredErasure {
    account_id: AccountId,
    erased_at: DateTime<Utc>,
    sequence: i64,
    leaf: String,
}

impl From<&DestroyedData> for RegisteredErasure {
    fn from(erasure: &DestroyedData) -> Self {
        let DestroyedData { account_id, erased_at, sequence, .. } = *erasure;
        Self { account_id, erased_at, sequence, leaf: erasure.leaf.clone() }
    }
}

/// Why the register cannot be read or written. The text names the file.
#[derive(Debug, thiserror::Error)]
#[error("the erasure register {}: {error}", path.display())]
pub struct RegisterError {
    path: PathBuf,
    error: io::Error,
}

impl ErasureRegister {
    /// The register in that file, which begins to exist when it is first opened.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), lines: Arc::default(), has_caught_up: Arc::default() }
    }

    /// Whether the database of this node is known to have every erasure of the register, and the register every one of the database.
    pub fn has_caught_up(&self) -> bool {
        self.has_caught_up.load(Ordering::Acquire)
    }

    pub(super) fn caught_up(&self) {
        self.has_caught_up.store(true, Ordering::Release);
    }

    /// The accounts that have a line.
    ///
    /// # Errors
    /// [`RegisterError`] when the file cannot be read or written, or has a line that is none of ours.
    pub async fn accounts(&self) -> Result<Vec<AccountId>, RegisterError> {
        self.with_lines(|file, lines| {
            lines.read_on(file)?;
            Ok(lines.accounts.iter().copied().collect())
        })
        .await
    }

    /// The accounts that have a line in a file, which is left as it is.
    ///
    /// # Errors
    /// [`RegisterError`] when the file does not exist or cannot be read, or has a line that is none of ours.
    pub fn accounts_in(path: &Path) -> Result<Vec<AccountId>, RegisterError> {
        let mut lines = KnownLines::default();
        let read = File::open(path).and_then(|mut file| lines.read_on(&mut file));
        read.map_err(|error| RegisterError { path: path.to_path_buf(), error })?;
        Ok(lines.accounts.into_iter().collect())
    }

    /// Writes a line for each of the erasures that has none; they are on the disk afterwards. Returns how many were written.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts); it can be done again then.
    pub(super) async fn add(&self, erasures: &[DestroyedData]) -> Result<usize, RegisterError> {
        let added: Vec<_> = erasures.iter().map(RegisteredErasure::from).collect();
        self.with_lines(move |file, lines| {
            lines.read_on(file)?;
            lines.add(file, added)
        })
        .await
    }

    /// Opens and locks the file, on a thread that may wait for the disk.
    async fn with_lines<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File, &mut KnownLines) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RegisterError> {
        let register = self.clone();
        let work = move || {
            let mut lines = register.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let mut file = open(&register.path)?;
            file.lock()?;
            work(&mut file, &mut lines)
        };
        let done =
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| RegisterError { path: self.path.to_path_buf(), error })
    }
}

impl KnownLines {
    /// Reads the lines that were added to the file since the last time. What stands after the last of them is no line yet.
    fn read_on(&mut self, file: &mut File) -> io::Result<()> {
        if file.metadata()?.len() < self.bytes {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.bytes))?;
        let mut reader = BufReader::new(&mut *file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let erasure: RegisteredErasure = serde_json::from_slice(&line).map_err(|error| {
                let at = self.bytes;
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the line at byte {at} is no erasure: {error}"),
                )
            })?;
            self.accounts.insert(erasure.account_id);
            self.bytes += line.len() as u64;
            line.clear();
        }
        Ok(())
    }

    /// Writes the lines of accounts that have none, after the last line. A part of a line there was cut off by a crash, before its
    /// erasure was acknowledged.
    fn add(&mut self, file: &mut File, erasures: Vec<RegisteredErasure>) -> io::Result<usize> {
        let missing = erasures.iter().filter(|erasure| !self.accounts.contains(&erasure.account_id));
        let missing: Vec<&RegisteredErasure> = missing.collect();
        let mut text = Vec::new();
        for erasure in &missing {
            serde_json::to_writer(&mut text, erasure)?;
            text.push(b'\n');
        }
        if !missing.is_empty() {
            file.set_len(self.bytes)?;
            file.write_all(&text)?;
            file.sync_data()?;
        }
        self.accounts.extend(missing.iter().map(|erasure| erasure.account_id));
        self.bytes += text.len() as u64;
        Ok(missing.len())
    }
}

/// Opens the file to read and to append. A file that is made anew is on the disk with its name, readable by its owner and group.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let file = options.create(true).mode(0o640).open(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    tracing::info!(path = %path.display(), "began an erasure register");
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::path::PathBuf;

    use chrono::DateTime;
    use counterfoil_domain::values::AccountId;
    use uuid::Uuid;

    use super::{DestroyedData, ErasureRegister};

    /// A file that is deleted with this value.
    struct TestFile(PathBuf);

    impl TestFile {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("counterfoil-{name}-{}", std::process::id()));
            drop(std::fs::remove_file(&path));
            Self(path)
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            drop(std::fs::remove_file(&self.0));
        }
    }

    fn erasure(n: u128) -> DestroyedData {
        DestroyedData {
            account_id: AccountId(Uuid::from_u128(n)),
            erased_at: DateTime::UNIX_EPOCH,
            sequence: 9,
            leaf: "63f4".to_owned(),
            keys: vec!["person".to_owned()],
            rows: BTreeMap::new(),
        }
    }

    fn account(n: u128) -> AccountId {
        AccountId(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn each_account_has_one_line_whichever_of_two_nodes_writes_it() {
        let file = TestFile::new("register-lines");
        let (one, other) = (ErasureRegister::new(&file.0), ErasureRegister::new(&file.0));
        assert_eq!(one.add(&[erasure(1)]).await.unwrap(), 1);
        assert_eq!(other.add(&[erasure(1), erasure(2)]).await.unwrap(), 1);
        assert_eq!(one.add(&[erasure(2)]).await.unwrap(), 0);
        assert_eq!(one.accounts().await.unwrap(), [account(1), account(2)]);
        let text = std::fs::read_to_string(&file.0).unwrap();
        let line = r#"{"account_id":"00000000-0000-0000-0000-000000000001","erased_at":"1970-01-01T00:00:00Z","sequence":9,"leaf":"63f4"}"#;
        assert_eq!(text.lines().next(), Some(line));
        assert_eq!(text.lines().count(), 2);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_off_is_written_again_and_another_text_is_an_error() {
        let file = TestFile::new("register-torn");
        ErasureRegister::new(&file.0).add(&[erasure(1)]).await.unwrap();
        let append = |text: &str| {
            let mut opened = std::fs::OpenOptions::new().append(true).open(&file.0).unwrap();
            opened.write_all(text.as_bytes()).unwrap();
        };
        append(r#"{"account_id":"00000000-0000-0000-0000-0000"#);
        let register = ErasureRegister::new(&file.0);
        assert_eq!(register.accounts().await.unwrap(), [account(1)]);
        assert_eq!(register.add(&[erasure(2)]).await.unwrap(), 1);
        assert_eq!(ErasureRegister::new(&file.0).accounts().await.unwrap(), [account(1), account(2)]);
        append("account 3\n");
        let error = ErasureRegister::new(&file.0).accounts().await.unwrap_err().to_string();
        assert!(error.contains("is no erasure"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_was_put_in_its_place_is_read_from_its_beginning() {
        let file = TestFile::new("register-replaced");
        let register = ErasureRegister::new(&file.0);
        register.add(&[erasure(1), erasure(2)]).await.unwrap();
        std::fs::write(&file.0, "").unwrap();
        assert_eq!(register.add(&[erasure(1)]).await.unwrap(), 1);
        assert_eq!(register.accounts().await.unwrap(), [account(1)]);
    }
}
