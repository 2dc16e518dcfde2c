//! The inputs that are kept under `fuzz/seeds` are read in every test run.

use std::path::Path;

/// Runs `read` on each input of the target `name`.
fn replay(name: &str, read: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let inputs = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut count = 0;
    for input in inputs {
        read(&std::fs::read(input.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", directory.display());
}

#[test]
fn inputs_that_were_found_by_fuzzing_stay_mended() {
    replay("dockerfile", super::dockerfile);
    replay("ignore", super::ignore);
    replay("tar", super::tar);
    replay("layer", super::layer);
    replay("packets", super::packets);
    replay("pack", super::pack);
}
