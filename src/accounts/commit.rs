//! How a command comes about: load, decide, append, and again while others are faster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{ReleaseIdentifier, RequestOtp, ResendOtp, VerifyOtp};
use counterfoil_domain::user_account::{
    AccountFact, IdentifierFact, Refusal, RequiredProof, SessionProof, SessionTokens, UserAccount,
    UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Client, Role};
use counterfoil_projections::revoked_token::RevokedSession;
use cqrs_es::Aggregate as _;
use cqrs_es::event_sink::EventSink;
use tokio::sync::OwnedMutexGuard;

use super::access_rules::AccountDecision;
use super::{Accounts, AccountsError, CommandResult, RequestContext, TIME_LIMIT};
use crate::crypto::entropy;
use crate::journal::{AccountRef, AppendOutcome, Commit, CommitAuthority, JournalError, LoadedAccount};
use crate::postgres::DatabaseError;
use crate::read_models::ended_sessions;
use crate::tokens::Token;

impl Accounts {
    /// Does what a caller asks of an account.
    pub(super) async fn carry_out(
        &self,
        account: AccountId,
        origin: &RequestContext,
        command: impl FnOnce(DateTime<Utc>, Client) -> UserAccountCommand,
    ) -> Result<CommandResult, AccountsError> {
        let at = self.clock.now();
        self.execute(AccountRef::Account(account), origin, at, command(at, origin.client.clone())).await
    }

