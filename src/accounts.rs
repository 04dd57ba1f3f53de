//! The one door to the write side: a method a use case.
//!
//! Each loads the account, lets the aggregate decide, appends what it decided and answers from the events. When the
//! account has moved on meanwhile, it loads and decides again; when the database does not answer, it sends the same
//! commit again, which can happen only once. Both are bounded, and the caller hears within the time limit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    Logout, LogoutAll, RefreshToken, RenameDevice, RequestOtp, ResendOtp, RevokeDevice, UpdateProfile,
    VerifyOtp,
};
use counterfoil_domain::user_account::{
    CodeSent, Refusal, Services, SessionTokens, UserAccount, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Client, DeviceName, FullName, Identifier, OtpCode, SessionId};
use counterfoil_projections::profile::Profile;
use cqrs_es::Aggregate as _;
use cqrs_es::event_sink::EventSink;
use tokio::sync::OwnedMutexGuard;

use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::ended_sessions::EndedSessions;
use crate::entropy;
use crate::journal::{Address, Commit, Journal, JournalError, Loaded, Message, Verdict};
use crate::keyring::Keyring;
use crate::lanes::Lanes;
use crate::otp::OtpCodes;
use crate::tokens::{IssuedTokens, Kind, Token, Tokens};

/// How long a command may take, however often it is tried: the caller of an outage hears of it within the second.
const TIME_LIMIT: Duration = Duration::from_millis(900);

/// How codes reach people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the answer to the request. For development only: it proves nothing about who is asking.
    Echo,
}

/// Who asks, and in which request.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The device and network.
    pub client: Client,
    /// The request's id, kept with the events.
    pub request: String,
}

/// Why a command did nothing, or may have done nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The aggregate refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The token it came with is not one of ours, not of the right kind, or has expired.
    #[error("the token is not valid")]
    InvalidToken,
    /// Others changed the account each time it was tried.
    #[error("the account is busy")]
    Busy,
    /// The journal could not do it.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A code on its way.
#[derive(Clone, Debug)]
pub struct CodeOnItsWay {
    /// How long it works.
    pub expires_in: Duration,
    /// When another may be asked for.
    pub resend_after: Duration,
    /// The code itself, where the answer is how it is delivered.
    pub code: Option<OtpCode>,
}

/// A device signed in.
pub struct SignedIn {
    /// On which account.
    pub account: AccountId,
    /// Its first tokens.
    pub tokens: IssuedTokens,
    /// The account's profile, where the commit gave it back.
    pub profile: Option<Profile>,
}

/// The write side.
#[derive(Clone)]
pub struct Accounts {
    journal: Journal,
    services: Services,
    codes: OtpCodes,
    tokens: Tokens,
    delivery: Delivery,
    clock: Arc<dyn Clock>,
    ended: Arc<EndedSessions>,
    lanes: Arc<Lanes<Vec<u8>>>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// What a command came to.
struct Done {
    account: AccountId,
    events: Vec<UserAccountEvent>,
    profile: Option<Profile>,
}

impl Accounts {
    /// The write side over a journal.
    pub fn new(
        journal: Journal,
        services: Services,
        codes: OtpCodes,
        tokens: Tokens,
        delivery: Delivery,
        clock: Arc<dyn Clock>,
        ended: Arc<EndedSessions>,
    ) -> Self {
        Self { journal, services, codes, tokens, delivery, clock, ended, lanes: Arc::default() }
    }

    /// Goes on with another keyring's keys, on every thread.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.tokens.use_keyring(keyring);
        self.codes.use_keyring(keyring);
        self.journal.personal_data().use_keyring(keyring);
    }

    /// The journal that it writes.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The same write side, over a journal with connections of its own.
    pub fn on_this_thread(&self, database: Database) -> Self {
        Self { journal: self.journal.on_this_thread(database), ..self.clone() }
    }

    /// Sends a code, for an account that may not exist yet.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the identifier may get no code now.
    pub async fn request_otp(
        &self,
        identifier: Identifier,
        fullname: Option<FullName>,
        origin: Origin,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let (at, nonce) = (self.clock.now(), entropy::challenge_nonce());
        let command =
            RequestOtp { at, identifier: identifier.clone(), fullname, nonce, client: origin.client.clone() };
        self.send_code(identifier, origin, at, command.into()).await
    }

    /// Sends the pending code once more.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when no code is pending, or the identifier may get none now.
    pub async fn resend_otp(
        &self,
        identifier: Identifier,
        origin: Origin,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let (at, nonce) = (self.clock.now(), entropy::challenge_nonce());
        let command = ResendOtp { at, identifier: identifier.clone(), nonce, client: origin.client.clone() };
        self.send_code(identifier, origin, at, command.into()).await
    }

