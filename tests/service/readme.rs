//! The README's lines work in order, as printed.

use std::path::Path;
use std::process::Command;

use crate::support::{Node, TestDatabase};

#[test]
fn the_curl_lines_of_the_readme_work_in_order_as_printed() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let printed: String = blocks.collect();
    assert!(printed.matches("curl").count() >= 8, "{printed}");

    let database = TestDatabase::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let node = Node::start(&folder, &[("DATABASE_URL", &database.url.0)]);
    let script = printed.replace("127.0.0.1:8000", &node.api.address().to_string());
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for expected in [
        "\"fullname\":\"Ada Lovelace\"",
        "{}",
        "\"current\":true",
        "Ada’s phone",
        "406\n",
        "204\n204\n204\n",
        "invalid_access_token",
        "توکن",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
