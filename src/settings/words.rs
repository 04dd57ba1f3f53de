//! Lists of words, as files and environment variables hold them.

use serde::Deserialize;

/// A list of words, or one text that holds all of them, as an environment variable does.
#[derive(Debug, Deserialize)]
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
