//! From where a command came.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::DeviceName;

/// What is known of the device and network a command came from. Personal: sealed in the log, never in a log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The client's address; an IPv4 address mapped into IPv6 is kept as IPv4.
    pub ip: IpAddr,
    /// The `User-Agent` header, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<UserAgent>,
    /// The name the client gave its device, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<DeviceName>,
}

/// A `User-Agent` header, at most 255 characters of it, without control characters. Shown, never decided upon.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
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

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
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
    use super::UserAgent;

    #[test]
    fn a_user_agent_is_cut_at_a_character_and_cleared_of_controls() {
        let long = "ü".repeat(8_000);
        assert_eq!(UserAgent::from_header(&long).expect("some").as_str().chars().count(), 255);
        assert_eq!(UserAgent::from_header("curl\u{1b}[2J/8").expect("some").as_str(), "curl[2J/8");
        assert_eq!(UserAgent::from_header(" \r\n "), None);
    }
}
