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
    assert_eq!(text, "Counterfoil: 000042 is your code to sign in. It works for 5 minutes. Never share it.");
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
        Notice::DataExported { at },
        Notice::AccountLocked { at },
    ] {
        let (_, text) = texts.render(&MessageContent::Notice(notice), Channel::Phone, Language::default());
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
