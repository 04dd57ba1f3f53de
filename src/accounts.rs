//! The one door to the write side: a method a use case.
//!
//! Each loads the account, lets the aggregate decide, appends what it decided and answers from the events. When the
//! account has moved on meanwhile, it loads and decides again; when the database does not answer, it sends the same
//! commit again, which can happen only once. Both are bounded, and the caller hears within the time limit.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    AddIdentifier, ChangeRoles, DenyAccess, DisownSession, EndSession, Intervention, LiftLimits, Logout,
    LogoutAll, ReadAudit, RefreshToken, ReinstateAccount, ReleaseIdentifier, RenameDevice, RequestOtp,
    ResendOtp, RevokeDevice, SignOutAccount, SuspendAccount, UpdateProfile, VerifyIdentifier, VerifyOtp,
};
use counterfoil_domain::user_account::{
    Actor, CodeSent, Purpose, Refusal, Services, SessionTokens, UserAccount, UserAccountCommand,
    UserAccountEvent,
};
use counterfoil_domain::values::{
    AccountId, Channel, Client, DeviceName, FullName, Identifier, LanguageTag, OtpCode, Reason, Role,
    SessionId,
};
use counterfoil_projections::profile::{self, Profile};
use cqrs_es::Aggregate as _;
use cqrs_es::event_sink::EventSink;
use tokio::sync::OwnedMutexGuard;

use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::delivery::outbox::{About, Letter, Queued};
use crate::delivery::{Courier, Route};
use crate::ended_sessions::EndedSessions;
use crate::entropy;
use crate::extra_claims::{ClaimsSource, ConfiguredClaims};
use crate::held_back::held_back;
use crate::journal::{Address, Commit, Journal, JournalError, Loaded, Verdict};
use crate::keyring::Keyring;
use crate::lanes::Lanes;
use crate::limits::{Limits, LimitsError};
use crate::notices::{self, Notices};
use crate::tokens::{ExtraClaims, IssuedTokens, Kind, Token, Tokens};

/// How long a command may take, however often it is tried: the caller of an outage hears of it within the second.
const TIME_LIMIT: Duration = Duration::from_millis(900);

/// Who asks, and in which request.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The device and network.
    pub client: Client,
    /// The request's id, kept with the events.
    pub request: String,
    /// The languages that it asks for, as an `Accept-Language` header names them (RFC 9110, section 12.5.4).
    pub languages: String,
    /// A token that came along, which may have expired: by it a device is known.
    pub shown: Option<Token>,
}

/// Who intervenes in somebody's account, why, and in which request.
#[derive(Clone, Debug)]
pub struct Intervening {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Option<Reason>,
    /// In which request.
    pub origin: Origin,
}

impl Intervening {
    /// Whoever is at the server, by the command line.
    pub fn operator(reason: Option<Reason>) -> Self {
        let nowhere = Client { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), user_agent: None, device_name: None };
        let request = "command-line".to_owned();
        let origin = Origin { client: nowhere, request, languages: String::new(), shown: None };
        Self { by: Actor::Operator, reason, origin }
    }

    fn at(&self, at: DateTime<Utc>) -> Intervention {
        let client = match self.by {
            Actor::Operator => None,
            Actor::Account(_) => Some(self.origin.client.clone()),
        };
        Intervention { at, by: self.by, reason: self.reason.clone(), client }
    }
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
    /// Nothing is sent to such identifiers here: no gateway is set for them.
    #[error("no gateway reaches that identifier")]
    NotTaken(Channel),
    /// A limit that all nodes share does not let it through.
    #[error(transparent)]
    Limits(#[from] LimitsError),
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
    courier: Courier,
    notices: Notices,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    ended: Arc<EndedSessions>,
    claims: Arc<dyn ClaimsSource>,
    lanes: Arc<Lanes<Vec<u8>>>,
    limits: Limits,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("courier", &self.courier).finish_non_exhaustive()
    }
}

/// What a command came to.
struct Done {
    account: AccountId,
    events: Vec<UserAccountEvent>,
    profile: Option<Profile>,
}

