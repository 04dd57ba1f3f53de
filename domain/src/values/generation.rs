//! How often a session has been refreshed.

use serde::{Deserialize, Serialize};

/// The generation of a session's tokens: 1 at sign-in, one more at each refresh. Only the newest may refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 1))]
pub struct Generation(pub u32);

impl Generation {
    /// The generation that a sign-in hands out.
    pub const FIRST: Self = Self(1);

    /// The generation after this one.
    ///
    /// Saturates: at one refresh a second the last generation is 136 years away, far past any session's life.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
