//! The README's lines work in order, as printed.

use std::path::Path;
use std::process::Command;

use counterfoil::settings::Sources;

use crate::support::{Node, TestDatabase};

#[test]
fn the_curl_lines_of_the_readme_work_in_order_as_printed() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let printed: String = blocks.collect();
    assert!(printed.matches("curl").count() >= 8, "{printed}");

    let database = TestDatabase::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let node =
        Node::start(&folder, &[("DATABASE_URL", &database.url.0), ("COUNTERFOIL__LIMITS__SHARED", "on")]);
    let script = printed.replace("127.0.0.1:8000", &node.api.address().to_string());
    // As in the folder of the server, with its command at hand.
    let (path, binary) = (std::env::var("PATH").unwrap(), Path::new(env!("CARGO_BIN_EXE_counterfoil")));
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(&folder)
        .env("PATH", format!("{}:{path}", binary.parent().unwrap().display()))
        .env("DATABASE_URL", &database.url.0)
        .env("COUNTERFOIL_PROFILE", "development")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
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

#[test]
fn the_gateways_of_the_readme_are_settings_that_fit() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut blocks = readme.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let printed = blocks.find(|block| block.contains("[delivery]")).unwrap();
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
