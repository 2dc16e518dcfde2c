//! Volumes of containers, as docker has them.

use crate::support::bench::Bench;

/// An image with a volume that has something in it.
const IMAGE: &str = "RUN mkdir /data && echo first > /data/f && chown -R 1000:1000 /data && chmod 750 /data\nVOLUME /data\nCMD [\"sh\"]\n";

#[test]
fn a_volume_with_a_name_outlives_its_containers() {
    let bench = Bench::new();
    bench.build("bb", IMAGE);
    let put = ["run", "--rm", "-v", "db:/data", "bb", "sh", "-c", "stat -c %u:%a /data; echo more >> /data/f"];
    assert_eq!(bench.run(&put), "1000:750\n");
    // Another image, another place: the content is the volume's.
    bench.build("other", "");
    let shown = bench.run(&["run", "--rm", "-v", "db:/elsewhere", "other", "cat", "/elsewhere/f"]);
    assert_eq!(shown, "first\nmore\n");
    let refused = bench.fails(&["run", "--rm", "-v", "db:/data:ro", "bb", "touch", "/data/x"]);
    assert!(refused.1.contains("Read-only file system"), "{}", refused.1);
    let mount = "type=volume,source=empty,target=/data,volume-nocopy";
    assert_eq!(bench.run(&["run", "--rm", "--mount", mount, "bb", "ls", "/data"]), "");
    assert_eq!(bench.run(&["volume", "ls", "-q"]), "db\nempty\n");
    assert_eq!(bench.run(&["volume", "ls", "--filter", "name=d"]), "DRIVER    VOLUME NAME\nlocal     db\n");
    let inspect = ["volume", "inspect", "db", "-f", "{{.Name}} {{.Driver}} {{.Scope}}"];
    assert_eq!(bench.run(&inspect), "db local local\n");
}

#[test]
fn a_volume_that_a_container_has_stays() {
    let bench = Bench::new();
    bench.build("bb", "");
    let id = bench.run(&["create", "--name", "c1", "-v", "db:/data:ro", "bb", "true"]).trim().to_owned();
    let (code, said) = bench.fails(&["volume", "rm", "db"]);
    let expected = format!("Error response from daemon: remove db: volume is in use - [{id}]\n");
    assert_eq!((code, said), (1, expected));
    assert_eq!(bench.run(&["volume", "ls", "-q", "--filter", "dangling=true"]), "");
    let mounts =
        bench.run(&["inspect", "c1", "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}"]);
    assert_eq!(mounts, "volume db /data false\n");
    assert!(bench.run(&["system", "df"]).contains("Local Volumes   1         1         0B"));
    bench.run(&["rm", "c1"]);
    assert_eq!(bench.run(&["volume", "ls", "-q"]), "db\n");
    assert_eq!(bench.run(&["volume", "rm", "db"]), "db\n");
    for (arguments, text) in [
        (&["volume", "rm", "db"][..], "get db: no such volume"),
        (&["volume", "inspect", "db"], "get db: no such volume"),
        (&["volume", "create", "-d", "nfs", "x1"], "plugin \"nfs\" not found"),
        (&["volume", "create", "a/b"], "includes invalid characters for a local volume name"),
        (&["run", "-v", "a:x", "bb"], "an absolute path below / is expected"),
        (&["run", "-v", "a1:/x", "-v", "b1:/x", "bb"], "Duplicate mount point: /x"),
    ] {
        let (code, said) = bench.fails(arguments);
        assert!(code != 0 && said.contains(text), "{arguments:?}: {said}");
    }
    assert_eq!(bench.run(&["volume", "rm", "-f", "db"]), "db\n");
}

#[test]
fn a_volume_without_a_name_goes_with_its_container() {
    let bench = Bench::new();
    bench.build("bb", IMAGE);
    assert_eq!(bench.run(&["run", "--rm", "bb", "cat", "/data/f"]), "first\n");
    assert_eq!(bench.run(&["volume", "ls", "-q"]), "", "--rm removes it");
    let (_, said) = bench.fails(&["run", "--name", "?", "bb", "true"]);
    assert!(said.contains("Invalid container name"), "{said}");
    assert_eq!(bench.run(&["volume", "ls", "-q"]), "", "a container that is not made leaves none");
    bench.run(&["run", "--name", "one", "bb", "sh", "-c", "echo kept > /data/g"]);
    assert_eq!(bench.run(&["start", "-a", "one"]), "");
    let there = bench.run(&["volume", "ls", "-q"]);
    assert_eq!(there.trim().len(), 64, "{there}");
    // Changes below a volume belong to no image.
    bench.run(&["commit", "one", "committed"]);
    assert_eq!(bench.run(&["run", "--rm", "committed", "ls", "/data"]), "f\n");
    bench.run(&["rm", "one"]);
    assert_eq!(bench.run(&["volume", "ls", "-q"]), there, "rm leaves it");
    bench.run(&["volume", "create", "named"]);
    let pruned = bench.run(&["volume", "prune", "-f"]);
    assert!(pruned.contains(&format!("Deleted Volumes:\n{there}")), "{pruned}");
    assert_eq!(bench.run(&["volume", "ls", "-q"]), "named\n");
    bench.run(&["run", "--name", "two", "bb", "true"]);
    bench.run(&["rm", "-v", "two"]);
    assert_eq!(bench.run(&["volume", "ls", "-q"]), "named\n");
    assert!(bench.run(&["volume", "prune", "-af"]).contains("named\n"));
    assert_eq!(bench.run(&["volume", "ls"]), "DRIVER    VOLUME NAME\n");
}
