//! `slipway build`: one image, from wherever docker takes a context, with the engine that builds pushes.

mod agent;
mod call;
mod context;
pub(crate) mod fields;
mod ignored;
mod interrupt;
mod outputs;
pub(crate) mod registries;
pub(crate) mod report;
mod request;
mod secrets;
pub(crate) mod session;

use crate::progress::{self, Style};
use crate::state::{self, DataDir};
use builder::trace::Trace;
use builder::{Checked, Request, Services};
use clap::Args;
use dockerfile::DockerfileText;
use ignored::Ignored;
use outputs::Outputs;
use runtime::CancellationToken;
use session::{Session, Stopped, Work};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `slipway build`.
#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// The Dockerfile; `-` reads it from standard input [default: Dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,
    /// Name of the image; may be given several times
    #[arg(short, long = "tag", value_name = "REF")]
    tags: Vec<String>,
    /// Set a build argument; without a value it is taken from the environment
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    pub build_args: Vec<String>,
    /// Put a label on the image
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Put a note on the image's manifest, or on its index
    #[arg(long = "annotation", value_name = "[LEVEL:]KEY=VALUE")]
    annotations: Vec<String>,
    /// The stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Platform of the image; several make an index
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    platforms: Vec<String>,
    /// Give a secret to the steps that mount it
    #[arg(long = "secret", value_name = "id=ID,src=FILE|env=NAME")]
    secrets: Vec<String>,
    /// Give an ssh agent, or the keys of files, to the steps that mount it
    #[arg(long = "ssh", value_name = "default|ID=SOCKET|ID=KEY,…")]
    ssh: Vec<String>,
    /// Give files or an image a name for FROM and --from
    #[arg(long = "build-context", value_name = "NAME=PLACE")]
    pub contexts: Vec<String>,
    /// Destination of the image: type=oci|docker|tar|local|image|registry,dest=PLACE,compression=gzip|zstd|zstd:chunked|estargz; a directory; or - for a tar
    #[arg(short, long = "output", value_name = "WHAT")]
    outputs: Vec<String>,
    /// Run every step, whatever is known
    #[arg(long)]
    no_cache: bool,
    /// Run every step of these stages, whatever is known
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Ask the registries for base images, also for those that were built here
    #[arg(long)]
    pull: bool,
    /// Push the image to where its names say
    #[arg(long)]
    push: bool,
    /// Keep the image in the store under its names; that is done unless it goes elsewhere
    #[arg(long)]
    load: bool,
    /// The network of RUN
    #[arg(long, value_name = "default|none", default_value = "default")]
    pub network: String,
    /// Let RUN find a host under a name
    #[arg(long = "add-host", value_name = "NAME:ADDRESS")]
    hosts: Vec<String>,
    /// Size of /dev/shm for RUN
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// Let RUN execute 32-bit x86 programs, also outside of stages for linux/386
    #[arg(long = "allow-32bit")]
    allow_32bit: bool,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
    /// Limit each process of RUN
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    ulimits: Vec<String>,
    /// Memory that all steps together may use
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Paths that one COPY, ADD or mount may take
    #[arg(long, value_name = "N", default_value_t = builder::walk::MAX_PATHS, value_parser = max_paths)]
    pub max_paths: usize,
    /// Write the digest of the image to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write what is known of the image to a file
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Write where the time went to a file, for Chrome's trace viewer, and print the critical path
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Check the Dockerfile and build nothing, as `slipway check` does
    #[arg(long)]
    check: bool,
    /// Answer a question about the Dockerfile and build nothing: check, outline or targets
    #[arg(long, value_name = "METHOD[,format=json]", default_value = "build")]
    call: String,
    /// How the answer to --call or --check is shown
    #[arg(long, value_enum, default_value_t)]
    format: super::findings::Format,
    /// Print nothing but the digest of the image
    #[arg(short, long)]
    quiet: bool,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Style::Auto)]
    progress: Style,
    #[command(flatten)]
    ignored: Ignored,
    /// The Dockerfile's text, where a bake file has it
    #[arg(skip)]
    pub dockerfile_text: Option<String>,
    /// A directory, a tar, a git URL with #ref:directory, the URL of a tar or Dockerfile, or - for one on standard input
    pub context: String,
}

/// Reads a number of paths: none would let nothing be built, and a layer holds no more than so many.
fn max_paths(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=files::tree::MAX_ENTRIES).contains(number));
    number.ok_or_else(|| format!("a number from 1 to {} is expected", files::tree::MAX_ENTRIES))
}

