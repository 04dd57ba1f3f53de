//! The schemas of the OpenAPI document that no derive can make. Those of all other types are derived where the types
//! stand, from the same words that their readers see. All of it is compiled with the feature `openapi` only.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOf, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::user_account::{
    AccountFact, CodeFact, IdentifierFact, ProfileFact, SecondFactorFact, SessionFact, StaffFact,
    StaffRecordFact,
};
use crate::values::{RuleName, SecondFactorCode};

/// The schema has one alternative for each event, as the stored form knows no families.
impl PartialSchema for AccountFact {
    fn schema() -> RefOr<Schema> {
        let families = [
            CodeFact::schema(),
            SessionFact::schema(),
            IdentifierFact::schema(),
            SecondFactorFact::schema(),
            ProfileFact::schema(),
            StaffFact::schema(),
            StaffRecordFact::schema(),
        ];
        let mut all = OneOf::new();
        for family in families {
            if let RefOr::T(Schema::OneOf(family)) = family {
                all.items.extend(family.items);
            }
        }
        all.description = Some("What happened, without anything personal.".to_owned());
        Schema::OneOf(all).into()
    }
}

impl ToSchema for AccountFact {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        CodeFact::schemas(schemas);
        SessionFact::schemas(schemas);
        IdentifierFact::schemas(schemas);
        SecondFactorFact::schemas(schemas);
        ProfileFact::schemas(schemas);
        StaffFact::schemas(schemas);
        StaffRecordFact::schemas(schemas);
    }
}

impl PartialSchema for SecondFactorCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).examples([serde_json::Value::from("123456")]).into()
    }
}

impl ToSchema for SecondFactorCode {}

impl PartialSchema for RuleName {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9_]{1,40}$"));
        name.description(Some("The name of an access rule.")).examples(["company_only"]).into()
    }
}

impl ToSchema for RuleName {}
