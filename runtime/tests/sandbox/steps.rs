//! How a command is run: its user, environment, directory, names, and how it ends.

use crate::Test;
use crate::place::{Place, directory, entries, file, listing, place, snapshot, tar};
use runtime::{CancellationToken, Exit, Step};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("commands_are_found_and_their_ends_told_apart", exits),
    ("texts_that_no_command_can_be_started_with_end_a_step_at_once", impossible_texts),
    ("a_step_ends_when_it_takes_too_long_or_is_cancelled", time_and_cancellation),
    ("nothing_that_a_step_does_keeps_it_alive", stubborn),
    ("users_are_looked_up_in_the_image", users),
    ("account_files_that_are_none_are_refused", strange_account_files),
    ("the_environment_is_what_was_given_and_a_home", environment),
    ("a_missing_working_directory_is_made_for_the_user", working_directory),
    ("names_are_there_and_leave_no_trace", names),
    ("streams_are_empty_in_and_joined_out", streams),
    ("what_a_step_leaves_running_is_ended", daemons),
];

fn fails(place: &Place, step: &Step) -> String {
    let error = place.try_run(step).err().unwrap();
    assert!(error.is_users_fault(), "{error}");
    error.to_string()
}

fn exits() {
    // DF-095, DF-097, DF-117
    let place = place();
    assert_eq!(place.run(&place.step("exit 7")).0, Exit::Code(7));
    assert_eq!(place.run(&place.step("sh -c 'kill -9 $$'; exit $?")).0, Exit::Code(137));
    let mut step = place.step("");
    assert_eq!(place.run(&step).0, Exit::Code(0), "an empty script is one");
    step.argv = vec!["nosuch".into()];
    assert!(fails(&place, &step).contains("executable file not found in $PATH"));
    step.argv = vec!["true".into()];
    assert_eq!(place.run(&step).0, Exit::Code(0), "found in PATH");
    step.env = vec!["PATH=/nowhere".into()];
    assert!(fails(&place, &step).contains("executable file not found in $PATH"));
    step.env.clear();
    assert_eq!(place.run(&step).0, Exit::Code(0), "found without PATH");
    step.argv = vec!["/etc/passwd".into()];
    assert!(fails(&place, &step).contains("permission denied"));
    step.argv = vec!["/bin/none".into()];
    assert!(fails(&place, &step).contains("no such file or directory"));
    step.argv.clear();
    assert!(fails(&place, &step).contains("arguments are required"));
    step.argv = vec!["a\0b".into()];
    assert!(fails(&place, &step).contains("NUL"));
}

