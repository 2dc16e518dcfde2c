//! `slipway build`: one image, from a directory or a git URL, with the engine that builds pushes.

use crate::progress::{self, Style};
use crate::services::{self, DataDir, chain};
use builder::context::{Context, NamedContext};
use builder::execute::Options;
use builder::source::{self, CommitTree, Directory, FetchSettings, GitContext, Mirror, Wanted};
use builder::trace::{Trace, Work};
use builder::{Request, Services, Unordered};
use clap::Args;
use registry_client::{Credentials, Platform, Reference};
use runtime::Cancel;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long one step may take when it is built by hand.
const STEP_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Arguments of `slipway build`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The Dockerfile [default: Dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Name of the image; may be given several times
    #[arg(short, long = "tag", value_name = "REF")]
    tags: Vec<String>,
    /// Set a build argument; without a value it is taken from the environment
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// Put a label on the image
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Give a secret to the steps that mount it
    #[arg(long = "secret", value_name = "id=ID,src=FILE|env=NAME")]
    secrets: Vec<String>,
    /// Give a directory or image a name for FROM and --from
    #[arg(long = "build-context", value_name = "NAME=PATH")]
    contexts: Vec<String>,
    /// Run every step, whatever is known
    #[arg(long)]
    no_cache: bool,
    /// Push the image to where its names say
    #[arg(long)]
    push: bool,
    /// Write the manifest's digest to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write where the time went to a file, for Chrome's trace viewer, and print the critical path
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Style::Auto)]
    progress: Style,
    /// A directory, or a git URL with #ref:directory
    context: String,
}

