//! What people read: the texts of answers and of messages, a file a language. Adding a language is adding its file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use fluent::concurrent::FluentBundle;
use fluent::types::FluentValue;
use fluent::{FluentArgs, FluentError, FluentResource};
use fluent_langneg::{LanguageIdentifier, NegotiationStrategy, negotiate_languages};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/language"]
#[include = "*.ftl"]
struct LanguageFiles;

static DICTIONARIES: LazyLock<BTreeMap<&'static str, Dictionary>> = LazyLock::new(|| {
    let read = LanguageFiles::iter().map(|file| {
        let language = Language::of_file(&file).expect("the files are named after languages");
        let data = LanguageFiles::get(&file).map(|file| file.data.into_owned()).unwrap_or_default();
        let text = String::from_utf8_lossy(&data).into_owned();
        let read = Dictionary::read(language, text);
        (language.tag(), read.unwrap_or_else(|error| panic!("{file}:{error}")))
    });
    read.collect()
});

/// A language that people are written to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(&'static str);

impl Default for Language {
    fn default() -> Self {
        Self("en")
    }
}

impl Language {
    /// The language that an `Accept-Language` header (RFC 9110, section 12.5.4) likes best among those of the answers; where it
    /// names none of them, English, or another if it refuses English.
    pub fn negotiate(accept_language: &str) -> Self {
        let ranges = LanguageRanges::parse(accept_language);
        let mut others = std::iter::once(Self::default()).chain(Self::all());
        let best = ranges.best(Self::all()).or_else(|| others.find(|language| !ranges.refuse(*language)));
        best.unwrap_or_default()
    }

    /// The language that the header likes best among some; none when it names none of them.
    pub(crate) fn best(accept_language: &str, among: impl Iterator<Item = Self>) -> Option<Self> {
        LanguageRanges::parse(accept_language).best(among)
    }

    /// Those that the answers are written in.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        DICTIONARIES.keys().copied().map(Self)
    }

    /// The language that a file is named after: `de.ftl`.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let tag: LanguageIdentifier = name.strip_suffix(".ftl")?.parse().ok()?;
        // Kept for the whole run, of which there are as many as files: a language is then as handy as a number.
        Some(Self(tag.to_string().leak()))
    }

    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        self.0
    }

    /// In which direction it is written, as HTML's `dir` names it.
    pub fn direction(self) -> &'static str {
        match self.0.split('-').next() {
            Some("ar" | "fa" | "he" | "ur") => "rtl",
            _ => "ltr",
        }
    }

    /// The message of that name.
    pub fn message(self, name: &str) -> String {
        self.text(name, None)
    }

    /// The short title that stands over a message.
    pub fn title(self, name: &str) -> String {
        self.text(name, Some("title"))
    }

    /// The messages that come with the service, in this language.
    pub(crate) fn dictionary(self) -> Option<&'static Dictionary> {
        DICTIONARIES.get(self.0)
    }

    fn text(self, name: &str, attribute: Option<&str>) -> String {
        let find = |language: Self| language.dictionary()?.find(name, attribute, None);
        find(self).or_else(|| find(Self::default())).unwrap_or_else(|| name.to_owned())
    }
}

/// The language ranges of an `Accept-Language` header.
struct LanguageRanges {
    /// Those that are wanted, by their weights; of equal ones the first comes first.
    wanted: Vec<LanguageIdentifier>,
    /// Those of weight 0.
    refused: Vec<LanguageIdentifier>,
}

impl LanguageRanges {
    /// Reads a header. What is malformed in it is passed over; `*` leaves the choice to the service, as its absence does.
    fn parse(header: &str) -> Self {
        let mut ranges: Vec<(f32, LanguageIdentifier)> = Vec::new();
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(tag) = parts.next().and_then(|tag| tag.parse().ok()) else { continue };
            ranges.push((parts.find_map(weight).unwrap_or(1.0), tag));
        }
        ranges.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let (wanted, refused): (Vec<_>, Vec<_>) = ranges.into_iter().partition(|(weight, _)| *weight > 0.0);
        let tags = |ranges: Vec<(f32, LanguageIdentifier)>| ranges.into_iter().map(|(_, tag)| tag).collect();
        Self { wanted: tags(wanted), refused: tags(refused) }
    }

    /// The best of some languages; none where the header names none of them.
    fn best(&self, among: impl Iterator<Item = Language>) -> Option<Language> {
        let among = among.filter(|language| !self.refuse(*language));
        let among: Vec<(LanguageIdentifier, Language)> =
            among.filter_map(|language| Some((language.0.parse().ok()?, language))).collect();
        let available: Vec<&LanguageIdentifier> = among.iter().map(|(tag, _)| tag).collect();
        let chosen = negotiate_languages(&self.wanted, &available, None, NegotiationStrategy::Lookup);
        let chosen = chosen.first()?;
        among.iter().find(|(tag, _)| tag == **chosen).map(|(_, language)| *language)
    }

    /// Whether the header refuses a language, by its tag or by a prefix of it.
    fn refuse(&self, language: Language) -> bool {
        self.refused.iter().any(|range| {
            let rest = language.0.strip_prefix(&range.to_string());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }
}

/// The weight of a range: `q=0.5`.
fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let weight = name.trim_end().eq_ignore_ascii_case("q").then(|| value.trim_start().parse().ok()).flatten();
    weight.filter(|weight| (0.0..=1.0).contains(weight))
}

/// The messages of one file, by name.
pub(crate) struct Dictionary {
    bundle: FluentBundle<FluentResource>,
    names: BTreeMap<String, usize>,
}

