//! The sandbox at work: real namespaces, real commands from Debian's static busybox.
//!
//! Names of cases such as `RT-15` or `REG-01` are those of the list of bad inputs; `DF-` and `E` those of the rules.
#![allow(clippy::unwrap_used, reason = "without the standard harness clippy does not know that these are tests")]

mod account;
mod calls;
mod confinement;
mod debian;
mod disk;
mod hostile_layers;
mod ids;
mod layers;
mod limits;
mod machine;
mod mounts;
mod network;
mod pasta;
mod place;
mod reach;
mod refusals;
mod residue;
mod roots;
mod starts;
mod steps;
mod streams;

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
    if std::env::var_os(machine::ELSEWHERE).is_some() {
        machine::be_elsewhere();
    }
    if let Ok(test) = std::env::var(machine::MACHINE) {
        let part = reach::PARTS.iter().chain(pasta::PARTS).find(|(name, _)| *name == test);
        return part.expect("it is in one of the lists").1();
    }
    let arguments = Arguments::from_args();
    let groups: [(&str, &[Test]); 20] = [
        ("account", account::TESTS),
        ("calls", calls::TESTS),
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
        ("pasta", pasta::TESTS),
        ("reach", reach::TESTS),
        ("refusals", refusals::TESTS),
        ("residue", residue::TESTS),
        ("roots", roots::TESTS),
        ("starts", starts::TESTS),
        ("steps", steps::TESTS),
        ("streams", streams::TESTS),
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
