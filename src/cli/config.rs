//! The command `counterfoil config`, which shows the settings.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, output};
use crate::settings::Sources;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting, secrets masked, with where its value came from.
    Show {
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

impl ConfigCommand {
    pub fn run(self, sources: Sources) -> Result<ExitCode, Failure> {
        let Self::Show { json } = self;
        let shown = sources.shown();
        if json {
            output::json(&shown)?;
        } else {
            output::table(
                &["setting", "value", "from"],
                shown.into_iter().map(|s| [s.key, s.value, s.origin]),
            )?;
        }
        sources.check()?;
        Ok(ExitCode::SUCCESS)
    }
}
