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
pub struct DestroyedData {
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

/// An erasure, with what this installation signs of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erasure {
    /// What the erasure destroyed.
    #[serde(flatten)]
    pub destroyed: DestroyedData,
    /// The same as a signed note (C2SP signed-note), by which others can verify it: the line [`CERTIFICATE_HEADER`], and a line of JSON with
    /// the name of the log (`origin`) and how many events it was signed with (`log_size`).
    pub certificate: String,
}

/// The first line of a certificate.
pub const CERTIFICATE_HEADER: &str = "counterfoil-erasure/v1";

/// The second line of a certificate.
#[derive(Serialize)]
struct CertifiedData<'a> {
    origin: &'a str,
    log_size: i64,
    #[serde(flatten)]
    destroyed: &'a DestroyedData,
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

    /// What the erasure of an account destroyed, if it was erased. Its certificate is signed when it is first asked for, and is the same
    /// from then on.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn erasure_of(&self, account: AccountId) -> Result<Option<Erasure>, AccountsError> {
        Ok(self.read_erasure(account).await?)
    }

    async fn read_erasure(&self, account: AccountId) -> Result<Option<Erasure>, JournalError> {
        let db = self.journal.database().connection().await?;
        let statement = db.prepare_cached(include_str!("sql/erasure.sql")).await?;
        let Some(row) = db.query_opt(&statement, &[&account.0]).await? else { return Ok(None) };
        let destroyed = DestroyedData {
            account_id: account,
            erased_at: row.get("erased_at"),
            sequence: row.get("sequence"),
            leaf: row.get("leaf"),
            keys: row.get("keys"),
            rows: row.get::<_, Json<_>>("rows").0,
        };
        if let Some(certificate) = row.get("certificate") {
            return Ok(Some(Erasure { destroyed, certificate }));
        }
        let signed = self.certificate(&destroyed, row.get("log_size"));
        let keep = db.prepare_cached("SELECT keep_certificate($1, $2)").await?;
        let certificate = db.query_one(&keep, &[&account.0, &signed]).await?.get(0);
        Ok(Some(Erasure { destroyed, certificate }))
    }

    fn certificate(&self, destroyed: &DestroyedData, log_size: i64) -> String {
        let origin = self.checkpoint_keys.origin().as_str();
        let certified = CertifiedData { origin, log_size, destroyed };
        let json = serde_json::to_string(&certified).expect("texts, numbers and times are JSON");
        self.checkpoint_keys.sign(format!("{CERTIFICATE_HEADER}\n{json}\n")).to_string()
    }
}
