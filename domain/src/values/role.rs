//! What staff may do.

use serde::{Deserialize, Serialize};

/// A role of an account, beyond that of being a person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at accounts and device sessions, and intervenes in them.
    Admin,
    /// Reads the log, and changes nothing.
    Auditor,
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role; there are admin and auditor")]
pub struct UnknownRole;

impl Role {
    /// Every role, in the order of the documents.
    pub const ALL: [Self; 2] = [Self::Admin, Self::Auditor];

    /// The name as it stands in events and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// The role of that name.
    ///
    /// # Errors
    /// [`UnknownRole`].
    pub fn parse(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(UnknownRole)
    }
}