    /// Redeems a code for a session.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the code is not valid or too many were tried.
    pub async fn verify_otp(
        &self,
        identifier: Identifier,
        code: OtpCode,
        origin: Origin,
    ) -> Result<SignedIn, AccountsError> {
        let at = self.clock.now();
        let command = VerifyOtp {
            at,
            identifier: identifier.clone(),
            code,
            session: entropy::session_id(at),
            client: origin.client.clone(),
        };
        let done = self.execute(Address::Identifier(identifier), &origin, at, command.into()).await?;
        let session = outcome(&done.events, SessionTokens::from_event)?;
        let tokens = self.tokens.issue(done.account, &session);
        Ok(SignedIn { account: done.account, tokens, profile: done.profile })
    }

    /// Trades a refresh token for the next generation of its session.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the token is spent or its session has ended.
    pub async fn refresh(&self, refresh_token: &str, origin: Origin) -> Result<IssuedTokens, AccountsError> {
        let at = self.clock.now();
        let opened = self.tokens.open(Kind::Refresh, refresh_token, at);
        let token = opened.map_err(|_| AccountsError::InvalidToken)?;
        let command = RefreshToken {
            at,
            session: token.session,
            generation: token.generation,
            client: origin.client.clone(),
        };
        let done = self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        let session = outcome(&done.events, SessionTokens::from_event)?;
        Ok(self.tokens.issue(done.account, &session))
    }

