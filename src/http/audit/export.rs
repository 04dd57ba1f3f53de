//! Everything that is held about the user of an account, for a user who asks for it by another way than the service.

use actix_web::web;
use counterfoil_domain::values::{AccountId, Reason};
use uuid::Uuid;

use super::{on_record, with_reason};
use crate::http::account_export::{self, AccountExportResponse};
use crate::http::document::OperationDoc;
use crate::http::extract::{AuditorRole, FromFields, QueryParams, RequestFields, StaffCaller};
use crate::http::response::ApiResponse;
use crate::http::{AppState, Problem};

#[derive(Debug)]
pub struct ExportReason(Option<Reason>);

impl FromFields for ExportReason {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self(fields.reason()?))
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "exportOfAccount",
    summary: "Get everything that is held about the user of an account",
    details: "The document that users get by `GET /accounts/export/`. It says neither who of the staff acted nor from where, so that \
        it can be handed to the user.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<ExportReason>>,
    account: web::Path<String>,
) -> Result<ApiResponse<AccountExportResponse>, Problem> {
    let account = AccountId(Uuid::try_parse(&account).map_err(|_| Problem::NotFound)?);
    let (_, who) = with_reason(staff, |QueryParams(ExportReason(reason))| reason.take())?;
    on_record(&state, &who, format!("account {account} export"), None).await?;
    account_export::export(&state, account).await?.ok_or(Problem::NotFound)
}
