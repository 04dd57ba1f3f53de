//! The settings of delivery: gateways, the routes through them, prices and texts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use config::Value;
use counterfoil_domain::values::{Channel, Region};
use serde::Deserialize;

use super::gateways::GatewaySettings;
use super::{Price, Prices, Texts};
use crate::settings::{SettingsError, Words, invalid};

/// The reserved name of the way that needs no gateway.
const ECHO: &str = "echo";

/// How messages reach people, checked.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    pub(super) phone: RawRoute,
    pub(super) phone_in: HashMap<Region, RawRoute>,
    pub(super) email: RawRoute,
    pub(super) gateways: BTreeMap<String, GatewaySettings>,
    /// What a message costs.
    pub prices: Prices,
    /// The words of messages.
    pub texts: Arc<Texts>,
}

/// The names of the gateways of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawRoute {
    None,
    Echo,
    Through(Vec<String>),
}

/// The section `delivery`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDelivery {
    phone: Option<Words>,
    phone_in: BTreeMap<String, Words>,
    email: Option<Words>,
    app_name: String,
    language: String,
    webotp_domain: Option<String>,
    devices_url: Option<String>,
    texts: Option<PathBuf>,
    prices: BTreeMap<String, String>,
}

/// The sections below `gateways`, by name.
pub(crate) type RawGateways = BTreeMap<String, Value>;

impl DeliverySettings {
    /// Checks everything.
    ///
    /// # Errors
    /// The first setting that is missing in this profile, unused, or does not fit.
    pub(crate) fn check(
        raw: RawDelivery,
        gateways: RawGateways,
        development: bool,
    ) -> Result<Self, SettingsError> {
        let gateways = gateways.into_iter().map(|(name, section)| {
            let checked = GatewaySettings::read(&name, section, development)?;
            Ok((name, checked))
        });
        let gateways = gateways.collect::<Result<BTreeMap<_, _>, SettingsError>>()?;
        let routes = Routes { gateways: &gateways, development };

        let default = |given: Option<Words>, others: bool| {
            let echo = given.is_none() && !others && development;
            given.map(Words::into_list).unwrap_or_else(|| echo.then(|| ECHO.to_owned()).into_iter().collect())
        };
        let phone = default(raw.phone, !raw.phone_in.is_empty());
        let phone = routes.route("delivery.phone", Channel::Phone, phone)?;
        let email = routes.route("delivery.email", Channel::Email, default(raw.email, false))?;
        let mut phone_in = HashMap::new();
        for (code, names) in raw.phone_in {
            let setting = format!("delivery.phone_in.{code}");
            let region = region(&setting, &code)?;
            let route = routes.route(&setting, Channel::Phone, names.into_list())?;
            if phone == RawRoute::Echo || route == RawRoute::Echo {
                return Err(invalid(setting, "echo is for all numbers or for none"));
            }
            if phone_in.insert(region, route).is_some() {
                return Err(invalid(setting, "names a region for the second time"));
            }
        }
        let used: BTreeSet<&String> = [&phone, &email]
            .into_iter()
            .chain(phone_in.values())
            .filter_map(|route| match route {
                RawRoute::Through(names) => Some(names),
                RawRoute::None | RawRoute::Echo => None,
            })
            .flatten()
            .collect();
        if used.is_empty() && [&phone, &email].iter().all(|route| **route == RawRoute::None) {
            let problem = "is missing, and so is delivery.email: codes would reach nobody";
            return Err(invalid("delivery.phone", problem));
        }
        if let Some(unused) = gateways.keys().find(|name| !used.contains(name)) {
            return Err(invalid(format!("gateways.{unused}"), "is used by no route of delivery"));
        }
        let texts = Texts::new(
            raw.app_name,
            &raw.language,
            raw.webotp_domain,
            raw.devices_url,
            raw.texts.as_deref(),
        )?;
        Ok(Self { phone, phone_in, email, prices: prices(raw.prices)?, texts: Arc::new(texts), gateways })
    }
}

impl DeliverySettings {
    /// Whether any identifier of that kind is reached.
    pub(crate) fn sends_to(&self, channel: Channel) -> bool {
        match channel {
            Channel::Phone => self.phone != RawRoute::None || !self.phone_in.is_empty(),
            Channel::Email => self.email != RawRoute::None,
        }
    }
}

/// What the names of a route are checked against.
struct Routes<'a> {
    gateways: &'a BTreeMap<String, GatewaySettings>,
    development: bool,
}

impl Routes<'_> {
    fn route(&self, setting: &str, channel: Channel, names: Vec<String>) -> Result<RawRoute, SettingsError> {
        let fail = |problem: String| Err(invalid(setting.to_owned(), &problem));
        if names.iter().any(|name| name == ECHO) {
            return match (names.len(), self.development) {
                (_, false) => fail("echo gives codes away; it is for the development profile".to_owned()),
                (1, true) => Ok(RawRoute::Echo),
                (_, true) => fail("echo goes with no other gateway".to_owned()),
            };
        }
        for (index, name) in names.iter().enumerate() {
            match self.gateways.get(name) {
                None => return fail(format!("{name:?} is no gateway; there is no section gateways.{name}")),
                Some(gateway) if !gateway.takes(channel) => {
                    let channel = channel.as_str();
                    return fail(format!("{name:?} takes no messages for {channel}"));
                }
                Some(_) if names[..index].contains(name) => return fail(format!("names {name:?} twice")),
                Some(_) => {}
            }
        }
        Ok(if names.is_empty() { RawRoute::None } else { RawRoute::Through(names) })
    }
}

