//! A PostgreSQL of our own, for when no database is configured: the installed binaries, a folder, a Unix socket.
//!
//! It keeps what it is given (fsync is on), listens on no network, and stops when the service does. A small shell
//! stands between: it waits for the end of its standard input, which comes when the service closes it and also when
//! the service is killed, and then stops the server in the fast mode.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, getuid, test_kill_process};

use crate::postgres::DatabaseUrl;

const USER: &str = "counterfoil";

/// How long the server may take to start or to stop; recovery after a crash is within.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until the standard input ends, then stops it (SIGINT: roll back, write a checkpoint, exit).
const KEEPER: &str = r#"exec 3<&0; "$@" </dev/null & server=$!
(cat <&3 >/dev/null; kill -INT "$server") & wait "$server""#;

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    /// The binaries are not installed.
    #[error(
        "PostgreSQL is not installed here. Install it (on Debian: apt-get install postgresql), say where it is \
         with PG_BINDIR, or set DATABASE_URL to a server that runs elsewhere"
    )]
    NotInstalled,
    /// Another service runs on the same folder.
    #[error("another counterfoil is running on {0}")]
    InUse(PathBuf),
    /// The folder was made by another major version.
    #[error(
        "{folder} was made by PostgreSQL {found}, and version {installed} is installed: upgrade it with pg_upgrade"
    )]
    OtherVersion {
        /// The folder of the data.
        folder: PathBuf,
        /// The version that made it.
        found: String,
        /// The version there is.
        installed: String,
    },
    /// A file or process could not be handled.
    #[error("{what}: {error}")]
    Io {
        /// What the node tried to do.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// The name of the program.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
}

type Result<T> = std::result::Result<T, PrivatePostgresError>;

/// A running private server.
#[derive(Debug)]
pub struct PrivatePostgres {
    layout: ServerLayout,
    keeper: Child,
    /// Held while the server is ours.
    _lock: File,
}

/// Where the files of the server are.
#[derive(Clone, Debug)]
struct ServerLayout {
    binaries: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    /// The unprivileged user and group to run as; none where we are unprivileged ourselves.
    run_as: Option<(u32, u32)>,
}

impl PrivatePostgres {
    /// Starts the server whose data is under `root`, making it at the first start. Blocks until it answers.
    ///
    /// # Errors
    /// [`PrivatePostgresError`] says what is missing or who is in the way.
    pub fn start(root: &Path) -> Result<Self> {
        let layout = ServerLayout::new(root)?;
        let lock = lock(root)?.ok_or_else(|| PrivatePostgresError::InUse(root.to_owned()))?;
        layout.wait_for_former_server()?;
        if !layout.data.exists() {
            layout.make()?;
        }
        layout.check_version()?;
        let keeper = layout.spawn()?;
        let mut server = Self { layout, keeper, _lock: lock };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Whether a server has been made whose data is under `root`.
    pub fn exists(root: &Path) -> bool {
        fs::canonicalize(root).is_ok_and(|root| home_of(root).join("postgres").exists())
    }

    /// Starts the server, or finds the one that another process runs on the same folder.
    ///
    /// # Errors
    /// [`PrivatePostgresError`].
    pub fn start_or_find(root: &Path) -> Result<(Option<Self>, DatabaseUrl)> {
        match Self::start(root) {
            Ok(server) => {
                let url = server.url();
                Ok((Some(server), url))
            }
            Err(PrivatePostgresError::InUse(_)) => Ok((None, ServerLayout::new(root)?.url("counterfoil"))),
            Err(error) => Err(error),
        }
    }

    /// Where its database is.
    pub fn url(&self) -> DatabaseUrl {
        self.layout.url("counterfoil")
    }

    /// Starts the server again if it has died.
    ///
    /// # Errors
    /// [`PrivatePostgresError`] when it does not come back.
    pub fn revive(&mut self) -> Result<()> {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            return Ok(());
        }
        // Where only the shell died, its server hears of it by this.
        drop(self.keeper.stdin.take());
        self.layout.wait_for_former_server()?;
        self.keeper = self.layout.spawn()?;
        self.wait_until_ready()
    }

    /// Stops the server and waits until it has. Connections must be closed before.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(&mut self) -> Result<()> {
        drop(self.keeper.stdin.take());
        self.keeper.wait().map_err(|error| io_error("waiting for PostgreSQL to stop", error))?;
        self.layout.wait_for_former_server()
    }

    /// The folder that its data is in.
    pub fn folder(&self) -> &Path {
        &self.layout.data
    }

    /// What `pg_ctl` looks at: the last line of the server's own pid file.
    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let pid_file = fs::read_to_string(self.layout.pid_file()).unwrap_or_default();
            if pid_file.lines().nth(7).is_some_and(|status| status.trim() == "ready") {
                return self.layout.create_database();
            }
            let exited = matches!(self.keeper.try_wait(), Ok(Some(_)));
            if exited || started.elapsed() > PATIENCE {
                return Err(PrivatePostgresError::Failed {
                    program: "postgres",
                    output: self.layout.log_tail(),
                });
            }
            sleep(Duration::from_millis(10));
        }
    }
}