/// Runs the command.
pub fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    let data = DataDir::open(data_dir)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
    let services = services::open(&data, &data.database_url(), Credentials::docker(), tokio.handle())?;
    let cancel = Cancel::new();
    crate::services::cancel_on_signal(tokio.handle(), cancel.clone());
    let (trace, began) = (Trace::default(), std::time::Instant::now());
    let (request, observer) = (request(arguments, &data, (&cancel, &trace))?, progress::observer(arguments.progress));
    let built = builder::build(&request, &services, observer.as_ref(), &cancel);
    if let Some(path) = &arguments.profile {
        write_profile(path, &trace)?;
    }
    match built {
        Ok(built) => {
            keep(&services, &request, &built)?;
            observer.done(&built, began.elapsed());
            if let Some(path) = &arguments.iidfile {
                std::fs::write(path, built.image.digest.to_string())
                    .map_err(|error| format!("writing `{}`: {error}", path.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            observer.failed(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Writes the trace for Chrome's viewer and prints what the end of the build waited for.
fn write_profile(path: &Path, trace: &Trace) -> Result<(), String> {
    std::fs::write(path, trace.to_chrome()).map_err(|error| format!("writing `{}`: {error}", path.display()))?;
    eprintln!("{}", trace.summary());
    Ok(())
}

/// Names the image in the store, so that it stays there and other commands find it.
fn keep(services: &Services, request: &Request, built: &builder::Built) -> Result<(), String> {
    for tag in request.tags.iter().filter(|_| !request.push) {
        let repository = format!("{}/{}", tag.registry(), tag.repository());
        let descriptor = registry_client::Descriptor::new(
            built.image.media_type,
            built.image.digest.clone(),
            built.image.manifest.len() as u64,
        );
        services.store.tag(&repository, tag.tag().unwrap_or("latest"), &descriptor).map_err(|error| chain(&error))?;
    }
    Ok(())
}

fn request(arguments: &Arguments, data: &DataDir, (cancel, trace): (&Cancel, &Trace)) -> Result<Request, String> {
    let fetching = trace.span(Work::Fetch, &arguments.context);
    let found = find_context(arguments, data, cancel)?;
    drop(fetching);
    let build_args = pairs(&arguments.build_args, "--build-arg", true)?;
    let epoch = match build_args.get("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) {
        None => found.time,
        Some(value) => Some(value.parse().map_err(|_| format!("invalid SOURCE_DATE_EPOCH: {value}"))?),
    };
    let tags = arguments.tags.iter().map(|tag| Reference::parse(tag)).collect::<Result<Vec<_>, _>>();
    if arguments.push && arguments.tags.is_empty() {
        return Err("--push needs a name: add -t REGISTRY/NAME:TAG".to_owned());
    }
    let secrets = arguments.secrets.iter().map(|secret| read_secret(secret)).collect::<Result<_, _>>()?;
    Ok(Request {
        context: found.context,
        named: named_contexts(&arguments.contexts, data)?,
        dockerfile: found.dockerfile,
        build_args,
        labels: pairs(&arguments.labels, "--label", false)?,
        target: arguments.target.clone(),
        platform: Platform::host(),
        tags: tags.map_err(|error| chain(&error))?,
        push: arguments.push,
        cache_namespace: "local".to_owned(),
        attempt: format!("local-{}", std::process::id()),
        options: Options {
            use_cache: !arguments.no_cache,
            now: epoch.unwrap_or_else(now),
            step_timeout: STEP_TIMEOUT,
            secrets,
            ssh: BTreeMap::new(),
        },
        order: Box::new(Unordered),
        trace: trace.clone(),
    })
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// A context, the Dockerfile found for it, and the commit's time if it is one.
struct Found {
    context: NamedContext,
    dockerfile: builder::DockerfileText,
    time: Option<i64>,
}

fn find_context(arguments: &Arguments, data: &DataDir, cancel: &Cancel) -> Result<Found, String> {
    match GitContext::parse(&arguments.context) {
        Some(git) => from_git(arguments, &git, data, cancel),
        None => from_directory(arguments, data),
    }
}

fn from_git(arguments: &Arguments, git: &GitContext, data: &DataDir, cancel: &Cancel) -> Result<Found, String> {
    let mirror = Mirror::open(&data.join("git"), &git.url).map_err(|error| chain(&error))?;
    let wanted = Wanted::Ref(git.reference.clone().unwrap_or_else(|| "HEAD".to_owned()));
    let settings = FetchSettings { credentials: None, timeout: FETCH_TIMEOUT, cancel: cancel.clone() };
    let commit = mirror.fetch(&wanted, &settings).map_err(|error| chain(&error))?;
    let tree = CommitTree::open(&mirror, &commit, &git.subdir).map_err(|error| chain(&error))?;
    let name = arguments.file.clone().unwrap_or_else(|| "Dockerfile".to_owned());
    let time = Some(tree.commit_time());
    let context = Context::Commit(tree);
    let dockerfile = source::find_dockerfile(&context, &name).map_err(|error| error.report())?;
    let ignore = source::find_ignore(&context, &name, "").map_err(|error| error.report())?;
    Ok(Found { context: NamedContext { context, ignore }, dockerfile, time })
}

/// A local Dockerfile may lie outside the context; its own ignore file lies beside it.
fn from_directory(arguments: &Arguments, data: &DataDir) -> Result<Found, String> {
    let root = Path::new(&arguments.context);
    let context =
        Context::Directory(Directory::open(root, Some(&data.join("stat-cache"))).map_err(|error| chain(&error))?);
    let (dockerfile, beside) = match &arguments.file {
        None => (
            source::find_dockerfile(&context, "Dockerfile").map_err(|error| error.report())?,
            root.join("Dockerfile.dockerignore"),
        ),
        Some(file) => {
            let text = std::fs::read(file).map_err(|error| format!("reading the Dockerfile `{file}`: {error}"))?;
            let name =
                Path::new(file).file_name().map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned());
            (builder::DockerfileText { name, text }, PathBuf::from(format!("{file}.dockerignore")))
        }
    };
    let ignore = match std::fs::read(&beside) {
        Ok(text) => source::parse_ignore(&text, &beside.display().to_string()),
        Err(_) => source::find_ignore(&context, "", ""),
    };
    Ok(Found {
        context: NamedContext { context, ignore: ignore.map_err(|error| error.report())? },
        dockerfile,
        time: None,
    })
}

fn named_contexts(contexts: &[String], data: &DataDir) -> Result<HashMap<String, NamedContext>, String> {
    let mut named = HashMap::new();
    for pair in contexts {
        let (name, path) =
            pair.split_once('=').ok_or_else(|| format!("--build-context `{pair}`: NAME=PATH is expected"))?;
        let directory =
            Directory::open(Path::new(path), Some(&data.join("stat-cache"))).map_err(|error| chain(&error))?;
        let context = Context::Directory(directory);
        let ignore = source::find_ignore(&context, "", "").map_err(|error| error.report())?;
        named.insert(name.to_owned(), NamedContext { context, ignore });
    }
    Ok(named)
}

/// Parses `KEY=VALUE` pairs; a key alone takes its value from the environment, where that is allowed.
fn pairs(arguments: &[String], flag: &str, from_environment: bool) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some(("", _)) => return Err(format!("{flag} `{argument}`: the key is empty")),
            Some((key, value)) => drop(pairs.insert(key.to_owned(), value.to_owned())),
            None if from_environment => {
                if let Ok(value) = std::env::var(argument) {
                    pairs.insert(argument.clone(), value);
                }
            }
            None => drop(pairs.insert(argument.clone(), String::new())),
        }
    }
    Ok(pairs)
}

/// Reads a secret given as `id=ID,src=FILE` or `id=ID,env=NAME`, as docker does.
fn read_secret(argument: &str) -> Result<(String, Vec<u8>), String> {
    let fields: HashMap<_, _> = argument.split(',').filter_map(|field| field.split_once('=')).collect();
    let id = fields.get("id").ok_or_else(|| format!("--secret `{argument}`: id=… is missing"))?;
    let source = fields.get("src").or_else(|| fields.get("source"));
    let content = match (source, fields.get("env")) {
        (Some(path), _) => {
            std::fs::read(path).map_err(|error| format!("reading secret `{id}` from `{path}`: {error}"))?
        }
        (None, Some(name)) => {
            std::env::var(name).map_err(|error| format!("reading secret `{id}` from ${name}: {error}"))?.into_bytes()
        }
        (None, None) => {
            std::env::var(id).map_err(|error| format!("reading secret `{id}` from ${id}: {error}"))?.into_bytes()
        }
    };
    Ok(((*id).to_owned(), content))
}
