//! The keyring's file: read, made, and changed as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::process::{Gid, getegid, getgroups};
use zeroize::Zeroizing;

use super::{Keyring, KeyringError};
use crate::crypto::entropy;

impl Keyring {
    /// Reads a keyring from a file that its owner alone can read, or its owner and a group of this process: platforms of
    /// containers hand secrets to a group.
    ///
    /// # Errors
    /// [`KeyringError`] when it cannot be read, can be read by others, or is no keyring.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        Self::parse(&read_private(path)?)
    }

    /// The same, for a keyring that may have been made before there was one of the purposes: to be looked at or completed,
    /// not to be served with.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_former(path: &Path) -> Result<Self, KeyringError> {
        Self::parse_former(&read_private(path)?)
    }

    /// Writes the keyring to a new file, readable by its owner alone.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), KeyringError> {
        let (draft, _) = self.draft(path)?;
        // Linked into place when complete, so that another node never reads half of it.
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft).map_err(of(path))?;
        linked.map_err(of(path))
    }

    /// Changes the keyring in a file. A process that reads it meanwhile reads all of the old one or all of the new one, and of
    /// two who change it at once the second changes what the first has left.
    ///
    /// # Errors
    /// What `change` refuses, and [`KeyringError`] when the file cannot be read or written; it is then as it was.
    pub fn change<T, E: From<KeyringError>>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // A link stays a link: what it points at is replaced.
        let path = &fs::canonicalize(path).map_err(of(path))?;
        let folder = File::open(path.parent().unwrap_or(Path::new("/"))).map_err(of(path))?;
        // The folder and not the file, since the file that was locked would not be the one that is there in the end.
        folder.lock().map_err(of(path))?;
        let mut keyring = Self::read_former(path)?;
        let changed = change(&mut keyring)?;
        keyring.replace(path, &folder)?;
        Ok(changed)
    }

    fn replace(&self, path: &Path, folder: &File) -> Result<(), KeyringError> {
        // What could not be read back is not written.
        Self::parse_former(&self.to_json()?)?;
        let owner = fs::metadata(path).map_err(of(path))?;
        let (draft, file) = self.draft(path)?;
        // The server reads it under its own user and group, which are not those of the administrator who rotates keys.
        let given = file.metadata().and_then(|made| {
            let same = (made.uid(), made.gid()) == (owner.uid(), owner.gid());
            if same { Ok(()) } else { fchown(&file, Some(owner.uid()), Some(owner.gid())) }
        });
        let given = given.and_then(|()| file.set_permissions(owner.permissions()));
        let renamed = given.and_then(|()| fs::rename(&draft, path)).and_then(|()| folder.sync_all());
        renamed.map_err(|error| {
            drop(fs::remove_file(&draft));
            of(path)(error)
        })
    }

    /// The keyring in a file beside the one that it is to become.
    fn draft(&self, path: &Path) -> Result<(PathBuf, File), KeyringError> {
        let text = self.to_json()?;
        // Where others can write to the folder, a name that they can guess could be a link of theirs.
        let draft = path.with_extension(format!("{:032x}.new", u128::from_be_bytes(entropy::bytes())));
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let mut file = opened.map_err(of(path))?;
        match file.write_all(&text).and_then(|()| file.sync_all()) {
            Ok(()) => Ok((draft, file)),
            Err(error) => {
                drop(fs::remove_file(&draft));
                Err(of(path)(error))
            }
        }
    }
}

/// The text of a file that is private.
fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let mut file = File::open(path).map_err(of(path))?;
    let metadata = file.metadata().map_err(of(path))?;
    let groups = groups_of_this_process().map_err(of(path))?;
    if !is_private(metadata.mode(), metadata.gid(), &groups) {
        return Err(KeyringError::Exposed(path.to_owned()));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.read_to_end(&mut text).map_err(of(path))?;
    Ok(text)
}

/// The groups whose rights this process has.
fn groups_of_this_process() -> io::Result<Vec<u32>> {
    let groups = getgroups()?.into_iter().chain([getegid()]);
    Ok(groups.map(Gid::as_raw).collect())
}

/// Whether a file of that mode and group can be read by its owner and those groups alone, and written by its owner alone.
fn is_private(mode: u32, group: u32, groups: &[u32]) -> bool {
    mode & 0o037 == 0 && (mode & 0o040 == 0 || groups.contains(&group))
}

