//! `docker run`, `create`, `start`, `cp`, `rm`, `logs`, `wait`, `stop` and `ps` in a hook.

use super::asked::Asked;
use super::build_command::{absolute, read_file, write_file};
use super::engine::Failed;
use super::flags::{Flags, Parsed};
use super::image_commands::fetch;
use super::images::SHORT;
use super::machine::{Place, Shared, Wanted, code_of, follow};
use super::named_machine::NamedMachine;
use registry_client::Platform;
use runtime::{Mount, MountKind};
use std::io::Read;
use std::sync::Arc;

/// Largest file of variables.
const MAX_FILE: u64 = 1024 * 1024;
/// Containers that a build may have at once.
const MAX_CONTAINERS: usize = 100;

const RUN: Flags = Flags {
    values: &[
        ("name", ' '),
        ("env", 'e'),
        ("env-file", ' '),
        ("volume", 'v'),
        ("workdir", 'w'),
        ("user", 'u'),
        ("entrypoint", ' '),
        ("network", ' '),
        ("net", ' '),
        ("hostname", 'h'),
        ("add-host", ' '),
        ("tmpfs", ' '),
        ("cidfile", ' '),
        ("platform", ' '),
        ("publish", 'p'),
        ("label", 'l'),
        ("restart", ' '),
        ("pull", ' '),
    ],
    switches: &[
        ("rm", ' '),
        ("detach", 'd'),
        ("interactive", 'i'),
        ("tty", 't'),
        ("init", ' '),
        ("read-only", ' '),
        ("quiet", 'q'),
        ("publish-all", 'P'),
    ],
    stops_at_argument: true,
};
const REMOVE: Flags = Flags { values: &[], switches: &[("force", 'f'), ("volumes", 'v')], stops_at_argument: false };
const NAMES: Flags = Flags {
    values: &[("time", 't'), ("signal", 's'), ("tail", 'n')],
    switches: &[("follow", 'f'), ("attach", 'a'), ("all", ' '), ("quiet", 'q'), ("no-trunc", ' ')],
    stops_at_argument: false,
};

/// `docker run`.
pub(crate) fn run(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = RUN.parse(asked.arguments).map_err(docker)?;
    let kept = make(asked, &flags)?;
    if let Some(path) = flags.last("cidfile") {
        write_file(asked, path, kept.id.as_bytes())?;
    }
    let removes = flags.is_on("rm");
    if flags.is_on("detach") {
        asked.caller.print(format!("{}\n", kept.id));
        return begin(asked, &kept, removes).map(|()| 0);
    }
    let code = attach(asked, &kept, flags.is_on("interactive"));
    if removes {
        forget(asked, &kept);
    }
    code
}

/// `docker create`.
pub(crate) fn create(asked: &Asked<'_>) -> Result<u8, Failed> {
    let kept = make(asked, &RUN.parse(asked.arguments).map_err(docker)?)?;
    asked.caller.print(format!("{}\n", kept.id));
    Ok(0)
}

/// `docker start`.
pub(crate) fn start(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = NAMES.parse(asked.arguments).map_err(docker)?;
    let mut code = 0;
    for name in &flags.arguments {
        let kept = find(asked, name)?;
        match flags.is_on("attach") {
            true => code = attach(asked, &kept, false)?,
            false => {
                begin(asked, &kept, false)?;
                asked.caller.print(format!("{name}\n"));
            }
        }
    }
    Ok(code)
}

fn docker(text: String) -> Failed {
    Failed::usage(format!("docker: {text}"))
}

