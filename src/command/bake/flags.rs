//! A target as the flags of `slipway build`: what cannot be built as it is written is refused.

use bake::{Target, is_path};
use std::path::Path;

/// The command line of one target.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// The flags, and the context at the end.
    pub words: Vec<String>,
    /// Names of contexts, and the targets that they are.
    pub needs: Vec<(String, String)>,
}

impl Flags {
    fn add(&mut self, flag: &str, value: &str) {
        self.words.push(format!("--{flag}={value}"));
    }

    /// Adds the attributes that are lists.
    fn add_lists(&mut self, target: &Target) {
        let texts = [
            ("tag", target.tags.as_deref().unwrap_or_default()),
            ("platform", target.platforms.as_deref().unwrap_or_default()),
            ("annotation", &target.annotations),
            ("no-cache-filter", &target.no_cache_filter),
            ("ulimit", &target.ulimits),
            ("allow", &target.entitlements),
        ];
        for (flag, values) in texts {
            values.iter().for_each(|value| self.add(flag, value));
        }
        let entries = [
            ("output", target.outputs.as_deref().unwrap_or_default()),
            ("cache-from", &target.cache_from),
            ("cache-to", target.cache_to.as_deref().unwrap_or_default()),
            ("attest", &target.attest),
        ];
        for (flag, values) in entries {
            values.iter().for_each(|value| self.add(flag, &value.to_flag()));
        }
        target.secrets.iter().for_each(|secret| self.add("secret", &secret.to_flag()));
        target.ssh.iter().for_each(|ssh| self.add("ssh", &ssh.to_flag()));
    }

    /// Adds the attributes that are one text.
    fn add_texts(&mut self, target: &Target) {
        let single = [
            ("target", &target.target),
            ("network", &target.network),
            ("shm-size", &target.shm_size),
            ("call", &target.call),
        ];
        for (flag, value) in single {
            value.iter().filter(|value| !value.is_empty()).for_each(|value| self.add(flag, value));
        }
    }
}

/// Returns the flags for a target.
pub(crate) fn flags(target: &Target, registries: &[String]) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let context = target.context.as_deref().unwrap_or(".");
    if let (None, Some(file)) = (&target.dockerfile_inline, dockerfile(target, context)) {
        flags.add("file", &file);
    }
    for (name, value) in &target.args {
        flags.add("build-arg", &format!("{name}={value}"));
    }
    for (name, value) in &target.labels {
        flags.add("label", &format!("{name}={value}"));
    }
    for (name, place) in &target.contexts {
        match place.strip_prefix("target:") {
            Some(needed) => flags.needs.push((name.clone(), needed.to_owned())),
            None => flags.add("build-context", &format!("{name}={}", local(place))),
        }
    }
    for (name, addresses) in &target.extra_hosts {
        addresses.split(',').for_each(|address| flags.add("add-host", &format!("{name}={address}")));
    }
    flags.add_lists(target);
    flags.add_texts(target);
    for (name, value) in &target.resources {
        match name.as_str() {
            "memory" => flags.add("memory", value),
            other => return Err(format!("`{other}` of resources cannot be limited: only memory can")),
        }
    }
    for (flag, given) in [("no-cache", target.no_cache), ("pull", target.pull)] {
        if given == Some(true) {
            flags.words.push(format!("--{flag}"));
        }
    }
    registries.iter().for_each(|registry| flags.add("registry", registry));
    flags.words.extend(["--".to_owned(), context.to_owned()]);
    Ok(flags)
}

/// Returns a place of this machine without the words that say so.
fn local(place: &str) -> &str {
    match place.strip_prefix("cwd://") {
        Some("") => ".",
        Some(path) => path,
        None => place,
    }
}

/// Returns the path of the Dockerfile as `slipway build` takes it; `None` for the usual one.
fn dockerfile(target: &Target, context: &str) -> Option<String> {
    let file = target.dockerfile.as_deref().filter(|file| !file.is_empty() && *file != "Dockerfile")?;
    if let Some(path) = file.strip_prefix("cwd://") {
        return Some(path.to_owned());
    }
    let is_directory = is_path(context) && !Path::new(context).is_file();
    match is_directory && is_path(file) {
        true => Some(Path::new(context).join(file).display().to_string()),
        false => Some(file.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bake::{File, Request, resolve};

    fn of(text: &str) -> Result<Flags, String> {
        let files = vec![File { name: "docker-bake.hcl".to_owned(), text: text.to_owned() }];
        let resolved = resolve(&Request { files, ..Request::default() }).map_err(|error| error.to_string())?;
        flags(&resolved.targets["default"], &[])
    }

    #[test]
    fn a_target_is_a_command_line() {
        let flags = of(r#"
target "base" {}
target "default" {
  context    = "web"
  dockerfile = "build/Dockerfile"
  args       = { A = "x,y" }
  tags       = ["a:1", "b:1"]
  contexts   = { base = "target:base", src = "cwd://src", img = "docker-image://x" }
  output     = ["type=image,\"name=a,b\",push=true"]
  secret     = [{ id = "s", env = "S" }]
  no-cache   = true
  resources  = { memory = "1g" }
}
"#)
        .unwrap();
        let expected = [
            "--file=web/build/Dockerfile",
            "--build-arg=A=x,y",
            "--build-context=img=docker-image://x",
            "--build-context=src=src",
            "--tag=a:1",
            "--tag=b:1",
            "--output=type=image,\"name=a,b\",push=true",
            "--secret=id=s,env=S",
            "--memory=1g",
            "--no-cache",
            "--",
            "web",
        ];
        assert_eq!(flags.words, expected);
        assert_eq!(flags.needs, [("base".to_owned(), "base".to_owned())]);
    }

    #[test]
    fn limits_that_nobody_keeps_are_refused() {
        let refused = of("target \"default\" {\n  resources = { cpu-shares = 2 }\n}\n").unwrap_err();
        assert!(refused.contains("`cpu-shares` of resources cannot be limited"), "{refused}");
    }
}
