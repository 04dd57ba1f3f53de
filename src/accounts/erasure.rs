//! The erasure of accounts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{EraseAccount, ErasureOrder, Intervention};
use counterfoil_domain::user_account::{ActingStaff, Refusal, StaffRecordFact};
use counterfoil_domain::values::{AccountId, Reason, ServiceName};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use utoipa::ToSchema;
use uuid::Uuid;

use super::staff::StaffAction;
use super::{Accounts, AccountsError, ErasureRegister, RequestContext};
use crate::journal::{AccountRef, JournalError};
use crate::tokens::Token;

/// How many accounts of the register, or erasures of the database, are compared at a time.
const PAGE: usize = 500;

/// How long to wait before the register is compared again after an error.
const TRY_EVERY: Duration = Duration::from_secs(1);

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

/// An erasure that waits for its time. The account is closed until then, and kept if its user signs in before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PostponedErasure {
    /// The account that is to be erased.
    pub account_id: AccountId,
    /// When it is erased, as things stand.
    pub due_at: DateTime<Utc>,
    /// Whether there is a legal hold, before whose end it is not erased.
    pub legal_hold: bool,
}

/// What an order to erase an account comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureOutcome {
    /// The account is erased.
    Erased(Erasure),
    /// The account is closed, and is to be erased.
    Postponed(PostponedErasure),
}

/// What came of erasing accounts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedAgain {
    /// How many accounts were erased again.
    pub erased: u64,
    /// How many accounts the database does not have.
    pub unknown: u64,
}

impl Accounts {
    /// Erases the account that an access token speaks for, at once or after the delay of the policy.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended or was not proved lately.
    pub async fn erase_own(
        &self,
        token: Token,
        origin: RequestContext,
    ) -> Result<ErasureOutcome, AccountsError> {
        let (account, session) = (token.account, token.session);
        self.require_register().await?;
        let command = |at, client| {
            let order = ErasureOrder::User { at, session, client };
            EraseAccount { account, order }.into()
        };
        self.carry_out(account, &origin, command).await?;
        self.erasure_outcome(account).await?.ok_or(AccountsError::Busy)
    }

