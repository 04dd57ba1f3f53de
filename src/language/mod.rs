//! What people read: the texts of answers, a file a language. Adding a language is adding its file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fluent::concurrent::FluentBundle;
use fluent::{FluentError, FluentResource};
use fluent_langneg::{
    LanguageIdentifier, NegotiationStrategy, negotiate_languages, parse_accepted_languages,
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/language"]
#[include = "*.ftl"]
struct Files;

type Bundle = FluentBundle<FluentResource>;

static BUNDLES: LazyLock<BTreeMap<String, Bundle>> = LazyLock::new(|| {
    let bundles = Files::iter().map(|file| {
        let tag = file.trim_end_matches(".ftl").to_owned();
        let bundle = bundle(&file, &tag).unwrap_or_else(|errors| panic!("{file}: {errors:?}"));
        (tag, bundle)
    });
    bundles.collect()
});

fn bundle(file: &str, tag: &str) -> Result<Bundle, Vec<FluentError>> {
    let data = Files::get(file).map(|file| file.data.into_owned()).unwrap_or_default();
    let text = String::from_utf8_lossy(&data).into_owned();
    let resource = FluentResource::try_new(text)
        .map_err(|(_, errors)| errors.into_iter().map(FluentError::ParserError).collect::<Vec<_>>())?;
    let mut bundle = Bundle::new_concurrent(vec![tag.parse().unwrap_or_default()]);
    bundle.set_use_isolating(false);
    bundle.add_resource(resource)?;
    Ok(bundle)
}

/// A language that the answers are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static str);

impl Default for Language {
    fn default() -> Self {
        Self("en")
    }
}

impl Language {
    /// The language that an `Accept-Language` header (RFC 9110, section 12.5.4) likes best among ours.
    pub fn negotiate(accept_language: &str) -> Self {
        let wanted = parse_accepted_languages(accept_language);
        let available: Vec<LanguageIdentifier> = BUNDLES.keys().filter_map(|tag| tag.parse().ok()).collect();
        let chosen = negotiate_languages(&wanted, &available, None, NegotiationStrategy::Lookup);
        let tag = chosen.first().map(ToString::to_string);
        tag.and_then(|tag| BUNDLES.get_key_value(&tag)).map_or(Self::default(), |(tag, _)| Self(tag))
    }

    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        self.0
    }

    /// The message of that name.
    pub fn message(self, name: &str) -> String {
        self.text(name, None)
    }

    /// The short title that stands over a message.
    pub fn title(self, name: &str) -> String {
        self.text(name, Some("title"))
    }

    fn text(self, name: &str, attribute: Option<&str>) -> String {
        let find = |tag: &str| {
            let bundle = BUNDLES.get(tag)?;
            let message = bundle.get_message(name)?;
            let pattern = match attribute {
                None => message.value()?,
                Some(attribute) => message.get_attribute(attribute)?.value(),
            };
            Some(bundle.format_pattern(pattern, None, &mut Vec::new()).into_owned())
        };
        find(self.0).or_else(|| find(Self::default().0)).unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{BUNDLES, Files, Language};
    use std::collections::BTreeSet;

    #[test]
    fn every_language_has_every_message() {
        let names = |file: &str| -> BTreeSet<String> {
            let data = Files::get(file).expect("exists").data;
            let text = String::from_utf8(data.into_owned()).expect("utf-8");
            let lines = text.lines().filter(|line| line.contains('=') && !line.starts_with('#'));
            lines.map(|line| line.split('=').next().expect("name").to_owned()).collect()
        };
        let english = names("en.ftl");
        assert!(english.len() > 20);
        for file in Files::iter() {
            assert_eq!(names(&file), english, "{file}");
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
        ] {
            assert_eq!(Language::negotiate(header).tag(), tag, "{header:?}");
        }
        assert_eq!(BUNDLES.len(), 2);
    }
}
