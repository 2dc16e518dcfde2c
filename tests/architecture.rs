//! The house as `ARCHITECTURE.md` draws it: arrows point down, heavy libraries have one owner, files stay small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which of our crates each crate may use.
const ARROWS: [(&str, &[&str]); 12] = [
    (
        ".",
        &[
            "webhook",
            "registry",
            "container",
            "bake",
            "builder",
            "dockerfile",
            "files",
            "database",
            "image-store",
            "registry-client",
            "runtime",
        ],
    ),
    ("webhook", &["database"]),
    ("registry", &["database", "image-store", "registry-client"]),
    ("container", &["files", "image-store", "registry-client", "runtime"]),
    ("builder", &["bake", "dockerfile", "files", "database", "image-store", "registry-client", "runtime"]),
    ("dockerfile", &["files", "registry-client"]),
    ("image-store", &["registry-client"]),
    ("database", &[]),
    ("registry-client", &[]),
    ("runtime", &["files"]),
    ("files", &[]),
    ("bake", &[]),
];

/// Which crates may use a heavy library.
const OWNERS: [(&str, &[&str]); 16] = [
    ("argon2", &["database"]),
    ("axum", &["webhook", "registry", "."]),
    ("sqlx", &["database"]),
    ("git2", &["builder"]),
    ("octocrab", &["webhook"]),
    ("jsonwebtoken", &["webhook"]),
    ("flate2", &["builder", "webhook"]),
    ("libdeflater", &["builder"]),
    ("zstd", &["builder"]),
    // The program's commands speak to a server's API; `registry-client` speaks to registries and nothing else.
    ("reqwest", &["registry-client", "."]),
    ("nix", &["runtime"]),
    // Pipes among the files of an image that are written to a directory.
    ("rustix", &["runtime", "builder"]),
    ("clap", &["."]),
    ("toml", &["webhook", "."]),
    ("hcl-edit", &["bake"]),
    ("saphyr-parser", &["bake"]),
];

/// Lines that a file may have.
const MAX_LINES: usize = 420;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn dependencies(package: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or("").split("\n[").next().unwrap_or("").to_owned();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

fn sources(directory: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path.clone(), std::fs::read_to_string(path).unwrap());
        }
    }
}

fn sources_of(package: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    sources(&root().join(package).join("src"), &mut found);
    found
}

#[test]
fn arrows_point_down() {
    let ours: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (package, allowed) in ARROWS {
        for dependency in dependencies(package) {
            let known = ours.contains(&dependency.as_str());
            assert!(!known || allowed.contains(&dependency.as_str()), "`{package}` must not use `{dependency}`");
        }
    }
}

#[test]
fn heavy_libraries_have_one_owner() {
    for (library, owners) in OWNERS {
        for (package, _) in ARROWS {
            let used = dependencies(package).iter().any(|name| name == library);
            assert!(
                !used || owners.contains(&package),
                "`{package}` must not use `{library}`: it belongs to {owners:?}"
            );
        }
    }
    for (path, text) in sources_of("builder") {
        let inside = |part: &str| path.components().any(|component| component.as_os_str() == part);
        if inside("fuzz") {
            // Fuzz targets make packs and streams of their own; no build has them.
            continue;
        }
        assert!(!text.contains("git2::") || inside("git"), "{path:?}: git2 belongs to builder::git");
        let gzip = ["flate2::", "libdeflater::"].iter().any(|library| text.contains(library));
        assert!(!gzip || inside("layer"), "{path:?}: gzip belongs to builder::layer");
    }
    for (path, text) in sources_of("webhook") {
        assert!(
            !text.contains("octocrab::") || path.components().any(|part| part.as_os_str() == "forges"),
            "{path:?}: octocrab belongs to webhook::forges"
        );
    }
}

#[test]
fn only_the_sandbox_is_unsafe_and_only_the_program_reads_its_environment() {
    for (package, _) in ARROWS {
        for (path, text) in sources_of(package) {
            let head = path.ends_with("lib.rs") || path.ends_with("main.rs");
            if package != "runtime" {
                assert!(!head || text.contains("#![forbid(unsafe_code)]"), "{path:?} does not forbid unsafe code");
            }
            let reads = ["env::var(", "env::var_os(", "env::vars("].iter().any(|call| text.contains(call));
            assert!(!reads || package == ".", "{path:?} reads the environment");
        }
    }
}

#[test]
fn files_are_small_and_say_what_they_hold() {
    for (package, _) in ARROWS {
        for (path, text) in sources_of(package) {
            assert!(text.lines().count() <= MAX_LINES, "{path:?} has {} lines", text.lines().count());
            assert!(text.starts_with("//!"), "{path:?} does not say what it holds");
        }
    }
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 150, "ARCHITECTURE.md has {} lines", map.lines().count());
}
