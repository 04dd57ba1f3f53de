//! Everything that is held about the user of an account, as one JSON document.
//!
//! It is read and written page by page, so that the document of an account with any number of events takes the memory of one page.
//! Between the pages it holds no connection: a reader who is slow keeps none from others.

mod document;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::proposed_identifier;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::login_history::HistoryLine;
use counterfoil_projections::profile::search::{AccountFilter, search};
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio_postgres::Row;

use crate::crypto::personal_data::AccountKeys;
use crate::journal::{AccountHead, AccountRef, Journal, JournalError, streams};

pub use document::AccountDocument;
use document::{
    ExportedEvent, ExportedMessage, ExportedProposal, ExportedSecondFactor, ExportedSession, ExportedStay,
};

/// How many items are read at a time.
const PAGE: usize = 1_000;

/// The version of the form of the document.
const FORMAT: u8 = 1;

/// The document of an account, part by part.
#[derive(Debug)]
pub struct AccountExport {
    journal: Journal,
    account: AccountId,
    /// The beginning of the document, until it is given.
    beginning: Option<String>,
    /// The lists that are not complete.
    lists: &'static [ExportedList],
    /// After what the next page of the first of them begins; none where the list has not begun.
    place: Option<Vec<String>>,
    is_complete: bool,
}

impl AccountExport {
    /// Begins the document. `None` where there is no such account, or it was erased.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer.
    pub async fn begin(
        journal: &Journal,
        account: AccountId,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, JournalError> {
        let head = journal.load_anew(&AccountRef::Account(account), now).await?.head;
        if head.version == 0 || is_erased(journal, account).await? {
            return Ok(None);
        }
        let mut beginning = json(account, &facts(journal, &head, now).await?)?;
        // The lists are members of the same object.
        beginning.truncate(beginning.len() - 1);
        let (journal, lists) = (journal.clone(), &ExportedList::ALL);
        Ok(Some(Self {
            journal,
            account,
            beginning: Some(beginning),
            lists,
            place: None,
            is_complete: false,
        }))
    }

    /// The next part of the document; `None` at its end.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer, or the account was erased meanwhile. The document is not complete then.
    pub async fn next(&mut self) -> Result<Option<String>, JournalError> {
        if let Some(beginning) = self.beginning.take() {
            return Ok(Some(beginning));
        }
        if let [list, following @ ..] = self.lists {
            return self.page(*list, following).await.map(Some);
        }
        if self.is_complete {
            return Ok(None);
        }
        // An erasure on the way makes lists end early, and events lose what is personal.
        if is_erased(&self.journal, self.account).await? {
            return Err(unreadable(self.account, "it was erased meanwhile"));
        }
        self.is_complete = true;
        Ok(Some("}\n".to_owned()))
    }

    async fn page(
        &mut self,
        list: ExportedList,
        following: &'static [ExportedList],
    ) -> Result<String, JournalError> {
        let account = self.account;
        let connection = self.journal.database().connection().await?;
        let statement = connection.prepare_cached(list.sql()).await?;
        let begins = self.place.is_none();
        let after = self.place.take().unwrap_or_else(|| list.start());
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = connection.query(&statement, &[&account.0, &after, &limit]).await?;
        let keys = streams::keys(&connection, self.journal.personal_data(), &[account.0]).await?;
        drop(connection);
        if rows.len() == PAGE {
            self.place = rows.last().map(|last| last.get("place"));
        } else {
            self.lists = following;
        }
        // Opening and writing a page takes the processor for milliseconds, for which no other request should wait.
        let written = spawn_blocking(move || list.write(begins, &rows, account, &keys)).await;
        written.map_err(|_| unreadable(account, "a page of its export cannot be written"))?
    }
}

/// The lists of the document, in their order. A line of the document is an item.
#[derive(Clone, Copy, Debug)]
enum ExportedList {
    DeviceSessions,
    Stays,
    LoginHistory,
    Messages,
    Events,
}

impl ExportedList {
    const ALL: [Self; 5] =
        [Self::DeviceSessions, Self::Stays, Self::LoginHistory, Self::Messages, Self::Events];

