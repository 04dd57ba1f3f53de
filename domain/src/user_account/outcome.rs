//! What a command's events mean for its caller.
//!
//! A refusal that matters is an event, so the answer is read from the events and not from `Ok` or `Err`.

use chrono::{DateTime, Utc};

use super::{
    AccountFact, CodeFact, CodeRejected, FactorRejected, Purpose, Refusal, SecondFactorFact, Session,
    SessionFact, SignOutReason, UserAccountEvent,
};
use crate::values::{AuthenticationMethods, ChallengeNonce, Channel, Generation, SessionId};

/// A code is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSent {
    /// The channel by which the code goes out.
    pub channel: Channel,
    /// What it is for.
    pub purpose: Purpose,
    /// From which it is derived.
    pub nonce: ChallengeNonce,
    /// When it was asked for.
    pub sent_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
}

/// A session has a new generation of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTokens {
    pub session: SessionId,
    /// The generation to issue.
    pub generation: Generation,
    /// When it was decided; what is issued is issued then.
    pub issued_at: DateTime<Utc>,
    /// When the session ends unless it is refreshed: the refresh token's end.
    pub expires_at: DateTime<Utc>,
}

/// When and by what the user of a session was last proved to be there. A refresh is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionProof {
    /// The time of the newest proof.
    pub at: DateTime<Utc>,
    /// The methods: the newest code, and the second factor where it was passed in the session.
    pub methods: AuthenticationMethods,
}

impl SessionProof {
    /// The proof of a session as it stands.
    pub fn of_session(session: &Session) -> Self {
        let second_factor = session.second_factor_at.is_some();
        let methods = AuthenticationMethods { channel: session.channel, second_factor };
        Self { at: session.proved_at, methods }
    }
}

impl CodeSent {
    /// Reads the answer to `RequestOtp`, `ResendOtp` and `RequestReauthentication`.
    ///
    /// # Errors
    /// The refusal on record.
    pub fn from_event(event: &UserAccountEvent) -> Option<Result<Self, Refusal>> {
        if let AccountFact::Code(
            CodeFact::OtpRequested { channel, purpose, nonce, expires_at, .. }
            | CodeFact::OtpResent { channel, purpose, nonce, expires_at, .. },
        ) = event.fact
        {
            return Some(Ok(Self { channel, purpose, nonce, sent_at: event.at, expires_at }));
        }
        matches!(event.fact, AccountFact::Code(CodeFact::OtpRequestRefused { .. }))
            .then(|| event.refusal().map(Err))?
    }
}

impl SessionTokens {
    /// The newest tokens of a session, as they were first given.
    pub fn of_session(session: &Session) -> Self {
        Self {
            session: session.id,
            generation: session.generation,
            issued_at: session.last_used_at,
            expires_at: session.expires_at,
        }
    }

    /// Reads the answer to `VerifyOtp` and `RefreshToken`.
    ///
    /// # Errors
    /// The rejection on record.
    pub fn from_event(event: &UserAccountEvent) -> Option<Result<Self, Refusal>> {
        if let AccountFact::Session(
            SessionFact::LoggedIn { session, generation, expires_at, .. }
            | SessionFact::TokenRefreshed { session, generation, expires_at, moved: _ },
        ) = event.fact
        {
            return Some(Ok(Self { session, generation, issued_at: event.at, expires_at }));
        }
        if let AccountFact::Session(
            SessionFact::TokenRefreshRetried { session, generation, issued_at, expires_at, .. }
            | SessionFact::SignInRepeated { session, generation, issued_at, expires_at, .. },
        ) = event.fact
        {
            return Some(Ok(Self { session, generation, issued_at, expires_at }));
        }
        if let AccountFact::Session(
            SessionFact::TokenReuseDetected { .. }
            | SessionFact::LoggedOut { reason: SignOutReason::ClientChanged, .. },
        ) = event.fact
        {
            return Some(Err(Refusal::SpentToken));
        }
        matches!(
            event.fact,
            AccountFact::Code(CodeFact::OtpRejected { .. })
                | AccountFact::Session(SessionFact::SignInRefused { .. })
        )
        .then(|| event.refusal().map(Err))?
    }
}

impl UserAccountEvent {
    /// What the caller is told where the event is a code, a sign-in or a refresh refused.
    pub fn refusal(&self) -> Option<Refusal> {
        if let AccountFact::Session(SessionFact::SignInRefused { rule, .. }) = self.fact {
            return Some(Refusal::RefusedByRule { rule });
        }
        if let AccountFact::Code(CodeFact::OtpRequestRefused { reason, until, .. }) = self.fact {
            return Some(reason.refusal(until));
        }
        if let AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected { reason, until, .. }) =
            self.fact
        {
            return Some(match (reason, until) {
                (FactorRejected::Paused | FactorRejected::Locked, Some(until)) => {
                    Refusal::TooManyTries { until }
                }
                (
                    FactorRejected::Wrong
                    | FactorRejected::Spent
                    | FactorRejected::Paused
                    | FactorRejected::Locked,
                    _,
                ) => Refusal::InvalidCode,
            });
        }
        let AccountFact::Code(CodeFact::OtpRejected { reason, until, .. }) = self.fact else { return None };
        Some(match (reason, until) {
            (CodeRejected::Paused | CodeRejected::Locked, Some(until)) => Refusal::TooManyTries { until },
            (CodeRejected::DeviceLimit, _) => Refusal::DeviceLimitReached,
            (
                CodeRejected::Paused
                | CodeRejected::Locked
                | CodeRejected::Wrong
                | CodeRejected::Expired
                | CodeRejected::Suspended,
                _,
            ) => Refusal::InvalidCode,
        })
    }
}
