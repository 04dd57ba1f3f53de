//! What the owner of an account is told of what has happened to it.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, CodeRejected, IdentifierChanges, IdentifierFact, ProfileFact, SecondFactorFact,
    SecondFactorProof, SessionFact, StaffFact, UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Channel, ClientChange, Identifier};
use counterfoil_projections::profile::Profile;
use counterfoil_projections::user_login::device_kind;
use serde::{Deserialize, Serialize};

use crate::crypto::message_links::{ChangeNumber, SessionLinks, UndoLinks, UnlockLinks};
use crate::delivery::Notice;
use crate::delivery::outbox::{MessageSubject, OutboundMessage};

/// For how long a notice is worth sending.
pub const WORTH_SENDING: TimeDelta = TimeDelta::hours(24);

/// Of which sign-ins the owner is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NewDeviceNotice {
    /// Those from a device or a network that was not seen before.
    #[default]
    DeviceOrNetwork,
    /// Those from a device that was not seen before.
    Device,
    /// No sign-in is told.
    Off,
}

impl NewDeviceNotice {
    fn wants(self, change: ClientChange) -> bool {
        match (self, change) {
            (Self::Off, _) | (Self::Device, ClientChange::Network) => false,
            (Self::DeviceOrNetwork, _)
            | (Self::Device, ClientChange::Device | ClientChange::DeviceAndNetwork) => true,
        }
    }
}

/// Makes notices of events.
#[derive(Clone, Debug)]
pub struct NoticeWriter {
    /// The sign-ins that the owner is told of.
    pub new_device: NewDeviceNotice,
    /// The links that end sessions.
    pub links: SessionLinks,
    /// The links that lift a lock, each in a message of its own.
    pub unlock_links: UnlockLinks,
    /// The links that undo changes of identifiers.
    pub undo_links: UndoLinks,
}