    /// Erases an account by staff, at once or after the delay of the policy. The order with its reason is put on record in their own
    /// stream before. A second order changes nothing, and gives the same answer.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined, or is that of the administrator.
    pub async fn erase(&self, account: AccountId, who: StaffAction) -> Result<ErasureOutcome, AccountsError> {
        if let Some(outcome) = self.erasure_outcome(account).await? {
            return Ok(outcome);
        }
        if who.by.acting() == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount.into());
        }
        self.standing(account).await?.member().ok_or(Refusal::UnknownAccount)?;
        self.erase_by(account, who, ErasureOrder::Staff).await
    }

    /// Puts an order on record and carries it out.
    async fn erase_by(
        &self,
        account: AccountId,
        who: StaffAction,
        order: impl FnOnce(Intervention) -> ErasureOrder,
    ) -> Result<ErasureOutcome, AccountsError> {
        self.require_register().await?;
        self.put_on_record(&who, None, |by| StaffRecordFact::ErasureOrdered { account, by }).await?;
        let command = |intervention| EraseAccount { account, order: order(intervention) }.into();
        let erased = self.intervene(account, who, command).await;
        match (erased, self.erasure_outcome(account).await?) {
            // Another request was faster, where there is an error.
            (_, Some(outcome @ ErasureOutcome::Erased(_))) | (Ok(_), Some(outcome)) => Ok(outcome),
            (erased, _) => erased.and(Err(AccountsError::Busy)),
        }
    }

    /// Erases the accounts whose time has come. Returns how many. Any number of nodes do this at a time; the commit of one of them wins.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer. An account that cannot be erased does not keep others.
    pub async fn erase_due(&self) -> Result<u64, AccountsError> {
        let (at, mut erased) = (self.clock.now(), 0);
        let (mut due_at, mut after) = (DateTime::UNIX_EPOCH, Uuid::nil());
        loop {
            let page = self.ask(include_str!("sql/due_erasures.sql"), &[&at, &due_at, &after]).await?;
            for row in &page {
                (due_at, after) = (row.get("erasure_due_at"), row.get("account_id"));
                match self.erase_if_due(AccountId(after), at).await {
                    Ok(is_erased) => erased += u64::from(is_erased),
                    Err(error) => {
                        tracing::warn!(account = %after, %error, "not erased yet, although it is time");
                    }
                }
            }
            if page.len() < PAGE {
                return Ok(erased);
            }
        }
    }

    async fn erase_if_due(&self, account: AccountId, at: DateTime<Utc>) -> Result<bool, AccountsError> {
        // Asked before, since a command that has nothing to do waits until that is durable.
        if !self.standing(account).await?.is_erasure_due(at) {
            return Ok(false);
        }
        self.require_register().await?;
        let command = EraseAccount { account, order: ErasureOrder::Due { at } };
        let origin = RequestContext::nowhere("erasures");
        let done = self.execute(AccountRef::Account(account), &origin, at, command.into()).await?;
        self.registered_erasure_of(account).await?;
        Ok(!done.events.is_empty())
    }

    /// Erases again the accounts that were erased before and that a restored database has. Those that it does not have are passed over.
    /// An interrupted call is gone on with by another one; two at the same time do not harm each other.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn erase_again(
        &self,
        erased_before: &[AccountId],
        who: &StaffAction,
    ) -> Result<ErasedAgain, AccountsError> {
        let mut done = ErasedAgain::default();
        for page in erased_before.chunks(PAGE) {
            for row in self.ask(include_str!("sql/not_erased.sql"), &[&uuids(page)]).await? {
                if row.get("exists") {
                    let account = AccountId(row.get("account_id"));
                    self.erase_by(account, who.clone(), ErasureOrder::Again).await?;
                    tracing::warn!(%account, "erased again an account that was erased before");
                    done.erased += 1;
                } else {
                    done.unknown += 1;
                }
            }
        }
        Ok(done)
    }

    /// Compares the database with the register, where there is one, until each has the erasures of the other. A database that was
    /// restored from a backup lacks some: their accounts are erased again.
    ///
    /// # Errors
    /// [`AccountsError`]; it can be done again then.
    pub async fn catch_up_with_register(&self) -> Result<(), AccountsError> {
        let Some(register) = &self.register else { return Ok(()) };
        let ErasedAgain { erased, unknown } =
            self.erase_again(&register.accounts().await?, &by_register()).await?;
        if erased > 0 {
            tracing::warn!(erased, "erased again what a restored database lacked of the erasure register");
        }
        if unknown > 0 {
            tracing::info!(unknown, "the erasure register lists accounts that the database does not have");
        }
        self.complete_register(DateTime::UNIX_EPOCH).await?;
        register.caught_up();
        Ok(())
    }

    /// Catches up with the register while that fails, which holds back the readiness of the node.
    pub async fn follow_register(&self) {
        while !self.has_caught_up_with_register() {
            if let Err(error) = self.catch_up_with_register().await {
                tracing::warn!(%error, "the database cannot be compared with the erasure register");
                tokio::time::sleep(TRY_EVERY).await;
            }
        }
    }

    /// Whether every account of the register is known to be erased; true where there is no register.
    pub fn has_caught_up_with_register(&self) -> bool {
        self.register.as_ref().is_none_or(ErasureRegister::has_caught_up)
    }

    /// Writes to the register the erasures since a time that have no line there: those of other nodes with a register of their own, and
    /// those whose line could not be written. Returns how many were written.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer, or the register cannot be written.
    pub async fn complete_register(&self, since: DateTime<Utc>) -> Result<usize, AccountsError> {
        let Some(register) = &self.register else { return Ok(0) };
        let (mut since, mut after, mut written) = (since, Uuid::nil(), 0);
        loop {
            let page =
                self.ask(include_str!("sql/erasures_since.sql"), &[&since, &after, &(PAGE as i64)]).await?;
            let page: Vec<DestroyedData> = page.iter().map(DestroyedData::from_row).collect();
            written += register.add(&page).await?;
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else { return Ok(written) };
            (since, after) = (last.erased_at, last.account_id.0);
        }
    }

    /// What came of the erasure of an account, if one was asked for.
    async fn erasure_outcome(&self, account: AccountId) -> Result<Option<ErasureOutcome>, AccountsError> {
        if let Some(erasure) = self.registered_erasure_of(account).await? {
            return Ok(Some(ErasureOutcome::Erased(erasure)));
        }
        let standing = self.standing(account).await?;
        let (now, account_id) = (self.clock.now(), account);
        let legal_hold = standing.legal_hold(now).is_some();
        let postponed =
            standing.erasure_time(now).map(|due_at| PostponedErasure { account_id, due_at, legal_hold });
        Ok(postponed.map(ErasureOutcome::Postponed))
    }

    /// Refuses to erase while the register cannot be written.
    async fn require_register(&self) -> Result<(), AccountsError> {
        match &self.register {
            Some(register) => Ok(register.add(&[]).await.map(drop)?),
            None => Ok(()),
        }
    }

    /// What the erasure of an account destroyed, if it was erased, with a line in the register from then on.
    async fn registered_erasure_of(&self, account: AccountId) -> Result<Option<Erasure>, AccountsError> {
        let erasure = self.erasure_of(account).await?;
        if let (Some(register), Some(erasure)) = (&self.register, &erasure) {
            register.add(std::slice::from_ref(&erasure.destroyed)).await?;
        }
        Ok(erasure)
    }

    /// What the erasure of an account destroyed, if it was erased. Its certificate is signed when it is first asked for, and is the same
    /// from then on.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn erasure_of(&self, account: AccountId) -> Result<Option<Erasure>, AccountsError> {
        let found = self.ask(include_str!("sql/erasure.sql"), &[&account.0]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let destroyed = DestroyedData::from_row(row);
        if let Some(certificate) = row.get("certificate") {
            return Ok(Some(Erasure { destroyed, certificate }));
        }
        let signed = self.certificate(&destroyed, row.get("log_size"));
        let kept = self.ask("SELECT keep_certificate($1, $2)", &[&account.0, &signed]).await?;
        let certificate = kept.first().map_or(signed, |row| row.get(0));
        Ok(Some(Erasure { destroyed, certificate }))
    }

    fn certificate(&self, destroyed: &DestroyedData, log_size: i64) -> String {
        let origin = self.checkpoint_keys.origin().as_str();
        let certified = CertifiedData { origin, log_size, destroyed };
        let json = serde_json::to_string(&certified).expect("texts, numbers and times are JSON");
        self.checkpoint_keys.sign(format!("{CERTIFICATE_HEADER}\n{json}\n")).to_string()
    }

    async fn ask(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, JournalError> {
        let db = self.journal.database().connection().await?;
        let statement = db.prepare_cached(sql).await?;
        Ok(db.query(&statement, parameters).await?)
    }
}

impl DestroyedData {
    fn from_row(row: &Row) -> Self {
        Self {
            account_id: AccountId(row.get("account_id")),
            erased_at: row.get("erased_at"),
            sequence: row.get("sequence"),
            leaf: row.get("leaf"),
            keys: row.get("keys"),
            rows: row.get::<_, Json<_>>("rows").0,
        }
    }
}

fn uuids(accounts: &[AccountId]) -> Vec<Uuid> {
    accounts.iter().map(|account| account.0).collect()
}

/// The action of the service itself, which erases again what its register lists.
fn by_register() -> StaffAction {
    let name = ServiceName::parse("erasure-register").expect("letters and a hyphen");
    StaffAction::service(name, erased_before())
}

/// The reason that is on record where an account is erased again.
pub fn erased_before() -> Reason {
    Reason::parse("erased before").expect("a line of text")
}
