//! The commands of the README, of the guides and of the walkthroughs work in order and print what the documents say.

use std::path::Path;
use std::process::Command;

use counterfoil::settings::Sources;
use counterfoil_domain::values::Role;

use crate::support::{NodeProcess, TestApp, TestDatabase};

/// A document of the repository.
fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The blocks of a document: the language of each, and its lines.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    document.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Runs lines with a node in place of a server on port 8000, in the folder of the server and with its command at hand.
fn run(script: &str, node: &NodeProcess, folder: &Path, environment: &[(&str, &str)]) -> String {
    let script = script.replace("127.0.0.1:8000", &node.api.address().to_string());
    let (path, binary) = (std::env::var("PATH").unwrap(), Path::new(env!("CARGO_BIN_EXE_counterfoil")));
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", binary.parent().unwrap().display()))
        .env("COUNTERFOIL_PROFILE", "development")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a line has these parts, in this order, from its beginning on.
fn is_line(line: &str, expected: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    parts.try_fold(rest, |rest, part| rest.split_once(part).map(|(_, rest)| rest)).is_some()
}

/// A document that is followed as a reader would.
struct DocumentRun {
    commands: usize,
    compared: usize,
}

/// Runs the `sh` blocks of a document in order. Each line of the `text` blocks after a block has to be among the lines that it
/// printed, in the same order.
fn follow(
    path: &str,
    document: &str,
    node: &NodeProcess,
    folder: &Path,
    environment: &[(&str, &str)],
) -> DocumentRun {
    let blocks = blocks(document);
    let shell: Vec<&str> =
        blocks.iter().filter(|(language, _)| *language == "sh").map(|(_, lines)| *lines).collect();
    let script: String = shell.iter().map(|lines| format!("{lines}printf '\\036'\n")).collect();
    let said = run(&script, node, folder, environment);
    let mut said = said.split('\x1e');
    let mut compared = 0;
    let mut lines = Vec::new().into_iter();
    for (language, block) in &blocks {
        if *language == "sh" {
            lines = said.next().unwrap().lines().collect::<Vec<_>>().into_iter();
        } else if *language == "text" {
            let whole = lines.as_slice().join("\n");
            for expected in block.lines() {
                assert!(
                    lines.any(|line| is_line(line, expected)),
                    "{path}: no such line: {expected}\n{whole}"
                );
                compared += 1;
            }
        }
    }
    let commands = shell.iter().flat_map(|lines| lines.lines());
    let commands =
        commands.filter(|line| ["curl ", "counterfoil ", "page "].iter().any(|name| line.contains(name)));
    DocumentRun { commands: commands.count(), compared }
}

/// The secret of the service that is registered in the guides, and its SHA-256.
const SECRET: (&str, &str) = ("secret", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");

/// Follows a document on a node that has the settings of its `toml` blocks.
fn follow_on_a_node(path: &str) -> DocumentRun {
    let (text, name) = (document(path), path.replace(['/', '.'], "-"));
    let settings: String = blocks(&text)
        .into_iter()
        .filter(|(language, _)| *language == "toml")
        .map(|(_, lines)| lines)
        .collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("counterfoil.toml"), settings.replace("\"…\"", &format!("{:?}", SECRET.1)))
        .unwrap();
    std::fs::write(folder.join("secret"), SECRET.0).unwrap();

    let database = TestDatabase::new();
    let environment = [("DATABASE_URL", database.url.0.as_str()), ("COUNTERFOIL__LIMITS__SHARED", "on")];
    let node = NodeProcess::start(&folder, &environment);
    let followed = follow(path, &text, &node, &folder, &environment);
    std::fs::remove_dir_all(&folder).unwrap();
    followed
}

/// The documents whose commands are run, with how many of them there are at least, and how many lines of what they print are
/// compared at least.
const GUIDES: [(&str, usize, usize); 11] = [
    ("README.md", 8, 6),
    ("docs/sign-in.md", 10, 9),
    ("docs/tokens-and-sessions.md", 12, 8),
    ("docs/browsers.md", 6, 6),
    ("docs/other-services.md", 7, 4),
    ("docs/limits.md", 4, 2),
    ("docs/administration.md", 14, 4),
    ("docs/audit.md", 8, 8),
    ("docs/operating.md", 8, 3),
    ("docs/guide/support.md", 30, 30),
    ("docs/guide/audit.md", 20, 20),
];

#[test]
fn the_commands_in_the_readme_and_the_guides_print_what_the_documents_show() {
    std::thread::scope(|scope| {
        for (path, commands, compared) in GUIDES {
            scope.spawn(move || {
                let followed = follow_on_a_node(path);
                assert!(followed.commands >= commands, "{path}: only {} commands", followed.commands);
                assert!(followed.compared >= compared, "{path}: only {} lines compared", followed.compared);
            });
        }
    });
}

#[test]
fn the_readme_stays_short() {
    let lines = document("README.md").lines().count();
    assert!(lines < 150, "{lines} lines: the rest is for the guides");
}

#[test]
fn every_document_with_commands_to_run_is_run() {
    let run: Vec<&str> = GUIDES.map(|(path, ..)| path).into_iter().chain(["docs/ARCHITECTURE.md"]).collect();
    for path in documents() {
        let text = document(&path);
        let commands = blocks(&text).into_iter().any(|(language, _)| language == "sh");
        assert_eq!(commands, run.contains(&path.as_str()), "{path}");
    }
}

#[test]
fn every_settings_file_in_the_documents_is_valid() {
    let mut checked = 0;
    for path in documents() {
        let text = document(&path);
        for (_, printed) in blocks(&text).into_iter().filter(|(language, _)| *language == "toml") {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("documents-{checked}.toml"));
            std::fs::write(&file, printed.replace("\"…\"", &format!("{:?}", SECRET.1))).unwrap();
            let sources = Sources::read(Some(&file), std::iter::empty(), std::iter::empty()).unwrap();
            std::fs::remove_file(&file).unwrap();
            assert!(sources.check().is_ok(), "{path}: {printed}");
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} settings files");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_in_the_walkthroughs_print_what_the_documents_show() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff("+989130000002", Role::Auditor).await;
    let (keyring, folder) = (app.keyring_file(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("walkthroughs"));
    let environment = [
        ("DATABASE_URL", app.database.url.0.as_str()),
        ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
        ("auditor", auditor.access.as_str()),
    ];
    let node = NodeProcess::start(&folder, &environment);

    let architecture = document("docs/ARCHITECTURE.md");
    let (_, walkthroughs) = architecture.split_once("\n# Walkthroughs\n").unwrap();
    let checked = follow("docs/ARCHITECTURE.md", walkthroughs, &node, &folder, &environment).compared;
    assert!(checked > 30, "only {checked} lines of answers were compared");
    std::fs::remove_file(&keyring).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Every document, by its path.
pub fn documents() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = Vec::new();
    for folder in ["", "docs/", "docs/decisions/", "docs/guide/", "migrations/"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                documents.push(format!("{folder}{name}"));
            }
        }
    }
    documents
}

