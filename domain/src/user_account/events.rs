//! What has happened to an account. Past tense, never changed once stored; a golden file keeps each stored form.

use std::collections::BTreeSet;
use std::ops::Not;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};
use utoipa::ToSchema;

use crate::user_account::{Purpose, Requester};
use crate::values::{
    AccountId, AddressMark, AuthenticatorId, ChallengeNonce, Channel, Client, ClientChange, ClientMark,
    DeviceName, FullName, Generation, Identifier, LanguageTag, Reason, RecoveryBatchId, Role, SessionId,
    TimeStep,
};

/// One event of an account's stream.
///
/// Its JSON holds the time and the fact. Personal data (who the user is and from where the command came) stands apart: it is
/// stored sealed beside the JSON, under keys of the account, and is absent (`None`) once those keys are gone. No
/// decision and no state depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAccountEvent {
    /// When it was decided, by the application's clock; never earlier than the event before it in the stream.
    pub at: DateTime<Utc>,
    /// What happened, without personal data.
    pub fact: Fact,
    /// The personal data of the user, where the event has any.
    #[serde(skip)]
    pub person: Option<Person>,
    /// From which device and network the command came.
    #[serde(skip)]
    pub client: Option<Client>,
}

/// The personal data of an event. It is sealed in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// The number or address that was used or proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
    /// The number or address that it took the place of, or that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Identifier>,
    /// The full name that the user gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fullname: Option<FullName>,
    /// The name given to a device. (The one that a device gives itself at sign-in is its [`Client`]'s.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<DeviceName>,
    /// Why staff intervened, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// The member of staff who acted on an account other than their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The operator of the service, by the command line on the server.
    Operator,
    /// The administrator who has that account.
    Account(AccountId),
}

