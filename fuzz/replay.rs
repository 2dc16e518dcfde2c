//! Reads the inputs that are kept for a fuzz target; the unit tests of several crates include this file.

use std::path::Path;

/// Calls `read` on each input of the target `name`.
pub(crate) fn replay(name: &str, read: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let inputs = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut count = 0;
    for input in inputs {
        read(&std::fs::read(input.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", directory.display());
}
