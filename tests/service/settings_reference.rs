//! `docs/settings.md` has every setting of `src/settings/default.toml`, with its default. `UPDATE_GOLDEN=1` writes the defaults and adds
//! the rows that are missing, with the comment beside the setting.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::support::default_settings;

/// A section of the document: what is said before its table, and what is said of each setting.
#[derive(Default)]
struct SettingsSection {
    prose: String,
    meanings: BTreeMap<String, String>,
}

/// The beginning of the document, and its sections by their headings.
fn read(document: &str) -> (&str, BTreeMap<&str, SettingsSection>) {
    let mut parts = document.split("\n## ");
    let beginning = parts.next().unwrap();
    let sections = parts.map(|part| {
        let (heading, lines) = part.split_once('\n').unwrap();
        let (rows, prose): (Vec<&str>, Vec<&str>) = lines.lines().partition(|line| line.starts_with('|'));
        let meanings = rows.into_iter().filter_map(|row| {
            let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
            let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name.to_owned(), cells.skip(1).collect::<Vec<_>>().join(" | ")))
        });
        (heading, SettingsSection { meanings: meanings.collect(), prose: prose.join("\n").trim().to_owned() })
    });
    (beginning, sections.collect())
}

/// The document as it has to be.
fn written(document: &str) -> String {
    let (beginning, sections) = read(document);
    let mut written = beginning.trim_end().to_owned();
    for (heading, settings) in default_settings() {
        let nothing = SettingsSection::default();
        let section = sections.get(heading.as_str()).unwrap_or(&nothing);
        write!(written, "\n\n## {heading}").unwrap();
        if !section.prose.is_empty() {
            write!(written, "\n\n{}", section.prose).unwrap();
        }
        for (at, setting) in settings.iter().enumerate() {
            if at == 0 {
                written.push_str("\n\n| Setting | Default | Meaning |\n|---|---|---|");
            }
            let meaning = section.meanings.get(&setting.name).unwrap_or(&setting.comment);
            let default =
                setting.default.as_ref().map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
            write!(written, "\n| `{}` | {default} | {meaning} |", setting.name).unwrap();
        }
    }
    written + "\n"
}

#[test]
fn the_settings_reference_has_every_setting_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let expected = written(&document);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(document == expected, "docs/settings.md is not what UPDATE_GOLDEN=1 writes:\n{expected}");
    let (_, sections) = read(&document);
    let rows: Vec<(&String, &String)> = sections.values().flat_map(|section| &section.meanings).collect();
    assert!(rows.len() > 60, "only {} settings", rows.len());
    for (name, meaning) in rows {
        assert!(!meaning.is_empty(), "what does {name} mean?");
    }
}
