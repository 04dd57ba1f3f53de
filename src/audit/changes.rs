//! What is different between two JSON documents.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A member that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateChange {
    /// Which: a JSON pointer (RFC 6901).
    pub path: String,
    /// What it was; null where there was nothing.
    pub before: Value,
    /// What it is; null where there is nothing.
    pub after: Value,
}

/// The members that are different, objects gone into, all else taken whole.
pub(super) fn between(before: &Value, after: &Value) -> Vec<StateChange> {
    let mut changes = Vec::new();
    compare(String::new(), before, after, &mut changes);
    changes
}

fn compare(path: String, before: &Value, after: &Value, changes: &mut Vec<StateChange>) {
    if before == after {
        return;
    }
    let (Value::Object(was), Value::Object(is)) = (before, after) else {
        changes.push(StateChange { path, before: before.clone(), after: after.clone() });
        return;
    };
    let added = is.keys().filter(|name| !was.contains_key(*name));
    for name in was.keys().chain(added) {
        let member = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        compare(path, &member(was), &member(is), changes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{StateChange, between};

    #[test]
    fn members_are_named_by_where_they_are() {
        let before = json!({"same": [1], "list": [1], "in": {"a/b": 1, "gone": true}});
        let after = json!({"same": [1], "list": [1, 2], "in": {"a/b": 2}, "new": {"x": 1}});
        let change = |path: &str, before, after| StateChange { path: path.to_owned(), before, after };
        assert_eq!(
            between(&before, &after),
            [
                change("/in/a~1b", json!(1), json!(2)),
                change("/in/gone", json!(true), json!(null)),
                change("/list", json!([1]), json!([1, 2])),
                change("/new", json!(null), json!({"x": 1})),
            ]
        );
        assert_eq!(between(&before, &before), []);
    }
}
