//! The read models as they are looked after: which there are, how far each has come, and having them made again.

use std::fmt;

use chrono::{DateTime, Utc};
use counterfoil_projections::{ALL, ReadModel};
use deadpool_postgres::Client;
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;

pub(crate) mod batched_queries;
mod claim;
pub mod ended_sessions;
mod followers;
pub mod rebuild;
mod rebuilds;
pub(crate) mod retention;
pub(crate) mod session_uses;

pub use claim::{ClaimError, RebuildClaim};
pub use followers::FOLLOWERS;
pub use rebuilds::RebuildStarter;

use crate::journal::LedgerFollower;

/// Up to how many rows are counted; of more the database's own estimate is told.
const COUNTED: i64 = 1_000;

/// A read model, by how it is written.
#[derive(Clone, Copy, Debug)]
pub enum Projection {
    /// One that is written with the events.
    Immediate(ReadModel),
    /// One that follows the ledger.
    Following(&'static dyn LedgerFollower),
}

impl Projection {
    /// Every read model: those written with the events, then those that follow the ledger.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter().map(Self::Immediate).chain(FOLLOWERS.into_iter().map(Self::Following))
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|projection| projection.name() == name)
    }

    /// Its name, which is also its table's.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Immediate(model) => model.table.name,
            Self::Following(follower) => follower.name(),
        }
    }

    /// The read model, where it is written with the events.
    pub fn immediate(&self) -> Option<ReadModel> {
        match self {
            Self::Immediate(model) => Some(*model),
            Self::Following(_) => None,
        }
    }

    /// The follower, where it follows the ledger.
    pub fn following(&self) -> Option<&'static dyn LedgerFollower> {
        match self {
            Self::Immediate(_) => None,
            Self::Following(follower) => Some(*follower),
        }
    }

    /// All tables of the read model.
    fn tables(&self) -> Vec<&'static str> {
        match self {
            Self::Immediate(model) => vec![model.table.name],
            Self::Following(follower) => follower.tables().to_vec(),
        }
    }

    /// The form of the rows that this version makes.
    fn format(&self) -> i32 {
        match self {
            Self::Immediate(model) => model.format,
            Self::Following(follower) => follower.format(),
        }
    }
}

/// How a read model stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ReadModel)]
pub struct ReadModelStatus {
    /// The name of the read model.
    #[schema(value_type = String, example = "profiles")]
    pub name: &'static str,
    /// Whether its rows can be read as they are.
    pub state: ReadModelState,
    /// The number of the ledger that it has come to; none for one that is written with the events, and never behind.
    pub position: Option<i64>,
    /// How many events it has still to take, those included that have no number yet.
    pub behind: i64,
    /// For how long the first of these has been waiting.
    pub seconds_behind: f64,
    /// How many rows it has: exactly up to a thousand, then as the database estimates.
    pub rows: i64,
    /// The form of its rows.
    pub format: i32,
    /// Its last rebuild, if it ever had one.
    pub rebuild: Option<RebuildRecord>,
}

/// Whether a read model's rows can be read as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadModelState)]
pub enum ReadModelState {
    /// They are in the form that this version reads.
    Current,
    /// They were made by another version, in another form: it takes a rebuild.
    Outdated,
    /// It is being made again; the rows so far are read and kept up to date meanwhile.
    Rebuilding,
}

/// In a few words.
impl fmt::Display for ReadModelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state, &self.rebuild) {
            (ReadModelState::Rebuilding, Some(rebuild)) => {
                write!(f, "rebuilding, {:.0} %", rebuild.progress * 100.0)
            }
            (ReadModelState::Rebuilding, None) => f.write_str("rebuilding"),
            (ReadModelState::Outdated, _) => f.write_str("outdated: takes a rebuild"),
            (ReadModelState::Current, _) => f.write_str("current"),
        }
    }
}

/// A rebuild that is going on, or the last one.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RebuildRecord {
    /// When the rebuild began.
    pub began_at: DateTime<Utc>,
    /// How much of it is done, from 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub progress: f64,
    /// When it ended, if it has.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it changed nothing, where it failed.
    pub error: Option<String>,
}

/// How every read model stands.
///
/// # Errors
/// When the database does not answer.
pub async fn overview(db: &Client) -> Result<Vec<ReadModelStatus>, tokio_postgres::Error> {
    let statement = db.prepare_cached(include_str!("sql/standing.sql")).await?;
    let (high, low) = claim::lock_in_halves();
    let mut standings = Vec::new();
    for projection in Projection::all() {
        let row = db.query_one(&statement, &[&projection.name(), &high, &low]).await?;
        standings.push(standing(&projection, &row, rows(db, &projection).await?));
    }
    Ok(standings)
}

fn standing(projection: &Projection, row: &Row, rows: i64) -> ReadModelStatus {
    let (format, claimed): (i32, bool) = (row.get("format"), row.get("claimed"));
    let rebuild = row.get::<_, Option<DateTime<Utc>>>("rebuild_began_at").map(|began_at| {
        let ended_at: Option<DateTime<Utc>> = row.get("rebuild_ended_at");
        // The process that rebuilt it ended without a word.
        let abandoned = (ended_at.is_none() && !claimed).then(|| "interrupted".to_owned());
        let error = row.get::<_, Option<String>>("rebuild_error").or(abandoned);
        RebuildRecord { began_at, progress: row.get("rebuild_progress"), ended_at, error }
    });
    let going_on =
        rebuild.as_ref().is_some_and(|rebuild| rebuild.ended_at.is_none() && rebuild.error.is_none());
    let state = match () {
        () if going_on => ReadModelState::Rebuilding,
        () if format != projection.format() => ReadModelState::Outdated,
        () => ReadModelState::Current,
    };
    ReadModelStatus {
        name: projection.name(),
        state,
        position: row.get("position"),
        behind: row.get("behind"),
        seconds_behind: row.get("seconds_behind"),
        rows,
        format,
        rebuild,
    }
}

async fn rows(db: &Client, projection: &Projection) -> Result<i64, tokio_postgres::Error> {
    let sql = include_str!("sql/rows.sql").replace("{table}", projection.name());
    let row = db.query_one(&db.prepare_cached(&sql).await?, &[&(COUNTED + 1)]).await?;
    let (counted, estimated): (i64, i64) = (row.get("counted"), row.get("estimated"));
    Ok(if counted <= COUNTED { counted } else { estimated.max(counted) })
}
