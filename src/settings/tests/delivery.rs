//! Tests of the sections `delivery` and `gateways`.

use counterfoil_domain::values::{EmailAddress, Identifier, PhoneNumber};

use crate::delivery::RouteSettings;
use crate::settings::{Settings, SettingsError, Sources};

const KAVENEGAR: &str = "[gateways.k]\nkind = \"kavenegar\"\napi_key = \"hush\"\n";
const TWILIO: &str = "[gateways.t]\nkind = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = \"hush\"\nfrom = \"+15005550006\"\n";
const SMTP: &str = "[gateways.m]\nkind = \"smtp\"\nserver = \"smtp.example:465\"\nfrom = \"a@b.example\"\n";

fn sources(toml: &str, environment: &[(&str, &str)]) -> Sources {
    let file = std::env::temp_dir()
        .join(format!("{}.toml", uuid::Uuid::from_bytes(crate::crypto::entropy::bytes())));
    std::fs::write(&file, toml).expect("written");
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = Sources::read(Some(&file), environment, std::iter::empty());
    std::fs::remove_file(&file).expect("removed");
    sources.expect("is TOML")
}

fn read(toml: &str) -> Result<Settings, SettingsError> {
    sources(toml, &[]).check()
}

fn through(names: &[&str]) -> RouteSettings {
    RouteSettings::Through(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn development_echoes_until_it_is_told_otherwise() {
    let delivery = read("").expect("valid").delivery;
    assert_eq!((delivery.phone, delivery.email), (RouteSettings::Echo, RouteSettings::Echo));
    let delivery = read("[delivery]\nphone = \"l\"\n[gateways.l]\nkind = \"log\"").expect("valid").delivery;
    assert_eq!((delivery.phone, delivery.email), (through(&["l"]), RouteSettings::Echo));
    let delivery = read("[delivery]\nphone = []").expect("valid").delivery;
    assert_eq!(delivery.phone, RouteSettings::None);
    let iran = format!("[delivery.phone_in]\nIR = [\"k\"]\n{KAVENEGAR}");
    let delivery = read(&iran).expect("valid").delivery;
    assert_eq!((delivery.phone, delivery.phone_in.len()), (RouteSettings::None, 1));
}

#[test]
fn gateways_are_tried_in_the_order_of_their_names() {
    let toml = format!(
        "[delivery]\nphone = [\"t\", \"k\"]\nemail = \"m\"\n[delivery.phone_in]\nIR = \"k t\"\n{KAVENEGAR}{TWILIO}{SMTP}"
    );
    let delivery = read(&toml).expect("valid").delivery;
    assert_eq!(delivery.phone, through(&["t", "k"]));
    assert_eq!(delivery.email, through(&["m"]));
    assert_eq!(delivery.phone_in.into_values().collect::<Vec<_>>(), [through(&["k", "t"])]);
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_setting() {
    let hook = |lines: &str| format!("[delivery]\nphone = \"h\"\n[gateways.h]\nkind = \"webhook\"\n{lines}");
    let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let mail = |lines: &str| {
        format!("[delivery]\nemail = \"m\"\n[gateways.m]\nkind = \"smtp\"\nfrom = \"a@b.example\"\n{lines}")
    };
    for (toml, named) in [
        ("[delivery]\nphone = [\"x\"]".to_owned(), "delivery.phone: \"x\" is no gateway"),
        ("[delivery]\nphone = [\"echo\", \"echo\"]".to_owned(), "delivery.phone: echo"),
        (format!("[delivery]\nphone = \"echo k\"\n{KAVENEGAR}"), "delivery.phone: echo"),
        (format!("[delivery]\nphone = \"k k\"\n{KAVENEGAR}"), "delivery.phone: names \"k\" twice"),
        (format!("[delivery]\nemail = \"k\"\n{KAVENEGAR}"), "delivery.email: \"k\" takes no"),
        (format!("[delivery]\nphone = \"m\"\n{SMTP}"), "delivery.phone: \"m\" takes no"),
        (format!("[delivery]\nphone = []\nemail = []\n{KAVENEGAR}"), "delivery.phone: is missing"),
        (KAVENEGAR.to_owned(), "gateways.k: is used by no route"),
        (
            format!("[delivery]\nphone = \"echo\"\n[delivery.phone_in]\nIR = \"k\"\n{KAVENEGAR}"),
            "delivery.phone_in.IR: echo",
        ),
        (format!("[delivery.phone_in]\nIran = \"k\"\n{KAVENEGAR}"), "delivery.phone_in.Iran: is not"),
        (format!("[delivery.phone_in]\nIR = \"k\"\nir = \"k\"\n{KAVENEGAR}"), "for the second time"),
        ("[delivery.prices]\nIR = -1".to_owned(), "delivery.prices.IR: is a decimal"),
        ("[delivery.prices]\ntehran = 1".to_owned(), "delivery.prices.tehran: is not"),
        ("[delivery]\nlanguage = \"de\"".to_owned(), "delivery.language"),
        ("[delivery]\napp_name = \"\"".to_owned(), "delivery.app_name"),
        ("[delivery]\nwebotp_domain = \"https://app.example\"".to_owned(), "delivery.webotp_domain"),
        ("[delivery]\ndevices_url = \"app.example\"".to_owned(), "delivery.devices_url"),
        ("[delivery]\ntexts = \"/nowhere\"".to_owned(), "delivery.texts: /nowhere"),
        ("[delivery]\ngateway = \"echo\"".to_owned(), "gateway"),
        ("[gateways.x]\nkind = \"pigeon\"".to_owned(), "gateways.x: unknown variant `pigeon`"),
        ("[gateways.x]\napi_key = \"hush\"".to_owned(), "gateways.x: missing configuration field \"kind\""),
        (format!("{KAVENEGAR}api_kee = \"hush\""), "gateways.k: unknown field `api_kee`"),
        ("[gateways.k]\nkind = \"kavenegar\"\napi_key = 12345".to_owned(), "gateways.k: a secret is no text"),
        ("[gateways.k]\nkind = \"kavenegar\"\napi_key = \"\"".to_owned(), "gateways.k: a secret is empty"),
        (TWILIO.replace("from", "messaging_service_sid") + "from = \"+1\"", "gateways.t: needs either"),
        (TWILIO.replace("from = \"+15005550006\"", ""), "gateways.t: needs either"),
        (hook("url = \"https://a.example\""), "gateways.h: missing configuration field \"secret\""),
        (hook("url = \"https://a.example\"\nsecret = \"hush\""), "gateways.h: `secret` is whsec_"),
        (hook("url = \"https://a.example\"\nsecret = \"whsec_aHVzaA==\""), "gateways.h: `secret` is whsec_"),
        (hook(&format!("url = \"http://a.example\"\n{secret}")), "gateways.h: `url` must be https"),
        (hook(&format!("url = \"ftp://localhost\"\n{secret}")), "gateways.h: `url` must be https"),
        (hook(&format!("url = \"https://u:hush@a.example\"\n{secret}")), "gateways.h: `url` is https"),
        (hook(&format!("url = \"hush\"\n{secret}")), "gateways.h: `url` is no URL"),
        (mail("server = \"smtp.example\""), "gateways.m: `server` is host:port"),
        (mail("server = \"smtp.example:25\"\ntls = \"none\""), "gateways.m: `tls`"),
        (mail("server = \"smtp.example:25\"\ntls = \"perhaps\""), "gateways.m: unknown variant"),
        (mail("server = \"smtp.example:25\"\nusername = \"hush\""), "gateways.m: `username` and"),
        (format!("{SMTP}ehlo_name = \"hush\""), "gateways.m: `ehlo_name` is not"),
        (format!("{SMTP}ehlo_name = \"a..example\""), "gateways.m: `ehlo_name` is not"),
        (SMTP.replace("a@b.example", "hush"), "gateways.m: `from` is no e-mail address"),
    ] {
        let error = read(&toml).expect_err(&toml).to_string();
        assert!(error.contains(named), "{toml}: {error}");
        assert!(!error.contains("hush") && !error.contains("12345"), "{error}");
    }
    for url in ["http://localhost:9000/x", "http://127.0.0.1/x", "http://[::1]/x", "https://a.example/x?y"] {
        read(&hook(&format!("url = \"{url}\"\n{secret}"))).expect(url);
    }
}

#[test]
fn secrets_come_from_the_environment_and_are_never_shown() {
    let toml = TWILIO.replace("auth_token = \"hush\"\n", "");
    let environment =
        [("COUNTERFOIL__GATEWAYS__T__AUTH_TOKEN", "hush"), ("COUNTERFOIL__DELIVERY__PHONE", "t")];
    let sources = sources(&toml, &environment);
    let shown = sources.shown();
    let token = shown.iter().find(|shown| shown.key == "gateways.t.auth_token").expect("is shown");
    assert_eq!(token.value, "…");
    assert_eq!(token.origin, "environment COUNTERFOIL__GATEWAYS__T__AUTH_TOKEN");
    assert!(shown.iter().any(|shown| shown.value == "AC1"), "{shown:?}");
    let settings = sources.check().expect("valid");
    assert_eq!(settings.delivery.phone, through(&["t"]));
    assert!(!format!("{settings:?}").contains("hush"));
}

#[test]
fn a_message_costs_what_its_country_costs() {
    let toml = "[delivery.prices]\ndefault = 0.05\nIR = 0.004\nemail = \"0.0001\"\n";
    let prices = read(toml).expect("valid").delivery.prices;
    let phone = |number| Identifier::Phone(PhoneNumber::parse(number, None).expect("valid"));
    let email = Identifier::Email(EmailAddress::parse("ada@example.com").expect("valid"));
    for (to, price) in
        [(phone("+989121234567"), "0.004"), (phone("+447400123456"), "0.05"), (email, "0.0001")]
    {
        assert_eq!(prices.of(&to).to_string(), price);
    }
}
