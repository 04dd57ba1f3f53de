//! The settings of delivery: the routes through gateways, prices and texts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use counterfoil_domain::values::{Channel, Region};

use super::gateways::GatewaySettings;
use super::{MessageTexts, PriceList};

/// How messages reach people, checked.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// The route of phone numbers whose region has no route of its own.
    pub(crate) phone: RouteSettings,
    /// The routes of the phone numbers of single regions.
    pub(crate) phone_in: HashMap<Region, RouteSettings>,
    /// The route of e-mail addresses.
    pub(crate) email: RouteSettings,
    /// The settings of each gateway, by its name.
    pub(crate) gateways: BTreeMap<String, GatewaySettings>,
    /// What a message costs.
    pub prices: PriceList,
    /// The words of messages.
    pub texts: Arc<MessageTexts>,
}

/// A route by the names of its gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RouteSettings {
    /// There is no route.
    None,
    /// The response to the request holds the code.
    Echo,
    /// The gateways are tried in this order.
    Through(Vec<String>),
}

impl DeliverySettings {
    /// Returns whether any identifier of that kind is reached.
    pub(crate) fn sends_to(&self, channel: Channel) -> bool {
        match channel {
            Channel::Phone => self.phone != RouteSettings::None || !self.phone_in.is_empty(),
            Channel::Email => self.email != RouteSettings::None,
        }
    }
}
