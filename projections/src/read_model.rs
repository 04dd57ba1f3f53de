//! What all read models share: rows as changes, and the SQL that writes them in bulk.
//!
//! A change names the columns that it sets; absent ones stay as they are, in a new row empty. Changes travel as one array
//! a column, so that a statement has the same parameters whatever the number of rows, and are written by one upsert,
//! which finds its row by the primary key whatever the planner believes of the table.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{ActingStaff, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Generation, SessionId};
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

/// Events of one account, in their order.
#[derive(Clone, Copy, Debug)]
pub struct AccountStream<'a> {
    /// The account of the events.
    pub account: AccountId,
    /// Its events, or some of them that follow each other.
    pub events: &'a [RecordedEvent<UserAccountEvent>],
}

/// An event in its place.
#[derive(Clone, Debug)]
pub struct RecordedEvent<E> {
    /// Its number in the stream, from 1.
    pub sequence: i64,
    /// The event, as it was decided.
    pub event: E,
}

/// A read model: its table, and what makes its rows.
#[derive(Clone, Copy, Debug)]
pub struct ReadModel {
    /// Where its rows are.
    pub table: Table,
    /// The form of its rows; raised with a change that takes a rebuild.
    pub format: i32,
    /// The changes that events make; at most one for each row, however many events touch it.
    pub changes: fn(&[AccountStream<'_>]) -> RowChanges,
    /// On which channel a commit that changes rows says so, where others must know at once. PostgreSQL lets such commits
    /// wait for each other, so they have to be few.
    pub announced_on: Option<&'static str>,
    /// Whether it has no rows of an account that was erased. The rows are deleted with the erasure, and no rebuild makes them again.
    pub forgets_erased: bool,
    /// The column or expression, in SQL, of the time from which a row is history: it is deleted when it is older than the history that is
    /// kept, and no rebuild makes it again. None where rows are not deleted by age.
    pub history_since: Option<&'static str>,
    /// The names of the events that make rows or change them. All others are passed over.
    pub handled: &'static [&'static str],
}

impl ReadModel {
    /// Returns an SQL condition that holds for rows older than the history that is kept.
    pub fn is_over(&self) -> String {
        self.history_since.map_or("false".to_owned(), |since| {
            format!("coalesce({since} < (SELECT history_before FROM retention), false)")
        })
    }
}

/// Changes to rows of a table, turned into columns.
#[derive(Default)]
pub struct RowChanges {
    rows: usize,
    columns: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl RowChanges {
    /// How many rows they change.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// An array for each column of the table, in its order: the parameters of [`Table::records`].
    pub fn parameters(&self) -> impl Iterator<Item = &(dyn ToSql + Sync)> {
        self.columns.iter().map(|column| &**column as &(dyn ToSql + Sync))
    }
}

impl fmt::Debug for RowChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A table of rows that are written as changes.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name, which is also the read model's.
    pub name: &'static str,
    /// The columns of its primary key; the account is the first.
    pub key: &'static [Column],
    /// All columns outside the primary key.
    pub columns: &'static [Column],
    /// An SQL condition on a row of `candidate` that holds for those that matter at `$1`, the present time. Others may
    /// have been pruned, or not be there yet.
    pub kept: &'static str,
}

/// A column, with its SQL type.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name of the column.
    pub name: &'static str,
    /// Its type in SQL.
    pub sql_type: &'static str,
}

impl Table {
    /// A `FROM` item `r` that reads changes from [`width`](Self::width) parameters, the first of them `$first`.
    pub fn records(&self, first: usize) -> String {
        let arrays = self.every_column().zip(first..).map(|(c, n)| format!("${n}::{}[]", c.sql_type));
        let arrays: Vec<String> = arrays.collect();
        format!("unnest({}) AS r({})", arrays.join(", "), self.names())
    }

    /// The number of its columns.
    pub const fn width(&self) -> usize {
        self.key.len() + self.columns.len()
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
pub(crate) trait RowChange: Sized {
    type Key: Ord;

    fn key(&self) -> Self::Key;

    /// Takes a later change of the same row into this one.
    fn then(&mut self, later: Self);

    /// Many of them, as an array for each column.
    fn into_columns(rows: impl ExactSizeIterator<Item = Self>) -> Vec<Box<dyn ToSql + Sync + Send>>;
}

/// A value as PostgreSQL takes it.
pub(crate) trait ColumnValue {
    type Sql: ToSql + Sync + Send + 'static;

    fn into_sql(self) -> Self::Sql;
}

macro_rules! column_values {
    ($($value:ty as $sql:ty: $into:expr),+ $(,)?) => {
        $(impl ColumnValue for $value {
            type Sql = $sql;

            fn into_sql(self) -> $sql {
                $into(self)
            }
        })+
    };
}

column_values! {
    AccountId as Uuid: |id: Self| id.0,
    ActingStaff as Json<ActingStaff>: Json,
    SessionId as Uuid: |id: Self| id.0,
    Generation as i64: |generation: Self| i64::from(generation.0),
    i64 as i64: |number| number,
    bool as bool: |flag| flag,
    String as String: |text| text,
    &'static str as &'static str: |text| text,
    IpAddr as IpAddr: |address| address,
    DateTime<Utc> as DateTime<Utc>: |time| time,
}

/// What an event changes, if anything.
pub(crate) trait Projector: RowChange {
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self>;
}

/// The changes of many events, one for each row.
pub(crate) fn changes<C: Projector>(streams: &[AccountStream<'_>]) -> RowChanges {
    let mut rows: BTreeMap<C::Key, C> = BTreeMap::new();
    for stream in streams {
        for change in stream.events.iter().filter_map(|event| C::project(stream.account, event)) {
            match rows.entry(change.key()) {
                Entry::Vacant(row) => drop(row.insert(change)),
                Entry::Occupied(mut row) => row.get_mut().then(change),
            }
        }
    }
    RowChanges { rows: rows.len(), columns: C::into_columns(rows.into_values()) }
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
        #[derive(Debug)]
        struct $change {
            $($key: $key_type,)+
            $($column: Option<$type>,)+
        }

        impl $change {
            const TABLE: $crate::Table = $crate::Table {
                name: $table,
                key: &[$($crate::Column { name: stringify!($key), sql_type: $key_sql }),+],
                columns: &[$($crate::Column { name: stringify!($column), sql_type: $sql }),+],
                kept: $kept,
            };

            /// A change of nothing, to be filled in, to the row of that key.
            fn new($($key: $key_type),+) -> Self {
                Self { $($key,)+ $($column: None,)+ }
            }
        }

        impl $crate::read_model::RowChange for $change {
            type Key = ($($key_type,)+);

            fn key(&self) -> Self::Key {
                ($(self.$key,)+)
            }

            fn then(&mut self, later: Self) {
                $(if later.$column.is_some() { self.$column = later.$column; })+
            }

            fn into_columns(
                rows: impl ExactSizeIterator<Item = Self>,
            ) -> Vec<Box<dyn tokio_postgres::types::ToSql + Sync + Send>> {
                use $crate::read_model::ColumnValue as _;

                $(let mut $key = Vec::with_capacity(rows.len());)+
                $(let mut $column = Vec::with_capacity(rows.len());)+
                for row in rows {
                    $($key.push(row.$key.into_sql());)+
                    $($column.push(row.$column.map(|value| value.into_sql()));)+
                }
                vec![$(Box::new($key),)+ $(Box::new($column),)+]
            }
        }
    };
}
pub(crate) use table;
