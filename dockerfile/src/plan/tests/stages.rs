//! Which stages are planned, what they start from, and what is refused.

use super::*;
use std::time::{Duration, Instant};

// DF-084
#[test]
fn only_the_stages_that_are_needed_are_planned() {
    let text = "FROM nowhere AS unused\nRUN x\nFROM scratch AS a\nWORKDIR /a\nFROM scratch AS b\nCOPY --from=A /x /y\nCOPY --from=1 /x /y\n";
    let plan = plan(text);
    let names: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!((names, plan.target), (vec!["a", "b"], 1));
    let numbers: Vec<_> =
        plan.stages.iter().flat_map(|stage| stage.steps.iter().map(|step| (step.number, step.position))).collect();
    assert_eq!(numbers, [(1, (1, 1)), (2, (1, 2)), (3, (2, 2))]);
}

// DF-308
#[test]
fn the_base_image_is_one_of_the_steps_that_are_counted() {
    let plan = plan("FROM plain\nENV a=1\nRUN x\nRUN y\n");
    let positions: Vec<_> = plan.stages[0].steps.iter().map(|step| step.position).collect();
    assert_eq!(positions, [(0, 3), (2, 3), (3, 3)]);
}

#[test]
fn images_are_asked_for_before_they_are_used() {
    let file =
        Dockerfile::parse(b"FROM debian:12\nCOPY --from=busybox /x /y\nRUN --mount=from=0,target=/m x\n").unwrap();
    let lint = Lint::default();
    let planned = Plan::for_file(&file, &settings(), &BaseImages::new(), Scope::Target, &lint).unwrap();
    let Planned::Needs(needed) = planned else { panic!() };
    // DF-076: a mount takes no stage by its number.
    assert_eq!(needed.iter().map(|image| image.name.as_str()).collect::<Vec<_>>(), ["debian:12", "busybox", "0"]);
}

// DF-075, DF-172, E31
#[test]
fn names_of_stages() {
    let base = |text: &str| plan(text).stages.pop().unwrap().base;
    assert_eq!(base("FROM scratch AS Base\nFROM base"), Base::Stage(0));
    assert_eq!(base("FROM scratch AS a\nFROM scratch AS a\nWORKDIR /x\nFROM a"), Base::Stage(0));
    assert!(refused("FROM plain AS Plain2\nFROM Plain2").contains("failed to parse stage name \"Plain2\""));
    assert_eq!(base("FROM plain AS scratch\nFROM scratch"), Base::Stage(0), "a stage hides even the empty one");
    let from = |text: &str| match plan(text).stages.pop().unwrap().steps.pop().unwrap().action {
        Action::Copy(copy) => copy.from,
        other => panic!("{other:?}"),
    };
    assert_eq!(from("FROM scratch AS Base\nFROM scratch\nCOPY --from=BASE /a /b"), From::Stage(0));
    assert_eq!(from("FROM scratch\nFROM scratch\nCOPY --from=0 /a /b"), From::Stage(0));
    assert_eq!(from("FROM scratch\nCOPY --from=plain /a /b"), From::Image("plain".into()));
    assert_eq!(from("FROM scratch AS plain\nFROM scratch\nCOPY --from=plain /a /b"), From::Stage(0), "DF-086");
    assert_eq!(from("FROM scratch\nCOPY --from= /a /b"), From::Context);
}

// DF-083
#[test]
fn targets_are_found_by_name_in_any_case() {
    let text = "FROM scratch AS build\nWORKDIR /b\nFROM scratch\n";
    let target = |name: &str| plan_with(text, &Settings { target: Some(name.into()), ..settings() });
    assert_eq!(target("BUILD").unwrap().stages[0].name, "build");
    for (name, said) in [
        ("buid", "target stage \"buid\" could not be found (did you mean build?)"),
        ("0", "target stage \"0\" could not be found"),
    ] {
        assert_eq!(target(name).unwrap_err().to_string(), said);
    }
}

