//! The OpenAPI document: made from the route table, the handlers' signatures and the types that bodies are read into and
//! written from, so that it says what the code does.
//!
//! The arguments of a handler say what it reads and with which problems it refuses; its result says what it answers
//! ([`DescribeOperation`]). What is left to be said about an operation stands beside its handler ([`OperationDoc`]).

mod example;
mod form_fields;
mod operation;
mod parameter_text;

use std::collections::BTreeMap;

use counterfoil_domain::values::{AccountId, SessionId};
use serde_json::{Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Parameter, ParameterBuilder, ParameterIn, PathItemBuilder};
use utoipa::openapi::schema::{
    Components, ComponentsBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type,
};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Info, InfoBuilder, License, OpenApi, OpenApiBuilder, PathsBuilder, Required};

use super::problem::Problem;
use super::route::ApiResource;
use crate::read_models::Projection;
pub use form_fields::{FormField, FormFields};
use operation::NamedSchemas;
pub use operation::{DescribeOperation, HeaderDoc, OperationDoc, OperationDraft};

/// The sections, each with whom it is for.
const SECTIONS: [(&str, &str); 6] = [
    ("Users", "Sign in with a one-time code, and look after one's own account and devices."),
    ("Other services", "What services that are given a token ask about it, as OAuth 2.0 has it."),
    ("Staff", "Set up and pass the second factor that roles take."),
    ("Administrators", "Look at accounts and device sessions, and intervene. Takes the role `admin`."),
    ("Auditors", "Read the log. Takes the role `auditor`, and a reason, which is put on record."),
    ("Operators", "For the operators of the service, and for tools."),
];

/// The section of a path.
fn section(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("accounts") if path.contains("/second-factor/") => "Staff",
        Some("accounts") => "Users",
        Some("oauth" | ".well-known") => "Other services",
        Some("admin") => "Administrators",
        Some("audit") => "Auditors",
        Some(_) | None => "Operators",
    }
}

const DESCRIPTION: &str = "People sign in with a one-time code sent to their phone or e-mail address, and their devices are \
handed tokens.

* Bodies are JSON objects of at most 16 KiB. What is unknown, named twice or of another type is refused, with the field's \
name.
* Errors are `application/problem+json` (RFC 9457) with a stable `code`; their words are in the language of \
`Accept-Language`.
* A path answers with and without its last slash. Every GET but a stream answers to HEAD as well, without the body.
* Times are RFC 3339 in UTC, durations whole seconds.
* Any other method is answered by 405 `method_not_allowed` with `Allow`, any other path by 404 `not_found`.
* `X-Request-Id`, the client's own if it is a UUID or hexadecimal, is in every answer and in the log.";

/// The section of what an embedding program adds.
const OWN_SECTION: (&str, &str) = ("This installation", "What this installation adds to the service.");

/// Returns the OpenAPI document of the resources of the service and of those that an embedding program adds.
pub fn document(resources: Vec<ApiResource>, own: Vec<ApiResource>) -> Value {
    let (mut paths, mut schemas, mut problems) =
        (PathsBuilder::new(), NamedSchemas::default(), BTreeMap::new());
    let mut sections = SECTIONS.to_vec();
    if !own.is_empty() {
        sections.push(OWN_SECTION);
    }
    let ours = resources.into_iter().map(|resource| (section(&resource.path), resource));
    let own = own.into_iter().map(|resource| (OWN_SECTION.0, resource));
    for (section, ApiResource { path, routes }) in ours.chain(own) {
        let mut item = PathItemBuilder::new();
        for route in routes {
            let mut operation = (route.describe)();
            for parameter in parameters(&path) {
                operation.parameter(parameter);
                operation.problems([Problem::NotFound]);
            }
            schemas.extend(operation.schemas());
            problems.extend(operation.each_problem());
            item = item.operation(method(route.methods), operation.build(section));
        }
        paths = paths.path(path, item.build());
    }
    let tag = |(name, whom)| TagBuilder::new().name(name).description(Some(whom)).build();
    let document: OpenApi = OpenApiBuilder::new()
        .info(info())
        .tags(Some(sections.into_iter().map(tag).collect::<Vec<_>>()))
        .paths(paths)
        .components(Some(components(schemas)))
        .build();
    let mut document = serde_json::to_value(document).expect("texts and numbers are JSON");
    let example = |problem: &Problem| json!({"summary": problem.title(), "value": problem.example()});
    let examples = problems.iter().map(|(code, problem)| ((*code).to_owned(), example(problem)));
    document["components"]["examples"] = Value::Object(examples.collect());
    example::add(&mut document);
    document
}

fn info() -> Info {
    InfoBuilder::new()
        .title("Counterfoil")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(License::new("Apache-2.0 OR MIT")))
        .build()
}

fn components(schemas: NamedSchemas) -> Components {
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", bearer())
        .security_scheme("cookie", cookie())
        .security_scheme("basic", basic())
        .header("RequestId", header("The id of the request, which is in the log as well."))
        .header("RetryAfter", seconds("After how many seconds to try again."))
        .header("Authenticate", header("How to prove who one is (RFC 9110, section 11.6.1)."));
    let named = |components: ComponentsBuilder, (name, schema)| components.schema(name, schema);
    schemas.0.into_iter().fold(components, named).build()
}

fn method(methods: &[actix_web::http::Method]) -> HttpMethod {
    match methods[0].as_str() {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// What stands in braces in a path.
fn parameters(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| {
        let schema = match name {
            "id" if path.contains("/accounts/{id}") => AccountId::schema(),
            "id" if path.contains("/alarms/{id}") => {
                let id = ObjectBuilder::new().schema_type(Type::String);
                let id = id.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
                id.examples(["01a2102b-9989-7532-acd2-ac1c6690aa6d"]).into()
            }
            "id" => SessionId::schema(),
            "name" => {
                let names = Projection::all().map(|projection| projection.name());
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
            }
            _ => ObjectBuilder::new().schema_type(Type::String).into(),
        };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(schema))
            .build()
    };
    names.map(parameter).collect()
}

fn header(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(description))
        .build()
}

fn seconds(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1))))
        .description(Some(description))
        .build()
}

fn bearer() -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("cfa_…");
    SecurityScheme::Http(scheme.description(Some("The access token, in the header `Authorization`.")).build())
}

fn cookie() -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
        "Authorization",
        "`Bearer <access token>`, in a cookie. A request that changes something must then come from a page of the same site.",
    )))
}

fn basic() -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
    SecurityScheme::Http(scheme.description(Some("The id and the secret of a configured client.")).build())
}
