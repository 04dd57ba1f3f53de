//! The read models and the event listeners: how far each has come, and having a read model made again.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use counterfoil_domain::user_account::StaffRecordFact;
use serde::Serialize;
use utoipa::ToSchema;

use super::ReasonRequest;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{AdminRole, JsonBody, StaffCaller};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::listeners::{self, ListenerStatus};
use crate::read_models::{Projection, ReadModelStatus, RebuildStarter, overview};

/// The path that tells the progress of the read models.
const PATH: &str = "/admin/projections/";

/// A read model whose rebuild has begun.
pub enum RebuildBegun {}

impl DescribeOperation for RebuildBegun {
    fn describe(operation: &mut OperationDraft) {
        let schema = operation.schema::<ReadModelStatus>();
        operation.answer(202, "It has begun.", [("application/json", schema)]);
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "projections",
    summary: "See how the read models and the event listeners stand",
    details: "How far each has come; of a read model its rows, and whether it is being made again; of an event listener whether it \
        failed to take an event.",
    ..OperationDoc::EMPTY
};

/// All of them, in one page.
#[derive(Serialize, ToSchema)]
#[schema(as = Projections)]
pub struct ProjectionsResponse {
    /// The read models, those written with the events first.
    items: Vec<ReadModelStatus>,
    /// The event listeners of a program that embeds the service.
    listeners: Vec<ListenerStatus>,
    /// Always null: there is one page.
    next: Option<String>,
}

pub async fn list(
    state: web::Data<AppState>,
    _: StaffCaller<AdminRole, ()>,
) -> Result<ApiResponse<OkJson<ProjectionsResponse>>, Problem> {
    let items = standings(&state).await?;
    let listeners = state.query(async |db: &_| listeners::overview(db).await).await?;
    Ok(response::json(ProjectionsResponse { items, listeners, next: None }))
}

pub const REBUILD_DOC: OperationDoc = OperationDoc {
    id: "rebuildProjection",
    summary: "Make a read model again from the log",
    details: "While the service runs, in the background of this node. How far it is, `GET /admin/projections/` tells.",
    problems: &[Problem::RebuildRunning, Problem::RebuildNeedsOwner],
    ..OperationDoc::EMPTY
};

pub async fn rebuild(
    state: web::Data<AppState>,
    rebuilds: web::Data<RebuildStarter>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonRequest>>,
    name: web::Path<String>,
) -> Result<ApiResponse<RebuildBegun>, Problem> {
    let projection = Projection::named(&name).ok_or(Problem::NotFound)?;
    let claim = rebuilds.claim(projection).await.map_err(|error| Problem::from_claim(&error))?;
    let ((), who) = staff.into_action(|JsonBody(why)| ((), why.reason));
    let fact = |by| StaffRecordFact::RebuildOrdered { projection: projection.name().to_owned(), by };
    let noted = state.accounts.put_on_record(&who, None, fact).await;
    noted.map_err(|error| state.problem(&error))?;
    rebuilds.begin(claim).await.map_err(|error| Problem::from_database(&error))?;
    let standing = standings(&state).await?.into_iter().find(|standing| standing.name == projection.name());
    Ok(ApiResponse::new(HttpResponse::Accepted().insert_header((header::LOCATION, PATH)).json(standing)))
}

async fn standings(state: &AppState) -> Result<Vec<ReadModelStatus>, Problem> {
    state.query(async |db: &_| overview(db).await).await
}
