//! The supervisor of one container: holds its sandbox, keeps its log, serves those who ask, and writes how it ended.

use super::files;
use super::frames::{End, ExecRequest, Listener, Request, kind, receive};
use super::log::Log;
use super::ports;
use super::record::{Record, Status, UNLIMITED, VolumeMount};
use super::session::{Listeners, Reader, Typing, end_of, pass_on};
use super::store::{Container, Containers, boot, now};
use crate::Error;
use crate::image::CONTAINERS;
use image_store::Store;
use runtime::{
    Calls, CancellationToken, ContainerId, ContainerRun, Freeze, Mount, MountKind, Sandbox, Settings, Step, StepNetwork,
};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Size of `/dev/shm`, as in docker.
const SHM_BYTES: u64 = 64 * 1024 * 1024;
/// How long more output is waited for after a process has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// How long requests may take to end with the container.
const LAST_REQUEST: Duration = Duration::from_secs(10);

/// State that all connections of a supervisor share.
struct Supervisor {
    /// Weak, so that requests that are answered at that moment do not keep it after the container has ended.
    sandbox: Weak<Sandbox>,
    id: ContainerId,
    container: Mutex<Container>,
    listeners: Arc<Listeners>,
    typing: Mutex<Typing>,
}

/// Runs the container `id` when `first` asks for it, until it ends; returns when all is written.
pub fn supervise(
    containers: &Containers,
    store: &Store,
    settings: Settings,
    id: &str,
    first: UnixStream,
) -> Result<(), Error> {
    runtime::detach();
    let listener = Listener::new(first.try_clone().map_err(Error::file("copying the socket of", Path::new(id)))?);
    let first = First { stream: first, listener: listener.clone() };
    let supervised = supervise_until_end(containers, store, settings, id, first);
    if let Err(error) = &supervised {
        let _ = listener.send_value(kind::EXIT, &End { code: 125, error: crate::error::chain(error) });
    }
    supervised
}

fn supervise_until_end(
    containers: &Containers,
    store: &Store,
    settings: Settings,
    id: &str,
    first: First,
) -> Result<(), Error> {
    let (lock, container) = containers.supervise(id)?;
    let asked =
        receive(&first.stream).ok().flatten().and_then(|(_, bytes)| serde_json::from_slice::<Request>(&bytes).ok());
    let Some(Request::Start { attach }) = asked else { return Ok(()) };
    let auto_remove = container.record.auto_remove;
    let id = ContainerId::new(&container.record.id)?;
    let listeners = Arc::new(Listeners::default());
    if attach {
        listeners.attach(first.listener.clone())
    } else {
        listeners.wait(first.listener.clone())
    }
    let ended = run(limited(&settings, &container.record), &id, container.clone(), first, &listeners);
    let (end, readers) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            let error = crate::error::chain(&error);
            let mut failed = containers.find(&container.record.id)?;
            failed.state.error.clone_from(&error);
            failed.state.exit_code = 125;
            failed.write_state()?;
            (End { code: 125, error }, Vec::new())
        }
    };
    if auto_remove && !listeners.is_kept() {
        let sandbox = Sandbox::start(&settings, &format!("rm-{}", std::process::id()))?;
        sandbox.remove_container(&id)?;
        containers.forget(&container)?;
        containers.volumes()?.remove_anonymous(containers, &container.record, &sandbox)?;
        store.unkeep(CONTAINERS, &container.record.id)?;
    }
    // Clients that wait for the end find everything as it is afterwards, and may start or remove it.
    drop(lock);
    listeners.end_waiting(&end);
    readers.into_iter().for_each(Reader::join);
    listeners.end_attached(&end);
    Ok(())
}

/// Returns the settings with the limits of a container.
fn limited(settings: &Settings, record: &Record) -> Settings {
    let mut settings = settings.clone();
    let limits = &mut settings.limits;
    limits.memory_bytes = record.memory_bytes.or(limits.memory_bytes);
    limits.cpus = record.cpus.or(limits.cpus);
    limits.pids = match record.pids {
        Some(UNLIMITED) => None,
        own => own.or(limits.pids),
    };
    settings
}

/// Tells of limits that were asked for and that this machine lets nobody set.
fn warn(sandbox: &Sandbox, record: &Record, first: &Listener) {
    let limited = sandbox.limited();
    let discarded = [
        (record.memory_bytes.is_some() && !limited.memory, "memory limit capabilities"),
        (record.cpus.is_some() && !limited.cpu, "CPU CFS scheduler"),
    ];
    for (_, what) in discarded.iter().filter(|known| known.0) {
        let text = format!("Your kernel does not support {what} or the cgroup is not mounted. Limitation discarded.");
        let _ = first.send(kind::WARNING, text.as_bytes());
    }
}

/// The one who started the supervisor.
struct First {
    stream: UnixStream,
    listener: Arc<Listener>,
}

