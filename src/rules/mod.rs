//! Access rules: what a program that embeds the service refuses beside the service itself.
//!
//! A rule may refuse and never allow more: all limits and checks of the service hold whatever a rule says. The service asks
//! the rules wherever a code is to be sent, a session is to begin, or a session is to get its next tokens.

mod rule_set;

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::Purpose;
use counterfoil_domain::values::{AccountId, Client, Identifier, Role, SessionId};

pub(crate) use rule_set::RuleQuestion;
pub use rule_set::{RuleSet, RuleSetError, RuleUnavailable};

/// A rule of one's own about who may get a code, sign in, and stay signed in.
///
/// A rule implements the stages that it has an opinion on; the others allow. A refusal is answered 403 `refused_by_rule` with the
/// rule's name, and is an event of the account (`SignInRefused`). A rule that fails, panics or is late is answered 503
/// `rule_unavailable`, and nothing has changed then: no code is spent, and no token.
///
/// All rules together have half a second for a request. A rule that blocks its thread cannot be interrupted, so
/// rules have to wait with `await`. While a rule is asked about a sign-in or a refresh, other commands to the same account wait
/// on that node.
///
/// ```
/// use counterfoil::chrono::Timelike as _;
/// use counterfoil::values::{Identifier, Role};
/// use counterfoil::{
///     AccessRule, CodeRuleRequest, RefreshRuleRequest, RuleDecision, RuleFault, Service, SignInRuleRequest, async_trait,
/// };
///
/// /// Sends codes to addresses of the company alone, so that no other address can sign in.
/// #[derive(Debug)]
/// struct CompanyOnly;
///
/// #[async_trait]
/// impl AccessRule for CompanyOnly {
///     fn name(&self) -> &'static str {
///         "company_only"
///     }
///
///     async fn code(&self, request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
///         Ok(match &request.identifier {
///             Identifier::Email(address) if address.domain() == "example.com" => RuleDecision::Allow,
///             Identifier::Email(_) | Identifier::Phone(_) => RuleDecision::Refuse,
///         })
///     }
/// }
///
/// /// Lets staff alone in at night, and ends the evening for sessions that are there.
/// #[derive(Debug)]
/// struct ClosedAtNight;
///
/// impl ClosedAtNight {
///     fn decide(hour: u32, is_staff: bool) -> RuleDecision {
///         if is_staff || (6..22).contains(&hour) { RuleDecision::Allow } else { RuleDecision::Refuse }
///     }
/// }
///
/// #[async_trait]
/// impl AccessRule for ClosedAtNight {
///     fn name(&self) -> &'static str {
///         "closed_at_night"
///     }
///
///     async fn sign_in(&self, request: &SignInRuleRequest) -> Result<RuleDecision, RuleFault> {
///         Ok(Self::decide(request.at.hour(), request.roles.contains(&Role::Admin)))
///     }
///
///     async fn refresh(&self, request: &RefreshRuleRequest) -> Result<RuleDecision, RuleFault> {
///         Ok(Self::decide(request.at.hour(), request.roles.contains(&Role::Admin)))
///     }
/// }
///
/// assert_eq!(ClosedAtNight::decide(23, false), RuleDecision::Refuse);
/// let service = || Service::from_environment().rule(CompanyOnly).rule(ClosedAtNight);
/// ```
#[async_trait]
pub trait AccessRule: fmt::Debug + Send + Sync {
    /// The name of the rule, which callers, events and metrics show: 1 to 40 of the characters `a` to `z`, `0` to `9` and `_`.
    fn name(&self) -> &'static str;

    /// Whether a code may be sent. The service asks before it counts the request and before it looks for an account. So a rule
    /// has to bear as many requests as callers send, and its answer must not depend on whether there is an account, since the
    /// caller has proved nothing yet.
    ///
    /// # Errors
    /// [`RuleFault`] where the rule cannot tell.
    async fn code(&self, _request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
        Ok(RuleDecision::Allow)
    }

    /// Whether the right code may begin a session. The service asks where it would let the caller in. A refusal spends the code.
    ///
    /// # Errors
    /// [`RuleFault`] where the rule cannot tell.
    async fn sign_in(&self, _request: &SignInRuleRequest) -> Result<RuleDecision, RuleFault> {
        Ok(RuleDecision::Allow)
    }

    /// Whether a session may have its next tokens. The service asks where it would give them. A refusal ends neither the
    /// session nor the refresh token: the client can present the token again.
    ///
    /// # Errors
    /// [`RuleFault`] where the rule cannot tell.
    async fn refresh(&self, _request: &RefreshRuleRequest) -> Result<RuleDecision, RuleFault> {
        Ok(RuleDecision::Allow)
    }
}

/// A code that is asked for.
#[derive(Clone, Debug)]
pub struct CodeRuleRequest {
    /// Where the code is to go.
    pub identifier: Identifier,
    /// What the code is for.
    pub purpose: Purpose,
    /// From where it is asked for.
    pub client: Client,
    /// The time, by the clock of the service.
    pub at: DateTime<Utc>,
}

/// A sign-in with the right code.
#[derive(Clone, Debug)]
pub struct SignInRuleRequest {
    /// The account that is signed in to.
    pub account: AccountId,
    /// Where the code had gone.
    pub identifier: Identifier,
    /// Whether the account was never signed in to before.
    pub is_new_account: bool,
    /// The roles of the account.
    pub roles: BTreeSet<Role>,
    /// From where the code came, with the name that the device gave itself.
    pub client: Client,
    /// The time, by the clock of the service.
    pub at: DateTime<Utc>,
}

/// A refresh with a token that the service would accept.
#[derive(Clone, Debug)]
pub struct RefreshRuleRequest {
    /// The account of the session.
    pub account: AccountId,
    /// The session that is to go on.
    pub session: SessionId,
    /// The roles of the account.
    pub roles: BTreeSet<Role>,
    /// From where the token came.
    pub client: Client,
    /// The time, by the clock of the service.
    pub at: DateTime<Utc>,
}

/// What a rule says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleDecision {
    /// The rule has nothing against it.
    Allow,
    /// The rule does not let it happen.
    Refuse,
}

impl RuleDecision {
    /// Returns [`Allow`](Self::Allow) where that is true, and [`Refuse`](Self::Refuse) elsewhere.
    pub fn allow_if(is_allowed: bool) -> Self {
        if is_allowed { Self::Allow } else { Self::Refuse }
    }
}

/// Why a rule cannot tell. The service writes the reason to its log, so it must hold nothing personal: no number, no address, no
/// answer of another service that quotes one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RuleFault {
    reason: String,
}

impl RuleFault {
    /// A fault for that reason.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}
