//! The public interface of the library: every item that `src/lib.rs` exports, with what can be seen of it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a syntax tree has more kinds of items than an interface"
)]

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{ImplItem, Item, ItemImpl, TraitItem, Type, UseTree, Visibility};

use crate::sources::{RustFile, Sources};

/// A line for each item, and one for each of its public fields, variants and functions below it.
pub fn public_interface(sources: &Sources) -> Vec<String> {
    let library = sources.rust("src/lib.rs").remove(0);
    let files: Vec<RustFile> = ["src/", "domain/src/", "projections/src/", "guard/src/"]
        .iter()
        .flat_map(|at| sources.rust(at))
        .collect();
    let mut exported = BTreeMap::new();
    collect_exports(&library.syntax.items, "counterfoil", &mut exported);
    let described = exported.iter().flat_map(|(name, path)| describe(name, path, &files));
    described.collect()
}

/// Adds the name of each exported item with the path that it is exported from.
fn collect_exports(items: &[Item], module: &str, exported: &mut BTreeMap<String, Vec<String>>) {
    for item in items {
        match item {
            Item::Use(used) if matches!(used.vis, Visibility::Public(_)) => {
                collect_leaves(&used.tree, &mut Vec::new(), &mut |path: &[String]| {
                    let name = path.last().expect("a path has a last part");
                    exported.insert(format!("{module}::{name}"), path.to_vec());
                });
            }
            Item::Mod(inner) if matches!(inner.vis, Visibility::Public(_)) => {
                let name = inner.ident.to_string();
                if let Some((_, items)) = &inner.content {
                    collect_exports(items, &format!("{module}::{name}"), exported);
                }
            }
            _ => {}
        }
    }
}

fn collect_leaves(tree: &UseTree, before: &mut Vec<String>, take: &mut impl FnMut(&[String])) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            collect_leaves(&path.tree, before, take);
            before.pop();
        }
        UseTree::Name(name) => {
            before.push(name.ident.to_string());
            take(before);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect_leaves(tree, before, take)),
        UseTree::Rename(_) | UseTree::Glob(_) => {
            panic!("an export names its item: {}", tree.to_token_stream())
        }
    }
}

/// Describes an item where it is declared; one of another project by its path alone.
fn describe(name: &str, path: &[String], files: &[RustFile]) -> Vec<String> {
    let item = path.last().expect("a path has a last part");
    let mut candidates: Vec<(&RustFile, Item)> = files
        .iter()
        .filter_map(|file| {
            let found = all_items(&file.syntax.items).find(|declared| declares(declared, item))?;
            Some((file, found.clone()))
        })
        .collect();
    // Of several items of one name it is the one in the folder of the module that exports it.
    let module = path.iter().rev().nth(1).map(|module| format!("/{module}"));
    candidates.sort_by_key(|(file, _)| !module.as_ref().is_some_and(|module| file.path.contains(module)));
    let declared = candidates.into_iter().next();
    let Some((file, declared)) = declared else { return vec![format!("{name}: {}", path.join("::"))] };
    let mut lines = vec![format!("{name}: {}", heading(&declared))];
    lines.extend(members(&declared).into_iter().map(|member| format!("    {member}")));
    let crate_of = |path: &str| path.split("src/").next().unwrap_or_default().to_owned();
    let home = crate_of(&file.path);
    let same_crate = files.iter().filter(|file| crate_of(&file.path) == home);
    let mut functions: Vec<String> = same_crate
        .flat_map(|file| all_items(&file.syntax.items))
        .filter_map(|found| if let Item::Impl(found) = found { Some(found) } else { None })
        .filter(|found| found.trait_.is_none() && is_of(found, item))
        .flat_map(|found| found.items.iter().filter_map(public_function))
        .map(|signature| format!("    {signature}"))
        .collect();
    functions.sort();
    lines.extend(functions);
    lines
}

/// All items, and those of the modules within the file that are no tests.
fn all_items(items: &[Item]) -> impl Iterator<Item = &Item> {
    items.iter().filter(|item| !matches!(item, Item::Mod(inner) if inner.ident == "tests"))
}

fn declares(item: &Item, name: &str) -> bool {
    let (visibility, ident) = match item {
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_)) && ident == name
}

fn heading(item: &Item) -> String {
    match item {
        Item::Struct(item) => text(&format!("struct {}{}", item.ident, item.generics.to_token_stream())),
        Item::Enum(item) => text(&format!("enum {}{}", item.ident, item.generics.to_token_stream())),
        Item::Trait(item) => text(&format!("trait {}: {}", item.ident, item.supertraits.to_token_stream())),
        Item::Fn(item) => text(&item.sig.to_token_stream().to_string()),
        _ => String::new(),
    }
}

fn members(item: &Item) -> Vec<String> {
    match item {
        Item::Struct(item) => {
            let fields = item.fields.iter().filter(|field| matches!(field.vis, Visibility::Public(_)));
            let named = fields.map(|field| {
                let name = field.ident.as_ref().map_or_else(|| "0".to_owned(), ToString::to_string);
                text(&format!("{name}: {}", field.ty.to_token_stream()))
            });
            named.collect()
        }
        Item::Enum(item) => {
            let variants = item.variants.iter().cloned().map(|mut variant| {
                variant.attrs.clear();
                variant.fields.iter_mut().for_each(|field| field.attrs.clear());
                text(&variant.to_token_stream().to_string())
            });
            variants.collect()
        }
        Item::Trait(item) => {
            let functions = item.items.iter().filter_map(|item| {
                if let TraitItem::Fn(function) = item { Some(&function.sig) } else { None }
            });
            functions.map(|signature| text(&signature.to_token_stream().to_string())).collect()
        }
        _ => Vec::new(),
    }
}

fn is_of(found: &ItemImpl, name: &str) -> bool {
    let Type::Path(path) = &*found.self_ty else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == name)
}

fn public_function(item: &ImplItem) -> Option<String> {
    match item {
        ImplItem::Fn(function) if matches!(function.vis, Visibility::Public(_)) => {
            Some(text(&function.sig.to_token_stream().to_string()))
        }
        ImplItem::Const(constant) if matches!(constant.vis, Visibility::Public(_)) => {
            Some(text(&format!("const {}: {}", constant.ident, constant.ty.to_token_stream())))
        }
        _ => None,
    }
}

/// Tokens as people write them.
fn text(tokens: &str) -> String {
    let mut text = tokens.to_owned();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" > ", "> "),
        (" >", ">"),
        ("< ", "<"),
        (" ,", ","),
        (" :", ":"),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        (" ;", ";"),
        (", )", ")"),
        (",)", ")"),
        ("  ", " "),
        ("> (", ">("),
        ("-> (", "-> ("),
    ] {
        text = text.replace(from, to);
    }
    text.trim().to_owned()
}
