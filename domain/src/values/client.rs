//! From where a command came.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::DeviceName;

/// What is known of the device and network a command came from. Personal: sealed in the log, never in a log line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Client {
    /// The client's address; an IPv4 address mapped into IPv6 is kept as IPv4.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "192.0.2.7"))]
    pub ip: IpAddr,
    /// The `User-Agent` header, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<UserAgent>,
    /// The name the client gave its device, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<DeviceName>,
}

/// Says that there is one, not where: it is personal.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(…)")
    }
}

/// Which device and network a session was last used from, told apart without being told.
///
/// Each is 16 bits of a hash under a key that is kept elsewhere: enough that one client in 65,536 is taken for
/// another, and too few to say which of the world's networks it was, even with that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientMark {
    /// The `User-Agent` header but for its versions.
    pub device: u16,
    /// The network: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
    pub network: u16,
}

impl ClientMark {
    /// The mark of a client, under a keyed hash.
    pub fn from_client(client: &Client, hash: impl Fn(&[u8]) -> u16) -> Self {
        let device = client.user_agent.as_ref().map(UserAgent::without_versions).unwrap_or_default();
        let network = match client.ip {
            IpAddr::V4(ip) => [b"ip4 ".as_slice(), &ip.octets()[..3]].concat(),
            IpAddr::V6(ip) => [b"ip6 ".as_slice(), &ip.octets()[..6]].concat(),
        };
        Self { device: hash(&[b"device ", device.as_bytes()].concat()), network: hash(&network) }
    }

    /// What differs from an earlier mark; nothing where the client is the same.
    pub fn change_from(self, earlier: Self) -> Option<ClientChange> {
        match (self.device == earlier.device, self.network == earlier.network) {
            (true, true) => None,
            (false, true) => Some(ClientChange::Device),
            (true, false) => Some(ClientChange::Network),
            (false, false) => Some(ClientChange::DeviceAndNetwork),
        }
    }
}

/// Which address a session was last used from, told apart without being told: the 16 bits of its network, as in
/// [`ClientMark`], and 32 bits of a hash of what its network leaves open. With the key that is at most the last eight bits
/// of an IPv4 address, and still does not say of which of the world's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 30_065_000_007_u64))]
pub struct AddressMark(pub u64);

impl AddressMark {
    /// The mark of a client's address, whose network is marked already, under a keyed hash.
    pub fn from_client(client: &Client, network: u16, hash: impl Fn(&[u8]) -> u32) -> Self {
        let host = match client.ip {
            IpAddr::V4(ip) => [b"host4 ".as_slice(), &ip.octets()[3..]].concat(),
            IpAddr::V6(ip) => [b"host6 ".as_slice(), &ip.octets()[6..]].concat(),
        };
        Self(u64::from(network) << 32 | u64::from(hash(&host)))
    }
}

/// In what a client differs from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientChange {
    /// The device is another.
    Device,
    /// The network is another.
    Network,
    /// Both device and network are others.
    DeviceAndNetwork,
}

/// A `User-Agent` header, at most 255 characters of it, without control characters. Shown, never decided upon.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        max_length = 255,
        example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
)]
pub struct UserAgent(String);

impl UserAgent {
    /// The most characters kept.
    pub const MAX_CHARS: usize = 255;

    /// Takes what a client sent, cut at a character's end; nothing when nothing printable is in it.
    pub fn from_header(value: &str) -> Option<Self> {
        let text: String = value.chars().filter(|c| !c.is_control()).take(Self::MAX_CHARS).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without the words that hold a digit, which are versions, builds and models: what stays the same when
    /// a browser, an app or a system is updated.
    fn without_versions(&self) -> String {
        let within_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let words = self.0.split_inclusive(|c| !within_word(c));
        words.filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect()
    }
}

/// Says that there is one, not what it is: it is personal.
impl std::fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserAgent(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressMark, Client, ClientChange, ClientMark, UserAgent};

