//! Claims: each build once, under a lease, a few times at most.

use super::*;

both! {
    // MW-01
    async fn every_build_is_claimed_once(world) {
        let requests: Vec<_> = (0..200).map(|number| request(&format!("acme/app{}", number % 3), "c")).collect();
        world.trigger(&requests).await;
        let claim_all = |database: Database, worker: String| async move {
            let mut claimed = Vec::new();
            while let Some(claim) = database.claim(&worker).await.unwrap() {
                claimed.push(claim.build.id);
            }
            claimed
        };
        let mut workers = Vec::new();
        for number in 0..4 {
            workers.push(tokio::spawn(claim_all(world.other().await, format!("worker-{number}"))));
        }
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.unwrap());
        }
        let claimed = all.len();
        all.sort();
        all.dedup();
        assert_eq!((claimed, all.len()), (200, 200));
    }
}

both! {
    // MW-02, MW-03, R3
    async fn a_lost_lease_gives_the_build_to_another_and_refuses_late_writes(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "c1")]).await;
        let first = world.claim("one").await;
        assert_eq!(database.heartbeat(&first).await.unwrap(), Lease::Held { cancel_requested: false });
        assert!(database.expire_leases().await.unwrap().is_empty());
        world.pass(61);
        assert_eq!(database.heartbeat(&first).await.unwrap(), Lease::Lost);
        assert_eq!(database.expire_leases().await.unwrap().len(), 1);
        let second = world.claim("two").await;
        assert_eq!(second.attempt, 2);
        assert_eq!(database.heartbeat(&first).await.unwrap(), Lease::Lost);
        assert!(matches!(database.set_state(&first, BuildState::Building).await, Err(Error::LeaseLost)));
        assert!(matches!(database.set_commit(&first, "c", "m").await, Err(Error::LeaseLost)));
        assert!(matches!(database.append_log(&first, None, b"late").await, Err(Error::LeaseLost)));
        assert!(matches!(database.put_steps(&first, &[]).await, Err(Error::LeaseLost)));
        assert!(matches!(database.begin_publish(&first, "app:latest").await, Err(Error::LeaseLost)));
        assert!(matches!(database.end_publish(&first, "app:latest", "sha256:1").await, Err(Error::LeaseLost)));
        assert!(matches!(database.finish(first, Outcome::Succeeded(image())).await, Err(Error::LeaseLost)));
        assert_eq!(database.finish(second, Outcome::Succeeded(image())).await.unwrap(), BuildState::Succeeded);
    }
}

both! {
    // MW-02: back in the queue at most 75 s after the last heartbeat, if somebody looks every 15 s.
    async fn a_killed_worker_holds_a_build_no_longer_than_its_lease(world) {
        world.trigger(&[request("acme/app", "c1")]).await;
        let claim = world.claim("one").await;
        world.pass(59);
        assert!(matches!(world.database.heartbeat(&claim).await.unwrap(), Lease::Held { .. }));
        let mut waited = 0;
        while world.database.expire_leases().await.unwrap().is_empty() {
            world.pass(15);
            waited += 15;
        }
        assert!(waited <= 75, "{waited} s");
        assert_eq!(world.claim("two").await.attempt, 2);
    }
}

both! {
    // RL21
    async fn the_service_is_tried_three_times_and_the_user_once(world) {
        let database = &world.database;
        let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        for attempt in 1..=3 {
            world.pass(60);
            let claim = world.claim("one").await;
            assert_eq!(claim.attempt, attempt);
            let expected = if attempt < 3 { BuildState::Queued } else { BuildState::Errored };
            assert_eq!(database.finish(claim, Outcome::Retry(reason("registry"))).await.unwrap(), expected);
            assert!(database.claim("one").await.unwrap().is_none(), "it waits before it is tried again");
        }
        assert_eq!(world.build(&id).await.reason.unwrap().code, "registry");
        world.trigger(&[request("acme/app", "c2")]).await;
        let claim = world.claim("one").await;
        assert_eq!(database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap(), BuildState::Failed);
        assert!(database.claim("one").await.unwrap().is_none());
    }
}

both! {
    // RL21
    async fn a_build_that_kills_its_workers_ends_and_others_go_on(world) {
        let ids = world.trigger(&[request("acme/app", "poison"), request("acme/app", "fine")]).await;
        for attempt in 1..=3 {
            let worker = format!("worker-{attempt}");
            assert_eq!(world.claim(&worker).await.build.id, ids[0]);
            assert_eq!(world.database.lease_holders().await.unwrap(), std::slice::from_ref(&worker));
            assert_eq!(world.database.release(&worker).await.unwrap(), [ids[0].clone()]);
        }
        let ended = world.build(&ids[0]).await;
        assert_eq!((ended.state, ended.reason.unwrap().code.as_str()), (BuildState::Errored, "crashed_worker"));
        assert_eq!(world.claim("last").await.build.id, ids[1]);
    }
}

both! {
    // API-17
    async fn a_build_is_cancelled_in_the_queue_or_by_its_worker_and_once(world) {
        let database = &world.database;
        let builds = world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2")]).await;
        let claim = world.claim("one").await;
        assert_eq!(database.cancel(&builds[1]).await.unwrap(), Cancel::Cancelled);
        assert_eq!(database.cancel(&builds[1]).await.unwrap(), Cancel::AlreadyFinished(BuildState::Cancelled));
        assert_eq!(database.cancel(&builds[0]).await.unwrap(), Cancel::Requested);
        assert_eq!(database.heartbeat(&claim).await.unwrap(), Lease::Held { cancel_requested: true });
        assert_eq!(database.finish(claim, Outcome::Cancelled).await.unwrap(), BuildState::Cancelled);
        assert_eq!(database.cancel(&BuildId::at(0)).await.unwrap(), Cancel::NotFound);
    }
}

