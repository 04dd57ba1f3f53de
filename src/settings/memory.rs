//! The section `memory`: how much a node remembers.

use super::raw::raw_section;
use super::{SettingsError, invalid};

raw_section!(RawMemory { accounts_mib: u64, tokens_mib: u64 });

/// How much a node may remember, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The memory for accounts and for what leads to them.
    pub accounts: u64,
    /// The memory for tokens that the node made or was presented.
    pub tokens: u64,
}

impl RawMemory {
    pub fn check(self) -> Result<MemoryLimits, SettingsError> {
        Ok(MemoryLimits {
            accounts: mebibytes("memory.accounts_mib", self.accounts_mib)?,
            tokens: mebibytes("memory.tokens_mib", self.tokens_mib)?,
        })
    }
}

fn mebibytes(setting: &'static str, count: u64) -> Result<u64, SettingsError> {
    match count {
        1..=65_536 => Ok(count << 20),
        _ => Err(invalid(setting, "must be 1 to 65536")),
    }
}
