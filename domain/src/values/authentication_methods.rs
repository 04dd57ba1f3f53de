//! How the user of a session was proved to be there.

use super::Channel;

/// The methods that proved the user of a session, as the claim `amr` names them (RFC 8176).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthenticationMethods {
    /// Where the one-time code went.
    pub channel: Channel,
    /// Whether the second factor was passed as well.
    pub second_factor: bool,
}

impl AuthenticationMethods {
    /// The names, always in the same order: `otp` for the code, `sms` where it went to a phone number, and `mfa` where the
    /// second factor was passed.
    pub fn names(self) -> &'static [&'static str] {
        match (self.channel, self.second_factor) {
            (Channel::Phone, false) => &["otp", "sms"],
            (Channel::Phone, true) => &["otp", "sms", "mfa"],
            (Channel::Email, false) => &["otp"],
            (Channel::Email, true) => &["otp", "mfa"],
        }
    }

    /// The methods of these names, in that order.
    pub fn from_names(names: &[impl AsRef<str>]) -> Option<Self> {
        let all = Channel::ALL
            .into_iter()
            .flat_map(|channel| [false, true].map(|second_factor| Self { channel, second_factor }));
        all.into_iter().find(|methods| names.iter().map(AsRef::as_ref).eq(methods.names().iter().copied()))
    }
}
