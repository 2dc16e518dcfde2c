//! Random Dockerfiles, changed a little again and again: what the cache knows and what is left on disk of earlier builds
//! must never show in an image.

use crate::support::{shown, slipway};
use std::path::{Path, PathBuf};

/// Dockerfiles that are tried, and how often each is changed.
const FILES: u64 = 16;
const CHANGES: usize = 3;

/// Instructions of a Dockerfile besides its base; `S` is the stage before.
const LINES: [&str; 36] = [
    "RUN true",
    "RUN :",
    "RUN mkdir -p /w/a && echo x > /w/a/f",
    "RUN rm -rf /w && mkdir /w && echo y > /w/g",
    "RUN rm -rf /w/* /x",
    "RUN mkdir -p /x && chmod 700 /x && touch /x/n",
    "RUN chown -R 1:1 /w || true",
    "RUN ln -s /w /l || true",
    "RUN rm -rf /l; mkdir -p /real; ln -sf real /l",
    "RUN mv /x /y || true",
    "RUN echo $V$W > /env",
    "RUN touch /etc /w 2>/dev/null; true",
    "RUN ls -laR /w /x /l 2>/dev/null | sed 's/.*[0-9][0-9]:[0-9][0-9]//' > /seen; true",
    "RUN --mount=type=tmpfs,target=/w/t echo t > /w/t/f",
    "RUN --mount=target=/x/c cat /x/c/a > /from",
    "RUN --mount=type=bind,source=d,target=/w/d,rw touch /w/d/new",
    "RUN --network=none echo n > /none",
    "COPY a /w/a",
    "COPY a b.txt /x/",
    "COPY d /w",
    "COPY . /all/",
    "COPY --chown=1:2 --chmod=640 b.txt /l/",
    "COPY --link d /linked/",
    "COPY --parents d/e ./",
    "COPY --exclude=*.txt . /w/part/",
    "COPY none* d/e /some/",
    "ADD l /link",
    "COPY --from=S /w* /got/",
    "COPY --from=S /bin/busybox /b",
    "WORKDIR /w",
    "WORKDIR /l/deep",
    "WORKDIR rel",
    "ENV V=v W=$V",
    "ARG W=w",
    "USER 1:1",
    "USER root",
];

/// The same numbers for the same seed on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// A Dockerfile of two stages as lines, and the files that it copies.
struct Project {
    place: PathBuf,
    lines: Vec<String>,
}

impl Project {
    fn new(place: PathBuf, dice: &mut Dice) -> Self {
        std::fs::create_dir_all(place.join("d")).unwrap();
        for (name, content) in [("a", "1"), ("b.txt", "2"), ("d/e", "3"), ("d/f.txt", "4")] {
            std::fs::write(place.join(name), content).unwrap();
        }
        std::os::unix::fs::symlink("d", place.join("l")).unwrap();
        std::fs::copy("/bin/busybox", place.join("busybox")).unwrap();
        std::fs::write(place.join(".dockerignore"), "busybox/none\n").unwrap();
        let mut lines = Vec::new();
        for stage in ["S", "T"] {
            lines.push(format!("FROM base AS {stage}"));
            (0..2 + dice.below(5)).for_each(|_| lines.push(LINES[dice.below(LINES.len())].to_owned()));
        }
        Project { place, lines }
    }

    /// Changes a file or a line.
    fn change(&mut self, dice: &mut Dice) {
        let file = self.place.join(["a", "b.txt", "d/e", "d/f.txt"][dice.below(4)]);
        let at = dice.below(self.lines.len());
        match dice.below(6) {
            0 => std::fs::write(&file, format!("{}", dice.below(9))).unwrap(),
            1 => std::fs::write(self.place.join("d").join(format!("new{}", dice.below(3))), "n").unwrap(),
            2 => std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap(),
            3 if !self.lines[at].starts_with("FROM") => drop(self.lines.remove(at)),
            _ => self.lines.insert(at + 1, LINES[dice.below(LINES.len())].to_owned()),
        }
    }

    fn dockerfile(&self) -> String {
        let base =
            "FROM scratch AS base\nCOPY busybox /bin/\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
        // The first stage has none before it: it takes files of the base.
        let (mut text, mut stages) = (base.to_owned(), 0);
        for line in &self.lines {
            stages += usize::from(line.starts_with("FROM"));
            let before = if stages < 2 { "--from=base" } else { "--from=S" };
            text.push_str(&line.replace("--from=S", before));
            text.push('\n');
        }
        text
    }

    /// Returns the digest of the image, or what the build fails with.
    fn build(&self, data: &Path, arguments: &[&str]) -> Result<String, String> {
        std::fs::write(self.place.join("Dockerfile"), self.dockerfile()).unwrap();
        let output = slipway()
            .args(["build", "--quiet", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--data-dir"])
            .arg(data)
            .args(arguments)
            .arg(&self.place)
            .output()
            .unwrap();
        let error = shown(&output).lines().last().unwrap_or_default().to_owned();
        let digest = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() { Ok(digest) } else { Err(error) }
    }
}

#[test]
fn a_cached_build_and_an_uncached_one_give_the_same_image() {
    let directory = tempfile::tempdir().unwrap();
    let (kept, fresh) = (directory.path().join("kept"), directory.path().join("fresh"));
    let mut built = 0;
    for seed in 1..=FILES {
        let mut dice = Dice(seed);
        let mut project = Project::new(directory.path().join(format!("p{seed}")), &mut dice);
        for change in 0..=CHANGES {
            let (cached, uncached) = (project.build(&kept, &[]), project.build(&fresh, &["--no-cache"]));
            assert_eq!(cached, uncached, "seed {seed}, change {change}:\n{}", project.dockerfile());
            built += usize::from(cached.is_ok());
            project.change(&mut dice);
        }
    }
    assert!(built as u64 > FILES, "only {built} of the builds succeed: they compare nothing");
}
