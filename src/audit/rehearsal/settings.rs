//! The settings that can be rehearsed, and how values of them become the policy that would have held.

use std::fmt;
use std::sync::Arc;

use counterfoil_domain::user_account::Policy;

use crate::delivery::PriceList;

/// The settings that the log says enough about: those that accounts decide by.
pub const REHEARSED_SETTINGS: [&str; 14] = [
    "codes.lifetime",
    "codes.tries",
    "codes.resend_after",
    "codes.per_day",
    "codes.wrong_per_hour",
    "codes.wrong_in_a_row",
    "sessions.idle",
    "sessions.absolute",
    "sessions.refresh_grace",
    "sessions.refreshes_per_minute",
    "sessions.device_limit",
    "sessions.device_limit_policy",
    "sessions.binding",
    "sessions.rotation",
];

/// A setting, with its value as a text.
pub type SettingValue = (String, String);

/// The policy that some values come to, and the present value of each of these settings.
#[derive(Clone, Debug)]
pub struct ProposedPolicy {
    /// The policy that would have held.
    pub policy: Policy,
    /// The present values, in the order of those that were proposed.
    pub present: Vec<String>,
}

/// A value that does not fit its setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitSetting {
    /// The name of the setting; the last of several that do not fit together.
    pub setting: String,
    /// What is wrong with the value.
    pub problem: String,
}

type Propose = dyn Fn(&[SettingValue]) -> Result<ProposedPolicy, UnfitSetting> + Send + Sync;

/// Puts values in the place of the present settings of the node.
#[derive(Clone)]
pub struct PolicyProposals(Arc<Propose>);

impl PolicyProposals {
    /// Proposals by a function from values to a policy.
    pub fn new(
        propose: impl Fn(&[SettingValue]) -> Result<ProposedPolicy, UnfitSetting> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(propose))
    }

    /// Returns the policy that these values come to. The other settings are as they are.
    ///
    /// # Errors
    /// [`UnfitSetting`] names a setting whose value does not fit.
    pub fn propose(&self, settings: &[SettingValue]) -> Result<ProposedPolicy, UnfitSetting> {
        (self.0)(settings)
    }
}

impl fmt::Debug for PolicyProposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolicyProposals")
    }
}

/// What a rehearsal over HTTP goes by: the proposals, and the prices of codes where they are known.
#[derive(Clone, Debug)]
pub struct RehearsalPolicy {
    /// How values are put in the place of the present settings.
    pub proposals: PolicyProposals,
    /// The prices of codes; none where they are not known.
    pub prices: Option<PriceList>,
}

impl RehearsalPolicy {
    /// By these proposals and prices.
    pub fn new(proposals: PolicyProposals, prices: &PriceList) -> Self {
        Self { proposals, prices: Some(prices.clone()).filter(PriceList::are_known) }
    }
}
