//! One operation, as the document describes it.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::{HttpRequest, web};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Required, path};
use utoipa::{ToSchema, openapi};

use super::parameter_text::parameter_text;
use crate::http::extract::{ClientAddress, ClientInfo, WantedLanguage};
use crate::http::problem::Problem;
use crate::http::problem_body::ProblemBody;

/// What is said about an operation that its handler's signature does not say.
#[derive(Clone, Copy, Debug)]
pub struct OperationDoc {
    /// By what name programs call it: lower camel case, once in the whole document.
    pub id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to know about it.
    pub details: &'static str,
    /// What it may refuse with, besides what its arguments refuse.
    pub problems: &'static [Problem],
    /// Headers that it reads, but for those that every operation reads.
    pub headers: &'static [HeaderDoc],
}

/// A header that an operation reads.
#[derive(Clone, Copy, Debug)]
pub struct HeaderDoc {
    /// The name of the header.
    pub name: &'static str,
    /// What the header says.
    pub description: &'static str,
    /// The schema of the header's value.
    pub schema: fn() -> RefOr<Schema>,
}

impl HeaderDoc {
    /// Returns the header as a parameter in the document.
    pub fn parameter(&self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(self.description))
            .schema(Some((self.schema)()))
            .build()
    }
}

impl OperationDoc {
    /// A description without content, of which an operation fills in what it needs.
    pub const EMPTY: Self = Self { id: "", summary: "", details: "", problems: &[], headers: &[] };
}

/// What knows how it appears in the document: an argument of a handler, or its result.
pub trait DescribeOperation {
    /// Adds to the operation that reads or answers it.
    fn describe(operation: &mut OperationDraft);
}

/// An operation on its way into the document.
#[derive(Debug)]
pub struct OperationDraft {
    doc: OperationDoc,
    changes_something: bool,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    securities: Vec<SecurityRequirement>,
    answers: BTreeMap<u16, Response>,
    problems: BTreeMap<&'static str, Problem>,
    schemas: NamedSchemas,
}

/// Schemas by their names.
#[derive(Debug, Default)]
pub struct NamedSchemas(pub BTreeMap<String, RefOr<Schema>>);

impl NamedSchemas {
    /// Takes more of them. Those of one name have to be of one type.
    pub fn extend(&mut self, more: impl IntoIterator<Item = (String, RefOr<Schema>)>) {
        for (name, schema) in more {
            let former = self.0.get(&name);
            debug_assert!(former.is_none_or(|former| *former == schema), "two types are called {name}");
            self.0.insert(name, schema);
        }
    }
}

impl OperationDraft {
    /// Of that method; a fault of ours is always possible.
    pub fn new(method: &Method, doc: OperationDoc) -> Self {
        let mut operation = Self {
            doc,
            changes_something: *method != Method::GET,
            parameters: Vec::new(),
            body: None,
            securities: Vec::new(),
            answers: BTreeMap::new(),
            problems: BTreeMap::new(),
            schemas: NamedSchemas::default(),
        };
        operation.problems([Problem::Internal]);
        operation.problems(doc.problems.iter().cloned());
        for header in doc.headers {
            operation.parameter(header.parameter());
        }
        operation
    }

    /// Whether it is another method than GET.
    pub fn changes_something(&self) -> bool {
        self.changes_something
    }

