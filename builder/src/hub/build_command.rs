//! `docker build` and `docker buildx build` in a hook: the context comes out of the container, the rest is slipway's own build.

use super::asked::Asked;
use super::container::copy_request;
use super::engine::Failed;
use super::flags::{Flags, Parsed};
use super::images::{SHORT, familiar, named};
use super::progress::Printed;
use super::push_command;
use crate::context::{Context, NamedContext, Tarball};
use crate::execute::Options;
use crate::image::assemble::Form;
use crate::image::push::Unordered;
use crate::secrets::LARGEST;
use crate::{Error, Image, Platforms, Request};
use dockerfile::DockerfileText;
use files::path::clean_path;
use registry_client::{Platform, Reference};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;

/// Largest file that a flag names.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The flags of `docker build` that have an effect here, and those that change nothing because slipway always does so.
const FLAGS: Flags = Flags {
    values: &[
        ("tag", 't'),
        ("file", 'f'),
        ("build-arg", ' '),
        ("target", ' '),
        ("label", ' '),
        ("platform", ' '),
        ("secret", ' '),
        ("add-host", ' '),
        ("network", ' '),
        ("iidfile", ' '),
        ("cache-from", ' '),
        ("cache-to", ' '),
        ("progress", ' '),
        ("output", 'o'),
        ("builder", ' '),
    ],
    switches: &[
        ("pull", ' '),
        ("no-cache", ' '),
        ("quiet", 'q'),
        ("push", ' '),
        ("load", ' '),
        ("rm", ' '),
        ("force-rm", ' '),
        ("compress", ' '),
    ],
    stops_at_argument: false,
};

/// Builds an image; `is_buildx` tells whether it was asked for as `docker buildx build`.
pub(crate) fn build(asked: &Asked<'_>, is_buildx: bool) -> Result<u8, Failed> {
    let flags = FLAGS.parse(asked.arguments).map_err(Failed::usage)?;
    let tags = tags(&flags)?;
    let request = request(asked, &flags, &tags)?;
    let caller = asked.caller;
    let (services, quiet) = (&asked.engine.terms.services, flags.is_on("quiet"));
    let printed = Printed::new(caller, quiet);
    let failed = |error: Error| Failed { code: 1, text: format!("ERROR: {}", error.report_without_output()) };
    let platforms = Platforms::new(&request, services, &printed).map_err(failed)?;
    let bases = platforms.base_images().map_err(failed)?;
    let built = platforms.build(services, &printed, &caller.cancel).map_err(failed)?;
    asked.engine.note_bases(bases);
    asked.engine.images.add(built.image.clone(), &tags).map_err(Failed::daemon)?;
    finish(asked, &flags, &built.image, &tags)?;
    let pushes = flags.is_on("push") || outputs(&flags)?;
    if pushes && !is_buildx {
        return Err(Failed::usage("--push is a flag of `docker buildx build`"));
    }
    if pushes {
        push_command::image(asked, &built.image, &tags)?;
    }
    Ok(0)
}

/// Says what was built, as docker's builders say it.
fn finish(asked: &Asked<'_>, flags: &Parsed, image: &Image, tags: &[Reference]) -> Result<(), Failed> {
    let id = &image.config.digest;
    if let Some(path) = flags.last("iidfile") {
        write_file(asked, path, id.as_str().as_bytes())?;
    }
    if flags.is_on("quiet") {
        asked.caller.print(format!("{id}\n"));
        return Ok(());
    }
    asked.caller.print(format!("Successfully built {}\n", &id.hex()[..SHORT]));
    for tag in tags {
        asked.caller.print(format!("Successfully tagged {}\n", familiar(tag)));
    }
    Ok(())
}

/// Returns whether the image is to be pushed; other outputs than an image are not made in hooks.
fn outputs(flags: &Parsed) -> Result<bool, Failed> {
    let mut pushes = false;
    for output in flags.all("output") {
        let fields: BTreeMap<&str, &str> = output.split(',').filter_map(|field| field.split_once('=')).collect();
        match fields.get("type").copied() {
            Some("registry") => pushes = true,
            Some("image" | "docker") if !fields.contains_key("dest") => {
                pushes |= fields.get("push") == Some(&"true");
            }
            _ => {
                let text = "a build in a hook makes an image: `--output` is type=image, type=docker or type=registry";
                return Err(Failed::usage(format!("--output {output}: {text}")));
            }
        }
    }
    Ok(pushes)
}

fn tags(flags: &Parsed) -> Result<Vec<Reference>, Failed> {
    let tag = |text: &String| {
        named(text).filter(|name| name.digest().is_none()).ok_or_else(|| {
            Failed::usage(format!("invalid argument \"{text}\" for \"-t, --tag\" flag: invalid reference format"))
        })
    };
    flags.all("tag").iter().map(tag).collect()
}

