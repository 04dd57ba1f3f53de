//! The OpenAPI document, as it is served and read. That answers are as it says, every test's client checks
//! ([`OpenApiContract`](crate::support::Contract)).

use std::collections::BTreeSet;

use counterfoil::http::document;
use reqwest::Method;
use serde_json::Value;

use crate::support::{ApiClient, TestApp};

/// The operations of the document, each with its path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, operations): (&String, &Value)| {
        let operations = operations.as_object().unwrap();
        operations.values().map(|operation| (path.clone(), operation.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn the_openapi_document_is_public_and_is_the_one_that_the_tests_check_answers_against() {
    let app = TestApp::start().await;
    let answer = ApiClient::send(app.api.request(Method::GET, "/openapi.json")).await;
    assert_eq!(answer.ok(), document());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_path_of_the_openapi_document_exists_and_takes_the_methods_that_it_names() {
    let app = TestApp::start().await;
    let document = document();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let mut named: BTreeSet<String> =
            operations.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let place = path
            .replace("{id}", "01a2102b-9989-7532-acd2-ac1c6690aa6d")
            .replace("{link}", "x")
            .replace("{name}", "x");
        let answer = ApiClient::send(app.api.request(Method::PUT, &place)).await;
        answer.is_problem(405, "method_not_allowed");
        let allowed = answer.header("allow").unwrap().split(", ").map(str::to_owned);
        let allowed: BTreeSet<String> = allowed.collect();
        if allowed.contains("HEAD") {
            named.insert("HEAD".to_owned());
        }
        assert_eq!(allowed, named, "{path}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_a_section_and_an_answer() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(!id.is_empty() && ids.insert(id.to_owned()), "{path}: {id}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{path}");
        assert!(!operation["tags"][0].as_str().unwrap().is_empty(), "{path}");
        let statuses = operation["responses"].as_object().unwrap();
        assert!(statuses.keys().any(|status| status.starts_with('2')), "{path}");
    }
}

#[test]
fn a_body_is_optional_where_no_field_of_it_is_required() {
    let optional = operations(&document()).into_iter().filter(|(_, operation)| {
        let body = operation.get("requestBody");
        body.is_some_and(|body| body["required"] == false)
    });
    let optional: BTreeSet<String> =
        optional.map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned()).collect();
    for id in ["signOut", "signOutEverywhere", "signOutAccount", "reinstateAccount", "endDeviceSession"] {
        assert!(optional.contains(id), "{id}: {optional:?}");
    }
    for id in ["askForCode", "signIn", "verifyToken", "updateProfile", "changeRoles", "introspect", "revoke"]
    {
        assert!(!optional.contains(id), "{id}: {optional:?}");
    }
}

#[test]
fn every_body_has_an_example_that_its_schema_allows() {
    let document = document();
    let mut checked = 0;
    for (path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap().values();
        let bodies = responses.chain(operation.get("requestBody"));
        for (media_type, body) in bodies.filter_map(|body| body["content"].as_object()).flatten() {
            let mut schema = body["schema"].clone();
            schema["components"] = document["components"].clone();
            let validator = jsonschema::validator_for(&schema).unwrap();
            for example in body["examples"].as_object().unwrap().values() {
                let pointer = example["$ref"].as_str().map(|target| &target[1..]);
                let example = pointer.map_or(example, |pointer| document.pointer(pointer).unwrap());
                if let Err(error) = validator.validate(&example["value"]) {
                    panic!("{path}: {media_type}: {error}: {example}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn every_parameter_says_what_it_is_for_with_an_example_that_its_schema_allows() {
    let document = document();
    let mut checked = 0;
    for (path, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (id, name) = (&operation["operationId"], &parameter["name"]);
            let description = parameter["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{id}: {name} says {description:?}");
            let mut schema = parameter["schema"].clone();
            schema["components"] = document["components"].clone();
            let validator = jsonschema::validator_for(&schema).unwrap();
            if let Err(error) = validator.validate(&parameter["example"]) {
                panic!("{path}: {name}: {error}");
            }
            checked += 1;
        }
    }
    assert!(checked > 150, "{checked}");
}

#[tokio::test]
async fn the_openapi_document_and_its_page_can_be_switched_off() {
    let hidden = TestApp::with_settings(&[("server.docs", "false")]).await;
    for path in ["/openapi.json", "/docs/", "/docs", "/docs/swagger-ui-bundle.js", "/docs/docs.js"] {
        ApiClient::send(hidden.api.request(Method::GET, path)).await.is_problem(404, "not_found");
    }
    let shown = TestApp::start().await;
    for (path, media_type) in [
        ("/docs/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/docs.js", "text/javascript"),
    ] {
        let answer = ApiClient::send(shown.api.request(Method::GET, path)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, Some(media_type)),
            "{path}"
        );
    }
    ApiClient::send(shown.api.request(Method::GET, "/docs/nothing.js")).await.is_problem(404, "not_found");
}
