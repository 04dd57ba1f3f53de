//! Networks, as people write them.

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