impl Accounts {
    /// The write side over a journal, without limits but those per identifier.
    pub fn new(
        journal: Journal,
        services: Services,
        courier: Courier,
        notices: Notices,
        tokens: Tokens,
        clock: Arc<dyn Clock>,
        ended: Arc<EndedSessions>,
    ) -> Self {
        Self {
            journal,
            services,
            courier,
            notices,
            tokens,
            clock,
            ended,
            claims: Arc::new(ConfiguredClaims::default()),
            lanes: Arc::default(),
            limits: Limits::off(),
        }
    }

    /// The same, within the limits that all nodes share.
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Goes on with another keyring's keys, on every thread.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.tokens.use_keyring(keyring);
        self.courier.codes().use_keyring(keyring);
        self.journal.personal_data().use_keyring(keyring);
    }

    /// Puts these claims into access tokens, instead of the settings'.
    pub fn use_claims(&mut self, source: Arc<dyn ClaimsSource>) {
        self.claims = source;
    }

    /// What makes its tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// What sends its messages.
    pub fn courier(&self) -> &Courier {
        &self.courier
    }

    /// The journal that it writes.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The same write side, over a journal with connections of its own.
    pub fn on_this_thread(&self, database: Database) -> Self {
        let limits = self.limits.on_this_thread(database.clone());
        Self { journal: self.journal.on_this_thread(database), limits, ..self.clone() }
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
        let command = RequestOtp {
            at,
            identifier: identifier.clone(),
            purpose: Purpose::SignIn,
            fullname,
            nonce,
            client: origin.client.clone(),
            shown: None,
            test: self.courier.codes().is_test(&identifier),
        };
        let send = self.send_code(&identifier, &origin, at, command.into());
        self.counting_codes(&identifier, &origin, send).await
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
        let command = ResendOtp {
            at,
            identifier: identifier.clone(),
            nonce,
            client: origin.client.clone(),
            shown: None,
            test: self.courier.codes().is_test(&identifier),
        };
        let send = self.send_code(&identifier, &origin, at, command.into());
        self.counting_codes(&identifier, &origin, send).await
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
            language: self.wanted(&origin),
            shown: None,
            test: self.courier.codes().is_test(&identifier),
        };
        let redeem = async {
            let address = Address::Identifier(identifier.clone());
            let done = self.execute(address, &origin, at, command.into()).await?;
            let session = outcome(&done.events, SessionTokens::from_event)?;
            Ok((done, session))
        };
        let (done, session) = self.counting_tries(&identifier, &origin, redeem).await?;
        let tokens = self.issue(done.account, &session, done.profile.as_ref()).await?;
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
        self.issue(done.account, &session, done.profile.as_ref()).await
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

    /// The account and the session that a link of a notice names; none where it is no link of ours.
    pub fn session_of_link(&self, link: &str) -> Option<(AccountId, SessionId)> {
        self.notices.links.read(link)
    }

    /// Ends the session that its owner's link names, if it has not ended. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token when it is no link of ours.
    pub async fn disown(&self, link: &str, origin: Origin) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let (account, session) = self.session_of_link(link).ok_or(AccountsError::InvalidToken)?;
        let command = DisownSession { at, session, client: origin.client.clone() };
        self.execute(Address::Account(account), &origin, at, command.into()).await?;
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

    /// Sends a code to another identifier of the account that an access token speaks for: one to be added, or to take
    /// the place of the former one that it has of that kind.
    ///
    /// The account puts on record that it wants the identifier; then the account whose it is, or may become, sends the
    /// code, as it would one to sign in there: whoever asks, a number gets no more codes than it may.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account may ask for no code now or the identifier may get none, when the
    /// account has that identifier, or when the session has ended meanwhile.
    pub async fn add_identifier(
        &self,
        token: Token,
        identifier: Identifier,
        former: Option<Identifier>,
        origin: Origin,
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
            test: self.courier.codes().is_test(&identifier),
        };
        let send = async {
            let done = self.execute(Address::Account(token.account), &origin, at, wanted.into()).await?;
            accepted(&done.events)?;
            self.send_code(&identifier, &origin, at, command.into()).await
        };
        self.counting_codes(&identifier, &origin, send).await
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
        origin: Origin,
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
            let done = self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
            accepted(&done.events)?;
            Ok(done.profile)
        };
        self.counting_tries(&identifier, &origin, redeem).await
    }

    /// Lifts what wrong codes and many codes have set against the account of an identifier; whether there is one. For whoever
    /// runs the service.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn lift_limits(&self, identifier: Identifier) -> Result<bool, AccountsError> {
        let at = self.clock.now();
        let command = LiftLimits { at, by: Actor::Operator };
        let Intervening { origin, .. } = Intervening::operator(None);
        let done = self.execute(Address::Identifier(identifier), &origin, at, command.into()).await?;
        Ok(!done.events.is_empty())
    }

    /// Gives an account these roles, in the place of those it has.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when nobody has joined by that account, or it is that of whoever asks.
    pub async fn change_roles(
        &self,
        account: AccountId,
        roles: BTreeSet<Role>,
        who: Intervening,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| ChangeRoles { account, roles, intervention }.into()).await
    }

    /// Lets an account not be used, until a time or until it is reinstated.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when nobody has joined by that account, or it is that of whoever asks.
    pub async fn suspend(
        &self,
        account: AccountId,
        until: Option<DateTime<Utc>>,
        who: Intervening,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| SuspendAccount { account, until, intervention }.into())
            .await
    }

    /// Lets a suspended account be used again.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when nobody has joined by that account.
    pub async fn reinstate(&self, account: AccountId, who: Intervening) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| ReinstateAccount { intervention }.into()).await
    }

    /// Ends every session of an account.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when nobody has joined by that account.
    pub async fn sign_out(&self, account: AccountId, who: Intervening) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| SignOutAccount { intervention }.into()).await
    }

    /// Ends a session of an account. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn end_session(
        &self,
        account: AccountId,
        session: SessionId,
        who: Intervening,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| EndSession { session, intervention }.into()).await
    }

    /// Puts on record that the account of an access token asked for what its roles do not let it do.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn deny_access(
        &self,
        token: Token,
        action: String,
        needs: Role,
        origin: Origin,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let command = DenyAccess { at, session: token.session, action, needs, client: origin.client.clone() };
        self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// Puts on record what the account of an access token is about to be shown of the log, and why.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when it is not an auditor's, or the session has ended meanwhile.
    pub async fn read_audit(
        &self,
        token: Token,
        what: String,
        reason: Reason,
        origin: Origin,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let command = ReadAudit { at, session: token.session, what, reason, client: origin.client.clone() };
        self.execute(Address::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// An account as it stands, whatever other nodes have just done to it.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be read.
    pub async fn standing(&self, account: AccountId) -> Result<UserAccount, AccountsError> {
        let (at, address) = (self.clock.now(), Address::Account(account));
        let loading = until_available(|| self.journal.load_anew(&address, at));
        let loaded = tokio::time::timeout(TIME_LIMIT, loading).await.unwrap_or_else(|_| Err(late()))?;
        Ok(loaded.head.state.clone())
    }

    async fn intervene(
        &self,
        account: AccountId,
        who: Intervening,
        command: impl FnOnce(Intervention) -> UserAccountCommand,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        self.execute(Address::Account(account), &who.origin, at, command(who.at(at))).await?;
        Ok(())
    }

    /// Makes tokens. Where that fails, the session has its generation all the same: the same refresh token gives the tokens
    /// a moment later.
    async fn issue(
        &self,
        account: AccountId,
        session: &SessionTokens,
        profile: Option<&Profile>,
    ) -> Result<IssuedTokens, AccountsError> {
        let read = match profile {
            None if self.claims.reads_profile() => self.read_profile(account).await?,
            _ => None,
        };
        let claims = self.claims.claims(account, profile.or(read.as_ref()));
        let extra = ExtraClaims::new(&claims).unwrap_or_else(|error| {
            tracing::error!(%error, "a token goes without its extra claims");
            ExtraClaims::default()
        });
        Ok(self.tokens.issue(account, session, extra))
    }

    async fn read_profile(&self, account: AccountId) -> Result<Option<Profile>, AccountsError> {
        let read = async || {
            let db = self.journal.database().connection().await?;
            let mut found = profile::find(&db, &[account]).await?;
            Ok::<_, JournalError>(found.pop().flatten())
        };
        let in_time = tokio::time::timeout(TIME_LIMIT, until_available(read)).await;
        Ok(in_time.unwrap_or_else(|_| Err(late()))?)
    }

    /// Sends a code where there is a way for it, within the shared limits, which are asked before anything else happens.
    async fn counting_codes(
        &self,
        identifier: &Identifier,
        origin: &Origin,
        send: impl Future<Output = Result<CodeOnItsWay, AccountsError>>,
    ) -> Result<CodeOnItsWay, AccountsError> {
        if let Route::None = self.courier.gateways().route(identifier) {
            return Err(AccountsError::NotTaken(identifier.channel()));
        }
        let counted = self.limits.count_code(identifier, origin.client.ip).await?;
        let sent = send.await;
        match &sent {
            Ok(_) => counted.sent(),
            Err(AccountsError::Refused(_)) => counted.not_sent(),
            // It may have been sent.
            Err(_) => {}
        }
        sent
    }

    /// Redeems a code within the shared limits, which are asked before anything else happens.
    async fn counting_tries<T>(
        &self,
        identifier: &Identifier,
        origin: &Origin,
        redeem: impl Future<Output = Result<T, AccountsError>>,
    ) -> Result<T, AccountsError> {
        self.limits.count_try(origin.client.ip).await?;
        let redeemed = redeem.await;
        match &redeemed {
            Ok(_) => self.limits.count_redeemed(identifier),
            Err(AccountsError::Refused(Refusal::InvalidCode)) => self.limits.count_wrong_code(),
            Err(_) => {}
        }
        redeemed
    }

    /// Sends a code or refuses to. Where there is an account that takes less time than where one begins, for which keys are
    /// made and rows added; the answer is held back until it no longer tells.
    async fn send_code(
        &self,
        identifier: &Identifier,
        origin: &Origin,
        at: DateTime<Utc>,
        command: UserAccountCommand,
    ) -> Result<CodeOnItsWay, AccountsError> {
        let address = Address::Identifier(identifier.clone());
        let done = held_back(self.execute(address, origin, at, command)).await?;
        let sent = outcome(&done.events, CodeSent::from_event)?;
        Ok(CodeOnItsWay {
            expires_in: (sent.expires_at - sent.sent_at).to_std().unwrap_or_default(),
            resend_after: self.services.policy.resend_after.to_std().unwrap_or_default(),
            code: self
                .courier
                .gateways()
                .echoes(identifier)
                .then(|| self.courier.codes().derive(&sent.nonce, identifier, sent.purpose)),
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
        let command = shown_to(loaded.head.account, origin, command);
        let mut decided = self.decide(&loaded, command.clone()).await;
        let is_put_to_the_test = matches!(&decided, Ok((events, Some(_)))
            if events.iter().all(|event| event.gained().is_none()));
        if loaded.remembered && !is_put_to_the_test {
            // Nothing would be written, so nothing would find out that memory is out of date; or only after another
            // account has let an identifier go.
            loaded = until_available(|| self.journal.load_anew(address, at)).await?;
            decided = self.decide(&loaded, command).await;
        }
        let account = loaded.head.account;
        let done = |events, profile| Ok(Done { account, events, profile });
        let (events, Some(state)) = decided? else { return done(Vec::new(), None) };

        for event in &events {
            self.make_way(event, origin, at).await?;
        }
        let messages = self.messages(account, &events, &state, origin).await?;
        let wakes = messages.iter().any(|message| message.handed_to.is_none());
        let id = entropy::uuid_v7(at);
        let request = Some(origin.request.as_str());
        let personal_data = self.journal.personal_data();
        let commit = Commit::new(id, request, loaded, state, events.clone(), messages, personal_data);
        let Some(commit) = commit.map(Arc::new) else { return done(events, None) };
        // Sent again as it is while it is in doubt: deciding again before it is settled could do it twice.
        match until_available(|| self.journal.append(&commit)).await? {
            Verdict::Committed(profile) => {
                for event in &events {
                    if let Some((session, expires_at)) = event.ended_session() {
                        self.ended.insert(session, expires_at);
                    }
                }
                if wakes {
                    self.courier.wake();
                }
                done(events, profile)
            }
            Verdict::Stale => {
                metrics::counter!("counterfoil_commits_stale_total").increment(1);
                Err(AccountsError::Busy)
            }
        }
    }

    /// Sees to it that nobody has the identifier that an event makes the account's. Nobody but who has proved that it is
    /// his comes this far.
    async fn make_way(
        &self,
        event: &UserAccountEvent,
        origin: &Origin,
        at: DateTime<Utc>,
    ) -> Result<(), AccountsError> {
        if event.gained().is_none() {
            return Ok(());
        }
        let Some(identifier) = event.person.as_ref().and_then(|person| person.identifier.clone()) else {
            return Ok(());
        };
        let address = Address::Identifier(identifier.clone());
        let holder = until_available(|| self.journal.load_anew(&address, at)).await?;
        let release = ReleaseIdentifier { at, identifier, client: origin.client.clone() };
        Box::pin(self.attempt(&address, Some(holder), origin, at, release.into())).await?;
        Ok(())
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

    /// The messages that events ask for: codes, and what the owner of the account is to know.
    async fn messages(
        &self,
        account: AccountId,
        events: &[UserAccountEvent],
        state: &UserAccount,
        origin: &Origin,
    ) -> Result<Vec<Queued>, AccountsError> {
        let texts = self.courier.texts();
        let of_account = state.language().map_or("", LanguageTag::as_str);
        let mut messages = Vec::new();
        for event in events {
            if let Some(Ok(sent)) = CodeSent::from_event(event)
                && let Some(to) = event.person.as_ref().and_then(|person| person.identifier.clone())
            {
                let (echoes, is_test) =
                    (self.courier.gateways().echoes(&to), self.courier.codes().is_test(&to));
                messages.push(Queued {
                    handed_to: echoes.then_some("echo").or(is_test.then_some("test")),
                    letter: Letter { to, about: About::Code { purpose: sent.purpose, nonce: sent.nonce } },
                    language: texts.language(&format!("{}, {of_account};q=0.001", origin.languages)),
                    expires_at: sent.expires_at,
                });
            }
            let Some(notice) = self.notices.of(account, event) else { continue };
            let Some(before) = self.read_profile(account).await? else { continue };
            messages.extend(Notices::letters(&notice, &before).into_iter().map(|letter| Queued {
                handed_to: self.courier.gateways().echoes(&letter.to).then_some("echo"),
                letter,
                language: texts.language(of_account),
                expires_at: event.at + notices::WORTH_SENDING,
            }));
        }
        Ok(messages)
    }

    /// The language that messages are written in after a request, where it names one.
    fn wanted(&self, origin: &Origin) -> Option<LanguageTag> {
        let wanted = self.courier.texts().wanted(&origin.languages)?;
        LanguageTag::parse(wanted.tag())
    }
}

/// The command with the session of the token that came along, where that is of this account.
fn shown_to(account: AccountId, origin: &Origin, mut command: UserAccountCommand) -> UserAccountCommand {
    if let UserAccountCommand::RequestOtp(RequestOtp { shown, .. })
    | UserAccountCommand::ResendOtp(ResendOtp { shown, .. })
    | UserAccountCommand::VerifyOtp(VerifyOtp { shown, .. }) = &mut command
    {
        *shown = origin.shown.filter(|token| token.account == account).map(|token| token.session);
    }
    command
}

fn late() -> JournalError {
    JournalError::Database(DatabaseError::Unavailable("no answer in time".to_owned()))
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

/// Whether a command's events put no refusal on record.
fn accepted(events: &[UserAccountEvent]) -> Result<(), Refusal> {
    events.iter().find_map(UserAccountEvent::refusal).map_or(Ok(()), Err)
}

/// The answer in a command's events.
fn outcome<T>(
    events: &[UserAccountEvent],
    read: impl Fn(&UserAccountEvent) -> Option<Result<T, Refusal>>,
) -> Result<T, AccountsError> {
    let answer = events.iter().find_map(read);
    answer.expect("a command that succeeds leaves an event that answers it").map_err(AccountsError::from)
}