    /// Decides and appends, again while others are faster, until the time limit.
    pub(super) fn execute(
        &self,
        address: AccountRef,
        origin: &RequestContext,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> impl Future<Output = Result<CommandResult, AccountsError>> {
        // In a box: the server moves the future of a request ten times on its way to the first poll.
        Box::pin(self.execute_as(None, address, origin, at, command))
    }

    /// The same for an administrator, as long as the session of that token may do it: what takes the role, the session or
    /// the second factor at the same moment, on whatever node, happens before or after it as a whole.
    pub(super) async fn execute_as(
        &self,
        administrator: Option<Token>,
        address: AccountRef,
        origin: &RequestContext,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<CommandResult, AccountsError> {
        let decide_until_it_holds = async {
            // On this node, commands for one account run one after another: racing them would only waste the work of
            // all but one. Between nodes the database decides.
            let (_turn, mut loaded) = self.turn(&address, at).await?;
            (|| self.attempt(&address, loaded.take(), administrator, origin, at, command.clone()))
                .retry(backoff())
                .when(|error| matches!(error, AccountsError::Busy))
                .await
        };
        tokio::time::timeout(TIME_LIMIT, decide_until_it_holds).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Waits for the account's turn. An identifier that is not known to belong to an account waits by its hash first, so that
    /// a crowd of first requests makes one account at the first try; then the account it would begin comes along.
    async fn turn(
        &self,
        address: &AccountRef,
        at: DateTime<Utc>,
    ) -> Result<([Option<OwnedMutexGuard<()>>; 2], Option<LoadedAccount>), AccountsError> {
        let of_account =
            async |account: AccountId| Some(self.lanes.enter(account.0.as_bytes().to_vec()).await);
        let lookup = match address {
            AccountRef::Account(account) => return Ok(([None, of_account(*account).await], None)),
            AccountRef::Identifier(identifier) => self.journal.personal_data().lookup(identifier),
        };
        if let Some(owner) = self.journal.remembered_owner(&lookup) {
            return Ok(([None, of_account(owner).await], None));
        }
        let first = self.lanes.enter(lookup.active).await;
        let loaded = until_available(|| self.journal.load(address, at)).await?;
        if loaded.head.version == 0 {
            return Ok(([Some(first), None], Some(loaded)));
        }
        Ok(([Some(first), of_account(loaded.head.account).await], None))
    }

    /// Decides on the account as it stands and appends what comes of it, once.
    ///
    /// What few commands await is in boxes: each command would otherwise move the room for it.
    async fn attempt(
        &self,
        address: &AccountRef,
        loaded: Option<LoadedAccount>,
        administrator: Option<Token>,
        origin: &RequestContext,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<CommandResult, AccountsError> {
        let authority = match administrator {
            Some(token) => Some(Box::pin(self.authority(token, at)).await?),
            None => None,
        };
        let mut loaded = match loaded {
            Some(loaded) => loaded,
            None => until_available(|| self.journal.load(address, at)).await?,
        };
        let command = shown_to(loaded.head.account, origin, command);
        let command = match command {
            command if asks_for_identifiers(&command) => {
                Box::pin(self.with_identifiers(&loaded.head, at, command)).await?
            }
            command => command,
        };
        let is_own_record =
            matches!(command, UserAccountCommand::DenyAccess(_) | UserAccountCommand::RecordRuleRefusal(_));
        let kept_for_rules = self.kept_for_rules(&command);
        let mut decided = self.decide(&loaded, command.clone()).await;
        let is_put_to_the_test = matches!(&decided, Ok((events, Some(_)))
            if events.iter().all(|event| event.acquired().is_none()));
        if loaded.remembered && !is_put_to_the_test {
            // Nothing would be written, so nothing would find out that memory is out of date; or only after another
            // account has let an identifier go.
            loaded = Box::pin(until_available(|| self.journal.load_anew(address, at))).await?;
            let command = Box::pin(self.with_identifiers(&loaded.head, at, command)).await?;
            decided = self.decide(&loaded, command).await;
        }
        if let Some(command) = kept_for_rules {
            let by_rules = self.decide_by_rules(address, at, loaded, *command, decided);
            (loaded, decided) = Box::pin(by_rules).await?;
        }
        let account = loaded.head.account;
        let (events, Some(state)) = decided? else {
            // The caller is told that it is so already, which must hold as if this command had made it so.
            if loaded.head.version > 0 && !is_own_record {
                Box::pin(until_available(|| self.journal.wait_for_replication(account))).await?;
            }
            let roles = self.roles_for_claims(&loaded.head.state, at);
            let unchanged = Some(loaded.head);
            let events = Vec::new();
            return Ok(CommandResult { account, events, profile: None, proof: None, roles, unchanged });
        };
        let (proof, roles) = (proof_of_issue(&events, &state), self.roles_for_claims(&state, at));
        let done =
            |events, profile| Ok(CommandResult { account, events, profile, proof, roles, unchanged: None });

        for event in events.iter().filter(|event| event.acquired().is_some()) {
            Box::pin(self.release_from_current_holder(event, origin, at)).await?;
        }
        let messages = self.messages(account, &events, &state, origin).await?;
        let wakes = messages.iter().any(|message| message.handed_to.is_none());
        let id = entropy::uuid_v7(at);
        let request = Some(origin.request.as_str());
        let personal_data = self.journal.personal_data();
        let commit = Commit::new(id, request, loaded, state, events.clone(), messages, personal_data);
        let commit = commit.map(|commit| Arc::new(commit.on_authority(authority)));
        let Some(commit) = commit else { return done(events, None) };
        // Sent again as it is while it is in doubt: deciding again before it is settled could do it twice.
        let answer = self.journal.outages().expect_answer(commit.decided_at());
        match until_available(|| self.journal.append(&commit)).await? {
            AppendOutcome::Committed(profile) => {
                answer.given();
                for event in &events {
                    if let Some((session, expires_at)) = event.ended_session() {
                        let revoked = RevokedSession { session, revoked_at: event.at, expires_at };
                        let kept_for = ended_sessions::kept_for(self.tokens.policy());
                        self.ended.learn([ended_sessions::expiry_of(&revoked, kept_for)], None);
                    }
                }
                if wakes {
                    self.outbox_worker.wake();
                }
                done(events, profile)
            }
            AppendOutcome::Stale => {
                answer.given();
                metrics::counter!("counterfoil_commits_stale_total").increment(1);
                Err(AccountsError::Busy)
            }
        }
    }

    /// The roles that an account may use, where the claims of its tokens depend on them.
    fn roles_for_claims(&self, state: &UserAccount, at: DateTime<Utc>) -> BTreeSet<Role> {
        if !self.claims.needs_roles() {
            return BTreeSet::new();
        }
        Role::ALL.into_iter().filter(|role| state.has_role(*role, at)).collect()
    }

    /// The administrator's account as it stands, where the session of that token may do what administrators do.
    async fn authority(&self, token: Token, at: DateTime<Utc>) -> Result<CommitAuthority, AccountsError> {
        let address = AccountRef::Account(token.account);
        let head = until_available(|| self.journal.load_anew(&address, at)).await?.head;
        head.state.may(token.session, Role::Admin, RequiredProof::Lately, at)?;
        Ok(CommitAuthority { account: head.account, version: head.version })
    }

    /// Releases the identifier that an event gives to the account from its current holder. Only a caller who has proved that
    /// it is theirs comes this far.
    async fn release_from_current_holder(
        &self,
        event: &UserAccountEvent,
        origin: &RequestContext,
        at: DateTime<Utc>,
    ) -> Result<(), AccountsError> {
        let Some(identifier) = event.person.as_ref().and_then(|person| person.identifier.clone()) else {
            return Ok(());
        };
        let address = AccountRef::Identifier(identifier.clone());
        let holder = until_available(|| self.journal.load_anew(&address, at)).await?;
        let release = ReleaseIdentifier { at, identifier, client: origin.client.clone() };
        let released = Box::pin(self.attempt(&address, Some(holder), None, origin, at, release.into())).await;
        match released {
            // Another account proved it after this one was told that it is free: this one decides again.
            Err(AccountsError::Refused(Refusal::IdentifierTaken))
                if matches!(
                    event.fact,
                    AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. })
                ) =>
            {
                Err(AccountsError::Busy)
            }
            released => released.map(drop),
        }
    }

    /// The events of a command and the state they come to; no state when there are none.
    pub(super) async fn decide(
        &self,
        loaded: &LoadedAccount,
        command: UserAccountCommand,
    ) -> AccountDecision {
        let mut state = loaded.head.state.clone();
        let sink = EventSink::default();
        state.handle(command, &self.services, &sink).await?;
        let events = sink.collect().await;
        let state = Some(state).filter(|_| !events.is_empty());
        Ok((events, state))
    }
}

/// Whether the command is to be told which identifiers the account has.
fn asks_for_identifiers(command: &UserAccountCommand) -> bool {
    matches!(
        command,
        UserAccountCommand::RemoveIdentifier(_)
            | UserAccountCommand::UndoIdentifierChange(_)
            | UserAccountCommand::ProposeIdentifierChange(_)
            | UserAccountCommand::ConfirmIdentifierChange(_)
            | UserAccountCommand::ApplyDueProposal(_)
    )
}

/// The proof of the session that tokens are issued to by these events.
fn proof_of_issue(events: &[UserAccountEvent], state: &UserAccount) -> Option<SessionProof> {
    let issued = events.iter().find_map(SessionTokens::from_event)?.ok()?;
    let session = state.sessions().iter().find(|session| session.id == issued.session)?;
    Some(SessionProof::of_session(session))
}

/// The command with the session of the token that came along, where that is of this account.
fn shown_to(
    account: AccountId,
    origin: &RequestContext,
    mut command: UserAccountCommand,
) -> UserAccountCommand {
    if let UserAccountCommand::RequestOtp(RequestOtp { shown, .. })
    | UserAccountCommand::ResendOtp(ResendOtp { shown, .. })
    | UserAccountCommand::VerifyOtp(VerifyOtp { shown, .. }) = &mut command
    {
        *shown = origin.shown.filter(|token| token.account == account).map(|token| token.session);
    }
    command
}

pub(super) fn late() -> JournalError {
    JournalError::Database(DatabaseError::Late)
}

/// From 2 ms to 100 ms, with jitter, for as long as the time limit allows.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(100))
        .with_jitter()
        .without_max_times()
}

/// Asks the journal again while the database is away or late.
pub(super) async fn until_available<T, F: Future<Output = Result<T, JournalError>>>(
    ask: impl FnMut() -> F,
) -> Result<T, JournalError> {
    let is_passing =
        |error: &JournalError| matches!(error, JournalError::Database(error) if error.is_passing());
    ask.retry(backoff()).when(is_passing).await
}