fn make(asked: &Asked<'_>, flags: &Parsed) -> Result<Arc<NamedMachine>, Failed> {
    let engine = asked.engine;
    let (image, command) = flags.arguments.split_first().ok_or_else(|| docker("an image is needed".to_owned()))?;
    if engine.containers().len() >= MAX_CONTAINERS {
        return Err(Failed::daemon(format!(
            "a build has at most {MAX_CONTAINERS} containers: remove some with `docker rm`"
        )));
    }
    let known = match engine.images.get(image) {
        Some(known) => known,
        None => {
            asked.caller.complain(format!("Unable to find image '{image}' locally\n"));
            let platform = flags.last("platform").map_or(Ok(Platform::host()), str::parse);
            fetch(asked, image, &platform.map_err(|error| docker(format!("--platform: {error}")))?)?;
            engine.images.get(image).ok_or_else(|| Failed::daemon(format!("No such image: {image}")))?
        }
    };
    let wanted = Wanted { command: (!command.is_empty()).then(|| command.to_vec()), ..wanted(asked, flags)? };
    let machine = engine.machine(&known.image, wanted, hook(asked))?;
    let number = engine.number();
    let id = blake3::hash(format!("{} {number}", engine.terms.attempt).as_bytes()).to_hex().to_string();
    let name = flags.last("name").map_or_else(|| format!("container_{number}"), str::to_owned);
    let mut containers = engine.containers();
    if containers.iter().any(|kept| kept.name == name) {
        return Err(Failed::usage(format!(
            "docker: Error response from daemon: Conflict. The container name \"/{name}\" is already in use"
        )));
    }
    let kept = Arc::new(NamedMachine::new(machine, id, name, image.clone(), engine.terms.cancel.child_token()));
    containers.push(kept.clone());
    Ok(kept)
}

fn wanted(asked: &Asked<'_>, flags: &Parsed) -> Result<Wanted, Failed> {
    let mut environment = Vec::new();
    for path in flags.all("env-file") {
        let text = String::from_utf8_lossy(&read_file(asked, path, MAX_FILE)?).into_owned();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        environment.extend(lines.map(str::to_owned));
    }
    environment.extend(flags.all("env").iter().cloned());
    // A name alone is passed on from the hook's own environment.
    let valued = environment.into_iter().filter_map(|pair| match pair.contains('=') {
        true => Some(pair),
        false => asked.call.environment.get(&pair).map(|value| format!("{pair}={value}")),
    });
    let network = flags.last("network").or(flags.last("net")).unwrap_or("default");
    if network.starts_with("host") || network.starts_with("container:") {
        let text = format!("--network {network}: containers of a build share the network of the build, or have `none`");
        return Err(docker(text));
    }
    let mut wanted = Wanted {
        entrypoint: flags
            .last("entrypoint")
            .map(|path| if path.is_empty() { Vec::new() } else { vec![path.to_owned()] }),
        environment: valued.collect(),
        directory: flags.last("workdir").map(str::to_owned),
        user: flags.last("user").map(str::to_owned),
        hostname: flags.last("hostname").map(str::to_owned),
        has_network: network != "none",
        read_only: flags.is_on("read-only"),
        ..Wanted::default()
    };
    for host in flags.all("add-host") {
        let pair = host.split_once([':', '=']).ok_or_else(|| docker(format!("bad format for add-host: \"{host}\"")))?;
        wanted.hosts.push((pair.0.to_owned(), pair.1.to_owned()));
    }
    for target in flags.all("tmpfs") {
        let target = target.split(':').next().unwrap_or(target).to_owned();
        wanted.mounts.push(Mount { target, kind: MountKind::Tmpfs { size: None } });
    }
    for volume in flags.all("volume") {
        wanted.files.extend(shared(asked, volume)?);
    }
    Ok(wanted)
}