impl ServerLayout {
    fn new(root: &Path) -> Result<Self> {
        open_folder(root, 0o711)?;
        let root = fs::canonicalize(root).map_err(|error| io_error(root.display(), error))?;
        let is_root = getuid().is_root();
        let home = home_of(root);
        let data = home.join("postgres");
        let run_as = match fs::symlink_metadata(&data) {
            Ok(metadata) if !metadata.is_dir() => return Err(io_error(data.display(), is_no_folder())),
            _ if !is_root => None,
            // Another user may have made it before root, and their server it stays.
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(_) => Some(unprivileged_user()?),
        };
        // A socket's path has room for 107 bytes.
        let socket = home.join("run");
        let socket = if socket.as_os_str().len() < 90 {
            socket
        } else {
            let inode = fs::metadata(&home).map(|home| home.ino()).unwrap_or_default();
            std::env::temp_dir().join(format!("counterfoil-{}-{inode}", getuid().as_raw()))
        };
        let layout = Self { binaries: binaries()?, data, socket, log: home.join("postgres.log"), run_as };
        layout.own_folder(&home, 0o711)?;
        layout.own_folder(&layout.socket, 0o700)?;
        Ok(layout)
    }

    /// Makes a folder that the server's user owns; one that another user made is not used.
    fn own_folder(&self, folder: &Path, mode: u32) -> Result<()> {
        let failed = |error| io_error(folder.display(), error);
        let opened = open_folder(folder, mode)?;
        let owner = opened.metadata().map_err(failed)?.uid();
        let ourselves = getuid().as_raw();
        let server = self.run_as.map_or(ourselves, |(user, _)| user);
        if owner != server && owner != ourselves {
            return Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, "belongs to another user")));
        }
        if let Some((user, group)) = self.run_as {
            fchown(&opened, Some(user), Some(group)).map_err(failed)?;
        }
        opened.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).stdin(Stdio::null()).current_dir("/");
        if let Some((user, group)) = self.run_as {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the cluster under another name first, so that an interrupted start leaves no half of one.
    fn make(&self) -> Result<()> {
        let draft = self.data.with_extension("new");
        if fs::symlink_metadata(&draft).is_ok() {
            fs::remove_dir_all(&draft).map_err(|error| io_error(draft.display(), error))?;
        }
        let output = self
            .command(self.binaries.join("initdb"))
            .args(["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--data-checksums", "--no-instructions", "--username", USER, "--pgdata"])
            .arg(&draft)
            .output()
            .map_err(|error| io_error("running initdb", error))?;
        succeeded("initdb", &output)?;
        fs::rename(&draft, &self.data).map_err(|error| io_error(self.data.display(), error))
    }

    fn spawn(&self) -> Result<Child> {
        let log = open_file(&self.log)?;
        let setting = |name: &str, value: &str| format!("--{name}={value}");
        self.command("sh")
            .args(["-c", KEEPER, "counterfoil-postgres"])
            .arg(self.binaries.join("postgres"))
            .arg("-D")
            .arg(&self.data)
            .arg("-k")
            .arg(&self.socket)
            .arg(setting("listen_addresses", ""))
            .arg(setting("unix_socket_permissions", "0700"))
            .arg(setting("max_connections", "400"))
            // PostgreSQL's own defaults are for the smallest machines: backends that write out pages to make room, and
            // a checkpoint, after which every page is logged whole, each half minute of load.
            .arg(setting("shared_buffers", "512MB"))
            .arg(setting("max_wal_size", "4GB"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| io_error("starting PostgreSQL", error))
    }

    /// A server that a killed service left behind stops by itself; a pid file of none is cleared away.
    fn wait_for_former_server(&self) -> Result<()> {
        let started = Instant::now();
        while let Some(pid) = self.pid() {
            if test_kill_process(pid).is_err() {
                // It names no process: PostgreSQL clears that away itself.
                return Ok(());
            }
            let working_folders = fs::read_dir("/proc").into_iter().flatten().flatten();
            let mut folders =
                working_folders.filter_map(|process| fs::read_link(process.path().join("cwd")).ok());
            if !folders.any(|folder| folder == self.data) {
                // The number was given to another process, and none works on the data: PostgreSQL alone would refuse.
                return match fs::remove_file(self.pid_file()) {
                    // It was on its last step when it was looked for.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    removed => removed.map_err(|error| io_error(self.pid_file().display(), error)),
                };
            }
            if started.elapsed() > PATIENCE {
                return Err(PrivatePostgresError::InUse(self.data.clone()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    fn pid_file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    fn check_version(&self) -> Result<()> {
        let found = fs::read_to_string(self.data.join("PG_VERSION")).unwrap_or_default().trim().to_owned();
        let output = Command::new(self.binaries.join("postgres")).arg("--version").output();
        let output = output.map_err(|error| io_error("running postgres", error))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let installed = version.unwrap_or_default().split('.').next().unwrap_or_default().to_owned();
        if found == installed {
            Ok(())
        } else {
            Err(PrivatePostgresError::OtherVersion { folder: self.data.clone(), found, installed })
        }
    }

    fn create_database(&self) -> Result<()> {
        let psql = |sql: &str| {
            let output = self
                .command(self.binaries.join("psql"))
                .args(["--no-psqlrc", "--quiet", "--tuples-only", "--username", USER, "--dbname", "postgres"])
                .arg("--host")
                .arg(&self.socket)
                .args(["--command", sql])
                .output()
                .map_err(|error| io_error("running psql", error))?;
            succeeded("psql", &output)?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        if psql("SELECT 1 FROM pg_database WHERE datname = 'counterfoil'")?.is_empty() {
            psql("CREATE DATABASE counterfoil")?;
        }
        Ok(())
    }

    fn url(&self, database: &str) -> DatabaseUrl {
        let host: String = self
            .socket
            .display()
            .to_string()
            .bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect();
        DatabaseUrl(format!("postgresql:///{database}?host={host}&user={USER}&sslmode=disable"))
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// Where the server's data, socket and log are: in the folder itself, where the server's user can reach it.
fn home_of(root: PathBuf) -> PathBuf {
    if getuid().is_root() && !root.ancestors().all(is_open_to_others) {
        // The server cannot reach a folder below one that is closed to others, such as root's own.
        let name = root.display().to_string().replace('/', "-");
        PathBuf::from("/var/lib/counterfoil").join(name.trim_start_matches('-'))
    } else {
        root
    }
}

/// Opens a folder, making it where it is missing. A link is not followed: another user may have put it there, to have its
/// target given to the server's user.
fn open_folder(folder: &Path, mode: u32) -> Result<File> {
    let failed = |error| io_error(folder.display(), error);
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let no_link = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    let opened = File::options().read(true).custom_flags(no_link).open(folder);
    opened.map_err(|error| {
        let is_link_or_file = error.kind() == io::ErrorKind::NotADirectory;
        failed(if is_link_or_file { is_no_folder() } else { error })
    })
}

fn is_no_folder() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, "is a link or a file, and not a folder")
}

/// Opens a file to add to, making it where it is missing; a link is not followed.
fn open_file(path: &Path) -> Result<File> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let file = File::options().create(true).append(true).custom_flags(no_link).open(path);
    file.map_err(|error| io_error(path.display(), error))
}

/// The lock of a folder, or nothing when another process has it.
fn lock(root: &Path) -> Result<Option<File>> {
    let path = root.join("lock");
    let file = open_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io_error(path.display(), error)),
    }
}

/// The folder of the installed server: `PG_BINDIR`, or Debian's newest version, or where `postgres` is on the path.
///
/// # Errors
/// When there is none.
pub fn binaries() -> Result<PathBuf> {
    let has_server = |folder: &PathBuf| folder.join("postgres").exists() && folder.join("initdb").exists();
    if let Some(folder) = std::env::var_os("PG_BINDIR").map(PathBuf::from) {
        return Some(folder).filter(has_server).ok_or(PrivatePostgresError::NotInstalled);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| has_server(folder))
        .max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest
        .map(|(_, folder)| folder)
        .or_else(|| std::env::split_paths(&path).find(has_server))
        .ok_or(PrivatePostgresError::NotInstalled)
}

/// PostgreSQL refuses to run as root, so root runs it as the user that its package makes.
fn unprivileged_user() -> Result<(u32, u32)> {
    let id = |flag: &str, name: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| Some((id("-u", name)?, id("-g", name)?)))
        .ok_or(PrivatePostgresError::NotInstalled)
}

fn is_open_to_others(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

fn succeeded(program: &'static str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(PrivatePostgresError::Failed { program, output })
}

fn io_error(what: impl ToString, error: io::Error) -> PrivatePostgresError {
    PrivatePostgresError::Io { what: what.to_string(), error }
}