fn request(asked: &Asked<'_>, flags: &Parsed, tags: &[Reference]) -> Result<Request, Failed> {
    let [path] = flags.arguments.as_slice() else {
        return Err(Failed::usage("\"docker build\" requires exactly 1 argument."));
    };
    let terms = &asked.engine.terms;
    let (context, dockerfile) = match path.as_str() {
        "-" => typed(asked)?,
        url if url.contains("://") || url.starts_with("git@") => {
            let text = format!("the context {url}: a hook builds from the commit, or from a tar on its standard input");
            return Err(Failed::usage(text));
        }
        path => (Context::Tarball(directory(asked, path)?), None),
    };
    let dockerfile = match dockerfile {
        Some(text) => text,
        None => read_dockerfile(asked, flags, path, &context)?,
    };
    let name = flags.last("file").filter(|name| *name != "-").unwrap_or("Dockerfile");
    let ignore = crate::context::find_ignore(&context, name.trim_start_matches("./"), "")?;
    let number = asked.engine.number();
    Ok(Request {
        context: NamedContext { context, ignore },
        named: HashMap::new(),
        dockerfile,
        build_args: pairs(asked, flags.all("build-arg"), "build-arg")?,
        labels: labels(flags.all("label")),
        default_labels: terms.default_labels.clone(),
        target: flags.last("target").map(str::to_owned),
        platforms: platforms(flags)?,
        tags: tags.to_vec(),
        previous: Vec::new(),
        push: false,
        cache_namespace: terms.cache_namespace.clone(),
        attempt: format!("{}-{number}", terms.attempt),
        options: options(asked, flags)?,
        order: Box::new(Unordered),
        trace: terms.trace.clone(),
        form: Form::default(),
    })
}

fn options(asked: &Asked<'_>, flags: &Parsed) -> Result<Options, Failed> {
    let engine = asked.engine;
    let mut options = engine.terms.options.clone();
    options.use_cache &= !flags.is_on("no-cache");
    options.fetching.settings.cancel = asked.caller.cancel.clone();
    options.own_images = Some(engine.images.clone());
    options.sandbox = Some(engine.sandbox.clone());
    match flags.last("network").unwrap_or("default") {
        "default" | "bridge" => {}
        "none" => options.network = false,
        other => {
            let text = format!("--network {other}: steps have the network of the build, or `none`");
            return Err(Failed::usage(text));
        }
    }
    for host in flags.all("add-host") {
        let pair = host.split_once([':', '=']);
        let (name, address) = pair.ok_or_else(|| Failed::usage(format!("bad format for add-host: \"{host}\"")))?;
        options.hosts.push((name.to_owned(), address.to_owned()));
    }
    for secret in flags.all("secret") {
        let (id, value) = read_secret(asked, secret)?;
        options.secrets.insert(id, value);
    }
    Ok(options)
}

/// Returns a secret that the hook itself brings: a file of its container or a variable.
fn read_secret(asked: &Asked<'_>, text: &str) -> Result<(String, Vec<u8>), Failed> {
    let fields: BTreeMap<&str, &str> = text.split(',').filter_map(|field| field.split_once('=')).collect();
    let id = *fields.get("id").ok_or_else(|| Failed::usage(format!("--secret {text}: `id=` is missing")))?;
    let variable = fields.get("env").copied().or_else(|| (fields.get("type") == Some(&"env")).then_some(id));
    let known = |name: &str| asked.call.environment.get(name).map(|value| value.clone().into_bytes());
    let value = match (fields.get("src").or_else(|| fields.get("source")), variable) {
        (Some(path), _) => read_file(asked, path, LARGEST as u64)?,
        (None, Some(name)) => known(name).unwrap_or_default(),
        (None, None) => known(id).unwrap_or_default(),
    };
    Ok((id.to_owned(), value))
}

fn platforms(flags: &Parsed) -> Result<Vec<Platform>, Failed> {
    let names = flags.all("platform").iter().flat_map(|names| names.split(','));
    let platforms: Result<Vec<Platform>, _> = names.map(str::parse).collect();
    let platforms = platforms.map_err(|error| Failed::usage(format!("--platform: {error}")))?;
    Ok(if platforms.is_empty() { vec![Platform::host()] } else { platforms })
}

/// Returns pairs; a name alone has its value from the hook's environment, as docker takes it.
fn pairs(asked: &Asked<'_>, texts: &[String], flag: &str) -> Result<BTreeMap<String, String>, Failed> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        match text.split_once('=') {
            Some(("", _)) => return Err(Failed::usage(format!("invalid argument \"{text}\" for \"--{flag}\" flag"))),
            Some((name, value)) => drop(pairs.insert(name.to_owned(), value.to_owned())),
            None => {
                if let Some(value) = asked.call.environment.get(text) {
                    pairs.insert(text.clone(), value.clone());
                }
            }
        }
    }
    Ok(pairs)
}