    /// The mark under a hash without a key.
    fn mark(ip: &str, user_agent: &str) -> ClientMark {
        let client = Client {
            ip: ip.parse().expect("an address"),
            user_agent: UserAgent::from_header(user_agent),
            device_name: None,
        };
        ClientMark::from_client(&client, |feature| {
            feature.iter().fold(0, |hash: u16, byte| hash.wrapping_mul(31).wrapping_add((*byte).into()))
        })
    }

    #[test]
    fn a_client_is_the_same_after_an_update_and_within_its_network() {
        for (ip, user_agent, other_ip, updated) in [
            (
                "192.0.2.7",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/99.0.1 Safari/537.36",
                "192.0.2.250",
                "Mozilla/5.0 (Windows NT 11.0; Win64; x64) AppleWebKit/537.36 Chrome/100.0.22 Safari/537.36",
            ),
            (
                "2001:db8:1:2::7",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1",
                "2001:db8:1:ffff::1",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0_1 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
            ),
            (
                "192.0.2.7",
                "Notes/2.7.1 (Android 14; SM-G991B Build/TP1A)",
                "192.0.2.7",
                "Notes/3 (Android 15; SM-G991B Build/AP3A)",
            ),
            ("192.0.2.7", "", "192.0.2.8", ""),
        ] {
            assert_eq!(mark(ip, user_agent).change_from(mark(other_ip, updated)), None, "{user_agent}");
        }
    }

    #[test]
    fn an_address_has_one_mark_and_no_other_address_has_it() {
        let addresses = [
            "192.0.2.7",
            "192.0.2.8",
            "192.0.3.7",
            "2001:db8:1:2::7",
            "2001:db8:1:2::8",
            "2001:db8:1:3::7",
            "2001:db8:2:2::7",
        ];
        let marks = addresses.map(|ip| {
            let client = Client { ip: ip.parse().expect("an address"), user_agent: None, device_name: None };
            AddressMark::from_client(&client, mark(ip, "").network, |host| {
                host.iter().fold(0, |hash: u32, byte| hash.wrapping_mul(31).wrapping_add((*byte).into()))
            })
        });
        for (n, one) in marks.iter().enumerate() {
            for (m, other) in marks.iter().enumerate() {
                assert_eq!(one == other, n == m, "{} {}", addresses[n], addresses[m]);
            }
        }
    }

    #[test]
    fn another_browser_system_app_or_network_is_another_client() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0) Chrome/99.0 Safari/537.36";
        let earlier = mark("192.0.2.7", chrome);
        for (ip, user_agent, change) in [
            (
                "192.0.2.7",
                "Mozilla/5.0 (Windows NT 10.0) Chrome/99.0 Safari/537.36 Edg/99.0",
                ClientChange::Device,
            ),
            ("192.0.2.7", "Mozilla/5.0 (X11; Linux) Chrome/99.0 Safari/537.36", ClientChange::Device),
            ("192.0.2.7", "curl/8.5.0", ClientChange::Device),
            ("192.0.2.7", "", ClientChange::Device),
            ("192.0.3.7", chrome, ClientChange::Network),
            ("2001:db8::7", chrome, ClientChange::Network),
            ("192.0.3.7", "curl/8.5.0", ClientChange::DeviceAndNetwork),
        ] {
            assert_eq!(mark(ip, user_agent).change_from(earlier), Some(change), "{ip} {user_agent}");
        }
    }

    #[test]
    fn a_user_agent_is_cut_at_a_character_and_cleared_of_controls() {
        let long = "ü".repeat(8_000);
        assert_eq!(UserAgent::from_header(&long).expect("some").as_str().chars().count(), 255);
        assert_eq!(UserAgent::from_header("curl\u{1b}[2J/8").expect("some").as_str(), "curl[2J/8");
        assert_eq!(UserAgent::from_header(" \r\n "), None);
    }
}
