//! The words of messages: from the language files, and from an operator's own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::Purpose;
use counterfoil_domain::values::{Channel, Identifier, OtpCode};
use fluent::FluentArgs;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Message;
use crate::language::{Dictionary, Language};

/// The longest name of a device in a notice, in characters.
const LONGEST_NAME: usize = 32;

/// What a message tells. Nothing in it was written by a person, but the name of a device.
#[derive(Clone, Debug)]
pub enum MessageContent {
    /// The message carries a code.
    Code {
        /// What it is for.
        purpose: Purpose,
        /// The code, in six digits.
        code: OtpCode,
        /// How long it still works.
        expires_in: Duration,
    },
    /// Something that the owner of the account should know.
    Notice(Notice),
}

/// Something that the owner of an account should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The account was signed in to on a device that was not known.
    NewDevice {
        /// What the device is called.
        device: Option<String>,
        /// The address it came from.
        address: IpAddr,
        /// The time at which it happened.
        at: DateTime<Utc>,
        /// By which it is ended, where the service knows under which URL it can be reached.
        link: Option<String>,
    },
    /// A refresh token that had been spent was presented again: there is a copy. Its device is signed out.
    TokenReused {
        /// What the device that presented it is called.
        device: Option<String>,
        /// The address it came from.
        address: IpAddr,
        /// The time at which it happened.
        at: DateTime<Utc>,
    },
    /// Another identifier signs in to the account from now on.
    IdentifierAdded {
        /// When the change happened.
        at: DateTime<Utc>,
        /// By which it is undone, where the service knows its URL and the recipient may undo it.
        #[serde(default)]
        link: Option<String>,
    },
    /// Another identifier signs in to the account from now on, and this one no more.
    IdentifierReplaced {
        /// When the change happened.
        at: DateTime<Utc>,
        /// By which it is undone, where the service knows its URL and the recipient may undo it.
        #[serde(default)]
        link: Option<String>,
    },
    /// One of the account's identifiers was removed, and signs in to it no more.
    IdentifierRemoved {
        /// When the change happened.
        at: DateTime<Utc>,
        /// By which it is undone, where the service knows its URL and the recipient may undo it.
        #[serde(default)]
        link: Option<String>,
    },
    /// Staff were asked to change an identifier of the account, which is not done yet.
    IdentifierChangeProposed {
        /// When it was proposed.
        at: DateTime<Utc>,
    },
    /// The recipient signs in to an account from now on, since staff said so.
    IdentifierSetByStaff {
        /// When the change happened.
        at: DateTime<Utc>,
    },
    /// A change of the account's identifiers was undone, and all its devices are signed out.
    IdentifierChangeUndone {
        /// The time at which it happened.
        at: DateTime<Utc>,
    },
    /// The account has a second factor, or another one.
    SecondFactorEnrolled {
        /// When the change happened.
        at: DateTime<Utc>,
    },
    /// The account has no second factor any more.
    SecondFactorRemoved {
        /// When the change happened.
        at: DateTime<Utc>,
    },
    /// A recovery code stood in for the second factor.
    RecoveryCodeUsed {
        /// The time at which it happened.
        at: DateTime<Utc>,
    },
    /// The user, or a thief, was given everything that is held about the account.
    DataExported {
        /// When it was asked for.
        at: DateTime<Utc>,
    },
    /// No stranger's code is looked at any more, since too many wrong ones were tried.
    AccountLocked {
        /// When the change happened.
        at: DateTime<Utc>,
    },
    /// A code was asked for while wrong codes lock the identifier: its owner can lift the lock.
    UnlockLink {
        /// The link that lifts the lock.
        link: String,
    },
}

impl Notice {
    /// The same for a recipient who may not undo what it tells.
    pub fn without_undo(mut self) -> Self {
        if let Self::IdentifierAdded { link, .. }
        | Self::IdentifierReplaced { link, .. }
        | Self::IdentifierRemoved { link, .. } = &mut self
        {
            *link = None;
        }
        self
    }

    /// What it is about: `new_device`, `identifier_added` …
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NewDevice { .. } => "new_device",
            Self::TokenReused { .. } => "token_reused",
            Self::IdentifierAdded { .. } => "identifier_added",
            Self::IdentifierReplaced { .. } => "identifier_replaced",
            Self::IdentifierRemoved { .. } => "identifier_removed",
            Self::IdentifierChangeProposed { .. } => "identifier_change_proposed",
            Self::IdentifierSetByStaff { .. } => "identifier_set_by_staff",
            Self::IdentifierChangeUndone { .. } => "identifier_change_undone",
            Self::SecondFactorEnrolled { .. } => "second_factor_enrolled",
            Self::SecondFactorRemoved { .. } => "second_factor_removed",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
            Self::DataExported { .. } => "data_exported",
            Self::AccountLocked { .. } => "account_locked",
            Self::UnlockLink { .. } => "unlock_link",
        }
    }
}

