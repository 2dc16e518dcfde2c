//! Who a worker is: its machine, its process, and when that began, so that a dead one can be told from a living one.

use std::fs;
use std::path::Path;

/// Returns the name of this process as a worker.
pub fn name() -> String {
    let id = std::process::id();
    format!("{}:{id}:{}", machine(), began(id).unwrap_or_default())
}

/// Tells whether `worker` was a process of this machine that is gone.
pub fn is_gone(worker: &str) -> bool {
    let mut parts = worker.rsplitn(3, ':');
    let (Some(start), Some(id), Some(host)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Ok(id) = id.parse() else { return false };
    host == machine() && began(id).is_none_or(|now| now != start)
}

fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Processes of different containers may have the same number: the namespace is part of the machine's name.
    let namespace =
        fs::read_link(Path::new("/proc/self/ns/pid")).map(|link| link.display().to_string()).unwrap_or_default();
    format!("{}/{namespace}", name.trim())
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
        assert!(!is_gone(&name()));
        assert!(is_gone(&format!("{}:{}:1", machine(), std::process::id())), "another process had the number before");
        assert!(!is_gone("elsewhere:1:1"), "nothing is known of other machines");
    }
}
