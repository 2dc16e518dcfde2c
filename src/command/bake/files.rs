//! The files of `slipway bake`, and the values from outside that they may use.

use super::Arguments;
use bake::{Facts, File, Request, Settings};
use registry_client::Platform;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};

/// Files that are read where none is named, in their order.
const DEFAULT_FILES: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];
/// Bytes of a file that are read.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Names files, as `--file` does; and what separates them there.
const FILES_VARIABLE: &str = "BUILDX_BAKE_FILE";
const SEPARATOR_VARIABLE: &str = "BUILDX_BAKE_PATH_SEPARATOR";
/// Makes paths of files relative to the files for docker.
const RELATIVE_VARIABLE: &str = "BUILDX_BAKE_FILE_RELATIVE_PATHS";

/// Returns what the arguments ask of which files.
pub(crate) fn request(arguments: &Arguments) -> Result<Request, String> {
    if let Some(url) = arguments.targets.first().filter(|first| is_remote(first)) {
        return Err(format!(
            "`{url}` is a repository: bake files are read from this machine; clone it, and name targets"
        ));
    }
    if std::env::var(RELATIVE_VARIABLE).is_ok_and(|value| !matches!(value.trim(), "" | "0" | "false")) {
        return Err(format!("{RELATIVE_VARIABLE} is not supported: paths are relative to the working directory"));
    }
    Ok(Request {
        files: files(&arguments.files)?,
        dot_env: read(".env")?,
        targets: arguments.targets.clone(),
        overrides: overrides(arguments),
        settings: settings(&arguments.variables)?,
    })
}

fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}

fn files(named: &[String]) -> Result<Vec<File>, String> {
    let mut named = named.to_vec();
    if let (true, Ok(names)) = (named.is_empty(), std::env::var(FILES_VARIABLE)) {
        let separator = std::env::var(SEPARATOR_VARIABLE).ok().filter(|text| !text.is_empty());
        named = names.split(separator.as_deref().unwrap_or(":")).map(str::to_owned).collect();
    }
    let mut files = Vec::new();
    if named.is_empty() {
        for name in DEFAULT_FILES {
            files.extend(read(name)?.map(|text| File { name: name.to_owned(), text }));
        }
        return match files.is_empty() {
            true => Err(format!(
                "there is no bake file here: {} are looked for; --file names one",
                DEFAULT_FILES.join(", ")
            )),
            false => Ok(files),
        };
    }
    for name in named {
        let path = name.strip_prefix("cwd://").unwrap_or(&name);
        let text = match path {
            "-" => Some(utf8("standard input", std::io::stdin().lock())?),
            path => read(path)?,
        };
        let text = text.ok_or_else(|| format!("reading `{path}`: there is no such file"))?;
        files.push(File { name: path.to_owned(), text });
    }
    Ok(files)
}

/// Reads a file; `None` if it is not there.
fn read(path: &str) -> Result<Option<String>, String> {
    match std::fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("reading `{path}`: {error}")),
        Ok(file) if file.metadata().is_ok_and(|known| known.is_dir()) => match path {
            ".env" => Ok(None),
            _ => Err(format!("reading `{path}`: it is a directory")),
        },
        Ok(file) => utf8(path, file).map(Some),
    }
}

fn utf8(name: &str, from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| format!("reading `{name}`: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("reading `{name}`: it has more than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| format!("reading `{name}`: it is not UTF-8"))
}

fn settings(variables: &[String]) -> Result<Settings, String> {
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut environment: BTreeMap<String, String> = all.collect();
    for text in variables {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| format!("--var `{text}`: NAME=VALUE is expected"))?;
        environment.insert(name.to_owned(), value.to_owned());
    }
    let home = environment.get("HOME").cloned().unwrap_or_default();
    let built_in = [("BAKE_CMD_CONTEXT", "cwd://".to_owned()), ("BAKE_LOCAL_PLATFORM", Platform::host().to_string())];
    let mut seed = [0; 16];
    // Without random numbers uuidv4() is the same each time; nothing else depends on it.
    let random = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    random.map_err(|error| format!("reading random numbers: {error}"))?;
    Ok(Settings {
        environment,
        built_in: built_in.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        facts: Facts { now: crate::clock::unix_seconds(), home, seed, ..Facts::default() },
    })
}

/// Returns the flags as the overrides that they stand for.
fn overrides(arguments: &Arguments) -> Vec<String> {
    let mut overrides = arguments.overrides.clone();
    let flags = [
        (arguments.push, "*.push=true"),
        (arguments.load, "*.load=true"),
        (arguments.no_cache, "*.no-cache=true"),
        (arguments.pull, "*.pull=true"),
        (arguments.check, "*.call=check"),
    ];
    overrides.extend(flags.iter().filter(|(given, _)| *given).map(|(_, text)| (*text).to_owned()));
    if arguments.call != "build" {
        overrides.push(format!("*.call={}", arguments.call));
    }
    for (kind, value) in [("provenance", &arguments.provenance), ("sbom", &arguments.sbom)] {
        overrides.extend(value.as_ref().map(|value| match value.as_str() {
            "true" | "1" => format!("*.attest=type={kind},disabled=false"),
            "false" | "0" => format!("*.attest=type={kind},disabled=true"),
            other => format!("*.attest=type={kind},{other}"),
        }));
    }
    overrides
}
