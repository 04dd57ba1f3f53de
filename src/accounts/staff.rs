//! What staff do to other people's accounts, and what is put on record of themselves.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    ChangeRoles, DenyAccess, EndSession, Intervention, LiftLimits, PlaceLegalHold, RecordStaffAct,
    ReinstateAccount, ReleaseLegalHold, RemoveSecondFactor, SignOutAccount, StaffAuthority, SuspendAccount,
    UnlockAccount,
};
use counterfoil_domain::user_account::{
    ActingStaff, MissingRequirement, Refusal, StaffRecordFact, UserAccount, UserAccountCommand,
};
use counterfoil_domain::values::{
    AccountId, CaseNumber, Client, Identifier, OperatorName, Reason, Role, ServiceName, SessionId,
};

use super::commit::{late, until_available};
use super::{Accounts, AccountsError, RequestContext, TIME_LIMIT};
use crate::journal::AccountRef;
use crate::limits::{LimitSubject, LimitsError};
use crate::tokens::Token;

/// The member of staff, or the program, that reads or acts.
#[derive(Clone, Debug)]
pub enum StaffActor {
    /// The operator, by the command line on the server.
    Operator(OperatorName),
    /// An account with a role, by an access token.
    Account {
        /// The access token that came with the request.
        token: Token,
        /// The method and route of the request, for the record of a denial.
        action: String,
    },
    /// A program that the service is part of.
    Service(ServiceName),
}

impl StaffActor {
    /// Returns the actor as events name them.
    pub fn acting(&self) -> ActingStaff {
        match self {
            Self::Operator(name) => ActingStaff::Operator(name.clone()),
            Self::Account { token, .. } => ActingStaff::Account(token.account),
            Self::Service(name) => ActingStaff::Service(name.clone()),
        }
    }

    fn authority(&self) -> StaffAuthority {
        match self {
            Self::Account { token, .. } => StaffAuthority::Session(token.session),
            Self::Operator(_) | Self::Service(_) => StaffAuthority::Server,
        }
    }
}

/// Why a member of staff acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionGrounds {
    /// The reason that they gave.
    pub reason: Option<Reason>,
    /// The number of the case that they work on.
    pub case: Option<CaseNumber>,
}

impl From<Option<Reason>> for ActionGrounds {
    fn from(reason: Option<Reason>) -> Self {
        Self { reason, case: None }
    }
}

/// What a member of staff, or a program, reads or does: who, why, and in which request.
#[derive(Clone, Debug)]
pub struct StaffAction {
    /// The member of staff, or the program, that acts.
    pub by: StaffActor,
    /// The reason that they gave.
    pub reason: Option<Reason>,
    /// The number of the case that they work on.
    pub case: Option<CaseNumber>,
    /// The request in which they act.
    pub origin: RequestContext,
}

impl StaffAction {
    /// An action of the operator at the server, by the command line.
    pub fn operator(name: OperatorName, reason: Option<Reason>) -> Self {
        let origin = RequestContext::nowhere("command-line");
        Self { by: StaffActor::Operator(name), reason, case: None, origin }
    }

    /// An action of a program that the service is part of.
    pub fn service(name: ServiceName, reason: Reason) -> Self {
        let origin = RequestContext::nowhere("program");
        Self { by: StaffActor::Service(name), reason: Some(reason), case: None, origin }
    }

    /// Where it came from; nowhere for an actor at the server.
    fn client(&self) -> Option<Client> {
        matches!(self.by, StaffActor::Account { .. }).then(|| self.origin.client.clone())
    }

    fn at(&self, at: DateTime<Utc>) -> Intervention {
        Intervention {
            at,
            by: self.by.acting(),
            reason: self.reason.clone(),
            case: self.case.clone(),
            client: self.client(),
        }
    }
}

