mod delivery;
mod every_setting;
mod own_section;
mod secrets;

use self::every_setting::EVERY_SETTING;
use super::{Environment, KeyringSource, Settings, SettingsError, Sources};

fn read(environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources::read(None, environment, std::iter::empty())?.check()
}

/// For people, but for a gateway.
const PRODUCTION: [(&str, &str); 3] = [
    ("COUNTERFOIL_PROFILE", "production"),
    ("DATABASE_URL", "postgresql://localhost/x"),
    ("COUNTERFOIL_KEYRING", "keyring.json"),
];

/// A gateway for people, and its daily budget.
const MAIL: [(&str, &str); 5] = [
    ("COUNTERFOIL__LIMITS__EMAILS_PER_DAY", "5000"),
    ("COUNTERFOIL__DELIVERY__EMAIL", "mail"),
    ("COUNTERFOIL__GATEWAYS__MAIL__KIND", "smtp"),
    ("COUNTERFOIL__GATEWAYS__MAIL__SERVER", "smtp.example:465"),
    ("COUNTERFOIL__GATEWAYS__MAIL__FROM", "App <no-reply@app.example>"),
];

#[test]
fn nothing_set_is_a_development_server_on_loopback() {
    let settings = read(&[]).expect("defaults are valid");
    assert_eq!(settings.environment, Environment::Development);
    assert!(settings.listen.ip().is_loopback());
    assert!(settings.http.docs);
}

#[test]
fn the_document_of_the_api_is_not_served_in_production_unless_it_is_asked_for() {
    let production = [&PRODUCTION[..], &MAIL[..]].concat();
    assert!(!read(&production).expect("valid").http.docs);
    let asked = [&production[..], &[("COUNTERFOIL__SERVER__DOCS", "true")]].concat();
    assert!(read(&asked).expect("valid").http.docs);
}

#[test]
fn metrics_are_on_the_public_listener_in_development_only_and_only_without_one_of_their_own() {
    let of_their_own = ("COUNTERFOIL__SERVER__METRICS_LISTEN", "127.0.0.1:9000");
    let production = [&PRODUCTION[..], &MAIL[..]].concat();
    for (environment, public, listens) in [
        (vec![], true, false),
        (vec![of_their_own], false, true),
        (production.clone(), false, false),
        ([&production[..], &[of_their_own]].concat(), false, true),
    ] {
        let settings = read(&environment).expect("valid");
        assert_eq!((settings.http.metrics, settings.metrics_listen.is_some()), (public, listens));
    }
}

#[test]
fn the_environment_sets_numbers_texts_and_short_names() {
    let settings = read(&[
        ("COUNTERFOIL__CODES__LIFETIME", "120"),
        ("COUNTERFOIL_LISTEN", "127.0.0.1:9000"),
        ("COUNTERFOIL__IDENTIFIERS__DEFAULT_REGION", "ir"),
        ("COUNTERFOIL__LIMITS__SHARED", "off"),
        ("PATH", "passed over"),
    ])
    .expect("valid");
    assert_eq!(settings.policy.code_lifetime.num_seconds(), 120);
    assert_eq!(settings.listen.port(), 9000);
    assert!(settings.http.default_region.is_some());
}

fn variable(setting: &str) -> String {
    format!("COUNTERFOIL__{}", setting.to_uppercase().replace('.', "__"))
}

/// What the settings come to, as text.
fn read_all(settings: &[(&str, &str)]) -> Result<String, SettingsError> {
    let environment = settings.iter().map(|(setting, value)| (variable(setting), (*value).to_owned()));
    let sources = Sources::read(None, environment, std::iter::empty())?;
    sources.check().map(|settings| format!("{settings:#?}"))
}

#[test]
fn a_text_for_a_list_of_tables_is_refused_without_repeating_it() {
    for setting in ["identifiers.test", "oauth.clients"] {
        for text in ["hush", "[hush", "[{ code = hush }]"] {
            let error = read_all(&[(setting, text)]).expect_err(text).to_string();
            assert!(error.starts_with(setting) && !error.contains("hush"), "{error}");
        }
    }
}

#[test]
fn a_list_is_written_as_in_toml_in_the_environment_and_in_a_flag() {
    let list = "[\"https://one.example\", \"https://two.example\"]".to_owned();
    let variable = [(variable("browsers.allowed_origins"), list.clone())].into_iter();
    let by_environment = Sources::read(None, variable, std::iter::empty()).expect("read");
    let flag = [("browsers.allowed_origins", list)].into_iter();
    let by_flag = Sources::read(None, std::iter::empty(), flag).expect("read");
    for sources in [by_environment, by_flag] {
        let shown = sources.shown();
        let shown = shown.iter().find(|shown| shown.key == "browsers.allowed_origins").expect("is shown");
        assert_eq!(shown.value, "https://one.example, https://two.example");
        sources.check().expect("the origins fit");
    }
}

