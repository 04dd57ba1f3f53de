//! The part of the state that keeps the second factor.

use chrono::{DateTime, Utc};

use super::UserAccount;
use crate::user_account::{AuthenticatorOffer, SecondFactor, SecondFactorFact};

impl UserAccount {
    /// Takes in what happened to the second factor.
    pub(super) fn apply_second_factor_fact(&mut self, at: DateTime<Utc>, fact: &SecondFactorFact) {
        match fact {
            SecondFactorFact::SecondFactorOffered { session: _, authenticator, expires_at } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.offered =
                        Some(AuthenticatorOffer { authenticator: *authenticator, expires_at: *expires_at });
                }
            }
            SecondFactorFact::SecondFactorEnrolled { session, authenticator, step, recovery } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.enrol(*authenticator, *step, *recovery);
                }
                // What others proved, they proved by the former one.
                self.lapse_second_factor();
                self.change_session(*session, |session| session.second_factor_at = Some(at));
            }
            SecondFactorFact::SecondFactorPassed { session, proof } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.pass(*proof);
                }
                self.change_session(*session, |session| {
                    session.second_factor_at = Some(at);
                    session.proved_at = at;
                });
            }
            SecondFactorFact::SecondFactorRejected { session: _, reason, until } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.record_rejected(at, *reason, *until);
                }
            }
            SecondFactorFact::RecoveryCodesRenewed { session: _, recovery } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.renew_recovery_codes(*recovery);
                }
            }
            SecondFactorFact::SecondFactorRemoved { by: _ } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.second_factor = None;
                }
                self.lapse_second_factor();
            }
        }
    }

    fn second_factor_mut(&mut self) -> Option<&mut SecondFactor> {
        Some(self.member_mut()?.second_factor.get_or_insert_default())
    }

    /// The second factor has to be passed again in every session.
    fn lapse_second_factor(&mut self) {
        if let Self::Active(active) = self {
            for session in &mut active.sessions {
                session.second_factor_at = None;
            }
        }
    }
}
