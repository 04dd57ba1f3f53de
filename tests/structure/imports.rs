//! Which modules at the top of `src/` import which others.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use super::sources::Sources;

/// The imports of each module at the top of `src/`: by the imported module, the first file that imports it.
#[derive(Debug)]
pub struct ImportGraph(BTreeMap<String, BTreeMap<String, String>>);

impl ImportGraph {
    /// Reads the paths in all files below `src/`, those of their tests included.
    pub fn read(sources: &Sources) -> Self {
        let mut graph = BTreeMap::new();
        for file in sources.rust("src/") {
            let Some(path) = file.path.strip_prefix("src/") else { continue };
            let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
            parts.retain(|part| *part != "mod");
            graph.entry(parts[0].to_owned()).or_insert_with(BTreeMap::new);
            let mut reader = PathReader { depth: parts.len(), found: BTreeSet::new() };
            reader.visit_file(&file.syntax);
            let imports: &mut BTreeMap<_, _> = graph.get_mut(parts[0]).unwrap();
            for module in reader.found {
                imports.entry(module).or_insert_with(|| file.path.clone());
            }
        }
        let modules: BTreeSet<String> =
            graph.keys().filter(|name| !["lib", "main"].contains(&name.as_str())).cloned().collect();
        graph.retain(|name, _| modules.contains(name));
        for (name, imports) in &mut graph {
            imports.retain(|module, _| module != name && modules.contains(module));
        }
        Self(graph)
    }

    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the modules that import that one, each with a file that does.
    pub fn importers(&self, imported: &str) -> BTreeMap<&str, &str> {
        let importers = self.0.iter().filter_map(|(name, imports)| {
            let file = imports.get(imported)?;
            Some((name.as_str(), file.as_str()))
        });
        importers.collect()
    }

    /// Returns a circle of imports where there is one: each module with the file by which it imports the next.
    pub fn circle(&self) -> Option<Vec<String>> {
        let mut done = BTreeSet::new();
        self.modules().find_map(|module| self.circle_from(module, &mut Vec::new(), &mut done))
    }

    fn circle_from<'a>(
        &'a self,
        module: &'a str,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|passed| *passed == module) {
            let circle = &way[start..];
            let next = circle.iter().cycle().skip(1);
            let steps = circle.iter().zip(next).map(|(from, to)| {
                let file = &self.0[*from][*to];
                format!("{from} -> {to} ({file})")
            });
            return Some(steps.collect());
        }
        if done.contains(module) {
            return None;
        }
        way.push(module);
        let found = self.0[module].keys().find_map(|next| self.circle_from(next, way, done));
        way.pop();
        done.insert(module);
        found
    }
}

/// Finds the modules at the top of the crate that the paths of a file begin with.
struct PathReader {
    /// How many modules there are between the crate and the place that is read, the latter included.
    depth: usize,
    found: BTreeSet<String>,
}

impl PathReader {
    /// Takes a path by its segments. `super` as often as the depth is the crate itself.
    fn take(&mut self, segments: &[String]) {
        let at = match segments.first().map(String::as_str) {
            Some("crate") => 1,
            Some("super" | "self") => {
                let rest = segments.iter().skip_while(|segment| *segment == "self");
                let supers = rest.take_while(|segment| *segment == "super").count();
                if supers != self.depth {
                    return;
                }
                segments.iter().take_while(|segment| ["self", "super"].contains(&segment.as_str())).count()
            }
            _ => return,
        };
        self.found.extend(segments.get(at).cloned());
    }

    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.take(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.take(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.take(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before)),
        }
    }

    /// Takes the paths in the tokens of a macro, which have no syntax.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.take(&std::mem::take(&mut segments));
                    }
                    segments.push(ident.to_string());
                }
                TokenTree::Group(group) => {
                    self.take(&std::mem::take(&mut segments));
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.take(&std::mem::take(&mut segments)),
            }
            colons = 0;
        }
        self.take(&segments);
    }
}

impl<'ast> Visit<'ast> for PathReader {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.depth += 1;
        syn::visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.take(&segments);
        syn::visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in crate::delivery)` imports nothing.
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        // Links in comments import nothing.
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

#[test]
fn a_circle_is_found_with_the_files_that_close_it() {
    let import = |module: &str| (module.to_owned(), format!("src/{module}.rs"));
    let graph = [("a", vec!["b"]), ("b", vec!["c", "d"]), ("c", vec![]), ("d", vec!["b"])];
    let graph = graph.map(|(name, imports)| (name.to_owned(), imports.into_iter().map(import).collect()));
    let graph = ImportGraph(graph.into_iter().collect());
    assert_eq!(graph.circle().unwrap(), ["b -> d (src/d.rs)", "d -> b (src/b.rs)"]);
    assert_eq!(graph.importers("b").into_keys().collect::<Vec<_>>(), ["a", "d"]);
}

#[test]
fn a_module_is_imported_by_every_form_of_path() {
    let code = "
        //! Not [`crate::comment`].
        use crate::{one::One, two};
        use super::super::three::Three;
        use super::sibling;
        pub(in crate::visible) struct S(crate::four::Four);
        fn f() { format!(\"{}\", crate::five::FIVE); let _ = crate::six::f(); }
        mod tests { use super::super::super::seven; use crate::eight as other; use super::super::sibling; }
    ";
    let mut reader = PathReader { depth: 2, found: BTreeSet::new() };
    reader.visit_file(&syn::parse_file(code).unwrap());
    let mut expected = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
    expected.sort_unstable();
    assert_eq!(reader.found.into_iter().collect::<Vec<_>>(), expected);
}
