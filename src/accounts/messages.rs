//! The messages that commands ask for.

use counterfoil_domain::user_account::{
    AccountFact, CodeSent, IdentifierFact, UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Identifier, LanguageTag};
use counterfoil_projections::profile::{self, Profile};

use super::commit::{late, until_available};
use super::{Accounts, AccountsError, RequestContext, TIME_LIMIT};
use crate::delivery::notices::{self, NoticeWriter};
use crate::delivery::outbox::{MessageSubject, OutboundMessage, QueuedMessage};
use crate::journal::JournalError;

impl Accounts {
    /// The messages that events ask for: codes, and what the owner of the account is to know.
    pub(super) async fn messages(
        &self,
        account: AccountId,
        events: &[UserAccountEvent],
        state: &UserAccount,
        origin: &RequestContext,
    ) -> Result<Vec<QueuedMessage>, AccountsError> {
        let texts = self.outbox_worker.texts();
        let of_account = state.language().map_or("", LanguageTag::as_str);
        let mut messages = Vec::new();
        for event in events {
            if !event.is_withheld()
                && let Some(Ok(sent)) = CodeSent::from_event(event)
                && let Some(to) = event.person.as_ref().and_then(|person| person.identifier.clone())
            {
                let (echoes, is_test) =
                    (self.outbox_worker.gateways().echoes(&to), self.outbox_worker.codes().is_test(&to));
                messages.push(QueuedMessage {
                    handed_to: echoes.then_some("echo").or(is_test.then_some("test")),
                    message: OutboundMessage {
                        to,
                        about: MessageSubject::Code { purpose: sent.purpose, nonce: sent.nonce },
                    },
                    language: texts.language(&format!("{}, {of_account};q=0.001", origin.languages)),
                    expires_at: sent.expires_at,
                });
            }
            if let Some((message, expires_at)) = self.notices.unlock_message(account, event) {
                messages.push(QueuedMessage {
                    handed_to: self.outbox_worker.gateways().echoes(&message.to).then_some("echo"),
                    message,
                    // That of the owner, where it is known: another may have asked.
                    language: texts.language(&format!("{of_account}, {};q=0.001", origin.languages)),
                    expires_at,
                });
            }
            let Some(notice) = self.notices.of(account, event, state) else { continue };
            let Some(before) = self.read_profile(account).await? else { continue };
            let restored = events.iter().filter_map(restored_identifier);
            let restored =
                restored.map(|to| OutboundMessage { to, about: MessageSubject::Notice(notice.clone()) });
            let by_staff = self.notices.to_proposed(events, event);
            let told =
                NoticeWriter::messages(&notice, &before, state).into_iter().chain(restored).chain(by_staff);
            messages.extend(told.map(|message| QueuedMessage {
                handed_to: self.outbox_worker.gateways().echoes(&message.to).then_some("echo"),
                message,
                language: texts.language(of_account),
                expires_at: event.at + notices::WORTH_SENDING,
            }));
        }
        Ok(messages)
    }

    /// The language that messages are written in after a request, where it names one.
    pub(super) fn wanted(&self, origin: &RequestContext) -> Option<LanguageTag> {
        let wanted = self.outbox_worker.texts().wanted(&origin.languages)?;
        LanguageTag::parse(wanted.tag())
    }

    pub(super) async fn read_profile(&self, account: AccountId) -> Result<Option<Profile>, AccountsError> {
        let read = async || {
            let db = self.journal.database().connection().await?;
            let mut found = profile::find(&db, &[account]).await?;
            Ok::<_, JournalError>(found.pop().flatten())
        };
        let in_time = tokio::time::timeout(TIME_LIMIT, until_available(read)).await;
        Ok(in_time.unwrap_or_else(|_| Err(late()))?)
    }
}

/// The identifier that an event restores: the profile before the event does not have it.
fn restored_identifier(event: &UserAccountEvent) -> Option<Identifier> {
    let AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. }) = event.fact else { return None };
    event.person.as_ref()?.identifier.clone()
}
