//! Says why a path to copy is not there: what it is called instead, what hides it, what stands in its way.

use dockerfile::suggest_name;
use files::ignore::Ignore;
use files::path::{clean_path, join};
use files::tree::resolve_in;
use files::view::{EntryKind, View};

/// Names of a directory that are compared with one that is missing.
const MAX_NAMES: usize = 10_000;

/// A place that a path is looked for in.
pub(crate) struct Searched<'s> {
    /// All its files, those that are ignored included.
    pub view: &'s dyn View,
    /// Hides some of them.
    pub ignore: Option<&'s Ignore>,
    /// The place in words: `the context`, ``stage `build` ``.
    pub name: &'s str,
}

/// Returns the sentence for `source`, which is missing: what was asked for, why it is not there, what would be right.
pub(crate) fn absent(searched: &Searched<'_>, source: &str) -> String {
    let path = clean_path(source.as_bytes());
    let shown = String::from_utf8_lossy(&path).into_owned();
    let name = searched.name;
    let missing = format!("`{shown}` is not in {name}");
    let outside = source.split('/').any(|part| part == "..");
    let outside = if outside { format!("; `..` does not lead out of {name}") } else { String::new() };
    let lookup = |path: &[u8]| searched.view.lookup(path).ok().flatten();
    let resolved = match resolve_in(&path, lookup) {
        Ok(resolved) => resolved,
        Err(loops) => return format!("{missing}: {loops}"),
    };
    if let Some(rule) = hidden_by(searched, &path, &resolved) {
        return format!("{missing}: it is excluded by {rule}");
    }
    let (at, blocked) = deepest(searched.view, &resolved);
    if blocked {
        return format!("{missing}: `{}` is a file, not a directory", String::from_utf8_lossy(&at));
    }
    if resolved != path {
        let target = String::from_utf8_lossy(&resolved);
        return format!("{missing}: a symbolic link leads to `{target}`, which does not exist{outside}");
    }
    let rest = if at.is_empty() { &path[..] } else { &path[(at.len() + 1).min(path.len())..] };
    let wanted = rest.split(|&byte| byte == b'/').next().unwrap_or(rest);
    let meant = nearest(searched.view, &at, wanted).map(|near| join(&at, near.as_bytes()));
    let Some(mut meant) = meant else { return missing + &outside };
    // The rest of the path is taken along where it exists there.
    let whole = join(&meant, rest.get(wanted.len() + 1..).unwrap_or_default());
    if lookup(&whole).is_some() {
        meant = whole;
    }
    format!("{missing}{outside} (did you mean `{}`?)", String::from_utf8_lossy(&meant))
}

/// Returns the sentence for a source with BuildKit's words at the end: people look for them.
pub(crate) fn not_found(searched: &Searched<'_>, source: &str) -> String {
    let path = clean_path(source.as_bytes());
    format!("{}: \"/{}\": not found", absent(searched, source), String::from_utf8_lossy(&path))
}

/// Returns the line that hides a path which is there.
fn hidden_by(searched: &Searched<'_>, path: &[u8], resolved: &[u8]) -> Option<String> {
    searched.view.lookup(resolved).ok().flatten()?;
    let ignore = searched.ignore?;
    ignore.hiding(resolved).or_else(|| ignore.hiding(path))
}

/// Returns the last directory on the way to `path` that exists, or the file that ends the way.
fn deepest(view: &dyn View, path: &[u8]) -> (Vec<u8>, bool) {
    let mut at = 0;
    for end in (0..path.len()).filter(|&at| path[at] == b'/') {
        match view.lookup(&path[..end]).ok().flatten() {
            Some(node) if node.kind == EntryKind::Directory => at = end,
            Some(_) => return (path[..end].to_vec(), true),
            None => break,
        }
    }
    (path[..at].to_vec(), false)
}

/// Returns the name in a directory that is most like the one that is missing.
fn nearest(view: &dyn View, directory: &[u8], wanted: &[u8]) -> Option<String> {
    let wanted = String::from_utf8_lossy(wanted).into_owned();
    let children = view.children(directory).ok()?;
    let names: Vec<String> =
        children.iter().take(MAX_NAMES).map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    let other_case = names.iter().find(|name| name.to_lowercase() == wanted.to_lowercase());
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase();
    other_case
        .cloned()
        .or_else(|| suggest_name(&wanted, names.iter().map(String::as_str)))
        .or_else(|| names.iter().find(|name| stem(name) == stem(&wanted)).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Directory;

    #[test]
    fn a_missing_source_says_why_and_what_is_there() {
        // US-20
        let place = tempfile::tempdir().unwrap();
        for file in ["assets/Logo.svg", "assets/main.css", "src/lib.rs", "README.md"] {
            let path = place.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", place.path().join("link")).unwrap();
        let view = Directory::open(place.path(), None).unwrap();
        let ignore = crate::context::parse_ignore(b"# css\n\n**/*.css\n", ".dockerignore").unwrap();
        let searched = Searched { view: &view, ignore: Some(&ignore), name: "the context" };
        for (source, expected) in [
            ("assets/logo.svg", "`assets/logo.svg` is not in the context (did you mean `assets/Logo.svg`?)"),
            ("asets/Logo.svg", "`asets/Logo.svg` is not in the context (did you mean `assets/Logo.svg`?)"),
            (
                "assets/main.css",
                "`assets/main.css` is not in the context: it is excluded by .dockerignore line 3 (`**/*.css`)",
            ),
            ("README.md/x", "`README.md/x` is not in the context: `README.md` is a file, not a directory"),
            ("/readme.md", "`readme.md` is not in the context (did you mean `README.md`?)"),
            ("../other", "`other` is not in the context; `..` does not lead out of the context"),
            ("link", "`link` is not in the context: a symbolic link leads to `nowhere`, which does not exist"),
            ("README.txt", "`README.txt` is not in the context (did you mean `README.md`?)"),
            ("zzz", "`zzz` is not in the context"),
        ] {
            assert_eq!(absent(&searched, source), expected, "{source}");
        }
    }
}
