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
            Self::IdentifierChangeUndone { .. } => "identifier_change_undone",
            Self::SecondFactorEnrolled { .. } => "second_factor_enrolled",
            Self::SecondFactorRemoved { .. } => "second_factor_removed",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
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
            Notice::IdentifierChangeUndone { at },
            Notice::SecondFactorEnrolled { at },
            Notice::SecondFactorRemoved { at },
            Notice::RecoveryCodeUsed { at },
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
                Notice::IdentifierChangeUndone { at }
                | Notice::SecondFactorEnrolled { at }
                | Notice::SecondFactorRemoved { at }
                | Notice::RecoveryCodeUsed { at }
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
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use counterfoil_domain::user_account::Purpose;
    use counterfoil_domain::values::{Channel, OtpCode};

    use super::{MessageContent, MessageTexts, Notice, plain};
    use crate::language::Language;

    fn texts(domain: Option<&str>) -> MessageTexts {
        let domain = domain.map(str::to_owned);
        MessageTexts::new("Counterfoil".to_owned(), "en", domain, None, None).expect("valid")
    }

    fn code(minutes: u64) -> MessageContent {
        let expires_in = Duration::from_secs(minutes * 60);
        MessageContent::Code { purpose: Purpose::SignIn, code: OtpCode::from_number(42), expires_in }
    }

    #[test]
    fn a_code_comes_with_the_apps_name_its_purpose_its_time_and_a_warning() {
        let texts = texts(None);
        let (subject, text) = texts.render(&code(5), Channel::Email, texts.language("en"));
        assert_eq!(subject, "Counterfoil: your code to sign in");
        assert_eq!(
            text,
            "Counterfoil: 000042 is your code to sign in. It works for 5 minutes. Never share it."
        );
        let (_, text) = texts.render(&code(1), Channel::Email, texts.language("en"));
        assert!(text.contains("for 1 minute."), "{text}");
        let (subject, text) = texts.render(&code(5), Channel::Phone, texts.language("fa"));
        assert_eq!(subject, "Counterfoil: کد ورود شما");
        assert_eq!(text, "کد ورود به Counterfoil: 000042\nاعتبار: ۵ دقیقه. آن را به کسی ندهید.");
    }

    #[test]
    fn a_text_message_ends_with_the_line_that_browsers_look_for_and_an_e_mail_does_not() {
        let texts = texts(Some("app.example"));
        for language in Language::all() {
            let (_, text) = texts.render(&code(5), Channel::Phone, language);
            assert_eq!(text.lines().last(), Some("@app.example #000042"));
            let (_, text) = texts.render(&code(5), Channel::Email, language);
            assert!(!text.contains("app.example"), "{text}");
        }
    }

    #[test]
    fn codes_and_short_notices_go_into_one_text_message() {
        let gsm_7 =
            |text: &str| text.chars().all(|c| c == '\n' || (' '..='z').contains(&c) && !"[\\]^`".contains(c));
        let texts = texts(None);
        let at = DateTime::UNIX_EPOCH;
        for minutes in [1, 5, 10] {
            let (_, english) = texts.render(&code(minutes), Channel::Phone, texts.language("en"));
            assert!(english.len() <= 160 && gsm_7(&english), "{english}");
            let (_, persian) = texts.render(&code(minutes), Channel::Phone, texts.language("fa"));
            assert!(persian.encode_utf16().count() <= 70, "{} {persian}", persian.encode_utf16().count());
        }
        for notice in [
            Notice::NewDevice {
                device: Some("Chrome on Windows".to_owned()),
                address: std::net::Ipv4Addr::LOCALHOST.into(),
                at,
                link: None,
            },
            Notice::TokenReused {
                device: Some("Chrome on Windows".to_owned()),
                address: std::net::Ipv4Addr::LOCALHOST.into(),
                at,
            },
            Notice::IdentifierAdded { at, link: None },
            Notice::IdentifierReplaced { at, link: None },
            Notice::IdentifierRemoved { at, link: None },
            Notice::IdentifierChangeUndone { at },
            Notice::SecondFactorEnrolled { at },
            Notice::SecondFactorRemoved { at },
            Notice::RecoveryCodeUsed { at },
            Notice::AccountLocked { at },
        ] {
            let (_, text) =
                texts.render(&MessageContent::Notice(notice), Channel::Phone, Language::default());
            assert!(text.len() <= 160 && gsm_7(&text), "{} {text}", text.len());
        }
    }

    #[test]
    fn every_message_is_written_in_every_language() {
        let texts = texts(None);
        for language in Language::all() {
            for (_, content) in MessageContent::samples() {
                let (subject, text) = texts.render(&content, Channel::Email, language);
                for written in [&subject, &text] {
                    assert!(written.contains("Counterfoil") && !written.contains(['{', '$']), "{written}");
                }
            }
            texts.check(language.tag(), &own_copy(language)).expect("each can be written");
        }
    }

    /// The messages of a language as if an operator had copied them.
    fn own_copy(language: Language) -> super::Dictionary {
        let file = format!("{}/src/language/{}.ftl", env!("CARGO_MANIFEST_DIR"), language.tag());
        let text = std::fs::read_to_string(file).expect("exists");
        let messages = text.split_once("message_sign_in").expect("has messages").1;
        let messages = format!("message_sign_in{messages}");
        super::Dictionary::read(language, messages).expect("valid")
    }

    #[test]
    fn a_devices_name_brings_no_link_and_no_number_into_a_message() {
        for (name, left) in [
            ("Chrome on Windows", Some("Chrome on Windows")),
            ("Ada’s iPhone 15", Some("Ada’s iPhone 15")),
            ("گوشی آدا", Some("گوشی آدا")),
            ("http://evil.example/x", Some("http evil example x")),
            ("evil.example", Some("evil example")),
            ("call +98 912 123 4567 now", Some("call 98 912")),
            ("{ $code }\r\nBcc: eve@evil.example", Some("code Bcc eve evil example")),
            ("...", None),
        ] {
            assert_eq!(plain(name).as_deref(), left, "{name}");
        }
        assert!(plain(&"long ".repeat(100)).expect("some").len() < 32);
    }

    #[test]
    fn the_language_is_the_wanted_one_or_the_settings() {
        let texts = MessageTexts::new("App".to_owned(), "fa", None, None, None).expect("valid");
        for (wanted, tag) in [("en", "en"), ("de, en;q=0.5", "en"), ("de", "fa"), ("", "fa")] {
            assert_eq!(texts.language(wanted).tag(), tag, "{wanted}");
        }
    }

    #[test]
    fn an_operators_texts_come_first_and_their_mistakes_are_named_by_file_and_line() {
        let folder = std::env::temp_dir().join(format!("texts-{}", std::process::id()));
        let with = |files: &[(&str, &str)]| {
            std::fs::create_dir_all(&folder).expect("made");
            for (name, text) in files {
                std::fs::write(folder.join(name), text).expect("written");
            }
            let texts = MessageTexts::new("App".to_owned(), "en", None, None, Some(&folder));
            std::fs::remove_dir_all(&folder).expect("removed");
            texts
        };
        let texts = with(&[
            ("en.ftl", "message_sign_in = { $code } for { $app }\n"),
            ("de.ftl", "message_sign_in = { $code } für { $app }\n    .subject = Anmeldung\n"),
            ("notes.txt", "passed over"),
        ])
        .expect("valid");
        let words = |wanted: &str| texts.render(&code(5), Channel::Email, texts.language(wanted));
        let pair = |subject: &str, text: &str| (subject.to_owned(), text.to_owned());
        assert_eq!(words("en"), pair("App: your code to sign in", "000042 for App"));
        assert_eq!(words("de-AT"), pair("Anmeldung", "000042 für App"));
        for (file, text, named) in [
            ("en.ftl", "message_sign_in = { $code }\n\nmessage_sing_in = x\n", "en.ftl:3: message_sing_in"),
            ("fa.ftl", "# c\nmessage_sign_in = { $kode }\n", "fa.ftl:2: message_sign_in cannot"),
            ("en.ftl", "message_sign_in = no code\n", "en.ftl:1: message_sign_in does not tell the code"),
            ("en.ftl", "message_new_device = { $code\n", "en.ftl:1: "),
            ("Deutsch?.ftl", "", "is not named after a language"),
        ] {
            let error = with(&[(file, text)]).map(drop).expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
