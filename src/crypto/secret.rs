//! Values that must not be shown: passwords, keys of providers, URLs with a password in them.

use std::fmt;

use serde::de::{Error as _, IgnoredAny};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// The text that stands in the place of a secret.
pub const MASK: &str = "…";

/// The one key of the map that a secret serializes as; its value is what may be shown of the secret.
pub const SECRET_MARK: &str = "\0secret";

/// A kind of value that must not be shown.
pub trait SecretValue: Zeroize + Sized {
    /// Reads a setting that is a text.
    ///
    /// # Errors
    /// What is wrong with the text. The words are constant, so that they cannot repeat it.
    fn from_text(text: String) -> Result<Self, &'static str>;

    /// Reads a setting that is a list of texts.
    ///
    /// # Errors
    /// As for a text.
    fn from_list(_: Vec<String>) -> Result<Self, &'static str> {
        Err("a secret is no text; put it into quotes")
    }

    /// Returns what may be shown of the value.
    fn masked(&self) -> String {
        MASK.to_owned()
    }
}

impl SecretValue for String {
    fn from_text(text: String) -> Result<Self, &'static str> {
        if text.is_empty() { Err("a secret is empty") } else { Ok(text) }
    }
}

/// A URL that may hold a password. Its scheme, user and host may be shown.
#[derive(Clone, PartialEq, Eq, Zeroize)]
pub struct UrlWithPassword(String);

impl UrlWithPassword {
    /// Returns the whole URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SecretValue for UrlWithPassword {
    fn from_text(text: String) -> Result<Self, &'static str> {
        Ok(Self(text))
    }

    fn masked(&self) -> String {
        masked_url(&self.0)
    }
}

/// A value that must not be shown. `Debug`, `Display` and `Serialize` give its masked text, [`Secret::expose`] gives the
/// value, and the memory is cleared when the value is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: SecretValue>(T);

impl<T: SecretValue> Secret<T> {
    /// Makes a secret of a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value, which must not be shown.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: SecretValue> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: SecretValue> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.masked())
    }
}

impl<T: SecretValue> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl<T: SecretValue> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(SECRET_MARK, &self.0.masked())?;
        map.end()
    }
}

impl<'de, T: SecretValue> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Text(String),
            List(Vec<String>),
            Other(IgnoredAny),
        }
        // Words of our own, since those of the parser repeat the value.
        let read = match Given::deserialize(deserializer)? {
            Given::Text(text) => T::from_text(text),
            Given::List(texts) => T::from_list(texts),
            Given::Other(_) => Err("a secret is no text; put it into quotes"),
        };
        read.map(Self).map_err(D::Error::custom)
    }
}

/// Returns a URL without its password.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return MASK.to_owned();
    };
    // A password can also be a parameter, so no parameter is shown.
    let (address, query) = rest.split_once('?').map_or((rest, ""), |(address, _)| (address, "?…"));
    match address.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{host}{query}")
        }
        None => format!("{scheme}://{address}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretValue as _, UrlWithPassword};

    #[test]
    fn a_secret_shows_its_masked_text_in_every_form_but_one() {
        let secret = Secret::new("hush".to_owned());
        let json = serde_json::to_string(&secret).expect("is JSON");
        assert_eq!((secret.to_string().as_str(), format!("{secret:?}").as_str()), ("…", "Secret(…)"));
        assert_eq!(json, r#"{"\u0000secret":"…"}"#);
        assert_eq!(secret.expose(), "hush");
    }

    #[test]
    fn of_a_url_its_scheme_user_and_host_are_shown() {
        for (url, masked) in [
            ("postgresql://ada:hush@db/x", "postgresql://ada:…@db/x"),
            ("postgresql://db/x?user=ada&password=hush", "postgresql://db/x?…"),
            ("postgresql://ada:hu@sh@db/x", "postgresql://ada:…@db/x"),
            ("hush", "…"),
        ] {
            assert_eq!(UrlWithPassword::from_text(url.to_owned()).expect("a text").masked(), masked);
        }
    }

    #[test]
    fn a_secret_that_does_not_fit_is_not_repeated() {
        for json in ["5772156", "[5772156]", "{\"5772156\": 1}", "[\"5772156\"]", "true", "\"\""] {
            let error = serde_json::from_str::<Secret<String>>(json).expect_err(json).to_string();
            assert!(error.starts_with("a secret is") && !error.contains("5772156"), "{error}");
        }
    }
}