/// What happened, without anything personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames, ToSchema)]
pub enum Fact {
    /// A code was asked for and is to be sent to an identifier of this account, or one that it may become. A code to
    /// sign in makes any before it void. A code for another account to add the identifier only counts here: it is tried
    /// on the account that asked, whose event has the same nonce.
    OtpRequested {
        /// Where the code goes.
        channel: Channel,
        /// What the code is for.
        purpose: Purpose,
        /// The challenge's nonce, from which the code is derived.
        nonce: ChallengeNonce,
        /// When the code stops working.
        expires_at: DateTime<Utc>,
        /// Whether redeeming it begins the account, because the identifier has not been proved yet. A name given then is the
        /// new account's.
        registering: bool,
        /// For a code that proves the user of a session again: the session that asked, the only one that it proves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Whether a known device or a stranger asked for the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
        /// Whether the identifier is one that the settings list for tests, whose code is always the same.
        #[serde(default, skip_serializing_if = "Not::not")]
        test: bool,
        /// Whether no message goes out, because what is left of the day's budget is kept for identifiers that have signed in
        /// before. The caller is not told, since that would tell whether the identifier has.
        #[serde(default, skip_serializing_if = "Not::not")]
        withheld: bool,
    },
    /// The pending code was asked for once more; a new one is made when the old has less than a minute to live. A request
    /// for a code is this too, where an outage kept the caller from hearing of the pending one.
    OtpResent {
        /// Where the code goes.
        channel: Channel,
        /// What the code is for.
        purpose: Purpose,
        /// The challenge's nonce: the former one, or a new one.
        nonce: ChallengeNonce,
        /// When the code stops working.
        expires_at: DateTime<Utc>,
        /// Whether a known device or a stranger asked for the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
        /// Whether the identifier is one that the settings list for tests, whose code is always the same.
        #[serde(default, skip_serializing_if = "Not::not")]
        test: bool,
        /// Whether no message goes out, because what is left of the day's budget is kept for identifiers that have signed in
        /// before. The caller is not told, since that would tell whether the identifier has.
        #[serde(default, skip_serializing_if = "Not::not")]
        withheld: bool,
        /// When the request before this one could first be answered, where an outage kept it from being answered at once:
        /// its caller need not wait before the next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer_possible_at: Option<DateTime<Utc>>,
    },
    /// A code was refused. Recorded once a window while the reason stays the same, however often it is asked for.
    OtpRequestRefused {
        /// Why the code was refused.
        reason: CodeRefused,
        /// When asking again can succeed; under a lock, when it is next put on record.
        until: DateTime<Utc>,
        /// In which way it was asked for.
        #[serde(default, skip_serializing_if = "CodeAsked::is_to_sign_in")]
        asked: CodeAsked,
        /// Where the code was to go.
        channel: Channel,
        /// Whether a known device or a stranger asked for the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
    },
    /// A code was presented and did nothing.
    OtpRejected {
        /// What a code was presented for.
        #[serde(default, skip_serializing_if = "Purpose::is_sign_in")]
        purpose: Purpose,
        /// Why the code did nothing.
        reason: CodeRejected,
        /// Where the code would have gone.
        channel: Channel,
        /// How many more tries the challenge has; none for a challenge that is gone.
        tries_left: u8,
        /// For a rejection without a look at the code: when trying again can succeed, or, under a lock, when the
        /// next try is put on record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
        /// Whether a known device or a stranger presented the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
    },
    /// The first proof of the identifier: the account exists from here on.
    UserRegistered {
        /// By which kind of identifier.
        channel: Channel,
    },
    /// A device session began.
    LoggedIn {
        /// The device session that the event is about.
        session: SessionId,
        /// Where the code that proved it had gone.
        channel: Channel,
        /// The first generation of its tokens.
        generation: Generation,
        /// When the session ends unless it is refreshed.
        expires_at: DateTime<Utc>,
        /// When the session ends however often it is refreshed.
        ends_at: DateTime<Utc>,
        /// From which device and network; absent where the session began before that was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<ClientMark>,
        /// From which address; absent where the session began before that was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<AddressMark>,
        /// The client's mark among those of the whole account; absent at the first sign-in, whose session's mark it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<ClientMark>,
        /// What of the client the account was not signed in from before. Its owner is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unfamiliar: Option<ClientChange>,
        /// The language that the client asked for, where it is one that messages are written in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<LanguageTag>,
        /// Who presented the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
        /// Whether the identifier is one that the settings list for tests, whose code is always the same.
        #[serde(default, skip_serializing_if = "Not::not")]
        test: bool,
    },
    /// The code that began a session was presented again by the same client, after an outage in which the sign-in was
    /// committed and its caller got no answer. The session's first tokens were given again.
    SignInRepeated {
        /// The device session that the event is about.
        session: SessionId,
        /// The generation that was given again.
        generation: Generation,
        /// When the session began.
        issued_at: DateTime<Utc>,
        /// When the session ends unless it is refreshed, as it was said then.
        expires_at: DateTime<Utc>,
        /// When the sign-in could first be answered.
        answer_possible_at: DateTime<Utc>,
    },
    /// The user of a session was proved again, by a code to an identifier of the account.
    SessionReauthenticated {
        /// The device session that the event is about.
        session: SessionId,
        /// Where the code had gone.
        channel: Channel,
        /// Whether the identifier is one that the settings list for tests, whose code is always the same.
        #[serde(default, skip_serializing_if = "Not::not")]
        test: bool,
    },
    /// A session got its next generation of tokens; the former refresh token is spent.
    TokenRefreshed {
        /// The device session that the event is about.
        session: SessionId,
        /// The new generation of the session's tokens.
        generation: Generation,
        /// When the session ends unless it is refreshed again.
        expires_at: DateTime<Utc>,
        /// The address it came from, where that is another than the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved: Option<AddressMark>,
    },
    /// The parent of a session's newest token was presented again, soon after it was spent: its answer may have been
    /// lost. The newest generation was given again.
    TokenRefreshRetried {
        /// The device session that the event is about.
        session: SessionId,
        /// The generation that was given again.
        generation: Generation,
        /// When it was first given.
        issued_at: DateTime<Utc>,
        /// When the session ends unless it is refreshed again, as it was said then.
        expires_at: DateTime<Utc>,
        /// When that refresh could first be answered, where an outage kept it from being answered at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer_possible_at: Option<DateTime<Utc>>,
    },
    /// A session's refresh token came from another device or network than before. With a binding to it, the session
    /// ends.
    ClientChanged {
        /// The device session that the event is about.
        session: SessionId,
        /// What of the client differs from before.
        change: ClientChange,
        /// The client it came from.
        mark: ClientMark,
    },
    /// A refresh token was presented that had been spent for too long, or never made, so there is a copy of the token.
    /// The session ends with it.
    TokenReuseDetected {
        /// The device session that the event is about.
        session: SessionId,
        /// The generation that was presented.
        presented: Generation,
        /// The newest one there is.
        newest: Generation,
    },
    /// A device session ended before its time.
    LoggedOut {
        /// The device session that the event is about.
        session: SessionId,
        /// Why the session ended.
        reason: SignOutReason,
        /// Until when a token of the session could still be presented.
        expires_at: DateTime<Utc>,
        /// Who ended it, where it was staff.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// A device got another name.
    DeviceRenamed {
        /// The session on it.
        session: SessionId,
    },
    /// The user changed their full name.
    ProfileUpdated {},
    /// The limits that wrong codes and many codes had set were lifted by staff. What is pending stays.
    LimitsLifted {
        /// The member of staff who lifted the limits.
        by: Actor,
    },
    /// A code was asked for while wrong codes lock an identifier, and a link that lifts the lock is to be sent there. It makes
    /// any link before it void.
    UnlockLinkIssued {
        /// The kind of the locked identifier, to which the link goes.
        channel: Channel,
        /// The nonce of the link, from which its secret part is derived.
        nonce: ChallengeNonce,
        /// When the link stops working.
        expires_at: DateTime<Utc>,
    },
    /// The owner of a locked identifier opened the link that was sent there and confirmed: codes are sent to it and looked at
    /// as if none had been. The link is spent.
    LockLifted {
        /// The kind of the identifier.
        channel: Channel,
    },
    /// The user asked for a code to go to an identifier, to add it or to put it in the place of the account's one of that
    /// kind. Any code before it for that is void.
    IdentifierRequested {
        /// Which kind of identifier.
        channel: Channel,
        /// The challenge's nonce, from which the code is derived.
        nonce: ChallengeNonce,
        /// When the code stops working.
        expires_at: DateTime<Utc>,
    },
    /// An identifier of a kind that the account had none of was proved: it finds the account from here on.
    IdentifierAdded {
        /// The kind of the identifier.
        channel: Channel,
    },
    /// An identifier was proved and took the place of the former one, which finds the account no more.
    IdentifierReplaced {
        /// The kind of both.
        channel: Channel,
    },
    /// An identifier was removed: it finds the account no more, and nothing takes its place.
    IdentifierRemoved {
        /// The kind of the identifier.
        channel: Channel,
        /// Whether it went because the change that brought it was undone.
        #[serde(default, skip_serializing_if = "Not::not")]
        by_undo: bool,
    },
    /// By the link in the notice of a change of identifiers it was said that the owner had not made the change: the
    /// account has the identifiers that it had before, as the events of the same commit say, and all sessions end.
    IdentifierChangeUndone {
        /// The number of the change among all changes of the account, from 1. Later ones are undone with it.
        change: u32,
        /// The kinds whose former identifier is not restored with this event: another account has proved it, or a commit
        /// after this one restores it. While there are any, the link goes on working.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_restored: Vec<Channel>,
    },
    /// A former identifier finds the account again, in the place of the one that it has of that kind.
    IdentifierRestored {
        /// The kind of the identifier.
        channel: Channel,
    },
    /// The identifier that was not proved here finds this account no more: another account proved it, or it lapsed.
    IdentifierReleased {
        /// The kind of the identifier.
        channel: Channel,
        /// Whether it lapsed: it was never proved, and no code was asked for in a long time.
        #[serde(default, skip_serializing_if = "Not::not")]
        lapsed: bool,
    },
    /// The account was given other roles, in the place of those it had.
    RolesChanged {
        /// All its roles from here on.
        roles: BTreeSet<Role>,
        /// The member of staff who gave the roles.
        by: Actor,
    },
    /// The account may not be used. All its sessions end with this.
    AccountSuspended {
        /// When it may be used again; until it is reinstated where there is no time.
        until: Option<DateTime<Utc>>,
        /// The member of staff who suspended the account.
        by: Actor,
    },
    /// The account may be used again, before its time where there was one.
    AccountReinstated {
        /// The member of staff who reinstated the account.
        by: Actor,
    },
    /// The user was shown an authenticator, which becomes the account's by a code of it. It voids the one shown before.
    SecondFactorOffered {
        /// The session in which it was shown.
        session: SessionId,
        /// By which the secret is derived that the user was shown.
        authenticator: AuthenticatorId,
        /// When it cannot be confirmed any more.
        expires_at: DateTime<Utc>,
    },
    /// The user confirmed the authenticator that they were shown: it is the account's second factor, in the place of the
    /// one before, and passed in this session and no other.
    SecondFactorEnrolled {
        /// The device session that the event is about.
        session: SessionId,
        /// By which its secret is derived.
        authenticator: AuthenticatorId,
        /// The half minute whose code confirmed it.
        step: TimeStep,
        /// By which the recovery codes are derived that the user was given.
        recovery: RecoveryBatchId,
    },
    /// The user passed the second factor: the session has the rights of the account's roles for a while.
    SecondFactorPassed {
        /// The device session that the event is about.
        session: SessionId,
        /// The kind of code that passed it.
        proof: SecondFactorProof,
    },
    /// A code of the second factor was presented and did nothing.
    SecondFactorRejected {
        /// The device session that the event is about.
        session: SessionId,
        /// Why the code did nothing.
        reason: FactorRejected,
        /// For a rejection without a look at the code: when trying again can succeed, or, under a lock, when the
        /// next try is put on record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The user was given new recovery codes; those before are void.
    RecoveryCodesRenewed {
        /// The session in which it was asked.
        session: SessionId,
        /// By which the new ones are derived.
        recovery: RecoveryBatchId,
    },
    /// The account has no second factor any more, because the user lost it.
    SecondFactorRemoved {
        /// The member of staff who removed the second factor.
        by: Actor,
    },
    /// The account asked for what it may not do. Recorded once a window for each action.
    AccessDenied {
        /// The method and the route that it asked for.
        action: String,
        /// The role that may.
        needs: Role,
        /// What the account lacked for the action.
        #[serde(default, skip_serializing_if = "Lack::is_role")]
        lacks: Lack,
        /// When the next such denial is put on record.
        until: DateTime<Utc>,
    },
    /// An auditor read of the log; the personal part of the event says why.
    AuditRead {
        /// What the auditor asked for, as the service understood it.
        what: String,
    },
    /// An administrator lifted what was counted against a subject of the limits that all nodes share; the personal part
    /// of the event says why.
    SharedLimitsLifted {
        /// The subject, as the limits name it: a country, the whole service, or the keyed hash of anything narrower.
        subject: String,
    },
    /// An administrator had a read model rebuilt from the log; the personal part of the event says why, where a reason was
    /// given.
    RebuildOrdered {
        /// The name of the read model.
        projection: String,
    },
}

/// In which way a code is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeAsked {
    /// A code to sign in with.
    #[default]
    ToSignIn,
    /// The pending one once more.
    Again,
    /// To add an identifier, by the account that wants it.
    ToAdd,
    /// To add an identifier, for the account that wants it, of the one whose it is or may become.
    ForAnother,
    /// To prove the user of a session again.
    ToReauthenticate,
}

impl CodeAsked {
    /// Whether it is the way that events leave unsaid.
    fn is_to_sign_in(&self) -> bool {
        *self == Self::ToSignIn
    }
}

/// Why a code is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeRefused {
    /// The last one was sent a moment ago.
    TooSoon,
    /// As many were sent as one identifier may get in 24 hours.
    QuotaSpent,
    /// Too many wrong codes were tried within the hour.
    Paused,
    /// Too many wrong codes were tried in a row. Time alone does not lift it.
    Locked,
}

