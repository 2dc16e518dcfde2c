//! Hostile or unlucky HTTP clients: too much, too slow, too often, too clever.

use crate::support::raw_http::{Connection, delivery, peak, percentile, push, resident};
use crate::support::{SECRET, Site, TOKEN, curl};
use std::time::{Duration, Instant};

const ADMIN: &str =
    "[[tokens]]\nname = \"admin\"\ntoken = \"fedcba9876543210fedcba9876543210\"\nscopes = [\"admin\"]\n";

fn commit(number: usize) -> String {
    format!("{number:040x}")
}

/// Stops the workers' part of the service, so that only acceptance is measured.
fn pause(site: &Site) {
    let admin = "Authorization: Bearer fedcba9876543210fedcba9876543210";
    assert_eq!(curl(&["-X", "POST", "-H", admin, &format!("{}/v1/queue/pause", site.url)]).status, 200);
}

#[test]
fn a_thousand_deliveries_at_once_are_all_accepted_and_fast() {
    // WH-30
    let site = Site::start(ADMIN);
    pause(&site);
    // How long the machine takes for as many requests that do nothing, now.
    let idle = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let mut nothing = burst(&site, |_| idle("/healthz"), 200);
    let floor = percentile(&mut nothing, 99);
    let mut took = burst(
        &site,
        |number| {
            let body = push("refs/heads/main", &commit(number + 1), "burst");
            delivery("push", &format!("burst-{number}"), body.as_bytes(), SECRET)
        },
        202,
    );
    let (middle, slow) = (percentile(&mut took, 50), percentile(&mut took, 99));
    println!("1000 deliveries: median {middle:?}, p99 {slow:?}; requests that do nothing: p99 {floor:?}");
    assert!(slow <= Duration::from_millis(500).max(floor * 6), "p99 {slow:?}, of nothing {floor:?}");
    assert_eq!(site.get("/v1/queue")["length"], 1000, "none was lost");
}

