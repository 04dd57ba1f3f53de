//! What administrators do: look at accounts and device sessions and intervene in them, and look after the service. A file a
//! subject.

pub mod accounts;
mod cursors;
pub mod device_sessions;
pub mod projections;
pub mod statistics;

pub use cursors::Cursors;

use counterfoil_domain::values::{AccountId, Identifier, Reason};
use counterfoil_projections::Page;
use serde::Serialize;
use uuid::Uuid;

use super::Problem;
use super::extract::{Fields, Form};
use crate::app::State;

/// A page of a list.
#[derive(Serialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> List<T> {
    /// The page, with a cursor of that list to the next.
    fn of<P: Serialize>(page: Page<T, P>, cursors: &Cursors, list: &str) -> Self {
        Self { next: page.next.map(|position| cursors.write(list, &position)), items: page.items }
    }
}

/// Why somebody intervenes, where he says so.
#[derive(Debug)]
pub struct Why {
    reason: Option<Reason>,
}

impl Form for Why {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { reason: fields.optional("reason", Reason::parse)? })
    }
}

/// An id in a path. One that cannot be one is nobody's.
fn id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::NotFound)
}

/// The account that has an identifier.
async fn account_by(state: &State, identifier: &Identifier) -> Result<Option<AccountId>, Problem> {
    let found = state.accounts.journal().find(identifier).await;
    found.map_err(|error| Problem::from_journal(&error))
}
