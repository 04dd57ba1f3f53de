//! What people type: digits in several scripts, names, marks that cannot be seen.

use unicode_normalization::UnicodeNormalization as _;

/// Why a piece of text from a person is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing that can be seen is left after trimming.
    #[error("empty")]
    Empty,
    /// More than the allowed number of characters.
    #[error("longer than {0} characters")]
    TooLong(usize),
    /// A control character, or a mark that reorders the text around it.
    #[error("has a character that cannot be shown")]
    Unprintable,
}

/// One line of printable text, trimmed and in Unicode normalisation form C (UAX #15), of 1 to `max` characters.
pub(super) fn printable_line(input: &str, max: usize) -> Result<String, InvalidText> {
    let trimmed = input.trim();
    // Bounded before it is normalised: a character has at most four bytes, and a name is no pile of accents.
    if trimmed.len() > max * 16 {
        return Err(InvalidText::TooLong(max));
    }
    let text: String = trimmed.nfc().collect();
    if text.chars().all(is_blank) {
        return Err(InvalidText::Empty);
    }
    if text.chars().any(|c| c.is_control() || is_line_break(c) || reorders_text(c)) {
        return Err(InvalidText::Unprintable);
    }
    if text.chars().count() > max {
        return Err(InvalidText::TooLong(max));
    }
    Ok(text)
}

/// The digit's ASCII form when it is a Persian, Arabic-Indic or full-width one, else the character itself.
///
/// By range and not by `char::is_numeric`, which also holds for `²` and `Ⅷ`.
pub(super) fn ascii_digit(c: char) -> char {
    let zero = match c {
        '\u{06F0}'..='\u{06F9}' => '\u{06F0}',
        '\u{0660}'..='\u{0669}' => '\u{0660}',
        '\u{FF10}'..='\u{FF19}' => '\u{FF10}',
        _ => return c,
    };
    char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c)
}

/// The bidirectional embeddings, overrides and isolates of UAX #9, with which a name can impersonate another.
fn reorders_text(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Nothing that can be seen. Joiners are needed within Persian and Hindi names, but make no name by themselves.
fn is_blank(c: char) -> bool {
    is_invisible(c)
        || c.is_whitespace()
        || matches!(
            c,
            '\u{AD}'
                | '\u{34F}'
                | '\u{115F}'
                | '\u{1160}'
                | '\u{3164}'
                | '\u{FFA0}'
                | '\u{FFFE}'
                | '\u{FFFF}'
        )
        || matches!(c, '\u{E000}'..='\u{F8FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0000}'..='\u{10FFFF}')
}

/// A mark without width that copying from a page or a chat leaves in numbers and addresses.
pub(super) fn is_invisible(c: char) -> bool {
    reorders_text(c) || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// Declares a type that holds one line of printable text.
macro_rules! line_of_text {
    ($(#[$doc:meta])* $name:ident, $max:tt, $example:tt) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(format = "line-of-text", min_length = 1, max_length = $max, example = $example))]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const MAX_CHARS: usize = $max;

            /// Reads what a person typed: trimmed, normalised (NFC), printable, on one line.
            ///
            /// # Errors
            /// [`InvalidText`](super::InvalidText) says which of the rules it breaks.
            pub fn parse(input: &str) -> Result<Self, super::InvalidText> {
                super::text::printable_line(input, Self::MAX_CHARS).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Says that there is one, not what it is: it is personal.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}
pub(super) use line_of_text;
