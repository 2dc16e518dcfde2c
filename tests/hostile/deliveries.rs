//! Attacks on the endpoint of deliveries, and the identity of deliveries.

use crate::support::raw_http::{Connection, Reply, delivery, peak, push, resident};
use crate::support::{SECRET, Site, TOKEN, curl, wait_for};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Bytes of a long body.
const LONG: usize = 25 * 1024 * 1024 - 1024;
/// Memory that bodies of strangers may take, in kB.
const MAX_MEMORY: u64 = 64 * 1024;

/// Returns a long body for a repository.
fn long_body(name: &str) -> Vec<u8> {
    let start = format!(r#"{{"ref":"refs/heads/main","after":"{}","x":""#, "1".repeat(40));
    let end = format!(r#"","repository":{{"full_name":"{name}"}}}}"#);
    [start.as_bytes(), &vec![b'a'; LONG - start.len() - end.len()], end.as_bytes()].concat()
}

/// Returns the memory of a server that has read its repositories and has nothing more to do, in kB.
fn settled(site: &Site, server: u32) -> u64 {
    assert_eq!(site.deliver("ping", "first", "{}", SECRET).status, 200);
    let mut before = resident(server);
    wait_for("the server to be idle", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = resident(server);
        (now.abs_diff(std::mem::replace(&mut before, now)) < 512).then_some(now)
    })
}

/// Returns the configuration of many repositories with keys of their own.
fn many_repositories(count: usize) -> String {
    let one = |number: usize| {
        format!(
            "[[repositories]]\nname = \"many/r{number}\"\nclone_url = \"http://127.0.0.1:9/x.git\"\n\
             secret = \"a secret of its own {number}\"\nimage = \"@REGISTRY@/many/r{number}\"\n"
        )
    };
    (0..count).map(one).collect()
}

#[test]
fn long_bodies_of_strangers_take_neither_memory_nor_time_of_others() {
    // SEC-M3, SV-45
    // Nothing else is to take memory meanwhile.
    let site = Site::start_with("reconcile_seconds = 0", &many_repositories(1000));
    let server = site.server.as_ref().unwrap().0.id();
    let idle = settled(&site, server);
    let (known, unknown) = (long_body("Codertocat/Hello-World"), long_body("no/such"));
    let (mut slowest, began) = (Duration::ZERO, Instant::now());
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..100)
            .map(|number| {
                let (url, body) = (&site.url, if number % 2 == 0 { &known } else { &unknown });
                scope.spawn(move || {
                    let mut connection = Connection::open(url);
                    let sent = connection.send(&delivery("push", &format!("{number}"), body, "guess"));
                    connection.reply().unwrap_or_else(|| panic!("no answer, and sending ended with {sent:?}"))
                })
            })
            .collect();
        while !senders.iter().all(|sender| sender.is_finished()) {
            let began = Instant::now();
            assert_eq!(curl(&[&format!("{}/healthz", site.url)]).status, 200);
            slowest = slowest.max(began.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        let answers: Vec<Reply> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        // On a slow machine the minute may pass in which they count.
        assert!((30..100).contains(&answers.iter().filter(|answer| answer.status == 401).count()));
        for limited in answers.iter().filter(|answer| answer.status != 401) {
            assert_eq!(limited.status, 429, "{limited:?}");
            let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait));
        }
    });
    let more = peak(server).saturating_sub(idle);
    eprintln!("100 long bodies: {} kB more, /healthz at most {slowest:?}, all in {:?}", more, began.elapsed());
    assert!(more < MAX_MEMORY, "{more} kB more than idle");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    // A known client is let in from the same address.
    let answer = site.deliver("push", "right", &push("refs/heads/main", &"2".repeat(40), "m"), SECRET);
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(site.deliver("push", "wrong", "{}", "guess").status, 429);
}

#[test]
fn a_long_body_that_is_signed_is_accepted_and_slow_ones_are_not_waited_for() {
    // SEC-M3, WH-19
    let site = Site::start("");
    let slow: Vec<_> = (0..20)
        .map(|number| {
            let mut connection = Connection::open(&site.url);
            let whole = delivery("push", &format!("slow-{number}"), &long_body("Codertocat/Hello-World"), "guess");
            connection.send(&whole[..200_000]).unwrap();
            connection
        })
        .collect();
    for (number, body) in [long_body("Codertocat/Hello-World"), long_body("no/such")].iter().enumerate() {
        let (answer, _) = Connection::open(&site.url).ask(&delivery("push", &format!("long-{number}"), body, SECRET));
        assert_eq!(answer.status, if number == 0 { 202 } else { 401 }, "{answer:?}");
    }
    for mut connection in slow {
        assert_eq!(connection.reply().unwrap().status, 408);
    }
}

