//! Which gateways a message goes to, and in which order.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use counterfoil_domain::values::{Channel, Identifier, Region};

use super::gateways::GatewaySetupError;
use super::settings::{DeliverySettings, RouteSettings};
use super::{Gateway, gateways};
use crate::runtime::clock::Clock;

/// A gateway and the name that the settings know it by.
#[derive(Clone)]
pub struct NamedGateway {
    /// The name, which is kept with each message that it took.
    pub name: Arc<str>,
    /// The gateway that takes messages.
    pub gateway: Arc<dyn Gateway>,
}

impl fmt::Debug for NamedGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

/// The way of messages to an identifier.
#[derive(Clone, Debug)]
pub enum DeliveryRoute {
    /// There is none: such identifiers are not taken.
    None,
    /// The answer to the request holds the code. For development only: it proves nothing about who is asking.
    Echo,
    /// By the first of these that takes it.
    Through(Vec<NamedGateway>),
}

/// The gateways of an installation, and the routes through them.
#[derive(Debug)]
pub struct Gateways {
    phone: DeliveryRoute,
    phone_in: HashMap<Region, DeliveryRoute>,
    email: DeliveryRoute,
}

impl Gateways {
    /// Those of the settings. A section of kind `own` stands for a gateway of the program's, given here by its name:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use async_trait::async_trait;
    /// use counterfoil::runtime::clock::SystemClock;
    /// use counterfoil::delivery::{AcceptedMessage, DeliveryRoute, Gateway, Gateways, Message, NotAccepted};
    /// use counterfoil::settings::Sources;
    ///
    /// /// Hands messages to a pigeon.
    /// #[derive(Debug)]
    /// struct Pigeon;
    ///
    /// #[async_trait]
    /// impl Gateway for Pigeon {
    ///     async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
    ///         Ok(AcceptedMessage { reference: Some(format!("ring {}", message.id)) })
    ///     }
    /// }
    ///
    /// let settings = [("delivery.phone", "pigeon"), ("gateways.pigeon.kind", "own")];
    /// let settings = settings.map(|(key, value)| (key, value.to_owned()));
    /// let settings = Sources::read(None, std::iter::empty(), settings.into_iter())?.check()?;
    /// let pigeon: Arc<dyn Gateway> = Arc::new(Pigeon);
    /// let gateways = Gateways::new(&settings.delivery, [("pigeon", pigeon)], Arc::new(SystemClock))?;
    ///
    /// use counterfoil_domain::values::{Identifier, PhoneNumber};
    /// let to = Identifier::Phone(PhoneNumber::parse("+98 912 123 4567", None)?);
    /// let DeliveryRoute::Through(route) = gateways.route(&to) else { panic!("it goes by the pigeon") };
    /// assert_eq!(&*route[0].name, "pigeon");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a gateway of the program's own is missing, is given and has no section, or one of ours cannot be set up.
    pub fn new<'a>(
        settings: &DeliverySettings,
        own: impl IntoIterator<Item = (&'a str, Arc<dyn Gateway>)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GatewaySetupError> {
        let own: BTreeMap<&str, Arc<dyn Gateway>> = own.into_iter().collect();
        let named: BTreeMap<&str, NamedGateway> = gateways::build(&settings.gateways, own, &clock)?;
        let route = |route: &RouteSettings| match route {
            RouteSettings::None => DeliveryRoute::None,
            RouteSettings::Echo => DeliveryRoute::Echo,
            RouteSettings::Through(names) => DeliveryRoute::Through(
                names.iter().filter_map(|name| named.get(name.as_str()).cloned()).collect(),
            ),
        };
        Ok(Self {
            phone: route(&settings.phone),
            phone_in: settings.phone_in.iter().map(|(region, by)| (*region, route(by))).collect(),
            email: route(&settings.email),
        })
    }

    /// None, for a program that sends nothing by itself.
    pub fn none() -> Self {
        Self { phone: DeliveryRoute::None, phone_in: HashMap::new(), email: DeliveryRoute::None }
    }

    /// The way of messages to that identifier.
    pub fn route(&self, to: &Identifier) -> &DeliveryRoute {
        match to {
            Identifier::Email(_) => &self.email,
            Identifier::Phone(_) if self.phone_in.is_empty() => &self.phone,
            Identifier::Phone(number) => {
                let of_region = number.region().and_then(|region| self.phone_in.get(&region));
                of_region.unwrap_or(&self.phone)
            }
        }
    }

    /// How many gateways there are on the longest way.
    pub fn longest_route(&self) -> usize {
        let ways = Channel::ALL.into_iter().flat_map(|channel| self.ways(channel));
        ways.map(<[NamedGateway]>::len).max().unwrap_or_default()
    }

    /// The gateways that messages to identifiers of that kind go by, some of them several times.
    pub fn of(&self, channel: Channel) -> impl Iterator<Item = &NamedGateway> {
        self.ways(channel).flatten()
    }

    fn ways(&self, channel: Channel) -> impl Iterator<Item = &[NamedGateway]> {
        let (all, of_regions) = match channel {
            Channel::Phone => (&self.phone, Some(self.phone_in.values())),
            Channel::Email => (&self.email, None),
        };
        of_regions.into_iter().flatten().chain([all]).map(|route| match route {
            DeliveryRoute::None | DeliveryRoute::Echo => [].as_slice(),
            DeliveryRoute::Through(route) => route.as_slice(),
        })
    }

    /// Whether codes for that identifier come back in the answer: in every country, or in none.
    pub fn echoes(&self, to: &Identifier) -> bool {
        let route = match to {
            Identifier::Email(_) => &self.email,
            Identifier::Phone(_) => &self.phone,
        };
        matches!(route, DeliveryRoute::Echo)
    }
}
