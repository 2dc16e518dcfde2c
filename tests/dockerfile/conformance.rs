//! The cases of `tests/dockerfile/cases`: a Dockerfile, its context, and what the image must be, one file each.
//!
//! `FROM base` is an image of busybox with a few accounts and with stand-ins for the tools of languages (`tool.sh`). The layers on top of it are compared, flattened: every
//! path with mode and owner, content or target, and a time where the case gives one.

mod case;
mod image;

use crate::support::{run, shown, slipway};
use case::Case;
use image::Image;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// Cases that are built at once.
const AT_ONCE: usize = 3;

const BASE: &str = "FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
COPY etc /etc
COPY --chmod=755 tool /usr/local/bin/tool
COPY --chmod=755 wrapper /usr/local/bin/go
RUN cd /usr/local/bin && for name in npm pip python mvn java cargo composer apt-get adduser addgroup; do cp go $name; done
RUN mkdir -m 1777 /tmp && mkdir /real && ln -s /real /l
CMD [\"base-cmd\"]
";

/// Where everything of the test is.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        let context = place.path("base-context");
        std::fs::create_dir_all(context.join("etc")).unwrap();
        std::fs::copy("/bin/busybox", context.join("busybox")).expect("busybox-static is installed");
        std::fs::write(context.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:100:200::/home/app:/bin/sh\n")
            .unwrap();
        std::fs::write(context.join("etc/group"), "root:x:0:\nweb:x:33:app\napp:x:200:\n").unwrap();
        std::fs::write(context.join("tool"), include_str!("cases/tool.sh")).unwrap();
        std::fs::write(context.join("wrapper"), "#!/bin/sh\nexec tool \"$0\" \"$@\"\n").unwrap();
        std::fs::write(context.join("Dockerfile"), BASE).unwrap();
        let mut build = slipway();
        build.args(["build", "-q", "--data-dir"]).arg(place.path("data"));
        build.arg("-o").arg(format!("type=oci,tar=false,dest={}", place.path("base").display())).arg(context);
        run(&mut build);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Builds a case into a layout.
    fn build(&self, case: &Case, context: &Path, layout: &Path) -> Output {
        let mut command = slipway();
        command.args(["build", "--progress", "plain", "--data-dir"]).arg(self.path("data"));
        command.arg("-o").arg(format!("type=oci,tar=false,dest={}", layout.display()));
        // A stage may be called base where no image is.
        let base = case.images.is_empty().then_some("base");
        for name in case.images.iter().map(String::as_str).chain(base) {
            command.arg("--build-context").arg(format!("{name}=oci-layout://{}", self.path("base").display()));
        }
        command.arg("-f").arg(context.join(&case.file)).args(&case.args);
        command.current_dir(context).stdin(Stdio::null()).arg(context).output().unwrap()
    }

    /// Returns what is wrong with the result of a case.
    fn problems(&self, case: &Case) -> Vec<String> {
        let (context, layout) =
            (self.path(&format!("{}.context", case.name)), self.path(&format!("{}.image", case.name)));
        std::fs::create_dir_all(&context).unwrap();
        case.write_context(&context);
        let output = self.build(case, &context, &layout);
        let said = shown(&output);
        let mut problems = Vec::new();
        if output.status.success() != case.fails.is_none() {
            problems
                .push(format!("it {} but must not:\n{said}", if output.status.success() { "builds" } else { "fails" }));
            return problems;
        }
        let wanted = case.says.iter().chain(case.fails.iter()).filter(|text| !said.contains(text.as_str()));
        problems.extend(wanted.map(|text| format!("`{text}` is missing in:\n{said}")));
        problems.extend(
            case.never_says
                .iter()
                .filter(|text| said.contains(text.as_str()))
                .map(|text| format!("`{text}` is in:\n{said}")),
        );
        if case.fails.is_none() {
            let image = Image::read(&layout, &self.path("base"));
            problems.extend(case.compare(&image));
            problems.extend(self.built_again(case, &context, &image));
        }
        problems
    }

    /// A cached and an uncached build give the same image, and the time of the build is the only thing that may differ.
    fn built_again(&self, case: &Case, context: &Path, first: &Image) -> Option<String> {
        if case.never_same {
            return None;
        }
        let layout = self.path(&format!("{}.again", case.name));
        let output = self.build(case, context, &layout);
        let again = Image::read(&layout, &self.path("base"));
        let same = again.diff_ids == first.diff_ids && again.config["config"] == first.config["config"];
        (!same).then(|| format!("built again it is another image:\n{}", shown(&output)))
    }
}

fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dockerfile/cases");
    let files = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let mut cases: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .map(|path| Case::read(&path))
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

#[test]
fn images_are_what_buildkit_makes_of_the_same_dockerfiles() {
    let (cases, place) = (cases(), Place::new());
    // One case alone: SLIPWAY_CASE=E01.
    let only = std::env::var("SLIPWAY_CASE").unwrap_or_default();
    let waiting = Mutex::new(cases.iter().filter(|case| case.name.starts_with(&only)).collect::<Vec<_>>());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().pop();
                    let Some(case) = next else { return };
                    let problems = place.problems(case);
                    if !problems.is_empty() {
                        failed.lock().unwrap().push(format!(
                            "{} ({}):\n{}",
                            case.name,
                            case.about,
                            problems.join("\n")
                        ));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases fail:\n{}", failed.len(), cases.len(), failed.join("\n\n"));
}

#[test]
fn every_edge_case_has_its_case() {
    let names: Vec<_> = cases().into_iter().map(|case| case.name).collect();
    // E22 needs a web server: it is in `dockerfile/add.rs`.
    for number in (1..=40).filter(|number| *number != 22) {
        let id = format!("E{number:02}");
        assert!(names.iter().any(|name| name.starts_with(&id)), "{id} has no case");
    }
}

/// Gives a file of a context what only commands can.
pub(crate) fn set(program: &str, arguments: &[&str], path: &Path) {
    run(Command::new(program).args(arguments).arg(path));
}