impl Accounts {
    /// Gives an account these roles, in the place of those it has.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined, or is that of the caller.
    pub async fn change_roles(
        &self,
        account: AccountId,
        roles: BTreeSet<Role>,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| ChangeRoles { account, roles, intervention }.into())
            .await
            .map(drop)
    }

    /// Lets an account not be used, until a time or until it is reinstated.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined, or is that of the caller.
    pub async fn suspend(
        &self,
        account: AccountId,
        until: Option<DateTime<Utc>>,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| SuspendAccount { account, until, intervention }.into())
            .await
            .map(drop)
    }

    /// Lets a suspended account be used again.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined.
    pub async fn reinstate(&self, account: AccountId, who: StaffAction) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| ReinstateAccount { intervention }.into()).await.map(drop)
    }

    /// Keeps an account from being erased, until a time or until the hold is released.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined, or is that of the caller.
    pub async fn place_legal_hold(
        &self,
        account: AccountId,
        until: DateTime<Utc>,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| PlaceLegalHold { account, until, intervention }.into())
            .await
            .map(drop)
    }

    /// Ends a legal hold before its time. An erasure that waits for it takes place within a minute.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined, or is that of the caller.
    pub async fn release_legal_hold(
        &self,
        account: AccountId,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| ReleaseLegalHold { account, intervention }.into())
            .await
            .map(drop)
    }

    /// Ends every session of an account.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account was never joined.
    pub async fn sign_out(&self, account: AccountId, who: StaffAction) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| SignOutAccount { intervention }.into()).await.map(drop)
    }

    /// Lifts what wrong codes and many codes have set against an account.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when no person has joined by that account, or it is the administrator's own.
    pub async fn unlock(&self, account: AccountId, who: StaffAction) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| UnlockAccount { account, intervention }.into())
            .await
            .map(drop)
    }

    /// Ends a session of an account. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn end_session(
        &self,
        account: AccountId,
        session: SessionId,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| EndSession { session, intervention }.into())
            .await
            .map(drop)
    }

    /// Lets an account have no second factor, so that its person can enrol another.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when it has none, or is the administrator's own.
    pub async fn remove_second_factor(
        &self,
        account: AccountId,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        self.intervene(account, who, |intervention| RemoveSecondFactor { account, intervention }.into())
            .await
            .map(drop)
    }

    /// Puts on record that the account of an access token asked for what it may not do.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn deny_access(
        &self,
        token: Token,
        action: String,
        (needs, lacks): (Role, MissingRequirement),
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| DenyAccess { at, session, action, needs, lacks, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }

    /// Puts on record what a member of staff is about to be shown, or to do to the service as a whole: in their own stream. `query` is
    /// what they search for, where it may be personal.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when they have not the role, or their session has ended meanwhile.
    pub async fn put_on_record(
        &self,
        who: &StaffAction,
        query: Option<String>,
        fact: impl FnOnce(ActingStaff) -> StaffRecordFact,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let by = who.by.acting();
        let stream = AccountRef::Account(by.record_stream());
        let (authority, client, reason) = (who.by.authority(), who.client(), who.reason.clone());
        let command = RecordStaffAct { at, authority, fact: fact(by), reason, query, client };
        self.execute(stream, &who.origin, at, command.into()).await?;
        Ok(())
    }

    /// Lifts what is counted against a subject of the shared limits: whether anything was counted. It is put on record before it
    /// happens.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account is not an administrator's, or the session has ended meanwhile.
    pub async fn lift_shared_limits(
        &self,
        subject: &LimitSubject,
        who: &StaffAction,
    ) -> Result<bool, AccountsError> {
        let meters = self.limits.counted_meters(subject).await.map_err(LimitsError::from)?;
        if meters.is_empty() {
            return Ok(false);
        }
        let subject = self.limits.name_on_record(subject);
        self.put_on_record(who, None, |by| StaffRecordFact::SharedLimitsLifted { subject, by }).await?;
        self.limits.forget(&meters).await.map_err(LimitsError::from)?;
        Ok(true)
    }

    /// Lifts what wrong codes and many codes have set against the account of an identifier, whether or not a person has joined by it:
    /// whether there is one.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn lift_limits(
        &self,
        identifier: Identifier,
        who: &StaffAction,
    ) -> Result<bool, AccountsError> {
        let at = self.clock.now();
        let command = LiftLimits { intervention: who.at(at) };
        let done = self.execute(AccountRef::Identifier(identifier), &who.origin, at, command.into()).await?;
        Ok(!done.events.is_empty())
    }

    /// An account as it stands, whatever other nodes have just done to it.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be read.
    pub async fn standing(&self, account: AccountId) -> Result<UserAccount, AccountsError> {
        let (at, address) = (self.clock.now(), AccountRef::Account(account));
        let loading = until_available(|| self.journal.load_anew(&address, at));
        let loaded = tokio::time::timeout(TIME_LIMIT, loading).await.unwrap_or_else(|_| Err(late()))?;
        Ok(loaded.head.state.clone())
    }

    /// The account that has an identifier, if a person has joined by it.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be read.
    pub async fn owner_of(&self, identifier: &Identifier) -> Result<Option<AccountId>, AccountsError> {
        let (at, address) = (self.clock.now(), AccountRef::Identifier(identifier.clone()));
        let loading = until_available(|| self.journal.load_anew(&address, at));
        let head = tokio::time::timeout(TIME_LIMIT, loading).await.unwrap_or_else(|_| Err(late()))?.head;
        Ok(head.state.member().map(|_| head.account))
    }

    /// Does what a member of staff decided, as long as they may: whether anything happened.
    pub(super) async fn intervene(
        &self,
        account: AccountId,
        who: StaffAction,
        command: impl FnOnce(Intervention) -> UserAccountCommand,
    ) -> Result<bool, AccountsError> {
        let (at, address) = (self.clock.now(), AccountRef::Account(account));
        let command = command(who.at(at));
        let StaffActor::Account { token, action } = who.by else {
            let done = self.execute(address, &who.origin, at, command).await?;
            return Ok(!done.events.is_empty());
        };
        let done = self.execute_as(Some(token), address, &who.origin, at, command).await;
        if let Err(AccountsError::Refused(refusal)) = done
            && let Some(lacks) = lack(refusal)
        {
            self.deny_access(token, action, (Role::Admin, lacks), who.origin).await?;
        }
        Ok(!done?.events.is_empty())
    }
}

/// What is missing where something is denied; nothing where it is refused for another reason.
pub fn lack(refusal: Refusal) -> Option<MissingRequirement> {
    match refusal {
        Refusal::RoleMissing => Some(MissingRequirement::Role),
        Refusal::SecondFactorMissing => Some(MissingRequirement::SecondFactor),
        Refusal::CodeTooSoon { .. }
        | Refusal::CodeQuotaSpent { .. }
        | Refusal::NoPendingCode
        | Refusal::InvalidCode
        | Refusal::TooManyTries { .. }
        | Refusal::TooManyRefreshes { .. }
        | Refusal::TooManyReads { .. }
        | Refusal::DeviceLimitReached
        | Refusal::UnknownDevice
        | Refusal::SpentToken
        | Refusal::IdentifierTaken
        | Refusal::UnknownIdentifier
        | Refusal::LastIdentifier
        | Refusal::ChangeNotUndoable
        | Refusal::IdentifierHeld
        | Refusal::IdentifierNotHeld
        | Refusal::ProposalOpen
        | Refusal::UnknownProposal
        | Refusal::OwnProposal
        | Refusal::UnknownAccount
        | Refusal::OwnAccount
        | Refusal::ProofNotFresh
        | Refusal::NoSecondFactor
        | Refusal::RefusedByRule { .. }
        | Refusal::SessionEnded => None,
    }
}
