//! Docker Hub's hooks: a repository that Docker Hub built is built as it was there.

use crate::service::api::{ADMIN, ask};
use crate::support::{Site, TOKEN, curl, run, slipway, wait_for};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Programs of this machine that the image of the hooks gets, with their libraries.
const PROGRAMS: [&str; 3] = ["bash", "git", "curl"];

/// Pushes an image with bash, git and curl of this machine as `base/hook`.
fn push_hook_image(site: &Site) {
    let context = tempfile::tempdir().unwrap();
    let root = context.path().join("root");
    for program in PROGRAMS {
        let path = run(Command::new("sh").args(["-c", &format!("command -v {program}")]));
        let path = path.trim();
        copy(Path::new(path), &root.join("usr/bin").join(program));
        let needed = run(Command::new("ldd").arg(path));
        for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(library), &root.join(library.trim_start_matches('/')));
        }
    }
    let dockerfile = format!("FROM {}/base/busybox\nCOPY root/ /\nRUN ln -sf /usr/bin/bash /bin/bash\n", site.registry);
    std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
    run(slipway()
        .args(["build", "--progress", "plain", "--push", "-t", &format!("{}/base/hook", site.registry), "--data-dir"])
        .arg(site.path("data"))
        .arg(context.path()));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

/// Starts a site whose repository `team/hub` runs hooks; `repository` is added to its settings, `rule` to its rule.
fn hub_site(repository: &str, rule: &str) -> Site {
    let extra = format!(
        r#"
            [[repositories]]
            name = "team/hub"
            clone_url = "http://@GIT@/app.git"
            secret = "another secret of this test"
            image = "@REGISTRY@/team/hub"
            hub_hooks = true
            {repository}
            [[repositories.rules]]
            name = "main"
            branch = "main"
            tags = ["latest", "1.0"]
            build_args = {{ BASE = "@REGISTRY@/base/busybox" }}
            {rule}
            [hub]
            image = "@REGISTRY@/base/hook"
        "#
    );
    let site = Site::start(&format!("{ADMIN}{extra}"));
    site.push_base();
    push_hook_image(&site);
    site
}

/// Asks for a build of `team/hub`, waits for its end and returns its id.
fn build(site: &Site) -> String {
    let id = begin(site);
    site.finished(&id);
    id
}

/// Asks for a build of `team/hub` and returns its id.
fn begin(site: &Site) -> String {
    let answer = curl(&[
        "-H",
        &format!("Authorization: Bearer {TOKEN}"),
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"ref":"refs/heads/main"}"#,
        &format!("{}/v1/repos/team/hub/builds", site.url),
    ]);
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["builds"][0]["id"].as_str().unwrap().to_owned()
}

/// Returns a hook with the usual first lines.
fn hook(lines: &str) -> String {
    format!("#!/bin/bash\nset -e\n{lines}\n")
}

/// Returns a tag's image as the registry names it, by its digest.
fn digest(site: &Site, tag: &str) -> String {
    let url = format!("http://{}/v2/team/hub/manifests/{tag}", site.registry);
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let headers = run(Command::new("curl").args(["-sI", "-H", accept, &url]));
    assert!(headers.starts_with("HTTP/1.1 200"), "{tag}: {headers}");
    headers.lines().find_map(|line| line.strip_prefix("docker-content-digest: ")).unwrap().trim().to_owned()
}

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nARG MARK=none\nCOPY made.txt /made.txt\nRUN echo $MARK > /mark.txt\n";

