//! Space that images and containers take up, shown and given back.

use crate::support::bench::Bench;
use serde_json::Value;

#[test]
fn space_is_shown_and_given_back() {
    let bench = Bench::new();
    bench.build("used", "CMD [\"sleep\", \"1000\"]\n");
    bench.build("unused", "RUN head -c 3000000 /dev/urandom > /x\n");
    bench.run(&["run", "-d", "--name", "up", "used"]);
    bench.run(&["run", "--name", "down", "used", "sh", "-c", "head -c 2000000 /dev/zero > /y"]);
    let table = bench.run(&["system", "df"]);
    let kinds: Vec<&str> = table.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(kinds, ["TYPE", "Images", "Containers", "Local Volumes", "Build Cache"]);
    let rows = bench.run(&["system", "df", "--format", "json"]);
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |row: usize, field: &str| rows[row][field].as_str().unwrap().to_owned();
    assert_eq!([of(0, "TotalCount"), of(0, "Active")], ["2", "1"]);
    assert_eq!([of(1, "TotalCount"), of(1, "Active")], ["2", "1"]);
    assert!(of(0, "Reclaimable").starts_with('3') && of(0, "Reclaimable").contains("MB ("), "{table}");
    assert!(of(1, "Reclaimable").starts_with('2') && of(1, "Reclaimable").ends_with("%)"), "{table}");
    let each = bench.run(&["system", "df", "-v"]);
    assert!(each.starts_with("Images space usage:\n\nREPOSITORY ") && each.contains("\nBuild cache usage: "), "{each}");
    let down = bench.run(&["ps", "-aq", "--no-trunc", "-f", "name=down"]);
    let pruned = bench.run(&["system", "prune", "-f", "--filter", "label=none"]);
    assert_eq!(pruned, "Total reclaimed space: 0B\n");
    let pruned = bench.run(&["system", "prune", "-f"]);
    assert!(pruned.starts_with(&format!("Deleted Containers:\n{down}\nTotal reclaimed space: 2")), "{pruned}");
    let pruned = bench.run(&["system", "prune", "-af"]);
    assert!(pruned.starts_with("Deleted Images:\nuntagged: unused:latest\ndeleted: sha256:"), "{pruned}");
    assert_eq!(bench.run(&["images", "--format", "{{.Repository}}"]), "used\n");
    let asked = bench.output(&["system", "prune"]);
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    let question = "WARNING! This will remove:\n  - all stopped containers\n  - all dangling images\n";
    assert!(said.starts_with(question) && said.ends_with("Are you sure you want to continue? [y/N] "), "{said}");
    bench.run(&["rm", "-f", "up"]);
}

#[test]
fn ps_tells_what_a_container_has_on_disk() {
    let bench = Bench::new();
    bench.build("bb", "");
    bench.run(&["run", "--name", "c1", "bb", "dd", "if=/dev/zero", "of=/f", "bs=1M", "count=2"]);
    let row = bench.run(&["ps", "-a", "--format", "{{.Names}} {{.Size}}"]);
    assert!(row.starts_with("c1 2.1MB (virtual "), "{row}");
    let table = bench.run(&["ps", "-as"]);
    assert!(
        table.lines().next().is_some_and(|head| head.ends_with("SIZE")) && table.contains("2.1MB (virtual"),
        "{table}"
    );
    assert!(!bench.run(&["ps", "-a"]).contains("SIZE"));
}
