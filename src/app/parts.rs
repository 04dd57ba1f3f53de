//! What an embedding program brings: gateways, claims, rules, event listeners, routes and sections of the settings.

use std::fmt;
use std::sync::Arc;

use super::ServiceAccounts;
use crate::delivery::Gateway;
use crate::http::OwnRoutes;
use crate::listeners::EventListener;
use crate::rules::AccessRule;
use crate::settings::OwnSection;
use crate::tokens::claims_source::ClaimsSource;

/// The parts of a program, which the service takes in the place of its own or beside them.
#[derive(Clone, Default)]
pub struct ServiceParts {
    /// The gateways, each by the name of its section.
    pub gateways: Vec<(String, Arc<dyn Gateway>)>,
    /// The source of claims in access tokens; one at most.
    pub claims: Vec<Arc<dyn ClaimsSource>>,
    /// The rules, in the order in which they are asked.
    pub rules: Vec<Arc<dyn AccessRule>>,
    /// The accounts of the service, as the parts of the program reach them once it has started.
    pub accounts: ServiceAccounts,
    /// The listeners that hear of events.
    pub listeners: Vec<Arc<dyn EventListener>>,
    /// The routes beside those of the service.
    pub routes: OwnRoutes,
    /// The sections of the settings.
    pub sections: Vec<OwnSection>,
}

impl ServiceParts {
    /// Checks that no two gateways have one name, and that there is one source of claims at most.
    ///
    /// # Errors
    /// A text that names what is there twice.
    pub(super) fn check_names(&self) -> Result<(), String> {
        if self.claims.len() > 1 {
            return Err(
                "the program gives two sources of claims: let one return the claims of both".to_owned()
            );
        }
        for (n, (name, _)) in self.gateways.iter().enumerate() {
            if self.gateways[..n].iter().any(|(former, _)| former == name) {
                return Err(format!("two gateways of the program have the name {name:?}"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ServiceParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateways: Vec<&str> = self.gateways.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ServiceParts").field("gateways", &gateways).finish_non_exhaustive()
    }
}
