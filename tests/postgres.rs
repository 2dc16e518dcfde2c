//! Workers on PostgreSQL, which ends as in a power failure while they build.

use crate::cluster::Cluster;
use crate::support::{curl, push_base, wait_for};
use crate::yard::Yard;
use database::{BuildId, BuildState, Database};
use std::time::{Duration, Instant};

/// Starts a yard whose queue is on a cluster.
fn yard_on(cluster: &Cluster) -> Yard {
    let url = cluster.create();
    let mut yard = Yard::start(&format!("[server]\ndatabase = \"{url}\"\n"));
    yard.database = yard.tokio.block_on(Database::open(&url)).unwrap();
    push_base(&yard.path("data"), &yard.registry);
    yard
}

/// Returns a build as soon as the database says how it is.
fn known(yard: &Yard, id: &BuildId) -> database::Build {
    wait_for("the database", || yard.tokio.block_on(yard.database.build(id)).ok().flatten())
}

#[test]
fn builds_survive_a_crash_of_postgresql_and_end_once() {
    // RL9
    let cluster = Cluster::start();
    let yard = yard_on(&cluster);
    let dockerfile = "ARG BASE\nFROM ${BASE}\nARG N\nRUN echo waiting; sleep 3; echo $N > /n\n";
    let commit = yard.commit(&[("Dockerfile", dockerfile)]);
    let ids: Vec<BuildId> = (0..6)
        .map(|number| {
            let mut request = yard.request(&commit);
            request.spec.build_args.insert("N".to_owned(), number.to_string());
            request.spec.tags = vec![format!("{}/team/app:n{number}", yard.registry)];
            yard.queue(&request)
        })
        .collect();
    let _workers = [yard.worker(&["--builds", "2"]), yard.worker(&["--builds", "2"])];
    wait_for("four builds at once", || {
        let waiting = ids.iter().filter(|id| yard.log(id).contains("\nwaiting\n")).count();
        (waiting >= 4).then_some(())
    });
    cluster.crash();
    assert!(yard.tokio.block_on(yard.database.trigger(None, &[yard.request(&commit)])).is_err(), "nothing is promised");
    std::thread::sleep(Duration::from_secs(2));
    cluster.up();
    let began = Instant::now();
    for (number, id) in ids.iter().enumerate() {
        let build = wait_for("the end of a build", || Some(known(&yard, id)).filter(|build| build.state.has_ended()));
        assert_eq!((build.state, build.attempt), (BuildState::Succeeded, 1), "{build:#?}\n{}", yard.log(id));
        let tag = curl(&["-I", &format!("http://{}/v2/team/app/manifests/n{number}", yard.registry)]).text;
        assert!(tag.contains(&build.image.unwrap().digest), "{tag}");
        assert_eq!(yard.log(id).matches("\nwaiting\n").count(), 1, "{}", yard.log(id));
    }
    println!("all ended {:?} after the return", began.elapsed());
    yard.nothing_left();
}
