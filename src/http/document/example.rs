//! An example of each body, put together from those of its parts.

use serde_json::{Map, Value, json};

/// Gives an example to every body and every parameter in the document that has none.
pub fn add(document: &mut Value) {
    let whole = document.clone();
    for operation in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        add_within(operation, &whole);
    }
}

fn add_within(part: &mut Value, document: &Value) {
    match part {
        Value::Object(members) => {
            for content in members.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten() {
                let (media_type, content) = content;
                let has_one = content.get("examples").is_some();
                if !has_one && let Some(schema) = content.get("schema") {
                    let example = example(schema, document);
                    content["examples"] = json!({ media_type: { "value": example } });
                }
            }
            let parameters = members.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                parameter["example"] = example(&parameter["schema"], document);
            }
            members.values_mut().for_each(|member| add_within(member, document));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| add_within(item, document)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A value that the schema allows, as far as it is one of ours.
fn example(schema: &Value, document: &Value) -> Value {
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    if let Some(pointer) = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
        return document.pointer(pointer).map(|schema| example(schema, document)).unwrap_or_default();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| example(part, document));
        let members = parts.filter_map(|part| part.as_object().cloned()).flatten();
        return Value::Object(members.collect());
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = choices.iter().find(|choice| choice["type"] != "null");
        return choice.map(|choice| example(choice, document)).unwrap_or_default();
    }
    let kind = schema["type"].as_array().map_or(&schema["type"], |types| &types[0]);
    match kind.as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let not_null = properties.filter(|(_, schema)| schema["type"] != "null");
            Value::Object(not_null.map(|(name, schema)| (name.clone(), example(schema, document))).collect())
        }
        Some("array") => json!([example(&schema["items"], document)]),
        Some("string") => match schema["format"].as_str() {
            Some("date-time") => json!("2026-01-31T12:00:00Z"),
            Some("uuid") => json!("01a2102b-9989-7532-acd2-ac1c6690aa6d"),
            _ => json!("text"),
        },
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}
