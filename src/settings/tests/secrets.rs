//! What is secret is shown nowhere: not by `config show`, not by `Debug`, not in errors.

use super::super::shown::ShownSetting;
use super::variable;
use crate::settings::Sources;

/// A secret setting: its name, its value as it is written in a file, what is shown of it, and the settings that go with it.
/// Each value has the word "hush" in the part that is secret, or the code 577215.
type SecretSetting = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const DATABASE: (&str, &str) = ("database.url", "\"postgresql://db.example/x\"");
const DEVELOPMENT: (&str, &str) = ("profile", "\"development\"");
const REDIS: (&str, &str) = ("limits.store", "\"redis\"");

const KAVENEGAR: (&str, &str) = ("gateways.k.kind", "\"kavenegar\"");
const KAVENEGAR_KEY: (&str, &str) = ("gateways.k.api_key", "\"other\"");
const TWILIO: (&str, &str) = ("gateways.k.kind", "\"twilio\"");
const TWILIO_SID: (&str, &str) = ("gateways.k.account_sid", "\"AC1\"");
const TWILIO_FROM: (&str, &str) = ("gateways.k.from", "\"+15005550006\"");
const TWILIO_TOKEN: (&str, &str) = ("gateways.k.auth_token", "\"other\"");
const WEBHOOK: (&str, &str) = ("gateways.k.kind", "\"webhook\"");
const WEBHOOK_URL: (&str, &str) = ("gateways.k.url", "\"https://a.example\"");
const WEBHOOK_SECRET: (&str, &str) = ("gateways.k.secret", "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"");
const SMTP: (&str, &str) = ("gateways.k.kind", "\"smtp\"");
const SMTP_SERVER: (&str, &str) = ("gateways.k.server", "\"smtp.example:465\"");
const SMTP_FROM: (&str, &str) = ("gateways.k.from", "\"a@b.example\"");
const SMTP_USER: (&str, &str) = ("gateways.k.username", "\"other\"");
const SMTP_PASSWORD: (&str, &str) = ("gateways.k.password", "\"other\"");
const BY_PHONE: (&str, &str) = ("delivery.phone", "\"k\"");
const BY_EMAIL: (&str, &str) = ("delivery.email", "\"k\"");

const SECRET_SETTINGS: &[SecretSetting] = &[
    (
        "database.url",
        "\"postgresql://ada:hush@db.example/x?password=hush\"",
        "postgresql://ada:…@db.example/x?…",
        &[DEVELOPMENT],
    ),
    (
        "database.migration_url",
        "\"postgresql://owner:hush@db.example/x\"",
        "postgresql://owner:…@db.example/x",
        &[DEVELOPMENT, DATABASE],
    ),
    ("limits.redis_url", "\"rediss://:hush@cache.example\"", "rediss://:…@cache.example", &[REDIS]),
    ("keyring.command", "[\"secrets\", \"hush\"]", "…", &[DEVELOPMENT]),
    ("keyring.command", "\"secrets hush\"", "…", &[DEVELOPMENT]),
    (
        "identifiers.test",
        "[{ identifier = \"reviewer@example.com\", code = \"577215\", until = \"2100-01-01T00:00:00Z\" }]",
        "…",
        &[],
    ),
    ("gateways.k.api_key", "\"hush\"", "…", &[KAVENEGAR, BY_PHONE]),
    ("gateways.k.url", "\"https://hush.example/hush\"", "…", &[KAVENEGAR, KAVENEGAR_KEY, BY_PHONE]),
    ("gateways.k.auth_token", "\"hush\"", "…", &[TWILIO, TWILIO_SID, TWILIO_FROM, BY_PHONE]),
    (
        "gateways.k.url",
        "\"https://hush.example/\"",
        "…",
        &[TWILIO, TWILIO_SID, TWILIO_FROM, TWILIO_TOKEN, BY_PHONE],
    ),
    (
        "gateways.k.secret",
        "\"whsec_hushhushhushhushhushhushhushhush\"",
        "…",
        &[WEBHOOK, WEBHOOK_URL, BY_PHONE],
    ),
    ("gateways.k.url", "\"https://a.example/hush?hush\"", "…", &[WEBHOOK, WEBHOOK_SECRET, BY_PHONE]),
    ("gateways.k.username", "\"hush\"", "…", &[SMTP, SMTP_SERVER, SMTP_FROM, SMTP_PASSWORD, BY_EMAIL]),
    ("gateways.k.password", "\"hush\"", "…", &[SMTP, SMTP_SERVER, SMTP_FROM, SMTP_USER, BY_EMAIL]),
];

fn from_file(settings: &[(&str, &str)]) -> Sources {
    let lines: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let name = uuid::Uuid::from_bytes(crate::crypto::entropy::bytes());
    let file = std::env::temp_dir().join(format!("{name}.toml"));
    std::fs::write(&file, lines.join("\n")).expect("written");
    let sources = Sources::read(Some(&file), std::iter::empty(), std::iter::empty());
    std::fs::remove_file(&file).expect("removed");
    sources.expect("is TOML")
}

fn from_environment(settings: &[(&str, &str)]) -> Sources {
    let environment =
        settings.iter().map(|(name, value)| (variable(name), value.trim_matches('"').to_owned()));
    Sources::read(None, environment, std::iter::empty()).expect("is read")
}

/// Returns the setting, or the one part of it that is secret.
fn find<'a>(shown: &'a [ShownSetting], setting: &str) -> &'a ShownSetting {
    let is_code = |shown: &ShownSetting| shown.key == format!("{setting}[0].code");
    let found = shown.iter().find(|shown| shown.key == setting || is_code(shown));
    found.unwrap_or_else(|| panic!("{setting} is not in {shown:?}"))
}

