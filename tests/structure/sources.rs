//! The files of the repository.

use std::path::Path;

/// The folders and files at the top whose text is measured.
const PLACES: [&str; 12] = [
    "src",
    "domain",
    "projections",
    "guard",
    "tests",
    "benches",
    "examples",
    "migrations",
    "docs",
    "script",
    "README.md",
    "CONTRIBUTING.md",
];

/// Folders that hold what is made or was written by others.
const PASSED_OVER: [&str; 4] = ["target", "node_modules", "proptest-regressions", "__pycache__"];

/// A Rust file of the repository.
pub struct RustFile {
    /// The path from the top of the repository: `src/http/mod.rs`.
    pub path: String,
    pub text: String,
    pub syntax: syn::File,
}

/// A file of text, which may be a Rust file.
pub struct TextFile {
    pub path: String,
    pub text: String,
}

/// All files of the repository that are measured.
pub struct Sources {
    pub texts: Vec<TextFile>,
}

impl Sources {
    /// Reads all files of the repository.
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = Vec::new();
        for place in PLACES {
            collect(root, Path::new(place), &mut texts);
        }
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        Self { texts }
    }

    /// Parses the Rust files whose paths begin with that.
    pub fn rust(&self, prefix: &str) -> Vec<RustFile> {
        let files =
            self.texts.iter().filter(|file| file.path.ends_with(".rs") && file.path.starts_with(prefix));
        let parsed = files.map(|file| {
            let syntax = syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
            RustFile { path: file.path.clone(), text: file.text.clone(), syntax }
        });
        parsed.collect()
    }
}

impl RustFile {
    /// Returns whether the file is part of the service or of its crates, and not of their tests or benchmarks.
    pub fn is_production(&self) -> bool {
        let in_source = self.path.starts_with("src/") || self.path.contains("/src/");
        in_source && !self.path.contains("/tests/") && !self.path.ends_with("/tests.rs")
    }
}

/// Adds the file, or the files below the folder. What is no UTF-8 is no text.
fn collect(root: &Path, path: &Path, found: &mut Vec<TextFile>) {
    let full = root.join(path);
    let name = path.file_name().unwrap().to_string_lossy();
    if full.is_dir() && !PASSED_OVER.contains(&&*name) {
        for entry in std::fs::read_dir(&full).unwrap() {
            collect(root, &path.join(entry.unwrap().file_name()), found);
        }
    } else if full.is_file()
        && let Ok(text) = std::fs::read_to_string(&full)
    {
        found.push(TextFile { path: path.to_str().unwrap().to_owned(), text });
    }
}