    /// It may refuse with these.
    pub fn problems(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems.into_iter().map(|problem| (problem.code(), problem)));
    }

    /// Adds a parameter that the operation reads.
    pub fn parameter(&mut self, parameter: Parameter) {
        self.parameters.push(parameter);
    }

    /// It reads a body of that media type, which may be absent unless it is required.
    pub fn body(&mut self, media_type: &str, schema: impl Into<RefOr<Schema>>, required: bool) {
        let content = Content::new(Some(schema));
        let body = openapi::request_body::RequestBodyBuilder::new();
        let required = if required { Required::True } else { Required::False };
        self.body = Some(body.content(media_type, content).required(Some(required)).build());
    }

    /// It takes one of these credentials.
    pub fn security(&mut self, security: SecurityRequirement) {
        self.securities.push(security);
    }

    /// It answers with that status, and a body where there is one.
    pub fn answer<'a>(
        &mut self,
        status: u16,
        description: &str,
        contents: impl IntoIterator<Item = (&'a str, RefOr<Schema>)>,
    ) {
        let mut response = response(description);
        for (media_type, schema) in contents {
            response = response.content(media_type, Content::new(Some(schema)));
        }
        self.answers.insert(status, response.build());
    }

    /// It answers 200 with text of that media type.
    pub fn text(&mut self, description: &str, media_type: &str) {
        let text = ObjectBuilder::new().schema_type(Type::String).into();
        self.answer(200, description, [(media_type, text)]);
    }

    /// It answers 200 with server-sent events without an end; the schema is that of one.
    pub fn events(&mut self, description: &str) {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let event = ObjectBuilder::new()
            .property("id", text())
            .property("event", text())
            .property("data", text().content_media_type("application/json"));
        self.answer(200, description, [("text/event-stream", event.into())]);
    }

    /// A schema by its name, which is put among the components.
    pub fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut within = Vec::new();
        T::schemas(&mut within);
        self.schemas.extend(within);
        let name = T::name();
        self.schemas.extend([(name.to_string(), T::schema())]);
        Ref::from_schema_name(name).into()
    }

    /// The schemas that it refers to, by their names.
    pub fn schemas(&mut self) -> BTreeMap<String, RefOr<Schema>> {
        self.schema::<ProblemBody>();
        std::mem::take(&mut self.schemas.0)
    }

    /// What it may refuse with, by code.
    pub fn each_problem(&self) -> BTreeMap<&'static str, Problem> {
        self.problems.clone()
    }

    /// Returns the operation as the document has it.
    pub fn build(self, tag: &str) -> path::Operation {
        let details = (!self.doc.details.is_empty()).then_some(self.doc.details);
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .operation_id(Some(self.doc.id))
            .summary(Some(self.doc.summary))
            .description(details)
            .request_body(self.body);
        for mut parameter in self.parameters {
            let text = || parameter_text(self.doc.id, &parameter.name).map(str::to_owned);
            parameter.description = parameter.description.take().or_else(text);
            operation = operation.parameter(parameter);
        }
        for security in self.securities {
            operation = operation.security(security);
        }
        let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::new();
        for problem in self.problems.into_values() {
            by_status.entry(problem.status().as_u16()).or_default().push(problem);
        }
        // A page for people says it itself.
        by_status.retain(|status, _| !self.answers.contains_key(status));
        for (status, answer) in self.answers {
            operation = operation.response(status.to_string(), answer);
        }
        for (status, problems) in by_status {
            operation = operation.response(status.to_string(), refusal(&problems));
        }
        operation.build()
    }
}

fn response(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .header_ref("X-Request-Id", Ref::new("#/components/headers/RequestId"))
}

/// The problems of one status, each with its example.
fn refusal(problems: &[Problem]) -> ResponseBuilder {
    let titles: Vec<String> = problems.iter().map(Problem::title).collect();
    let codes = problems.iter().map(Problem::code);
    let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(ProblemBody::name()))
        .item(ObjectBuilder::new().property("code", codes));
    let examples = problems.iter().map(|problem| {
        let code = problem.code();
        (code, RefOr::Ref(Ref::new(format!("#/components/examples/{code}"))))
    });
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let mut response = response(&titles.join(". ")).content("application/problem+json", content);
    if problems.iter().any(|problem| problem.retry_after().is_some()) {
        response = response.header_ref("Retry-After", Ref::new("#/components/headers/RetryAfter"));
    }
    if problems.iter().any(|problem| problem.challenge().is_some()) {
        response = response.header_ref("WWW-Authenticate", Ref::new("#/components/headers/Authenticate"));
    }
    response
}

impl<T: DescribeOperation> DescribeOperation for Result<T, Problem> {
    fn describe(operation: &mut OperationDraft) {
        T::describe(operation);
    }
}

macro_rules! described_tuple {
    ($($name:ident)*) => {
        impl<$($name: DescribeOperation),*> DescribeOperation for ($($name,)*) {
            fn describe(operation: &mut OperationDraft) {
                $($name::describe(operation);)*
            }
        }
    };
}

described_tuple!(A);
described_tuple!(A B);
described_tuple!(A B C);
described_tuple!(A B C D);
described_tuple!(A B C D E);
described_tuple!(A B C D E F);

macro_rules! nothing_to_describe {
    ($($type:ty),*) => {
        $(impl DescribeOperation for $type {
            fn describe(_: &mut OperationDraft) {}
        })*
    };
}

// What stands in a path is described with the path; what every request has, with all of them.
nothing_to_describe!(
    (),
    web::Path<String>,
    web::Path<(String, String)>,
    HttpRequest,
    ClientAddress,
    ClientInfo,
    WantedLanguage
);

impl<T> DescribeOperation for web::Data<T> {
    fn describe(_: &mut OperationDraft) {}
}
