//! The record of exports.

use counterfoil_domain::user_account::commands::ExportData;

use super::{Accounts, AccountsError, RequestContext};
use crate::tokens::Token;

impl Accounts {
    /// Puts on record that the user of an access token is about to be given everything that is held about them. The owner of the
    /// account is told.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended or was not proved lately. Nothing is to be given then.
    pub async fn record_export(&self, token: Token, origin: RequestContext) -> Result<(), AccountsError> {
        // A request without fresh proof is not counted, as for other operations that need it.
        self.require_fresh_proof(token).await?;
        self.count_write(token.account, Some(origin.client.ip)).await?;
        let session = token.session;
        self.carry_out(token.account, &origin, |at, client| ExportData { at, session, client }.into())
            .await?;
        Ok(())
    }
}
