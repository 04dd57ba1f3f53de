//! Networks and hosts, as people write them.

use std::net::IpAddr;

use ipnet::{AddrParseError, IpNet};

/// Reads a network in CIDR notation (RFC 4632), or one address, which is a network of itself.
///
/// # Errors
/// When the text is neither.
pub fn parse(text: &str) -> Result<IpNet, AddrParseError> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical().into()),
        Err(_) => text.parse(),
    }
}

/// Whether a host is this machine, as it is written in a URL: `localhost`, or a loopback address.
pub fn is_this_machine(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