impl MessageContent {
    /// What it is about: `sign_in`, `new_device` …
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Code { purpose, .. } => purpose.as_str(),
            Self::Notice(notice) => notice.kind(),
        }
    }

    /// The code in it.
    pub fn code(&self) -> Option<&OtpCode> {
        match self {
            Self::Code { code, .. } => Some(code),
            Self::Notice(_) => None,
        }
    }

    /// One of each kind, by which an operator's texts are tried at the start. Codes for every purpose are told alike.
    fn samples() -> Vec<(&'static str, Self)> {
        let at = DateTime::UNIX_EPOCH;
        let (device, link) = (Some("Firefox on Linux".to_owned()), Some("https://app.example/x".to_owned()));
        let address: IpAddr = std::net::Ipv6Addr::LOCALHOST.into();
        let (code, expires_in) = (OtpCode::from_number(42), Duration::from_secs(300));
        let code = Self::Code { purpose: Purpose::SignIn, code, expires_in };
        let codes = ["sign_in", "add_identifier", "reauthenticate"].map(|kind| (kind, code.clone()));
        let notices = [
            Notice::NewDevice { device: device.clone(), address, at, link: link.clone() },
            Notice::UnlockLink { link: "https://app.example/x".to_owned() },
            Notice::NewDevice { device: None, address, at, link: None },
            Notice::TokenReused { device, address, at },
            Notice::TokenReused { device: None, address, at },
            Notice::IdentifierAdded { at, link: link.clone() },
            Notice::IdentifierAdded { at, link: None },
            Notice::IdentifierReplaced { at, link: link.clone() },
            Notice::IdentifierReplaced { at, link: None },
            Notice::IdentifierRemoved { at, link },
            Notice::IdentifierRemoved { at, link: None },
            Notice::IdentifierChangeProposed { at },
            Notice::IdentifierSetByStaff { at },
            Notice::IdentifierChangeUndone { at },
            Notice::SecondFactorEnrolled { at },
            Notice::SecondFactorRemoved { at },
            Notice::RecoveryCodeUsed { at },
            Notice::DataExported { at },
            Notice::AccountLocked { at },
        ];
        let notices = notices.map(Self::Notice).into_iter().map(|notice| (notice.kind(), notice));
        codes.into_iter().chain(notices).collect()
    }
}

/// Puts messages into words.
#[derive(Debug)]
pub struct MessageTexts {
    app_name: String,
    language: Language,
    webotp_domain: Option<String>,
    devices_url: Option<String>,
    own: BTreeMap<Language, Dictionary>,
}

/// Texts that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextsError {
    /// There are no texts in the language that is the default.
    #[error("is none of those that there are texts in")]
    DefaultLanguage,
    /// A file of the operator's cannot be read, or a text in it cannot be used.
    #[error("{0}")]
    File(String),
}

impl MessageTexts {
    /// Makes the texts of an installation: those of the service and, before them, those of the files of a folder.
    ///
    /// # Errors
    /// [`TextsError`], the first there is.
    pub(crate) fn new(
        app_name: String,
        language: &str,
        webotp_domain: Option<String>,
        devices_url: Option<String>,
        folder: Option<&Path>,
    ) -> Result<Self, TextsError> {
        let own = folder.map(read).transpose()?.unwrap_or_default();
        let mut texts = Self {
            app_name,
            language: Language::default(),
            webotp_domain,
            devices_url,
            own: BTreeMap::new(),
        };
        for (language, (file, dictionary)) in own {
            texts.check(&file, &dictionary)?;
            texts.own.insert(language, dictionary);
        }
        texts.language = Language::best(language, texts.languages()).ok_or(TextsError::DefaultLanguage)?;
        Ok(texts)
    }

    /// The language that an `Accept-Language` header, or a tag that was kept, likes best among those that there are
    /// messages in; the settings' where it names none of them.
    pub fn language(&self, wanted: &str) -> Language {
        self.wanted(wanted).unwrap_or(self.language)
    }

    /// The same; none where it names none of them.
    pub fn wanted(&self, wanted: &str) -> Option<Language> {
        Language::best(wanted, self.languages())
    }

    /// A message with that content, ready to be handed over.
    pub fn message(&self, id: Uuid, to: Identifier, content: &MessageContent, language: Language) -> Message {
        let (subject, text) = self.render(content, to.channel(), language);
        Message { id, to, kind: content.kind(), code: content.code().cloned(), language, subject, text }
    }

    /// The subject and the text of a message.
    pub fn render(&self, content: &MessageContent, channel: Channel, language: Language) -> (String, String) {
        let (name, values) = (format!("message_{}", content.kind()), self.values(content));
        let find = |attribute: Option<&str>| {
            let mut dictionaries = [language, self.language, Language::default()]
                .into_iter()
                .flat_map(|language| [self.own.get(&language), language.dictionary()])
                .flatten();
            let text = dictionaries.find_map(|texts| texts.find(&name, attribute, Some(&values)));
            text.unwrap_or_else(|| name.clone())
        };
        let mut text = find(None);
        // So that the browser offers the code to that site and to no other (WICG, "Origin-bound one-time codes").
        if let (Some(domain), Some(code), Channel::Phone) = (&self.webotp_domain, content.code(), channel) {
            text.push_str(&format!("\n\n@{domain} #{}", code.as_str()));
        }
        (find(Some("subject")), text)
    }