#[test]
fn headers_that_come_twice_and_refs_that_git_has_not_are_refused() {
    let site = Site::start("");
    let body = push("refs/heads/main", &"1".repeat(40), "m");
    let right = String::from_utf8(delivery("push", "1", body.as_bytes(), SECRET)).unwrap();
    for line in [
        "X-GitHub-Event: ping",
        "X-GitHub-Delivery: 2",
        "X-Hub-Signature-256: sha256=00",
        "X-GitHub-Hook-ID: 1\r\nX-GitHub-Hook-ID: 2",
    ] {
        let twice = right.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1);
        let (answer, _) = Connection::open(&site.url).ask(twice.as_bytes());
        assert!(answer.status == 400 && answer.body.contains("duplicate_header"), "{line}: {answer:?}");
    }
    let (answer, _) = Connection::open(&site.url)
        .ask(right.replacen("\r\n\r\n", "\r\nContent-Type: application/json\r\n\r\n", 1).as_bytes());
    assert!(answer.status == 400 && answer.body.contains("ambiguous_request"), "{answer:?}");
    for git_ref in
        ["refs/heads/a\nb", "refs/heads/\u{1b}[31m", "refs/heads/a\0", "refs/heads/a..b", "main", "refs/heads/-x y"]
    {
        let answer = site.deliver("push", "bad-ref", &push(git_ref, &"1".repeat(40), "m"), SECRET);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"invalid_ref".into()), "{git_ref:?}");
    }
    let answer = site.deliver("push", "nul", &push("refs/heads/main", &"1".repeat(40), "a\0b\u{1b}[31m"), SECRET);
    assert_eq!(answer.status, 202, "{}", answer.text);
}

/// Delivers a push as GitLab does.
fn gitlab(site: &Site, headers: &[&str], body: &Value) -> (u16, Value) {
    let file = site.path("gitlab-body");
    std::fs::write(&file, body.to_string()).unwrap();
    let (token, data, url) =
        (format!("X-Gitlab-Token: {SECRET}"), format!("@{}", file.display()), format!("{}/hooks/gitlab", site.url));
    let mut arguments = vec!["-H", "Content-Type: application/json", "-H", "X-Gitlab-Event: Push Hook", "-H", &token];
    headers.iter().for_each(|header| arguments.extend(["-H", header]));
    arguments.extend(["--data-binary", &data, &url]);
    let answer = curl(&arguments);
    (answer.status, answer.json())
}

fn gitlab_push(git_ref: &str, before: &str, after: &str) -> Value {
    let zero = "0".repeat(40);
    let checkout = (after != zero).then_some(after);
    let kind = if git_ref.starts_with("refs/tags/") { "tag_push" } else { "push" };
    json!({
        "object_kind": kind, "event_name": kind, "ref": git_ref, "before": before, "after": after, "checkout_sha": checkout,
        "project": { "path_with_namespace": "Codertocat/Hello-World", "default_branch": "main" }, "commits": [],
    })
}

#[test]
fn forced_pushes_to_and_fro_are_built_each_time() {
    // SV-20
    let site = Site::start("");
    let (zero, a, b) = ("0".repeat(40), "a".repeat(40), "b".repeat(40));
    for (round, (before, after)) in [(&zero, &a), (&a, &b), (&b, &a), (&a, &b)].into_iter().enumerate() {
        let push = gitlab_push("refs/heads/main", before, after);
        let key = format!("Idempotency-Key: branch-{round}");
        let (status, answer) = gitlab(&site, &[&key], &push);
        assert_eq!((status, answer["builds"].as_array().unwrap().len()), (202, 1), "{round}: {answer}");
        let again = gitlab(&site, &[&key], &push);
        assert_eq!((again.0, &again.1["duplicate"]), (200, &true.into()), "{}", again.1);
        assert_eq!(again.1["builds"][0]["id"], answer["builds"][0]["id"]);
        let other_hook = gitlab(&site, &[&format!("Idempotency-Key: other-{round}")], &push);
        assert_eq!(other_hook.1["builds"][0]["id"], answer["builds"][0]["id"], "{}", other_hook.1);
    }
    for round in 0..2 {
        // Older versions name the event, the oldest nothing.
        let uuid = format!("X-Gitlab-Event-UUID: tag-{round}");
        let headers: &[&str] = if round == 0 { &[&uuid] } else { &[] };
        let (status, answer) = gitlab(&site, headers, &gitlab_push("refs/tags/v1", &zero, &a));
        assert_eq!(status, 202, "{round}: {answer}");
        let (status, answer) = gitlab(&site, headers, &gitlab_push("refs/tags/v1", &a, &zero));
        assert_eq!((status, &answer["reason"]), (200, &"ref_deleted".into()), "{round}: {answer}");
    }
    let (status, _) = gitlab(&site, &[], &gitlab_push("refs/tags/v1", &zero, &a));
    assert_eq!(status, 202, "the same body without an id, made again");
}

