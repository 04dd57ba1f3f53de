//! Put on record that an access rule refused a code.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, Purpose, Requester, RuleStage, RuleSubject, SessionFact, UserAccount,
    UserAccountEvent,
};
use crate::values::{Client, Identifier, RuleName};

/// Note that a rule refused a code. That it is refused has been decided already, without a look at the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRuleRefusal {
    pub at: DateTime<Utc>,
    pub rule: RuleName,
    /// Where the code was to go.
    pub identifier: Identifier,
    /// What the code was asked for.
    pub purpose: Purpose,
    /// From where it was asked.
    pub client: Client,
}

impl RecordRuleRefusal {
    /// A refusal begins no account: strangers could begin one for every number there is.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        if matches!(state, UserAccount::Unknown) {
            return Vec::new();
        }
        let at = state.time_of(self.at);
        let channel = self.identifier.channel();
        let Some(until) = state.rule_refusal_window(self.rule, RuleSubject::Code(channel), at) else {
            return Vec::new();
        };
        let fact = AccountFact::Session(SessionFact::SignInRefused {
            rule: self.rule,
            stage: RuleStage::Code,
            channel: Some(channel),
            purpose: self.purpose,
            session: None,
            requester: Requester::Stranger,
            until: Some(until),
        });
        let person = PersonalDetails { identifier: Some(self.identifier), ..PersonalDetails::default() };
        vec![UserAccountEvent { at, fact, person: Some(person), client: Some(self.client) }]
    }
}