/// Runs the container, which `first` types to; `attached` get what it prints, and are not told of its end. Returns the end
/// and what still passes on output: a listener may take it slowly.
fn run(
    settings: Settings,
    id: &ContainerId,
    mut container: Container,
    first: First,
    attached: &Arc<Listeners>,
) -> Result<(End, Vec<Reader>), Error> {
    let (listeners, opened) = ports::open(&container.record.ports)?;
    let sandbox = Arc::new(Sandbox::start(&settings, &format!("c-{}", &container.record.id[..16]))?);
    warn(&sandbox, &container.record, &first.listener);
    let log = Log::open(&container.directory).map_err(Error::file("opening the log in", &container.directory))?;
    let (log, step) = (Arc::new(Mutex::new(log)), step_of(&container.record));
    let record = &container.record;
    let run = ContainerRun { terminal: record.terminal, read_only: record.read_only, init: record.init };
    let mut process = sandbox.start_container(id, &step, run)?;
    let is_started = process.is_started()?;
    let mut socket = None;
    if is_started {
        container.state.status = Status::Running;
        container.state.error = String::new();
        container.state.started_at = Some(now());
        container.state.supervisor = std::process::id();
        container.state.boot = boot();
        container.state.ports = opened;
        socket = Some(listen(&container)?);
        container.write_state()?;
        // Before all output: a reader who takes none of it keeps whatever else it is told waiting.
        let _ = first.listener.send(kind::STARTED, &[]);
    }
    let interactive = container.record.interactive;
    let (typing, readers) = pass_on(&mut process, interactive, attached, Some(&log));
    if let Some(socket) = socket {
        let supervisor = Arc::new(Supervisor {
            sandbox: Arc::downgrade(&sandbox),
            id: id.clone(),
            container: Mutex::new(container.clone()),
            listeners: attached.clone(),
            typing: Mutex::new(typing.clone()),
        });
        for (listener, port) in listeners {
            ports::serve(listener, port, &sandbox, id);
        }
        serve(&supervisor, socket);
        std::thread::spawn(move || typing.follow(&first.stream));
    }
    let ended = process.wait(&CancellationToken::new());
    let since = Instant::now();
    while !readers.iter().all(Reader::is_finished) && since.elapsed() < LAST_OUTPUT {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = log.lock().unwrap_or_else(PoisonError::into_inner).finish();
    let is_out_of_memory = matches!(ended, Ok(runtime::Exit::OutOfMemory(_)));
    let end = end_of(ended);
    container.state.status = if is_started { Status::Exited } else { Status::Created };
    container.state.exit_code = end.code;
    container.state.error.clone_from(&end.error);
    container.state.out_of_memory = is_out_of_memory;
    container.state.finished_at = Some(now());
    // Without its processes and control groups first: what is told to have ended has.
    release(sandbox);
    container.write_state()?;
    Ok((end, readers))
}

/// Ends the sandbox as soon as nobody is in it: those who ask for something end with the container.
fn release(mut sandbox: Arc<Sandbox>) {
    let since = Instant::now();
    while since.elapsed() < LAST_REQUEST {
        match Arc::try_unwrap(sandbox) {
            Ok(last) => return drop(last),
            Err(shared) => sandbox = shared,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    tracing::warn!("somebody still uses the sandbox of a container that has ended");
}

/// Returns what the container runs, as the sandbox takes it.
fn step_of(record: &Record) -> Step {
    let tmpfs = record.tmpfs.iter();
    let tmpfs = tmpfs.map(|(target, size)| Mount { target: target.clone(), kind: MountKind::Tmpfs { size: *size } });
    let mounts = tmpfs.chain(record.volumes.iter().map(|volume| volume_mount(record, volume)));
    let mut env = record.config.env.clone();
    if record.terminal && !env.iter().any(|variable| variable.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    if !env.iter().any(|variable| variable.starts_with("HOSTNAME=")) {
        env.push(format!("HOSTNAME={}", record.hostname));
    }
    Step {
        layers: record.layers.clone(),
        argv: record.argv.clone(),
        env,
        cwd: if record.config.working_dir.is_empty() { "/".to_owned() } else { record.config.working_dir.clone() },
        user: record.config.user.clone(),
        mounts: mounts.collect(),
        network: if record.no_network { StepNetwork::None } else { StepNetwork::Default },
        calls: Calls::Native,
        hostname: record.hostname.clone(),
        hosts: Vec::new(),
        timeout: None,
        shm_bytes: SHM_BYTES,
        ulimits: Vec::new(),
    }
}

fn volume_mount(record: &Record, mount: &VolumeMount) -> Mount {
    let hidden = || (record.layers.clone(), mount.target.trim_start_matches('/').as_bytes().to_vec());
    let kind = MountKind::Volume {
        name: mount.volume.clone(),
        writable: !mount.read_only,
        seed: (!mount.no_copy).then(hidden),
    };
    Mount { target: mount.target.clone(), kind }
}

/// Makes the socket at which the supervisor is asked.
fn listen(container: &Container) -> Result<UnixListener, Error> {
    let directory = &container.directory;
    let _ = std::fs::remove_file(directory.join("control.sock"));
    // Names of sockets are short, and data directories may lie deep.
    let opened = File::open(directory).map_err(Error::file("opening", directory))?;
    let path = format!("/proc/self/fd/{}/control.sock", opened.as_raw_fd());
    UnixListener::bind(path).map_err(Error::file("making the socket in", directory))
}

/// Answers all who connect, each in a thread of its own.
fn serve(supervisor: &Arc<Supervisor>, socket: UnixListener) {
    let supervisor = supervisor.clone();
    std::thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || supervisor.answer(stream));
        }
    });
}

