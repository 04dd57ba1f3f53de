//! The statement that appends commits, put together from the parts that a batch needs.
//!
//! A part is a file of SQL that names where its rows come from as `{rows}`: arrays of the statement's parameters, one array for
//! each column. A batch of one row for each part takes the elements out of the arrays instead of unnesting them. What runs then
//! has half as many parts to set up, and that is most of what a commit by itself costs.

use std::sync::OnceLock;

use counterfoil_domain::user_account::UserAccount;
use counterfoil_projections::ALL;
use cqrs_es::Aggregate as _;

use super::STATE_FORMAT;

/// The place among the read models of the one whose rows are given back.
pub(super) const PROFILE: usize = 0;

/// The parts of the statement that a batch needs. A part costs PostgreSQL something even with nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppendParts {
    /// Whether each part has at most one row.
    pub(super) one: bool,
    pub(super) reserving: bool,
    pub(super) releasing: bool,
    pub(super) keys: bool,
    pub(super) outbox: bool,
    /// The read models that have changes.
    pub(super) models: [bool; ALL.len()],
}

impl AppendParts {
    const KINDS: usize = 1 << (5 + ALL.len());

    /// A number for each combination, below [`Self::KINDS`].
    fn kind(self) -> usize {
        let flags =
            [self.one, self.reserving, self.releasing, self.keys, self.outbox].into_iter().chain(self.models);
        flags.fold(0, |kind, flag| kind << 1 | usize::from(flag))
    }

    /// Returns the statement of these parts, which is put together at its first use.
    pub(super) fn statement(self) -> &'static str {
        static STATEMENTS: [OnceLock<String>; AppendParts::KINDS] =
            [const { OnceLock::new() }; AppendParts::KINDS];
        STATEMENTS[self.kind()].get_or_init(|| compose(self))
    }
}

/// A column of a part's rows: its name, and its type in SQL.
type RowColumn = (&'static str, &'static str);

const HEADS: &[RowColumn] = &[
    ("account_id", "uuid"),
    ("expected", "bigint"),
    ("version", "bigint"),
    ("state", "bytea"),
    ("leaf", "bytea"),
];
const RESERVATIONS: &[RowColumn] =
    &[("lookup", "bytea"), ("channel", "text"), ("key_id", "text"), ("other", "bytea"), ("guard", "bytea")];
const EVENTS: &[RowColumn] = &[
    ("account_id", "uuid"),
    ("sequence", "bigint"),
    ("event_type", "text"),
    ("event_version", "text"),
    ("payload", "text"),
    ("metadata", "text"),
    ("personal", "bytea"),
    ("leaf", "bytea"),
];
const RELEASES: &[RowColumn] = &[("account_id", "uuid"), ("channel", "text")];
const KEYS: &[RowColumn] =
    &[("account_id", "uuid"), ("scope", "text"), ("wrapping_id", "text"), ("wrapped", "bytea")];
const OUTBOX: &[RowColumn] = &[
    ("account_id", "uuid"),
    ("sequence", "bigint"),
    ("number", "smallint"),
    ("kind", "text"),
    ("channel", "text"),
    ("language", "text"),
    ("content", "bytea"),
    ("expires_at", "timestamptz"),
    ("gateway", "text"),
    ("country", "text"),
];

/// Puts a statement together, whose parameters are counted in the order of the parts.
struct Composer {
    one: bool,
    parameters: usize,
}

impl Composer {
    /// Returns the SQL of a part, whose rows come from the next parameters.
    fn part(&mut self, sql: &str, columns: &[RowColumn]) -> String {
        sql.trim_end()
            .replace("{rows}", &self.rows(columns))
            .replace("{state_format}", &STATE_FORMAT.to_string())
            .replace("{aggregate_type}", &format!("'{}'", UserAccount::TYPE))
    }

    /// Returns a `FROM` item `r` that reads rows from the next parameters.
    fn rows(&mut self, columns: &[RowColumn]) -> String {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let arrays = columns.iter().zip(self.parameters + 1..).map(|((_, sql_type), n)| {
            if self.one { format!("(${n}::{sql_type}[])[1]") } else { format!("${n}::{sql_type}[]") }
        });
        let (arrays, names) = (arrays.collect::<Vec<_>>().join(", "), names.join(", "));
        self.parameters += columns.len();
        if self.one {
            format!("(SELECT {arrays}) AS r ({names})")
        } else {
            format!("unnest({arrays}) AS r ({names})")
        }
    }
}

