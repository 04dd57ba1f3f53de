//! The catalogue of events says all that there is to say, and its examples are true.

use std::collections::BTreeSet;

use counterfoil_domain::user_account::UserAccountEvent;
use serde_json::{Map, Value};

use crate::events::GOLDEN;

const CATALOGUE: &str = include_str!("../../../docs/events.md");

/// The kind of an event and its fields.
fn fact(event: &Value) -> (&str, &Map<String, Value>) {
    let mut members = event["fact"].as_object().into_iter().flatten();
    let (kind, fields) = members.next().expect("an event says what happened");
    (kind, fields.as_object().expect("what happened has fields"))
}

fn golden() -> Vec<Value> {
    GOLDEN.iter().map(|line| serde_json::from_str(line.event.get()).expect("it is JSON")).collect()
}

/// Each kind that has a section, and the section.
fn sections() -> Vec<(&'static str, &'static str)> {
    CATALOGUE.split("\n## ").skip(1).filter_map(|section| section.split_once('\n')).collect()
}

/// The names of fields that a section has a line of its own for.
fn described(section: &str) -> BTreeSet<&str> {
    let lines = section.lines().filter_map(|line| line.strip_prefix("- `"));
    lines.filter_map(|line| line.split('`').next()).collect()
}

/// The words that stand for something: those of an enum, and not an id, a time or a text.
fn words<'a>(value: &'a Value, words: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) if text.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
            words.insert(text);
        }
        Value::Array(items) => items.iter().for_each(|item| self::words(item, words)),
        Value::Object(members) => {
            words.extend(members.keys().map(String::as_str));
            members.values().for_each(|member| self::words(member, words));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_event_has_its_section_and_no_other_has_one() {
    let kinds: BTreeSet<&str> = sections().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, UserAccountEvent::NAMES.iter().copied().collect());
    assert_eq!(sections().len(), kinds.len());
}

#[test]
fn every_field_of_an_event_is_described_in_its_section_and_no_other_is() {
    let golden = golden();
    for (kind, section) in sections() {
        let examples = golden.iter().map(fact).filter(|(its, _)| *its == kind);
        let fields: BTreeSet<&str> =
            examples.flat_map(|(_, fields)| fields.keys()).map(String::as_str).collect();
        assert_eq!(described(section), fields, "{kind}");
        assert!(section.contains("\nSealed: "), "{kind}");
    }
}

#[test]
fn every_value_that_a_field_can_have_is_named() {
    let (intro, _) = CATALOGUE.split_once("\n## ").unwrap();
    let golden = golden();
    for (kind, section) in sections() {
        let mut named = BTreeSet::new();
        for (_, fields) in golden.iter().map(fact).filter(|(its, _)| *its == kind) {
            fields.values().for_each(|value| words(value, &mut named));
        }
        for word in named {
            let shown = [format!("`{word}`"), format!("\"{word}\"")];
            let is_said = shown.iter().any(|shown| section.contains(shown) || intro.contains(shown));
            assert!(is_said, "{kind}: {word}");
        }
    }
}

#[test]
fn every_example_is_one_that_the_stored_form_is_tested_by_and_comes_back_as_it_was() {
    for (kind, section) in sections() {
        let examples = section.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
        let examples: Vec<Value> = examples.map(|block| serde_json::from_str(block).expect(kind)).collect();
        assert!(!examples.is_empty(), "{kind}");
        for example in examples {
            assert_eq!(fact(&example).0, kind);
            let mut lines = GOLDEN.iter().map(|line| line.event.get());
            let is_it = |line: &&str| serde_json::from_str::<Value>(line).unwrap() == example;
            let golden = lines.find(is_it).unwrap_or_else(|| panic!("{kind}: not in the golden file"));
            let event: UserAccountEvent = serde_json::from_value(example).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), golden, "{kind}");
        }
    }
}