#[test]
fn a_list_of_tables_from_the_environment_is_shown_with_its_origin_and_without_its_code() {
    let listed = EVERY_SETTING.iter().filter(|(setting, _)| *setting == "identifiers.test");
    let environment = listed.map(|(setting, value)| (variable(setting), (*value).to_owned()));
    let shown = Sources::read(None, environment, std::iter::empty()).expect("read").shown();
    let code = shown.iter().find(|shown| shown.key == "identifiers.test[0].code").expect("is shown");
    assert_eq!(
        (code.value.as_str(), code.origin.as_str()),
        ("…", "environment COUNTERFOIL__IDENTIFIERS__TEST")
    );
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_names_the_setting() {
    for (name, value, named) in [
        ("COUNTERFOIL__CODES__LIFETIME", "0", "codes.lifetime"),
        ("COUNTERFOIL__CODES__LIFETIME", "-1", "codes.lifetime"),
        ("COUNTERFOIL__CODES__LIFETIME", "99999999999999999999", "codes.lifetime"),
        ("COUNTERFOIL__SESSIONS__IDLE", "4294967295", "sessions.idle"),
        ("COUNTERFOIL__SESSIONS__DEVICE_LIMIT", "101", "sessions.device_limit"),
        ("COUNTERFOIL__SESSIONS__DEVICE_LIMIT_POLICY", "evict", "sessions.device_limit_policy"),
        ("COUNTERFOIL__SESSIONS__BINDING", "ip", "sessions.binding"),
        ("COUNTERFOIL__SESSIONS__ROTATION", "true", "sessions.rotation"),
        ("COUNTERFOIL__CODES__LIFETIMES", "60", "lifetimes"),
        ("COUNTERFOIL__NOTHING__HERE", "60", "nothing"),
        ("COUNTERFOIL_LISTEN", "0.0.0.0:8000", "server.listen"),
        ("COUNTERFOIL_LISTEN", "localhost", "server.listen"),
        ("COUNTERFOIL__SERVER__METRICS_LISTEN", "9000", "server.metrics_listen"),
        ("COUNTERFOIL_PROFILE", "staging", "profile"),
        ("COUNTERFOIL_PROFILE", "production", "database.url"),
        ("DATABASE_URL", "postgresql://localhost/x", "keyring.file"),
        ("COUNTERFOIL__IDENTIFIERS__DEFAULT_REGION", "Iran", "identifiers.default_region"),
        ("COUNTERFOIL__BROWSERS__COOKIES", "perhaps", "browsers.cookies"),
        ("COUNTERFOIL__LIMITS__CODES_BURST", "0", "limits.codes_burst"),
        ("COUNTERFOIL__LIMITS__STORE", "memory", "limits.store"),
        ("COUNTERFOIL__LIMITS__STORE", "redis", "limits.redis_url"),
        ("COUNTERFOIL__LIMITS__COUNTRIES", "IR Iran", "limits.countries"),
        ("COUNTERFOIL__LIMITS__MAIL_PROVIDERS", "mail.example, @mail", "limits.mail_providers"),
        ("COUNTERFOIL__LIMITS__MESSAGES_PER_COUNTRY__IRAN", "5", "limits.messages_per_country"),
        ("COUNTERFOIL__SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "server.trusted_proxies"),
        ("COUNTERFOIL__SERVER__TRUSTED_PROXIES", "10.0.0.0/8 fd00::1", "server.forwarded"),
        ("COUNTERFOIL__SERVER__FORWARDED", "forwarded", "server.trusted_proxies"),
        ("COUNTERFOIL__SERVER__FORWARDED", "x-real-ip", "server.forwarded"),
    ] {
        let error = read(&[(name, value)]).expect_err(name).to_string();
        assert!(error.contains(named), "{name}={value}: {error}");
    }
}

#[test]
fn settings_that_would_expose_what_they_protect_are_refused_by_their_names() {
    for (setting, value) in [
        ("server.trusted_proxies", "0.0.0.0/0"),
        ("server.trusted_proxies", "0.0.0.0/1,128.0.0.0/1"),
        ("server.trusted_proxies", "10.0.0.0/7"),
        ("server.trusted_proxies", "::/0"),
        ("server.trusted_proxies", "2000::/3"),
        ("server.workers", "1025"),
        ("server.workers", "1000000"),
        ("server.public_url", "http://auth.example"),
        ("server.public_url", "https://ada:secret@auth.example"),
        ("server.public_url", "https://auth.example:99999"),
        ("server.public_url", "https://"),
        ("server.public_url", "auth.example"),
        ("server.public_url", "https://auth.example/a b"),
        ("limits.redis_url", "redis://cache.example"),
        ("limits.redis_url", "redis://:secret@192.0.2.1:6379"),
        ("limits.redis_url", "rediss://cache.example/#insecure"),
        ("tokens.issuer", ""),
        ("tokens.issuer", "counter foil"),
        ("tokens.audience", ""),
        ("tokens.audience", "counterfoil\n"),
        ("delivery.devices_url", "http://app.example/devices"),
        ("delivery.devices_url", "https://ada:secret@app.example/"),
        ("delivery.devices_url", "https://"),
        ("delivery.webotp_domain", "app..example"),
        ("delivery.webotp_domain", "-app.example"),
        ("log.filter", "counterfoil=loud"),
    ] {
        let mut given = vec![(setting, value), ("server.forwarded", "forwarded")];
        given
            .extend([("server.trusted_proxies", "10.0.0.0/8")].iter().filter(|(other, _)| *other != setting));
        if setting == "limits.redis_url" {
            given.push(("limits.store", "redis"));
        }
        let error = read_all(&given).expect_err(value).to_string();
        assert!(error.starts_with(&format!("{setting}: ")), "{setting} = {value}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    for url in
        ["redis://localhost", "redis://[::1]:6379", "redis+unix:///run/redis", "rediss://cache.example"]
    {
        read_all(&[("limits.store", "redis"), ("limits.redis_url", url)]).expect(url);
    }
    for networks in ["10.0.0.0/8", "fc00::/7", "::1", "192.0.2.1"] {
        read_all(&[("server.trusted_proxies", networks), ("server.forwarded", "forwarded")]).expect(networks);
    }
}

#[test]
fn the_keyring_comes_from_a_file_or_from_a_command() {
    let command = |given: &[(&str, &str)]| {
        let settings = read(&[given, &[("COUNTERFOIL_PROFILE", "development")]].concat());
        settings.map(|settings| settings.keyring)
    };
    let expected =
        KeyringSource::Command { program: "secrets".to_owned(), arguments: vec!["get".to_owned()] };
    let printing = ("COUNTERFOIL__KEYRING__COMMAND", " secrets  get ");
    assert_eq!(command(&[printing]).expect("valid"), Some(expected.clone()));
    assert!(!format!("{expected:?}").contains("get"), "an argument may be secret");
    for words in ["secrets,get", "[\"secrets\", \"get\"]"] {
        let given = [("COUNTERFOIL__KEYRING__COMMAND", words)];
        assert_eq!(command(&given).expect("valid"), Some(expected.clone()), "{words}");
    }
    let comma = command(&[("COUNTERFOIL__KEYRING__COMMAND", "secrets --fields=a,b")]).expect("valid");
    let arguments = vec!["--fields=a,b".to_owned()];
    assert_eq!(comma, Some(KeyringSource::Command { program: "secrets".to_owned(), arguments }));
    for given in [&[printing, ("COUNTERFOIL_KEYRING", "k")][..], &[("COUNTERFOIL__KEYRING__COMMAND", " ")]] {
        let error = command(given).expect_err("refused").to_string();
        assert!(error.contains("keyring.command"), "{error}");
    }
}

#[test]
fn echo_and_limits_off_are_refused_outside_development() {
    for (setting, named) in [
        (("COUNTERFOIL__DELIVERY__PHONE", "echo"), "delivery.phone: echo"),
        (("COUNTERFOIL__DELIVERY__EMAIL", "echo"), "delivery.email: echo"),
        (("COUNTERFOIL__LOG__FILTER", "info"), "delivery.phone: is missing"),
        (("COUNTERFOIL__GATEWAYS__L__KIND", "log"), "gateways.l: `log`"),
    ] {
        let environment: Vec<_> = PRODUCTION.into_iter().chain([setting]).collect();
        let error = read(&environment).expect_err("refused").to_string();
        assert!(error.contains(named), "{error}");
    }
    read(&[&PRODUCTION[..], &MAIL[..]].concat()).expect("one channel will do");
}

#[test]
fn production_refuses_to_start_without_a_country_list_and_daily_budgets() {
    const TEXTS: [(&str, &str); 5] = [
        ("COUNTERFOIL__DELIVERY__PHONE", "sms"),
        ("COUNTERFOIL__GATEWAYS__SMS__KIND", "twilio"),
        ("COUNTERFOIL__GATEWAYS__SMS__ACCOUNT_SID", "AC1"),
        ("COUNTERFOIL__GATEWAYS__SMS__AUTH_TOKEN", "secret"),
        ("COUNTERFOIL__GATEWAYS__SMS__FROM", "+15005550006"),
    ];
    let production = [&PRODUCTION[..], &TEXTS[..], &MAIL[..]].concat();
    let given = [
        ("COUNTERFOIL__LIMITS__COUNTRIES", "IR"),
        ("COUNTERFOIL__LIMITS__MESSAGES_PER_DAY", "5000"),
        ("COUNTERFOIL__LIMITS__EMAILS_PER_DAY", "5000"),
    ];
    let with = |given: &[(&str, &str)]| {
        let without_budgets = production.iter().filter(|(name, _)| !name.contains("LIMITS"));
        read(&[&without_budgets.copied().collect::<Vec<_>>(), given].concat())
    };
    with(&given).expect("all are given");
    for (missing, setting, says) in [
        (0, "limits.countries: is missing", "[\"*\"] for all"),
        (1, "limits.messages_per_day: is missing", "Write a number"),
        (2, "limits.emails_per_day: is missing", "Write a number"),
    ] {
        let others: Vec<_> = (0..given.len()).filter(|n| *n != missing).map(|n| given[n]).collect();
        let error = with(&others).expect_err(setting).to_string();
        assert!(error.starts_with(setting) && error.contains(says), "{error}");
    }

    for all in ["*", "[\"*\"]"] {
        let everywhere = with(&[&[("COUNTERFOIL__LIMITS__COUNTRIES", all)], &given[1..]].concat());
        let (policy, _) = everywhere.expect(all).limits.expect("limits are on");
        assert!(policy.countries.is_empty(), "all countries are a choice that can be made");
    }
    for unclear in ["*,IR", "[]", ""] {
        let error = with(&[&[("COUNTERFOIL__LIMITS__COUNTRIES", unclear)], &given[1..]].concat());
        let error = error.expect_err(unclear).to_string();
        assert!(error.starts_with("limits.countries: "), "{error}");
    }
    // Where nothing goes to phone numbers, there is nothing to say about countries.
    read(&[&PRODUCTION[..], &MAIL[..]].concat()).expect("e-mail alone needs its own budget alone");
    read(&[]).expect("development needs neither");
}

#[test]
fn origins_are_whole_and_secure_and_nothing_else() {
    for good in ["https://app.example", "https://app.example:8443", "http://localhost:3000"] {
        assert!(super::browsers::origins(vec![good.to_owned()]).is_ok(), "{good}");
    }
    for bad in [
        "",
        "*",
        "null",
        "app.example",
        "http://app.example",
        "https://*.example",
        "https://a.example/",
        "https://A.example",
        "https://u@a.example",
        "https://a.example:443",
        "https://a.example:",
        "https://a.example:99999",
        "https://bücher.example",
        "ftp://a.example",
    ] {
        assert!(super::browsers::origins(vec![bad.to_owned()]).is_err(), "{bad}");
    }
}

#[test]
fn the_path_of_the_public_url_is_what_browsers_see() {
    for (url, path) in [
        ("https://x.example", ""),
        ("https://x.example/", ""),
        ("https://x.example:8443/auth/", "/auth"),
        ("https://x.example/a/b", "/a/b"),
    ] {
        let settings = read(&[("COUNTERFOIL__SERVER__PUBLIC_URL", url)]).expect("valid");
        assert_eq!(settings.http.public_path(), path, "{url}");
    }
    let error = read(&[("COUNTERFOIL__SERVER__PUBLIC_URL", "https://x.example/a;b")]).expect_err("refused");
    assert!(error.to_string().contains("server.public_url"), "{error}");
    assert_eq!(read(&[]).expect("valid").http.public_path(), "");
}

#[test]
fn headers_that_pages_may_send_are_names_of_headers() {
    let names =
        |names: &[&str]| super::browsers::header_names(names.iter().map(|&name| name.to_owned()).collect());
    assert!(names(&["x-app-version", "X-B"]).is_ok());
    for bad in ["", "*, x", "x y", "x:"] {
        assert!(names(&["x-a", bad]).is_err(), "{bad}");
    }
}

#[test]
fn the_connections_of_a_node_are_shared_by_its_threads_however_many_they_are() {
    for (connections, workers, of_thread) in
        [("48", "2", 10), ("48", "19", 2), ("13", "2", 2), ("200", "48", 3)]
    {
        let settings = read(&[
            ("COUNTERFOIL__DATABASE__CONNECTIONS", connections),
            ("COUNTERFOIL__SERVER__WORKERS", workers),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.connections_of_thread, of_thread, "{connections} by {workers}");
    }
    for (connections, workers) in [("48", "48"), ("12", "2"), ("10", "0"), ("0", "0"), ("10001", "2")] {
        let refused = read(&[
            ("COUNTERFOIL__DATABASE__CONNECTIONS", connections),
            ("COUNTERFOIL__SERVER__WORKERS", workers),
        ]);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("database.connections"), "{connections} by {workers}: {error}");
    }
    let few = read(&[("COUNTERFOIL__DATABASE__CONNECTIONS", "11")]).unwrap();
    assert_eq!((few.workers, few.connections_of_thread), (1, 2));
}
