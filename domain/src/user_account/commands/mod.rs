//! What can be asked of an account: a file a command, each with its decision.
//!
//! A decision is a pure function of the state, the command and the services. Its guard clauses come first, each with
//! its own refusal; the one success comes last.

mod add_identifier;
mod apply_due_proposal;
mod change_roles;
mod confirm_identifier_change;
mod deny_access;
mod disown_session;
mod end_session;
mod enrol_second_factor;
mod erase_account;
mod export_data;
mod intervention;
mod lapse_account;
mod lift_limits;
mod lift_lock;
mod logout;
mod logout_all;
mod offer_second_factor;
mod pass_second_factor;
mod place_legal_hold;
mod propose_identifier_change;
mod reauthenticate;
mod record_rule_refusal;
mod record_staff_act;
mod refresh_token;
mod reinstate_account;
mod release_identifier;
mod release_legal_hold;
mod remove_identifier;
mod remove_second_factor;
mod rename_device;
mod renew_recovery_codes;
mod request_otp;
mod request_reauthentication;
mod resend_otp;
mod revoke_device;
mod sign_out_account;
mod suspend_account;
mod undo_identifier_change;
mod unlock_account;
mod update_profile;
mod verify_identifier;
mod verify_otp;
mod withdraw_identifier_change;

pub use add_identifier::AddIdentifier;
pub use apply_due_proposal::ApplyDueProposal;
pub use change_roles::ChangeRoles;
pub use confirm_identifier_change::ConfirmIdentifierChange;
pub use deny_access::DenyAccess;
pub use disown_session::DisownSession;
pub use end_session::EndSession;
pub use enrol_second_factor::EnrolSecondFactor;
pub use erase_account::{EraseAccount, ErasureOrder};
pub use export_data::ExportData;
pub use intervention::Intervention;
pub use lapse_account::LapseAccount;
pub use lift_limits::LiftLimits;
pub use lift_lock::LiftLock;
pub use logout::Logout;
pub use logout_all::LogoutAll;
pub use offer_second_factor::OfferSecondFactor;
pub use pass_second_factor::PassSecondFactor;
pub use place_legal_hold::PlaceLegalHold;
pub use propose_identifier_change::ProposeIdentifierChange;
pub use reauthenticate::Reauthenticate;
pub use record_rule_refusal::RecordRuleRefusal;
pub use record_staff_act::{RecordStaffAct, StaffAuthority};
pub use refresh_token::RefreshToken;
pub use reinstate_account::ReinstateAccount;
pub use release_identifier::ReleaseIdentifier;
pub use release_legal_hold::ReleaseLegalHold;
pub use remove_identifier::RemoveIdentifier;
pub use remove_second_factor::RemoveSecondFactor;
pub use rename_device::RenameDevice;
pub use renew_recovery_codes::RenewRecoveryCodes;
pub use request_otp::RequestOtp;
pub use request_reauthentication::RequestReauthentication;
pub use resend_otp::ResendOtp;
pub use revoke_device::RevokeDevice;
pub use sign_out_account::SignOutAccount;
pub use suspend_account::SuspendAccount;
pub use undo_identifier_change::UndoIdentifierChange;
pub use unlock_account::UnlockAccount;
pub use update_profile::UpdateProfile;
pub use verify_identifier::VerifyIdentifier;
pub use verify_otp::VerifyOtp;
pub use withdraw_identifier_change::WithdrawIdentifierChange;

use chrono::{DateTime, Utc};

use super::{
    AccountFact, Refusal, Services, Session, SessionFact, SignOutReason, UserAccount, UserAccountEvent,
};
use crate::values::Client;