impl NoticeWriter {
    /// What an event of an account is worth telling its owner, if anything; the account stands as its commit leaves it.
    pub fn of(&self, account: AccountId, event: &UserAccountEvent, after: &UserAccount) -> Option<Notice> {
        let at = event.at;
        let undo = || {
            let number = identifier_changes(after)?.count;
            after.undoable_change(number, at)?;
            self.undo_links.link(account, ChangeNumber(number))
        };
        match &event.fact {
            AccountFact::Session(SessionFact::LoggedIn { session, unfamiliar: Some(change), .. })
                if self.new_device.wants(*change) =>
            {
                let (device, address) = whence(event)?;
                Some(Notice::NewDevice { device, address, at, link: self.links.link(account, *session) })
            }
            AccountFact::Session(SessionFact::TokenReuseDetected { .. }) => {
                let (device, address) = whence(event)?;
                Some(Notice::TokenReused { device, address, at })
            }
            AccountFact::Code(CodeFact::OtpRejected { reason: CodeRejected::Locked, .. }) => {
                Some(Notice::AccountLocked { at })
            }
            AccountFact::Identifier(IdentifierFact::IdentifierAdded { .. }) => {
                Some(Notice::IdentifierAdded { at, link: undo() })
            }
            AccountFact::Identifier(IdentifierFact::IdentifierReplaced { .. }) => {
                Some(Notice::IdentifierReplaced { at, link: undo() })
            }
            AccountFact::Identifier(IdentifierFact::IdentifierRemoved { by_undo: false, .. }) => {
                Some(Notice::IdentifierRemoved { at, link: undo() })
            }
            AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone { .. }) => {
                Some(Notice::IdentifierChangeUndone { at })
            }
            AccountFact::Identifier(IdentifierFact::IdentifierChangeProposed { .. }) => {
                Some(Notice::IdentifierChangeProposed { at })
            }
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorEnrolled { .. }) => {
                Some(Notice::SecondFactorEnrolled { at })
            }
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { .. }) => {
                Some(Notice::SecondFactorRemoved { at })
            }
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorPassed {
                proof: SecondFactorProof::RecoveryCode { .. },
                ..
            }) => Some(Notice::RecoveryCodeUsed { at }),
            AccountFact::Profile(ProfileFact::DataExported { .. }) => Some(Notice::DataExported { at }),
            AccountFact::Session(
                SessionFact::LoggedIn { .. }
                | SessionFact::TokenRefreshed { .. }
                | SessionFact::SignInRepeated { .. }
                | SessionFact::SessionReauthenticated { .. }
                | SessionFact::TokenRefreshRetried { .. }
                | SessionFact::ClientChanged { .. }
                | SessionFact::LoggedOut { .. }
                | SessionFact::DeviceRenamed { .. }
                | SessionFact::SignInRefused { .. },
            )
            | AccountFact::SecondFactor(
                SecondFactorFact::SecondFactorOffered { .. }
                | SecondFactorFact::SecondFactorPassed { .. }
                | SecondFactorFact::SecondFactorRejected { .. }
                | SecondFactorFact::RecoveryCodesRenewed { .. },
            )
            | AccountFact::Code(
                CodeFact::OtpRejected { .. }
                | CodeFact::OtpRequested { .. }
                | CodeFact::OtpResent { .. }
                | CodeFact::OtpRequestRefused { .. }
                | CodeFact::LimitsLifted { .. }
                | CodeFact::UnlockLinkIssued { .. }
                | CodeFact::LockLifted { .. },
            )
            | AccountFact::Profile(
                ProfileFact::UserRegistered { .. }
                | ProfileFact::ProfileUpdated {}
                | ProfileFact::ErasureRequested { .. }
                | ProfileFact::ErasureCancelled {}
                | ProfileFact::AccountErased { .. },
            )
            | AccountFact::Staff(
                StaffFact::RolesChanged { .. }
                | StaffFact::AccountSuspended { .. }
                | StaffFact::AccountReinstated { .. }
                | StaffFact::LegalHoldPlaced { .. }
                | StaffFact::LegalHoldReleased { .. }
                | StaffFact::AccessDenied { .. },
            )
            | AccountFact::StaffRecord(_)
            | AccountFact::Identifier(
                IdentifierFact::IdentifierRequested { .. }
                | IdentifierFact::IdentifierRemoved { by_undo: true, .. }
                | IdentifierFact::IdentifierRestored { .. }
                | IdentifierFact::IdentifierReleased { .. }
                | IdentifierFact::IdentifierChangeConfirmed { .. }
                | IdentifierFact::IdentifierChangeWithdrawn { .. },
            ) => None,
        }
    }

    /// The message with the link that lifts the lock of an identifier, which goes there and nowhere else.
    pub fn unlock_message(
        &self,
        account: AccountId,
        event: &UserAccountEvent,
    ) -> Option<(OutboundMessage, DateTime<Utc>)> {
        let AccountFact::Code(CodeFact::UnlockLinkIssued { nonce, expires_at, .. }) = event.fact else {
            return None;
        };
        let to = event.person.as_ref()?.identifier.clone()?;
        let link = self.unlock_links.link(account, nonce)?;
        Some((OutboundMessage { to, about: MessageSubject::Notice(Notice::UnlockLink { link }) }, expires_at))
    }

    /// The message to the identifier that staff propose, or that the account has by their proposal from that event on.
    pub fn to_proposed(
        &self,
        commit: &[UserAccountEvent],
        event: &UserAccountEvent,
    ) -> Option<OutboundMessage> {
        let by_proposal = commit.iter().any(|event| {
            matches!(event.fact, AccountFact::Identifier(IdentifierFact::IdentifierChangeConfirmed { .. }))
        });
        let is_proposal =
            matches!(event.fact, AccountFact::Identifier(IdentifierFact::IdentifierChangeProposed { .. }));
        let notice = if is_proposal {
            Notice::IdentifierChangeProposed { at: event.at }
        } else if by_proposal && event.acquired().is_some() {
            Notice::IdentifierSetByStaff { at: event.at }
        } else {
            return None;
        };
        let to = event.person.as_ref()?.identifier.clone()?;
        Some(OutboundMessage { to, about: MessageSubject::Notice(notice) })
    }

    /// The messages with a notice, to every identifier of a profile: the one before the event, so that an identifier that is
    /// gone is told. The link that undoes a change goes to those alone that may undo it.
    pub fn messages(notice: &Notice, before: &Profile, after: &UserAccount) -> Vec<OutboundMessage> {
        let held: Vec<Identifier> =
            Channel::ALL.into_iter().filter_map(|kind| before.identifier(kind)).collect();
        let kinds: Vec<Channel> = held.iter().map(Identifier::channel).collect();
        let may_undo = identifier_changes(after).map(|changes| changes.may_undo(changes.count, &kinds));
        let message = |to: Identifier| {
            let may_undo = may_undo.as_ref().is_some_and(|kinds| kinds.contains(&to.channel()));
            let notice = if may_undo { notice.clone() } else { notice.clone().without_undo() };
            OutboundMessage { to, about: MessageSubject::Notice(notice) }
        };
        held.into_iter().map(message).collect()
    }
}

fn identifier_changes(account: &UserAccount) -> Option<&IdentifierChanges> {
    account.member()?.identifier_changes.as_deref()
}

/// The kind of device, where it is known, and the address that an event came from.
fn whence(event: &UserAccountEvent) -> Option<(Option<String>, IpAddr)> {
    let client = event.client.as_ref()?;
    let user_agent = client.user_agent.as_ref();
    Some((user_agent.and_then(|user_agent| device_kind::from_user_agent(user_agent.as_str())), client.ip))
}
