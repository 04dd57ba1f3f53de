//! What stands on record of what decisions ask from outside: codes, client fingerprints, second factors, answers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{
    AnswerTimes, ClientMarker, OtpMatcher, Policy, Purpose, SecondFactorMatcher, SecondFactorProof, Services,
    Session,
};
use counterfoil_domain::values::{
    AddressMark, AuthenticatorId, ChallengeNonce, Client, ClientMark, Identifier, OtpCode, RecoveryBatchId,
    RecoveryCode, SessionId, TimeStep,
};

/// What stands on record of what decisions ask from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct OnRecord {
    /// Whether the code was right.
    pub(super) right: bool,
    /// The client's mark, by the session.
    pub(super) marks: Vec<(SessionId, ClientMark)>,
    /// The session whose token came along from its own device, and which ended with the sign-in.
    pub(super) replaced: Option<SessionId>,
    /// The mark of its address.
    pub(super) address: Option<AddressMark>,
    /// What the code of a second factor was, whether or not it had been used.
    pub(super) proof: Option<SecondFactorProof>,
    /// When the command that this one repeats could first be answered, where an outage kept it from being answered at once.
    pub(super) answer_possible_at: Option<DateTime<Utc>>,
}

impl OnRecord {
    pub(super) fn right() -> Self {
        Self { right: true, ..Self::default() }
    }

    pub(super) fn answered(self, answer_possible_at: Option<DateTime<Utc>>) -> Self {
        Self { answer_possible_at, ..self }
    }

    /// Services that answer by it.
    pub(super) fn services(self, policy: &Arc<Policy>) -> Services {
        let on_record = Arc::new(self);
        Services {
            codes: on_record.clone(),
            clients: on_record.clone(),
            second_factors: on_record.clone(),
            answers: on_record,
            policy: policy.clone(),
        }
    }
}

impl OtpMatcher for OnRecord {
    fn matches(&self, _: &ChallengeNonce, _: &Identifier, _: Purpose, _: &OtpCode) -> bool {
        self.right
    }
}

impl ClientMarker for OnRecord {
    /// The one on record; where none was kept, one that is always the same.
    fn mark(&self, session: SessionId, _: &Client) -> ClientMark {
        let found = self.marks.iter().find(|(its, _)| *its == session);
        found.map_or(ClientMark { device: 0, network: 0 }, |(_, mark)| *mark)
    }

    fn is_on_device_of(&self, session: &Session, _: &Client) -> bool {
        self.replaced == Some(session.id)
    }

    /// As for the mark.
    fn address(&self, _: SessionId, _: &Client, _: u16) -> AddressMark {
        self.address.unwrap_or(AddressMark(0))
    }
}

impl AnswerTimes for OnRecord {
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.answer_possible_at.unwrap_or(decided_at))
    }

    fn unanswered_until(&self, _: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.answer_possible_at
    }
}

impl SecondFactorMatcher for OnRecord {
    fn step(&self, _: AuthenticatorId, _: &OtpCode, _: DateTime<Utc>) -> Option<TimeStep> {
        let Some(SecondFactorProof::Authenticator { step }) = self.proof else { return None };
        Some(step)
    }

    fn recovery_code(&self, _: RecoveryBatchId, _: &RecoveryCode) -> Option<u8> {
        let Some(SecondFactorProof::RecoveryCode { number }) = self.proof else { return None };
        Some(number)
    }
}
