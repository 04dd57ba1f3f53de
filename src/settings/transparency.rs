//! The section `transparency`: what others are told of the log so that they can prove that it is whole.

use super::raw::raw_section;
use super::{SettingsError, invalid};
use crate::transparency::note::{KeyName, SignerKind, VerifierKey};
use crate::transparency::{TransparencyPolicy, WitnessPolicy};

raw_section!(RawTransparency { origin: Option<String>, public: bool, witnesses: Vec<RawWitness> });
raw_section!(RawWitness { url: String, key: String });

/// How many witnesses there may be.
const MOST_WITNESSES: usize = 32;

impl RawTransparency {
    /// Checks the section. Where it names no origin, the issuer of tokens is the name of the log, without its scheme.
    pub fn check(self, issuer: &str) -> Result<TransparencyPolicy, SettingsError> {
        let named = self.origin.as_deref().unwrap_or_else(|| {
            let (_, name) = issuer.split_once("://").unwrap_or(("", issuer));
            name.trim_end_matches('/')
        });
        let origin: Result<KeyName, _> = named.parse();
        let origin = origin.map_err(|_| {
            invalid(
                "transparency.origin",
                "must be 1 to 255 characters without spaces and `+`, such as auth.example/log",
            )
        })?;
        if self.witnesses.len() > MOST_WITNESSES {
            return Err(invalid("transparency.witnesses", "are 32 at most"));
        }
        let witnesses = self.witnesses.into_iter().map(RawWitness::check).collect::<Result<Vec<_>, _>>()?;
        let names = witnesses.iter().map(|witness| &witness.key.name);
        if names
            .clone()
            .any(|name| *name == origin || names.clone().filter(|other| *other == name).count() > 1)
        {
            return Err(invalid(
                "transparency.witnesses",
                "each has a name of its own, and not that of the log",
            ));
        }
        Ok(TransparencyPolicy { origin, is_public: self.public, witnesses })
    }
}

impl RawWitness {
    fn check(self) -> Result<WitnessPolicy, SettingsError> {
        let key: Result<VerifierKey, _> = self.key.parse();
        let key = key.map_err(|error| invalid("transparency.witnesses", &format!("key: {error}")))?;
        if key.kind != SignerKind::Witness {
            return Err(invalid("transparency.witnesses", "key: it is that of a log, and not of a witness"));
        }
        let is_url = ["http://", "https://"].into_iter().any(|scheme| {
            self.url
                .strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
        });
        if !is_url {
            return Err(invalid(
                "transparency.witnesses",
                "url: is not a URL such as https://witness.example",
            ));
        }
        Ok(WitnessPolicy { url: self.url.trim_end_matches('/').to_owned(), key })
    }
}
