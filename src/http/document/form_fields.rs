//! The fields that a body or a query has, as the document describes them: those that its own `from_fields` asks for.

use counterfoil_domain::values::{CaseNumber, Reason};
use utoipa::PartialSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Deprecated, RefOr, Required};

use crate::http::extract::AUDIT_REASON;

/// The fields of a body or a query.
#[derive(Debug, Default)]
pub struct FormFields {
    fields: Vec<FormField>,
    /// Sets of fields of which a body has one.
    choices: Vec<Vec<FormField>>,
    /// Whether the reason of staff is read, which may stand in other places.
    reason: bool,
    /// Whether the number of their case is read.
    case: bool,
}

/// A field that a form asks for.
#[derive(Clone, Debug)]
pub struct FormField {
    name: &'static str,
    required: bool,
    schema: RefOr<Schema>,
}

impl FormField {
    /// One that has to be there.
    pub fn required<T: PartialSchema>(name: &'static str) -> Self {
        Self { name, required: true, schema: T::schema() }
    }

    /// One that may be absent or null.
    pub fn optional<T: PartialSchema>(name: &'static str) -> Self {
        Self { name, required: false, schema: T::schema() }
    }

    /// One that may be there as null.
    pub fn null(name: &'static str) -> Self {
        let schema = ObjectBuilder::new().schema_type(Type::Null);
        Self { name, required: false, schema: schema.into() }
    }

    /// One that older clients know.
    pub fn deprecated(mut self) -> Self {
        if let RefOr::T(Schema::Object(object)) = &mut self.schema {
            object.deprecated = Some(Deprecated::True);
        }
        self
    }

    fn nullable(&self) -> RefOr<Schema> {
        let mut schema = self.schema.clone();
        if let RefOr::T(Schema::Object(Object { schema_type, .. })) = &mut schema
            && let SchemaType::Type(only) = schema_type
            && *only != Type::Null
            && !self.required
        {
            *schema_type = SchemaType::Array(vec![only.clone(), Type::Null]);
        }
        schema
    }
}

impl FormFields {
    /// Asks for that field.
    pub fn field(&mut self, field: FormField) {
        self.fields.push(field);
    }

    /// Asks for one of these sets of fields.
    pub fn one_of<const N: usize, const M: usize>(&mut self, choices: [[FormField; N]; M]) {
        self.choices.extend(choices.map(Vec::from));
    }

    /// Asks why staff do it.
    pub fn reason(&mut self) {
        self.reason = true;
        self.field(FormField::optional::<Reason>("reason"));
    }

    /// Asks by which case staff do it.
    pub fn case(&mut self) {
        self.case = true;
        self.field(FormField::optional::<CaseNumber>("case"));
    }

    /// Whether a body without any field is refused.
    pub fn needs_a_field(&self) -> bool {
        let any_required = |fields: &Vec<FormField>| fields.iter().any(|field| field.required);
        any_required(&self.fields) || !self.choices.is_empty() && self.choices.iter().all(any_required)
    }

    /// The header in which the reason may stand, where it is asked for.
    pub fn reason_in_header(&self) -> Option<Parameter> {
        self.reason.then(|| AUDIT_REASON.parameter())
    }

    /// Where the reason and the case may stand besides a body.
    pub fn grounds_beside_body(&self) -> impl Iterator<Item = Parameter> + use<> {
        let reason = self.reason.then(|| FormField::optional::<Reason>("reason"));
        let case = self.case.then(|| FormField::optional::<CaseNumber>("case"));
        let in_query = Self { fields: reason.into_iter().chain(case).collect(), ..Self::default() };
        in_query.query().chain(self.reason_in_header())
    }

    /// As the schema of a JSON body.
    pub fn body(&self) -> RefOr<Schema> {
        if self.choices.is_empty() {
            return self.object(&[]).into();
        }
        let objects = self.choices.iter().map(|choice| self.object(choice));
        objects.fold(OneOfBuilder::new(), OneOfBuilder::item).into()
    }

    fn object(&self, choice: &[FormField]) -> ObjectBuilder {
        let nothing_else = AdditionalProperties::FreeForm(false);
        let object = ObjectBuilder::new().additional_properties(Some(nothing_else));
        choice.iter().chain(&self.fields).fold(object, |object, field| {
            let object = object.property(field.name, field.nullable());
            if field.required { object.required(field.name) } else { object }
        })
    }

    /// As parameters of a query.
    pub fn query(self) -> impl Iterator<Item = Parameter> {
        self.fields.into_iter().map(|field| {
            let (required, is_list) = (field.required, matches!(field.schema, RefOr::T(Schema::Array(_))));
            ParameterBuilder::new()
                .name(field.name)
                .parameter_in(ParameterIn::Query)
                .required(if required { Required::True } else { Required::False })
                .schema(Some(field.schema))
                // With commas between.
                .explode(is_list.then_some(false))
                .build()
        })
    }
}
