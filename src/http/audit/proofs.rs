//! Proofs that an event is in the log, and that the log goes on from what it was.

use actix_web::web;
use counterfoil_domain::values::Reason;
use serde::Serialize;
use utoipa::ToSchema;

use super::{on_record, problem, with_reason};
use crate::http::document::OperationDoc;
use crate::http::extract::{AuditorRole, FromFields, LogPosition, QueryParams, RequestFields, StaffCaller};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::http::{AppState, Problem};
use crate::journal::JournalError;
use crate::transparency::proofs::{self, ProofError};
use crate::transparency::tree::TreeHash;

/// Of which event a proof is asked for, and in which tree.
#[derive(Debug)]
pub struct InclusionProofRequest {
    seq: LogPosition,
    size: Option<LogPosition>,
    reason: Option<Reason>,
}

impl FromFields for InclusionProofRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let seq = fields.required("seq", LogPosition::parse);
        let size = fields.optional("size", LogPosition::parse);
        let reason = fields.reason();
        Some(Self { seq: seq?, size: size?, reason: reason? })
    }
}

/// A proof that an event is in the log (RFC 6962, section 2.1.1).
#[derive(Serialize, ToSchema)]
#[schema(as = InclusionProof)]
pub struct InclusionProofResponse {
    /// The number of the event in the log, from 1. Its leaf is the one before in the tree, from 0.
    seq: i64,
    /// How many events the tree has.
    size: i64,
    /// The leaf of the event, as hexadecimal digits.
    leaf: String,
    /// The hashes beside the way to the root, from the leaf upwards, as hexadecimal digits.
    path: Vec<String>,
    /// The root of the tree, as hexadecimal digits. Compare it with a checkpoint of that size.
    root: String,
}

pub const INCLUSION_DOC: OperationDoc = OperationDoc {
    id: "inclusionProof",
    summary: "Prove that an event is in the log",
    details: "In the tree of `size` events; without it, in the tree as it is now. 400 where the tree has not so many events: an event \
        is in the tree a second after it happened.",
    ..OperationDoc::EMPTY
};

pub async fn inclusion(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<InclusionProofRequest>>,
) -> Result<ApiResponse<OkJson<InclusionProofResponse>>, Problem> {
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let QueryParams(InclusionProofRequest { seq, size, reason: _ }) = asked;
    let in_tree = size.map(|size| format!(" size={}", size.0)).unwrap_or_default();
    on_record(&state, &who, format!("inclusion proof seq={}{in_tree}", seq.0), None).await?;
    let connection =
        state.database.connection().await.map_err(|error| problem(&JournalError::from(error)))?;
    let size = match size {
        Some(size) => size.0,
        None => proofs::tree_size(&connection).await.map_err(|error| problem(&error))?,
    };
    let refused = |error| refused(if seq.0 > size || seq.0 == 0 { "seq" } else { "size" }, &error);
    let proof = proofs::inclusion(&connection, seq.0, size).await.map_err(refused)?;
    let root = proofs::root(&connection, size).await.map_err(refused)?;
    let (leaf, path) = (proof.leaf.to_hex(), proof.path.iter().map(TreeHash::to_hex).collect());
    Ok(response::json(InclusionProofResponse { seq: seq.0, size, leaf, path, root: root.to_hex() }))
}

/// Between which sizes a proof is asked for.
#[derive(Debug)]
pub struct ConsistencyProofRequest {
    from: LogPosition,
    to: Option<LogPosition>,
    reason: Option<Reason>,
}

impl FromFields for ConsistencyProofRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let from = fields.required("from", LogPosition::parse);
        let to = fields.optional("to", LogPosition::parse);
        let reason = fields.reason();
        Some(Self { from: from?, to: to?, reason: reason? })
    }
}

/// A proof that a tree begins with a smaller one (RFC 6962, section 2.1.2).
#[derive(Serialize, ToSchema)]
#[schema(as = ConsistencyProof)]
pub struct ConsistencyProofResponse {
    /// How many events the smaller tree has.
    from: i64,
    /// How many events the larger tree has.
    to: i64,
    /// The root of the smaller tree, as hexadecimal digits.
    from_root: String,
    /// The root of the larger tree, as hexadecimal digits.
    to_root: String,
    /// The hashes of the proof, as hexadecimal digits.
    path: Vec<String>,
}

pub const CONSISTENCY_DOC: OperationDoc = OperationDoc {
    id: "consistencyProof",
    summary: "Prove that the log goes on from what it was",
    details: "That the tree of `to` events begins with the tree of `from` events; without `to`, the tree as it is now. Compare the roots \
        with checkpoints of these sizes. 400 where the tree has not so many events.",
    ..OperationDoc::EMPTY
};

pub async fn consistency(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<ConsistencyProofRequest>>,
) -> Result<ApiResponse<OkJson<ConsistencyProofResponse>>, Problem> {
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let QueryParams(ConsistencyProofRequest { from, to, reason: _ }) = asked;
    let in_tree = to.map(|to| format!(" to={}", to.0)).unwrap_or_default();
    on_record(&state, &who, format!("consistency proof from={}{in_tree}", from.0), None).await?;
    let connection =
        state.database.connection().await.map_err(|error| problem(&JournalError::from(error)))?;
    let to = match to {
        Some(to) => to.0,
        None => proofs::tree_size(&connection).await.map_err(|error| problem(&error))?,
    };
    let refused = |error| refused(if from.0 > to { "from" } else { "to" }, &error);
    let path = proofs::consistency(&connection, from.0, to).await.map_err(refused)?;
    let from_root = proofs::root(&connection, from.0).await.map_err(refused)?.to_hex();
    let to_root = proofs::root(&connection, to).await.map_err(refused)?.to_hex();
    let path = path.iter().map(TreeHash::to_hex).collect();
    Ok(response::json(ConsistencyProofResponse { from: from.0, to, from_root, to_root, path }))
}

/// A size that the tree has not reached is the caller's, by the name of the field.
fn refused(field: &'static str, error: &ProofError) -> Problem {
    match error {
        ProofError::BeyondTree(_) => Problem::invalid_field(field, "position_beyond_end"),
        ProofError::Journal(error) => problem(error),
        ProofError::Incomplete => {
            tracing::error!(%error, "a proof cannot be made");
            Problem::Unavailable
        }
    }
}
