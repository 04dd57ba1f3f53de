//! The read models: how far each has come, and having one made again.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::{List, Why};
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, Sent};
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{Admin, Body, Staff};
use crate::read_models::{Projection, ReadModelStatus, RebuildStarter, overview};

/// Where it is told how they stand.
const PATH: &str = "/admin/projections/";

/// A read model whose rebuild has begun.
pub enum Begun {}

impl DescribeOperation for Begun {
    fn describe(operation: &mut OperationDraft) {
        let schema = operation.schema::<ReadModelStatus>();
        operation.answer(202, "It has begun.", [("application/json", schema)]);
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "projections",
    summary: "See how the read models stand",
    details: "How far each has come, its rows, and whether it is being made again.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<State>,
    _: Staff<Admin, ()>,
) -> Result<Sent<Json<List<ReadModelStatus>>>, Problem> {
    let items = standings(&state).await?;
    Ok(answer::json(List { items, next: None }))
}

pub const REBUILD_DOC: OperationDoc = OperationDoc {
    id: "rebuildProjection",
    summary: "Make a read model again from the log",
    details: "While the service runs, in the background of this node. How far it is, `GET /admin/projections/` tells.",
    problems: &[Problem::RebuildRunning, Problem::RebuildNeedsOwner],
    ..OperationDoc::EMPTY
};

pub async fn rebuild(
    state: web::Data<State>,
    rebuilds: web::Data<RebuildStarter>,
    staff: Staff<Admin, Body<Why>>,
    name: web::Path<String>,
) -> Result<Sent<Begun>, Problem> {
    let projection = Projection::named(&name).ok_or(Problem::NotFound)?;
    let claim = rebuilds.claim(projection).await.map_err(|error| Problem::from_claim(&error))?;
    let Staff { token, origin, asked: Body(why), .. } = staff;
    let noted = state.accounts.order_rebuild(token, projection.name().to_owned(), why.reason, origin).await;
    noted.map_err(|error| state.problem(&error))?;
    rebuilds.begin(claim).await.map_err(|error| Problem::from_database(&error))?;
    let standing = standings(&state).await?.into_iter().find(|standing| standing.name == projection.name());
    Ok(Sent::new(HttpResponse::Accepted().insert_header((header::LOCATION, PATH)).json(standing)))
}

async fn standings(state: &State) -> Result<Vec<ReadModelStatus>, Problem> {
    state.query(async |db: &_| overview(db).await).await
}
