//! The part of the state that staff change: roles, suspension, and denials on record.

use chrono::{DateTime, Utc};

use super::{ActiveAccount, RecordedDenial, SuspendedAccount, UserAccount};
use crate::user_account::{LegalHold, StaffFact, StaffRecordFact};

impl UserAccount {
    /// Takes in what a member of staff read or did in their own name. The stream of an operator is that of an account without
    /// identifiers.
    pub(super) fn apply_staff_record(&mut self, at: DateTime<Utc>, fact: &StaffRecordFact) {
        self.touch(at);
        match fact {
            StaffRecordFact::StaffRead { what, search, by: _ } => {
                if let Some(member) = self.member_mut() {
                    member.reads.get_or_insert_default().add(at, what, *search);
                }
            }
            StaffRecordFact::AuditRead { .. }
            | StaffRecordFact::SharedLimitsLifted { .. }
            | StaffRecordFact::BlockSet { .. }
            | StaffRecordFact::BlockLifted { .. }
            | StaffRecordFact::AlarmAcknowledged { .. }
            | StaffRecordFact::ErasureOrdered { .. }
            | StaffRecordFact::RebuildOrdered { .. } => {}
        }
    }

    /// Takes in what staff did, or were not allowed to do.
    pub(super) fn apply_staff_fact(&mut self, at: DateTime<Utc>, fact: &StaffFact) {
        match fact {
            StaffFact::RolesChanged { roles, by: _ } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.roles.clone_from(roles);
                }
            }
            StaffFact::AccountSuspended { until, by: _ } => {
                self.touch(at);
                match std::mem::take(self) {
                    Self::Active(ActiveAccount { mut member, .. })
                    | Self::Suspended(SuspendedAccount { mut member, .. }) => {
                        member.codes.suspend();
                        if let Some(codes) = &mut member.known_codes {
                            codes.suspend();
                        }
                        *self = Self::Suspended(SuspendedAccount { member, until: *until });
                    }
                    other @ (Self::Unknown | Self::Pending(_)) => *self = other,
                }
            }
            StaffFact::AccountReinstated { by: _ } => {
                self.touch(at);
                self.reinstate();
            }
            StaffFact::LegalHoldPlaced { until, by } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.legal_hold = Some(Box::new(LegalHold { until: *until, by: by.clone() }));
                }
            }
            StaffFact::LegalHoldReleased { by: _ } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.legal_hold = None;
                }
            }
            StaffFact::AccessDenied { action, needs: _, lacks: _, until } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.denials.retain(|denial| at < denial.until);
                    member.denials.push(RecordedDenial { action: action.clone(), until: *until });
                }
            }
        }
    }
}
