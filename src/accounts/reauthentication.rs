//! Fresh proof in a session that goes on: a code to an identifier that the account has.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{Reauthenticate, RequestReauthentication};
use counterfoil_domain::user_account::{AccountFact, Purpose, Refusal, SessionFact, UserAccountEvent};
use counterfoil_domain::values::{Channel, Identifier, OtpCode};

use super::access_rules::RequestedCode;
use super::{Accounts, AccountsError, CodeOnItsWay, RequestContext, accepted};
use crate::crypto::entropy;
use crate::journal::AccountRef;
use crate::tokens::Token;

impl Accounts {
    /// Sends a code to an identifier of the account of an access token, which proves the user of its session again. The
    /// account is found by the identifier: one that has let it go meanwhile sends nothing there.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the identifier may get no code now, when it is not that account's, or when the session
    /// has ended meanwhile.
    pub async fn request_reauthentication(
        &self,
        token: Token,
        identifier: Identifier,
        origin: RequestContext,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let at = self.clock.now();
        let command = RequestReauthentication {
            at,
            session: token.session,
            identifier: identifier.clone(),
            nonce: entropy::challenge_nonce(),
            client: origin.client.clone(),
            test: self.outbox_worker.codes().is_test(&identifier),
        };
        let send = |_| self.send_code(&identifier, &origin, at, command.into());
        let (purpose, account) = (Purpose::Reauthenticate, Some(token.account));
        let code = RequestedCode { identifier: &identifier, purpose, account, origin: &origin };
        self.counting_codes(code, send).await
    }

    /// Redeems that code; when the user was proved.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the code is not valid or too many were tried, or when the session has ended meanwhile.
    pub async fn reauthenticate(
        &self,
        token: Token,
        identifier: Identifier,
        code: OtpCode,
        origin: RequestContext,
    ) -> Result<DateTime<Utc>, AccountsError> {
        let at = self.clock.now();
        let command = Reauthenticate {
            at,
            session: token.session,
            identifier: identifier.clone(),
            code,
            client: origin.client.clone(),
            test: self.outbox_worker.codes().is_test(&identifier),
        };
        let redeem = async {
            let done = self.execute(AccountRef::Account(token.account), &origin, at, command.into()).await?;
            accepted(&done.events)?;
            let unchanged =
                done.unchanged.as_ref().and_then(|head| head.state.live_session(token.session, at));
            let proved_at = unchanged.map(|session| session.proved_at).or(proved_at(&done.events));
            Ok(proved_at.ok_or(Refusal::SessionEnded)?)
        };
        self.counting_tries(&identifier, &origin, redeem).await
    }

    /// The kind of identifier that the session of an access token is proved by where its caller names none.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended.
    pub async fn proof_channel(&self, token: Token) -> Result<Channel, AccountsError> {
        let account = self.standing(token.account).await?;
        Ok(account.proof_channel(token.session, self.clock.now()).ok_or(Refusal::SessionEnded)?)
    }

    /// For how long a proof lets a session change how its account is found and signed in to.
    pub fn proof_lasts(&self) -> std::time::Duration {
        self.services.policy.proof_lasts.to_std().unwrap_or_default()
    }
}

fn proved_at(events: &[UserAccountEvent]) -> Option<DateTime<Utc>> {
    events
        .iter()
        .find(|event| matches!(event.fact, AccountFact::Session(SessionFact::SessionReauthenticated { .. })))
        .map(|event| event.at)
}