/// A command to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAccountCommand {
    /// Send a code to sign in with.
    RequestOtp(RequestOtp),
    /// Send the pending code once more.
    ResendOtp(ResendOtp),
    /// Redeem a code for a session.
    VerifyOtp(VerifyOtp),
    /// Send a code to prove the user of a session again.
    RequestReauthentication(RequestReauthentication),
    /// Prove the user of a session again, by a code.
    Reauthenticate(Reauthenticate),
    /// Trade a refresh token for the next generation.
    RefreshToken(RefreshToken),
    /// End the session of the caller.
    Logout(Logout),
    /// End all sessions, or all but one.
    LogoutAll(LogoutAll),
    /// End another device's session.
    RevokeDevice(RevokeDevice),
    /// Give a device a name.
    RenameDevice(RenameDevice),
    /// End a session that the owner did not begin.
    DisownSession(DisownSession),
    /// Lift what wrong codes and many codes have set.
    LiftLimits(LiftLimits),
    /// Lift the lock of an identifier by the link that was sent there.
    LiftLock(LiftLock),
    /// Change the full name of the user.
    UpdateProfile(UpdateProfile),
    /// Let a code go to another identifier.
    AddIdentifier(AddIdentifier),
    /// Make an identifier the account's.
    VerifyIdentifier(VerifyIdentifier),
    /// Take an identifier from the account.
    RemoveIdentifier(RemoveIdentifier),
    /// Undo a change of identifiers that the owner did not make.
    UndoIdentifierChange(UndoIdentifierChange),
    /// Release an identifier that another account has proved.
    ReleaseIdentifier(ReleaseIdentifier),
    /// Release an identifier that was never proved.
    LapseAccount(LapseAccount),
    /// Give an account other roles.
    ChangeRoles(ChangeRoles),
    /// Let an account not be used for now.
    SuspendAccount(SuspendAccount),
    /// Let a suspended account be used again.
    ReinstateAccount(ReinstateAccount),
    /// End all sessions of an account, by staff.
    SignOutAccount(SignOutAccount),
    /// Lift what wrong codes have set against another person's account.
    UnlockAccount(UnlockAccount),
    /// End one session of an account, by staff.
    EndSession(EndSession),
    /// Forget who the user of an account is.
    EraseAccount(EraseAccount),
    /// Give the user everything that is held about them.
    ExportData(ExportData),
    /// Show an authenticator, which may become the second factor.
    OfferSecondFactor(OfferSecondFactor),
    /// Make the authenticator that was shown the second factor.
    EnrolSecondFactor(EnrolSecondFactor),
    /// Pass the second factor.
    PassSecondFactor(PassSecondFactor),
    /// Get new recovery codes.
    RenewRecoveryCodes(RenewRecoveryCodes),
    /// Let an account have no second factor.
    RemoveSecondFactor(RemoveSecondFactor),
    /// Let a proposed change of identifiers take effect when its time has come.
    ApplyDueProposal(ApplyDueProposal),
    /// Confirm a change of identifiers that another administrator proposed.
    ConfirmIdentifierChange(ConfirmIdentifierChange),
    /// Propose another identifier for an account.
    ProposeIdentifierChange(ProposeIdentifierChange),
    /// Withdraw a proposed change of identifiers.
    WithdrawIdentifierChange(WithdrawIdentifierChange),
    /// Keep an account from being erased.
    PlaceLegalHold(PlaceLegalHold),
    /// End a legal hold before its time.
    ReleaseLegalHold(ReleaseLegalHold),
    /// Put on record that staff rights were asked for and not there.
    DenyAccess(DenyAccess),
    /// Put on record that an access rule refused a code.
    RecordRuleRefusal(RecordRuleRefusal),
    /// Put on record what a member of staff reads, or does to the service as a whole.
    RecordStaffAct(RecordStaffAct),
}

