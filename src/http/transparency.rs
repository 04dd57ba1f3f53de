//! The log for everybody, by C2SP `tlog-tiles`: the last checkpoint, and the hashes of the tree. Entries are not among them, since they
//! tell accounts apart; auditors read the log.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

use super::document::{DescribeOperation, OperationDoc, OperationDraft};
use super::response::ApiResponse;
use super::{AppState, Problem};
use crate::journal::JournalError;
use crate::transparency::store;
use crate::transparency::tile::TilePath;

/// A checkpoint, as a signed note.
pub enum CheckpointNote {}

impl DescribeOperation for CheckpointNote {
    fn describe(operation: &mut OperationDraft) {
        operation.text("The signed note.", "text/plain; charset=utf-8");
    }
}

pub const CHECKPOINT_DOC: OperationDoc = OperationDoc {
    id: "publicCheckpoint",
    summary: "The last checkpoint of the log (C2SP tlog-tiles)",
    details: "Where `transparency.public` is set; else, and before the first event, 404 `not_found`.",
    problems: &[Problem::NotFound, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn checkpoint(state: web::Data<AppState>) -> Result<ApiResponse<CheckpointNote>, Problem> {
    let connection = public(&state).await?;
    let last = store::last_checkpoint(&connection).await.map_err(|error| Problem::from_journal(&error))?;
    let note = last.ok_or(Problem::NotFound)?.note.to_string();
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "public, max-age=1"));
    Ok(ApiResponse::new(answer.content_type("text/plain; charset=utf-8").body(note)))
}

/// A tile: hashes of 32 bytes, one after the other.
pub enum TileResponse {}

impl DescribeOperation for TileResponse {
    fn describe(operation: &mut OperationDraft) {
        operation.text("The hashes.", "application/octet-stream");
    }
}

pub const TILE_DOC: OperationDoc = OperationDoc {
    id: "publicTile",
    summary: "A tile of the tree over the log (C2SP tlog-tiles)",
    details: "Up to 256 hashes of a level. Where `transparency.public` is set; else, and where the tree has no such tile, 404 \
        `not_found`.",
    problems: &[Problem::NotFound, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn tile(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<ApiResponse<TileResponse>, Problem> {
    let connection = public(&state).await?;
    let (level, tile) = path.into_inner();
    let asked = TilePath::parse(&level, &tile).ok_or(Problem::NotFound)?;
    let hashes = store::tile(&connection, asked).await.map_err(|error| Problem::from_journal(&error))?;
    let hashes = hashes.ok_or(Problem::NotFound)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"));
    Ok(ApiResponse::new(answer.content_type("application/octet-stream").body(hashes)))
}

async fn public(state: &AppState) -> Result<deadpool_postgres::Object, Problem> {
    if !state.http.transparency {
        return Err(Problem::NotFound);
    }
    state.database.connection().await.map_err(|error| Problem::from_journal(&JournalError::from(error)))
}