#[test]
fn hooks_prepare_replace_and_follow_the_build() {
    let site = hub_site("", "");
    let pre = hook("echo made by the hook > made.txt\ngit rev-parse HEAD > commit.txt");
    let replaced = hook("docker build --build-arg BASE --build-arg MARK=hook -t built .\ndocker tag built $IMAGE_NAME");
    let post = hook("docker tag $IMAGE_NAME $DOCKER_REPO:extra\ndocker push $DOCKER_REPO:extra");
    let commit = site.commit(&[
        ("Dockerfile", DOCKERFILE),
        ("hooks/pre_build", &pre),
        ("hooks/build", &replaced),
        ("hooks/post_push", &post),
    ]);
    let id = build(&site);
    let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
    assert_eq!((&ended["state"], &ended["commit"]), (&"succeeded".into(), &commit.as_str().into()), "{ended:#}\n{log}");
    for line in ["Executing pre_build hook...", "Successfully tagged built:latest", "Build finished"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let steps: Vec<_> = ended["steps"].as_array().unwrap().iter().map(|step| step["instruction"].clone()).collect();
    assert_eq!(steps, ["hooks/pre_build", "hooks/build", "hooks/post_push"]);
    assert_eq!(digest(&site, "extra"), digest(&site, "latest"));
    assert_eq!(ended["image"]["digest"], digest(&site, "1.0").as_str());
    let tags = ended["image"]["tags"].to_string();
    assert!(tags.contains("team/hub:extra") && tags.contains("team/hub:1.0"), "{tags}");
}

#[test]
fn slipway_builds_what_the_hooks_left_and_the_exit_code_decides() {
    let site = hub_site("", "");
    // A hook without a first line that names its shell is one of the shell's.
    let pre =
        "echo MARK=$IMAGE_NAME > made.txt\necho from $SOURCE_BRANCH of $DOCKER_REPO, tags $DOCKER_TAG, on stderr >&2\n";
    let files = [("Dockerfile", DOCKERFILE), ("hooks/pre_build", pre)];
    site.commit(
        &[&files[..], &[("hooks/post_build", &hook("docker inspect -f '{{.RepoTags}}' this\nls /src/.git/HEAD"))]]
            .concat(),
    );
    let id = build(&site);
    let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{log}");
    assert!(log.contains(&format!("from main of {0}/team/hub, tags latest,1.0, on stderr", site.registry)), "{log}");
    assert!(log.contains("Pushing ") && log.contains("this:latest"), "{log}");
    let steps: Vec<_> = ended["steps"].as_array().unwrap().iter().map(|step| step["instruction"].clone()).collect();
    assert_eq!(
        (&steps[0], &steps[steps.len() - 1]),
        (&"hooks/pre_build".into(), &"hooks/post_build".into()),
        "{steps:?}"
    );
    assert!(steps.iter().any(|step| step.as_str().unwrap().starts_with("COPY made.txt")), "{steps:?}");
    site.commit(&[&files[..], &[("hooks/post_build", &hook("exit 3"))]].concat());
    let id = build(&site);
    let ended = site.get(&format!("/v1/builds/{id}"));
    assert_eq!((&ended["state"], &ended["reason"]["code"]), (&"failed".into(), &"hook_failed".into()), "{ended:#}");
    assert_eq!(ended["reason"]["message"], "post_build hook failed! (3)");
    let states: Vec<_> = ended["steps"].as_array().unwrap().iter().map(|step| step["state"].clone()).collect();
    assert_eq!(states.last().unwrap(), "failed");
    assert!(!site.log(&id).contains("Pushing "), "nothing is pushed after a hook failed");
}

#[test]
fn docker_in_a_hook_reaches_nothing_that_the_repository_does_not() {
    let site = hub_site("", "");
    let other = format!("{}/team/app:latest", site.registry);
    let tries = format!(
        r#"
        refused() {{ if "$@" > /tmp/out 2>&1; then echo "REACHED: $*"; cat /tmp/out; else echo "refused: $(tail -n 1 /tmp/out)"; fi; }}
        docker build -q -t own - < small
        docker tag own {other}
        refused docker push {other}
        refused docker push elsewhere.example/x/y:1
        refused docker login -u me -p word 127.0.0.1:{port}
        refused docker login -u me -p word localhost:{port}
        docker login -u me -p word {registry}
        refused docker push {other}
        refused docker run -v /var/run/docker.sock:/s {base} true
        refused docker run --privileged {base} true
        refused docker run --network host {base} true
        refused docker cp /proc/1/root/etc/shadow own:/x
        refused docker build -f /proc/1/root/root/secret.key .
        refused docker build https://127.0.0.1/x.git
        refused docker inspect {other}-none
        ls / > /tmp/ls; if grep -q data /tmp/ls; then echo "REACHED: the machine's files"; fi
        cat /proc/self/uid_map; id -u
        "#,
        base = format!("{}/base/busybox", site.registry),
        registry = site.registry,
        port = site.url.rsplit(':').next().unwrap(),
    );
    let small = format!("FROM {}/base/busybox\nRUN echo small > /small\n", site.registry);
    site.commit(&[("Dockerfile", &small), ("small", &small), ("hooks/post_build", &format!("#!/bin/bash\n{tries}"))]);
    let id = build(&site);
    let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{log}");
    assert!(!log.contains("REACHED"), "{log}");
    assert!(log.contains("this build pushes to") && log.matches("refused: ").count() == 12, "{log}");
}

#[test]
fn the_exit_code_of_sut_decides() {
    let site = hub_site("", "");
    let dockerfile = format!("FROM {}/base/busybox\nCOPY word /word\n", site.registry);
    let compose = format!(
        r#"
services:
  sut:
    build: .
    command: sh -c 'test "$$(wget -q -O - http://web:8000/word)" = "$$EXPECTED" && cat /data/word && cmp /data/word /run/secrets/word && cmp /data/word /own/word && cmp /data/word /word && stat -c "mode %a" /own/word'
    environment: {{ EXPECTED: hello }}
    volumes: [".:/data:ro"]
    secrets: [word, {{ source: word, target: /own/word, mode: 0400 }}]
    configs: [word]
    depends_on:
      web: {{ condition: service_healthy }}
  web:
    image: {}/base/busybox
    working_dir: /www
    volumes: ["./word:/www/word"]
    command: httpd -f -v -p 8000
    healthcheck: {{ test: wget -q -O /dev/null http://localhost:8000/word, interval: 100ms, retries: 50 }}
secrets: {{ word: {{ file: ./word }} }}
configs: {{ word: {{ file: word }} }}
"#,
        site.registry
    );
    site.commit(&[("Dockerfile", &dockerfile), ("word", "hello\n"), ("docker-compose.test.yml", &compose)]);
    let id = build(&site);
    let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{log}");
    for line in [
        "Starting Test in docker-compose.test.yml...",
        "sut | hello",
        "sut | mode 400",
        "Tests in docker-compose.test.yml succeeded",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    site.commit(&[("Dockerfile", &dockerfile), ("word", "bye\n"), ("docker-compose.test.yml", &compose)]);
    let id = build(&site);
    let ended = site.get(&format!("/v1/builds/{id}"));
    assert_eq!((&ended["state"], &ended["reason"]["code"]), (&"failed".into(), &"test_failed".into()), "{ended:#}");
    assert_eq!(digest(&site, "latest"), digest(&site, "1.0"), "an image that failed its tests is not pushed");
}

#[test]
fn secrets_of_the_rule_are_variables_of_hooks_and_hidden_in_the_log() {
    let site = hub_site("", "secrets = [\"HUSH\"]\nenv = { OWN = \"own value\" }");
    let put = ask(&site, "PUT", "/v1/repos/team/hub/secrets/HUSH", &json!({ "value": "hush-hush-hush" }));
    assert!(put.status < 300, "{}", put.text);
    let prints = hook(
        "echo \"secret <$HUSH> of ${#HUSH} and $OWN\"\necho FROM $BASE > D\ndocker build -q -f D . && echo $HUSH >&2",
    );
    let dockerfile = format!("FROM {}/base/busybox\nRUN echo x > /x\n", site.registry);
    site.commit(&[("Dockerfile", &dockerfile), ("hooks/post_checkout", &prints)]);
    let id = build(&site);
    let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{log}");
    assert!(log.contains("secret <***> of 14 and own value") && !log.contains("hush-hush"), "{log}");
}

#[test]
fn a_hook_ends_with_its_build() {
    let site = hub_site("", "");
    let dockerfile = format!("FROM {}/base/busybox\nRUN echo x > /x\n", site.registry);
    let slow = format!(
        "#!/bin/bash\ndocker run -d --name slow {}/base/busybox sleep 300\necho begun\nsleep 300\n",
        site.registry
    );
    site.commit(&[("Dockerfile", &dockerfile), ("hooks/pre_build", &slow)]);
    let id = begin(&site);
    wait_for("the hook", || site.log(&id).contains("begun").then_some(()));
    let began = Instant::now();
    assert_eq!(ask(&site, "POST", &format!("/v1/builds/{id}/cancel"), &json!({})).status, 202);
    let ended = site.finished(&id);
    assert_eq!(ended["state"], "cancelled", "{ended:#}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let left = site.path("data").join("sandbox/state/w");
    wait_for("the end of the sandbox", || (std::fs::read_dir(&left).unwrap().count() == 0).then_some(()));
}

#[test]
fn docker_in_a_hook_runs_copies_saves_and_loads() {
    let site = hub_site("", "");
    let dockerfile = format!("FROM {}/base/busybox\nRUN echo x > /x\nCMD [\"cat\", \"/x\"]\n", site.registry);
    let uses = hook(
        r#"
        exec 2>&1
        [ "$(docker run --rm this)" = x ] && echo run works
        docker run --rm -v $PWD:/work -w /work -e WORD=made this sh -c 'echo $WORD > new.txt; exit 4' || echo code $?
        cat new.txt
        docker create --name one this; docker cp one:/x x.txt; cat x.txt; docker rm one
        docker run -d --name web -w / this httpd -f -p 8123; sleep 1; docker run --rm this wget -q -O - http://localhost:8123/x
        docker rm -f web
        docker save -o this.tar this; docker rmi this; docker load -i this.tar; docker run --rm this sh -c 'echo loaded; cat /x'
        docker save this | docker load
        docker images -q this | wc -l
        echo typed | docker run -i --rm this cat
        printf 'FROM this\nRUN echo more > /more\n' | docker build -q -t more - && docker run --rm more cat /more
        while read word; do docker tag this list:$word; done < <(printf 'a\nb\n'); docker images list:b --format '{{.Repository}}:{{.Tag}}'
        "#,
    );
    site.commit(&[("Dockerfile", &dockerfile), ("hooks/post_build", &uses)]);
    let id = build(&site);
    let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{log}");
    for line in ["run works", "code 4", "made", "Loaded image: this:latest", "loaded", "typed", "more", "list:b"] {
        assert!(log.lines().any(|known| known == line), "{line}: {log}");
    }
}

#[test]
fn a_hook_that_fails_in_any_phase_ends_the_build_there() {
    // The order of Docker Hub's documentation, with its three hooks that replace among those that surround.
    const ORDER: [&str; 10] = [
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
    let site = hub_site("", "");
    let ran = |log: &str| -> Vec<String> {
        log.lines().filter_map(|line| line.strip_prefix("phase ")).map(str::to_owned).collect()
    };
    for (at, failing) in ORDER.iter().enumerate() {
        let hooks: Vec<_> = ORDER
            .iter()
            .map(|name| {
                let own = if *name == "build" { "docker build --build-arg BASE -t $IMAGE_NAME ." } else { "true" };
                let code = if name == failing { 7 } else { 0 };
                (format!("hooks/{name}"), hook(&format!("echo \"phase {name}\"\n{own}\nexit {code}")))
            })
            .collect();
        let mut files = vec![("Dockerfile", "ARG BASE\nFROM ${BASE}\n")];
        files.extend(hooks.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        site.commit(&files);
        let id = build(&site);
        let (ended, log) = (site.get(&format!("/v1/builds/{id}")), site.log(&id));
        assert_eq!(ended["reason"]["code"], "hook_failed", "{failing}: {ended:#}\n{log}");
        let message = ended["reason"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("{failing} hook failed! (7)")), "{message}");
        assert_eq!(ran(&log), ORDER[..=at], "{failing}: {log}");
    }
}
