//! The documents name what exists: each path of the repository, setting, HTTP path, metric and Rust name that stands in
//! backticks is looked up in the sources. Decisions and the changelog are history and may name what was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::default_settings;

/// Names in the manner of Rust's that belong to others.
const FOREIGN: [&str; 2] = ["HttpOnly", "NotValidForName"];

/// The folders at the top of the repository that a path can begin with.
const FOLDERS: [&str; 10] =
    [".ci", "benches", "docs", "domain", "examples", "guard", "migrations", "projections", "script", "tests"];

/// The document in which every name is one of the sources'.
const GLOSSARY: &str = "docs/glossary.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder, without what the build makes.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            true if name != "target" && name != ".git" => files(&path, found),
            true => {}
            false => found.push(path),
        }
    }
}

/// What the sources have.
struct RepositoryNames {
    /// The names of all files, without their folders.
    file_names: BTreeSet<String>,
    sections: BTreeSet<String>,
    settings: BTreeSet<String>,
    /// The methods of each HTTP path, which has no slash at its end.
    routes: BTreeMap<String, BTreeSet<String>>,
    /// The Rust files: the path of the module (`http::extract::body`), and the words of its code.
    modules: Vec<(String, BTreeSet<String>)>,
    tables: BTreeSet<String>,
    code: String,
}

impl RepositoryNames {
    fn read() -> Self {
        let mut paths = Vec::new();
        files(root(), &mut paths);
        let mut sources = Self {
            file_names: paths.iter().map(|path| file_name(path)).collect(),
            sections: BTreeSet::new(),
            settings: BTreeSet::new(),
            routes: BTreeMap::new(),
            modules: Vec::new(),
            tables: BTreeSet::new(),
            code: String::new(),
        };
        for (section, settings) in default_settings() {
            let parts = section.split('.').scan(String::new(), |whole, part| {
                *whole = if whole.is_empty() { part.to_owned() } else { format!("{whole}.{part}") };
                Some(whole.clone())
            });
            sources.sections.extend(parts);
            sources.settings.extend(settings.into_iter().map(|setting| setting.name));
        }
        let document = counterfoil::http::document();
        for (path, operations) in document["paths"].as_object().unwrap() {
            let methods = operations.as_object().unwrap().keys().map(|method| method.to_uppercase());
            sources.routes.insert(path.trim_end_matches('/').to_owned(), methods.collect());
        }
        // A page, which is no operation of the document.
        sources.routes.insert("/docs".to_owned(), BTreeSet::from(["GET".to_owned()]));
        for path in paths {
            let local = path.strip_prefix(root()).unwrap().to_str().unwrap();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.tables.extend(tables(&text));
            } else if let Some(module) = module(local) {
                let code = code(&std::fs::read_to_string(&path).unwrap());
                sources.modules.push((module, words(&code).map(str::to_owned).collect()));
                sources.code.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
        sources
    }

    fn has_file(&self, path: &str) -> bool {
        let has_folder = path.contains('/');
        if has_folder { root().join(path).exists() } else { self.file_names.contains(path) }
    }

    fn has_setting(&self, name: &str) -> bool {
        // The names of gateways, regions and claims are the installation's own.
        let own = ["gateways.", "delivery.phone_in.", "delivery.prices.", "tokens.claims."];
        let of_all = name.strip_suffix(".*").unwrap_or(name);
        own.iter().any(|own| name.starts_with(own))
            || self.settings.contains(name)
            || self.sections.contains(of_all)
    }

    fn has_route(&self, method: Option<&str>, path: &str) -> bool {
        let path = path.split(['?', '#']).next().unwrap();
        if let Some(methods) = self.routes.get(path.trim_end_matches('/')) {
            return method.is_none_or(|method| methods.contains(method));
        }
        let beginning = path.trim_end_matches('…').trim_end_matches('/');
        method.is_none() && self.routes.keys().any(|route| route.starts_with(&format!("{beginning}/")))
    }

    fn has_word(&self, word: &str) -> bool {
        self.modules.iter().any(|(_, words)| words.contains(word))
    }

    /// Whether a path like `http::extract::body` or `Journal::append` leads somewhere: to a module, to a name in the file of a
    /// module, or to a name in a file that has the type.
    fn has_rust_path(&self, path: &str) -> bool {
        let path = path.strip_prefix("counterfoil::").unwrap_or(path);
        let parts: Vec<&str> = path.split("::").collect();
        for end in (1..=parts.len()).rev() {
            let beginning = parts[..end].join("::");
            let of_module = self
                .modules
                .iter()
                .filter(|(module, _)| *module == beginning || module.ends_with(&format!("::{beginning}")));
            let mut of_module = of_module.peekable();
            if of_module.peek().is_some() {
                return of_module.any(|(_, words)| parts[end..].iter().all(|part| words.contains(*part)));
            }
        }
        self.modules.iter().any(|(_, words)| parts.iter().all(|part| words.contains(*part)))
    }

    /// What a span in backticks names and does not exist, if it names anything of the sources.
    fn missing(&self, span: &str, method: Option<&str>, strict: bool) -> Option<&'static str> {
        let (before, word) = span.split_once(' ').map_or((None, span), |(first, rest)| {
            if is_method(first) { (Some(first), rest) } else { (None, first) }
        });
        let is_whole = word == span || before.is_some();
        let name = word.trim_matches(['[', ']']);
        if FOLDERS.iter().chain(&["src"]).any(|folder| word.starts_with(&format!("{folder}/")))
            || [".rs", ".sql"].iter().any(|end| word.ends_with(end))
                && word.chars().all(|c| !c.is_uppercase())
        {
            return (!self.has_file(word)).then_some("path");
        }
        if word.starts_with('/') && word.len() > 1 {
            return (!self.has_route(before.or(method), word)).then_some("HTTP path");
        }
        if word.contains("::") {
            return (!self.has_rust_path(word.trim_end_matches("()"))).then_some("Rust path");
        }
        if word.starts_with("counterfoil_") && is_snake(word, "") {
            let is_there = self.code.contains(&format!("\"{word}\"")) || self.file_names.contains(word);
            return (!is_there && !self.has_word(word)).then_some("metric");
        }
        let is_file = [".ftl", ".json", ".md", ".ndjson", ".toml"].iter().any(|end| name.ends_with(end));
        if is_snake(name, ".*") && name.contains('.') && !is_file {
            return (!self.has_setting(name)).then_some("setting");
        }
        if word.starts_with('[') && is_snake(name, ".") && word.ends_with(']') {
            return (!self.has_setting(name)).then_some("section of the settings");
        }
        if is_whole && is_camel(word) && !FOREIGN.contains(&word) {
            return (!self.has_word(word)).then_some("Rust name");
        }
        let is_there = self.tables.contains(word) || self.has_word(word) || self.has_file(word);
        (strict && !is_there).then_some("name")
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The path of a module by that of its file; none of what is no source of the crates.
fn module(file: &str) -> Option<String> {
    let rest = file.strip_suffix(".rs")?;
    let (of_crate, rest) = rest.split_once("src/")?;
    if rest.contains("/tests") || of_crate.contains("tests") {
        return None;
    }
    let of_crate = of_crate.trim_end_matches('/');
    let rest = rest.trim_end_matches("/mod").replace('/', "::");
    Some(if of_crate.is_empty() { rest } else { format!("{of_crate}::{rest}") })
}

/// The lines of a file without comments and texts, as far as can be told line by line.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap();
        code.extend(line.split('"').step_by(2).flat_map(|part| [part, " "]));
        code.push('\n');
    }
    code
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The tables that a file of SQL makes.
fn tables(sql: &str) -> impl Iterator<Item = String> {
    sql.split("TABLE ").skip(1).filter_map(|rest| words(rest).next().map(str::to_owned))
}

fn is_method(word: &str) -> bool {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&word)
}

