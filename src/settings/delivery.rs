//! The section `delivery`: the routes through gateways, prices and the texts of messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use counterfoil_domain::values::{Channel, Region};

use super::gateways::RawGateways;
use super::raw::raw_section;
use super::words::Words;
use super::{Environment, SettingsError, gateways, invalid};
use crate::delivery::{
    DeliverySettings, GatewaySettings, MessageTexts, Price, PriceList, RouteSettings, TextsError,
};

/// The reserved name of the way that needs no gateway.
const ECHO: &str = "echo";

/// The longest name of an app, in characters: the name and a code have to go into one text message.
const LONGEST_APP_NAME: usize = 24;

raw_section!(RawDelivery {
    phone: Option<Words>,
    phone_in: BTreeMap<String, Words>,
    email: Option<Words>,
    app_name: String,
    language: String,
    webotp_domain: Option<String>,
    devices_url: Option<String>,
    texts: Option<PathBuf>,
    prices: BTreeMap<String, String>,
});

impl RawDelivery {
    /// Checks the section and those of the gateways that it names.
    ///
    /// # Errors
    /// The first setting that is missing in this environment, unused, or does not fit.
    pub fn check(
        self,
        gateways: RawGateways,
        environment: Environment,
    ) -> Result<DeliverySettings, SettingsError> {
        let development = environment == Environment::Development;
        let texts = TextsForm {
            app_name: self.app_name,
            language: self.language,
            webotp_domain: self.webotp_domain,
            devices_url: self.devices_url,
            folder: self.texts,
        };
        let gateways = gateways::check(gateways, development)?;
        let routes = Routes { gateways: &gateways, development };

        let default = |given: Option<Words>, others: bool| {
            let echo = given.is_none() && !others && development;
            given.map(Words::into_list).unwrap_or_else(|| echo.then(|| ECHO.to_owned()).into_iter().collect())
        };
        let phone = default(self.phone, !self.phone_in.is_empty());
        let phone = routes.route("delivery.phone", Channel::Phone, phone)?;
        let email = routes.route("delivery.email", Channel::Email, default(self.email, false))?;
        let phone_in = routes.phone_in(self.phone_in, &phone)?;
        routes.require_use([&phone, &email].into_iter().chain(phone_in.values()))?;
        let (texts, prices) = (Arc::new(texts.check()?), prices(self.prices)?);
        Ok(DeliverySettings { phone, phone_in, email, prices, texts, gateways })
    }
}

/// What the names of a route are checked against.
struct Routes<'a> {
    gateways: &'a BTreeMap<String, GatewaySettings>,
    development: bool,
}

impl Routes<'_> {
    fn route(
        &self,
        setting: &str,
        channel: Channel,
        names: Vec<String>,
    ) -> Result<RouteSettings, SettingsError> {
        let fail = |problem: String| Err(invalid(setting.to_owned(), &problem));
        if names.iter().any(|name| name == ECHO) {
            return match (names.len(), self.development) {
                (_, false) => fail("echo gives codes away; it is for the development profile".to_owned()),
                (1, true) => Ok(RouteSettings::Echo),
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
        Ok(if names.is_empty() { RouteSettings::None } else { RouteSettings::Through(names) })
    }

    /// Checks the routes of single regions, beside the route of all other numbers.
    fn phone_in(
        &self,
        routes: BTreeMap<String, Words>,
        phone: &RouteSettings,
    ) -> Result<HashMap<Region, RouteSettings>, SettingsError> {
        let mut phone_in = HashMap::new();
        for (code, names) in routes {
            let setting = format!("delivery.phone_in.{code}");
            let region = region(&setting, &code)?;
            let route = self.route(&setting, Channel::Phone, names.into_list())?;
            if *phone == RouteSettings::Echo || route == RouteSettings::Echo {
                return Err(invalid(setting, "echo is for all numbers or for none"));
            }
            if phone_in.insert(region, route).is_some() {
                return Err(invalid(setting, "names a region for the second time"));
            }
        }
        Ok(phone_in)
    }

    /// Refuses gateways that no route names, and routes that lead nowhere.
    fn require_use<'b>(&self, routes: impl Iterator<Item = &'b RouteSettings>) -> Result<(), SettingsError> {
        let (mut used, mut echoes) = (BTreeSet::new(), false);
        for route in routes {
            match route {
                RouteSettings::None => {}
                RouteSettings::Echo => echoes = true,
                RouteSettings::Through(names) => used.extend(names),
            }
        }
        if used.is_empty() && !echoes {
            let problem = "is missing, and so is delivery.email: no code would be delivered";
            return Err(invalid("delivery.phone", problem));
        }
        match self.gateways.keys().find(|name| !used.contains(name)) {
            Some(unused) => Err(invalid(format!("gateways.{unused}"), "is used by no route of delivery")),
            None => Ok(()),
        }
    }
}

/// The settings that the texts of messages are made from.
struct TextsForm {
    app_name: String,
    language: String,
    webotp_domain: Option<String>,
    devices_url: Option<String>,
    folder: Option<PathBuf>,
}

impl TextsForm {
    fn check(self) -> Result<MessageTexts, SettingsError> {
        let Self { app_name, language, webotp_domain, devices_url, folder } = self;
        let length = app_name.chars().count();
        if !(1..=LONGEST_APP_NAME).contains(&length) || app_name.chars().any(char::is_control) {
            let problem = format!("must be 1 to {LONGEST_APP_NAME} characters on a line");
            return Err(invalid("delivery.app_name", &problem));
        }
        if webotp_domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            return Err(invalid("delivery.webotp_domain", "is not a domain such as app.example"));
        }
        if devices_url.as_deref().is_some_and(|url| !is_secure_link(url)) {
            return Err(invalid("delivery.devices_url", "is not a link such as https://app.example/devices"));
        }
        let texts = MessageTexts::new(app_name, &language, webotp_domain, devices_url, folder.as_deref());
        texts.map_err(|error| {
            let setting = match &error {
                TextsError::DefaultLanguage => "delivery.language",
                TextsError::File(_) => "delivery.texts",
            };
            invalid(setting, &error.to_string())
        })
    }
}

fn prices(raw: BTreeMap<String, String>) -> Result<PriceList, SettingsError> {
    let mut prices = PriceList::default();
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

/// Returns whether a text is a domain in its ASCII form: labels of lower-case letters, digits and inner hyphens.
fn is_domain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.split('.').all(|label| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(fits)
    })
}

/// Returns whether a text is an `https` URL that a message can carry, without a user or a password.
fn is_secure_link(text: &str) -> bool {
    let url: Option<reqwest::Url> = text.parse().ok();
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain
        && text.starts_with("https://")
        && url.is_some_and(|url| url.username().is_empty() && url.password().is_none())
}