fn impossible_texts() {
    // REG-18: what an image says of user, directory, variables and shell reaches the sandbox as it is.
    let place = place();
    let long = "x".repeat(1_000_000);
    let with = |change: &dyn Fn(&mut Step)| {
        let mut step = place.step("true");
        change(&mut step);
        step
    };
    for (step, expected) in [
        (with(&|step| step.env.push("A=\0B=1".into())), "the environment holds a NUL"),
        (with(&|step| step.env = vec![format!("PATH=/{long}")]), "too long"),
        (with(&|step| step.env.push(format!("A={long}"))), "argument list too long"),
        (with(&|step| step.argv = vec![long.clone()]), "too long"),
        (with(&|step| step.argv = vec![format!("/{long}")]), "too long"),
        (with(&|step| step.user = "root\napp".into()), "unable to find user"),
        (with(&|step| step.user = "0\n0".into()), "unable to find user"),
        (with(&|step| step.user = "app\0".into()), "unable to find user"),
        (with(&|step| step.user = long.clone()), "unable to find user"),
        (with(&|step| step.user = "0:web\nx".into()), "unable to find group"),
        (with(&|step| step.cwd = "/a\0b".into()), "changing to the working directory"),
        (with(&|step| step.cwd = format!("/{long}")), "changing to the working directory"),
    ] {
        let began = Instant::now();
        let said = fails(&place, &step);
        assert!(said.contains(expected), "{expected}: {:.200}", said);
        assert!(began.elapsed() < Duration::from_secs(3), "{expected}: {:?}", began.elapsed());
    }
    let mut many = place.step("env | wc -l; echo \"$TWO\"; pwd; cat /etc/hosts | wc -l");
    many.env = (0..20_000).map(|number| format!("A{number}=")).chain(["TWO=1\n2".into()]).collect();
    many.cwd = "/new\nline".into();
    let began = Instant::now();
    let said = place.succeeds(&many);
    assert!(said.ends_with("\n1\n2\n/new\nline\n2\n"), "{:.200}", said);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

fn time_and_cancellation() {
    let place = place();
    let mut step = place.step("sleep 60");
    step.timeout = Some(Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(place.run(&step).0, Exit::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(cancelled(&place, "sleep 60"), Exit::Cancelled);
    assert_eq!(place.sh("echo still here"), "still here\n");
}

fn cancelled(place: &Place, script: &str) -> Exit {
    let cancel = CancellationToken::new();
    let from_outside = cancel.clone();
    let began = Instant::now();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        from_outside.cancel();
    });
    let ran = place.sandbox().run(&place.step(script), &mut |_| {}, &cancel).unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{script}: {:?}", began.elapsed());
    thread.join().unwrap();
    ran.exit
}

fn stubborn() {
    // RT-21, DF-116: ends within 2 s, whatever it does.
    let place = place();
    for script in [
        "trap '' TERM INT HUP QUIT; while :; do sleep 1; done",
        "sleep 100 & kill -STOP $!; kill -STOP $$; sleep 100",
        "yes",
        "while :; do sh -c 'sleep 0.01' & done",
        "cat /dev/zero",
    ] {
        assert_eq!(cancelled(&place, script), Exit::Cancelled, "{script}");
        let step = Step { timeout: Some(Duration::from_millis(200)), ..place.step(script) };
        let began = Instant::now();
        assert_eq!(place.run(&step).0, Exit::TimedOut, "{script}");
        assert!(began.elapsed() < Duration::from_secs(2), "{script}: {:?}", began.elapsed());
    }
    assert_eq!(place.sh("echo fine"), "fine\n");
}

fn users() {
    // DF-103..106, E06
    let place = place();
    let as_user = |user: &str| Step { user: user.into(), ..place.step("id -u; id -g; id -G; echo $HOME") };
    for (user, expected) in [
        ("", "0\n0\n0\n/root\n"),
        ("app", "100\n200\n200 33\n/home/app\n"),
        ("100", "100\n200\n200 33\n/home/app\n"),
        ("100:100", "100\n100\n100\n/home/app\n"),
        ("app:web", "100\n33\n33\n/home/app\n"),
        ("66", "66\n0\n0\n/\n"),
        ("66:77", "66\n77\n77\n/\n"),
    ] {
        assert_eq!(place.succeeds(&as_user(user)), expected, "`{user}`");
    }
    for (user, problem) in [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("app:nosuch", "unable to find group nosuch"),
        ("4294967296", "must be in range 0-2147483647"),
        ("2147483648", "must be in range 0-2147483647"),
    ] {
        assert!(fails(&place, &as_user(user)).contains(problem), "{user}");
    }
    let step = Step { user: "app".into(), ..place.step("touch /tmp/f; mkdir /no") };
    assert_ne!(place.run(&step).0, Exit::Code(0), "nobody but root may write to /");
}

fn strange_account_files() {
    // CTX-12: a pipe would hang, a link is followed inside only, a huge file is not read.
    let place = place();
    let base = Step { user: "app".into(), ..place.step("id -u") };
    let over = |script: &str| {
        let (exit, output, changes) = place.run(&place.step(script));
        assert_eq!(exit, Exit::Code(0), "{output}");
        let mut step = base.clone();
        step.layers.push(changes.snapshot());
        (step, changes)
    };
    let (step, _kept) = over("rm /etc/passwd; mkfifo /etc/passwd");
    assert!(fails(&place, &step).contains("not a regular file"));
    let (step, _kept) = over("rm /etc/passwd; ln -s /proc/1/root /outside; ln -s /outside/etc/passwd /etc/passwd");
    assert!(fails(&place, &step).contains("unable to find user app"));
    let (step, _kept) = over("mv /etc/passwd /accounts; ln -s /accounts /etc/passwd");
    assert_eq!(place.succeeds(&step), "100\n", "links are followed within the root");
    let (step, _kept) = over("truncate -s 11M /etc/passwd");
    assert!(fails(&place, &step).contains("larger than 10 MiB"));
}

fn environment() {
    // DF-101
    let place = place();
    let mut step = place.step("");
    step.argv = vec!["env".into()];
    step.env = ["A=1", "PATH=/bin", "A=2", "EMPTY="].map(str::to_owned).to_vec();
    assert_eq!(place.succeeds(&step), "PATH=/bin\nA=2\nEMPTY=\nHOME=/root\n");
    step.env.push("HOME=/elsewhere".into());
    assert!(place.succeeds(&step).contains("HOME=/elsewhere\n"));
}

fn working_directory() {
    // DF-107
    let place = place();
    let step = Step { user: "app".into(), cwd: "/srv/dir".into(), ..place.step("pwd; touch here") };
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "/srv/dir\n"));
    assert_eq!(listing(&changes), ["dir srv", "dir srv/dir", "file srv/dir/here"]);
    assert!(entries(&changes).iter().all(|entry| (entry.uid, entry.gid) == (100, 200)));
    // RT-41: a working directory is nothing of the sandbox's own.
    for cwd in ["/proc/self/fd/3", "/proc/self/fd/7/..", "/proc/1/cwd", "/proc/self", "/sys/kernel", "/dir/a"] {
        let step = Step { cwd: cwd.into(), ..place.step("pwd; ls") };
        assert!(!matches!(place.try_run(&step), Ok((Exit::Code(0), ..))), "{cwd}");
    }
}

