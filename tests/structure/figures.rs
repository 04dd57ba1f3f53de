//! Figures of names, words and sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use syn::spanned::Spanned as _;
use syn::visit::Visit;

use super::sources::{RustFile, Sources};

/// Words that the documents and comments do without. Each is written in two parts, so that this list does not find itself.
const FORBIDDEN_WORDS: [&str; 6] = [
    concat!("who", "ever"),
    concat!("some", "body"),
    concat!("no", "body"),
    concat!("h", "e"),
    concat!("h", "is"),
    concat!("h", "im"),
];

/// The kinds of files in which words are looked for.
const WRITTEN: [&str; 9] = [".rs", ".md", ".toml", ".sql", ".html", "en.ftl", ".py", ".mjs", ".sh"];

const LONGEST_FUNCTION: usize = 100;
const LONGEST_FILE: usize = 500;
const SHORTEST_DOC_COMMENT: usize = 4;

/// The most that each figure may be; none for a figure that is only printed.
pub struct Limits {
    pub one_word_types_percent: Option<usize>,
    pub shared_type_names_percent: Option<usize>,
    pub forbidden_words: Option<usize>,
    pub short_doc_comments: Option<usize>,
    pub files_with_all_events: Option<usize>,
    pub long_functions: Option<usize>,
    pub long_files: Option<usize>,
}

/// A figure, with the places that it counts.
pub struct Figure {
    name: &'static str,
    value: usize,
    unit: &'static str,
    limit: Option<usize>,
    places: Vec<String>,
}

impl Figure {
    fn count(name: &'static str, places: Vec<String>, limit: Option<usize>) -> Self {
        Self { name, value: places.len(), unit: "", limit, places }
    }

    fn percent(name: &'static str, places: Vec<String>, of: usize, limit: Option<usize>) -> Self {
        Self { name, value: places.len() * 100 / of.max(1), unit: " %", limit, places }
    }

    /// Returns what to say of a figure that is above its limit.
    pub fn excess(&self) -> Option<String> {
        let limit = self.limit.filter(|limit| self.value > *limit)?;
        let Self { name, value, unit, places, .. } = self;
        Some(format!("{name}: {value}{unit}, and at most {limit}{unit}:\n  {}", places.join("\n  ")))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.name, self.value, self.unit)?;
        if let Some(limit) = self.limit {
            write!(f, " (at most {limit}{})", self.unit)?;
        }
        self.places.iter().try_for_each(|place| write!(f, "\n  {place}"))
    }
}

/// Returns every figure of these files.
pub fn measure(sources: &Sources, limits: &Limits) -> Vec<Figure> {
    let rust = sources.rust("");
    let types: Vec<NamedType> = rust.iter().filter(|f| f.is_production()).flat_map(types_of).collect();
    let one_word = types.iter().filter(|named| word_count(&named.name) == 1).map(NamedType::place);
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for named in &types {
        *by_name.entry(&named.name).or_default() += 1;
    }
    let shared = types.iter().filter(|named| by_name[named.name.as_str()] > 1);
    let mut shared: Vec<String> = shared.map(NamedType::place).collect();
    shared.sort_unstable();
    vec![
        Figure::percent(
            "public types whose name is one word",
            one_word.collect(),
            types.len(),
            limits.one_word_types_percent,
        ),
        Figure::percent(
            "public types that share their name with another type",
            shared,
            types.len(),
            limits.shared_type_names_percent,
        ),
        Figure::count("forbidden words", forbidden_words(sources), limits.forbidden_words),
        Figure::count(
            "doc comments of three words or fewer",
            rust.iter().flat_map(short_doc_comments).collect(),
            limits.short_doc_comments,
        ),
        Figure::count(
            "files outside the domain that name all events",
            files_with_all_events(&rust),
            limits.files_with_all_events,
        ),
        Figure::count(
            "functions of more than 100 lines",
            rust.iter().flat_map(long_functions).collect(),
            limits.long_functions,
        ),
        Figure::count("files of more than 500 lines", long_files(&rust), limits.long_files),
    ]
}

/// A type that other modules can name.
struct NamedType {
    name: String,
    path: String,
    line: usize,
}

impl NamedType {
    fn place(&self) -> String {
        format!("{} {}:{}", self.name, self.path, self.line)
    }
}

fn types_of(file: &RustFile) -> Vec<NamedType> {
    struct Reader<'a> {
        path: &'a str,
        found: Vec<NamedType>,
    }

    impl Reader<'_> {
        fn take(&mut self, visibility: &syn::Visibility, name: &syn::Ident) {
            if !matches!(visibility, syn::Visibility::Inherited) {
                let (name, line) = (name.to_string(), name.span().start().line);
                self.found.push(NamedType { name, path: self.path.to_owned(), line });
            }
        }
    }

    impl<'ast> Visit<'ast> for Reader<'_> {
        fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
            self.take(&item.vis, &item.ident);
        }

        fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
            self.take(&item.vis, &item.ident);
        }

        fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
            self.take(&item.vis, &item.ident);
        }

        fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
            self.take(&item.vis, &item.ident);
        }
    }

    let mut reader = Reader { path: &file.path, found: Vec::new() };
    reader.visit_file(&file.syntax);
    reader.found
}

