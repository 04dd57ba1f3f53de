//! The seam to cqrs-es: commands in, events out, state made from them.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use super::commands::UserAccountCommand;
use super::{Policy, Refusal, Session, UserAccount, UserAccountEvent};
use crate::values::{
    AddressMark, AuthenticatorId, ChallengeNonce, Client, ClientChange, ClientMark, Identifier, OtpCode,
    RecoveryBatchId, RecoveryCode, SessionId, TimeStep,
};

/// What a code lets its bearer do. A code for one purpose is no code for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To sign in, and to sign up where there is no account yet.
    #[default]
    SignIn,
    /// To make the identifier one of an account that is signed in.
    AddIdentifier,
    /// To prove the user of a session again.
    Reauthenticate,
}

impl Purpose {
    /// The name as it stands in events and derived keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::AddIdentifier => "add_identifier",
            Self::Reauthenticate => "reauthenticate",
        }
    }

    /// Whether it is what a code was for before there was anything else, which events leave unsaid.
    pub(super) fn is_sign_in(&self) -> bool {
        *self == Self::SignIn
    }
}

/// Who asks for a code or presents one, as far as that is known before it is proved.
///
/// An account keeps codes and counters for each apart, so that an attacker, who needs only to know a number,
/// does not shut out the devices of its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Requester {
    /// A caller that presents no token of a device known to the account.
    #[default]
    Stranger,
    /// A device that is or was signed in to the account and has a token to show for it.
    KnownDevice,
}

impl Requester {
    /// Returns whether the caller is a stranger, which events leave unsaid: it is the default.
    pub(super) fn is_stranger(&self) -> bool {
        *self == Self::Stranger
    }
}

/// Tells whether a code is the right one, without the domain ever holding the key it is derived with.
pub trait OtpMatcher: Send + Sync {
    /// Whether `code` is the one derived from the challenge for this identifier and purpose. Takes the same time
    /// whatever the answer.
    fn matches(
        &self,
        nonce: &ChallengeNonce,
        identifier: &Identifier,
        purpose: Purpose,
        code: &OtpCode,
    ) -> bool;
}

/// Marks clients, without the domain ever holding the key they are hashed with.
pub trait ClientMarker: Send + Sync {
    /// The mark of a client of that session. That of the same client of another session is another.
    fn mark(&self, session: SessionId, client: &Client) -> ClientMark;

    /// The marks of the same client that were made while another key was in use and can still be made, because the key is
    /// being replaced. Usually none.
    fn former_marks(&self, _: SessionId, _: &Client) -> Vec<ClientMark> {
        Vec::new()
    }

    /// The mark of a client, to be compared with an earlier one of that session: made with the key under which the two have
    /// most in common.
    fn mark_beside(&self, earlier: ClientMark, session: SessionId, client: &Client) -> ClientMark {
        let mark = self.mark(session, client);
        if mark == earlier {
            return mark;
        }
        let alike = |mark: &ClientMark| match mark.change_from(earlier) {
            None => 3,
            Some(ClientChange::Network) => 2,
            Some(ClientChange::Device) => 1,
            Some(ClientChange::DeviceAndNetwork) => 0,
        };
        let former = self.former_marks(session, client).into_iter().max_by_key(alike);
        former.filter(|former| alike(former) > alike(&mark)).unwrap_or(mark)
    }

    /// Whether a client is on the device that a session was last used from, whatever its network. Not where that was not kept.
    fn is_on_device_of(&self, session: &Session, client: &Client) -> bool {
        session.mark.is_some_and(|mark| mark.device == self.mark_beside(mark, session.id, client).device)
    }

    /// The mark of its address, whose network is marked already.
    fn address(&self, session: SessionId, client: &Client, network: u16) -> AddressMark;

    /// The same, to be compared with an earlier one of that session: the earlier one where a former key makes it of the same
    /// address.
    fn address_beside(
        &self,
        _earlier: AddressMark,
        session: SessionId,
        client: &Client,
        network: u16,
    ) -> AddressMark {
        self.address(session, client, network)
    }
}

/// Tells whether codes of a second factor are right, without the domain ever holding the key they are derived with.
pub trait SecondFactorMatcher: Send + Sync {
    /// The half minute, that of `at` or the one before or after it, whose code of an authenticator this is; none where it
    /// is not one (RFC 6238, section 5.2).
    fn step(&self, authenticator: AuthenticatorId, code: &OtpCode, at: DateTime<Utc>) -> Option<TimeStep>;

    /// The number of the recovery code in its batch; none where it is not one of them. Takes the same time whatever the
    /// answer.
    fn recovery_code(&self, batch: RecoveryBatchId, code: &RecoveryCode) -> Option<u8>;
}

/// Tells when callers could be answered, as far as the node knows: while the database acknowledges no commits, a commit
/// may succeed without its caller learning of it.
pub trait AnswerTimes: Send + Sync {
    /// The first moment at which the caller of a command that was decided at `decided_at` could have been answered:
    /// `decided_at` itself, or the end of an outage that it fell into. `None` while that outage lasts.
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>>;

    /// The same for a caller that is known to have got no answer; `None` for every other.
    fn unanswered_until(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>>;
}

/// Answer times of a node that has seen no outage: every caller could be answered at once.
#[derive(Clone, Copy, Debug)]
pub struct NoOutage;

impl AnswerTimes for NoOutage {
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(decided_at)
    }

    fn unanswered_until(&self, _: DateTime<Utc>) -> Option<DateTime<Utc>> {
        None
    }
}

/// What the aggregate needs from outside to decide.
#[derive(Clone)]
pub struct Services {
    /// Tells right codes from wrong ones.
    pub codes: Arc<dyn OtpMatcher>,
    /// Tells a session's client from another.
    pub clients: Arc<dyn ClientMarker>,
    /// Tells codes of second factors from wrong ones.
    pub second_factors: Arc<dyn SecondFactorMatcher>,
    /// Tells when callers could be answered.
    pub answers: Arc<dyn AnswerTimes>,
    /// The numbers the rules go by.
    pub policy: Arc<Policy>,
}

impl Services {
    /// When a client could first be answered, where its command that was decided at `decided_at` is known to have had no
    /// answer and it may still repeat it at `now`.
    pub(super) fn unanswered_until(
        &self,
        decided_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let possible_at = self.answers.unanswered_until(decided_at)?;
        (now - possible_at < self.policy.refresh_grace).then_some(possible_at)
    }

    /// When the client of a refresh that was decided at `decided_at` could first be answered, if it may still repeat it at
    /// `now`.
    pub(super) fn repeatable_since(
        &self,
        decided_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let possible_at = self.answers.answer_possible_at(decided_at).unwrap_or(now);
        let possible_at = possible_at.max(self.answers.unanswered_until(decided_at).unwrap_or(possible_at));
        (now - possible_at < self.policy.refresh_grace).then_some(possible_at)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Aggregate for UserAccount {
    const TYPE: &'static str = "UserAccount";
    type Command = UserAccountCommand;
    type Event = UserAccountEvent;
    type Error = Refusal;
    type Services = Services;

    /// Decides, and writes what was decided. A refusal that matters is an event and so no error here.
    async fn handle(
        &mut self,
        command: Self::Command,
        services: &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in command.decide(self, services)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.apply_event(&event);
    }
}