    /// Ends the session of a token of that kind, which may be spent or expired. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token when it never was one of ours.
    pub async fn logout(&self, kind: Kind, token: &str, origin: Origin) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let opened = self.tokens.open_expired(kind, token, at);
        let token = opened.map_err(|_| AccountsError::InvalidToken)?;
        let command = Logout { at, session: token.session, client: origin.client.clone() };
        self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// Ends all sessions of the account that an access token speaks for, or all but the token's own.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended meanwhile.
    pub async fn logout_all(
        &self,
        token: Token,
        keep_current: bool,
        origin: Origin,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let command = LogoutAll { at, session: token.session, keep_current, client: origin.client.clone() };
        self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// Ends a session of the account that an access token speaks for.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account has no such session, or the token's own has ended meanwhile.
    pub async fn revoke_device(
        &self,
        token: Token,
        device: SessionId,
        origin: Origin,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let command = RevokeDevice { at, session: token.session, device, client: origin.client.clone() };
        self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// Names a device of the account that an access token speaks for.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account has no such session, or the token's own has ended meanwhile.
    pub async fn rename_device(
        &self,
        token: Token,
        device: SessionId,
        name: DeviceName,
        origin: Origin,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let command =
            RenameDevice { at, session: token.session, device, name, client: origin.client.clone() };
        self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// Changes the name of the account that an access token speaks for; its profile, where the commit gave it back.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended meanwhile.
    pub async fn update_profile(
        &self,
        token: Token,
        fullname: FullName,
        origin: Origin,
    ) -> Result<Option<Profile>, AccountsError> {
        let at = self.clock.now();
        let command = UpdateProfile { at, session: token.session, fullname, client: origin.client.clone() };
        let done = self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(done.profile)
    }

    async fn send_code(
        &self,
        identifier: Identifier,
        origin: Origin,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let done = self.execute(Address::Identifier(identifier.clone()), &origin, at, command).await?;
        let sent = outcome(&done.events, CodeSent::from_event)?;
        Ok(CodeOnItsWay {
            expires_in: (sent.expires_at - sent.sent_at).to_std().unwrap_or_default(),
            resend_after: self.services.policy.resend_after.to_std().unwrap_or_default(),
            code: match self.delivery {
                Delivery::Echo => Some(self.codes.derive(&sent.nonce, &identifier, sent.purpose)),
            },
        })
    }

    /// Decides and appends, again while others are faster, until the time limit.
    async fn execute(
        &self,
        address: Address,
        origin: &Origin,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<Done, AccountsError> {
        let decide_until_it_holds = async {
            // On this node, commands for one account run one after another: racing them would only waste the work of
            // all but one. Between nodes the database decides.
            let (_turn, mut loaded) = self.turn(&address, at).await?;
            (|| self.attempt(&address, loaded.take(), origin, at, command.clone()))
                .retry(backoff())
                .when(|error| matches!(error, AccountsError::Busy))
                .await
        };
        let late = || JournalError::Database(DatabaseError::Unavailable("no answer in time".to_owned()));
        tokio::time::timeout(TIME_LIMIT, decide_until_it_holds).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Waits for the account's turn. An identifier that is not known to be anybody's waits by its hash first, so that
    /// a crowd of first requests makes one account at the first try; then the account it would begin comes along.
    async fn turn(
        &self,
        address: &Address,
        at: DateTime<Utc>,
    ) -> Result<([Option<OwnedMutexGuard<()>>; 2], Option<Loaded>), AccountsError> {
        let of_account =
            async |account: AccountId| Some(self.lanes.enter(account.0.as_bytes().to_vec()).await);
        let lookup = match address {
            Address::Account(account) => return Ok(([None, of_account(*account).await], None)),
            Address::Identifier(identifier) => self.journal.personal_data().lookup(identifier),
        };
        if let Some(owner) = self.journal.remembered_owner(&lookup) {
            return Ok(([None, of_account(owner).await], None));
        }
        let first = self.lanes.enter(lookup).await;
        let loaded = until_available(|| self.journal.load(address, at)).await?;
        if loaded.head.version == 0 {
            return Ok(([Some(first), None], Some(loaded)));
        }
        Ok(([Some(first), of_account(loaded.head.account).await], None))
    }

    async fn attempt(
        &self,
        address: &Address,
        loaded: Option<Loaded>,
        origin: &Origin,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<Done, AccountsError> {
        let mut loaded = match loaded {
            Some(loaded) => loaded,
            None => until_available(|| self.journal.load(address, at)).await?,
        };
        let mut decided = self.decide(&loaded, command.clone()).await;
        if loaded.remembered && !matches!(decided, Ok((_, Some(_)))) {
            // Nothing would be written, so nothing would find out that memory is out of date.
            loaded = until_available(|| self.journal.load_anew(address, at)).await?;
            decided = self.decide(&loaded, command).await;
        }
        let account = loaded.head.account;
        let done = |events, profile| Ok(Done { account, events, profile });
        let (events, Some(state)) = decided? else { return done(Vec::new(), None) };

        let message = events.iter().find_map(|event| self.message(event));
        let id = entropy::uuid_v7(at);
        let request = Some(origin.request.as_str());
        let personal_data = self.journal.personal_data();
        let commit = Commit::new(id, request, loaded, state, events.clone(), message, personal_data);
        let Some(commit) = commit.map(Arc::new) else { return done(events, None) };
        // Sent again as it is while it is in doubt: deciding again before it is settled could do it twice.
        match until_available(|| self.journal.append(&commit)).await? {
            Verdict::Committed(profile) => {
                for event in &events {
                    if let Some((session, expires_at)) = event.ended_session() {
                        self.ended.insert(session, expires_at);
                    }
                }
                done(events, profile)
            }
            Verdict::Stale => {
                metrics::counter!("counterfoil_commits_stale_total").increment(1);
                Err(AccountsError::Busy)
            }
        }
    }

    /// The events of a command and the state they come to; no state when there are none.
    async fn decide(
        &self,
        loaded: &Loaded,
        command: UserAccountCommand,
    ) -> Result<(Vec<UserAccountEvent>, Option<UserAccount>), Refusal> {
        let mut state = loaded.head.state.clone();
        let sink = EventSink::default();
        state.handle(command, &self.services, &sink).await?;
        let events = sink.collect().await;
        let state = Some(state).filter(|_| !events.is_empty());
        Ok((events, state))
    }

    /// The code that an event asks to be sent.
    fn message(&self, event: &UserAccountEvent) -> Option<Message> {
        let sent = CodeSent::from_event(event)?.ok()?;
        Some(Message {
            destination: event.person.as_ref()?.identifier.clone()?,
            purpose: sent.purpose,
            nonce: sent.nonce,
            expires_at: sent.expires_at,
            handed_to: match self.delivery {
                Delivery::Echo => Some("echo"),
            },
        })
    }
}

/// From 2 ms to 100 ms, with jitter, for as long as the time limit allows.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(100))
        .with_jitter()
        .without_max_times()
}

/// Asks the journal again while the database is away.
async fn until_available<T, F: Future<Output = Result<T, JournalError>>>(
    ask: impl FnMut() -> F,
) -> Result<T, JournalError> {
    let is_away =
        |error: &JournalError| matches!(error, JournalError::Database(DatabaseError::Unavailable(_)));
    ask.retry(backoff()).when(is_away).await
}

/// The answer in a command's events.
fn outcome<T>(
    events: &[UserAccountEvent],
    read: impl Fn(&UserAccountEvent) -> Option<Result<T, Refusal>>,
) -> Result<T, AccountsError> {
    let answer = events.iter().find_map(read);
    answer.expect("a command that succeeds leaves an event that answers it").map_err(AccountsError::from)
}
