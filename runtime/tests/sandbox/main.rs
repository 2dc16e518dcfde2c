//! The sandbox at work: real namespaces, real commands from Debian's static busybox.
//!
//! Names of cases such as `RT-15` or `REG-01` are those of the list of bad inputs; `DF-` and `E` those of the rules.
#![allow(clippy::unwrap_used, reason = "without the standard harness clippy does not know that these are tests")]

mod account;
mod confinement;
mod debian;
mod disk;
mod hostile_layers;
mod ids;
mod layers;
mod limits;
mod mounts;
mod network;
mod place;
mod residue;
mod roots;
mod starts;
mod steps;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test with its name.
type Test = (&'static str, fn());

fn main() {
    runtime::enter_if_asked();
    if let Some(directory) = std::env::var_os(residue::WORKER) {
        residue::be_a_worker(directory.as_ref());
    }
    if let Some(directory) = std::env::var_os(starts::STARTER) {
        starts::start(directory.as_ref());
    }
    let arguments = Arguments::from_args();
    let groups: [(&str, &[Test]); 15] = [
        ("account", account::TESTS),
        ("confinement", confinement::TESTS),
        ("debian", debian::TESTS),
        ("hostile_layers", hostile_layers::TESTS),
        ("disk", disk::TESTS),
        ("few_ids", ids::FEW),
        ("owners", ids::TESTS),
        ("layers", layers::TESTS),
        ("limits", limits::TESTS),
        ("mounts", mounts::TESTS),
        ("network", network::TESTS),
        ("residue", residue::TESTS),
        ("roots", roots::TESTS),
        ("starts", starts::TESTS),
        ("steps", steps::TESTS),
    ];
    let trials = groups.into_iter().flat_map(|(group, tests)| {
        tests.iter().map(move |(name, test)| {
            Trial::test(format!("{group}::{name}"), move || -> Result<(), Failed> {
                test();
                Ok(())
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