/// Why a code does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeRejected {
    /// It is not the code.
    Wrong,
    /// Its time is over.
    Expired,
    /// Too many wrong codes were tried within the hour; this one was not looked at.
    Paused,
    /// Too many wrong codes were tried in a row; this one was not looked at. Time alone does not lift it.
    Locked,
    /// It is the code, but the account is signed in on as many devices as it may be. Recorded once for each code,
    /// which goes on working: the user may sign a device out and try again.
    DeviceLimit,
    /// It is the code, but the account is suspended, or was after the code had been sent. Counted and answered as a wrong
    /// one, so that the suspension shows only to those who know the code.
    Suspended,
}

/// By what a second factor was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorProof {
    /// The code that the authenticator showed in that half minute.
    Authenticator {
        /// The half minute whose code it was.
        step: TimeStep,
    },
    /// A recovery code, which is used up.
    RecoveryCode {
        /// Its number in its batch, from 0.
        number: u8,
    },
}

impl SecondFactorProof {
    /// The name as it stands in events and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticator { .. } => "authenticator",
            Self::RecoveryCode { .. } => "recovery_code",
        }
    }
}

/// Why a code of a second factor does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorRejected {
    /// It is not a code of the authenticator, nor a recovery code.
    Wrong,
    /// It was one, and is used up.
    Spent,
    /// Too many wrong codes were tried within the hour; this one was not looked at.
    Paused,
    /// Too many wrong codes were tried in a row; this one was not looked at. Time alone does not lift it.
    Locked,
}