/// Whether a word has only small letters, digits, underscores and these characters, and begins with a letter.
fn is_snake(word: &str, besides: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || besides.contains(c))
}

/// Whether a word is one of several that begin with capitals, as types are named.
fn is_camel(word: &str) -> bool {
    let humps = word.chars().zip(word.chars().skip(1)).filter(|(a, b)| a.is_lowercase() && b.is_uppercase());
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric())
        && humps.count() > 0
}

/// The spans in backticks outside of blocks, each with the HTTP method that stands before it.
fn spans(document: &str) -> Vec<(&str, Option<&str>)> {
    let mut spans = Vec::new();
    for prose in document.split("```").step_by(2) {
        for paragraph in prose.split("\n\n").flat_map(|paragraph| paragraph.split("\n|")) {
            let parts: Vec<&str> = paragraph.split('`').collect();
            for pair in parts.windows(2).step_by(2) {
                let method = pair[0].split_whitespace().last().filter(|word| is_method(word));
                spans.push((pair[1], method));
            }
        }
    }
    spans
}

/// What a document names in backticks and does not exist.
fn missing(sources: &RepositoryNames, document: &str, strict: bool) -> Vec<String> {
    let named = spans(document).into_iter().filter_map(|(span, method)| {
        let kind = sources.missing(span, method, strict)?;
        Some(format!("{kind} `{span}`"))
    });
    named.collect()
}

#[test]
fn every_name_in_the_documents_exists() {
    let sources = RepositoryNames::read();
    let (mut looked_up, mut wrong) = (0, Vec::new());
    for path in super::readme::documents() {
        if path.starts_with("docs/decisions/0") || path == "CHANGELOG.md" {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        looked_up += spans(&text).len();
        let missing = missing(&sources, &text, path == GLOSSARY);
        wrong.extend(missing.into_iter().map(|missing| format!("{path}: {missing}")));
    }
    assert!(wrong.is_empty(), "these do not exist:\n{}", wrong.join("\n"));
    assert!(looked_up > 1_000, "only {looked_up} spans");
}

#[test]
fn a_name_that_does_not_exist_is_found() {
    let sources = RepositoryNames::read();
    let document = "`src/app/mod.rs` and `src/nothing.rs`, `0001_journal.sql` and `0000_nothing.sql`, `sessions.idle = 1` and
        `sessions.idel`, `[codes]` and `[cods]`, GET `/accounts/profile/`, POST `/accounts/profile/` and
        `/accounts/nothing/`, `POST /accounts/login/` and `GET /accounts/login/`, `Journal::append` and
        `Journal::nothing_like_that`, `http::extract::body` and `http::extract::nothing`, `UserAccount` and
        `UserNothing`, `counterfoil_ready` and `counterfoil_nothing`. `HttpOnly`, `codes`, `a b` and `https://a.example`
        are none of ours.\n\n```\n`src/in_a_block.rs`\n```\n";
    assert_eq!(
        missing(&sources, document, false),
        [
            "path `src/nothing.rs`",
            "path `0000_nothing.sql`",
            "setting `sessions.idel`",
            "section of the settings `[cods]`",
            "HTTP path `/accounts/profile/`",
            "HTTP path `/accounts/nothing/`",
            "HTTP path `GET /accounts/login/`",
            "Rust path `Journal::nothing_like_that`",
            "Rust path `http::extract::nothing`",
            "Rust name `UserNothing`",
            "metric `counterfoil_nothing`",
        ]
    );
    assert_eq!(
        missing(&sources, "`identifiers`, `Generation`, `nothing_of_that_name`", true),
        ["name `nothing_of_that_name`"]
    );
}
