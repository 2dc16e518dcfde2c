//! Removing containers by hand while they start, end or are half gone.

use crate::support::bench::Bench;
use std::fs::File;
use std::time::Duration;

/// Returns a container's file that its supervisor locks.
fn lock_of(bench: &Bench, id: &str) -> File {
    let path = bench.path("data/containers").join(id).join("lock");
    File::options().create(true).append(true).open(path).unwrap()
}

#[test]
fn a_container_that_is_starting_is_not_removed() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\n");
    let id = bench.run(&["create", "--name", "starting", "bb"]).trim().to_owned();
    let supervisor = lock_of(&bench, &id);
    supervisor.lock().unwrap();
    assert_eq!(bench.run(&["container", "prune", "-f"]), "Total reclaimed space: 0B\n");
    assert_eq!(bench.run(&["ps", "-aq"]).trim(), &id[..12]);
    // A removal that is asked for waits until it is known whether the container runs.
    let mut removal = bench.command(&["rm", "starting"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(removal.try_wait().unwrap().is_none());
    supervisor.unlock().unwrap();
    assert!(removal.wait().unwrap().success());
    assert_eq!(bench.run(&["ps", "-aq"]), "");
}

#[test]
fn files_of_containers_that_nobody_knows_are_swept() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\n");
    bench.run(&["run", "--name", "known", "bb"]);
    let id = bench.run(&["ps", "-aq", "--no-trunc"]);
    let directories = bench.path("data/sandbox/state/r");
    std::fs::create_dir(directories.join("0123456789abcdef")).unwrap();
    let held = lock_of(&bench, id.trim());
    held.lock().unwrap();
    assert_eq!(bench.run(&["container", "prune", "-f"]), "Total reclaimed space: 0B\n");
    let left: Vec<_> = std::fs::read_dir(&directories).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [&id[..16]]);
    held.unlock().unwrap();
    let pruned = bench.run(&["container", "prune", "-f"]);
    assert!(pruned.starts_with(&format!("Deleted Containers:\n{id}\nTotal reclaimed space: ")), "{pruned}");
    assert_eq!(std::fs::read_dir(&directories).unwrap().count(), 0);
}

#[test]
fn a_record_that_was_cut_short_can_be_removed_by_its_whole_id() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"true\"]\n");
    let id = bench.run(&["create", "bb"]).trim().to_owned();
    std::fs::write(bench.path("data/containers").join(&id).join("record.json"), "").unwrap();
    assert_eq!(bench.run(&["ps", "-aq"]), "");
    assert!(bench.fails(&["rm", &id]).1.contains("No such container"));
    assert_eq!(bench.run(&["rm", "-f", &id]), format!("{id}\n"));
    assert!(!bench.path("data/containers").join(&id).exists());
    // Nothing holds its image any more.
    assert!(bench.run(&["rmi", "bb"]).contains("Deleted: "));
}

#[test]
fn a_container_that_goes_when_it_ends_stays_when_it_is_restarted() {
    let bench = Bench::new();
    bench.build("bb", "CMD [\"sleep\", \"1000\"]\n");
    bench.run(&["run", "-d", "--rm", "--name", "ww", "bb"]);
    bench.run(&["exec", "ww", "touch", "/own"]);
    assert_eq!(bench.run(&["restart", "-t", "0", "ww"]), "ww\n");
    assert_eq!(bench.run(&["exec", "ww", "ls", "/own"]), "/own\n");
    bench.run(&["stop", "-t", "0", "ww"]);
    assert_eq!(bench.run(&["ps", "-aq"]), "");
}