/// Sends 1,000 requests over 50 connections; each must be answered with `status`.
fn burst(site: &Site, request: impl Fn(usize) -> Vec<u8> + Sync, status: u16) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50)
            .map(|thread| {
                let request = &request;
                scope.spawn(move || {
                    let mut connection = Connection::open(&site.url);
                    (0..20)
                        .map(|number| {
                            let (reply, took) = connection.ask(&request(thread * 20 + number));
                            assert_eq!(reply.status, status, "{}", reply.body);
                            took
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn an_unknown_repository_takes_as_long_as_a_wrong_signature() {
    // WH-04, WH-07
    let site = Site::start("");
    let mut connection = Connection::open(&site.url);
    let known = push("refs/heads/main", &commit(1), "x");
    let unknown = known.replace("Codertocat/Hello-World", "Codertocat/Hello-Moon!");
    let requests =
        [delivery("push", "1", known.as_bytes(), "guess"), delivery("push", "1", unknown.as_bytes(), "guess")];
    let mut took = [Vec::new(), Vec::new()];
    // SEC-M3: of one address only so many wrong ones are looked at in a minute.
    for _ in 0..14 {
        for (request, took) in requests.iter().zip(&mut took) {
            let (reply, time) = connection.ask(request);
            assert_eq!(reply.status, 401);
            took.push(time);
        }
    }
    let [one, other] = took.each_mut().map(|took| percentile(took, 50));
    assert!(one.abs_diff(other) < Duration::from_millis(1), "{one:?} {other:?}");
}

/// Headers that name a delivery: without them no body is read.
const PROOF: &str = "X-GitHub-Event: push\r\nX-GitHub-Delivery: 1\r\n\
    X-Hub-Signature-256: sha256=0000000000000000000000000000000000000000000000000000000000000000\r\n";

#[test]
fn large_bodies_are_refused_before_they_are_read() {
    // WH-18
    let site = Site::start("");
    let server = site.server.as_ref().unwrap().0.id();
    let before = peak(server);
    for announced in [true, false] {
        let mut connection = Connection::open(&site.url);
        let length = if announced { "Content-Length: 27262976" } else { "Transfer-Encoding: chunked" };
        let head = format!(
            "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{PROOF}{length}\r\n\r\n"
        );
        connection.send(head.as_bytes()).unwrap();
        if !announced {
            let chunk = [b"100000\r\n".as_slice(), &[b' '; 0x10_0000], b"\r\n"].concat();
            // The server may hang up before the last of them.
            for _ in 0..26 {
                if connection.send(&chunk).is_err() {
                    break;
                }
            }
        }
        assert_eq!(connection.reply().map(|reply| reply.status), Some(413), "announced: {announced}");
    }
    let grown = peak(server).saturating_sub(before);
    assert!(grown < 30 * 1024, "{grown} kB");
}

#[test]
fn slow_clients_stop_nobody_and_are_hung_up_on() {
    // WH-19
    let site = Site::start("");
    let began = Instant::now();
    let mut slow: Vec<Connection> = (0..500)
        .map(|number| {
            let mut connection = Connection::open(&site.url);
            let head = format!("POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{PROOF}Content-Length: 26214400\r\n\r\n{{");
            // Every other one does not even get its head out.
            connection.send(&head.as_bytes()[..if number % 2 == 0 { head.len() } else { 40 }]).unwrap();
            connection
        })
        .collect();
    let answer = site.deliver("push", "in-between", &push("refs/heads/main", &commit(7), "x"), SECRET);
    assert_eq!(answer.status, 202, "{}", answer.text);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_secs(1));
        slow.iter_mut().for_each(|connection| drop(connection.send(b" ")));
    }
    for (number, mut connection) in slow.into_iter().enumerate() {
        let status = connection.reply().map(|reply| reply.status);
        match number % 2 {
            0 => assert_eq!(status, Some(408), "connection {number}"),
            _ => assert!(matches!(status, None | Some(408)), "connection {number}: {status:?}"),
        }
    }
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}

#[test]
fn payloads_that_are_traps_are_refused() {
    // WH-20, WH-22
    let site = Site::start("");
    let deep = format!("{{\"repository\":{}", "[".repeat(10_000));
    let answer = site.deliver("push", "deep", &deep, SECRET);
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"bad_json".into()));
    let hook = format!("{}/hooks/github", site.url);
    let bomb = curl(&["-H", "Content-Type: application/json", "-H", "Content-Encoding: gzip", "-d", "x", &hook]);
    assert_eq!((bomb.status, &bomb.json()["code"]), (415, &"unsupported_media_type".into()));
    let sha1 = curl(&[
        "-H",
        "Content-Type: application/json",
        "-H",
        "X-GitHub-Event: push",
        "-H",
        "X-GitHub-Delivery: old",
        "-H",
        "X-Hub-Signature: sha1=0123456789012345678901234567890123456789",
        "-d",
        "{}",
        &hook,
    ]);
    // WH-03
    assert_eq!((sha1.status, &sha1.json()["code"]), (401, &"bad_signature".into()));
}

#[test]
fn requests_that_two_servers_could_read_in_two_ways_are_refused() {
    // API-15
    let site = Site::start("");
    let ask = |head: &str| {
        let mut connection = Connection::open(&site.url);
        connection.send(head.as_bytes()).unwrap();
        let reply = connection.reply();
        let next = connection.reply();
        (reply.map(|reply| reply.status), next.is_none())
    };
    let post = "POST /hooks/github HTTP/1.1\r\nHost: x\r\n";
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let (status, closed) = ask(&format!("{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"));
    assert!(status.is_some_and(|status| (400..500).contains(&status)) && closed, "{status:?} {closed}");
    let (status, closed) = ask(&format!("{post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"));
    assert!(matches!(status, None | Some(400)) && closed, "{status:?}");
    let (status, closed) = ask(&format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(100_000)));
    assert!(matches!(status, None | Some(400 | 431)) && closed, "{status:?}");
    let (status, closed) = ask("GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
    assert!(status == Some(400) && closed, "{status:?} {closed}");
}

#[test]
fn readers_that_do_not_read_cost_little() {
    // API-14: the builds wait, so that the streams stay open.
    let site = Site::start(ADMIN);
    pause(&site);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let answer = curl(&["-X", "POST", "-H", &bearer, "-d", "{}", &format!("{}/v1/repos/team/app/builds", site.url)]);
    let id = answer.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    let server = site.server.as_ref().unwrap().0.id();
    let before = resident(server);
    let head = format!("GET /v1/builds/{id}/logs HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
    let readers: Vec<Connection> = (0..500)
        .map(|_| {
            let mut connection = Connection::open(&site.url);
            connection.send(head.as_bytes()).unwrap();
            connection
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let answer = site.deliver("push", "beside", &push("refs/heads/main", &commit(9), "x"), SECRET);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let grown = resident(server).saturating_sub(before);
    assert!(grown < 100 * 1024, "{grown} kB for {} readers", readers.len());
}

#[test]
fn guessing_is_slowed_down_and_nobody_else_is() {
    // API-04, API-07
    let site = Site::start("");
    let mut connection = Connection::open(&site.url);
    let ask = |token: &str| {
        format!("GET /v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
    };
    let statuses: Vec<u16> =
        (0..1000).map(|number| connection.ask(&ask(&format!("guess-{number}"))).0.status).collect();
    assert!(statuses[..30].iter().all(|status| *status == 401) && statuses[100..].iter().all(|status| *status == 429));
    let (reply, _) = connection.ask(&ask("guess"));
    assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() <= 60));
    assert_eq!(connection.ask(&ask(TOKEN)).0.status, 200, "who has a token is not slowed down");
    let build = |number: usize| format!("GET /v1/builds/bld_{number:032x} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let statuses: Vec<u16> = (0..2000).map(|number| connection.ask(&build(number)).0.status).collect();
    assert!(statuses[..300].iter().all(|status| *status == 404) && statuses[300..].iter().all(|status| *status == 429));
}

#[test]
fn acceptance_is_fast_on_an_idle_server() {
    let site = Site::start(ADMIN);
    pause(&site);
    let mut connection = Connection::open(&site.url);
    let mut nothing: Vec<Duration> =
        (0..300).map(|_| connection.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").1).collect();
    let floor = percentile(&mut nothing, 99);
    let mut took: Vec<Duration> = (0..300)
        .map(|number| {
            let body = push("refs/heads/main", &commit(number + 1), "idle");
            let (reply, took) = connection.ask(&delivery("push", &format!("idle-{number}"), body.as_bytes(), SECRET));
            assert_eq!(reply.status, 202, "{}", reply.body);
            took
        })
        .collect();
    let (middle, slow) = (percentile(&mut took, 50), percentile(&mut took, 99));
    println!(
        "300 deliveries, one after the other: median {middle:?}, p99 {slow:?}; requests that do nothing: p99 {floor:?}"
    );
    assert!(slow <= Duration::from_millis(20).max(floor * 20), "p99 {slow:?}, of nothing {floor:?}");
}
