//! The answer that is everything held about the user of an account, as one JSON document.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use counterfoil_domain::values::AccountId;
use futures_util::stream;

use super::document::{DescribeOperation, OperationDraft};
use super::response::ApiResponse;
use super::{AppState, Problem};
use crate::audit::{AccountDocument, AccountExport};

/// The form of the document.
pub enum AccountExportResponse {}

impl DescribeOperation for AccountExportResponse {
    fn describe(operation: &mut OperationDraft) {
        let document = operation.schema::<AccountDocument>();
        operation.answer(
            200,
            "The document. It is written as it is read: one that breaks off is no valid JSON.",
            [("application/json", document)],
        );
    }
}

/// Answers with the document of an account; `None` where there is no such account. A fault on the way ends the connection before the
/// document does, so that no reader takes a part for the whole.
pub async fn export(
    state: &AppState,
    account: AccountId,
) -> Result<Option<ApiResponse<AccountExportResponse>>, Problem> {
    let export = AccountExport::begin(state.accounts.journal(), account, state.clock.now()).await;
    let Some(export) = export.map_err(|error| Problem::from_journal(&error))? else { return Ok(None) };
    let body = stream::try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(part) => Ok(part.map(|part| (Bytes::from(part), export))),
            Err(error) => {
                tracing::warn!(%error, "an export of an account was cut off");
                Err(Box::<dyn std::error::Error>::from(error))
            }
        }
    });
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"account.json\""));
    Ok(Some(ApiResponse::new(answer.content_type("application/json").streaming(body))))
}
