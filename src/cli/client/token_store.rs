//! Where the tokens of a sign-in are kept between commands: a file that only its user can read.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::Failure;

/// The tokens of a sign-in to a server.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredTokens {
    pub access_token: String,
    pub refresh_token: String,
}

/// The file of the tokens, locked for as long as this lives: of two commands that refresh at once, one waits for the other's token.
pub struct TokenStore {
    path: PathBuf,
    tokens: BTreeMap<String, StoredTokens>,
    _lock: File,
}

/// Returns the folder of the tokens (XDG Base Directory Specification).
fn folder() -> Result<PathBuf, Failure> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let state = state.ok_or("neither XDG_STATE_HOME nor HOME names a folder to keep the tokens in")?;
    Ok(state.join("counterfoil"))
}

impl TokenStore {
    /// Opens the file, and waits until no other command has it.
    ///
    /// # Errors
    /// When it cannot be read, or others than its user can.
    pub fn open() -> Result<Self, Failure> {
        let folder = folder()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let private = |options: &mut OpenOptions| options.mode(0o600).clone();
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(folder.join("tokens.lock"))?;
        lock.lock()?;
        let path = folder.join("tokens.json");
        let tokens = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error.into()),
            Ok(mut file) => {
                let mode = file.metadata()?.permissions().mode();
                if mode & 0o077 != 0 {
                    let path = path.display();
                    return Err(format!(
                        "{path} can be read by other users; `chmod 600 {path}` or delete it"
                    )
                    .into());
                }
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        Ok(Self { path, tokens, _lock: lock })
    }

    /// Returns the tokens for a server.
    pub fn tokens(&self, server: &str) -> Option<&StoredTokens> {
        self.tokens.get(server)
    }

    /// Keeps the tokens for a server, or forgets them.
    ///
    /// # Errors
    /// When the file cannot be written; it is then as it was.
    pub fn keep(&mut self, server: &str, tokens: Option<StoredTokens>) -> Result<(), Failure> {
        match tokens {
            Some(tokens) => self.tokens.insert(server.to_owned(), tokens),
            None => self.tokens.remove(server),
        };
        let draft = self.path.with_extension("draft");
        // A draft that a command left behind when it was killed.
        drop(fs::remove_file(&draft));
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(serde_json::to_string(&self.tokens)?.as_bytes())?;
        file.sync_all()?;
        Ok(fs::rename(&draft, &self.path)?)
    }
}
