//! Checkpoints of the log, which this installation and witnesses have signed.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::Reason;
use serde::Serialize;
use utoipa::ToSchema;

use super::{on_record, problem, with_reason};
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AuditorRole, DEFAULT_LIMIT, FromFields, LogPosition, PageLimit, QueryParams, RequestFields, StaffCaller,
    read_limit,
};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::http::{AppState, Problem};
use crate::journal::JournalError;
use crate::transparency::store::{self, StoredCheckpoint};

/// What is signed of the log at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointResponse {
    /// How many events the log had.
    #[schema(example = 1302)]
    size: i64,
    /// The root of the tree over them (RFC 6962, section 2.1), as hexadecimal digits.
    root: String,
    /// When it was signed.
    at: DateTime<Utc>,
    /// The signed note, with the signatures of witnesses (C2SP tlog-checkpoint).
    note: String,
    /// The witnesses that cosigned it.
    witnesses: Vec<CosignatureResponse>,
}

/// The signature of a witness.
#[derive(Serialize, ToSchema)]
#[schema(as = Cosignature)]
pub struct CosignatureResponse {
    /// The name of the witness.
    #[schema(example = "witness.example")]
    name: String,
    /// When the witness saw the checkpoint, by the clock of the witness.
    at: DateTime<Utc>,
}

impl From<StoredCheckpoint> for CheckpointResponse {
    fn from(stored: StoredCheckpoint) -> Self {
        let StoredCheckpoint { size, at, note, checkpoint, cosignatures } = stored;
        let witnesses = cosignatures.into_iter().map(|(name, at)| CosignatureResponse { name, at });
        let root = checkpoint.head.root.to_hex();
        Self { size, root, at, note: note.to_string(), witnesses: witnesses.collect() }
    }
}

/// A page of checkpoints, the last one first.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoints)]
pub struct CheckpointsResponse {
    items: Vec<CheckpointResponse>,
    /// Below which size the next page begins.
    next: Option<i64>,
}

/// Which checkpoints are asked for.
#[derive(Debug)]
pub struct CheckpointFilter {
    below: Option<LogPosition>,
    limit: PageLimit,
    reason: Option<Reason>,
}

impl FromFields for CheckpointFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let below = fields.optional("below", LogPosition::parse);
        let limit = read_limit(fields);
        let reason = fields.reason();
        Some(Self { below: below?, limit: limit?.unwrap_or(DEFAULT_LIMIT), reason: reason? })
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "checkpoints",
    summary: "List the checkpoints of the log",
    details: "The last one first. Give `next` back as `below`. A checkpoint says how many events the log had and the root of the tree \
        over them. It is signed once a second in which events came, and cosigned by witnesses later.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<CheckpointFilter>>,
) -> Result<ApiResponse<OkJson<CheckpointsResponse>>, Problem> {
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let QueryParams(CheckpointFilter { below, limit, reason: _ }) = asked;
    let what = below.map_or("checkpoints".to_owned(), |below| format!("checkpoints below={}", below.0));
    on_record(&state, &who, what, None).await?;
    let below = below.map_or(i64::MAX, |below| below.0);
    let connection =
        state.database.connection().await.map_err(|error| problem(&JournalError::from(error)))?;
    let found = store::checkpoints_below(&connection, below, limit.0.into()).await;
    let found = found.map_err(|error| problem(&error))?;
    let is_full = found.len() == usize::from(limit.0);
    let next = found.last().filter(|_| is_full).map(|last| last.size);
    Ok(response::json(CheckpointsResponse { items: found.into_iter().map(Into::into).collect(), next }))
}

/// Why the last checkpoint is read.
#[derive(Debug)]
pub struct LastCheckpointRequest {
    reason: Option<Reason>,
}

impl FromFields for LastCheckpointRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { reason: fields.reason()? })
    }
}

pub const LAST_DOC: OperationDoc = OperationDoc {
    id: "lastCheckpoint",
    summary: "Read the last checkpoint of the log",
    details: "404 `not_found` before the first event was signed.",
    problems: &[Problem::NotFound],
    ..OperationDoc::EMPTY
};

pub async fn last(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<LastCheckpointRequest>>,
) -> Result<ApiResponse<OkJson<CheckpointResponse>>, Problem> {
    let (_, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    on_record(&state, &who, "checkpoints latest".to_owned(), None).await?;
    let connection =
        state.database.connection().await.map_err(|error| problem(&JournalError::from(error)))?;
    let last = store::last_checkpoint(&connection).await.map_err(|error| problem(&error))?;
    Ok(response::json(last.ok_or(Problem::NotFound)?.into()))
}
