//! What administrators do: look at accounts and device sessions and intervene in them, and look after the service. A file a
//! subject.

pub mod accounts;
pub mod alarms;
mod cursors;
pub mod device_sessions;
pub mod identifiers;
pub mod limits;
pub mod projections;
pub mod statistics;

pub use cursors::Cursors;

use std::borrow::Cow;

use counterfoil_domain::values::{AccountId, Identifier, Reason};
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::Problem;
use super::extract::{Fields, Form};
use crate::http::State;

/// A page of a list.
#[derive(Serialize)]
pub struct List<T> {
    items: Vec<T>,
    /// The cursor to the next page, where there may be one.
    next: Option<String>,
}

impl<T> List<T> {
    /// Nothing, and nothing after it.
    fn nothing() -> Self {
        Self { items: Vec::new(), next: None }
    }

    /// The page, with a cursor of that list to the next.
    fn of<P: Serialize>(page: SearchPage<T, P>, cursors: &Cursors, list: &str) -> Self {
        Self { next: page.next.map(|position| cursors.write(list, &position)), items: page.items }
    }
}

impl<T: ToSchema> PartialSchema for List<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        let next = ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Null]));
        let next = next.description(Some("The cursor to the next page, where there may be one."));
        ObjectBuilder::new().property("items", items).required("items").property("next", next).into()
    }
}

impl<T: ToSchema> ToSchema for List<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}

/// Why somebody intervenes, where he says so.
#[derive(Debug)]
pub struct Why {
    reason: Option<Reason>,
}

impl Form for Why {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { reason: fields.reason()? })
    }
}

/// An id in a path. One that cannot be one is nobody's.
fn id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::NotFound)
}

/// The account that has an identifier.
async fn account_by(state: &State, identifier: &Identifier) -> Result<Option<AccountId>, Problem> {
    let found = state.accounts.journal().find(identifier).await;
    found.map_err(|error| Problem::from_journal(&error))
}
