//! A target of a bake file as the specification of a build: within the commit, and pushed only to where the rule may.

use crate::image::annotation::Annotation;
use bake::{Entry, Target};
use database::{
    BakeFile, BakedTarget, BuildRequest, BuildSpec, LayerCompression, PathFilter, TargetContext, TargetSettings,
};
use registry_client::{ImagePattern, Reference};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Targets that one has as contexts, by itself and by those, at most: each is built for it.
const MAX_LINKED: usize = 50;

/// Why a target cannot be built.
pub(crate) struct Refused(pub String);

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Refused(text)
    }
}

/// The file's targets, and the rule that they are built for.
pub(crate) struct Bakeware<'a> {
    /// The build of the rule.
    pub request: &'a BuildRequest,
    /// The limits of the file.
    pub file: &'a BakeFile,
    /// All targets by name.
    pub targets: &'a BTreeMap<String, Target>,
    /// How many more targets the present one may have as contexts, itself or by others.
    pub left: Cell<usize>,
}

impl Bakeware<'_> {
    /// Returns a target that can be built; `noted` takes what has no effect, each once.
    pub(crate) fn baked(&self, name: &str, target: &Target, noted: &mut Vec<String>) -> Result<BakedTarget, Refused> {
        notes(target).into_iter().for_each(|note| {
            if !noted.contains(&note) {
                noted.push(note);
            }
        });
        self.left.set(MAX_LINKED);
        let mut spec = self.spec(name, target)?;
        let outputs = outputs(target)?;
        spec.tags = self.tags(name, target, &outputs.names)?;
        spec.push = self.request.spec.push && outputs.is_pushed && !spec.tags.is_empty();
        if !spec.push {
            spec.tags.clear();
        }
        if let Some(baked) = &mut spec.options.baked {
            baked.annotations.extend(outputs.annotations);
        }
        spec.options.compression = outputs.compression.unwrap_or(self.request.spec.options.compression);
        Ok(BakedTarget { name: name.to_owned(), spec })
    }

    /// Returns everything but names and destinations.
    fn spec(&self, name: &str, target: &Target) -> Result<BuildSpec, Refused> {
        refuse(target)?;
        let own = &self.request.spec;
        let context = self.path(target.context.as_deref().unwrap_or("."), "the context")?;
        let dockerfile = match target.dockerfile.as_deref().unwrap_or("Dockerfile") {
            file if target.dockerfile_inline.is_some() => in_commit(&context, file)?,
            file => match file.strip_prefix("cwd://") {
                Some(file) => in_commit(&own.context, file)?,
                None if bake::is_path(file) => in_commit(&context, file)?,
                None => {
                    return Err(Refused(format!("the Dockerfile `{file}` is not a path: it has to be in the commit")));
                }
            },
        };
        let mut spec = BuildSpec {
            dockerfile,
            context,
            target: target.target.clone().filter(|stage| !stage.is_empty()),
            build_args: target.args.clone(),
            tags: Vec::new(),
            use_cache: own.use_cache && target.no_cache != Some(true),
            push: false,
            ..own.clone()
        };
        let options = &mut spec.options;
        options.bake = None;
        options.path_filter = match options.path_filter {
            // Whether the push matters at all was looked at before.
            PathFilter::Paths | PathFilter::Automatic => PathFilter::Automatic,
            PathFilter::Off => PathFilter::Off,
        };
        options.labels.extend(target.labels.clone());
        options.platforms = target.platforms.clone().filter(|all| !all.is_empty()).unwrap_or(options.platforms.clone());
        let contexts = self.contexts(target)?;
        options.secrets = self.secrets(target)?;
        for spec in contexts.values().filter_map(|context| match context {
            TargetContext::Target(spec) => Some(spec),
            TargetContext::Image(_) | TargetContext::Directory(_) => None,
        }) {
            options.secrets.extend(spec.options.secrets.clone());
        }
        options.no_cache_stages.clone_from(&target.no_cache_filter);
        options.baked = Some(Box::new(TargetSettings {
            group: None,
            target: name.to_owned(),
            dockerfile: target.dockerfile_inline.clone(),
            contexts,
            annotations: target.annotations.clone(),
            hosts: hosts(target)?,
            is_offline: target.network.as_deref() == Some("none"),
            shm_bytes: target.shm_size.as_deref().filter(|text| !text.is_empty()).map(size).transpose()?,
            ulimits: target.ulimits.clone(),
        }));
        Ok(spec)
    }

    /// Returns the path of a directory of the commit.
    fn path(&self, place: &str, of: &str) -> Result<String, Refused> {
        let path = place.strip_prefix("cwd://").unwrap_or(place);
        if !bake::is_path(path) {
            return Err(Refused(format!("{of} `{place}` is not a directory of the commit: only those are taken")));
        }
        in_commit(&self.request.spec.context, path)
    }

    fn contexts(&self, target: &Target) -> Result<BTreeMap<String, TargetContext>, Refused> {
        let mut contexts = BTreeMap::new();
        for (name, place) in &target.contexts {
            let context = if let Some(image) = place.strip_prefix("docker-image://") {
                TargetContext::Image(image.to_owned())
            } else if let Some(linked) = place.strip_prefix("target:") {
                if self.left.replace(self.left.get().saturating_sub(1)) == 0 {
                    return Err(Refused(format!(
                        "it has more than {MAX_LINKED} targets as contexts, by itself and by those"
                    )));
                }
                let found = self.targets.get(linked);
                let found =
                    found.ok_or_else(|| Refused(format!("there is no target `{linked}` for the context `{name}`")))?;
                let spec = self.spec(linked, found).map_err(|Refused(problem)| {
                    Refused(format!("its context `{name}`, the target `{linked}`: {problem}"))
                })?;
                TargetContext::Target(Box::new(spec))
            } else {
                TargetContext::Directory(self.path(place, &format!("the context `{name}`"))?)
            };
            contexts.insert(name.clone(), context);
        }
        Ok(contexts)
    }

    /// Returns the secrets that the target mounts, of those that the rule grants.
    fn secrets(&self, target: &Target) -> Result<Vec<String>, Refused> {
        let options = &self.request.spec.options;
        if !options.trusted {
            return Ok(Vec::new());
        }
        let mut secrets = Vec::new();
        for secret in &target.secrets {
            if !options.secrets.contains(&secret.id) {
                return Err(Refused(format!(
                    "the rule does not grant the secret `{}`: list it in the rule's `secrets`",
                    secret.id
                )));
            }
            secrets.push(secret.id.clone());
        }
        Ok(secrets)
    }

    /// Returns the names that the image gets: the file's, or those of the rule below the name of the target.
    fn tags(&self, name: &str, target: &Target, more: &[String]) -> Result<Vec<String>, Refused> {
        let (own, mut tags) = (&self.request.spec, Vec::new());
        let patterns: Vec<_> = self.file.images.iter().filter_map(|text| ImagePattern::parse(text).ok()).collect();
        for text in target.tags.iter().flatten().chain(more) {
            let reference = parsed(text)?;
            if !patterns.iter().any(|pattern| pattern.stands_for(&reference)) {
                return Err(Refused(format!(
                    "the tag `{text}` is not one of the images that the rule may push to: {}; an administrator allows more with \
                     `image` of a rule or `own_rules.images`",
                    self.file.images.join(", ")
                )));
            }
            tags.push(reference);
        }
        if tags.is_empty() {
            for tag in &own.tags {
                let (image, tag) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
                let named = format!("{image}/{}:{tag}", name.to_lowercase());
                tags.push(parsed(&named).map_err(|Refused(problem)| {
                    Refused(format!("it has no `tags`, and its name makes none ({problem}): give it `tags`"))
                })?);
            }
        }
        let mut tags: Vec<String> = match own.options.pull.as_ref().map(|_| own.tags.first()) {
            None => tags.iter().map(full).collect(),
            // The image of a pull request has a tag of its own, and no other.
            Some(None) => Vec::new(),
            Some(Some(own)) => {
                let tag = own.rsplit_once(':').map_or("", |(_, tag)| tag);
                let tagged = tags.iter().filter_map(|reference| reference.with_tag(tag).ok());
                tagged.map(|reference| full(&reference)).collect()
            }
        };
        let mut seen = Vec::new();
        tags.retain(|tag| {
            !seen.contains(tag) && {
                seen.push(tag.clone());
                true
            }
        });
        Ok(tags)
    }
}

