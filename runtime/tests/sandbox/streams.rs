//! The streams of a step: its output belongs to its user, as in docker.

use crate::Test;
use crate::place::{link, place, snapshot, tar};
use runtime::{Exit, Step};

pub(crate) const TESTS: &[Test] = &[
    ("the_output_can_be_opened_by_the_steps_user", opened_by_user),
    ("a_log_file_may_be_a_link_to_the_output", log_files),
    ("other_users_than_the_steps_write_what_they_inherited", other_users),
];

fn opened_by_user() {
    // EN-50
    let place = place();
    for user in ["", "app", "1000", "1000:1000", "65534:0", "app:web"] {
        for path in ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/proc/self/fd/1", "/proc/self/fd/2"] {
            let script = format!("echo a > {path}; echo b >> {path}; echo c | tee {path}; echo d | tee -a {path}");
            let step = Step { user: user.into(), ..place.step(&script) };
            assert_eq!(place.succeeds(&step), "a\nb\nc\nc\nd\nd\n", "{user} {path}");
        }
        let input = Step { user: user.into(), ..place.step("cat /dev/stdin /dev/fd/0 /proc/self/fd/0 | wc -c") };
        assert_eq!(place.succeeds(&input), "0\n", "{user}");
        let piped = Step { user: user.into(), ..place.step("echo x | cat /dev/stdin; echo y | tee /dev/stderr") };
        assert_eq!(place.succeeds(&piped), "x\ny\ny\n", "{user}");
    }
}

fn log_files() {
    // EN-50: as images of web servers have them
    let place = place();
    let links = tar(&[(link("access.log", "/dev/stdout"), b""), (link("error.log", "/dev/stderr"), b"")]);
    place.sandbox().unpack(&snapshot(0x41), &mut links.as_slice()).unwrap();
    let layers = vec![place.base.clone(), snapshot(0x41)];
    for user in ["", "app", "33:33"] {
        let script = "echo one >> /access.log; echo two > /error.log; exec sh -c 'echo three > /access.log'";
        let step = Step { layers: layers.clone(), user: user.into(), ..place.step(script) };
        assert_eq!(place.succeeds(&step), "one\ntwo\nthree\n", "{user}");
    }
}

fn other_users() {
    // EN-50: docker, too, gives the output to the user that the step begins with, and to nobody else.
    let place = place();
    let inherited = "su app -s /bin/sh -c 'echo written; echo more >&2'";
    assert_eq!(place.sh(inherited), "written\nmore\n");
    let (exit, output, _) = place.run(&place.step("su app -s /bin/sh -c 'echo x > /dev/stdout'"));
    assert!(exit != Exit::Code(0) && output.contains("ermission denied"), "{exit:?} {output}");
    // Its opener hands it on, as the first process of a web server does.
    assert_eq!(place.sh("exec 5>> /dev/stdout; su app -s /bin/sh -c 'echo handed >&5'"), "handed\n");
}
