//! Sources over ssh, from a real server: deploy keys, keys of hosts, and nothing but git.

use crate::support::worker_pool::{Yard, git};
use crate::support::{Process, run, wait_for};
use database::BuildRequest;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An ssh server of this user's on a free port.
struct Sshd {
    directory: tempfile::TempDir,
    user: String,
    port: u16,
    _process: Process,
}

impl Sshd {
    /// Starts a server; `more` are lines of its configuration.
    fn start(more: &str) -> Sshd {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path("host_key")));
        std::fs::write(path("authorized_keys"), "").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\n{more}",
            path("host_key").display(),
            path("authorized_keys").display()
        );
        std::fs::write(path("sshd_config"), configuration).unwrap();
        // Only a server of root needs it, and makes it nowhere itself.
        let _ = std::fs::create_dir_all("/run/sshd");
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(path("sshd_config")).stdin(Stdio::null()).stderr(log);
        let process = Process(command.spawn().expect("the package openssh-server is needed"));
        wait_for("an ssh server", || TcpStream::connect(("127.0.0.1", port)).ok());
        let user = run(Command::new("id").arg("-un")).trim().to_owned();
        Sshd { directory, user, port, _process: process }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the host's public key, and its fingerprint.
    fn host_key(&self) -> (String, String) {
        let line = std::fs::read_to_string(self.path("host_key.pub")).unwrap();
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(self.path("host_key.pub")));
        (words.join(" "), shown.split_whitespace().nth(1).unwrap().to_owned())
    }

    /// Lets a key in; what it asks for is written down and done.
    fn let_in(&self, key: &str) {
        let script = self.path("asked.sh");
        let text = format!(
            "#!/bin/sh\necho \"$SSH_ORIGINAL_COMMAND\" >> {}\neval \"$SSH_ORIGINAL_COMMAND\"\n",
            self.path("asked").display()
        );
        std::fs::write(&script, text).unwrap();
        let line = format!("restrict,command=\"sh {}\" {key}\n", script.display());
        std::fs::write(self.path("authorized_keys"), line).unwrap();
    }

    /// Returns the configuration of a worker that trusts `key` for this host.
    fn trusting(&self, key: &str) -> String {
        format!("[git.\"127.0.0.1:{}\"]\nhost_keys = [\"{key}\"]\n", self.port)
    }

    fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    fn request(&self, yard: &Yard, commit: &str) -> BuildRequest {
        let mut request = yard.request(commit);
        request.spec.clone_url = self.url(&yard.path("git/app.git"));
        request
    }
}

const FILES: [(&str, &str); 1] = [("Dockerfile", "FROM scratch\nCOPY . /\n")];

fn key(yard: &Yard) -> database::DeployKey {
    yard.tokio.block_on(yard.database.make_deploy_key("team/app")).unwrap()
}

#[test]
fn commits_come_over_ssh_with_the_repository_s_own_key() {
    for more in ["AcceptEnv GIT_PROTOCOL\n", ""] {
        let sshd = Sshd::start(more);
        let yard = Yard::start(&sshd.trusting(&sshd.host_key().0));
        let _worker = yard.worker(&[]);
        let first = yard.commit(&FILES);
        let request = sshd.request(&yard, &first);
        let failed = || {
            let (state, code, message) = yard.failed(&yard.queue(&request));
            assert_eq!((state.as_str(), code.as_str()), ("failed", "source_auth"), "{message}");
            message
        };
        assert!(failed().contains("make one with `slipway repo key`"));
        let own = key(&yard);
        assert!(failed().contains("does not let the repository's deploy key in"));
        sshd.let_in(&own.public_line());
        yard.succeeded(&yard.queue(&request));
        // A submodule beside it, and a second commit, of which only what is new is sent.
        let lib = yard.path("git/lib.git");
        run(Command::new("git").args(["clone", "-q", "--bare"]).arg(yard.path("git/app.git")).arg(&lib));
        let work = yard.path("work");
        std::fs::write(work.join(".gitmodules"), "[submodule \"lib\"]\npath = lib\nurl = ../lib.git\n").unwrap();
        git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{first},lib")]);
        let second = yard.commit(&[("more", "1")]);
        git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{first},lib")]);
        git(&work, &["commit", "-q", "--amend", "-m", "with a submodule"]);
        git(&work, &["push", "-q", "--force", yard.path("git/app.git").to_str().unwrap(), "HEAD:main"]);
        let with_submodule = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
        assert_ne!(second, with_submodule);
        yard.succeeded(&yard.queue(&sshd.request(&yard, &with_submodule)));
        // A stranger's submodule does not come with the key.
        let mut stranger = sshd.request(&yard, &with_submodule);
        (stranger.spec.options.trusted, stranger.spec.push) = (false, false);
        let (_, code, message) = yard.failed(&yard.queue(&stranger));
        assert!(code == "submodule_not_fetched" && message.contains("without logins"), "{message}");
        let asked = std::fs::read_to_string(sshd.path("asked")).unwrap();
        assert!(
            asked.lines().count() >= 3 && asked.lines().all(|line| line.starts_with("git-upload-pack '/")),
            "{asked}"
        );
        // The private key is in no file, the public one is what the forge knows.
        let text = own.private_text();
        let secret = text.lines().nth(3).unwrap();
        let found = Command::new("grep").args(["-rlaF", secret]).arg(yard.path("data")).output().unwrap();
        assert!(found.stdout.is_empty() && !std::fs::read_to_string(yard.path("worker.log")).unwrap().contains(secret));
        let shown = run(Command::new("sh").args(["-c", "echo \"$0\" | ssh-keygen -lf -"]).arg(own.public_line()));
        assert!(shown.contains(&own.fingerprint()), "{shown}");
        key(&yard);
        let next = yard.commit(&[("more", "2")]);
        let (_, code, _) = yard.failed(&yard.queue(&sshd.request(&yard, &next)));
        assert_eq!(code, "source_auth", "another key is not let in yet");
    }
}

#[test]
fn a_host_that_is_not_known_is_not_spoken_to() {
    let sshd = Sshd::start("");
    let (own, fingerprint) = sshd.host_key();
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    for (configuration, problem) in
        [(String::new(), "none is known of this host"), (sshd.trusting(other), "another one is trusted")]
    {
        let yard = Yard::start(&configuration);
        let _worker = yard.worker(&[]);
        sshd.let_in(&key(&yard).public_line());
        let (state, code, message) = yard.failed(&yard.queue(&sshd.request(&yard, &yard.commit(&FILES))));
        assert_eq!((state.as_str(), code.as_str()), ("failed", "host_key_unknown"), "{message}");
        let remedy = format!("[git.\"127.0.0.1:{}\"] host_keys", sshd.port);
        for text in [problem, &fingerprint, &remedy] {
            assert!(message.contains(text), "{text}: {message}");
        }
        assert!(!sshd.path("asked").exists());
    }
    // A repository of the API is not fetched from where it may not be.
    let yard = Yard::start(&sshd.trusting(&own));
    yard.tokio.block_on(yard.database.put_repository("team/app", "{}", Some(0))).unwrap();
    let _worker = yard.worker(&[]);
    sshd.let_in(&key(&yard).public_line());
    let (_, code, message) = yard.failed(&yard.queue(&sshd.request(&yard, &yard.commit(&FILES))));
    assert!(code == "invalid_clone_url" && message.contains("[network] allow"), "{message}");
}