/// What was missing where access was denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The role that the action needs.
    #[default]
    Role,
    /// The second factor, in this session and lately enough.
    SecondFactor,
}

impl Lack {
    /// Whether it is what was missing before there was anything else, which events leave unsaid.
    fn is_role(&self) -> bool {
        *self == Self::Role
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignOutReason {
    /// The user signed out on that device.
    SignedOut,
    /// One device more than allowed signed in, and this one was the least recently used.
    DeviceLimit,
    /// The device signed in again, presenting a token of the session, which the new one replaces.
    SignedInAgain,
    /// A spent refresh token of it was presented again, so there is a copy of the token.
    TokenReuse,
    /// The user ended it from another device.
    DeviceRevoked,
    /// The user signed out everywhere, or everywhere else.
    SignedOutEverywhere,
    /// It is bound to a device or network, and its refresh token came from another.
    ClientChanged,
    /// The user replaced a phone number or an e-mail address from another device.
    IdentifierReplaced,
    /// The user removed a phone number or an e-mail address from another device.
    IdentifierRemoved,
    /// A change of identifiers was undone by the link in its notice.
    IdentifierChangeUndone,
    /// The owner said, by the link in the notice of the sign-in, that they had not signed in.
    Disowned,
    /// A member of staff ended it.
    EndedByAdmin,
    /// The account was suspended.
    Suspended,
}

impl SignOutReason {
    /// The name as it stands in events and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::DeviceLimit => "device_limit",
            Self::SignedInAgain => "signed_in_again",
            Self::TokenReuse => "token_reuse",
            Self::DeviceRevoked => "device_revoked",
            Self::SignedOutEverywhere => "signed_out_everywhere",
            Self::ClientChanged => "client_changed",
            Self::IdentifierReplaced => "identifier_replaced",
            Self::IdentifierRemoved => "identifier_removed",
            Self::IdentifierChangeUndone => "identifier_change_undone",
            Self::Disowned => "disowned",
            Self::EndedByAdmin => "ended_by_admin",
            Self::Suspended => "suspended",
        }
    }