/// Returns the files of a `-v`; a volume without a source is the container's own.
fn shared(asked: &Asked<'_>, volume: &str) -> Result<Option<Shared>, Failed> {
    let mut parts = volume.split(':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else { return Ok(None) };
    let writable = !parts.next().unwrap_or_default().split(',').any(|word| word == "ro");
    if !source.starts_with(['/', '.']) {
        let text = format!("-v {volume}: volumes with names are not kept in a build; name a directory of the checkout");
        return Err(docker(text));
    }
    if source.ends_with("docker.sock") {
        return Err(docker(format!("-v {volume}: the build's own engine is for its hooks alone")));
    }
    Ok(Some(Shared { source: absolute(asked, source), target: target.to_owned(), writable }))
}

fn hook<'a>(asked: &'a Asked<'_>) -> Place<'a> {
    Place { id: &asked.engine.hook, layers: None }
}

fn running(kept: &NamedMachine) -> Failed {
    Failed::daemon(format!("container {} is running: stop it first", &kept.id[..SHORT]))
}

/// Runs a container to its end before the eyes of the caller.
fn attach(asked: &Asked<'_>, kept: &NamedMachine, types: bool) -> Result<u8, Failed> {
    if !kept.begin() {
        return Err(running(kept));
    }
    let print = |is_error: bool, bytes: &[u8]| {
        kept.print(is_error, bytes);
        if is_error { asked.caller.complain(bytes) } else { asked.caller.print(bytes) }
    };
    let input = types.then(|| Box::new(asked.caller.input()) as Box<dyn Read + Send>);
    let ended = asked
        .engine
        .start(&kept.machine)
        .and_then(|process| follow(process, input, &print, &asked.caller.cancel).map_err(not_run));
    let code = ended.as_ref().map_or_else(|failed| failed.code, code_of);
    kept.end(code);
    asked.engine.return_files(&kept.machine, hook(asked))?;
    ended.map(|_| code)
}

/// Returns docker's codes for a command that is not there, and for one that cannot be executed.
fn not_run(error: runtime::Error) -> Failed {
    let code = match error {
        runtime::Error::NotExecuted { code, .. } => u8::try_from(code).unwrap_or(127),
        _ => 125,
    };
    Failed { code, text: format!("docker: Error response from daemon: {error}") }
}

/// Starts a container that nobody waits for.
fn begin(asked: &Asked<'_>, kept: &Arc<NamedMachine>, removes: bool) -> Result<(), Failed> {
    if !kept.begin() {
        return Err(running(kept));
    }
    let process = asked.engine.start(&kept.machine).inspect_err(|failed| kept.end(failed.code))?;
    let (kept, sandbox) = (kept.clone(), asked.engine.sandbox.clone());
    std::thread::spawn(move || {
        let ended = follow(process, None, &|is_error, bytes| kept.print(is_error, bytes), &kept.cancel);
        kept.end(ended.as_ref().map_or(125, code_of));
        if removes {
            let _ = sandbox.remove_container(&kept.machine.id);
        }
    });
    Ok(())
}

fn find(asked: &Asked<'_>, name: &str) -> Result<Arc<NamedMachine>, Failed> {
    let containers = asked.engine.containers();
    let found = containers.iter().rev().find(|kept| kept.is_named(name)).cloned();
    found.ok_or_else(|| Failed::daemon(format!("No such container: {name}")))
}

fn forget(asked: &Asked<'_>, kept: &NamedMachine) {
    asked.engine.containers().retain(|other| other.id != kept.id);
    let _ = asked.engine.sandbox.remove_container(&kept.machine.id);
}

/// `docker cp`: between a container and the hook's own files.
pub(crate) fn copy(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = NAMES.parse(asked.arguments).map_err(docker)?;
    let [from, to] = flags.arguments.as_slice() else {
        return Err(Failed::usage("\"docker cp\" requires exactly 2 arguments."));
    };
    let inside = |text: &str| text.split_once(':').map(|(name, path)| (name.to_owned(), format!("/{path}")));
    let (name, path, is_out) = match (inside(from), inside(to)) {
        (Some((name, path)), None) => (name, path, true),
        (None, Some((name, path))) => (name, path, false),
        _ => return Err(Failed::usage("must specify at least one container source")),
    };
    let kept = find(asked, &name)?;
    let container = match kept.status().0 {
        true => Place { id: &kept.machine.id, layers: None },
        false => kept.machine.place(),
    };
    let own = absolute(asked, if is_out { to } else { from });
    let (source, target) = match is_out {
        true => ((container, path.as_str()), (hook(asked), own.as_str())),
        false => ((hook(asked), own.as_str()), (container, path.as_str())),
    };
    // A directory that is there takes the file under its own name, and only the content of `DIRECTORY/.`.
    let takes_content = from.ends_with("/.") || !is_directory(asked, target);
    let name = source.1.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let path = if takes_content { target.1.to_owned() } else { format!("{}/{name}", target.1) };
    asked.engine.transfer(source, (target.0, &path))?;
    Ok(0)
}

fn is_directory(asked: &Asked<'_>, at: (Place<'_>, &str)) -> bool {
    let layers = at.0.layers.map(<[runtime::SnapshotId]>::to_vec);
    let asked_for = runtime::CopyRequest { stat_only: true, ..super::container::copy_request(layers, at.1) };
    let found = asked.engine.sandbox.copy_from_container(at.0.id, &asked_for);
    found.is_ok_and(|(stat, _)| stat.kind == runtime::PathKind::Directory)
}

