//! The examples, which show the library as another program sees it.

use std::collections::BTreeSet;

use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{ItemUse, UseTree};

use crate::sources::RustFile;

/// The crates of this repository that a program does not name.
const INTERNAL_CRATES: [&str; 2] = ["counterfoil_domain", "counterfoil_projections"];

/// Returns the paths in a file that begin with `counterfoil::` or with an internal crate, and lead to no exported item. A module by
/// itself is no item, since what is used through its short name would not be checked.
pub fn internal_paths(file: &RustFile, exported: &BTreeSet<&str>) -> Vec<String> {
    let mut paths = FoundPaths::default();
    paths.visit_file(&file.syntax);
    let is_internal = |path: &String| {
        let first = path.split("::").next().unwrap_or_default();
        INTERNAL_CRATES.contains(&first) || first == "counterfoil" && !leads_to_export(path, exported)
    };
    paths.0.into_iter().filter(is_internal).collect()
}

/// Whether a path is that of an exported item, or leads into one: `counterfoil::actix_web::web::Data`.
fn leads_to_export(path: &str, exported: &BTreeSet<&str>) -> bool {
    let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]);
    ends.into_iter().any(|end| exported.contains(&path[..end]))
}

/// Every path of a file, in full where it stands in a `use`.
#[derive(Default)]
struct FoundPaths(Vec<String>);

impl FoundPaths {
    fn take_tree(&mut self, before: &str, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.take_tree(&format!("{before}{}::", path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.take_tree(before, tree)),
            UseTree::Name(name) if name.ident == "self" => {
                self.0.push(before.trim_end_matches("::").to_owned());
            }
            UseTree::Name(name) => self.0.push(format!("{before}{}", name.ident)),
            UseTree::Rename(name) => self.0.push(format!("{before}{}", name.ident)),
            UseTree::Glob(_) => self.0.push(format!("{before}*")),
        }
    }
}

impl Visit<'_> for FoundPaths {
    fn visit_item_use(&mut self, item: &ItemUse) {
        self.take_tree("", &item.tree);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.0.push(
            path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::"),
        );
        syn::visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &syn::Attribute) {
        // A path in a derive is not parsed as one.
        let written = attribute.meta.to_token_stream().to_string().replace(' ', "");
        let words = written.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        self.0.extend(words.filter(|word| word.contains("::")).map(str::to_owned));
    }
}