fn of(path: &Path) -> impl Fn(io::Error) -> KeyringError {
    move |error| KeyringError::File { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::is_private;
    use crate::crypto::entropy;
    use crate::crypto::keyring::{KeyPurpose, KeyState, Keyring, KeyringError};

    /// A new keyring in a folder of its own, gone with this value.
    struct KeyringFile(PathBuf);

    impl KeyringFile {
        fn new() -> Self {
            let name = format!("counterfoil-{:032x}", u128::from_be_bytes(entropy::bytes()));
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).expect("a folder");
            let path = folder.join("keyring.json");
            Keyring::generate().create(&path).expect("made");
            Self(path)
        }
    }

    impl Drop for KeyringFile {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(self.0.parent().expect("a folder")));
        }
    }

    #[test]
    fn of_many_who_change_it_at_once_each_has_changed_it() {
        let file = KeyringFile::new();
        std::thread::scope(|scope| {
            for purpose in KeyPurpose::ALL {
                let path = &file.0;
                scope.spawn(move || {
                    Keyring::change(path, |keyring| keyring.rotate(purpose, None)).expect("rotates")
                });
            }
        });
        let keyring = Keyring::read(&file.0).expect("reads");
        for purpose in KeyPurpose::ALL {
            assert_eq!(
                keyring.of(purpose).filter(|key| key.state == KeyState::Pending).count(),
                1,
                "{purpose}"
            );
        }
        let folder = fs::read_dir(file.0.parent().expect("a folder")).expect("reads");
        assert_eq!(folder.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_change_that_is_refused_changes_nothing() {
        let file = KeyringFile::new();
        let before = fs::read(&file.0).expect("reads");
        let refused = Keyring::change(&file.0, |keyring| {
            keyring.keys.pop_first();
            Ok::<(), KeyringError>(())
        });
        assert!(matches!(refused, Err(KeyringError::NotOneActive(KeyPurpose::SealAccess))), "{refused:?}");
        assert_eq!(fs::read(&file.0).expect("reads"), before);
    }

    #[test]
    fn a_file_that_others_can_read_is_neither_read_nor_changed() {
        let file = KeyringFile::new();
        for mode in [0o604, 0o644, 0o660, 0o650, 0o601, 0o602] {
            fs::set_permissions(&file.0, Permissions::from_mode(mode)).expect("set");
            assert!(matches!(Keyring::read(&file.0), Err(KeyringError::Exposed(_))), "{mode:o}");
            let refused = Keyring::change(&file.0, |_| Ok::<(), KeyringError>(()));
            assert!(matches!(refused, Err(KeyringError::Exposed(_))), "{mode:o}: {refused:?}");
        }
    }

    #[test]
    fn a_file_that_a_group_of_the_process_can_read_is_read_and_stays_readable_for_it() {
        let file = KeyringFile::new();
        for mode in [0o640, 0o440] {
            fs::set_permissions(&file.0, Permissions::from_mode(mode)).expect("set");
            let before = Keyring::read(&file.0).expect("reads");
            Keyring::change(&file.0, |keyring| keyring.rotate(KeyPurpose::Code, None)).expect("rotates");
            assert_eq!(fs::metadata(&file.0).expect("there").permissions().mode() & 0o777, mode);
            assert!(Keyring::read(&file.0).expect("reads") != before);
        }
        assert!(is_private(0o440, 7, &[0, 7]));
        assert!(!is_private(0o440, 7, &[0, 8]), "a group that the process is not in");
        assert!(is_private(0o600, 7, &[]));
    }

    #[test]
    fn links_that_others_have_put_into_the_folder_are_not_followed() {
        let file = KeyringFile::new();
        let victim = file.0.with_extension("victim");
        fs::write(&victim, "untouched").expect("written");
        let guessed = file.0.with_extension(format!("{}.new", std::process::id()));
        symlink(&victim, &guessed).expect("linked");
        Keyring::change(&file.0, |keyring| keyring.rotate(KeyPurpose::Code, None)).expect("rotates");
        let link = file.0.with_extension("link");
        symlink(&victim, &link).expect("linked");
        Keyring::generate().create(&link).expect_err("the name is taken");
        let dangling = file.0.with_extension("dangling");
        symlink(file.0.with_extension("nowhere"), &dangling).expect("linked");
        Keyring::generate().create(&dangling).expect_err("the name is taken");
        assert!(!file.0.with_extension("nowhere").exists());
        assert_eq!(fs::read_to_string(&victim).expect("reads"), "untouched");
        assert!(fs::symlink_metadata(&guessed).expect("there").is_symlink());
    }

    #[test]
    fn a_link_stays_a_link_and_the_file_its_owners_alone() {
        let file = KeyringFile::new();
        let link = file.0.with_extension("link");
        symlink(&file.0, &link).expect("linked");
        Keyring::change(&link, |keyring| keyring.rotate(KeyPurpose::Code, None)).expect("rotates");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::metadata(&file.0).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Keyring::read(&file.0).expect("reads").of(KeyPurpose::Code).count(), 2);
    }
}
