//! What can be asked of an account: a file a command, each with its decision.
//!
//! A decision is a pure function of the state, the command and the services. Its guard clauses come first, each with
//! its own refusal; the one success comes last.

mod logout;
mod refresh_token;
mod request_otp;
mod resend_otp;
mod update_profile;
mod verify_otp;

pub use logout::Logout;
pub use refresh_token::RefreshToken;
pub use request_otp::RequestOtp;
pub use resend_otp::ResendOtp;
pub use update_profile::UpdateProfile;
pub use verify_otp::VerifyOtp;

use super::{Refusal, Services, UserAccount, UserAccountEvent};

/// A command to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAccountCommand {
    /// Send a code.
    RequestOtp(RequestOtp),
    /// Send the pending code once more.
    ResendOtp(ResendOtp),
    /// Redeem a code for a session.
    VerifyOtp(VerifyOtp),
    /// Trade a refresh token for the next generation.
    RefreshToken(RefreshToken),
    /// End a session.
    Logout(Logout),
    /// Change the name.
    UpdateProfile(UpdateProfile),
}

impl UserAccountCommand {
    /// What the command makes happen, or why nothing does.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing is to be recorded of the attempt.
    pub fn decide(self, state: &UserAccount, services: &Services) -> Result<Vec<UserAccountEvent>, Refusal> {
        match self {
            Self::RequestOtp(command) => command.decide(state, &services.policy),
            Self::ResendOtp(command) => command.decide(state, &services.policy),
            Self::VerifyOtp(command) => command.decide(state, services),
            Self::RefreshToken(command) => command.decide(state, &services.policy),
            Self::Logout(command) => Ok(command.decide(state)),
            Self::UpdateProfile(command) => command.decide(state),
        }
    }
}

macro_rules! into_command {
    ($($name:ident),+) => {$(
        impl From<$name> for UserAccountCommand {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        }
    )+};
}
into_command!(RequestOtp, ResendOtp, VerifyOtp, RefreshToken, Logout, UpdateProfile);
