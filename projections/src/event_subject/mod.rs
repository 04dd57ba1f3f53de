//! Which events a member of staff or a program brought about, and from which address events came: by these auditors search the
//! log. A refresh is left out, and so makes nothing dearer: refreshes are most of the log, and the stays of a session tell from
//! where it was refreshed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{AccountFact, ActingStaff, StaffFact, UserAccountEvent};
use counterfoil_domain::values::AccountId;
use deadpool_postgres::GenericClient;
use tokio_postgres::Error;
use uuid::Uuid;

use crate::AccountStream;

/// The name of the read model, and of its table.
pub const NAME: &str = "event_subjects";

/// The form of its rows; raised with a change that takes a rebuild.
pub const FORMAT: i32 = 1;

/// The events of refreshes, of which it has no rows. A change of the client is an event of its own.
pub const LEFT_OUT: [&str; 2] = ["TokenRefreshed", "TokenRefreshRetried"];

/// The events of which it has rows, where staff brought them about or their address is known.
pub const HANDLED: &[&str] = &handled();

const COUNT: usize = UserAccountEvent::NAMES.len() - LEFT_OUT.len();

const fn handled() -> [&'static str; COUNT] {
    let (mut names, mut name, mut count) = ([""; COUNT], 0, 0);
    while name < UserAccountEvent::NAMES.len() {
        if !is_left_out(UserAccountEvent::NAMES[name]) {
            names[count] = UserAccountEvent::NAMES[name];
            count += 1;
        }
        name += 1;
    }
    names
}

const fn is_left_out(name: &str) -> bool {
    let mut left_out = 0;
    while left_out < LEFT_OUT.len() {
        if is_same(name.as_bytes(), LEFT_OUT[left_out].as_bytes()) {
            return true;
        }
        left_out += 1;
    }
    false
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    one.len() == other.len()
}

/// Returns the member of staff, or the program, that brought an event about: whom the event names or, where staff were denied
/// what they asked for, the account itself. `None` where the user did, or time.
pub fn actor(account: AccountId, event: &UserAccountEvent) -> Option<ActingStaff> {
    let is_denial = matches!(event.fact, AccountFact::Staff(StaffFact::AccessDenied { .. }));
    event.by().or_else(|| is_denial.then_some(ActingStaff::Account(account)))
}

/// Returns the text by which an actor is found: the id of an account, `operator:NAME` or `service:NAME`.
pub fn actor_text(actor: &ActingStaff) -> String {
    match actor {
        ActingStaff::Account(account) => account.to_string(),
        ActingStaff::Operator(name) => format!("operator:{}", name.as_str()),
        ActingStaff::Service(name) => format!("service:{}", name.as_str()),
    }
}

/// A row to be.
type Subject = (Uuid, i64, DateTime<Utc>, Option<String>, Option<IpAddr>);

/// Adds what events of a page tell to a table of this form; those of [`LEFT_OUT`] may be among them. The ledger has their numbers.
///
/// # Errors
/// When the database does not answer.
pub async fn add(client: &impl GenericClient, table: &str, page: &[AccountStream<'_>]) -> Result<(), Error> {
    let subjects = page.iter().flat_map(|stream| {
        let wanted = stream.events.iter().filter(|recorded| !LEFT_OUT.contains(&recorded.event.name()));
        wanted.filter_map(|recorded| {
            let event = &recorded.event;
            let actor = actor(stream.account, event).as_ref().map(actor_text);
            let address = event.client.as_ref().map(|client| client.ip);
            let is_told = actor.is_some() || address.is_some();
            is_told.then_some((stream.account.0, recorded.sequence, event.at, actor, address))
        })
    });
    let subjects: Vec<Subject> = subjects.collect();
    if subjects.is_empty() {
        return Ok(());
    }
    let accounts: Vec<Uuid> = subjects.iter().map(|subject| subject.0).collect();
    let sequences: Vec<i64> = subjects.iter().map(|subject| subject.1).collect();
    let times: Vec<DateTime<Utc>> = subjects.iter().map(|subject| subject.2).collect();
    let actors: Vec<Option<&str>> = subjects.iter().map(|subject| subject.3.as_deref()).collect();
    let addresses: Vec<Option<IpAddr>> = subjects.iter().map(|subject| subject.4).collect();
    let sql = include_str!("add.sql").replace("{table}", table);
    let statement = client.prepare_cached(&sql).await?;
    client.execute(&statement, &[&accounts, &sequences, &times, &actors, &addresses]).await?;
    Ok(())
}