#[test]
fn an_id_that_comes_again_with_another_body_is_refused_and_logged() {
    // SEC-m4
    let site = Site::start("");
    let body = |commit: &str| push("refs/heads/main", &commit.repeat(40), "m");
    assert_eq!(site.deliver("push", "one", &body("1"), SECRET).status, 202);
    let other = site.deliver("push", "one", &body("2"), SECRET);
    assert_eq!((other.status, &other.json()["code"]), (409, &"delivery_reused".into()));
    assert_eq!(site.deliver("push", "one", &body("1"), SECRET).json()["duplicate"], true);
    assert!(std::fs::read_to_string(site.path("serve.log")).unwrap().contains("came again with another body"));
    // Further events that follow from one event of GitLab share its id, and are not the same.
    let uuid = "X-Gitlab-Event-UUID: shared";
    let (zero, a) = ("0".repeat(40), "a".repeat(40));
    for git_ref in ["refs/heads/main", "refs/tags/v2"] {
        assert_eq!(gitlab(&site, &[uuid], &gitlab_push(git_ref, &zero, &a)).0, 202);
        assert_eq!(gitlab(&site, &[uuid], &gitlab_push(git_ref, &zero, &a)).1["duplicate"], true);
    }
}

#[test]
fn one_delivery_builds_every_repository_that_it_is_for() {
    // SV-26
    let extra = format!(
        "[[repositories]]\nname = \"team/web\"\nforge_name = \"codertocat/hello-world\"\nclone_url = \"http://127.0.0.1:9/x.git\"\n\
         secret = \"{SECRET}\"\nimage = \"@REGISTRY@/team/web\"\n\
         [[repositories]]\nname = \"team/other\"\nforge_name = \"Codertocat/Hello-World\"\nclone_url = \"http://127.0.0.1:9/x.git\"\n\
         secret = \"quite another secret\"\nimage = \"@REGISTRY@/team/other\"\n"
    );
    let site = Site::start(&extra);
    let body = push("refs/heads/main", &"1".repeat(40), "m");
    let first = site.deliver("push", "one", &body, SECRET);
    assert_eq!(first.status, 202, "{}", first.text);
    let names = |answer: &Value| {
        let builds = answer["builds"].as_array().unwrap();
        builds.iter().map(|build| build["repo"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first.json()), ["team/app", "team/web"]);
    for id in ["one", "two"] {
        let again = site.deliver("push", id, &body, SECRET);
        assert_eq!((again.status, &again.json()["duplicate"]), (200, &true.into()), "{}", again.text);
        assert_eq!(names(&again.json()), ["team/app", "team/web"]);
        assert_eq!(again.json()["builds"][1]["id"], first.json()["builds"][1]["id"]);
    }
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let listed = curl(&["-H", &bearer, &format!("{}/v1/deliveries", site.url)]).json();
    let listed = listed["deliveries"].as_array().unwrap();
    assert!(
        listed.len() == 2
            && listed.iter().all(|one| one["delivery"] == "one" && one["builds"].as_array().unwrap().len() == 1)
    );
    let tag = site.deliver("push", "tag", &push("refs/tags/v1", &"1".repeat(40), "m"), SECRET);
    assert_eq!((tag.status, names(&tag.json())), (202, vec!["team/app".to_owned()]), "{}", tag.text);
    assert!(
        tag.json()["explain"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().starts_with("team/web: "))
    );
}
