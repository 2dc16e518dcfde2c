//! Archives that are larger than they look, and addresses that a pushed Dockerfile does not reach.

use crate::support::build_directory::{Place, with_input};
use crate::support::{run, shown};
use std::process::{Command, Stdio};

/// Runs a build and returns whether it succeeded, what it said, and the most memory it used, in bytes.
fn measured(mut command: Command) -> (bool, String, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(peak.unwrap_or(0) * 1024);
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let output = child.wait_with_output().unwrap();
    (code.success(), shown(&output), most)
}

#[test]
fn bombs_are_contained() {
    // CTX-07, CTX-09
    let place = Place::new();
    let script = "\
import gzip, tarfile, io
def many(name, count):
    header = tarfile.TarInfo('f').tobuf()
    with gzip.open(name, 'wb', 1) as out:
        for _ in range(count // 1000): out.write(header * 1000)
many('entries.tgz', 1000000)
with gzip.open('large.tgz', 'wb', 1) as out:
    info = tarfile.TarInfo('f'); info.size = 400 << 20
    out.write(info.tobuf())
    for _ in range(400): out.write(bytes(1 << 20))
    out.write(bytes(1024))
with gzip.open('claims.tgz', 'wb', 1) as out:
    info = tarfile.TarInfo('f'); info.size = 1 << 42
    out.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
";
    run(Command::new("python3").args(["-c", script]).current_dir(place.path("context")));
    for (archive, fits, expected) in [
        ("entries.tgz", false, "more than 400000 entries"),
        ("claims.tgz", false, "bytes"),
        ("large.tgz", true, "DONE"),
    ] {
        std::fs::write(place.path("context/Dockerfile"), format!("FROM scratch\nADD {archive} /\n")).unwrap();
        let mut command = place.command();
        command.arg("context");
        let (built, said, memory) = measured(command);
        assert!(built == fits && said.contains(expected), "{archive}: {said}");
        assert!(memory < 256 << 20, "{archive} took {memory} bytes of memory");
    }
    // The same as a context is refused the same way.
    let input = std::fs::read(place.path("context/entries.tgz")).unwrap();
    let output = with_input(place.command().arg("-"), &input);
    assert!(!output.status.success() && shown(&output).contains("more than 400000 entries"), "{}", shown(&output));
}

#[test]
fn a_pushed_dockerfile_reaches_public_addresses_only() {
    // DF-23
    let site = crate::support::Site::start("");
    for (line, expected) in [
        ("ADD http://127.0.0.1:1/x /x", "is not public"),
        ("ADD http://localhost/x /x", "is not public"),
        ("ADD http://169.254.169.254/latest/meta-data /x", "is not public"),
        ("ADD http://[::ffff:10.0.0.1]/x /x", "is not public"),
        ("ADD http://127.0.0.1:1/x.git /x", "is not public"),
    ] {
        let commit = site.commit(&[("Dockerfile", &format!("FROM scratch\n{line}\n"))]);
        let id = site.push(&commit);
        let build = site.finished(&id);
        assert_eq!(build["state"], "failed", "{build:#}");
        assert!(site.log(&id).contains(expected), "{line}: {}", site.log(&id));
    }
}
