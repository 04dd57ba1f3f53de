//! Sessions from the sign-in to their end.

use std::ops::Not;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::{ActingStaff, Purpose, Requester};
use crate::values::{
    AddressMark, Channel, ClientChange, ClientMark, Generation, LanguageTag, RuleName, SessionId,
};

/// What happened to a device session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SessionFact {
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
        by: Option<ActingStaff>,
    },
    /// A device got another name.
    DeviceRenamed {
        /// The session on it.
        session: SessionId,
    },
    /// An access rule of the program that embeds the service refused a code, a sign-in or a refresh. No code was sent, no session
    /// began, or no token was given; a refresh token stays unspent. A refused sign-in spends its code.
    SignInRefused {
        /// The name of the rule.
        rule: RuleName,
        /// What the rule refused.
        stage: RuleStage,
        /// Where the code was to go, or had gone; absent for a refresh.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<Channel>,
        /// What the code was asked for.
        #[serde(default, skip_serializing_if = "Purpose::is_sign_in")]
        purpose: Purpose,
        /// The session that was to be refreshed; absent for a code and a sign-in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// For a sign-in, whether a known device or a stranger presented the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
        /// When the next such refusal is put on record; absent for a sign-in, each of which is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
}

/// What an access rule is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RuleStage {
    /// Whether a code is sent.
    Code,
    /// Whether a right code begins a session.
    SignIn,
    /// Whether a session gets its next tokens.
    Refresh,
}

impl RuleStage {
    /// The name as it stands in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::SignIn => "sign_in",
            Self::Refresh => "refresh",
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// The account was erased, or is to be erased.
    Erased,
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
            Self::Erased => "erased",
        }
    }

    /// Whether the device may have been its owner's until the end, as far as the reason tells.
    pub(in crate::user_account) fn leaves_device_known(self) -> bool {
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
            | Self::Suspended
            | Self::Erased => false,
        }
    }
}