both! {
    async fn a_cancelled_build_whose_worker_dies_is_not_tried_again(world) {
        let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        world.claim("one").await;
        world.database.cancel(&id).await.unwrap();
        world.database.release("one").await.unwrap();
        assert_eq!(world.build(&id).await.state, BuildState::Cancelled);
    }
}

both! {
    async fn cancel_and_claim_at_once_leave_one_truth(world) {
        for round in 0..20 {
            let id = world.trigger(&[request("acme/app", &format!("c{round}"))]).await.remove(0);
            let (one, two) = (world.database.clone(), world.other().await);
            let cancelled = id.clone();
            let cancel = tokio::spawn(async move { one.cancel(&cancelled).await.unwrap() });
            let claim = tokio::spawn(async move { two.claim("one").await.unwrap() });
            match (cancel.await.unwrap(), claim.await.unwrap()) {
                (Cancel::Cancelled, None) => assert_eq!(world.build(&id).await.state, BuildState::Cancelled),
                (Cancel::Requested, Some(claim)) => {
                    assert!(world.build(&id).await.cancel_requested);
                    world.database.finish(claim, Outcome::Cancelled).await.unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

both! {
    // R4
    async fn a_build_ends_once_whoever_ends_it(world) {
        for round in 0..10 {
            let id = world.trigger(&[request("acme/app", &format!("c{round}"))]).await.remove(0);
            let claim = world.claim("one").await;
            let (one, two) = (world.database.clone(), world.other().await);
            let finish = tokio::spawn(async move { one.finish(claim, Outcome::Succeeded(image())).await });
            let release = tokio::spawn(async move { two.release("one").await.unwrap() });
            let (finished, released) = (finish.await.unwrap(), release.await.unwrap());
            assert_eq!(finished.is_ok(), released.is_empty(), "{finished:?} {released:?}");
            let expected = if finished.is_ok() { BuildState::Succeeded } else { BuildState::Queued };
            assert_eq!(world.build(&id).await.state, expected);
            world.database.cancel(&id).await.unwrap();
        }
    }
}

both! {
    // MW-09, RL10: only the database's clock counts. (The worker's is not even asked: nothing it sends has a time.)
    async fn the_clock_of_a_worker_has_no_effect(world) {
        world.trigger(&[request("acme/app", "c1")]).await;
        let mut worker = world.other().await;
        worker.clock = Clock::default();
        if let Store::Postgres { .. } = worker.store {
            // A file's clock is that of the machine, which the workers on it share; a server's is its own.
            let claim = worker.claim("one").await.unwrap().unwrap();
            let until = "SELECT lease_until_ms - CAST(EXTRACT(EPOCH FROM now()) * 1000 AS BIGINT) FROM builds";
            let left: i64 = crate::sql::statement::sql("test", until).one(worker.read()).await.unwrap().only();
            assert!((55_000..=60_000).contains(&left), "{left}");
            assert!(matches!(worker.heartbeat(&claim).await.unwrap(), Lease::Held { .. }));
        } else {
            let claim = worker.claim("one").await.unwrap().unwrap();
            assert!(matches!(world.database.heartbeat(&claim).await.unwrap(), Lease::Held { .. }));
        }
        assert!(worker.expire_leases().await.unwrap().is_empty());
    }
}

both! {
    // MW-11, RL19
    async fn a_worker_that_is_older_than_the_schema_claims_nothing(world) {
        world.trigger(&[request("acme/app", "c1")]).await;
        crate::sql::statement::sql("test", "UPDATE schema_version SET version = 99").run(world.database.write()).await.unwrap();
        assert!(matches!(world.database.claim("old").await, Err(Error::NewerSchema { found: 99, known: schema::KNOWN })));
        let refused = Database::open(&world.url).await.unwrap_err();
        let known = schema::KNOWN;
        let expected = format!("the database has schema 99, this slipway knows {known}: use the newer slipway, or restore a backup");
        assert_eq!(refused.to_string(), expected);
    }
}

both! {
    async fn two_workers_of_one_name_get_builds_of_their_own_and_write_nothing_for_each_other(world) {
        // MW-13: names are unique by what they are made of; should two be the same, it costs a repetition at most.
        let other = world.other().await;
        world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2")]).await;
        let (one, two) = (world.claim("same").await, other.claim("same").await.unwrap().unwrap());
        assert_ne!(one.build.id, two.build.id);
        assert_eq!(other.finish(two, Outcome::Succeeded(image())).await.unwrap(), BuildState::Succeeded);
        assert!(matches!(world.database.heartbeat(&one).await.unwrap(), Lease::Held { .. }));
        // The other leaves, and takes the name with it: the attempt is over, not the build.
        assert_eq!(other.release("same").await.unwrap(), std::slice::from_ref(&one.build.id));
        assert!(matches!(world.database.heartbeat(&one).await.unwrap(), Lease::Lost));
        let again = world.claim("same").await;
        assert_eq!((&again.build.id, again.attempt), (&one.build.id, 2));
        let late = world.database.finish(one, Outcome::Failed(reason("step_failed"))).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        assert_eq!(world.database.finish(again, Outcome::Succeeded(image())).await.unwrap(), BuildState::Succeeded);
    }
}