fn prices(raw: BTreeMap<String, String>) -> Result<Prices, SettingsError> {
    let mut prices = Prices::default();
    for (to, text) in raw {
        let setting = format!("delivery.prices.{to}");
        let Some(price) = Price::parse(&text) else {
            return Err(invalid(setting, "is a decimal number with at most six digits after the point"));
        };
        match to.as_str() {
            "default" => prices.text_message = price,
            "email" => prices.email = price,
            code => {
                let region = region(&setting, code)?;
                if prices.by_region.insert(region, price).is_some() {
                    return Err(invalid(setting, "names a region for the second time"));
                }
            }
        }
    }
    Ok(prices)
}

fn region(setting: &str, code: &str) -> Result<Region, SettingsError> {
    let unknown = || invalid(setting.to_owned(), "is not of a two-letter code of a region, such as IR");
    Region::parse(code).ok_or_else(unknown)
}

/// Whether a setting of a gateway, named without its section, may be shown. Those that are not known to hold no secret
/// may not.
pub(crate) fn shown_in_full(setting: &str) -> bool {
    [
        "kind",
        "account_sid",
        "messaging_service_sid",
        "from",
        "sender",
        "template",
        "server",
        "tls",
        "ehlo_name",
    ]
    .contains(&setting)
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::values::{EmailAddress, Identifier, PhoneNumber};

    use super::RawRoute;
    use crate::settings::{Settings, SettingsError, Sources};

    const KAVENEGAR: &str = "[gateways.k]\nkind = \"kavenegar\"\napi_key = \"hush\"\n";
    const TWILIO: &str = "[gateways.t]\nkind = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = \"hush\"\nfrom = \"+15005550006\"\n";
    const SMTP: &str =
        "[gateways.m]\nkind = \"smtp\"\nserver = \"smtp.example:465\"\nfrom = \"a@b.example\"\n";

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

    fn through(names: &[&str]) -> RawRoute {
        RawRoute::Through(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn development_echoes_until_it_is_told_otherwise() {
        let delivery = read("").expect("valid").delivery;
        assert_eq!((delivery.phone, delivery.email), (RawRoute::Echo, RawRoute::Echo));
        let delivery =
            read("[delivery]\nphone = \"l\"\n[gateways.l]\nkind = \"log\"").expect("valid").delivery;
        assert_eq!((delivery.phone, delivery.email), (through(&["l"]), RawRoute::Echo));
        let delivery = read("[delivery]\nphone = []").expect("valid").delivery;
        assert_eq!(delivery.phone, RawRoute::None);
        let iran = format!("[delivery.phone_in]\nIR = [\"k\"]\n{KAVENEGAR}");
        let delivery = read(&iran).expect("valid").delivery;
        assert_eq!((delivery.phone, delivery.phone_in.len()), (RawRoute::None, 1));
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
        let hook =
            |lines: &str| format!("[delivery]\nphone = \"h\"\n[gateways.h]\nkind = \"webhook\"\n{lines}");
        let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
        let mail = |lines: &str| {
            format!(
                "[delivery]\nemail = \"m\"\n[gateways.m]\nkind = \"smtp\"\nfrom = \"a@b.example\"\n{lines}"
            )
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
            (
                "[gateways.x]\napi_key = \"hush\"".to_owned(),
                "gateways.x: missing configuration field \"kind\"",
            ),
            (format!("{KAVENEGAR}api_kee = \"hush\""), "gateways.k: unknown field `api_kee`"),
            (
                "[gateways.k]\nkind = \"kavenegar\"\napi_key = 12345".to_owned(),
                "gateways.k: a secret is no text",
            ),
            (
                "[gateways.k]\nkind = \"kavenegar\"\napi_key = \"\"".to_owned(),
                "gateways.k: a secret is empty",
            ),
            (TWILIO.replace("from", "messaging_service_sid") + "from = \"+1\"", "gateways.t: needs either"),
            (TWILIO.replace("from = \"+15005550006\"", ""), "gateways.t: needs either"),
            (hook("url = \"https://a.example\""), "gateways.h: missing configuration field \"secret\""),
            (hook("url = \"https://a.example\"\nsecret = \"hush\""), "gateways.h: `secret` is whsec_"),
            (
                hook("url = \"https://a.example\"\nsecret = \"whsec_aHVzaA==\""),
                "gateways.h: `secret` is whsec_",
            ),
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
        for url in
            ["http://localhost:9000/x", "http://127.0.0.1/x", "http://[::1]/x", "https://a.example/x?y"]
        {
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
}