impl Arguments {
    /// Returns a line for each flag that has no effect here, or another than docker's.
    pub(crate) fn notes(&self) -> Result<Vec<String>, String> {
        let mut notes = self.ignored.notes();
        notes.extend(docker_note(self, &Outputs::parse(&self.outputs)?));
        Ok(notes)
    }

    /// Tells whether a part of the result goes to standard output.
    pub(crate) fn writes_to_stdout(&self) -> Result<bool, String> {
        let stdout = builder::image::output::Destination::Stdout;
        Ok(Outputs::parse(&self.outputs)?.written.iter().any(|output| output.destination == stdout))
    }
}

/// Checks the Dockerfile that would be built, and returns what is found with the file it was found in.
pub(crate) fn check(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<(Checked, DockerfileText), String> {
    ask(arguments, data_dir, |request, services| (builder::check(request, services), request.dockerfile.clone()))
}

/// Asks something about what would be built.
fn ask<T>(
    arguments: &Arguments,
    data_dir: Option<PathBuf>,
    question: impl FnOnce(&Request, &Services) -> T,
) -> Result<T, String> {
    let data = DataDir::open(data_dir)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
    let mut services = state::open(&data, &data.database_url(), arguments.registries()?, tokio.handle())?;
    services.client = state::mirrors::through(services.client, state::mirrors::by_hand(&data));
    let outputs = Outputs::parse(&arguments.outputs)?;
    let agents = agent::Agents::default();
    let work = Work::default();
    let asked =
        request::Asked { arguments, outputs: &outputs, data: &data, services: &services, agents: &agents, work: &work };
    let request = asked.request(&CancellationToken::new())?;
    let answer = question(&request, &services);
    // A look-up of a name that nobody waits for any more may take its time.
    tokio.shutdown_background();
    Ok(answer)
}

/// Answers the question that the arguments ask in place of a build, if they ask one.
pub(crate) fn answer(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<Option<ExitCode>, String> {
    match call::question(arguments)? {
        Some((question, format)) => call::answer(question, format, arguments, data_dir).map(Some),
        None => Ok(None),
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    if let Some(code) = answer(arguments, data_dir.clone())? {
        return Ok(code);
    }
    let style = if arguments.quiet { Style::Quiet } else { arguments.progress };
    let notes = arguments.notes()?;
    if !matches!(style, Style::Quiet | Style::Json) {
        notes.iter().for_each(|note| eprintln!("{note}"));
    }
    let session = Session::open(data_dir, arguments.registries()?)?;
    let (work, began) = (Work::default(), std::time::Instant::now());
    let observer = progress::observer(style);
    let finished = session.build(arguments, &work, observer.as_ref());
    if let (Some(path), Ok(_) | Err(Stopped::Failed(_))) = (&arguments.profile, &finished) {
        write_profile(path, &work.trace)?;
    }
    match finished {
        Ok((built, names)) => {
            observer.done(&built, began.elapsed());
            arguments.iidfile.as_ref().map_or(Ok(()), |path| report::iidfile(path, &built))?;
            let metadata = arguments.metadata_file.as_ref();
            metadata.map_or(Ok(()), |path| report::write_json(path, &report::metadata(&built, &names)))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Stopped::Unasked(text)) => match session.interrupt.code() {
            Some(code) => {
                observer.failed(&builder::Error::cancelled());
                Ok(code)
            }
            None => Err(text),
        },
        Err(Stopped::Failed(error)) => match session.interrupt.behind(&error) {
            Some(code) => {
                observer.failed(&builder::Error::cancelled());
                Ok(code)
            }
            None => {
                observer.failed(&error);
                Ok(ExitCode::FAILURE)
            }
        },
    }
}

/// Says what becomes of an image that docker would have got.
fn docker_note(arguments: &Arguments, outputs: &Outputs) -> Option<String> {
    let flag = match (arguments.load, outputs.for_docker) {
        (true, _) => "--load",
        (false, true) => "--output type=docker without dest",
        (false, false) => return None,
    };
    let named = if arguments.tags.is_empty() && outputs.names.is_empty() {
        "needs a name to keep the image under (-t NAME:TAG), and keeps it in slipway's own store"
    } else {
        "keeps the image in slipway's own store"
    };
    Some(format!(
        "NOTE: {flag} {named}, not in docker's: --output type=docker,dest=FILE writes what `docker load` takes"
    ))
}

/// Writes the trace for Chrome's viewer and prints what the end of the build waited for.
fn write_profile(path: &Path, trace: &Trace) -> Result<(), String> {
    std::fs::write(path, trace.to_chrome(usize::MAX, &str::to_owned))
        .map_err(|error| format!("writing `{}`: {error}", path.display()))?;
    eprintln!("{}", trace.summary());
    Ok(())
}