    fn name(self) -> &'static str {
        match self {
            Self::DeviceSessions => "device_sessions",
            Self::Stays => "stays",
            Self::LoginHistory => "login_history",
            Self::Messages => "messages",
            Self::Events => "events",
        }
    }

    /// The statement that reads a page. Each row has its `place`, after which the next page begins.
    fn sql(self) -> &'static str {
        match self {
            Self::DeviceSessions => include_str!("sql/device_sessions.sql"),
            Self::Stays => include_str!("sql/stays.sql"),
            Self::LoginHistory => include_str!("sql/login_history.sql"),
            Self::Messages => include_str!("sql/messages.sql"),
            Self::Events => include_str!("sql/events.sql"),
        }
    }

    /// A place before all others.
    fn start(self) -> Vec<String> {
        let nil = "00000000-0000-0000-0000-000000000000";
        let place: &[&str] = match self {
            Self::DeviceSessions => &[nil],
            Self::Stays => &[nil, "-infinity"],
            Self::LoginHistory | Self::Events => &["0"],
            Self::Messages => &["0", "-1"],
        };
        place.iter().map(|part| (*part).to_owned()).collect()
    }

    /// A page as it stands in the document: after the name of the list where it begins, and before its bracket where it ends.
    fn write(
        self,
        begins: bool,
        rows: &[Row],
        account: AccountId,
        keys: &BTreeMap<AccountId, AccountKeys>,
    ) -> Result<String, JournalError> {
        let mut written = if begins { format!(",\n\"{}\": [", self.name()) } else { String::new() };
        for (number, row) in rows.iter().enumerate() {
            written += if begins && number == 0 { "\n" } else { ",\n" };
            written += &self.item(row, account, keys)?;
        }
        if rows.len() < PAGE {
            written += "\n]";
        }
        Ok(written)
    }

    fn item(
        self,
        row: &Row,
        account: AccountId,
        keys: &BTreeMap<AccountId, AccountKeys>,
    ) -> Result<String, JournalError> {
        match self {
            Self::DeviceSessions => json(account, &ExportedSession::from_row(row)),
            Self::Stays => json(account, &ExportedStay::from_row(row)),
            Self::LoginHistory => json(account, &HistoryLine::from_row(row)),
            Self::Messages => json(account, &ExportedMessage::from_row(row)),
            Self::Events => {
                let recorded = streams::read_event(account, row, keys)?;
                json(account, &ExportedEvent::new(account, recorded.sequence, recorded.event))
            }
        }
    }
}

/// The document without what is in its lists.
async fn facts(
    journal: &Journal,
    head: &AccountHead,
    now: DateTime<Utc>,
) -> Result<AccountDocument, JournalError> {
    let connection = journal.database().connection().await?;
    let filter = AccountFilter { account: Some(head.account), ..AccountFilter::default() };
    let profile = search(&connection, &filter, None, 1, now).await?.items.pop();
    drop(connection);
    let identifier_proposal = match head.state.open_proposal(now) {
        None => None,
        Some(proposal) => {
            let events = journal.identifier_events(head).await?;
            Some(ExportedProposal::new(proposal, proposed_identifier(&events, proposal.id)))
        }
    };
    let second_factor = head.state.member().and_then(|member| member.second_factor.as_deref());
    Ok(AccountDocument {
        format: FORMAT,
        account_id: head.account,
        exported_at: now,
        profile,
        second_factor: second_factor.map(ExportedSecondFactor::from),
        identifier_proposal,
        device_sessions: Vec::new(),
        stays: Vec::new(),
        login_history: Vec::new(),
        messages: Vec::new(),
        events: Vec::new(),
    })
}

async fn is_erased(journal: &Journal, account: AccountId) -> Result<bool, JournalError> {
    let connection = journal.database().connection().await?;
    let erased = "SELECT EXISTS (SELECT FROM erasures WHERE account_id = $1)";
    let statement = connection.prepare_cached(erased).await?;
    Ok(connection.query_one(&statement, &[&account.0]).await?.get(0))
}

fn json(account: AccountId, value: &impl Serialize) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|error| unreadable(account, &error.to_string()))
}

fn unreadable(account: AccountId, reason: &str) -> JournalError {
    JournalError::Unreadable { account, reason: reason.to_owned() }
}