fn parsed(text: &str) -> Result<Reference, Refused> {
    let reference = Reference::parse(text).map_err(|error| Refused(format!("the tag `{text}`: {error}")))?;
    match reference.digest() {
        Some(_) => Err(Refused(format!("the tag `{text}` has a digest, which no image can be given"))),
        None => Ok(reference),
    }
}

fn full(reference: &Reference) -> String {
    format!("{}/{}:{}", reference.registry(), reference.repository(), reference.tag().unwrap_or("latest"))
}

/// The destinations of a target.
#[derive(Default)]
struct Outputs {
    is_pushed: bool,
    names: Vec<String>,
    annotations: Vec<String>,
    compression: Option<LayerCompression>,
}

/// Returns where a target goes; what a server has no place for is refused.
fn outputs(target: &Target) -> Result<Outputs, Refused> {
    let all: &[Entry] = target.outputs.as_deref().unwrap_or_default();
    let mut outputs = Outputs { is_pushed: all.is_empty(), ..Outputs::default() };
    for output in all {
        match output.kind.as_str() {
            "image" | "registry" => outputs.is_pushed = true,
            "docker" if !output.fields.contains_key("dest") => outputs.is_pushed = true,
            "cacheonly" => {}
            other => {
                return Err(Refused(format!(
                    "the output `type={other}` writes files, which a server has no place for: image, registry and cacheonly are taken"
                )));
            }
        }
        for (key, value) in &output.fields {
            match key.as_str() {
                "name" => outputs.names.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned)),
                "push" | "oci-mediatypes" | "store" => {}
                "compression" => {
                    outputs.compression = Some(match value.as_str() {
                        "gzip" => LayerCompression::Gzip,
                        "zstd" => LayerCompression::Zstd,
                        other => return Err(Refused(format!("compression={other} is not written: gzip and zstd are"))),
                    });
                }
                key => match key.strip_prefix("annotation.") {
                    Some(key) => outputs.annotations.push(format!("{key}={value}")),
                    None => return Err(Refused(format!("`{key}` of the output is not known"))),
                },
            }
        }
    }
    Ok(outputs)
}

