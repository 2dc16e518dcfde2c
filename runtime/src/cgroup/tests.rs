//! Both versions on made-up trees: what is written where.

use super::*;
use std::fs::{create_dir_all, read_to_string, write};

fn limits() -> Limits {
    Limits { memory_bytes: Some(1 << 20), pids: Some(7), cpus: Some(1.5), ..Limits::default() }
}

#[test]
fn version_2_is_limited_below_the_services_own_group() {
    let root = tempfile::tempdir().unwrap();
    let service = root.path().join("system.slice/slipway.service");
    let group = service.join("slipway-a");
    create_dir_all(&group).unwrap();
    write(service.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    write(service.join("cgroup.subtree_control"), "").unwrap();
    for file in ["memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs"] {
        write(group.join(file), "").unwrap();
    }
    write(group.join("memory.events"), "low 0\noom 2\noom_kill 3\n").unwrap();
    write(group.join("cpu.stat"), "usage_usec 1500000\nuser_usec 1000000\n").unwrap();
    let cgroup = Cgroup::create_in(root.path(), "0::/system.slice/slipway.service\n", "a", &limits());
    let text = |file: &str| read_to_string(group.join(file)).unwrap();
    assert_eq!(read_to_string(service.join("cgroup.subtree_control")).unwrap(), "+memory +pids +cpu");
    assert_eq!((text("memory.max"), text("memory.swap.max")), ("1048576".into(), "0".into()));
    assert_eq!((text("pids.max"), text("cpu.max")), ("7".into(), "150000 100000".into()));
    assert_eq!(cgroup.limited(), Limited { memory: true, pids: true, cpu: true });
    cgroup.add(42).unwrap();
    // SEC-m1: a kill without an event of the group's own is somebody else's want of memory.
    assert_eq!((text("cgroup.procs"), cgroup.deaths()), ("42".into(), Deaths { killed: 3, at_limit: 2 }));
    assert_eq!(cgroup.cpu_time(), Some(Duration::from_millis(1500)));
}

#[test]
fn version_1_stays_within_the_quota_of_the_groups_above() {
    let root = tempfile::tempdir().unwrap();
    for directory in ["memory/box", "pids", "cpu,cpuacct/box"] {
        create_dir_all(root.path().join(directory)).unwrap();
    }
    write(root.path().join("cpu,cpuacct/box/cpu.cfs_quota_us"), "50000\n").unwrap();
    write(root.path().join("cpu,cpuacct/box/cpu.cfs_period_us"), "100000\n").unwrap();
    let own = "9:name=systemd:/\n4:memory:/box\n3:pids:/\n2:cpu,cpuacct:/box/slipway-other\n0::/\n";
    let cgroup = Cgroup::create_in(root.path(), own, "a", &limits());
    let text = |file: &str| read_to_string(root.path().join(file)).unwrap();
    assert_eq!(text("memory/box/slipway-a/memory.limit_in_bytes"), "1048576");
    assert_eq!(text("pids/slipway-a/pids.max"), "7");
    assert_eq!(text("cpu,cpuacct/box/slipway-a/cpu.cfs_quota_us"), "50000", "a sibling, as much as there is");
    assert_eq!(cgroup.limited(), Limited { memory: true, pids: true, cpu: true });
    assert_eq!(cgroup.cpu_time(), None, "nothing is counted");
    write(root.path().join("cpu,cpuacct/box/slipway-a/cpuacct.usage"), "2000000000\n").unwrap();
    assert_eq!(cgroup.cpu_time(), Some(Duration::from_secs(2)));
}

#[test]
fn version_1_tells_whether_the_limit_was_in_the_way() {
    // SEC-m1
    let root = tempfile::tempdir().unwrap();
    create_dir_all(root.path().join("memory")).unwrap();
    let cgroup = Cgroup::create_in(root.path(), "4:memory:/\n", "a", &limits());
    assert_eq!(cgroup.deaths(), Deaths::default());
    let set = |file: &str, text: &str| write(root.path().join("memory/slipway-a").join(file), text).unwrap();
    set("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    set("memory.max_usage_in_bytes", "500000\n");
    assert_eq!(cgroup.deaths(), Deaths { killed: 1, at_limit: 0 }, "half of the limit was never used");
    set("memory.memsw.max_usage_in_bytes", "1048000\n");
    assert_eq!(cgroup.deaths(), Deaths { killed: 1, at_limit: 1 });
}

#[test]
fn version_1_counts_processor_time_wherever_that_is_mounted() {
    let root = tempfile::tempdir().unwrap();
    for directory in ["cpu", "cpuacct"] {
        create_dir_all(root.path().join(directory)).unwrap();
    }
    let cgroup = Cgroup::create_in(root.path(), "2:cpuacct:/\n1:cpu:/\n", "a", &limits());
    write(root.path().join("cpuacct/slipway-a/cpuacct.usage"), "7000000\n").unwrap();
    write(root.path().join("cpu/slipway-a/cpu.stat"), "nr_periods 0\nthrottled_time 0\n").unwrap();
    assert_eq!(cgroup.cpu_time(), Some(Duration::from_millis(7)));
}

#[test]
fn a_group_that_was_swept_away_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    create_dir_all(root.path().join("pids")).unwrap();
    let cgroup = Cgroup::create_in(root.path(), "3:pids:/\n", "a", &limits());
    let group = root.path().join("pids/slipway-a");
    std::fs::remove_dir_all(&group).unwrap();
    cgroup.add(42).unwrap();
    let text = |file: &str| read_to_string(group.join(file)).unwrap();
    assert_eq!((text("cgroup.procs"), text("pids.max")), ("42".into(), "7".into()));
}

#[test]
fn a_machine_without_groups_has_none() {
    let root = tempfile::tempdir().unwrap();
    let cgroup = Cgroup::create_in(root.path(), "0::/user.slice\n", "a", &limits());
    assert!(cgroup.groups.is_empty() && cgroup.limited() == Limited::default());
}
