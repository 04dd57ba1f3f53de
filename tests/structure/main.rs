//! The structure of the code: which modules import which, and figures of names, words and sizes.
//!
//! The imports are checked. The figures are printed, by `script/structure`; one that has a limit in [`LIMITS`] is checked as well.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod examples;
mod figures;
mod imports;
mod interface;
mod sources;

use std::collections::BTreeSet;

use figures::Limits;
use imports::ImportGraph;
use sources::Sources;

/// The most that each figure may be; none for a figure that is only printed. The two words are the code of a language and the name of
/// an account of the operating system; the long functions and files are tables of test data, and the rehearsal, which has to know every
/// command.
const LIMITS: Limits = Limits {
    one_word_types_percent: Some(25),
    shared_type_names_percent: Some(2),
    forbidden_words: Some(2),
    short_doc_comments: Some(5),
    files_with_all_events: Some(1),
    long_functions: Some(2),
    long_files: Some(7),
};

/// The modules that may import the settings: they hand each other module what is its own.
const MAY_IMPORT_SETTINGS: [&str; 4] = ["app", "cli", "service", "settings"];

#[test]
fn the_modules_of_the_service_import_each_other_in_no_circle() {
    let graph = ImportGraph::read(&Sources::read());
    assert!(graph.modules().count() > 10, "{graph:?}");
    assert_eq!(graph.circle(), None, "these modules import each other");
}

#[test]
fn the_settings_are_imported_by_what_puts_a_node_together_and_by_nothing_else() {
    let graph = ImportGraph::read(&Sources::read());
    let mut importers = graph.importers("settings");
    importers.retain(|importer, _| !MAY_IMPORT_SETTINGS.contains(importer));
    assert!(importers.is_empty(), "{importers:?} import the settings; see decision 50");
}

#[test]
fn the_examples_use_only_the_public_interface_and_stay_short() {
    let interface = include_str!("interface.txt");
    let items = interface.lines().filter(|line| !line.starts_with(' '));
    let exported: BTreeSet<&str> = items.filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let sources = Sources::read();
    let mut examples = sources.rust("examples/");
    assert!(examples.len() > 3, "the examples are in examples/");
    examples.extend(sources.rust("script/new-service.d/"));
    for example in &examples {
        let lines = example.text.lines().count();
        assert!(lines < 150, "{}: {lines} lines", example.path);
        let internal = examples::internal_paths(example, &exported);
        assert!(internal.is_empty(), "{}: a program cannot name {internal:?}", example.path);
    }
}

#[test]
fn a_path_of_an_example_to_what_is_internal_is_found() {
    let text = "use counterfoil::{Service, web::{self, Problem}, journal::Journal};
        #[derive(counterfoil::web::utoipa::ToSchema, counterfoil::crypto::Derived)]
        struct Example(counterfoil::http::AppState, counterfoil::actix_web::web::Data<u8>);
        fn main() { counterfoil::cli::run(counterfoil_domain::values::now()); }";
    let file = sources::RustFile {
        path: "examples/example.rs".to_owned(),
        text: text.to_owned(),
        syntax: syn::parse_file(text).unwrap(),
    };
    let exported =
        ["Service", "actix_web", "web::Problem", "web::utoipa"].map(|name| format!("counterfoil::{name}"));
    let exported: BTreeSet<&str> = exported.iter().map(String::as_str).collect();
    assert_eq!(
        examples::internal_paths(&file, &exported),
        [
            "counterfoil::web",
            "counterfoil::journal::Journal",
            "counterfoil::crypto::Derived",
            "counterfoil::http::AppState",
            "counterfoil::cli::run",
            "counterfoil_domain::values::now",
        ]
    );
}

#[test]
fn the_public_interface_is_that_of_the_golden_file() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/structure/interface.txt");
    let mut found = interface::public_interface(&Sources::read()).join("\n");
    found.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    assert_eq!(found, expected, "run it with UPDATE_GOLDEN=1 where the interface is to change");
    for internal in ["Journal", "Keyring", "AppState", "RequestContext", "StaffAction", "IssuedTokens"] {
        assert!(!found.contains(internal), "the interface must not reach {internal}");
    }
}

#[test]
fn the_domain_knows_schemas_only_with_its_feature() {
    let sources = Sources::read();
    let domain = sources.texts.iter().filter(|file| file.path.starts_with("domain/src/"));
    for file in domain.filter(|file| file.path != "domain/src/openapi.rs") {
        let text: String = file.text.split_whitespace().collect();
        let guarded = text.matches("feature=\"openapi\",derive(utoipa::").count();
        assert_eq!(text.matches("utoipa").count(), guarded, "{}; see decision 53", file.path);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "script/structure prints the figures")]
fn the_figures_of_the_code_are_within_their_limits() {
    let mut exceeded = Vec::new();
    for figure in figures::measure(&Sources::read(), &LIMITS) {
        println!("{figure}");
        exceeded.extend(figure.excess());
    }
    assert!(exceeded.is_empty(), "{}", exceeded.join("\n"));
}
