//! Secrets reach the steps that ask for them, and nothing else.

use crate::support::worker_pool::{CANARY, Yard};
use crate::support::{Site, TOKEN, curl};
use database::{BuildRequest, BuildState};
use serde_json::json;
use std::path::Path;

const VALUE: &str = "p@ss w0rd/\"42\"";
const BASE64: &str = "cEBzcyB3MHJkLyI0MiI";

/// Stores secrets of the repository and returns a request that may mount them.
fn with_secrets(yard: &Yard, secrets: &[(&str, &[u8])], files: &[(&str, &str)]) -> BuildRequest {
    let mut request = yard.request(&yard.commit(files));
    for (name, value) in secrets {
        yard.tokio.block_on(yard.database.put_secret("team/app", name, value)).unwrap();
        request.spec.options.secrets.push((*name).to_owned());
    }
    request
}

/// Returns the files below `directory` that hold `text`.
fn files_with(directory: &Path, text: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_with(&entry.path(), text, found);
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            if bytes.windows(text.len()).any(|window| window == text) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}

#[test]
fn a_secret_is_mounted_and_hidden_and_kept_nowhere() {
    // SEC-01, SEC-03, SEC-08
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nLABEL a=b\n\
        RUN --mount=type=secret,id=key s=$(cat /run/secrets/key); echo \"raw <$s>\"; printf %s \"$s\" | base64; \
        printf 'split <%s' \"${s%??????}\"; sleep 1; printf '%s>\\n' \"${s#????????}\"; echo \"length ${#s}\"\n\
        RUN --mount=type=secret,id=key,env=KEY echo \"env <$KEY>\"; echo \"$KEY\" >&2; exit 3\n";
    let request = with_secrets(&yard, &[("key", VALUE.as_bytes())], &[("Dockerfile", dockerfile)]);
    let (state, code, message) = yard.failed(&yard.queue(&request));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "step_failed"), "{message}");
    let filter = database::BuildFilter { limit: 1, ..database::BuildFilter::default() };
    let id = yard.tokio.block_on(yard.database.builds(&filter)).unwrap().remove(0).id;
    let log = yard.log(&id);
    for shown in ["raw <***>", "split <***>", "length 14", "env <***>"] {
        assert!(log.contains(shown), "{shown}: {log}");
    }
    assert!(message.contains("env <***>"), "{message}");
    // Snapshots belong to the sandbox's ids; root reads them all the same.
    for form in [VALUE, BASE64, CANARY] {
        let mut found = Vec::new();
        files_with(&yard.path("data"), form.as_bytes(), &mut found);
        assert_eq!(found, Vec::<String>::new(), "{form}");
        assert!(!log.contains(form) && !message.contains(form));
        assert!(!std::fs::read_to_string(yard.path("worker.log")).unwrap().contains(form));
    }
}

#[test]
fn a_secret_that_is_missing_is_named_and_strangers_get_none() {
    // DF-27, SEC-05
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN --mount=type=secret,id=key,required cat /run/secrets/key\n";
    let mut request = with_secrets(&yard, &[("key", VALUE.as_bytes())], &[("Dockerfile", dockerfile)]);
    yard.succeeded(&yard.queue(&request));
    request.spec.options.trusted = false;
    let (state, code, message) = yard.failed(&yard.queue(&request));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "secret_not_available"));
    assert!(message.contains("secret key") && !message.contains(VALUE), "{message}");
    request.spec.options.trusted = true;
    request.spec.options.secrets.clear();
    request.spec.use_cache = false;
    assert_eq!(yard.failed(&yard.queue(&request)).1, "secret_not_available");
}

