//! The read side of Counterfoil: what the events come to, kept in tables that answers are read from.
//!
//! Each read model has a folder with its row, its projector (events → rows) and its queries. The append writes the
//! rows in its own transaction; a rebuild makes them again from the log with the same projector. A projector is a
//! pure function, so an event seen twice changes nothing the second time.

mod read_model;
mod search;

pub mod event_subject;
pub mod login_history;
pub mod profile;
pub mod revoked_token;
pub mod statistics;
pub mod stay;
pub mod user_login;

pub use read_model::{AccountStream, Column, ReadModel, RecordedEvent, RowChanges, Table};
pub use search::{EXAMINED, SearchPage};

/// Every read model that is written with the events.
pub const ALL: [ReadModel; 4] =
    [profile::READ_MODEL, user_login::READ_MODEL, revoked_token::READ_MODEL, stay::READ_MODEL];