    /// Whether the device may have been its owner's until the end, as far as the reason tells.
    pub(super) fn leaves_device_known(self) -> bool {
        match self {
            Self::SignedOut | Self::DeviceLimit | Self::SignedInAgain => true,
            Self::TokenReuse
            | Self::DeviceRevoked
            | Self::SignedOutEverywhere
            | Self::ClientChanged
            | Self::IdentifierReplaced
            | Self::IdentifierRemoved
            | Self::IdentifierChangeUndone
            | Self::Disowned
            | Self::EndedByAdmin
            | Self::Suspended => false,
        }
    }
}

impl UserAccountEvent {
    /// The version of the JSON that this code writes. A change of form raises it and adds an upcaster.
    pub const VERSION: &'static str = "1";

    /// The names of all events.
    pub const NAMES: &'static [&'static str] = Fact::VARIANTS;

    /// The event's name, as in the `event_type` column.
    pub fn name(&self) -> &'static str {
        (&self.fact).into()
    }

    /// The session that the event ends, and until when a token of it could still be presented.
    pub fn ended_session(&self) -> Option<(SessionId, DateTime<Utc>)> {
        let Fact::LoggedOut { session, expires_at, .. } = self.fact else { return None };
        Some((session, expires_at))
    }

    /// Whether the event is about a code for which no message goes out.
    pub fn is_withheld(&self) -> bool {
        matches!(
            self.fact,
            Fact::OtpRequested { withheld: true, .. } | Fact::OtpResent { withheld: true, .. }
        )
    }

    /// The kind of identifier that the event makes the account's; the personal part of the event says which one.
    pub fn gained(&self) -> Option<Channel> {
        let (Fact::IdentifierAdded { channel }
        | Fact::IdentifierReplaced { channel }
        | Fact::IdentifierRestored { channel }) = self.fact
        else {
            return None;
        };
        Some(channel)
    }

    /// The kind of identifier that finds the account no more, or no more by the one it had.
    pub fn let_go(&self) -> Option<Channel> {
        let (Fact::IdentifierReplaced { channel }
        | Fact::IdentifierRemoved { channel, .. }
        | Fact::IdentifierRestored { channel }
        | Fact::IdentifierReleased { channel, lapsed: _ }) = self.fact
        else {
            return None;
        };
        Some(channel)
    }

    /// Returns the member of staff who brought the event about; `None` where the user did, or time.
    pub fn by(&self) -> Option<Actor> {
        if let Fact::LoggedOut { by, .. } = self.fact {
            return by;
        }
        let (Fact::RolesChanged { by, .. }
        | Fact::AccountSuspended { by, .. }
        | Fact::AccountReinstated { by }
        | Fact::SecondFactorRemoved { by }
        | Fact::LimitsLifted { by }) = self.fact
        else {
            return None;
        };
        Some(by)
    }
}

impl DomainEvent for UserAccountEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_owned()
    }
}
