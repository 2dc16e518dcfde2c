//! Containers by hand: run, talk to, stop, commit and remove, as docker does it.

use crate::support::bench::Bench;
use crate::support::{free_port, wait_for};
use std::io::Write;
use std::process::Stdio;

#[test]
fn a_command_runs_in_the_foreground_with_its_own_exit_code() {
    // cli.md 8
    let bench = Bench::new();
    bench.build("bb", "ENV A=image\nCMD [\"sh\", \"-c\", \"echo cmd $A\"]\n");
    assert_eq!(bench.run(&["run", "--rm", "bb"]), "cmd image\n");
    assert_eq!(bench.run(&["run", "--rm", "-e", "A=own", "bb"]), "cmd own\n");
    assert_eq!(bench.run(&["run", "--rm", "--entrypoint", "echo", "bb", "x", "-y"]), "x -y\n");
    assert_eq!(
        bench.run(&["run", "--rm", "-w", "/tmp", "-u", "1:2", "bb", "sh", "-c", "pwd; id -u; id -g"]),
        "/tmp\n1\n2\n"
    );
    assert_eq!(bench.fails(&["run", "--rm", "bb", "sh", "-c", "echo bad >&2; exit 7"]), (7, "bad\n".to_owned()));
    let (code, said) = bench.fails(&["run", "--rm", "bb", "nosuch"]);
    assert_eq!(code, 127);
    assert!(said.contains("executable file not found in $PATH"), "{said}");
    assert_eq!(bench.fails(&["run", "--rm", "bb", "/etc"]).0, 126);
    assert_eq!(bench.fails(&["run", "--rm", "--init", "bb", "sh", "-c", "kill -9 $$"]).0, 137);
    for refused in
        [["--privileged"], ["--restart=always"], ["--network=host"], ["-v=/:/x"], ["--cap-add=ALL"], ["--pid=host"]]
    {
        let (code, said) = bench.fails(&["run", refused[0], "bb"]);
        assert!(code == 125 && said.contains(" is refused: "), "{refused:?}: {said}");
    }
    let (code, said) = bench.fails(&["run", "--pull=never", "nosuch"]);
    assert_eq!((code, said.as_str()), (125, "slipway: Error response from daemon: No such image: nosuch:latest\n"));
    assert_eq!(bench.run(&["ps", "-aq"]), "");
    let read_only =
        bench.fails(&["run", "--rm", "--read-only", "--tmpfs", "/t", "bb", "sh", "-c", "touch /t/x && touch /x"]);
    assert!(read_only.1.contains("Read-only file system"), "{}", read_only.1);
    let processes = bench.run(&["run", "--rm", "--init", "bb", "sh", "-c", "ps; true"]);
    assert!(
        processes.lines().any(|line| line.trim_start().starts_with("2 ") && line.contains("sh -c ps")),
        "{processes}"
    );
}

#[test]
fn what_is_typed_reaches_the_command() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"cat\"]\n");
    let mut command = bench.command(&["run", "--rm", "-i", "bb"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "typed\n");
}