/// Returns how many words a name in camel case has.
fn word_count(name: &str) -> usize {
    let mut before = 'A';
    let starts = name.chars().filter(|c| {
        let starts = c.is_uppercase() && !before.is_uppercase();
        before = *c;
        starts
    });
    starts.count() + 1
}

/// Returns the places of forbidden words, outside of what is quoted.
fn forbidden_words(sources: &Sources) -> Vec<String> {
    let files = sources.texts.iter().filter(|file| {
        let is_script = file.path.starts_with("script/");
        is_script || WRITTEN.iter().any(|end| file.path.ends_with(end))
    });
    let mut found = Vec::new();
    for file in files {
        for (line, number) in file.text.lines().zip(1..) {
            let line = line.to_lowercase();
            if line.trim_start().starts_with('>') {
                continue;
            }
            let unquoted: String = line.split('“').flat_map(|part| part.split('”').next_back()).collect();
            let words = unquoted.split(|c: char| !c.is_alphanumeric() && c != '_');
            found.extend(
                words
                    .filter(|word| FORBIDDEN_WORDS.contains(word))
                    .map(|word| format!("{word} {}:{number}", file.path)),
            );
        }
    }
    found
}

/// Returns the places of doc comments that say too little to be one.
fn short_doc_comments(file: &RustFile) -> Vec<String> {
    let (mut found, mut comment, mut start) = (Vec::new(), String::new(), 0);
    for (line, number) in file.text.lines().chain([""]).zip(1..) {
        let line = line.trim_start();
        if let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) {
            if comment.is_empty() {
                start = number;
            }
            comment.push_str(text);
            comment.push(' ');
        } else if !comment.is_empty() {
            if comment.split_whitespace().count() < SHORTEST_DOC_COMMENT {
                found.push(format!("{} {}:{start}", comment.trim(), file.path));
            }
            comment.clear();
        }
    }
    found
}

/// Returns the files outside the domain that have the name of every event: each new event has to be added to them.
fn files_with_all_events(rust: &[RustFile]) -> Vec<String> {
    let events = events(rust);
    let outside = rust.iter().filter(|file| !file.path.starts_with("domain/"));
    let naming = outside.filter(|file| {
        let words = file.text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words: BTreeSet<&str> = words.collect();
        events.iter().all(|event| words.contains(event.as_str()))
    });
    naming.map(|file| file.path.clone()).collect()
}

/// Returns the names of all events: the variants of the largest enum below the events of the domain.
fn events(rust: &[RustFile]) -> Vec<String> {
    let files = rust.iter().filter(|file| file.path.starts_with("domain/src/user_account/events"));
    let items = files.flat_map(|file| &file.syntax.items);
    let enums =
        items.filter_map(|item| if let syn::Item::Enum(item) = item { Some(&item.variants) } else { None });
    let events = enums.max_by_key(|variants| variants.len()).unwrap();
    assert!(events.len() > 10, "the enum of all events has moved");
    events.iter().map(|variant| variant.ident.to_string()).collect()
}

fn long_functions(file: &RustFile) -> Vec<String> {
    struct Reader<'a> {
        path: &'a str,
        found: Vec<String>,
    }

    impl Reader<'_> {
        fn take(&mut self, signature: &syn::Signature, block: &syn::Block) {
            let start = signature.span().start().line;
            let lines = block.span().end().line + 1 - start;
            if lines > LONGEST_FUNCTION {
                self.found.push(format!("{} {}:{start}: {lines} lines", signature.ident, self.path));
            }
        }
    }

    impl<'ast> Visit<'ast> for Reader<'_> {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.take(&item.sig, &item.block);
            syn::visit::visit_item_fn(self, item);
        }

        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.take(&item.sig, &item.block);
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    let mut reader = Reader { path: &file.path, found: Vec::new() };
    reader.visit_file(&file.syntax);
    reader.found
}

fn long_files(rust: &[RustFile]) -> Vec<String> {
    let files = rust.iter().map(|file| (file, file.text.lines().count()));
    let long = files.filter(|(_, lines)| *lines > LONGEST_FILE);
    long.map(|(file, lines)| format!("{}: {lines} lines", file.path)).collect()
}

#[test]
fn words_of_names_are_counted_by_their_capitals() {
    for (name, words) in [("Page", 1), ("AppendOutcome", 2), ("SessionURL", 2), ("OtpCode", 2), ("A", 1)] {
        assert_eq!(word_count(name), words, "{name}");
    }
}

#[test]
fn a_figure_above_its_limit_is_reported_with_its_places() {
    let places = || vec!["Page src/a.rs:1".to_owned(), "Page src/b.rs:2".to_owned()];
    assert_eq!(Figure::count("types", places(), Some(2)).excess(), None);
    assert_eq!(Figure::count("types", places(), None).excess(), None);
    let excess = Figure::percent("types", places(), 4, Some(49)).excess().unwrap();
    assert!(excess.starts_with("types: 50 %, and at most 49 %:\n  Page src/a.rs:1"), "{excess}");
}