fn names() {
    // DF-108, DF-109, E37, RT-54
    let place = place();
    let mut step = place.step("hostname; cat /etc/hosts; ls -a /etc");
    step.hosts = vec![("db".into(), "10.0.0.9".into())];
    let (exit, output, changes) = place.run(&step);
    let hosts = "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.9\tdb\n";
    assert_eq!(
        (exit, output.as_str()),
        (Exit::Code(0), &*format!("box\n{hosts}.\n..\ngroup\nhosts\npasswd\nresolv.conf\n"))
    );
    assert!(listing(&changes).is_empty(), "{:?}", listing(&changes));
    for script in ["echo x > /etc/hosts", "echo x >> /etc/resolv.conf", "rm /etc/hosts", "hostname other"] {
        assert_ne!(place.run(&place.step(script)).0, Exit::Code(0), "{script}");
    }
    assert_eq!(
        place.changes("echo y > /etc/new; touch /etc/hostname"),
        ["dir etc", "file etc/hostname", "file etc/new"]
    );
    // An image that has the files keeps its own.
    let own = snapshot(1);
    let layer = tar(&[(directory("etc"), b""), (file("etc/hosts", b"mine\n"), b"mine\n")]);
    place.sandbox().unpack(&own, &mut layer.as_slice()).unwrap();
    step.layers.push(own.clone());
    let (_, output, changes) = place.run(&step);
    assert!(output.contains(hosts) && listing(&changes).is_empty(), "{output}");
    assert_eq!(std::fs::read_to_string(place.outside(&own).join("etc/hosts")).unwrap(), "mine\n");
}

fn streams() {
    // DF-116
    let place = place();
    assert_eq!(place.sh("cat; echo out; echo err >&2"), "out\nerr\n");
    assert_eq!(place.sh("[ -t 0 ] || [ -t 1 ] || echo none"), "none\n");
}

fn daemons() {
    // RL16: the step ends with its command; its layer is read when nothing can write to it any more.
    let place = place();
    let began = Instant::now();
    let script = "setsid sh -c 'while :; do echo x >> /growing; done' & setsid sleep 300 & sleep 0.1; exit 3";
    let (exit, _, changes) = place.run(&place.step(script));
    assert_eq!(exit, Exit::Code(3));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let size = |changes: &runtime::Changes| entries(changes)[0].size();
    let first = size(&changes);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(size(&changes), first);
}
