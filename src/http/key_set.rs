//! The public keys, for services that verify access tokens themselves.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

use crate::http::AppState;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::response::ApiResponse;

/// The form of a JSON Web Key Set.
pub enum KeySet {}

impl DescribeOperation for KeySet {
    fn describe(operation: &mut OperationDraft) {
        let key = ObjectBuilder::new().schema_type(Type::Object);
        let set = ObjectBuilder::new().property("keys", ArrayBuilder::new().items(key)).required("keys");
        operation.answer(200, "The keys.", [("application/json", set.into())]);
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "publicKeys",
    summary: "The public keys of access tokens (RFC 7517)",
    ..OperationDoc::EMPTY
};

/// A JSON Web Key Set (RFC 7517). It may be a minute old: a key is pending for longer than that before it signs.
pub async fn handler(state: web::Data<AppState>) -> ApiResponse<KeySet> {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "public, max-age=60"));
    ApiResponse::new(response.json(state.tokens.public_keys()))
}
