//! Finds what Docker Hub's builder would have executed of a repository and slipway does not: the image may be another
//! one without it.

use files::view::View;

/// Docker Hub's hooks, in the order of their phases.
const HOOKS: [&str; 10] = [
    "post_checkout",
    "pre_build",
    "build",
    "post_build",
    "pre_test",
    "test",
    "post_test",
    "pre_push",
    "push",
    "post_push",
];

/// Returns a warning for hooks and one for tests that lie beside the Dockerfile, where Docker Hub looks for them.
pub(crate) fn unused(tree: &dyn View, dockerfile: &str) -> Vec<String> {
    let directory = dockerfile.rsplit_once('/').map_or("", |(directory, _)| directory);
    let below = |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
    // The build itself fails on files that cannot be read.
    let names = |path: &str| {
        let children = tree.children(path.as_bytes()).unwrap_or_default();
        children.into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect::<Vec<_>>()
    };
    let known = names(&below("hooks"));
    let hooks: Vec<_> = HOOKS.iter().filter(|hook| known.iter().any(|name| name == *hook)).collect();
    let hooks: Vec<String> = hooks.iter().map(|hook| format!("`{}`", below(&format!("hooks/{hook}")))).collect();
    let is_test = |name: &String| name.ends_with(".test.yml") || name.ends_with("-test.yml");
    let tests: Vec<String> =
        names(directory).iter().filter(|name| is_test(name)).map(|name| format!("`{}`", below(name))).collect();
    let say = |files: &[String], what: &str| {
        (!files.is_empty())
            .then(|| format!("{} not executed: slipway runs none of Docker Hub's {what}", files.join(", ")))
    };
    let hooks = say(&hooks, "hooks; without them the image may be another one");
    hooks.into_iter().chain(say(&tests, "automated tests; the image is pushed untested")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Directory;

    #[test]
    fn hooks_and_tests_beside_the_dockerfile_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        for path in [
            "hooks/useful.ts",
            "app/hooks/pre_build",
            "app/hooks/push",
            "app/docker-compose.test.yml",
            "other.test.yaml",
        ] {
            write(path);
        }
        let view = Directory::open(directory.path(), None).unwrap();
        assert!(unused(&view, "Dockerfile").is_empty());
        let warnings = unused(&view, "app/Dockerfile");
        assert!(warnings[0].starts_with("`app/hooks/pre_build`, `app/hooks/push` not executed"), "{warnings:?}");
        assert!(warnings[1].starts_with("`app/docker-compose.test.yml` not executed"), "{warnings:?}");
    }
}
