//! The erasure of accounts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{EraseAccount, ErasureOrder};
use counterfoil_domain::user_account::{ActingStaff, Refusal, StaffRecordFact};
use counterfoil_domain::values::AccountId;
use serde::Serialize;
use tokio_postgres::types::Json;
use utoipa::ToSchema;

use super::staff::StaffAction;
use super::{Accounts, AccountsError, RequestContext};
use crate::journal::JournalError;
use crate::tokens::Token;

/// What an erasure destroyed. It holds nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erasure {
    /// The account that was erased.
    pub account_id: AccountId,
    /// When its keys were destroyed, by the database's clock.
    pub erased_at: DateTime<Utc>,
    /// The number of the event `AccountErased`, the last one of the account.
    #[schema(example = 12)]
    pub sequence: i64,
    /// The leaf of that event, as hexadecimal digits.
    pub leaf: String,
    /// The keys that were destroyed, by their scopes: `person`, and `origin-` with each quarter of a year.
    #[schema(example = json!(["origin-2026Q4", "person"]))]
    pub keys: Vec<String>,
    /// How many rows were deleted, by the names of the tables.
    #[schema(example = json!({"identifiers": 1, "profiles": 1}))]
    pub rows: BTreeMap<String, i64>,
}

impl Accounts {
    /// Erases the account that an access token speaks for.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended or was not proved lately.
    pub async fn erase_own(&self, token: Token, origin: RequestContext) -> Result<Erasure, AccountsError> {
        let (account, session) = (token.account, token.session);
        let command = |at, client| {
            let order = ErasureOrder::User { at, session, client };
            EraseAccount { account, order }.into()
        };
        self.carry_out(account, &origin, command).await?;
        self.erasure_of(account).await?.ok_or(AccountsError::Busy)
    }

    /// Erases an account by staff. The order with its reason is put on record in their own stream before. Erasing an account again
    /// changes nothing, and gives the same answer.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined, or is that of the administrator.
    pub async fn erase(&self, account: AccountId, who: StaffAction) -> Result<Erasure, AccountsError> {
        if let Some(erasure) = self.erasure_of(account).await? {
            return Ok(erasure);
        }
        if who.by.acting() == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount.into());
        }
        self.standing(account).await?.member().ok_or(Refusal::UnknownAccount)?;
        self.put_on_record(&who, None, |by| StaffRecordFact::ErasureOrdered { account, by }).await?;
        let erased = self
            .intervene(account, who, |intervention| {
                EraseAccount { account, order: ErasureOrder::Staff(intervention) }.into()
            })
            .await;
        match (erased, self.erasure_of(account).await?) {
            // Another request was faster.
            (_, Some(erasure)) => Ok(erasure),
            (erased, None) => erased.and(Err(AccountsError::Busy)),
        }
    }

    /// What the erasure of an account destroyed, if it was erased.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn erasure_of(&self, account: AccountId) -> Result<Option<Erasure>, AccountsError> {
        let db = self.journal.database().connection().await.map_err(JournalError::from)?;
        let statement =
            db.prepare_cached(include_str!("sql/erasure.sql")).await.map_err(JournalError::from)?;
        let row = db.query_opt(&statement, &[&account.0]).await.map_err(JournalError::from)?;
        Ok(row.map(|row| Erasure {
            account_id: account,
            erased_at: row.get("erased_at"),
            sequence: row.get("sequence"),
            leaf: row.get("leaf"),
            keys: row.get("keys"),
            rows: row.get::<_, Json<_>>("rows").0,
        }))
    }
}
