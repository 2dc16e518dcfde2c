//! Identity of a worker: machine, process and start time, so that a dead worker can be told from a living one.
//!
//! No two that live have the same name, wherever they are: machines may have the same name, and cloned ones do, but each
//! start of a kernel has an id of its own.

use std::fs;
use std::path::Path;

/// Returns the name of this process as a worker.
pub fn name() -> String {
    let id = std::process::id();
    format!("{}:{}:{id}:{}", machine(), boot(), began(id).unwrap_or_default())
}

/// Returns whether `worker` was a process of this machine that is gone.
pub(crate) fn is_gone(worker: &str) -> bool {
    Name::parse(worker).is_some_and(|name| name.boot == boot() && name.machine == machine() && !name.lives())
}

/// Returns whether `worker`, which was a process of this machine, is gone because the machine was restarted.
pub(crate) fn is_of_earlier_boot(worker: &str) -> bool {
    Name::parse(worker).is_some_and(|name| name.boot != boot() && name.machine == machine())
}

/// The name of a worker, taken apart.
struct Name<'n> {
    machine: &'n str,
    boot: &'n str,
    id: u32,
    start: &'n str,
}

impl<'n> Name<'n> {
    fn parse(worker: &'n str) -> Option<Self> {
        let mut parts = worker.rsplitn(4, ':');
        let (start, id, boot, machine) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Name { machine, boot, id: id.parse().ok()?, start })
    }

    fn lives(&self) -> bool {
        began(self.id).is_some_and(|now| now == self.start)
    }
}

fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Processes of different containers may have the same number: the namespace is part of the machine's name.
    let namespace =
        fs::read_link(Path::new("/proc/self/ns/pid")).map(|link| link.display().to_string()).unwrap_or_default();
    format!("{}/{namespace}", name.trim())
}

/// Returns the id of this start of the kernel.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Returns when the process `id` began, in ticks since the machine did; `None` if there is none.
fn began(id: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program may hold anything; what follows its last parenthesis does not.
    text.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_is_gone() {
        assert!(!is_gone(&name()) && !is_of_earlier_boot(&name()));
        let id = std::process::id();
        assert!(is_gone(&format!("{}:{}:{id}:1", machine(), boot())), "another process had the number before");
        assert!(!is_gone("elsewhere:1:1:1") && !is_gone("nonsense"), "nothing is known of other machines");
    }

    #[test]
    fn a_machine_of_the_same_name_is_another_one() {
        // MW-13
        let elsewhere = format!("{}:7a1c0c0e-0000-4000-8000-000000000000:{}:1", machine(), std::process::id());
        assert!(!is_gone(&elsewhere), "its process cannot be seen from here");
        assert!(is_of_earlier_boot(&elsewhere), "or this one, before it was restarted");
        assert!(!is_of_earlier_boot("elsewhere:7a1c0c0e-0000-4000-8000-000000000000:1:1"));
    }
}