impl UserAccountCommand {
    /// What the command makes happen, or why nothing does.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing is to be recorded of the attempt.
    pub fn decide(self, state: &UserAccount, services: &Services) -> Result<Vec<UserAccountEvent>, Refusal> {
        match self {
            Self::RequestOtp(command) => command.decide(state, services),
            Self::ResendOtp(command) => command.decide(state, services),
            Self::VerifyOtp(command) => command.decide(state, services),
            Self::RequestReauthentication(command) => command.decide(state, &services.policy),
            Self::Reauthenticate(command) => command.decide(state, services),
            Self::RefreshToken(command) => command.decide(state, services),
            Self::Logout(command) => Ok(command.decide(state)),
            Self::LogoutAll(command) => command.decide(state),
            Self::RevokeDevice(command) => command.decide(state),
            Self::RenameDevice(command) => command.decide(state),
            Self::DisownSession(command) => Ok(command.decide(state)),
            Self::LiftLimits(command) => Ok(command.decide(state)),
            Self::LiftLock(command) => command.decide(state),
            Self::UpdateProfile(command) => command.decide(state),
            Self::AddIdentifier(command) => command.decide(state, &services.policy),
            Self::VerifyIdentifier(command) => command.decide(state, services),
            Self::RemoveIdentifier(command) => command.decide(state, &services.policy),
            Self::UndoIdentifierChange(command) => command.decide(state),
            Self::ReleaseIdentifier(command) => command.decide(state),
            Self::LapseAccount(command) => Ok(command.decide(state)),
            Self::ChangeRoles(command) => command.decide(state),
            Self::SuspendAccount(command) => command.decide(state),
            Self::ReinstateAccount(command) => command.decide(state),
            Self::SignOutAccount(command) => command.decide(state),
            Self::UnlockAccount(command) => command.decide(state),
            Self::EndSession(command) => Ok(command.decide(state)),
            Self::EraseAccount(command) => command.decide(state, &services.policy),
            Self::ExportData(command) => command.decide(state, &services.policy),
            Self::OfferSecondFactor(command) => command.decide(state, &services.policy),
            Self::EnrolSecondFactor(command) => command.decide(state, services),
            Self::PassSecondFactor(command) => command.decide(state, services),
            Self::RenewRecoveryCodes(command) => command.decide(state, &services.policy),
            Self::RemoveSecondFactor(command) => command.decide(state),
            Self::ApplyDueProposal(command) => command.decide(state),
            Self::ConfirmIdentifierChange(command) => command.decide(state),
            Self::ProposeIdentifierChange(command) => command.decide(state),
            Self::WithdrawIdentifierChange(command) => command.decide(state),
            Self::PlaceLegalHold(command) => command.decide(state),
            Self::ReleaseLegalHold(command) => command.decide(state),
            Self::DenyAccess(command) => Ok(command.decide(state)),
            Self::RecordRuleRefusal(command) => Ok(command.decide(state)),
            Self::RecordStaffAct(command) => command.decide(state),
        }
    }
}

macro_rules! into_command {
    ($($name:ident),+) => {$(
        impl From<$name> for UserAccountCommand {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        }
    )+};
}
into_command!(
    RequestOtp,
    ResendOtp,
    VerifyOtp,
    RequestReauthentication,
    Reauthenticate,
    RefreshToken,
    Logout,
    LogoutAll,
    RevokeDevice,
    RenameDevice,
    DisownSession,
    LiftLimits,
    LiftLock,
    UpdateProfile,
    AddIdentifier,
    VerifyIdentifier,
    RemoveIdentifier,
    UndoIdentifierChange,
    ReleaseIdentifier,
    LapseAccount,
    ChangeRoles,
    SuspendAccount,
    ReinstateAccount,
    SignOutAccount,
    UnlockAccount,
    EndSession,
    EraseAccount,
    ExportData,
    OfferSecondFactor,
    EnrolSecondFactor,
    PassSecondFactor,
    RenewRecoveryCodes,
    RemoveSecondFactor,
    ApplyDueProposal,
    ConfirmIdentifierChange,
    ProposeIdentifierChange,
    WithdrawIdentifierChange,
    PlaceLegalHold,
    ReleaseLegalHold,
    DenyAccess,
    RecordRuleRefusal,
    RecordStaffAct
);

impl Session {
    /// The event of its end.
    fn ended(&self, at: DateTime<Utc>, reason: SignOutReason, client: &Client) -> UserAccountEvent {
        let fact = AccountFact::Session(SessionFact::LoggedOut {
            session: self.id,
            reason,
            expires_at: self.expires_at,
            by: None,
        });
        UserAccountEvent { at, fact, person: None, client: Some(client.clone()) }
    }
}
