//! Put on record what a member of staff reads, or does to the service as a whole.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, Refusal, RequiredProof, StaffRecordFact, UserAccount, UserAccountEvent,
};
use crate::values::{Client, Reason, Role, SessionId};

/// Records what a member of staff is about to be shown or to do, before it happens, in the stream of that member of staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStaffAct {
    pub at: DateTime<Utc>,
    pub authority: StaffAuthority,
    pub fact: StaffRecordFact,
    pub reason: Option<Reason>,
    /// What they searched for, where it may be personal.
    pub query: Option<String>,
    /// From where they act; absent for who is at the server.
    pub client: Option<Client>,
}

/// By what a member of staff may read or act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaffAuthority {
    /// The session of an account that has the role.
    Session(SessionId),
    /// Access to the server itself: that of the operator, or of a program that the service is part of.
    Server,
}

impl RecordStaffAct {
    /// Nothing is shown to or done by a member of staff who may not when it is put on record.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        if let StaffAuthority::Session(session) = self.authority {
            let (role, proof) = requirement(&self.fact);
            state.may(session, role, proof, at)?;
        }
        if let (StaffRecordFact::StaffRead { what, search, .. }, Some(member)) = (&self.fact, state.member())
            && !member.records_read(what, *search, at)?
        {
            return Ok(Vec::new());
        }
        let Self { fact, reason, query, client, .. } = self;
        let says_more = reason.is_some() || query.is_some();
        let person = says_more.then(|| PersonalDetails { reason, query, ..PersonalDetails::default() });
        Ok(vec![UserAccountEvent { at, fact: AccountFact::StaffRecord(fact), person, client }])
    }
}

/// Returns the role that it takes, and how lately the second factor must have been passed.
fn requirement(fact: &StaffRecordFact) -> (Role, RequiredProof) {
    match fact {
        StaffRecordFact::AuditRead { .. } => (Role::Auditor, RequiredProof::InSession),
        StaffRecordFact::StaffRead { .. } => (Role::Admin, RequiredProof::InSession),
        StaffRecordFact::SharedLimitsLifted { .. }
        | StaffRecordFact::BlockSet { .. }
        | StaffRecordFact::BlockLifted { .. }
        | StaffRecordFact::AlarmAcknowledged { .. }
        | StaffRecordFact::ErasureOrdered { .. }
        | StaffRecordFact::RebuildOrdered { .. } => (Role::Admin, RequiredProof::Lately),
    }
}