fn assert_hidden(text: &str, setting: &str) {
    assert!(!text.contains("hush") && !text.contains("577215"), "{setting}: {text}");
}

#[test]
fn every_secret_setting_is_masked_wherever_it_came_from() {
    for (setting, value, masked, others) in SECRET_SETTINGS {
        let given = [&[(*setting, *value)], *others].concat();
        for sources in [from_file(&given), from_environment(&given)] {
            let shown = sources.shown();
            let found = find(&shown, setting);
            assert_eq!(found.value, *masked, "{setting}");
            assert!(found.origin != "default", "{found:?}");
            assert_hidden(&format!("{shown:?} {sources:?}"), setting);
            let settings = sources.check().unwrap_or_else(|error| panic!("{setting}: {error}"));
            assert_hidden(&format!("{settings:?}"), setting);
        }
    }
}

#[test]
fn every_secret_setting_is_hidden_beside_a_setting_that_does_not_fit() {
    for (setting, value, _, others) in SECRET_SETTINGS {
        let section = setting.rsplit_once('.').map_or("", |(section, _)| section);
        let unknown = format!("{section}.unknown");
        let given = [&[(*setting, *value), (unknown.as_str(), "\"hush\"")], *others].concat();
        for sources in [from_file(&given), from_environment(&given)] {
            let shown = sources.shown();
            assert_eq!(find(&shown, setting).value, "…", "{setting}");
            assert_eq!(find(&shown, &unknown).value, "…", "what is not known may be a secret");
            assert_hidden(&format!("{shown:?}"), setting);
            let error = sources.check().expect_err(setting).to_string();
            assert!(error.contains("unknown"), "{error}");
            assert_hidden(&error, setting);
        }
    }
}

#[test]
fn a_secret_setting_of_another_form_is_refused_and_hidden() {
    for (setting, value, _, others) in SECRET_SETTINGS {
        for form in [format!("[[{value}]]"), format!("{{ hush = {value} }}"), "577215".to_owned()] {
            let sources = from_file(&[&[(*setting, form.as_str())], *others].concat());
            assert_hidden(
                &format!("{:?}", sources.shown()).replace("hush\"", "").replace(".hush", ""),
                setting,
            );
            if let Err(error) = sources.check() {
                assert_hidden(&error.to_string(), setting);
            }
        }
    }
}

#[test]
fn a_value_in_the_place_of_a_section_is_refused_without_repeating_it() {
    for section in ["database", "keyring", "limits", "gateways", "gateways.k", "identifiers"] {
        let sources = from_environment(&[(section, "hush")]);
        assert_hidden(&format!("{:?}", sources.shown()), section);
        let error = sources.check().expect_err(section).to_string();
        assert!(error.starts_with(section), "{error}");
        assert_hidden(&error, section);
    }
}

#[test]
fn a_section_that_does_not_fit_hides_no_other_section() {
    let sources = from_environment(&[("codes.lifetimes", "5"), ("server.listen", "127.0.0.1:9000")]);
    let shown = sources.shown();
    assert_eq!(find(&shown, "codes.tries").value, "…");
    assert_eq!(find(&shown, "server.listen").value, "127.0.0.1:9000");
    let origin = "environment COUNTERFOIL__CODES__LIFETIMES";
    assert_eq!(find(&shown, "codes.lifetimes").origin, origin);
}

#[test]
fn what_is_no_secret_is_shown_as_it_was_written() {
    let given = [
        ("delivery.phone", "hush, sms"),
        ("gateways.k.kind", "twilio"),
        ("gateways.k.account_sid", "AC1"),
        ("gateways.k.auth_token", "hush"),
        ("gateways.k.from", "+15005550006"),
        ("gateways.m.kind", "smtp"),
        ("gateways.m.server", "[2001:db8::1]:465"),
        ("gateways.m.from", "App <no-reply@app.example>"),
        ("gateways.m.ehlo_name", "auth.example"),
        ("gateways.m.tls", "starttls"),
        ("server.docs", "yes"),
        ("sessions.binding", "device"),
        ("tokens.claims.tenant", "acme"),
    ];
    let shown = from_environment(&given).shown();
    for (setting, value) in given.iter().filter(|(setting, _)| *setting != "gateways.k.auth_token") {
        assert_eq!(find(&shown, setting).value, *value, "{setting}");
    }
    let test = "[{ identifier = \"a@b.example\", code = \"577215\", until = \"2100-01-01T00:00:00Z\" }]";
    let shown = from_environment(&[("identifiers.test", test)]).shown();
    assert_eq!(find(&shown, "identifiers.test[0].identifier").value, "a@b.example");
    let listed = from_environment(&[("browsers.allowed_headers", "[\"x-one\", \"x-two\"]")]).shown();
    assert_eq!(find(&listed, "browsers.allowed_headers").value, "x-one, x-two");
    let defaults = from_environment(&[]).shown();
    assert!(defaults.iter().all(|shown| shown.value != "…"), "no default is a secret");
    assert_eq!(find(&defaults, "codes.lifetime").value, "300");
}
