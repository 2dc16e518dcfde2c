//! Images by hand: names, lists, removals, pulls and pushes as docker does them.

use crate::support::bench::Bench;
use crate::support::scripted_registry::ScriptedRegistry;
use crate::support::{Site, run};

#[test]
fn names_come_and_go_and_the_image_goes_with_the_last_one() {
    // cli.md 4, 5, 6
    let bench = Bench::new();
    bench.build("one", "ENV A=b\nCMD [\"sh\", \"-c\", \"echo hi\"]\n");
    let id = bench.run(&["images", "-q", "--no-trunc"]).trim().to_owned();
    assert_eq!(bench.run(&["tag", "one", "team/two:x"]), "");
    let table = bench.run(&["images"]);
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert_eq!(table.lines().count(), 3);
    assert_eq!(bench.run(&["rmi", "one"]), "Untagged: one:latest\n");
    assert_eq!(bench.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "team/two:x\n");
    bench.run(&["tag", &id[7..20], "other"]);
    let (code, said) = bench.fails(&["rmi", &id[7..19]]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        format!(
            "Error response from daemon: conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories\n",
            &id[7..19]
        )
    );
    let removed = bench.run(&["rmi", "-f", &id[7..19]]);
    assert!(removed.starts_with("Untagged: other:latest\nUntagged: team/two:x\nDeleted: sha256:"), "{removed}");
    assert_eq!(bench.run(&["images", "-q"]), "");
}

#[test]
fn what_is_not_there_is_told_as_docker_tells_it() {
    // cli.md 4, 6, 7
    let bench = Bench::new();
    let missing = "Error response from daemon: No such image: nosuch:latest\n";
    assert_eq!(bench.fails(&["rmi", "nosuch"]), (1, missing.to_owned()));
    assert_eq!(bench.fails(&["tag", "nosuch", "x"]), (1, missing.to_owned()));
    assert_eq!(bench.fails(&["history", "nosuch"]), (1, missing.to_owned()));
    let forced = bench.output(&["rmi", "-f", "nosuch"]);
    assert_eq!((forced.status.code(), String::from_utf8_lossy(&forced.stderr).as_ref()), (Some(0), missing));
    let inspected = bench.output(&["inspect", "nosuch"]);
    assert_eq!(inspected.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&inspected.stdout), "[]\n");
    assert_eq!(String::from_utf8_lossy(&inspected.stderr), "error: no such object: nosuch\n");
    let list = bench.output(&["images", "ls"]);
    assert!(list.status.success() && String::from_utf8_lossy(&list.stderr).contains("did you mean"));
}

#[test]
fn a_name_that_moves_leaves_an_image_without_one_which_prune_removes() {
    let bench = Bench::new();
    bench.build("app", "ENV A=1\n");
    bench.build("next", "ENV A=2\n");
    bench.run(&["tag", "next", "app"]);
    let rows = bench.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable();
    assert_eq!(rows, ["<none>:<none>", "app:latest", "next:latest"]);
    assert_eq!(bench.run(&["images", "-q", "-f", "dangling=true"]).lines().count(), 1);
    let pruned = bench.run(&["image", "prune", "-f"]);
    assert!(
        pruned.starts_with("Deleted Images:\ndeleted: sha256:") && pruned.contains("Total reclaimed space: "),
        "{pruned}"
    );
    assert_eq!(bench.run(&["inspect", "-f", "{{json .Config.Env}}", "app"]).matches("A=2").count(), 1);
}