    /// What the service calls itself to people.
    pub fn app_name(&self) -> &str {
        &self.app_name
    }

    fn languages(&self) -> impl Iterator<Item = Language> {
        let others = self.own.keys().copied().filter(|language| language.dictionary().is_none());
        Language::all().chain(others)
    }

    /// What the texts can name.
    fn values(&self, content: &MessageContent) -> FluentArgs<'static> {
        let time = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
        let known = |name: Option<String>| name.unwrap_or_else(|| "unknown".to_owned());
        let mut values = FluentArgs::new();
        values.set("app", self.app_name.clone());
        match content {
            MessageContent::Code { code, expires_in, .. } => {
                values.set("code", code.as_str().to_owned());
                values.set("minutes", (expires_in.as_secs() / 60).max(1));
            }
            MessageContent::Notice(Notice::NewDevice { device, address, at, link }) => {
                values.set("device", known(device.as_deref().and_then(plain)));
                values.set("place", address.to_string());
                values.set("time", time(at));
                values.set("link", known(link.clone().or_else(|| self.devices_url.clone())));
            }
            MessageContent::Notice(Notice::TokenReused { device, address, at }) => {
                values.set("device", known(device.as_deref().and_then(plain)));
                values.set("place", address.to_string());
                values.set("time", time(at));
            }
            MessageContent::Notice(
                Notice::IdentifierAdded { at, link }
                | Notice::IdentifierReplaced { at, link }
                | Notice::IdentifierRemoved { at, link },
            ) => {
                values.set("time", time(at));
                values.set("link", known(link.clone()));
            }
            MessageContent::Notice(
                Notice::IdentifierChangeProposed { at }
                | Notice::IdentifierSetByStaff { at }
                | Notice::IdentifierChangeUndone { at }
                | Notice::SecondFactorEnrolled { at }
                | Notice::SecondFactorRemoved { at }
                | Notice::RecoveryCodeUsed { at }
                | Notice::DataExported { at }
                | Notice::AccountLocked { at },
            ) => {
                values.set("time", time(at));
            }
            MessageContent::Notice(Notice::UnlockLink { link }) => values.set("link", link.clone()),
        }
        values
    }

    /// Tries every text of a file.
    fn check(&self, file: &str, dictionary: &Dictionary) -> Result<(), TextsError> {
        for (name, line) in dictionary.names() {
            let fail = |problem: &str| TextsError::File(format!("{file}:{line}: {name} {problem}"));
            let mut samples = MessageContent::samples();
            samples.retain(|(kind, _)| name.strip_prefix("message_") == Some(kind));
            if samples.is_empty() {
                return Err(fail("is not the name of a message"));
            }
            for (_, content) in samples {
                let values = self.values(&content);
                let try_it = |attribute| match dictionary.check(name, attribute, Some(&values)) {
                    Some((_, Err(problem))) => Err(fail(&format!("cannot be written: {problem}"))),
                    Some((text, Ok(()))) => Ok(Some(text)),
                    None => Ok(None),
                };
                let text = try_it(None)?;
                if let (Some(text), Some(code)) = (text, content.code())
                    && !text.contains(code.as_str())
                {
                    return Err(fail("does not tell the code, { $code }"));
                }
                try_it(Some("subject"))?;
            }
        }
        Ok(())
    }
}

/// The files of a folder, by their language.
fn read(folder: &Path) -> Result<BTreeMap<Language, (String, Dictionary)>, TextsError> {
    let fail = |file: &Path, problem: &str| TextsError::File(format!("{}{problem}", file.display()));
    let unreadable = |error: std::io::Error| fail(folder, &format!(": {error}"));
    let mut read = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.ends_with(".ftl") {
            continue;
        }
        let language = Language::of_file(name);
        let language =
            language.ok_or_else(|| fail(&file, ": is not named after a language, such as de.ftl"))?;
        let text = std::fs::read_to_string(&file).map_err(|error| fail(&file, &format!(": {error}")))?;
        let dictionary = Dictionary::read(language, text);
        let dictionary = dictionary.map_err(|error| fail(&file, &format!(":{error}")))?;
        read.insert(language, (file.display().to_string(), dictionary));
    }
    Ok(read)
}

/// A name that came from outside, without what could make a link or a number to call of it; none when nothing is left.
fn plain(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '\'' | '’' | ',' | '\u{200C}');
    let spaced: String = name.chars().map(|c| if allowed(c) { c } else { ' ' }).collect();
    let (mut plain, mut digits) = (String::new(), 0);
    for word in spaced.split_whitespace() {
        digits += word.chars().filter(|c| c.is_numeric()).count();
        if digits > 6 || plain.chars().count() + word.chars().count() >= LONGEST_NAME {
            break;
        }
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain.chars().any(char::is_alphanumeric).then_some(plain)
}

#[cfg(test)]
mod tests;