/// Where a file of messages cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {problem}")]
pub(crate) struct UnreadableDictionary {
    pub line: usize,
    pub problem: String,
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dictionary").field(&self.names.len()).finish()
    }
}

impl Dictionary {
    /// Reads the text of a file (Fluent, version 1.0 of its syntax).
    ///
    /// # Errors
    /// The first line that is not understood, or names a message again.
    pub fn read(language: Language, text: String) -> Result<Self, UnreadableDictionary> {
        let line_of = |text: &str, position: usize| 1 + text[..position].matches('\n').count();
        let resource = FluentResource::try_new(text).map_err(|(resource, errors)| {
            let error = errors.first().expect("what cannot be read has an error");
            // The line that the message begins on: what is missing in it is missed at its end or later.
            let start = error.slice.as_ref().map_or(error.pos.start, |slice| slice.start);
            UnreadableDictionary { line: line_of(resource.source(), start), problem: error.kind.to_string() }
        })?;
        let mut names = BTreeMap::new();
        for (line, text) in (1..).zip(resource.source().lines()) {
            let Some((name, _)) = text.split_once('=').filter(|_| text.starts_with(char::is_alphabetic))
            else {
                continue;
            };
            if names.insert(name.trim_end().to_owned(), line).is_some() {
                return Err(UnreadableDictionary {
                    line,
                    problem: format!("{} stands here again", name.trim_end()),
                });
            }
        }
        let mut bundle = FluentBundle::new_concurrent(vec![language.0.parse().unwrap_or_default()]);
        bundle.set_use_isolating(false);
        if language.0 == "fa" {
            bundle.set_formatter(Some(persian_number));
        }
        bundle
            .add_resource(resource)
            .map_err(|errors| UnreadableDictionary { line: 1, problem: listed(&errors) })?;
        Ok(Self { bundle, names })
    }

    /// The names of its messages, each with its line.
    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(|(name, line)| (name.as_str(), *line))
    }

    /// The text of a message, or of an attribute of it; none where there is none.
    pub fn find(
        &self,
        name: &str,
        attribute: Option<&str>,
        values: Option<&FluentArgs<'_>>,
    ) -> Option<String> {
        self.check(name, attribute, values).map(|(text, _)| text)
    }

    /// The same, with what is wrong with it: a value that it asks for and is not there.
    pub fn check(
        &self,
        name: &str,
        attribute: Option<&str>,
        values: Option<&FluentArgs<'_>>,
    ) -> Option<(String, Result<(), String>)> {
        let message = self.bundle.get_message(name)?;
        let pattern = match attribute {
            None => message.value()?,
            Some(attribute) => message.get_attribute(attribute)?.value(),
        };
        let mut errors = Vec::new();
        let text = self.bundle.format_pattern(pattern, values, &mut errors).into_owned();
        let checked = if errors.is_empty() { Ok(()) } else { Err(listed(&errors)) };
        Some((text, checked))
    }
}

fn listed(errors: &[FluentError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A number in Persian digits. (A code is no number but a text, and stays in the digits that keyboards look for.)
fn persian_number<M>(value: &FluentValue<'_>, _: &M) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let number: Cow<'_, str> = number.as_string();
    let digit = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(0x06F0 + digit)).unwrap_or(c);
    Some(number.chars().map(digit).collect())
}

#[cfg(test)]
mod tests {
    use super::{DICTIONARIES, Dictionary, Language};
    use std::collections::BTreeSet;

    #[test]
    fn every_language_has_every_message() {
        let names = |dictionary: &Dictionary| -> BTreeSet<String> {
            dictionary.names().map(|(name, _)| name.to_owned()).collect()
        };
        let english = names(&DICTIONARIES["en"]);
        assert!(english.len() > 20);
        for (tag, dictionary) in DICTIONARIES.iter() {
            assert_eq!(names(dictionary), english, "{tag}");
        }
    }

    #[test]
    fn the_best_liked_language_is_chosen_and_english_is_the_rest() {
        for (header, tag) in [
            ("fa-IR,fa;q=0.9,en;q=0.8", "fa"),
            ("de, fa;q=0.5", "fa"),
            ("en-GB", "en"),
            ("de", "en"),
            ("*", "en"),
            ("", "en"),
            (";;q=,\u{0},fa;q=x", "fa"),
            ("en;q=0.1,fa;q=1.0", "fa"),
            ("fa;q=0, en", "en"),
            ("en;q=0", "fa"),
            ("en;q=0.000, *;q=0.5", "fa"),
            ("en-GB;q=0, en;q=0.2, fa;q=0.1", "en"),
            ("en;q=0, en-GB", "fa"),
            ("fa;q=0, en;q=0", "en"),
            ("en ; Q = 0.2 , fa ;q=0.3", "fa"),
            ("en;q=nan,fa;q=0.9", "en"),
            ("fa;q=0.5,en;q=0.5", "fa"),
            ("*, fa;q=0.1", "fa"),
        ] {
            assert_eq!(Language::negotiate(header).tag(), tag, "{header:?}");
        }
        assert_eq!(DICTIONARIES.len(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_with_its_line() {
        let read = |text: &str| Dictionary::read(Language::default(), text.to_owned()).map(drop);
        for (text, line) in [("a = b\nc = { $d\n", 2), ("a = b\n\n# c\nd\n", 4), ("a = b\na = c\n", 2)] {
            assert_eq!(read(text).expect_err(text).line, line, "{text:?}");
        }
        assert_eq!(read("a = b\n    .c = d = e\n"), Ok(()));
    }
}