fn labels(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    texts.iter().map(pair).collect()
}

/// Reads a directory of the hook's container as a context.
fn directory(asked: &Asked<'_>, path: &str) -> Result<Tarball, Failed> {
    let path = format!("{}/.", absolute(asked, path));
    let (_, mut tar) = asked
        .engine
        .sandbox
        .copy_from_container(&asked.engine.hook, &copy_request(None, &path))
        .map_err(|error| Failed::usage(format!("unable to prepare context: {error}")))?;
    Ok(Tarball::read("the context", &mut tar, &asked.engine.terms.scratch).map_err(Error::source)?)
}

/// Reads the standard input: a tar, or a Dockerfile without a context.
fn typed(asked: &Asked<'_>) -> Result<(Context, Option<DockerfileText>), Failed> {
    let mut input = asked.caller.input();
    let mut head = Vec::new();
    let failed = |error: std::io::Error| Failed::usage(format!("reading the standard input: {error}"));
    (&mut input).take(512).read_to_end(&mut head).map_err(failed)?;
    if head.len() == 512 && head[257..262] == *b"ustar" {
        let mut tar = head.chain(input);
        let read = Tarball::read("-", &mut tar, &asked.engine.terms.scratch).map_err(Error::source)?;
        return Ok((Context::Tarball(read), None));
    }
    input.take(MAX_FILE).read_to_end(&mut head).map_err(failed)?;
    Ok((Context::Empty, Some(DockerfileText { name: "Dockerfile".to_owned(), text: head })))
}

/// Returns the Dockerfile: of the context if it is in there, else any file of the container.
fn read_dockerfile(
    asked: &Asked<'_>,
    flags: &Parsed,
    context_path: &str,
    context: &Context,
) -> Result<DockerfileText, Failed> {
    let (Some(path), true) = (flags.last("file"), context_path != "-") else {
        return Ok(crate::context::find_dockerfile(context, flags.last("file").unwrap_or("Dockerfile"))?);
    };
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    if path == "-" {
        let mut text = Vec::new();
        let read = asked.caller.input().take(MAX_FILE).read_to_end(&mut text);
        read.map_err(|error| Failed::usage(format!("reading the standard input: {error}")))?;
        return Ok(DockerfileText { name: "Dockerfile".to_owned(), text });
    }
    Ok(DockerfileText { name, text: read_file(asked, path, MAX_FILE)? })
}

/// Reads a file of the hook's container.
pub(crate) fn read_file(asked: &Asked<'_>, path: &str, most: u64) -> Result<Vec<u8>, Failed> {
    let request = copy_request(None, &absolute(asked, path));
    let failed = |error: String| Failed { code: 1, text: format!("reading {path}: {error}") };
    let found = asked.engine.sandbox.copy_from_container(&asked.engine.hook, &request);
    let (_, tar) = found.map_err(|error| failed(error.to_string()))?;
    let mut reader = files::tar::Reader::new(tar);
    let entry = reader.next_entry().map_err(|error| failed(error.to_string()))?;
    match entry.map(|entry| entry.size()) {
        Some(size) if size <= most => {}
        _ => return Err(failed(format!("it is not a file of at most {most} bytes"))),
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

/// Writes a file of the hook's container.
pub(crate) fn write_file(asked: &Asked<'_>, path: &str, bytes: &[u8]) -> Result<(), Failed> {
    let path = absolute(asked, path);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let failed = |error: String| Failed { code: 1, text: format!("writing {path}: {error}") };
    let mut writer = files::tar::Writer::new(Vec::new());
    let kind = files::tar::EntryKind::File { size: bytes.len() as u64 };
    let (path_in_tar, xattrs) = (name.as_bytes().to_vec(), Vec::new());
    let entry = files::tar::Entry { path: path_in_tar, kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs };
    writer.entry(&entry, &mut &*bytes).map_err(|error| failed(error.to_string()))?;
    let tar = writer.finish().map_err(|error| failed(error.to_string()))?;
    let request = copy_request(None, if directory.is_empty() { "/" } else { directory });
    let copied = asked.engine.sandbox.copy_to_container(&asked.engine.hook, &request, &mut tar.as_slice());
    copied.map_err(|error| failed(error.to_string()))
}

/// Returns a path of the container from its root.
pub(crate) fn absolute(asked: &Asked<'_>, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", asked.call.directory) };
    format!("/{}", String::from_utf8_lossy(&clean_path(joined.as_bytes())))
}
