//! Claims of an installation's own, in access tokens.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What an access token says besides what ours always say: the members of its `ext` claim. A program that has the token and the seal
/// key reads it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtraClaims(Option<Box<RawValue>>);

/// There are more of them than a token should carry to each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the extra claims are longer than {} bytes of JSON", ExtraClaims::MAX_BYTES)]
pub struct TooManyClaims;

impl ExtraClaims {
    /// How long they may be, in bytes of JSON.
    pub const MAX_BYTES: usize = 1024;

    /// Those members; an empty object is no claim at all.
    ///
    /// # Errors
    /// [`TooManyClaims`] when they are too long.
    pub fn new(members: &Map<String, Value>) -> Result<Self, TooManyClaims> {
        if members.is_empty() {
            return Ok(Self::default());
        }
        let text = serde_json::to_string(members).expect("a map of JSON is JSON");
        if text.len() > Self::MAX_BYTES {
            return Err(TooManyClaims);
        }
        Ok(Self(Some(RawValue::from_string(text).expect("it was written as JSON"))))
    }

    /// The members, as a type of one's own; none where the token has none, or they do not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0.as_ref()?.get()).ok()
    }

    /// Whether they are none, or members as we write them.
    pub(crate) fn are_members(&self) -> bool {
        self.0.as_ref().is_none_or(|members| members.get().starts_with("{\""))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
