//! What all read models share: rows as changes, and the SQL that writes them in bulk.
//!
//! A change names the columns that it sets; absent ones stay as they are, in a new row empty. Changes travel as one JSON
//! array per read model and statement, so that a statement has the same parameters whatever the number of rows, and
//! are written by one upsert, which finds its row by the primary key whatever the planner believes of the table.

use std::collections::BTreeMap;

use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::AccountId;
use serde::Serialize;

/// Events of one account, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// The account.
    pub account: AccountId,
    /// Its events, or some of them that follow each other.
    pub events: &'a [Recorded<UserAccountEvent>],
}

/// An event in its place.
#[derive(Clone, Debug)]
pub struct Recorded<E> {
    /// Its number in the stream, from 1.
    pub sequence: i64,
    /// The event.
    pub event: E,
}

/// A read model: its table, and what makes its rows.
#[derive(Clone, Copy, Debug)]
pub struct ReadModel {
    /// Where its rows are.
    pub table: Table,
    /// The changes that events make, as a JSON array; at most one for each row, however many events touch it.
    pub changes: fn(&[Stream<'_>]) -> String,
    /// On which channel a commit that changes rows says so, where others must know at once. PostgreSQL lets such commits
    /// wait for each other, so they have to be few.
    pub announced_on: Option<&'static str>,
}

/// A table of rows that are written as changes.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name, which is also the read model's.
    pub name: &'static str,
    /// The columns of its primary key; the account is the first.
    pub key: &'static [Column],
    /// All other columns.
    pub columns: &'static [Column],
    /// An SQL condition on a row of `candidate` that holds for those that matter at `$1`, the present time. Others may
    /// have been pruned, or not be there yet.
    pub kept: &'static str,
}

/// A column, with its SQL type.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, also in the JSON.
    pub name: &'static str,
    /// Its type in SQL.
    pub sql_type: &'static str,
}

impl Table {
    /// A `FROM` item that reads a JSON array of changes from the parameter `$n`.
    pub fn records(&self, parameter: usize) -> String {
        let columns = self.every_column().map(|c| format!("{} {}", c.name, c.sql_type));
        let columns: Vec<String> = columns.collect();
        format!("json_to_recordset(${parameter}::text::json) AS r({})", columns.join(", "))
    }

    /// The statement that writes the changes of `source` to `table`.
    pub fn upsert(&self, table: &str, source: &str) -> String {
        let names = self.names();
        let key = Self::list(self.key, |c| c.name.to_owned());
        let set = Self::list(self.columns, |c| format!("{0} = coalesce(excluded.{0}, t.{0})", c.name));
        format!(
            "INSERT INTO {table} AS t ({names}) SELECT {names} FROM {source} ON CONFLICT ({key}) DO UPDATE SET {set}"
        )
    }

    /// All columns, separated by commas.
    pub fn names(&self) -> String {
        self.every_column().map(|c| c.name).collect::<Vec<_>>().join(", ")
    }

    fn every_column(&self) -> impl Iterator<Item = &'static Column> {
        self.key.iter().chain(self.columns)
    }

    fn list(columns: &[Column], text: impl Fn(&Column) -> String) -> String {
        columns.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// A change to a row; [`table`] writes it.
pub(crate) trait Change: Sized + Serialize {
    type Key: Ord;

    fn key(&self) -> Self::Key;

    /// Takes a later change of the same row into this one.
    fn then(&mut self, later: Self);
}

/// What an event changes, if anything.
pub(crate) trait Project: Change {
    fn project(account: AccountId, recorded: &Recorded<UserAccountEvent>) -> Option<Self>;
}

/// The changes of many events, one for each row.
pub(crate) fn changes<C: Project>(streams: &[Stream<'_>]) -> String {
    let mut rows: BTreeMap<C::Key, C> = BTreeMap::new();
    for stream in streams {
        for change in stream.events.iter().filter_map(|event| C::project(stream.account, event)) {
            match rows.entry(change.key()) {
                std::collections::btree_map::Entry::Vacant(row) => drop(row.insert(change)),
                std::collections::btree_map::Entry::Occupied(mut row) => row.get_mut().then(change),
            }
        }
    }
    let rows: Vec<C> = rows.into_values().collect();
    serde_json::to_string(&rows).expect("a row is numbers, texts and times")
}

/// Declares the change to a row of a table: a key, and columns that are absent where they stay as they are.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $change:ident of $table:literal, kept $kept:literal,
        key { $($key:ident: $key_type:ty = $key_sql:literal),+ $(,)? }
        columns { $($column:ident: $type:ty = $sql:literal),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, serde::Serialize)]
        struct $change {
            $($key: $key_type,)+
            $(#[serde(skip_serializing_if = "Option::is_none")] $column: Option<$type>,)+
        }

        impl $change {
            const TABLE: $crate::Table = $crate::Table {
                name: $table,
                key: &[$($crate::Column { name: stringify!($key), sql_type: $key_sql }),+],
                columns: &[$($crate::Column { name: stringify!($column), sql_type: $sql }),+],
                kept: $kept,
            };

            /// A change of nothing, to be filled in, to the row of that key.
            fn of($($key: $key_type),+) -> Self {
                Self { $($key,)+ $($column: None,)+ }
            }
        }

        impl $crate::read_model::Change for $change {
            type Key = ($($key_type,)+);

            fn key(&self) -> Self::Key {
                ($(self.$key,)+)
            }

            fn then(&mut self, later: Self) {
                $(if later.$column.is_some() { self.$column = later.$column; })+
            }
        }
    };
}
pub(crate) use table;