#[test]
fn a_container_in_the_background_is_listed_joined_logged_and_ended() {
    let bench = Bench::new();
    bench.build("bb", "");
    let script = "echo out; echo err >&2; trap 'exit 3' TERM; while true; do sleep 0.1; done";
    let id = bench.run(&["run", "-d", "--name", "web", "bb", "sh", "-c", script]).trim().to_owned();
    assert_eq!(id.len(), 64);
    let row = bench.run(&["ps", "--format", "{{.ID}} {{.Image}} {{.State}} {{.Names}}"]);
    assert_eq!(row, format!("{} bb running web\n", &id[..12]));
    assert_eq!(bench.run(&["exec", "web", "sh", "-c", "echo $HOSTNAME"]).trim(), &id[..12]);
    assert_eq!(bench.fails(&["exec", "web", "sh", "-c", "exit 4"]).0, 4);
    assert_eq!(bench.fails(&["exec", "web", "nosuch"]).0, 127);
    wait_for("the log", || (bench.run(&["logs", "web"]) == "out\n").then_some(()));
    assert!(bench.run(&["top", "web"]).contains("trap"));
    let (code, said) = bench.fails(&["run", "--name", "web", "bb", "true"]);
    assert!(code == 125 && said.contains("is already in use by container"), "{said}");
    let (code, said) = bench.fails(&["rm", "web"]);
    assert!(code == 1 && said.contains("cannot remove container \"web\": container is running"), "{said}");
    let (_, said) = bench.fails(&["rmi", "bb"]);
    assert!(said.contains("must force") && said.contains(&id[..12]), "{said}");
    assert_eq!(bench.run(&["stop", "web"]), "web\n");
    assert_eq!(bench.run(&["wait", "web"]), "3\n");
    assert!(bench.run(&["ps", "-a"]).contains("Exited (3) "));
    assert_eq!(bench.run(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web"]), "exited 3\n");
    assert_eq!(bench.run(&["start", "web"]), "web\n");
    assert_eq!(bench.run(&["kill", "web"]), "web\n");
    assert_eq!(bench.run(&["wait", "web"]), "137\n");
    bench.run(&["rename", "web", "old"]);
    assert_eq!(bench.run(&["rm", "old"]), "old\n");
    assert_eq!(bench.run(&["ps", "-aq"]), "");
    assert_eq!(bench.fails(&["rm", "old"]), (1, "Error response from daemon: No such container: old\n".to_owned()));
}

#[test]
fn a_container_is_changed_committed_and_its_image_serves_a_page() {
    // The walk-through of the notes, in its order.
    let bench = Bench::new();
    bench.build("base", "CMD [\"sh\", \"-c\", \"while true; do sleep 0.1; done\"]\n");
    bench.run(&["run", "-d", "--name", "work", "base"]);
    bench.run(&["exec", "work", "sh", "-c", "mkdir /www; echo a page > /www/index.html"]);
    let change = "CMD [\"httpd\", \"-f\", \"-p\", \"80\", \"-h\", \"/www\"]";
    let id = bench.run(&["commit", "-a", "Somebody", "-m", "a page", "-c", change, "-c", "EXPOSE 80", "work", "site"]);
    assert!(id.starts_with("sha256:") && id.trim().len() == 71, "{id}");
    assert!(bench.run(&["images"]).contains("site"));
    bench.run(&["tag", "site", "team/site:v1"]);
    assert_eq!(bench.run(&["images", "-q", "team/site"]).trim(), &id[7..19]);
    assert_eq!(bench.run(&["rmi", "site"]), "Untagged: site:latest\n");
    assert_eq!(bench.run(&["inspect", "-f", "{{.Config.Cmd}}", "team/site:v1"]), "[httpd -f -p 80 -h /www]\n");
    assert_eq!(bench.run(&["inspect", "-f", "{{.Author}} {{.Comment}}", "team/site:v1"]), "Somebody a page\n");
    let port = free_port().to_string();
    bench.run(&["run", "-d", "--name", "site", "--network", "none", "-p", &format!("{port}:80"), "team/site:v1"]);
    let page = wait_for("the page", || {
        let answer = curl_page(&port);
        (answer == "a page\n").then_some(answer)
    });
    assert_eq!(page, "a page\n");
    // The container that it came from went on, and has what was its own.
    assert_eq!(bench.run(&["exec", "work", "cat", "/www/index.html"]), "a page\n");
    let (code, said) = bench.fails(&["commit", "-c", "RUN true", "work"]);
    assert!(code == 1 && said.contains("RUN is not a valid change command"), "{said}");
    bench.run(&["rm", "-f", "work", "site"]);
    assert_eq!(bench.run(&["ps", "-aq"]), "");
}

#[test]
fn a_container_goes_on_when_its_commit_is_interrupted() {
    let bench = Bench::new();
    bench.build("bb", "");
    bench.run(&["run", "-d", "--name", "big", "bb", "sleep", "1000"]);
    bench.run(&["exec", "big", "sh", "-c", "head -c 300000000 /dev/urandom > /big"]);
    let mut commit = bench.command(&["commit", "big"]).spawn().unwrap();
    let state = || bench.run(&["inspect", "-f", "{{.State.Status}}", "big"]);
    wait_for("the pause", || (state() == "paused\n").then_some(()));
    commit.kill().unwrap();
    commit.wait().unwrap();
    wait_for("its end", || (state() == "running\n").then_some(()));
    assert_eq!(bench.run(&["exec", "big", "echo", "x"]), "x\n");
    bench.run(&["rm", "-f", "big"]);
}

#[test]
fn values_of_flags_are_those_of_docker() {
    let bench = Bench::new();
    bench.build("app", "CMD [\"true\"]\n");
    let (code, said) = bench.fails(&["run", "--pull", "never", "--platform", "linux/s390x", "app"]);
    assert_eq!(code, 125);
    assert!(
        said.contains("was found but does not match the specified platform: wanted linux/s390x, actual: "),
        "{said}"
    );
    assert!(bench.fails(&["run", "--pull", "sometimes", "app"]).1.contains("sometimes"));
    for name in ["ww", "www"] {
        bench.run(&["create", "--name", name, "app"]);
    }
    assert_eq!(bench.run(&["ps", "-a", "-f", "name=^ww$", "--format", "{{.Names}}"]), "ww\n");
    assert_eq!(bench.run(&["ps", "-aq", "-f", "name=w"]).lines().count(), 2);
    let invalid = "Error response from daemon: invalid filter 'status=bogus'\n";
    assert_eq!(bench.fails(&["ps", "-f", "status=bogus"]), (1, invalid.to_owned()));
}

#[test]
fn signals_that_have_only_a_number_end_containers() {
    let bench = Bench::new();
    bench.build("bb", "");
    let script = "trap 'exit 5' 37; while true; do sleep 0.1; done";
    for init in [None, Some("--init")] {
        let mut run = bench.command(&["run", "-d", "--name", "rt", "--stop-signal", "SIGRTMIN+3"]);
        crate::support::run(run.args(init).args(["bb", "sh", "-c", script]));
        std::thread::sleep(std::time::Duration::from_millis(300));
        bench.run(&["stop", "-t", "30", "rt"]);
        assert_eq!(bench.run(&["wait", "rt"]), "5\n");
        assert_eq!(bench.run(&["start", "rt"]), "rt\n");
        assert_eq!(bench.fails(&["exec", "rt", "sh", "-c", "kill -40 $$"]).0, 168);
        bench.run(&["stop", "-t", "30", "rt"]);
        // A command that such a signal kills has an end, too.
        bench.run(&["rm", "rt"]);
        bench.run(&["run", "-d", "--name", "rt", "--init", "bb", "sleep", "1000"]);
        bench.run(&["kill", "-s", "RTMAX-2", "rt"]);
        assert_eq!(bench.run(&["wait", "rt"]), "190\n");
        bench.run(&["rm", "rt"]);
    }
    let invalid = "slipway: Error response from daemon: Invalid signal: NOSUCH\n";
    assert_eq!(bench.fails(&["run", "--rm", "--stop-signal", "NOSUCH", "bb"]), (125, invalid.to_owned()));
}

fn curl_page(port: &str) -> String {
    let output =
        std::process::Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/")]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn changes_of_a_container_are_listed() {
    let bench = Bench::new();
    bench
        .build("bb", "RUN mkdir -p /a/b /gone && echo x > /a/b/same && echo y > /a/b/changed && echo z > /gone/file\n");
    let script = "echo new > /a/b/changed; echo add > /a/added; rm -r /gone; mkdir /own; touch /own/file; sleep 1000";
    bench.run(&["run", "-d", "--name", "dd", "bb", "sh", "-c", script]);
    let expected = "C /a\nA /a/added\nC /a/b\nC /a/b/changed\nD /gone\nA /own\nA /own/file\n";
    wait_for("its changes", || (bench.run(&["diff", "dd"]) == expected).then_some(()));
    // An image of it has no mount points of a container that runs.
    bench.run(&["commit", "dd", "copy"]);
    let copied =
        bench.run(&["run", "--rm", "--network", "none", "--entrypoint", "find", "copy", "/own", "/etc", "-type", "f"]);
    assert!(copied.starts_with("/own/file\n"), "{copied}");
    bench.run(&["stop", "-t", "0", "dd"]);
    assert_eq!(bench.run(&["container", "diff", "dd"]), expected);
    bench.run(&["create", "--name", "created", "bb", "true"]);
    assert_eq!(bench.run(&["diff", "created"]), "");
    let missing = "Error response from daemon: No such container: nosuch\n";
    assert_eq!(bench.fails(&["diff", "nosuch"]), (1, missing.to_owned()));
}
