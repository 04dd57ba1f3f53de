//! What administrators do: look at accounts and device sessions and intervene in them, and look after the service. A file a
//! subject.

pub mod accounts;
pub mod alarms;
pub mod blocks;
mod cursors;
pub mod device_sessions;
pub mod ended_sessions;
pub mod erasure;
pub mod identifier_proposals;
mod identifier_summary;
pub mod identifiers;
pub mod legal_hold;
pub mod limits;
pub mod messages;
pub mod projections;
pub(super) mod session_search;
pub mod statistics;

pub use cursors::ListCursors;

use std::borrow::Cow;

use counterfoil_domain::values::{AccountId, Identifier, Reason};
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::Problem;
use super::extract::{FromFields, RequestFields};
use crate::accounts::ActionGrounds;
use crate::http::AppState;

/// A page of a list.
#[derive(Serialize)]
pub struct ListResponse<T> {
    items: Vec<T>,
    /// The cursor to the next page, where there may be one.
    next: Option<String>,
}

impl<T> ListResponse<T> {
    /// Returns a list without items and without a next page.
    pub(super) fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }

    /// Returns the items of a page, with a cursor of that list to the next page.
    pub(super) fn from_page<P: Serialize>(page: SearchPage<T, P>, cursors: &ListCursors, list: &str) -> Self {
        Self { next: page.next.map(|position| cursors.write(list, &position)), items: page.items }
    }
}

impl<T: ToSchema> PartialSchema for ListResponse<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        let next = ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Null]));
        let next = next.description(Some("The cursor to the next page, where there may be one."));
        ObjectBuilder::new().property("items", items).required("items").property("next", next).into()
    }
}

impl<T: ToSchema> ToSchema for ListResponse<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}

/// The reason for what is done to the service, where one is given.
#[derive(Debug)]
pub struct ReasonRequest {
    reason: Option<Reason>,
}

impl FromFields for ReasonRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { reason: fields.reason()? })
    }
}

/// The reason and the case of an intervention in an account, where they are given.
#[derive(Debug)]
pub struct InterventionRequest(ActionGrounds);

impl FromFields for InterventionRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        fields.grounds().map(Self)
    }
}

/// The reason of an intervention, which has to be given, and the case.
#[derive(Debug)]
pub struct ReasonedInterventionRequest(ActionGrounds);

impl FromFields for ReasonedInterventionRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        fields.required_grounds().map(Self)
    }
}

/// Parses an id in a path. A text that is no id belongs to nothing.
fn parse_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::NotFound)
}

/// Finds the account that has an identifier.
pub(super) async fn find_account(
    state: &AppState,
    identifier: &Identifier,
) -> Result<Option<AccountId>, Problem> {
    let found = state.accounts.journal().find(identifier).await;
    found.map_err(|error| Problem::from_journal(&error))
}
