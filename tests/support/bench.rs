//! A data directory whose images and containers are handled by hand.

use super::{run, shown, slipway};
use std::path::PathBuf;
use std::process::{Command, Output};

/// A data directory with an image in it.
pub(crate) struct Bench {
    /// Everything of the test.
    pub directory: tempfile::TempDir,
}

impl Bench {
    /// Makes an empty data directory.
    pub(crate) fn new() -> Bench {
        Bench { directory: tempfile::tempdir().unwrap() }
    }

    /// Returns a path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns a command on the data directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = slipway();
        command.arg("--data-dir").arg(self.path("data")).args(arguments);
        command.env("DOCKER_CONFIG", self.path("docker"));
        command
    }

    /// Runs a command.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed and returns its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// Runs a command that must fail and returns its exit code and standard error.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", shown(&output));
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Builds an image of busybox, with more instructions.
    pub(crate) fn build(&self, name: &str, instructions: &str) {
        let context = self.path("context");
        std::fs::create_dir_all(&context).unwrap();
        std::fs::copy("/bin/busybox", context.join("busybox")).expect("busybox-static is installed");
        let links = "RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]";
        let dockerfile = format!("FROM scratch\nCOPY busybox /bin/busybox\n{links}\n{instructions}");
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        run(self.command(&["build", "-q", "-t", name]).arg(&context));
    }
}
