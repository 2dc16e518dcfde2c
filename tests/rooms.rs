//! The rooms of `builder`: which files use which, that no files use each other in a circle, and that rooms use only those below.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms from the bottom up: a file uses its own room and those that stand before it. Modules that are not
/// named here may be used by any room, as long as no files use each other in a circle.
const ORDER: [&[&str]; 8] = [
    &["copy", "git"],
    &["context"],
    &["execute"],
    &["image"],
    &["build"],
    &["platforms"],
    &["explain", "hub"],
    &["worker"],
];

/// A module's path within the crate; the crate itself is the empty one.
type Module = Vec<String>;

/// The modules of a crate and their code.
struct Crate {
    modules: BTreeMap<Module, String>,
    /// The names that each module defines itself.
    defined: BTreeMap<Module, BTreeSet<String>>,
    /// The imports of each module: the name in its namespace, and the path that it stands for.
    imported: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Crate {
    fn read(source: &Path) -> Self {
        let mut modules = BTreeMap::new();
        read(source, source, &mut modules);
        let mut read = Crate { modules, defined: BTreeMap::new(), imported: BTreeMap::new() };
        for (module, text) in &read.modules {
            read.defined.insert(module.clone(), text.lines().filter_map(definition).collect());
        }
        for (module, text) in &read.modules {
            let imports = uses(text).into_iter().filter_map(|path| {
                let name = path.last()?.clone();
                Some((name, read.absolute(module, &path)?))
            });
            let imports: BTreeMap<String, Module> = imports.collect();
            read.imported.insert(module.clone(), imports);
        }
        read
    }

    /// Returns a path from the crate's root, for one as it stands in `module`; `None` for one of another crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => return Some(rest.to_vec()),
            "self" => return Some([module, rest].concat()),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            _ => {
                let inner = [module, &path[..1]].concat();
                return self.modules.contains_key(&inner).then(|| [module, path].concat());
            }
        };
        let mut rest = rest;
        while rest.first().is_some_and(|part| part == "super") {
            at.pop();
            rest = &rest[1..];
        }
        Some([at.as_slice(), rest].concat())
    }

    /// Returns the module that defines the item at `path`, following every `pub use`.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let Some(name) = rest.first().filter(|name| !self.defined[module].contains(*name)) else {
            return Some(module.to_vec());
        };
        match self.imported[module].get(name).filter(|target| depth < 8 && target.as_slice() != path) {
            Some(target) => self.home(&[target.as_slice(), &rest[1..]].concat(), depth + 1),
            None => Some(module.to_vec()),
        }
    }

    /// Returns the modules that each module uses. Files that only list others, `mod.rs` and `lib.rs`, use none.
    fn uses(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut used = BTreeMap::new();
        for (module, text) in &self.modules {
            let paths = uses(text).into_iter().chain(inline_paths(text));
            let homes = paths.filter_map(|path| self.home(&self.absolute(module, &path)?, 0));
            let is_list = self.modules.keys().any(|other| other.len() > module.len() && other.starts_with(module));
            let homes: BTreeSet<Module> = homes.filter(|home| home != module && !is_list).collect();
            used.insert(module.clone(), homes);
        }
        used
    }
}

/// Reads all files but those of tests.
fn read(root: &Path, directory: &Path, found: &mut BTreeMap<Module, String>) {
    let mut tests: Vec<Module> = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        if path.is_dir() {
            read(root, &path, found);
            continue;
        }
        let module = module(root, &path);
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("#[cfg(test)]\n").skip(1) {
            let declared = part.lines().next().and_then(|line| line.strip_suffix(';'));
            let name = declared.and_then(|line| line.rsplit(' ').next());
            tests.extend(name.map(|name| [module.as_slice(), &[name.to_owned()]].concat()));
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        found.insert(module, code.join("\n"));
    }
    found.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
}

/// Returns the module that a file is.
fn module(root: &Path, path: &Path) -> Module {
    let path = path.strip_prefix(root).unwrap().with_extension("");
    let mut module: Module = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| name == "mod" || name == "lib") {
        module.pop();
    }
    module
}

/// Returns the name of the item that a line at the left margin defines.
fn definition(line: &str) -> Option<String> {
    let mut words = line.split([' ', '(', '<', ':', ';', '{', '!']).filter(|word| !word.is_empty());
    if line.starts_with(' ') {
        return None;
    }
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"];
    let before = ["pub", "crate)", "super)", "async", "unsafe", "const", "in"];
    loop {
        let word = words.next()?;
        if kinds.contains(&word) && !(word == "const" && line.contains("const fn")) {
            return words.next().map(str::to_owned);
        }
        if !before.contains(&word) {
            return None;
        }
    }
}

/// Returns the paths of all `use` statements.
fn uses(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let line = rest[..at].rsplit('\n').next().unwrap_or_default().trim_start();
        let statement = rest[at + 4..].split(';').next().unwrap_or_default();
        if line.is_empty() || line.starts_with("pub") {
            flatten(statement, &[], &mut found);
        }
        rest = &rest[at + 4..];
    }
    found
}

fn flatten(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, Some(group.trim_end().strip_suffix('}').unwrap_or(group))),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let parts = path
        .split("::")
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "self" || before.is_empty() && *part == "self");
    let path: Vec<String> =
        before.iter().cloned().chain(parts.filter(|part| !part.is_empty()).map(str::to_owned)).collect();
    let Some(group) = group else {
        found.push(path);
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&group[start..at], &path, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !group[start..].trim().is_empty() {
        flatten(&group[start..], &path, found);
    }
}

/// Returns the paths that begin with `crate::` or `super::` anywhere else.
fn inline_paths(text: &str) -> Vec<Vec<String>> {
    let is_path = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    let words =
        text.split(|char| !is_path(char)).filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    words.map(|word| word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()).collect()
}

fn shown(module: &[String]) -> String {
    if module.is_empty() { "lib.rs".to_owned() } else { module.join("/") }
}

fn builder() -> Crate {
    Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("builder/src"))
}

#[test]
fn no_files_of_the_builder_use_each_other_in_a_circle() {
    let uses = builder().uses();
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 400, "the files were not read");
    // Modules that use nothing are in no circle: they are removed until only circles are left.
    let mut left = uses;
    loop {
        let top: Vec<Module> =
            left.iter().filter(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()).collect();
        if top.is_empty() {
            break;
        }
        for module in &top {
            left.remove(module);
        }
        left.values_mut().for_each(|used| used.retain(|module| !top.contains(module)));
    }
    let circles: Vec<String> = left
        .iter()
        .map(|(module, used)| {
            format!("{} -> {}", shown(module), used.iter().map(|used| shown(used)).collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert!(circles.is_empty(), "files that use each other, or use those that do:\n{}", circles.join("\n"));
}

#[test]
fn rooms_of_the_builder_use_only_those_below() {
    let place = |module: &Module| {
        let room = module.first()?;
        ORDER.iter().position(|level| level.contains(&room.as_str()))
    };
    let mut broken = Vec::new();
    for (module, used) in builder().uses() {
        let higher = |other: &&Module| {
            place(&module)
                .zip(place(other))
                .is_some_and(|(here, there)| there > here || (there == here && module[0] != other[0]))
        };
        broken.extend(
            used.iter().filter(higher).map(|other| format!("{} must not use {}", shown(&module), shown(other))),
        );
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
