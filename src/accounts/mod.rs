//! The one door to the write side: a method a use case.
//!
//! Each loads the account, lets the aggregate decide, appends what it decided and answers from the events. When the
//! account has moved on meanwhile, it loads and decides again; when the database does not answer, it sends the same
//! commit again, which can happen only once. Both are bounded, and the caller hears within the time limit.

mod access_rules;
mod blocks;
mod codes;
mod commit;
mod ended_by_staff;
mod erasure;
mod erasure_register;
mod export;
mod identifier_proposals;
mod identifiers;
mod messages;
mod reauthentication;
mod retention;
mod second_factor;
mod sessions;
mod staff;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Policy, Refusal, Services, SessionProof, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Channel, Client, OtpCode, Role};
use counterfoil_projections::profile::Profile;

use crate::crypto::keyring::Keyring;
use crate::delivery::OutboxWorker;
use crate::delivery::notices::NoticeWriter;
use crate::journal::{AccountHead, Journal, JournalError};
use crate::limits::blocks::ActiveBlocks;
use crate::limits::code_stops::CodeStops;
use crate::limits::{Limits, LimitsError};
use crate::postgres::Database;
use crate::rules::{RuleSet, RuleUnavailable};
use crate::runtime::clock::Clock;
use crate::runtime::keyed_mutex::KeyedMutex;
use crate::tokens::claims_source::{AccessTokenClaims, ClaimNameError, ClaimsSource, ClaimsUnavailable};
use crate::tokens::configured_claims::ConfiguredClaims;
use crate::tokens::{IssuedTokens, Token, Tokens};
use crate::transparency::CheckpointKeys;
use counterfoil_guard::ended_sessions::EndedSessions;

pub use blocks::{BlockOutcome, WantedBlock};
pub use ended_by_staff::EndedSessionsCount;
pub use erasure::{ErasedAgain, Erasure, ErasureOutcome, PostponedErasure, erased_before};
pub use erasure_register::{ErasureRegister, RegisterError};
pub use identifier_proposals::OpenProposal;
pub use retention::RetentionPolicy;
pub(crate) use staff::lack;
pub use staff::{ActionGrounds, StaffAction, StaffActor};

/// How long a command may take, however often it is tried: the caller of an outage hears of it within the second.
const TIME_LIMIT: Duration = Duration::from_millis(900);

/// Who asks, and in which request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The device and network.
    pub client: Client,
    /// The request's id, kept with the events.
    pub request: String,
    /// The languages that it asks for, as an `Accept-Language` header names them (RFC 9110, section 12.5.4).
    pub languages: String,
    /// A token that came along, which may have expired: by it a device is known.
    pub shown: Option<Token>,
}