/// Refuses what builds of a server cannot have.
fn refuse(target: &Target) -> Result<(), Refused> {
    let refused = |text: &str| Err(Refused(text.to_owned()));
    match target.network.as_deref() {
        None | Some("" | "default" | "none") => {}
        Some(other) => return Err(Refused(format!("network `{other}`: default or none is expected"))),
    }
    if !target.ssh.is_empty() {
        return refused("`ssh` needs an agent, which a server does not have: a secret may hold a key");
    }
    if let Some(limit) = target.resources.keys().next() {
        return Err(Refused(format!("`{limit}` of resources: the limits are those of the server (`[limits]`)")));
    }
    for text in &target.ulimits {
        text.parse::<runtime::Ulimit>().map_err(Refused)?;
    }
    for text in &target.annotations {
        Annotation::parse(text).map_err(Refused)?;
    }
    if target.call.as_deref().is_some_and(|call| !matches!(call, "" | "build")) {
        return refused("`call` asks a question, and a rule builds images");
    }
    Ok(())
}

/// Returns a line for each attribute that changes nothing here.
fn notes(target: &Target) -> Vec<String> {
    let caches = !target.cache_from.is_empty() || target.cache_to.as_ref().is_some_and(|to| !to.is_empty());
    let notes = [
        (caches, "cache-from and cache-to change nothing: the repository's cache is used in any case"),
        (!target.attest.is_empty(), "attest changes nothing: slipway makes no attestations"),
        (
            !target.entitlements.is_empty(),
            "entitlements change nothing: steps get no more rights than the sandbox gives",
        ),
    ];
    notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note.to_owned()).collect()
}

fn hosts(target: &Target) -> Result<Vec<(String, String)>, Refused> {
    let mut hosts = Vec::new();
    for (name, addresses) in &target.extra_hosts {
        for address in addresses.split(',') {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let is_valid = address.parse::<IpAddr>().is_ok() && name.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_valid || name.is_empty() {
                return Err(Refused(format!("the host `{name}={address}`: a name and an address are expected")));
            }
            hosts.push((name.clone(), address.to_owned()));
        }
    }
    Ok(hosts)
}

fn size(text: &str) -> Result<u64, Refused> {
    let bad = || Refused(format!("shm-size `{text}`: a size is expected, as in 64m or 2g"));
    crate::parse_size(text).ok_or_else(bad)
}

/// Returns the path from the root of the repository of one that counts from `directory`.
fn in_commit(directory: &str, path: &str) -> Result<String, Refused> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if path.starts_with('/') {
        return Err(Refused(format!("`{path}` is an absolute path: those of a commit begin at its root")));
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(Refused(format!("`{path}` leads out of the repository"))),
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
