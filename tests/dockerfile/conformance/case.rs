//! A case: read from TOML, its context written, its expectation compared.

use super::image::Image;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Time of every file of a context that is given no other.
const MTIME: i64 = 1_600_000_000;

/// The content of a case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The file's name.
    #[serde(skip)]
    pub name: String,
    /// The subject of the case, in a sentence.
    pub about: String,
    /// The Dockerfile.
    pub dockerfile: String,
    /// Where it lies in the context.
    #[serde(default = "default_file")]
    pub file: String,
    /// Further arguments of `slipway build`; paths in them are relative to the context.
    #[serde(default)]
    pub args: Vec<String>,
    /// The context: content by path. `-> x` is a link, a path with `/` at its end a directory.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Names that mean the image `base` too: a Dockerfile of the wild starts from others.
    #[serde(default)]
    pub images: Vec<String>,
    /// Modes of files of the context, octal.
    #[serde(default)]
    pub modes: BTreeMap<String, String>,
    /// Commands that prepare the context, run by the shell in it.
    #[serde(default)]
    pub prepare: String,
    /// Part of the message with which the build fails.
    pub fails: Option<String>,
    /// Texts in the output of the build.
    #[serde(default)]
    pub says: Vec<String>,
    /// Texts that are not in it.
    #[serde(default)]
    pub never_says: Vec<String>,
    /// The paths of the new layers, flattened.
    pub rootfs: Option<String>,
    /// The names in each new layer.
    pub layers: Option<Vec<Vec<String>>>,
    /// Fields of the configuration.
    pub config: Option<serde_json::Value>,
    /// `created_by` of the new history entries.
    pub history: Option<Vec<String>>,
    /// Whether two builds differ by nature.
    #[serde(default)]
    pub never_same: bool,
}

fn default_file() -> String {
    "Dockerfile".to_owned()
}

impl Case {
    /// Reads a case file.
    pub(crate) fn read(path: &Path) -> Case {
        let text = std::fs::read_to_string(path).unwrap();
        let mut case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        case.name = path.file_stem().unwrap().to_string_lossy().into_owned();
        case
    }

    /// Writes the context.
    pub(crate) fn write_context(&self, root: &Path) {
        std::fs::create_dir_all(root.join(&self.file).parent().unwrap()).unwrap();
        for (name, content) in &self.files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match (name.ends_with('/'), content.strip_prefix("-> ")) {
                (true, _) => std::fs::create_dir_all(&path).unwrap(),
                (_, Some(target)) => std::os::unix::fs::symlink(target, &path).unwrap(),
                _ => std::fs::write(&path, content).unwrap(),
            }
        }
        std::fs::write(root.join(&self.file), &self.dockerfile).unwrap();
        for (name, mode) in &self.modes {
            super::set("chmod", &[mode], &root.join(name));
        }
        super::run(super::Command::new("sh").args(["-ec", &self.prepare]).current_dir(root));
        let stamp = format!("find . -depth -exec touch -h -d @{MTIME} {{}} +");
        super::run(super::Command::new("sh").args(["-ec", &stamp]).current_dir(root));
    }

    /// Returns where `image` is not what it must be.
    pub(crate) fn compare(&self, image: &Image) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(rootfs) = &self.rootfs {
            compare_files(rootfs, image, &mut problems);
        }
        if let Some(layers) = &self.layers
            && *layers != image.layers
        {
            problems.push(format!("layers must be {layers:?}, are {:?}", image.layers));
        }
        if let Some(history) = &self.history
            && *history != image.history
        {
            problems.push(format!("history must be {history:#?}, is {:#?}", image.history));
        }
        for (key, wanted) in self.config.iter().flat_map(|config| config.as_object().unwrap()) {
            let found = &image.config["config"][key];
            // A field that is not there is written as null in a case: TOML has none, so "" stands for it.
            if found != wanted && !(found.is_null() && wanted == "") {
                problems.push(format!("{key} must be {wanted}, is {found}"));
            }
        }
        problems
    }
}

/// Compares line by line: `path mode owner`, then `"content"`, `-> target` or `= name`, then `+attribute` for each extended one
/// and `@time` where it counts.
fn compare_files(wanted: &str, image: &Image, problems: &mut Vec<String>) {
    let timeless = |line: &str| line.rsplit_once(" @").map_or(line.to_owned(), |(line, _)| line.to_owned());
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut found = image.files.iter();
    let mut rest: Vec<_> = wanted.iter().collect();
    let mut extra: Vec<_> = found.by_ref().collect();
    rest.retain(|line| {
        let position = extra.iter().position(|found| match line.contains(" @") {
            true => **found == ***line,
            false => timeless(found) == ***line,
        });
        position.is_none_or(|at| {
            extra.remove(at);
            false
        })
    });
    problems.extend(rest.iter().map(|line| format!("missing: {line}")));
    problems.extend(extra.iter().map(|line| format!("too much: {line}")));
}
