//! The inputs that are kept under `fuzz/seeds` are read in every test run.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn inputs_that_were_found_by_fuzzing_stay_mended() {
    replay("dockerfile", super::dockerfile);
    replay("ignore", super::ignore);
    replay("tar", super::tar);
    replay("layer", super::layer);
    replay("packets", super::packets);
    replay("pack", super::pack);
}