#[test]
fn images_go_to_a_registry_and_come_back() {
    let (site, bench) = (Site::start(""), Bench::new());
    let name = format!("{}/team/hand", site.registry);
    bench.build(&name, "CMD [\"true\"]\n");
    let id = bench.run(&["images", "-q"]);
    let pushed = bench.run(&["push", &name]);
    assert!(pushed.contains(&format!("The push refers to repository [{name}]\n")), "{pushed}");
    let digest = pushed.lines().last().unwrap().strip_prefix("latest: digest: ").unwrap();
    let digest = digest.split(' ').next().unwrap();
    assert_eq!(bench.run(&["inspect", "-f", "{{index .RepoDigests 0}}", &name]), format!("{name}@{digest}\n"));
    let by_digest = format!("{name}@{digest}");
    assert_eq!(bench.run(&["rmi", &by_digest]), format!("Untagged: {by_digest}\n"));
    assert_eq!(bench.run(&["inspect", "-f", "{{.RepoDigests}} {{.RepoTags}}", &name]), format!("[] [{name}:latest]\n"));
    assert_eq!(bench.fails(&["rmi", &by_digest]).0, 1);
    let other = Bench::new();
    let pulled = other.run(&["pull", &name]);
    assert!(pulled.starts_with("Using default tag: latest\nlatest: Pulling from team/hand\n"), "{pulled}");
    assert!(pulled.contains(": Pull complete\n") && pulled.contains(&format!("Digest: {digest}\n")), "{pulled}");
    let end = format!("Status: Downloaded newer image for {name}:latest\n{name}:latest\n");
    assert!(pulled.ends_with(&end), "{pulled}");
    assert!(other.run(&["pull", &name]).contains("Status: Image is up to date"));
    assert_eq!(other.run(&["pull", "-q", &name]), format!("{name}:latest\n"));
    assert_eq!(other.run(&["images", "-q"]), id);
    assert!(other.run(&["images", "--digests"]).contains(digest));
    assert_eq!(other.run(&["inspect", "-f", "{{index .RepoDigests 0}}", &name]), format!("{name}@{digest}\n"));
    // By its digest it has no tag.
    let third = Bench::new();
    third.run(&["pull", "-q", &format!("{name}@{digest}")]);
    assert_eq!(third.run(&["images", "--format", "{{.Tag}}"]), "<none>\n");
    let (code, said) = third.fails(&["pull", &format!("{name}:nosuch")]);
    assert_eq!(code, 1);
    let start = format!("Error response from daemon: manifest for {name}:nosuch not found: manifest unknown: ");
    assert!(said.starts_with(&start), "{said}");
}

#[test]
fn a_name_keeps_its_own_manifest_whatever_another_registry_has() {
    let (site, bench, registry) = (Site::start(""), Bench::new(), ScriptedRegistry::start());
    bench.build("app", "ENV A=b\n");
    let digest = |name: &str| bench.run(&["inspect", "-f", "{{.Descriptor.digest}}", name]).trim().to_owned();
    let own = digest("app");
    let blobs = bench.path("data/images/blobs/sha256");
    let blob = |digest: &serde_json::Value| {
        std::fs::read(blobs.join(digest.as_str().unwrap().strip_prefix("sha256:").unwrap())).unwrap()
    };
    let manifest: serde_json::Value = serde_json::from_slice(&blob(&own.clone().into())).unwrap();
    let serve = |part: &serde_json::Value| registry.blob(part["mediaType"].as_str().unwrap(), &blob(&part["digest"]));
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(serve).collect();
    // The same configuration under another manifest, whose name comes first in any order.
    let other = registry.tag("a", &serve(&manifest["config"]), &layers);
    bench.run(&["pull", "-q", &other]);
    assert_eq!(bench.run(&["images", "-q", "app"]), bench.run(&["images", "-q", &other]));
    assert_eq!(digest("app"), own);
    assert_ne!(digest(&other), own);
    let target = format!("{}/team/app", site.registry);
    bench.run(&["tag", "app", &target]);
    assert!(bench.run(&["push", &target]).contains(&format!("latest: digest: {own} ")));
    let id = bench.run(&["images", "-q", "app"]);
    bench.run(&["rmi", "-f", id.trim()]);
    let left: Vec<_> = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let kept: Vec<_> = layers.iter().map(|layer| layer["digest"].as_str().unwrap().replace("sha256:", "")).collect();
    // Layers stay for the cache of builds.
    assert!(left.iter().all(|name| kept.iter().any(|kept| name == kept.as_str())), "{left:?}");
}

#[test]
fn a_login_is_tried_before_it_is_kept() {
    let (site, bench) = (Site::start(""), Bench::new());
    let mut login = bench.command(&["login", "-u", "me", "-p", "secret", &site.registry]);
    let said = run(&mut login);
    assert_eq!(said, "Login Succeeded\n");
    let kept = std::fs::read_to_string(bench.path("docker/config.json")).unwrap();
    assert!(kept.contains(&site.registry) && !kept.contains("secret"), "{kept}");
    let gone = bench.run(&["logout", &site.registry]);
    assert_eq!(gone, format!("Removing login credentials for {}\n", site.registry));
    let (code, _) = bench.fails(&["login", "-u", "me", "-p", "x", "127.0.0.1:1"]);
    assert_eq!(code, 1);
}
