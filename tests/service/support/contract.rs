//! The OpenAPI document, held against what the service answers.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::ApiAnswer;

/// The document, with what was made of it to check answers.
pub struct OpenApiContract {
    document: Value,
    validators: Mutex<HashMap<String, &'static Validator>>,
}

static CONTRACT: LazyLock<OpenApiContract> = LazyLock::new(|| OpenApiContract {
    document: counterfoil::http::document(),
    validators: Mutex::default(),
});

impl OpenApiContract {
    /// Checks that an answer is one that the document lists for the operation: its status, its media type, and its body with
    /// the code of a problem in it.
    pub fn check(method: &Method, path: &str, answer: &ApiAnswer) {
        CONTRACT.check_answer(method, path, answer);
    }

    fn check_answer(&self, method: &Method, path: &str, answer: &ApiAnswer) {
        let Some((pattern, operations)) = self.path(path) else { return };
        let name = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
        let Some(operation) = operations.get(&name) else {
            // What a browser asks before a request is answered before there is a route.
            let is_right = *method == Method::OPTIONS || answer.status == StatusCode::METHOD_NOT_ALLOWED;
            assert!(is_right, "{method} {path}: {answer:?}");
            return;
        };
        let told = || format!("{method} {pattern}: {answer:?}");
        let response = &operation["responses"][answer.status.as_str()];
        assert!(response.is_object(), "not a status of the document: {}", told());
        if *method == Method::HEAD || answer.text.is_empty() {
            return;
        }
        let media_type = answer.header("content-type").unwrap_or_default();
        let content = &response["content"][media_type];
        assert!(content.is_object(), "not a media type of the document: {}", told());
        if media_type == "application/json" || media_type.ends_with("+json") {
            let key = format!("{method} {pattern} {} {media_type}", answer.status);
            if let Err(error) = self.validator(key, &content["schema"]).validate(&answer.json()) {
                panic!("not as the document has it: {error}: {}", told());
            }
        }
    }

    /// The operations of a path.
    fn path(&self, path: &str) -> Option<(&String, &Value)> {
        let fitting =
            self.document["paths"].as_object().unwrap().iter().filter(|(pattern, _)| fits(pattern, path));
        // Of two that fit, the one that says more.
        fitting.min_by_key(|(pattern, _)| pattern.matches('{').count())
    }

    fn validator(&self, key: String, schema: &Value) -> &'static Validator {
        let mut validators = self.validators.lock().unwrap();
        validators.entry(key).or_insert_with(|| {
            let whole = json!({"allOf": [schema], "components": self.document["components"]});
            Box::leak(Box::new(jsonschema::validator_for(&whole).unwrap()))
        })
    }
}

/// Whether it is a path of that pattern.
fn fits(pattern: &str, path: &str) -> bool {
    let parts = |text: &str| text.trim_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    let (pattern, path) = (parts(pattern), parts(path));
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(part, is)| part.starts_with('{') || *part == is)
}
