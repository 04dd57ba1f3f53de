//! Accounts, as a program that the service is part of looks at them and intervenes in them.

use std::future::{Ready, ready};
use std::sync::{Arc, OnceLock};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, Identifier, Reason, ServiceName, SessionId};
use counterfoil_projections::login_history::{self, HistoryLine};
use counterfoil_projections::profile::Profile;
use counterfoil_projections::user_login::{self, Device};

use crate::accounts::{AccountsError, StaffAction};
use crate::http::{AppState, DescribeOperation, OperationDraft, Problem};

/// The accounts of the service, for the program that it is part of. A handler takes it as an argument;
/// [`Service::accounts`](crate::Service::accounts) gives it to listeners and other parts before the service starts, and
/// [`RunningService::accounts`](crate::RunningService::accounts) to code that runs beside it.
///
/// What it changes goes through the aggregate as an administrator's intervention does: the rules hold, the sessions that it ends
/// end at once on every node, and the event names the program and its reason.
///
/// ```no_run
/// use counterfoil::values::{EmailAddress, Identifier};
/// use counterfoil::{Service, ServiceActor};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Service::from_environment().start().await?;
/// let accounts = service.accounts();
/// let billing = ServiceActor::new("billing", "the invoice of October is not paid").ok_or("no name or reason")?;
/// if let Some(account) = accounts.find(&Identifier::Email(EmailAddress::parse("ada@example.com")?)).await? {
///     accounts.suspend(account, None, billing).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServiceAccounts {
    state: Arc<OnceLock<Arc<AppState>>>,
}

/// The program, as events name it, and why it acts.
#[derive(Clone, Debug)]
pub struct ServiceActor {
    name: ServiceName,
    reason: Reason,
}

impl ServiceActor {
    /// Returns a program of that name that acts for that reason. The name has 1 to 40 small letters, digits, hyphens and
    /// underscores; the reason is one line of at most 300 characters. `None` where one of them is not.
    pub fn new(name: &str, reason: &str) -> Option<Self> {
        Some(Self { name: ServiceName::parse(name)?, reason: Reason::parse(reason).ok()? })
    }

    fn action(self) -> StaffAction {
        StaffAction::service(self.name, self.reason)
    }
}

impl ServiceAccounts {
    /// Looks at the accounts of a service that has started. What was asked for before was not available.
    pub(crate) fn begin(&self, state: Arc<AppState>) {
        // A service starts once.
        drop(self.state.set(state));
    }

    fn state(&self) -> Result<&AppState, Problem> {
        self.state.get().map(Arc::as_ref).ok_or(Problem::Unavailable)
    }

    /// Returns the account that has an identifier, if a person has joined by it.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time, or the service has not started.
    pub async fn find(&self, identifier: &Identifier) -> Result<Option<AccountId>, Problem> {
        self.answered(self.state()?.accounts.owner_of(identifier).await)
    }

    /// Returns the profile of an account, if a person has joined by that id.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time.
    pub async fn profile(&self, account: AccountId) -> Result<Option<Profile>, Problem> {
        self.state()?.profile(account).await
    }

    /// Returns the devices that an account is signed in on, the last used first.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time.
    pub async fn devices(&self, account: AccountId) -> Result<Vec<Device>, Problem> {
        let state = self.state()?;
        let now = state.clock.now();
        state.query(async |db: &_| user_login::active(db, account, now).await).await
    }

    /// Returns the last lines of the login history of an account, the newest first, and at most 200. It may be a moment behind.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time.
    pub async fn history(&self, account: AccountId, most: u8) -> Result<Vec<HistoryLine>, Problem> {
        let most = most.min(200);
        self.state()?.query(async |db: &_| login_history::page(db, account, i64::MAX, most).await).await
    }

    /// Ends a session of an account at once. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`Problem`]: the account does not exist, or the database does not answer in time.
    pub async fn end_session(
        &self,
        account: AccountId,
        session: SessionId,
        actor: ServiceActor,
    ) -> Result<(), Problem> {
        self.answered(self.state()?.accounts.end_session(account, session, actor.action()).await)
    }

    /// Ends every session of an account at once.
    ///
    /// # Errors
    /// [`Problem`]: no person has joined by that account, or the database does not answer in time.
    pub async fn sign_out(&self, account: AccountId, actor: ServiceActor) -> Result<(), Problem> {
        self.answered(self.state()?.accounts.sign_out(account, actor.action()).await)
    }

    /// Lets an account not be used, until a time or until it is reinstated; ends its sessions at once.
    ///
    /// # Errors
    /// [`Problem`]: no person has joined by that account, or the database does not answer in time.
    pub async fn suspend(
        &self,
        account: AccountId,
        until: Option<DateTime<Utc>>,
        actor: ServiceActor,
    ) -> Result<(), Problem> {
        self.answered(self.state()?.accounts.suspend(account, until, actor.action()).await)
    }

    /// Lets a suspended account be used again.
    ///
    /// # Errors
    /// [`Problem`]: no person has joined by that account, or the database does not answer in time.
    pub async fn reinstate(&self, account: AccountId, actor: ServiceActor) -> Result<(), Problem> {
        self.answered(self.state()?.accounts.reinstate(account, actor.action()).await)
    }

    fn answered<T>(&self, answer: Result<T, AccountsError>) -> Result<T, Problem> {
        let state = self.state()?;
        answer.map_err(|error| state.problem(&error))
    }
}

impl FromRequest for ServiceAccounts {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>();
        let accounts = state.map(|state| {
            let accounts = Self::default();
            accounts.begin(state.clone().into_inner());
            accounts
        });
        ready(accounts.ok_or(Problem::Internal))
    }
}

/// What a handler does with accounts is not part of its request.
impl DescribeOperation for ServiceAccounts {
    fn describe(operation: &mut OperationDraft) {
        operation.problems([Problem::Unavailable]);
    }
}
