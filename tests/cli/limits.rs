//! Limits of containers by hand: refused where they are wrong, told of where nobody can set them.

use crate::support::bench::Bench;
use crate::support::shown;
use std::process::Command;

#[test]
fn limits_that_cannot_be_are_refused_before_anything_is_made() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\n");
    let minimum = "slipway: Error response from daemon: Minimum memory limit allowed is 6MB\n";
    assert_eq!(bench.fails(&["run", "--rm", "-m", "1m", "bb"]), (125, minimum.to_owned()));
    for bad in [["--cpus", "-1"], ["--cpus", "NaN"], ["--pids-limit", "-2"]] {
        assert_eq!(bench.fails(&["run", "--rm", bad[0], bad[1], "bb"]).0, 125, "{bad:?}");
    }
    bench.run(&["run", "--rm", "-m", "64m", "--cpus", "0", "--pids-limit", "-1", "bb"]);
    assert_eq!(bench.run(&["ps", "-aq"]), "");
}

#[test]
fn limits_that_this_machine_does_not_set_are_told_of() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\n");
    for detach in [None, Some("-d")] {
        let run = bench.command(&["run", "--rm", "-m", "64m", "--cpus", "0.5"]);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"", "sh"]);
        command.arg(run.get_program()).args(run.get_args()).args(detach).arg("bb");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        let warning = |what| {
            format!(
                "WARNING: Your kernel does not support {what} or the cgroup is not mounted. Limitation discarded.\n"
            )
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, warning("memory limit capabilities") + &warning("CPU CFS scheduler"));
    }
}

#[test]
fn a_supervisor_that_cannot_begin_says_why() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\n");
    let id = bench.run(&["create", "bb"]).trim().to_owned();
    let lock = bench.path("data/containers").join(&id).join("lock");
    let held = std::fs::File::options().create(true).append(true).open(lock).unwrap();
    held.lock().unwrap();
    let (code, said) = bench.fails(&["start", "-a", &id]);
    assert_eq!(code, 125);
    assert!(said.contains(&format!("container {id} is running already")), "{said}");
}

#[test]
fn a_container_leaves_no_control_groups() {
    let bench = Bench::new();
    bench.build("bb", "");
    let id = bench.run(&["run", "-d", "-p", "80", "--network", "none", "bb", "sleep", "1000"]);
    assert_eq!(bench.run(&["exec", id.trim(), "echo", "x"]), "x\n");
    bench.run(&["stop", "-t", "0", id.trim()]);
    let name = format!("slipway-c-{}", &id[..16]);
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", &name]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn used_resources_are_shown_once_and_again() {
    let bench = Bench::new();
    bench.build("bb", "");
    let busy = "while true; do :; done";
    bench.run(&["run", "-d", "--name", "busy", "-m", "64m", "--network", "none", "bb", "sh", "-c", busy]);
    bench.run(&["create", "--name", "idle", "bb", "true"]);
    let table = bench.run(&["stats", "--no-stream"]);
    let header: Vec<&str> =
        table.lines().next().unwrap().split("  ").filter(|word| !word.is_empty()).map(str::trim).collect();
    let columns = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
    assert_eq!(header, columns);
    assert_eq!(table.lines().count(), 2);
    let one =
        bench.run(&["stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}", "busy"]);
    let words: Vec<&str> = one.split_whitespace().collect();
    let used: f64 = words[1].strip_suffix('%').unwrap().parse().unwrap();
    assert!(words[0] == "busy" && used > 5.0 && words[3..] == ["/", "64MiB", "1"], "{one}");
    let idle = bench.run(&["stats", "-a", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}}"]);
    assert!(idle.contains("idle 0.00% 0B / 0B\n"), "{idle}");
    let missing = "Error response from daemon: No such container: nosuch\n";
    assert_eq!(bench.fails(&["stats", "nosuch"]), (1, missing.to_owned()));
    let mut stream = bench.command(&["stats"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(4));
    stream.kill().unwrap();
    let printed = stream.wait_with_output().unwrap().stdout;
    assert!(String::from_utf8_lossy(&printed).matches("CONTAINER ID").count() >= 2);
    bench.run(&["rm", "-f", "busy"]);
}