// DF-074, DF-079, DF-082, DF-085, DF-087; DF-08, DF-10, DF-17, DF-20
#[test]
fn what_cannot_be_planned_is_refused() {
    for (text, message) in [
        ("FROM $X", "base name ($X) should not be blank"),
        ("FROM $X AS unused\nFROM scratch", "base name ($X) should not be blank"),
        ("FROM scratch AS a\nCOPY --from=a /x /y", "circular dependency detected on stage: a"),
        ("FROM scratch\nCOPY --from=0 /x /y", "circular dependency detected on stage: stage-0"),
        (
            "FROM scratch AS a\nCOPY --from=b /x /y\nFROM scratch AS b\nCOPY --from=a /x /y\nFROM scratch",
            "circular dependency detected on stage: a",
        ),
        (
            "FROM scratch AS a\nCOPY --from=b /x /y\nFROM scratch AS b\nFROM a",
            "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"",
        ),
        (
            "FROM plain AS a\nRUN --mount=from=b,target=/m x\nFROM scratch AS b\nFROM a",
            "cannot mount from stage \"b\" to \"a\", stage needs to be defined before current command",
        ),
        ("FROM scratch\nCOPY --from=7 /x /y", "invalid stage index 7"),
        ("FROM scratch\nCOPY --from=-1 /x /y", "invalid stage index -1"),
        ("FROM plain\nRUN --network=host x", "network.host is not allowed"),
        ("FROM plain\nRUN --security=insecure x", "security.insecure is not allowed"),
        ("FROM plain\nRUN []", "arguments are required"),
        (
            "FROM scratch\nWORKDIR /proc/self/fd/7",
            "WORKDIR /proc/self/fd/7 is not allowed: it lies in a file system of the kernel",
        ),
        ("FROM scratch\nSTOPSIGNAL FOO", "invalid signal: FOO"),
        ("FROM scratch\nSTOPSIGNAL 0", "invalid signal: 0"),
        ("FROM scratch\nVOLUME $X", "VOLUME specified can not be an empty string"),
        ("FROM scratch\nCOPY http://x/y /z", "source can't be a URL for COPY"),
        ("FROM --platform=$X scratch", "empty platform value from expression $X"),
        (
            "FROM --platform=$BUIDPLATFORM scratch",
            "empty platform value from expression $BUIDPLATFORM (did you mean BUILDPLATFORM?)",
        ),
        (
            "FROM --platform=x/y scratch",
            "failed to parse platform x/y: \"x/y\": unknown operating system or architecture: `os/architecture[/variant]` is expected, as in `linux/amd64`",
        ),
        (
            "FROM scratch\nENV a=\"x",
            "failed to process \"\\\"x\": unexpected end of statement while looking for matching double-quote",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
    for reference in ["Upper", "a@sha256:12", &"x".repeat(5000), "a:b:c", "-a"] {
        let error = plan_with(&format!("ARG A\nFROM {reference}"), &settings()).unwrap_err();
        assert!(error.to_string().starts_with("failed to parse stage name"), "{error}");
        assert_eq!(lines(&error), [(2, 2)]);
    }
}

// DF-307
#[test]
fn errors_know_all_the_lines_they_are_about() {
    let places = |text: &str| lines(&plan_with(text, &settings()).unwrap_err());
    assert_eq!(places("FROM scratch\nCOPY --from=7 \\\n /x \\\n /y"), [(2, 4)]);
    assert_eq!(
        places("FROM scratch AS a\nCOPY --from=b /x /y\nFROM scratch AS b\n\nCOPY --from=a /x /y"),
        [(2, 2), (5, 5)]
    );
    let mut images = images();
    images.insert("odd".into(), image(&[], &["COPY --from=7 /a /b"]));
    images.insert("odder".into(), image(&[], &["RNU x"]));
    for name in ["odd", "odder"] {
        let error = plan_from(&format!("# x\n\nFROM {name}\nRUN x\n"), &settings(), &images).unwrap_err();
        assert_eq!(lines(&error), [(3, 3)], "{error}");
    }
}

// DF-09
#[test]
fn an_image_has_at_most_127_layers() {
    let text = |count: usize| format!("FROM scratch AS a\n{}FROM a\nWORKDIR /y\n", "WORKDIR /x\n".repeat(count));
    assert!(plan_with(&text(126), &settings()).is_ok());
    let error = plan_with(&text(127), &settings()).unwrap_err();
    assert_eq!((error.code(), lines(&error)), (Code::TooManyLayers, vec![(130, 130)]));
    assert!(error.to_string().starts_with("this would be layer 128 of the image, 127 are possible"), "{error}");
}

// E30, DF-224 to DF-227
#[test]
fn triggers_run_in_the_direct_child_and_nowhere_else() {
    let text = "FROM scratch AS src\nWORKDIR /s\nFROM plain AS parent\nENV WHO=parent\nONBUILD ENV SAID=$WHO\nONBUILD COPY --from=src /s /t\nFROM parent AS child\nENV WHO=child\nFROM child AS grandchild\nCMD [\"x\"]\n";
    let at = |target: &str| plan_with(text, &Settings { target: Some(target.into()), ..settings() }).unwrap();
    let texts = |plan: &Plan| {
        let stage = &plan.stages[plan.target];
        stage.steps.iter().map(|step| step.created_by.clone()).collect::<Vec<_>>()
    };
    let parent = at("parent");
    assert_eq!(parent.stages.len(), 1, "the trigger is not triggered here");
    assert_eq!(parent.stages[0].config.config.on_build, ["ENV SAID=$WHO", "COPY --from=src /s /t"]);
    let child = at("child");
    assert_eq!(texts(&child), ["ENV SAID=parent", "COPY /s /t # buildkit", "ENV WHO=child"]);
    assert_eq!(child.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>(), ["src", "parent", "child"]);
    assert_eq!(child.stages[child.target].steps[0].lines, (7, 7), "what a trigger does, happens at FROM");
    assert_eq!(child.stages[child.target].steps[1].instruction, "ONBUILD COPY --from=src /s /t");
    assert!(child.stages[child.target].config.config.on_build.is_empty());
    let grandchild = at("grandchild");
    assert_eq!(texts(&grandchild), ["CMD [\"x\"]"]);
}

// DF-225: a trigger of an image may need another image.
#[test]
fn triggers_of_images_may_need_more_images() {
    let mut images = BaseImages::new();
    images.insert("base".into(), image(&[], &["COPY --from=tools /t /t", "RUN --mount=from=more,target=/m x"]));
    let file = Dockerfile::parse(b"FROM base\n").unwrap();
    let lint = Lint::default();
    let planned = Plan::for_file(&file, &settings(), &images, Scope::Target, &lint).unwrap();
    let Planned::Needs(needed) = planned else { panic!() };
    assert_eq!(needed.iter().map(|image| image.key.as_str()).collect::<Vec<_>>(), ["tools", "more"]);
    assert_eq!(needed[0].lines, (1, 1));
}

// DF-064, DF-079
#[test]
fn one_image_may_be_needed_for_two_platforms() {
    let text = "FROM --platform=linux/s390x base AS other\nFROM base\nCOPY --from=other /a /b\n";
    let file = Dockerfile::parse(text.as_bytes()).unwrap();
    let lint = Lint::default();
    let Planned::Needs(needed) = Plan::for_file(&file, &settings(), &BaseImages::new(), Scope::Target, &lint).unwrap()
    else {
        panic!()
    };
    let mut keys: Vec<_> = needed.iter().map(|image| image.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["base", "base for linux/s390x"]);
}

// DF-080, DF-081
#[test]
fn the_platform_of_the_result() {
    let mut arm = image(&[], &[]);
    (arm.architecture, arm.variant) = ("arm64".into(), Some("v8".into()));
    let mut images = BaseImages::new();
    images.insert("arm".into(), arm);
    let result = |settings: &Settings| {
        let plan = plan_from("FROM arm\n", settings, &images).unwrap();
        let config = &plan.stages[plan.target].config;
        (config.architecture.clone(), config.variant.clone())
    };
    assert_eq!(result(&settings()), ("arm64".into(), None), "nobody asked for another");
    let asked = Settings { platform: "linux/arm/v7".parse().unwrap(), ..settings() };
    assert_eq!(result(&asked), ("arm".into(), Some("v7".into())));
}

/// A file of `lines` lines as people write them.
fn long_file(lines: usize) -> String {
    let mut text = String::from("ARG VERSION=1\nFROM plain AS s0\n");
    for line in 2..lines {
        match line % 10 {
            0 => text.push_str(&format!("FROM plain AS s{line}\n")),
            1 => text.push_str("ARG VERSION\n"),
            2 => text.push_str(&format!("ENV NAME{line}=\"value $VERSION\" OTHER=${{VERSION:-x}}\n")),
            3 => text.push_str("RUN apt-get update && \\\n"),
            4 => text.push_str("    apt-get install -y something\n"),
            5 => text.push_str("COPY --chown=1:1 a b \"$NAME\" /dir/\n"),
            6 => text.push_str("LABEL a.b.c=\"d e\" f=g\n"),
            7 => text.push_str("EXPOSE 80 8080/udp\n"),
            8 => text.push_str("WORKDIR /somewhere\n"),
            _ => text.push_str("CMD [\"a\", \"b\"]\n"),
        }
    }
    text
}

/// The time that planning 1,000 lines may take in a released program.
const INSTANT: Duration = Duration::from_millis(5);
/// How much slower a program without optimisation may be: it was 5.4 times (13.7 ms and 2.5 ms) when this was written.
const UNOPTIMISED: u32 = 10;

#[test]
fn a_thousand_lines_are_planned_in_an_instant() {
    let text = long_file(1000);
    let settings = settings();
    let images = images();
    let once = || {
        let began = Instant::now();
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let lint = Lint::default();
        let planned = Plan::for_file(&file, &settings, &images, Scope::All, &lint).unwrap();
        assert!(matches!(planned, Planned::Ready(plan) if plan.stages.len() == 100));
        began.elapsed()
    };
    let best = (0..10).map(|_| once()).min().unwrap();
    println!("1,000 lines are parsed and planned in {best:?}");
    let limit = if cfg!(debug_assertions) { INSTANT * UNOPTIMISED } else { INSTANT };
    assert!(best < limit, "{best:?}, {limit:?} are allowed");
}

// A file as long as can be must not take long, whatever is in it.
#[test]
fn the_longest_files_are_planned_or_refused_in_time() {
    // Without optimisation a part of the longest file shows it as well.
    let longest = if cfg!(debug_assertions) { crate::ast::MAX_SIZE / 8 } else { crate::ast::MAX_SIZE - 100 };
    let fill = |line: &str| line.repeat(longest / line.len());
    let numbered = |line: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        (0..).map(line).find(|line| {
            text.push_str(line);
            text.len() > longest - 1000
        });
        text
    };
    for text in [
        format!("FROM scratch\n{}", fill("ENV a=$a$a\n")),
        format!(
            "FROM scratch\nENV a0={}\n{}",
            "x".repeat(1000),
            numbered(&|at| format!("ENV a{}=$a{at}$a{at}\n", at + 1))
        ),
        format!("FROM scratch\nENV a={}\n{}", "x".repeat(60_000), numbered(&|at| format!("ENV b{at}=$a\n"))),
        format!("FROM scratch\n{}", fill("LABEL a\n")),
        format!("FROM scratch\n{}", fill("LABEL a b\n")),
        format!("FROM scratch\n{}", fill("CMD x\n")),
        format!("FROM scratch\n{}", fill("ARG $b\n")),
        fill("FROM scratch AS a\n"),
        format!("FROM scratch AS a0\n{}", numbered(&|at| format!("FROM a{at} AS a{}\n", at + 1))),
        format!("FROM scratch AS a0\n{}", numbered(&|at| format!("FROM a{at} AS a{}\nONBUILD ENV x=1\n", at + 1))),
        numbered(&|at| format!("FROM scratch AS a{at}\nCOPY --from={} / /\n", at + 1)),
        format!(
            "FROM scratch\nENV v={}\nLABEL {}\n",
            "ab".repeat(longest / 100),
            fill("x=${v//?*b/c} ").get(..60_000).unwrap()
        ),
        format!("FROM scratch\nENV v={}\n{}", "ab".repeat(longest / 100), fill("LABEL x=${v//?*b/c}\n")),
        format!("ARG v={}\n{}", "ab".repeat(longest / 100), fill("FROM a${v##*b}\n")),
        format!("FROM scratch\nEXPOSE {}\n", "0-65535 ".repeat(8000)),
    ] {
        let began = Instant::now();
        if let Ok(file) = Dockerfile::parse(text.as_bytes()) {
            let lint = Lint::default();
            let _ = Plan::for_file(&file, &settings(), &images(), Scope::All, &lint);
        }
        let took = began.elapsed();
        let limit = if cfg!(debug_assertions) { Duration::from_secs(60) } else { Duration::from_secs(1) };
        println!("{took:?} {}", &text[..60]);
        assert!(took < limit, "{took:?}: {}…", &text[..60]);
    }
}

/// Settings with names for files and for images.
fn with_names(files: &[&str], images: &[&str]) -> Settings {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Settings { named_contexts: owned(files), named_images: owned(images), ..settings() }
}

// DF-088, DF-089
#[test]
fn what_the_requester_names_takes_the_place_of_stages_and_images() {
    let built = |text: &str, settings: &Settings| plan_with(text, settings).unwrap_or_else(|e| panic!("{text}: {e}"));
    let steps = |plan: &Plan| {
        let texts = plan.stages.iter().map(|stage| {
            let texts: Vec<_> = stage.steps.iter().map(|step| step.created_by.clone()).collect();
            (stage.name.clone(), stage.base.clone(), texts.join("; "))
        });
        texts.collect::<Vec<_>>()
    };
    let text = "FROM nowhere AS src\nRUN never\nFROM scratch\nCOPY --from=src /a /b\nCOPY --from=0 /a /b\n";
    let replaced = steps(&built(text, &with_names(&["src"], &[])));
    let files = ("src".to_owned(), Base::Scratch, "local source for src".to_owned());
    assert_eq!(replaced[0], files, "its own base and steps are nothing");
    assert_eq!(replaced.len(), 2, "by name and by number it is the same");
    let image = steps(&built(&text.replace("src", "base"), &with_names(&[], &["base"])));
    assert_eq!(image[0], ("base".to_owned(), Base::Image("base".into()), String::new()));
    // FROM of files: they are the first layer, and the configuration is that of nothing.
    let plan = built("FROM src\nENV a=1\n", &with_names(&["src"], &[]));
    assert_eq!(steps(&plan)[0].2, "local source for src; ENV a=1");
    assert_eq!(plan.stages[0].config.config.working_dir, "/");
    // An earlier stage hides an image's other name; what stands in its place is found by that name.
    let stage = "FROM scratch AS plain\nWORKDIR /w\nFROM plain\n";
    assert_eq!(steps(&built(stage, &with_names(&["other"], &[])))[1].1, Base::Stage(0));
    assert_eq!(steps(&built(stage, &with_names(&["plain"], &[])))[0].2, "local source for plain");
    // Two stages of one name are both replaced.
    let twice = "FROM scratch AS a\nWORKDIR /1\nFROM scratch AS a\nWORKDIR /2\nFROM scratch\nCOPY --from=0 /x /\nCOPY --from=a /x /\n";
    let both = steps(&built(twice, &with_names(&["a"], &[])));
    assert_eq!((both[0].2.as_str(), both[1].2.as_str()), ("local source for a", "local source for a"));
    // Neither the target nor a circle in what is not built is in the way.
    let circle = "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\nCOPY --from=a /x /\n";
    assert!(plan_with(circle, &settings()).is_err());
    let target = Settings { target: Some("b".into()), ..with_names(&["b"], &[]) };
    assert_eq!(steps(&built(circle.replace("AS a", "AS c").as_str(), &target))[0].2, "local source for b");
    // These two cannot be replaced.
    assert_eq!(built("FROM scratch\n", &with_names(&["scratch", "context"], &[])).stages[0].steps.len(), 0);
}

// DF-089
#[test]
fn a_named_image_runs_its_triggers_where_a_stage_starts_from_it() {
    let settings = with_names(&[], &["base"]);
    let texts = |text: &str| {
        let plan = plan_with(text, &settings).unwrap();
        let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
        steps.map(|step| step.created_by.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts("FROM base\n"), ["ENV TRIGGERED=1"]);
    assert_eq!(texts("FROM scratch AS base\nRUN never\n"), [""; 0]);
}

// DF-284, DF-075
#[test]
fn of_two_stages_of_one_name_the_last_before_counts() {
    let text = "FROM scratch AS a\nWORKDIR /1\nFROM scratch AS a\nWORKDIR /2\nFROM a\nCOPY --from=a /x /y\n";
    let plan = plan(text);
    assert_eq!(plan.stages[0].config.config.working_dir, "/2");
    assert_eq!(plan.stages.len(), 2, "the first one is not needed");
    let target = Settings { target: Some("a".into()), ..settings() };
    assert_eq!(plan_with(text, &target).unwrap().stages[0].config.config.working_dir, "/2");
}

// DF-305
#[test]
fn an_image_that_cannot_be_had_may_be_a_slip_of_the_pen() {
    let file = Dockerfile::parse(b"FROM scratch AS build\nFROM biuld\n").unwrap();
    for (name, hint) in [
        ("biuld", " (did you mean build?)"),
        ("debain", " (did you mean debian?)"),
        ("alpin:3.20", " (did you mean alpine:3.20?)"),
        ("registry.example.com/debain", ""),
        ("debian", ""),
    ] {
        assert_eq!(image_hint(&file, name), hint, "{name}");
    }
}
