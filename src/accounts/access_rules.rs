//! Where the access rules of an embedding program are asked: before a code is counted, and where the account would let a caller
//! sign in or refresh.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{RecordRuleRefusal, RefreshToken, VerifyOtp};
use counterfoil_domain::user_account::{
    Purpose, Refusal, SessionTokens, UserAccount, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Identifier, RuleName};

use super::codes::DecisionCount;
use super::commit::until_available;
use super::{Accounts, AccountsError, RequestContext};
use crate::journal::{AccountHead, AccountRef, LoadedAccount};
use crate::rules::{
    CodeRuleRequest, RefreshRuleRequest, RuleQuestion, RuleSet, RuleUnavailable, SignInRuleRequest,
};
use crate::runtime::response_delay::with_response_delay;

/// A code that is asked for.
pub(super) struct RequestedCode<'a> {
    /// Where the code is to go.
    pub(super) identifier: &'a Identifier,
    /// What the code is for.
    pub(super) purpose: Purpose,
    /// The account of the session that asks; `None` where the caller has proved nothing.
    pub(super) account: Option<AccountId>,
    /// From where it is asked for.
    pub(super) origin: &'a RequestContext,
}

/// What an account decided: the events and the state they come to, or a refusal.
pub(super) type AccountDecision = Result<(Vec<UserAccountEvent>, Option<UserAccount>), Refusal>;

impl Accounts {
    /// Asks these rules wherever a code is to be sent, a session to begin, or a session to get its next tokens. There are none
    /// until then.
    pub fn use_rules(&mut self, rules: RuleSet) {
        self.rules = rules;
    }

    /// Asks the rules about a code. Neither the answer nor its time depends on whether there is an account: the rules are not
    /// told, and the response to a refusal waits for the period in which it is put on record.
    pub(super) async fn require_code_allowed(&self, code: &RequestedCode<'_>) -> Result<(), AccountsError> {
        let request = CodeRuleRequest {
            identifier: code.identifier.clone(),
            purpose: code.purpose,
            client: code.origin.client.clone(),
            at: self.clock.now(),
        };
        let refusal = self.rules.first_refusal(RuleQuestion::Code(&request)).await?;
        let Some(rule) = refusal else { return Ok(()) };
        let record = self.record_rule_refusal(rule, request, code);
        with_response_delay(self.period_of(DecisionCount::One), record, |()| true).await;
        Err(Refusal::RefusedByRule { rule }.into())
    }

    /// Puts a refused code on record, where the address has room for it and there is an account. The caller is refused in
    /// any case, so that no trouble with the record tells whether there is an account.
    async fn record_rule_refusal(
        &self,
        rule: RuleName,
        request: CodeRuleRequest,
        RequestedCode { account, origin, .. }: &RequestedCode<'_>,
    ) {
        let CodeRuleRequest { identifier, purpose, client, at } = request;
        if !self.limits.admits_refusal_record(client.ip, at) {
            return;
        }
        let address = match account {
            Some(account) => AccountRef::Account(*account),
            None => AccountRef::Identifier(identifier.clone()),
        };
        let command = RecordRuleRefusal { at, rule, identifier, purpose, client };
        if let Err(error) = self.execute(address, origin, at, command.into()).await {
            tracing::warn!(%rule, %error, "a refusal by an access rule is not on record");
        }
    }

    /// Keeps a command that the rules are to be asked about; `None` where there are no rules, or none for such a command.
    pub(super) fn kept_for_rules(&self, command: &UserAccountCommand) -> Option<Box<UserAccountCommand>> {
        let is_of_rules =
            matches!(command, UserAccountCommand::VerifyOtp(_) | UserAccountCommand::RefreshToken(_));
        (!self.rules.is_empty() && is_of_rules).then(|| Box::new(command.clone()))
    }

    /// Asks the rules where the account decided to give tokens. Where a rule refuses, the account decides again, knowing that.
    pub(super) async fn decide_by_rules(
        &self,
        address: &AccountRef,
        at: DateTime<Utc>,
        loaded: LoadedAccount,
        mut command: UserAccountCommand,
        decided: AccountDecision,
    ) -> Result<(LoadedAccount, AccountDecision), AccountsError> {
        let gives = decided.as_ref().is_ok_and(|(events, _)| gives_tokens(&command, events));
        let refusal = if gives { self.refusal_of(&loaded.head, &command).await? } else { None };
        let Some(rule) = refusal else { return Ok((loaded, decided)) };
        if let UserAccountCommand::VerifyOtp(VerifyOtp { refused_by, .. })
        | UserAccountCommand::RefreshToken(RefreshToken { refused_by, .. }) = &mut command
        {
            *refused_by = Some(rule);
        }
        let mut present = loaded;
        if present.remembered {
            // The rule saw what was remembered, and nothing is refused on memory alone.
            let loaded = until_available(|| self.journal.load_anew(address, at)).await?;
            let version_of = |head: &AccountHead| (head.account, head.version);
            if version_of(&loaded.head) != version_of(&present.head) {
                return Err(AccountsError::Busy);
            }
            present = loaded;
        }
        let decided = self.decide(&present, command).await;
        Ok((present, decided))
    }

    /// The rule that refuses a sign-in or a refresh of an account as it stands.
    async fn refusal_of(
        &self,
        head: &AccountHead,
        command: &UserAccountCommand,
    ) -> Result<Option<RuleName>, RuleUnavailable> {
        let account = head.account;
        let roles = head.state.member().map(|member| member.roles.clone()).unwrap_or_default();
        if let UserAccountCommand::VerifyOtp(VerifyOtp { at, identifier, client, .. }) = command {
            let (at, identifier, client) = (*at, identifier.clone(), client.clone());
            let is_new_account = head.state.member().is_none();
            let request = SignInRuleRequest { account, identifier, is_new_account, roles, client, at };
            return self.rules.first_refusal(RuleQuestion::SignIn(&request)).await;
        }
        if let UserAccountCommand::RefreshToken(RefreshToken { at, session, client, .. }) = command {
            let (at, session, client) = (*at, *session, client.clone());
            let request = RefreshRuleRequest { account, session, roles, client, at };
            return self.rules.first_refusal(RuleQuestion::Refresh(&request)).await;
        }
        Ok(None)
    }
}

/// Whether tokens are given for what a command came to. A repeated refresh that is on record already leaves no event.
fn gives_tokens(command: &UserAccountCommand, events: &[UserAccountEvent]) -> bool {
    match events.iter().find_map(SessionTokens::from_event) {
        Some(tokens) => tokens.is_ok(),
        None => events.is_empty() && matches!(command, UserAccountCommand::RefreshToken(_)),
    }
}
