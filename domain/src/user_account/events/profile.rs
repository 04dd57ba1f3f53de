//! The account itself and its profile.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::values::Channel;

/// What happened to the account itself and its profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProfileFact {
    /// The first proof of the identifier: the account exists from here on.
    UserRegistered {
        /// By which kind of identifier.
        channel: Channel,
    },
    /// The user changed their full name.
    ProfileUpdated {},
}