fn compose(parts: AppendParts) -> String {
    let mut composer = Composer { one: parts.one, parameters: 0 };
    let mut sql = if parts.reserving {
        composer.part(include_str!("sql/append_heads_reserving.sql"), &[HEADS, RESERVATIONS].concat())
    } else {
        composer.part(include_str!("sql/append_heads.sql"), HEADS)
    };
    for (wanted, part, columns) in [
        (true, include_str!("sql/append_events.sql"), EVENTS),
        (parts.releasing, include_str!("sql/append_releases.sql"), RELEASES),
        (parts.keys, include_str!("sql/append_keys.sql"), KEYS),
        (parts.outbox, include_str!("sql/append_outbox.sql"), OUTBOX),
    ] {
        if wanted {
            sql += ",\n";
            sql += &composer.part(part, columns);
        }
    }
    let models =
        || ALL.iter().enumerate().zip(parts.models).filter_map(|(model, wanted)| wanted.then_some(model));
    for (place, model) in models() {
        let columns = model.table.key.iter().chain(model.table.columns);
        let columns: Vec<RowColumn> = columns.map(|column| (column.name, column.sql_type)).collect();
        let changes =
            format!("(SELECT r.* FROM {} JOIN head USING (account_id)) changes", composer.rows(&columns));
        let (name, upsert) = (model.table.name, model.table.upsert(model.table.name, &changes));
        let given_back = if place == PROFILE { " RETURNING t.*" } else { "" };
        sql += &format!(",\n{name}_written AS ({upsert}{given_back})");
    }
    let (profile, of_profile) = match parts.models[PROFILE] {
        true => (", profiles_written.*", " LEFT JOIN profiles_written USING (account_id)"),
        false => ("", ""),
    };
    sql += &format!("\nSELECT head.account_id{profile}");
    for channel in models().filter_map(|(_, model)| model.announced_on) {
        sql += &format!(", (SELECT pg_notify('{channel}', ''))::text");
    }
    sql + &format!(" FROM head{of_profile}")
}

#[cfg(test)]
mod tests {
    use counterfoil_projections::profile;

    use super::{ALL, AppendParts, PROFILE, compose};

    #[test]
    fn what_is_given_back_is_the_profile() {
        assert_eq!(ALL[PROFILE].table.name, profile::READ_MODEL.table.name);
    }

    #[test]
    fn every_combination_of_parts_counts_its_parameters_without_a_gap() {
        for bits in 0..AppendParts::KINDS {
            let flag = |n: usize| bits >> n & 1 == 1;
            let parts = AppendParts {
                one: flag(8),
                reserving: flag(7),
                releasing: flag(6),
                keys: flag(5),
                outbox: flag(4),
                models: [flag(3), flag(2), flag(1), flag(0)],
            };
            assert_eq!(parts.kind(), bits);
            let sql = compose(parts);
            let models = ALL.iter().zip(parts.models).filter(|(_, wanted)| *wanted);
            let parameters = 13
                + if parts.reserving { 5 } else { 0 }
                + if parts.releasing { 2 } else { 0 }
                + if parts.keys { 4 } else { 0 }
                + if parts.outbox { 10 } else { 0 }
                + models.map(|(model, _)| model.table.width()).sum::<usize>();
            for n in 1..=parameters {
                assert_eq!(sql.matches(&format!("${n}::")).count(), 1, "{parts:?}: ${n}");
            }
            assert!(!sql.contains(&format!("${}", parameters + 1)), "{parts:?}");
            assert!(!sql.contains(['{', '}']), "{parts:?}");
            assert_eq!(sql.contains("unnest("), !parts.one, "{parts:?}");
            assert_eq!(sql.contains("RETURNING t.*"), parts.models[PROFILE], "{parts:?}");
            assert_eq!(sql.contains("JOIN profiles_written"), parts.models[PROFILE], "{parts:?}");
        }
    }
}
