//! The README's lines and the walkthroughs work in order, as printed.

use std::path::Path;
use std::process::Command;

use counterfoil::settings::Sources;
use counterfoil_domain::values::Role;

use crate::support::{Node, TestApp, TestDatabase};

/// A document of the repository.
fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The blocks of a document: the language of each, and its lines.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    document.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Runs lines with a node in place of a server on port 8000, in the folder of the server and with its command at hand.
fn run(script: &str, node: &Node, folder: &Path, environment: &[(&str, &str)]) -> String {
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

#[test]
fn the_curl_lines_of_the_readme_work_in_order_as_printed() {
    let readme = document("README.md");
    let shell = blocks(&readme).into_iter().filter(|(language, _)| *language == "sh");
    let printed: String = shell.map(|(_, lines)| lines).collect();
    assert!(printed.matches("curl").count() >= 8, "{printed}");

    let database = TestDatabase::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let node =
        Node::start(&folder, &[("DATABASE_URL", &database.url.0), ("COUNTERFOIL__LIMITS__SHARED", "on")]);
    let said = run(&printed, &node, &folder, &[("DATABASE_URL", &database.url.0)]);
    for expected in [
        "\"fullname\":\"Ada Lovelace\"",
        "{}",
        "\"current\":true",
        "Ada’s phone",
        "\"email\":\"countess@example.com\"",
        "406\n",
        "204\n204\n204\n",
        "invalid_access_token",
        "توکن",
        "\"by\":\"day\"",
        "\"name\":\"statistics\",\"state\":\"",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walkthroughs_print_what_they_say() {
    let app = TestApp::start().await;
    let auditor = app.staff("+989130000002", Role::Auditor).await;
    let (keyring, folder) = (app.keyring_file(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("walkthroughs"));
    let environment = [
        ("DATABASE_URL", app.database.url.0.as_str()),
        ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
        ("auditor", auditor.access.as_str()),
    ];
    let node = Node::start(&folder, &environment);

    let architecture = document("docs/ARCHITECTURE.md");
    let (_, walkthroughs) = architecture.split_once("\n# Walkthroughs\n").unwrap();
    let blocks = blocks(walkthroughs);
    let shell = blocks.iter().filter(|(language, _)| *language == "sh");
    let script: String = shell.map(|(_, lines)| format!("{lines}printf '\\036'\n")).collect();
    let said = run(&script, &node, &folder, &environment);
    let mut said = said.split('\x1e');
    let mut checked = 0;
    let mut lines = Vec::new().into_iter();
    for (language, block) in blocks {
        if language == "sh" {
            lines = said.next().unwrap().lines().collect::<Vec<_>>().into_iter();
            continue;
        }
        let whole = lines.as_slice().join("\n");
        for expected in block.lines() {
            assert!(lines.any(|line| is_line(line, expected)), "no such line: {expected}\n{whole}");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} lines of answers were compared");
    std::fs::remove_file(&keyring).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The documents that people are led to.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "docs/ARCHITECTURE.md",
    "docs/api.md",
    "docs/authorization.md",
    "docs/database.md",
    "docs/events.md",
    "docs/never-logged.md",
];

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut followed = 0;
    for path in DOCUMENTS {
        let text = document(path);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = Path::new(env!("CARGO_MANIFEST_DIR")).join(path).parent().unwrap().join(target);
            assert!(target.exists(), "{path}: {link}");
            let headings = std::fs::read_to_string(&target).unwrap_or_default().to_lowercase();
            let is_there =
                headings.lines().any(|line| line.trim_start_matches('#').trim().replace(' ', "-") == heading);
            assert!(heading.is_empty() || is_there, "{path}: {link}");
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} links");
}

#[test]
fn the_gateways_of_the_readme_are_settings_that_fit() {
    let readme = document("README.md");
    let mut settings = blocks(&readme).into_iter().filter(|(language, _)| *language == "toml");
    let (_, printed) = settings.find(|(_, lines)| lines.contains("[delivery]")).unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme.toml");
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