/// `docker rm`.
pub(crate) fn remove(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = REMOVE.parse(asked.arguments).map_err(docker)?;
    for name in &flags.arguments {
        let kept = match find(asked, name) {
            Err(failed) if flags.is_on("force") => {
                asked.caller.complain(format!("{}\n", failed.text));
                continue;
            }
            found => found?,
        };
        if kept.status().0 && !flags.is_on("force") {
            return Err(running(&kept));
        }
        kept.cancel.cancel();
        kept.wait(&asked.caller.cancel);
        forget(asked, &kept);
        asked.caller.print(format!("{name}\n"));
    }
    Ok(0)
}

/// `docker logs`.
pub(crate) fn logs(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = NAMES.parse(asked.arguments).map_err(docker)?;
    for name in &flags.arguments {
        let kept = find(asked, name)?;
        if flags.is_on("follow") {
            kept.wait(&asked.caller.cancel);
        }
        for (is_error, bytes) in kept.log() {
            if is_error { asked.caller.complain(bytes) } else { asked.caller.print(bytes) }
        }
    }
    Ok(0)
}

/// `docker wait`.
pub(crate) fn wait(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = NAMES.parse(asked.arguments).map_err(docker)?;
    for name in &flags.arguments {
        let code = find(asked, name)?.wait(&asked.caller.cancel).unwrap_or_default();
        asked.caller.print(format!("{code}\n"));
    }
    Ok(0)
}

/// `docker stop` and `docker kill`.
pub(crate) fn stop(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = NAMES.parse(asked.arguments).map_err(docker)?;
    for name in &flags.arguments {
        let kept = find(asked, name)?;
        kept.cancel.cancel();
        kept.wait(&asked.caller.cancel);
        asked.caller.print(format!("{name}\n"));
    }
    Ok(0)
}

/// `docker ps`.
pub(crate) fn list(asked: &Asked<'_>) -> Result<u8, Failed> {
    const LIST: Flags = Flags { values: &[], switches: &[("all", 'a'), ("quiet", 'q')], stops_at_argument: false };
    let flags = LIST.parse(asked.arguments).map_err(docker)?;
    if !flags.is_on("quiet") {
        asked.caller.print(format!("{:<14} {:<30} {:<14} NAMES\n", "CONTAINER ID", "IMAGE", "STATUS"));
    }
    for kept in asked.engine.containers().iter().rev() {
        let status = match kept.status() {
            (true, _) => "Up".to_owned(),
            (false, Some(code)) => format!("Exited ({code})"),
            (false, None) => "Created".to_owned(),
        };
        if !kept.status().0 && !flags.is_on("all") {
            continue;
        }
        let id = &kept.id[..SHORT];
        match flags.is_on("quiet") {
            true => asked.caller.print(format!("{id}\n")),
            false => asked.caller.print(format!("{id:<14} {:<30} {status:<14} {}\n", kept.image, kept.name)),
        }
    }
    Ok(0)
}