#[test]
fn every_decision_has_a_line_in_the_index() {
    let index = document("docs/decisions/README.md");
    let lines = index.lines().filter(|line| line.starts_with("| [") || line.contains("never used"));
    for (expected, line) in (1..).zip(lines) {
        let number = line.trim_start_matches(['|', ' ', '[']);
        let number = number.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        assert_eq!(number.parse(), Ok(expected), "{line}");
    }
    for path in documents().iter().filter_map(|path| path.strip_prefix("docs/decisions/0")) {
        assert!(index.contains(&format!("(0{path})")), "0{path} has no line");
    }
}

/// What a link calls a heading: in lower case, without punctuation, with hyphens for spaces.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn every_link_in_the_documents_has_a_target() {
    let mut followed = 0;
    for path in documents() {
        let text = document(&path);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") {
                continue;
            }
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if target.is_empty() { source.clone() } else { source.parent().unwrap().join(target) };
            assert!(target.exists(), "{path}: {link}");
            let headings = std::fs::read_to_string(&target).unwrap_or_default();
            let is_there = headings.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
            assert!(heading.is_empty() || is_there, "{path}: {link}");
            followed += 1;
        }
    }
    assert!(followed > 180, "only {followed} links");
}

#[test]
fn the_gateways_of_the_guide_take_secrets_from_the_environment() {
    let guide = document("docs/delivery.md");
    let mut settings = blocks(&guide).into_iter().filter(|(language, _)| *language == "toml");
    let (_, printed) = settings.find(|(_, lines)| lines.contains("[delivery]")).unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("delivery.toml");
    std::fs::write(&file, printed).unwrap();
    let environment =
        ["COUNTERFOIL__GATEWAYS__TWILIO__AUTH_TOKEN", "COUNTERFOIL__GATEWAYS__OWN-SERVICE__URL"]
            .map(|name| (name.to_owned(), "https://from.example/the-environment".to_owned()));
    let sources = Sources::read(Some(&file), environment.into_iter(), std::iter::empty()).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (masked, settings) = (sources.shown(), sources.check().unwrap());
    let from_environment = masked.iter().filter(|shown| shown.origin.starts_with("environment"));
    assert_eq!(from_environment.map(|shown| shown.value.as_str()).collect::<Vec<_>>(), ["…", "…"]);
    assert!(settings.delivery.texts.language("fa-IR").tag() == "fa");
}
