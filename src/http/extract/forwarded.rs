//! Whose request it is where proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The header in which the proxies of an installation say whom they speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses, the nearest last.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): elements with `for`, the nearest last.
    Forwarded,
}

/// The proxies that are believed, and where they say whom they speak for. By default none is.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    /// The networks of the proxies.
    pub trusted: Vec<IpNet>,
    /// The one header that is read; others are the client's words.
    pub header: Option<ForwardedHeader>,
}

impl TrustedProxies {
    /// The client's address: the peer's own or, where that is a proxy of ours, the right-most hop that is none.
    ///
    /// Each proxy adds to the right the address that it was called from, so what stands left of the first stranger is
    /// the stranger's own tale. An entry that is no address ends the walk at the hop before it.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let (name, read): (HeaderName, fn(&str) -> Option<IpAddr>) = match self.header {
            None => return peer.to_canonical(),
            Some(ForwardedHeader::XForwardedFor) => (header::X_FORWARDED_FOR, node),
            Some(ForwardedHeader::Forwarded) => (header::FORWARDED, forwarded_for),
        };
        let mut client = peer.to_canonical();
        // Several lines are one list (RFC 9110, section 5.3), and an empty element of a list is none (section 5.6.1).
        let lines = headers.get_all(name);
        let entries: Vec<&[u8]> =
            lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
        let mut entries = entries.into_iter().rev().map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
        while self.trusted.iter().any(|network| network.contains(&client)) {
            match entries.next().and_then(|entry| read(str::from_utf8(entry).ok()?)) {
                Some(hop) => client = hop,
                None => break,
            }
        }
        client
    }
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(address) => IpAddr::V6(address.parse().ok()?),
        None => text.parse().or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip())).ok()?,
    };
    Some(address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239, section 4).
///
/// The list was split at every comma, within quotes as well: a quote that the client left open must not swallow what a
/// proxy added after it. So the element has to be whole, every pair of it, or nothing of it is believed.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim().split_once('=')?;
        let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let whole = match unquoted {
            Some(text) => !text.contains(['"', '\\']),
            None => is_token(value),
        };
        if !is_token(name) || !whole {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && found.replace(node(unquoted.unwrap_or(value))?).is_some() {
            return None;
        }
    }
    found
}

/// A token (RFC 9110, section 5.6.2), or what many proxies leave unquoted though it is none: an address with a port.
fn is_token(text: &str) -> bool {
    let marks = "!#$%&'*+-.^_`|~:[]";
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{ForwardedHeader, TrustedProxies};

    fn proxies(header: ForwardedHeader) -> TrustedProxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        TrustedProxies { trusted: trusted.into(), header: Some(header) }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn client_of(header: ForwardedHeader, peer: &str, lines: &[&[u8]]) -> IpAddr {
        let name = match header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line).expect("a header's value");
            headers.append(HeaderName::from_static(name), value);
        }
        proxies(header).client(ip(peer), &headers)
    }

    #[test]
    fn the_client_is_the_right_most_hop_that_is_no_proxy_of_ours() {
        for (peer, lines, client) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.7 ,10.9.9.9"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.7", "10.9.9.9"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["[::ffff:198.51.100.7]:80"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.7, , ,"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.7, 1.2.3.4.5"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, fe80::1%eth0"], "10.0.0.1"),
            ("10.0.0.1", &["for=198.51.100.7"], "10.0.0.1"),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(client_of(ForwardedHeader::XForwardedFor, peer, &lines), ip(client), "{lines:?}");
        }
    }

    #[test]
    fn an_element_of_forwarded_is_believed_whole_or_not_at_all() {
        for (line, client) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("For=\"198.51.100.7:4711\";proto=https;by=10.0.0.1", "198.51.100.7"),
            ("for=6.6.6.6, for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=198.51.100.7, for=10.0.0.2;host=app.example", "198.51.100.7"),
            ("for=\"6.6.6.6, for=198.51.100.7", "198.51.100.7"),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=unknown", "10.0.0.1"),
            ("for=198.51.100.7;for=6.6.6.6", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
            ("for=198.51.100.7;host=\"x, for=6.6.6.6;b=c\"", "10.0.0.1"),
            ("for=198.51.100.7;host=\"x\\\", for=6.6.6.6;b=\\\"y\"", "10.0.0.1"),
            ("198.51.100.7", "10.0.0.1"),
        ] {
            let client_found = client_of(ForwardedHeader::Forwarded, "10.0.0.1", &[line.as_bytes()]);
            assert_eq!(client_found, ip(client), "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_client_sends_moves_the_hop_that_the_proxy_added(
            forged in proptest::collection::vec("[\\t\\x20-\\x7e\u{80}-\u{ff}]{0,40}", 0..4),
            client in any::<u32>().prop_map(Ipv4Addr::from)
                .prop_filter("a stranger", |client| client.octets()[0] != 10),
        ) {
            for (header, added) in [
                (ForwardedHeader::XForwardedFor, format!("{client}")),
                (ForwardedHeader::Forwarded, format!("for={client}")),
            ] {
                // The proxy adds to the last line, or a line of its own.
                let mut lines: Vec<Vec<u8>> = forged.iter().map(|line| line.clone().into_bytes()).collect();
                lines.push(added.clone().into_bytes());
                let joined = [forged.join(","), added].join(", ").into_bytes();
                for lines in [lines, vec![joined]] {
                    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
                    prop_assert_eq!(client_of(header, "10.0.0.1", &lines), IpAddr::V4(client));
                    prop_assert_eq!(client_of(header, "192.0.2.1", &lines), ip("192.0.2.1"));
                }
            }
        }
    }
}
