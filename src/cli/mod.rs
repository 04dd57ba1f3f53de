//! The commands of the binary. Exit status 0 done, 1 failed, 2 wrong usage.

mod accounts;
mod alarms;
mod audit;
mod client;
mod config;
mod erasures;
mod event_lines;
mod intervention;
mod keys;
mod limits;
mod listing;
mod messages;
mod output;
mod projections;
mod proofs;
mod reading;
mod recovery;
mod rehearse;
mod serve;
mod sessions;
mod setup;
mod times;
mod verify;
mod witness;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use counterfoil_domain::values::OperatorName;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::app::ServiceParts;
use crate::settings::{SettingsError, Sources};
use client::{Refused, StaffDoor};

/// Event-sourced authentication with one-time codes, sealed tokens and a provable login history.
#[derive(Debug, Parser)]
#[command(name = "counterfoil", version, arg_required_else_help = true)]
struct Cli {
    /// The settings file, instead of `counterfoil.toml` in this folder.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Do it at a server, in the name of the account that signed in by `login`, instead of on the database of the settings.
    #[arg(long, global = true, value_name = "URL", env = "COUNTERFOIL_SERVER")]
    server: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until it is stopped
    Serve(serve::ServeCommand),
    /// Bring the database's schema up to date.
    Migrate,
    /// Make and look after keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at accounts, and intervene in them.
    #[command(subcommand)]
    Accounts(accounts::AccountsCommand),
    /// Look at device sessions, and end them.
    #[command(subcommand)]
    Sessions(sessions::SessionsCommand),
    /// Read the log, replay accounts, and verify that nothing was altered.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Cosign the checkpoints of other logs, so that none can show two histories.
    #[command(subcommand)]
    Witness(witness::WitnessCommand),
    /// Check and rebuild what is read from.
    #[command(subcommand)]
    Projections(projections::ProjectionsCommand),
    /// Look at the limits that all nodes share, lift them, and block.
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Look at what became of messages.
    #[command(subcommand)]
    Messages(messages::MessagesCommand),
    /// Look at alarms, and acknowledge them.
    #[command(subcommand)]
    Alarms(alarms::AlarmsCommand),
    /// Sign in to a server, so that the commands of staff can be given without access to its database.
    Login(client::LoginCommand),
    /// Pass the second factor again, which changes need after ten minutes.
    SecondFactor(client::SecondFactorCommand),
    /// Sign out of a server.
    Logout(client::LogoutCommand),
    /// Look at the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell that completions are for
        shell: clap_complete::Shell,
    },
}

/// What a command fails with: a text for the person who typed it.
type Failure = Box<dyn Error>;

/// Reads the command line and does what it says, with the parts of a program and the settings that it fixes.
pub fn run(parts: &ServiceParts, fixed: Vec<(&'static str, String)>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version come this way too, and are no errors.
            let shown = error.print();
            return if shown.is_err() || error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let done = without_core_dumps().and_then(|()| cli.run(parts, fixed));
    match done {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure.to_string());
            let is_usage = failure.downcast_ref().is_some_and(Refused::is_wrong_usage);
            if is_usage { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Returns the name that the program was started by, which is another where a program embeds the service.
fn program_name() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_deref().and_then(|path| path.file_name()?.to_str());
    name.unwrap_or("counterfoil").to_owned()
}

/// Returns who typed the command, as the operating system knows them: `ada`; `ada+root` where they became root by `sudo`.
fn operator_name() -> OperatorName {
    let user = whoami::username().unwrap_or_default();
    let sudo = std::env::var("SUDO_USER").ok().filter(|by| user == "root" && *by != user);
    let named = sudo.map_or_else(|| user.clone(), |by| format!("{by}+{user}"));
    let by_number = || OperatorName::parse(&format!("uid-{}", rustix::process::getuid().as_raw()));
    OperatorName::parse(&named).or_else(by_number).expect("a number is a name")
}

/// Sees to it that no memory of this process is written to a disk, where keys and codes could be found: neither by a core
/// dump nor by a debugger of the same user. Child processes inherit the limit.
fn without_core_dumps() -> Result<(), Failure> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

impl Command {
    /// Whether the command can be given to a server over HTTP.
    fn runs_at_a_server(&self) -> bool {
        match self {
            Self::Limits(limits) => limits.runs_at_a_server(),
            Self::Accounts(accounts) => accounts.runs_at_a_server(),
            Self::Audit(_)
            | Self::Messages(_)
            | Self::Alarms(_)
            | Self::Sessions(_)
            | Self::Login(_)
            | Self::SecondFactor(_)
            | Self::Logout(_) => true,
            Self::Serve(_)
            | Self::Migrate
            | Self::Keys(_)
            | Self::Witness(_)
            | Self::Projections(_)
            | Self::Config(_)
            | Self::Completions { .. } => false,
        }
    }
}

impl Cli {
    fn run(self, parts: &ServiceParts, fixed: Vec<(&'static str, String)>) -> Result<ExitCode, Failure> {
        let mut flags = fixed;
        if let Command::Serve(serve) = &self.command {
            flags.extend(serve.settings());
        }
        let sources = || -> Result<Sources, SettingsError> {
            let read =
                Sources::read(self.config.as_deref(), Sources::environment()?, flags.clone().into_iter())?;
            Ok(read.with_sections(parts.sections.clone()))
        };
        let door =
            StaffDoor { server: self.server.clone(), sources: &sources, own_gateways: &parts.gateways };
        if self.server.is_some() && !self.command.runs_at_a_server() {
            return Err("this command needs the database: run it at the server, without --server".into());
        }
        match self.command {
            Command::Serve(_) => serve::run(&sources()?.check()?, parts),
            Command::Migrate => setup::migrate(&sources()?.check()?),
            Command::Keys(keys) => keys.run(sources),
            Command::Accounts(accounts) => accounts.run(&door),
            Command::Sessions(sessions) => sessions.run(&door),
            Command::Login(login) => login.run(self.server.as_deref()),
            Command::SecondFactor(factor) => factor.run(self.server.as_deref()),
            Command::Logout(logout) => logout.run(self.server.as_deref()),
            Command::Audit(audit) => audit.run(&door),
            Command::Witness(witness) => witness.run(),
            Command::Projections(projections) => projections.run(&sources()?.check()?),
            Command::Limits(limits) => limits.run(&door),
            Command::Messages(messages) => messages.run(&door),
            Command::Alarms(alarms) => alarms.run(&door),
            Command::Config(config) => config.run(sources()?),
            Command::Completions { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), program_name(), &mut text);
                output::text(&String::from_utf8_lossy(&text))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
