//! The second factor of staff.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    EnrolSecondFactor, OfferSecondFactor, PassSecondFactor, RenewRecoveryCodes,
};
use counterfoil_domain::values::{AuthenticatorId, OtpCode, RecoveryBatchId, SecondFactorCode};

use super::{Accounts, AccountsError, RequestContext, accepted};
use crate::tokens::Token;

impl Accounts {
    /// Offers a new authenticator to the account of an access token.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account has no role, or has a second factor that was not passed lately.
    pub async fn offer_second_factor(
        &self,
        token: Token,
        authenticator: AuthenticatorId,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| OfferSecondFactor { at, session, authenticator, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }

    /// Makes the authenticator that was offered the account's second factor, by a code of it. Its recovery codes are
    /// those of the batch.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when nothing is offered, or that is not its code.
    pub async fn enrol_second_factor(
        &self,
        token: Token,
        code: OtpCode,
        recovery: RecoveryBatchId,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| EnrolSecondFactor { at, session, code, recovery, client }.into();
        accepted(&self.carry_out(token.account, &origin, command).await?.events)?;
        Ok(())
    }

    /// Passes the second factor in the session of an access token; when that was.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when that is no code of it, or was used before, or too many wrong ones were tried.
    pub async fn pass_second_factor(
        &self,
        token: Token,
        code: SecondFactorCode,
        origin: RequestContext,
    ) -> Result<DateTime<Utc>, AccountsError> {
        let session = token.session;
        let command = |at, client| PassSecondFactor { at, session, code, client }.into();
        let done = self.carry_out(token.account, &origin, command).await?;
        accepted(&done.events)?;
        Ok(done.events.last().map_or_else(|| self.clock.now(), |event| event.at))
    }

    /// Puts the recovery codes of a new batch in the place of those that the account of an access token has.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the second factor was not passed lately.
    pub async fn renew_recovery_codes(
        &self,
        token: Token,
        recovery: RecoveryBatchId,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| RenewRecoveryCodes { at, session, recovery, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }
}