#[test]
fn secrets_that_cannot_be_hidden_are_refused_or_warned_of() {
    // SEC-11
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN --mount=type=secret,id=short echo \"<$(cat /run/secrets/short)>\"\n\
        RUN --mount=type=secret,id=empty echo \"size $(wc -c < /run/secrets/empty)\"\n\
        RUN --mount=type=secret,id=binary echo \"size $(wc -c < /run/secrets/binary)\"; cat /run/secrets/binary\n";
    let binary: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let secrets: [(&str, &[u8]); 3] = [("short", b"abc"), ("empty", b""), ("binary", &binary)];
    let request = with_secrets(&yard, &secrets, &[("Dockerfile", dockerfile)]);
    let id = yard.queue(&request);
    yard.succeeded(&id);
    let log = yard.log(&id);
    assert!(log.contains("WARNING: secret `short` has fewer than 4 characters"), "{log}");
    assert!(
        log.contains("<abc>") && log.contains("size 0") && log.contains("size 1000") && log.contains("***"),
        "{log}"
    );
    let request = with_secrets(&yard, &[("large", &vec![b'x'; 1024 * 1024])], &[]);
    let (state, code, message) = yard.failed(&yard.queue(&request));
    assert_eq!((state.as_str(), code.as_str()), ("failed", "secret_too_large"));
    assert!(message.contains("`large`") && message.contains("1048576"), "{message}");
}

#[test]
fn steps_see_nothing_of_the_service() {
    // SEC-07
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[(
        "Dockerfile",
        "ARG BASE\nFROM ${BASE}\nRUN env; cat /proc/*/environ /proc/*/cmdline /proc/self/mountinfo /proc/self/cgroup | tr '\\0' '\\n'\n",
    )]);
    yard.succeeded(&id);
    let log = yard.log(&id);
    let data = yard.path("data");
    for text in [CANARY, "SLIPWAY", "slipway.db", data.to_str().unwrap()] {
        assert!(!log.contains(text), "{text}: {log}");
    }
}

#[test]
fn caches_of_strangers_and_of_other_repositories_are_not_used() {
    // SEC-17, SEC-18
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN cat /proc/sys/kernel/random/uuid > /marker\n";
    let request = yard.request(&yard.commit(&[("Dockerfile", dockerfile)]));
    let cached = |change: &dyn Fn(&mut BuildRequest)| {
        let mut request = request.clone();
        change(&mut request);
        let id = yard.queue(&request);
        assert_eq!(yard.finished(&id).state, BuildState::Succeeded, "{}", yard.log(&id));
        yard.tokio.block_on(yard.database.steps(&id)).unwrap()[0].cached
    };
    let stranger = |request: &mut BuildRequest| request.spec.options.trusted = false;
    let neighbour = |request: &mut BuildRequest| request.repository = "team/other".to_owned();
    assert!(!cached(&stranger) && !cached(&|_| ()) && !cached(&neighbour));
    assert!(cached(&stranger) && cached(&|_| ()) && cached(&neighbour), "each has its own");
}

#[test]
fn a_build_argument_that_sounds_like_a_secret_is_warned_of() {
    // SEC-04
    let site = Site::start("[repositories.rules.env]\nDEPLOY_PASSWORD = \"x\"\n");
    site.push_base();
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nARG NPM_TOKEN\nRUN true\n")]);
    let asked = json!({ "ref": "main", "rule": "main", "build_args": { "NPM_TOKEN": "x", "MONKEY": "y" } });
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let url = format!("{}/v1/repos/team/app/builds", site.url);
    let answer = curl(&["-X", "POST", "-H", &bearer, "-d", &asked.to_string(), &url]).json();
    let warned = answer["builds"][0]["warnings"].to_string();
    assert!(warned.contains("`NPM_TOKEN` sounds like a secret") && !warned.contains("MONKEY"), "{answer:#}");
    let id = answer["builds"][0]["id"].as_str().unwrap();
    site.succeeded(id);
    assert!(site.log(id).contains("SecretsUsedInArgOrEnv"), "{}", site.log(id));
    let page = curl(&[&format!("{}/builds/{id}", site.url)]).text;
    assert!(page.contains("NPM_TOKEN` sounds like a secret"), "{page}");
    // The `env` of a rule gives build arguments to each of its builds, whoever pushes.
    let body = json!({ "ref": "refs/tags/v1" }).to_string();
    let tried =
        curl(&["-X", "POST", "-H", &bearer, "-d", &body, &format!("{}/v1/repos/team/app/rules:test", site.url)]);
    let warned = tried.json()["rules"][1]["warnings"].to_string();
    assert!(warned.contains("`DEPLOY_PASSWORD` sounds like a secret"), "{}", tried.text);
}