impl RequestContext {
    /// A request that came over no network, of this name.
    pub(crate) fn nowhere(request: &str) -> Self {
        let client = Client { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), user_agent: None, device_name: None };
        Self { client, request: request.to_owned(), languages: String::new(), shown: None }
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
    /// An access rule could not tell whether it may be.
    #[error(transparent)]
    RuleUnavailable(#[from] RuleUnavailable),
    /// A limit of the node, or one that all nodes share, does not let it through.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The program that embeds the service did not say what the tokens are to hold. What was decided is committed: the same
    /// request gives the tokens later.
    #[error(transparent)]
    Claims(#[from] ClaimsUnavailable),
    /// The erasure register could not be read or written.
    #[error(transparent)]
    Register(#[from] RegisterError),
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

/// What came of undoing a change of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierUndo {
    /// The account has the identifiers that it had before the change.
    Complete,
    /// All devices are signed out; a former identifier belongs to another account by now, and is not restored.
    Taken,
}

/// A device signed in.
pub struct SignedIn {
    /// The account that was signed in to.
    pub account: AccountId,
    /// The first tokens of the session.
    pub tokens: IssuedTokens,
    /// The account's profile, where the commit gave it back.
    pub profile: Option<Profile>,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// The write side: a method for each use case.
#[derive(Clone)]
pub struct Accounts {
    journal: Journal,
    services: Services,
    outbox_worker: OutboxWorker,
    notices: NoticeWriter,
    tokens: Tokens,
    checkpoint_keys: CheckpointKeys,
    clock: Arc<dyn Clock>,
    ended: Arc<EndedSessions>,
    claims: AccessTokenClaims,
    rules: RuleSet,
    lanes: Arc<KeyedMutex<Vec<u8>>>,
    limits: Limits,
    blocks: Arc<ActiveBlocks>,
    stops: Option<Arc<CodeStops>>,
    retention: RetentionPolicy,
    register: Option<ErasureRegister>,
}

/// What signs: tokens for clients, and for others what is said of the log.
#[derive(Clone, Debug)]
pub struct Signing {
    /// How tokens are made.
    pub tokens: Tokens,
    /// What signs checkpoints of the log, and certificates of erasures.
    pub checkpoint_keys: CheckpointKeys,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("outbox_worker", &self.outbox_worker).finish_non_exhaustive()
    }
}

/// What a command came to.
struct CommandResult {
    account: AccountId,
    events: Vec<UserAccountEvent>,
    profile: Option<Profile>,
    /// The proof of the session that tokens are issued to.
    proof: Option<SessionProof>,
    /// The roles that the account may use, where the claims of its tokens depend on them.
    roles: BTreeSet<Role>,
    /// The account as it stands, where there was nothing to do.
    unchanged: Option<Arc<AccountHead>>,
}

impl Accounts {
    /// The write side over a journal, without limits but those per identifier.
    pub fn new(
        journal: Journal,
        services: Services,
        outbox_worker: OutboxWorker,
        notices: NoticeWriter,
        Signing { tokens, checkpoint_keys }: Signing,
        clock: Arc<dyn Clock>,
        ended: Arc<EndedSessions>,
    ) -> Self {
        Self {
            journal,
            services,
            outbox_worker,
            notices,
            tokens,
            checkpoint_keys,
            clock,
            ended,
            claims: AccessTokenClaims::default(),
            rules: RuleSet::default(),
            lanes: Arc::default(),
            limits: Limits::off(),
            blocks: ActiveBlocks::none(),
            stops: None,
            retention: RetentionPolicy::ENDLESS,
            register: None,
        }
    }

    /// The same, within the limits that all nodes share.
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same, which keeps codes from what staff have blocked, and notes there what stops codes.
    #[must_use]
    pub fn with_blocks(self, blocks: Arc<ActiveBlocks>, stops: Arc<CodeStops>) -> Self {
        Self { blocks, stops: Some(stops), ..self }
    }

    /// The same, which keeps data for so long.
    #[must_use]
    pub fn forgetting_after(self, retention: RetentionPolicy) -> Self {
        Self { retention, ..self }
    }

    /// The same, which keeps a register of erasures outside the database, where there is one.
    #[must_use]
    pub fn with_register(self, register: Option<ErasureRegister>) -> Self {
        Self { register, ..self }
    }

    /// Counts an operation that writes, asked for in the name of an account from that address; of no address where a service
    /// asks on behalf of many.
    ///
    /// # Errors
    /// [`LimitsError`]; nothing is to be done then.
    pub async fn count_write(&self, account: AccountId, ip: Option<IpAddr>) -> Result<(), LimitsError> {
        self.limits.count_write(account, ip, self.clock.now()).await
    }

    /// Goes on with another keyring's keys, on every thread.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.tokens.use_keyring(keyring);
        self.checkpoint_keys.use_keyring(keyring);
        self.outbox_worker.codes().use_keyring(keyring);
        self.journal.personal_data().use_keyring(keyring);
        self.notices.links.use_keyring(keyring);
        self.notices.unlock_links.use_keyring(keyring);
        self.notices.undo_links.use_keyring(keyring);
        self.limits.use_keyring(keyring);
        if let Some(stops) = &self.stops {
            stops.use_keyring(keyring);
        }
    }

    /// The same, whose access tokens have these claims of the settings.
    #[must_use]
    pub fn with_configured_claims(self, claims: ConfiguredClaims) -> Self {
        Self { claims: AccessTokenClaims::new(claims), ..self }
    }

    /// Puts the claims of a program into access tokens, beside those of the settings.
    ///
    /// # Errors
    /// [`ClaimNameError`] when the program declares a name that is taken.
    pub fn use_claims(&mut self, source: Arc<dyn ClaimsSource>) -> Result<(), ClaimNameError> {
        self.claims.use_source(source)
    }

    /// The numbers that the rules of an account go by.
    pub fn policy(&self) -> &Policy {
        &self.services.policy
    }

    /// The limits that all nodes share.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What makes its tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// What signs checkpoints of the log, and certificates of erasures.
    pub fn checkpoint_keys(&self) -> &CheckpointKeys {
        &self.checkpoint_keys
    }

    /// What sends its messages.
    pub fn outbox_worker(&self) -> &OutboxWorker {
        &self.outbox_worker
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
