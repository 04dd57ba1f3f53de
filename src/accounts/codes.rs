//! Codes: asked for, and redeemed to sign in or to add an identifier.

use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    AddIdentifier, LiftLock, RequestOtp, ResendOtp, VerifyIdentifier, VerifyOtp,
};
use counterfoil_domain::user_account::{
    CodeSent, Purpose, Refusal, SessionTokens, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{FullName, Identifier, OtpCode};
use counterfoil_projections::profile::Profile;

use super::access_rules::RequestedCode;
use super::commit::{late, until_available};
use super::{Accounts, AccountsError, CodeOnItsWay, RequestContext, SignedIn, TIME_LIMIT, accepted, outcome};
use crate::crypto::entropy;
use crate::delivery::DeliveryRoute;
use crate::journal::AccountRef;
use crate::limits::blocks::BlockedAct;
use crate::limits::{BudgetShare, CountedCode};
use crate::runtime::response_delay::{period, with_response_delay};
use crate::tokens::Token;
use crate::tokens::claims_source::ClaimsOccasion;

/// How many accounts an operation decides about, one after the other.
#[derive(Clone, Copy)]
pub(super) enum DecisionCount {
    One = 1,
    Two = 2,
}

impl DecisionCount {
    /// Of an operation that sends a code for that purpose: an account that adds an identifier decides, and so does the one whose
    /// identifier it is.
    fn of_code(purpose: Purpose) -> Self {
        match purpose {
            Purpose::SignIn | Purpose::Reauthenticate => Self::One,
            Purpose::AddIdentifier => Self::Two,
        }
    }
}

impl Accounts {
    /// Sends a code, for an account that may not exist yet.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the identifier may get no code now.
    pub async fn request_otp(
        &self,
        identifier: Identifier,
        fullname: Option<FullName>,
        origin: RequestContext,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let (at, nonce) = (self.clock.now(), entropy::challenge_nonce());
        let command = RequestOtp {
            at,
            identifier: identifier.clone(),
            purpose: Purpose::SignIn,
            fullname,
            nonce,
            client: origin.client.clone(),
            shown: None,
            test: self.outbox_worker.codes().is_test(&identifier),
            withheld: false,
        };
        let send =
            |withheld| self.send_code(&identifier, &origin, at, RequestOtp { withheld, ..command }.into());
        let (purpose, account) = (Purpose::SignIn, None);
        let code = RequestedCode { identifier: &identifier, purpose, account, origin: &origin };
        self.counting_codes(code, send).await
    }

    /// Sends the pending code once more.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when no code is pending, or the identifier may get none now.
    pub async fn resend_otp(
        &self,
        identifier: Identifier,
        origin: RequestContext,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let (at, nonce) = (self.clock.now(), entropy::challenge_nonce());
        let command = ResendOtp {
            at,
            identifier: identifier.clone(),
            nonce,
            client: origin.client.clone(),
            shown: None,
            test: self.outbox_worker.codes().is_test(&identifier),
            withheld: false,
        };
        let send =
            |withheld| self.send_code(&identifier, &origin, at, ResendOtp { withheld, ..command }.into());
        let (purpose, account) = (Purpose::SignIn, None);
        let code = RequestedCode { identifier: &identifier, purpose, account, origin: &origin };
        self.counting_codes(code, send).await
    }

    /// Redeems a code for a session.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the code is not valid or too many were tried.
    pub async fn verify_otp(
        &self,
        identifier: Identifier,
        code: OtpCode,
        origin: RequestContext,
    ) -> Result<SignedIn, AccountsError> {
        let at = self.clock.now();
        let command = VerifyOtp {
            at,
            identifier: identifier.clone(),
            code,
            session: entropy::session_id(at),
            client: origin.client.clone(),
            language: self.wanted(&origin),
            shown: None,
            test: self.outbox_worker.codes().is_test(&identifier),
            refused_by: None,
        };
        let redeem = async {
            let address = AccountRef::Identifier(identifier.clone());
            let done = self.execute(address, &origin, at, command.into()).await?;
            let session = outcome(&done.events, SessionTokens::from_event)?;
            Ok((done, session))
        };
        let (done, session) = self.counting_tries(&identifier, &origin, redeem).await?;
        let (occasion, client) = (ClaimsOccasion::SignIn, &origin.client);
        let tokens = self.issue(&done, &session, done.proof, occasion, client).await?;
        Ok(SignedIn { account: done.account, tokens, profile: done.profile, at: session.issued_at })
    }

    /// Sends a code to another identifier of the account that an access token speaks for: one to be added, or to take
    /// the place of the former one that it has of that kind.
    ///
    /// The account puts on record that it wants the identifier; then the account whose it is, or may become, sends the
    /// code, as it would one to sign in there: a number gets no more codes than it may. Where it would refuse,
    /// the former asks for nothing: its pending code goes on working, and nothing is counted.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account may ask for no code now or the identifier may get none, when the
    /// account has that identifier, or when the session has ended meanwhile.
    pub async fn add_identifier(
        &self,
        token: Token,
        identifier: Identifier,
        former: Option<Identifier>,
        origin: RequestContext,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let (at, nonce) = (self.clock.now(), entropy::challenge_nonce());
        let wanted = AddIdentifier {
            at,
            session: token.session,
            identifier: identifier.clone(),
            former,
            nonce,
            client: origin.client.clone(),
        };
        let command = RequestOtp {
            at,
            identifier: identifier.clone(),
            purpose: Purpose::AddIdentifier,
            fullname: None,
            nonce,
            client: origin.client.clone(),
            shown: None,
            test: self.outbox_worker.codes().is_test(&identifier),
            withheld: false,
        };
        let send = |_| async {
            // Requests of one account one after another, so that what is found here still holds for the second of two taps.
            let turn = [b"adds".as_slice(), token.account.0.as_bytes()].concat();
            let _turn = self.lanes.enter(turn).await;
            let address = AccountRef::Identifier(identifier.clone());
            let is_own = wanted.former.as_ref() == Some(&identifier);
            if is_own || !self.would_refuse(&address, at, command.clone().into()).await? {
                let done =
                    self.execute(AccountRef::Account(token.account), &origin, at, wanted.into()).await?;
                accepted(&done.events)?;
            }
            self.send_code(&identifier, &origin, at, command.into()).await
        };
        let (purpose, account) = (Purpose::AddIdentifier, Some(token.account));
        let code = RequestedCode { identifier: &identifier, purpose, account, origin: &origin };
        self.counting_codes(code, send).await
    }

    /// Redeems a code that went to another identifier, which becomes that of the account that an access token speaks
    /// for; its profile, where the commit gave it back.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the code is not valid or too many were tried, when it is and another account has
    /// the identifier, or when the session has ended meanwhile.
    pub async fn verify_identifier(
        &self,
        token: Token,
        identifier: Identifier,
        former: Option<Identifier>,
        code: OtpCode,
        origin: RequestContext,
    ) -> Result<Option<Profile>, AccountsError> {
        let at = self.clock.now();
        let command = VerifyIdentifier {
            at,
            session: token.session,
            former,
            identifier: identifier.clone(),
            code,
            client: origin.client.clone(),
        };
        let redeem = async {
            let done = self.execute(AccountRef::Account(token.account), &origin, at, command.into()).await?;
            accepted(&done.events)?;
            Ok(done.profile)
        };
        self.counting_tries(&identifier, &origin, redeem).await
    }

    /// Whether the link of a message lifts a lock now; an invalid token where it is spent, void, expired, or none of ours.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn check_unlock_link(&self, link: &str) -> Result<(), AccountsError> {
        let (account, nonce) = self.notices.unlock_links.read(link).ok_or(AccountsError::InvalidToken)?;
        let lifts = self.standing(account).await?.unlocked_by(nonce, self.clock.now());
        lifts.map(drop).ok_or(AccountsError::InvalidToken)
    }

    /// Lifts the lock of the identifier that a link was sent to, once.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token where the link is spent, void, expired, or none of ours.
    pub async fn lift_lock(&self, link: &str, origin: RequestContext) -> Result<(), AccountsError> {
        let (account, link) = self.notices.unlock_links.read(link).ok_or(AccountsError::InvalidToken)?;
        self.count_write(account, Some(origin.client.ip)).await?;
        let lifted =
            self.carry_out(account, &origin, |at, client| LiftLock { at, link, client }.into()).await;
        match lifted {
            Err(AccountsError::Refused(Refusal::InvalidCode)) => Err(AccountsError::InvalidToken),
            lifted => lifted.map(drop),
        }
    }

    /// Sends a code where there is a way for it and no rule refuses it, within the shared limits, which are asked before anything
    /// else happens.
    pub(super) async fn counting_codes(
        &self,
        code: RequestedCode<'_>,
        send: impl AsyncFnOnce(bool) -> Result<CodeOnItsWay, AccountsError>,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let RequestedCode { identifier, purpose, origin, .. } = code;
        let decisions = DecisionCount::of_code(purpose);
        if let DeliveryRoute::None = self.outbox_worker.gateways().route(identifier) {
            return Err(AccountsError::NotTaken(identifier.channel()));
        }
        let blocked = self.require_not_blocked(BlockedAct::AskForCode, identifier, origin.client.ip).await;
        // Before the period that the response waits for begins: the time of a rule is the same whether or not there is an account.
        if blocked.is_ok() && !self.rules.is_empty() {
            let allowed = Box::pin(self.require_code_allowed(&code)).await;
            allowed.inspect_err(|error| self.note_stop(identifier, error))?;
        }
        let work = async {
            blocked?;
            let (counted, withheld) = Box::pin(self.count_code(identifier, origin, decisions)).await?;
            let sent = send(withheld).await;
            match &sent {
                Ok(_) if withheld => {}
                Ok(_) => counted.sent(),
                Err(AccountsError::Refused(_)) => counted.not_sent(),
                // It may have been sent.
                Err(_) => {}
            }
            sent
        };
        let sent = with_response_delay(self.period_of(decisions), work, |_| true).await;
        sent.inspect_err(|error| self.note_stop(identifier, error))
    }

    /// Counts a code; with whether its message is to be withheld. Where strangers have spent their share of the day's budget,
    /// an identifier that has signed in before is paid from the reserve. The caller of another gets the same answer, and no
    /// message goes out: to refuse it would tell the two apart.
    async fn count_code(
        &self,
        identifier: &Identifier,
        origin: &RequestContext,
        decisions: DecisionCount,
    ) -> Result<(CountedCode, bool), AccountsError> {
        let count = |share| self.limits.count_code(identifier, origin.client.ip, share);
        let refused = match count(BudgetShare::Strangers).await {
            Ok(counted) => return Ok((counted, false)),
            Err(error) => error,
        };
        // An account that adds an identifier is told, whatever that identifier is: it has a session and can wait.
        let can_be_withheld = matches!(decisions, DecisionCount::One) && self.limits.keeps_reserve(&refused);
        if !can_be_withheld {
            return Err(refused.into());
        }
        let address = AccountRef::Identifier(identifier.clone());
        let loaded = until_available(|| self.journal.load_anew(&address, self.clock.now()));
        let loaded = tokio::time::timeout(TIME_LIMIT, loaded).await.unwrap_or_else(|_| Err(late()))?;
        let has_signed_in = loaded.head.state.member().is_some();
        let share = if has_signed_in { BudgetShare::Whole } else { BudgetShare::Nothing };
        let counted = count(share).await?;
        if !has_signed_in {
            // The caller is told nothing of it, so support has to be.
            self.note_stop(identifier, &AccountsError::from(refused));
        }
        Ok((counted, !has_signed_in))
    }

    /// Redeems a code within the shared limits, which are asked before anything else happens.
    pub(super) async fn counting_tries<T>(
        &self,
        identifier: &Identifier,
        origin: &RequestContext,
        redeem: impl Future<Output = Result<T, AccountsError>>,
    ) -> Result<T, AccountsError> {
        let work = async {
            self.require_not_blocked(BlockedAct::TryCode, identifier, origin.client.ip).await?;
            self.limits.count_try(origin.client.ip).await?;
            let redeemed = redeem.await;
            match &redeemed {
                // A code that a rule does not let sign in was read where it was sent, too.
                Ok(_) | Err(AccountsError::Refused(Refusal::RefusedByRule { .. })) => {
                    self.limits.count_redeemed(identifier);
                }
                Err(AccountsError::Refused(Refusal::InvalidCode)) => self.limits.count_wrong_code(),
                Err(_) => {}
            }
            redeemed
        };
        // The right code tells its caller that there is an account.
        with_response_delay(self.period_of(DecisionCount::One), work, Result::is_err).await
    }

    /// Whether the account of that address, as it stands, refuses to send a code.
    async fn would_refuse(
        &self,
        address: &AccountRef,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<bool, AccountsError> {
        let loaded = until_available(|| self.journal.load_anew(address, at)).await?;
        Ok(match self.decide(&loaded, command).await {
            Ok((events, _)) => accepted(&events).is_err(),
            Err(_) => true,
        })
    }

    /// The period that responses about an identifier wait for, as long as the slowest path of the operation.
    pub(super) fn period_of(&self, decisions: DecisionCount) -> Duration {
        // A decision on what is remembered may be taken again on what is loaded.
        let (load, append) = (self.journal.load_times(), self.journal.append_times());
        let each = [load, load, append];
        let decided = each.iter().cycle().take(each.len() * decisions as usize).copied();
        // Where another account decides, it is asked before.
        let asked = matches!(decisions, DecisionCount::Two).then_some(load);
        period(decided.chain(asked).chain(self.limits.count_times()))
    }

    /// Sends a code or refuses to.
    pub(super) async fn send_code(
        &self,
        identifier: &Identifier,
        origin: &RequestContext,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let address = AccountRef::Identifier(identifier.clone());
        let done = self.execute(address, origin, at, command).await?;
        let sent = outcome(&done.events, CodeSent::from_event)?;
        let is_withheld = done.events.iter().any(UserAccountEvent::is_withheld);
        Ok(CodeOnItsWay {
            expires_in: (sent.expires_at - sent.sent_at).to_std().unwrap_or_default(),
            resend_after: self.services.policy.resend_after.to_std().unwrap_or_default(),
            code: (self.outbox_worker.gateways().echoes(identifier) && !is_withheld)
                .then(|| self.outbox_worker.codes().derive(&sent.nonce, identifier, sent.purpose)),
        })
    }
}
