//! Lists of words, as files and environment variables hold them.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::crypto::secret::SecretValue;

/// A list of words, or one text that holds all of them, as an environment variable does.
#[derive(Clone, Debug, Deserialize, Serialize, Zeroize)]
#[serde(untagged)]
pub(super) enum Words {
    List(Vec<String>),
    Text(String),
}

impl Words {
    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(words) => words.is_empty(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }

    /// The words of a list, which a text separates by commas or white space.
    pub fn into_list(self) -> Vec<String> {
        self.split_at(|c| c == ',' || c.is_whitespace())
    }

    /// The words of a command line: arguments may hold commas, so a text separates them by white space where it has any.
    pub fn into_command(self) -> Vec<String> {
        match &self {
            Self::Text(text) if text.trim().contains(char::is_whitespace) => {
                self.split_at(char::is_whitespace)
            }
            Self::Text(_) | Self::List(_) => self.into_list(),
        }
    }

    fn split_at(self, separates: impl Fn(char) -> bool) -> Vec<String> {
        match self {
            Self::List(words) => words,
            Self::Text(text) => {
                text.split(separates).filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
        }
    }
}

/// The words of a command, of which an argument may be what a secret store is opened with.
impl SecretValue for Words {
    fn from_text(text: String) -> Result<Self, &'static str> {
        Ok(Self::Text(text))
    }

    fn from_list(texts: Vec<String>) -> Result<Self, &'static str> {
        Ok(Self::List(texts))
    }
}