impl Supervisor {
    fn sandbox(&self) -> Result<Arc<Sandbox>, runtime::Error> {
        self.sandbox.upgrade().ok_or(runtime::Error::Gone)
    }

    fn answer(&self, stream: UnixStream) {
        let Ok(Some((_, bytes))) = receive(&stream) else { return };
        let Ok(request) = serde_json::from_slice::<Request>(&bytes) else { return };
        let answered = match request {
            Request::Start { .. } => Err("the container is running already".to_owned()),
            Request::Attach => {
                let Ok(listener) = stream.try_clone() else { return };
                self.listeners.attach(Listener::new(listener));
                let typing = self.typing.lock().unwrap_or_else(PoisonError::into_inner).clone();
                return typing.follow(&stream);
            }
            Request::Wait => return self.listeners.wait(Listener::new(stream)),
            Request::Exec(request) => return self.exec(&request, &stream),
            Request::Signal(signal) => {
                let sent = self.sandbox().and_then(|sandbox| sandbox.signal_container(&self.id, signal));
                sent.map(|()| serde_json::Value::Null).map_err(|error| error.to_string())
            }
            Request::Freeze(frozen) => self.freeze(frozen),
            Request::Keep => {
                self.listeners.keep();
                Ok(serde_json::Value::Null)
            }
            Request::Usage => {
                let usage = self.sandbox().and_then(|sandbox| sandbox.container_usage(&self.id));
                usage.map(|usage| serde_json::json!(usage)).map_err(|error| error.to_string())
            }
            Request::Hold => return self.hold(stream),
            Request::CopyOut(copy) => return files::send(self.sandbox(), &self.id, &copy, stream),
            Request::CopyIn(copy) => files::receive(self.sandbox(), &self.id, &copy, &stream),
            Request::Processes => {
                let found = self.sandbox().and_then(|sandbox| sandbox.container_processes(&self.id));
                found.map(|found| serde_json::json!(found)).map_err(|error| error.to_string())
            }
        };
        let _ = Listener::new(stream).send_value(kind::ANSWER, &answered);
    }

    fn freeze(&self, frozen: bool) -> Result<serde_json::Value, String> {
        let freeze = if frozen { Freeze::Frozen } else { Freeze::Thawed };
        let frozen_now = self.sandbox().and_then(|sandbox| sandbox.freeze_container(&self.id, freeze));
        frozen_now.map_err(|error| error.to_string())?;
        let mut container = self.container.lock().unwrap_or_else(PoisonError::into_inner);
        container.state.status = if frozen { Status::Paused } else { Status::Running };
        container.write_state().map(|()| serde_json::Value::Null).map_err(|error| error.to_string())
    }

    /// Stops the processes as long as somebody on the other end wants that, and is there.
    fn hold(&self, stream: UnixStream) {
        let Ok(listener) = stream.try_clone().map(Listener::new) else { return };
        let answered = self.freeze(true);
        let is_frozen = answered.is_ok();
        let _ = listener.send_value(kind::ANSWER, &answered);
        let _ = receive(&stream);
        if is_frozen {
            let _ = listener.send_value(kind::ANSWER, &self.freeze(false));
        }
    }

    /// Runs one more command; `stream` types and gets what it prints.
    fn exec(&self, request: &ExecRequest, stream: &UnixStream) {
        let Ok(listener) = stream.try_clone().map(Listener::new) else { return };
        let end = self.exec_until_end(request, stream, &listener).unwrap_or_else(|error| end_of(Err(error)));
        let _ = listener.send_value(kind::EXIT, &end);
    }

    fn exec_until_end(
        &self,
        request: &ExecRequest,
        stream: &UnixStream,
        listener: &Arc<Listener>,
    ) -> Result<End, runtime::Error> {
        let record = self.container.lock().unwrap_or_else(PoisonError::into_inner).record.clone();
        let step = Step {
            argv: request.argv.clone(),
            env: request.env.clone(),
            cwd: request.cwd.clone(),
            user: request.user.clone(),
            ..step_of(&record)
        };
        let run = ContainerRun { terminal: request.terminal, read_only: false, init: false };
        let sandbox = self.sandbox()?;
        let mut process = sandbox.exec(&self.id, &step, run)?;
        let listeners = Arc::new(Listeners::default());
        listeners.attach(listener.clone());
        if process.is_started()? {
            let _ = listener.send(kind::STARTED, &[]);
        }
        let (typing, readers) = pass_on(&mut process, request.interactive, &listeners, None);
        if let Ok(typist) = stream.try_clone() {
            std::thread::spawn(move || typing.follow(&typist));
        }
        let end = end_of(process.wait(&CancellationToken::new()));
        drop(sandbox);
        // Processes that the command left running may hold its output open for long.
        while !readers.iter().all(|reader| reader.is_done(LAST_OUTPUT)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(end)
    }
}
