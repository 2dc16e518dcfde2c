//! Completion by shells and manual pages.

use crate::support::Site;
use crate::support::bench::Bench;
use std::process::Command;

/// Returns how bash completes the last of `words`.
fn completed(bench: &Bench, words: &[&str]) -> Vec<String> {
    let slipway = bench.command(&[]);
    let program = slipway.get_program().to_str().unwrap();
    let script = format!(
        "slipway() {{ {program} \"$@\"; }}; source <({program} completion bash); COMP_WORDS=({}); COMP_CWORD={}; \
         COMP_TYPE=9; _clap_complete_slipway {program} '{}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1,
        words.last().unwrap(),
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).env("SLIPWAY_DATA_DIR", bench.path("data"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_commands_flags_and_names() {
    let bench = Bench::new();
    // Asking makes no data directory.
    assert!(completed(&bench, &["slipway", "rm", "m"]).concat().is_empty());
    assert!(!bench.path("data").exists());
    bench.build("team/app:v1", "CMD [\"true\"]\n");
    bench.run(&["create", "--name", "made", "team/app:v1"]);
    let all = completed(&bench, &["slipway", "re"]);
    assert!(["rename", "restart", "retry"].iter().all(|word| all.iter().any(|known| known.trim() == *word)), "{all:?}");
    let flags = completed(&bench, &["slipway", "run", "--pid"]);
    assert!(flags.iter().any(|flag| flag.trim() == "--pids-limit"), "{flags:?}");
    for (words, expected) in [
        (vec!["slipway", "rm", "m"], "made"),
        (vec!["slipway", "container", "start", ""], "made"),
        (vec!["slipway", "rmi", "te"], "team/app:v1"),
        (vec!["slipway", "run", "te"], "team/app:v1"),
        (vec!["slipway", "inspect", "made"], "made"),
    ] {
        let found = completed(&bench, &words);
        assert!(found.iter().any(|name| name.trim() == expected), "{words:?}: {found:?}");
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(bench.run(&["completion", shell]).contains("slipway"), "{shell}");
    }
    assert!(bench.fails(&["completion", "nosuch"]).1.contains("bash, zsh, fish"));
}

#[test]
fn a_shell_completes_repositories_and_builds_of_the_server() {
    let site = Site::start("");
    let bench = Bench::new();
    let build = site.push(&site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]));
    for (words, expected) in [
        (vec!["slipway", "repo", "show", "--server", &site.url, "te"], "team/app"),
        (vec!["slipway", "trigger", "--server", &site.url, "te"], "team/app"),
        (vec!["slipway", "logs", "--server", &site.url, "te"], "team/app"),
        (vec!["slipway", "cancel", "--server", &site.url, "bld_"], build.as_str()),
    ] {
        let found = completed(&bench, &words);
        assert!(found.iter().any(|name| name.trim() == expected), "{words:?}: {found:?}");
    }
    // A server that does not answer delays nobody.
    let began = std::time::Instant::now();
    completed(&bench, &["slipway", "cancel", "--server", "http://127.0.0.1:9", "x"]);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn every_command_has_a_manual_page() {
    let bench = Bench::new();
    let pages = bench.path("pages/man1");
    bench.run(&["man", pages.to_str().unwrap()]);
    for name in ["slipway", "slipway-run", "slipway-image-ls", "slipway-system-df"] {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH "), "{name}");
    }
    assert!(!pages.join("slipway-hold-container.1").exists());
}
