//! Builds that wait for approval: nobody is given them, nobody waits for them.

use super::*;

/// A request for the build of a pull request from a fork.
fn from_fork(commit: &str) -> BuildRequest {
    let mut request = with_policy(commit, "main", Policy::LatestOnly);
    request.spec.git_ref = "refs/pull/7/head".into();
    let pull = Box::new(PullRequest {
        number: 7,
        target: "main".into(),
        git_ref: request.spec.git_ref.clone(),
        commit: commit.into(),
        source: None,
        is_fork: true,
    });
    request.trigger = Trigger::PullRequest { delivery: "d".into(), by: "stranger".into(), pull };
    (request.spec.options.trusted, request.spec.options.needs_approval) = (false, true);
    request
}

both! {
    // WH-31
    async fn a_held_build_is_claimed_only_after_its_approval(world) {
        let database = &world.database;
        let held = world.trigger(&[from_fork("f1")]).await.remove(0);
        assert!(database.claim("one").await.unwrap().is_none());
        assert!(!database.watch_work().wait(Duration::from_millis(50)).await.unwrap());
        assert_eq!(database.pending_statuses(None, 10).await.unwrap()[0].description, "waiting for approval");
        let before = world.build(&held).await;
        assert_eq!((before.state, before.awaits_approval, before.approved_by), (BuildState::Queued, true, None));
        assert_eq!(database.approve(&held, "ops").await.unwrap(), Approved::Queued);
        assert_eq!(database.approve(&held, "other").await.unwrap(), Approved::Before("ops".into()));
        let claim = world.claim("one").await;
        assert_eq!((&claim.build.id, claim.build.awaits_approval), (&held, false));
        assert_eq!(claim.build.approved_by.as_deref(), Some("ops"));
        assert!(!claim.build.request.spec.options.trusted, "approval makes nobody trusted");
        assert!(claim.build.version > before.version);
        // An attempt that failed is not approved again.
        database.finish(claim, Outcome::Retry(reason("registry"))).await.unwrap();
        world.pass(60);
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
        assert_eq!(database.approve(&held, "ops").await.unwrap(), Approved::Before("ops".into()));
        let Retried::Queued(again) = database.retry(&held, RetryFrom::Start).await.unwrap() else { panic!() };
        assert_eq!(world.claim("one").await.build.id, again);
    }
}

both! {
    async fn held_builds_block_nobody_and_count_nowhere(world) {
        let database = &world.database;
        let held = world.trigger(&[from_fork("f1")]).await.remove(0);
        let others = world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2")]).await;
        assert_eq!(database.queue_length().await.unwrap(), 2);
        let queue = database.queue(10).await.unwrap();
        let places: Vec<_> = queue.iter().map(|build| (&build.id, build.place.position)).collect();
        assert_eq!(places, [(&others[0], Some(1)), (&others[1], Some(2)), (&held, None)]);
        let place = database.queue_place(&held).await.unwrap().unwrap();
        assert_eq!((place.waiting_for, place.eta_ms), (WaitingFor::Approval, None));
        assert!(queue.iter().all(|build| !build.place.ahead.contains(&held)));
        assert_eq!(database.queue(1).await.unwrap().len(), 1);
        let filter = BuildFilter { is_of_repository: true, limit: 10, ..BuildFilter::default() };
        let listed: Vec<_> = database.builds(&filter).await.unwrap().into_iter().map(|build| build.id).collect();
        assert_eq!(listed, [others[1].clone(), others[0].clone()]);
        assert_eq!(world.claim("one").await.build.id, others[0]);
        assert_eq!(database.approve(&others[1], "ops").await.unwrap(), Approved::NotHeld);
        assert_eq!(database.approve(&BuildId::at(0), "ops").await.unwrap(), Approved::NotFound);
    }
}

both! {
    async fn held_builds_end_by_cancellation_a_newer_commit_or_the_end_of_their_pull_request(world) {
        let database = &world.database;
        let first = world.trigger(&[from_fork("f1")]).await.remove(0);
        assert_eq!(database.cancel(&first).await.unwrap(), Cancel::Cancelled);
        let answer = database.approve(&first, "ops").await.unwrap();
        assert_eq!(answer, Approved::AlreadyFinished(BuildState::Cancelled));
        let second = world.trigger(&[from_fork("f2")]).await.remove(0);
        let third = world.trigger(&[from_fork("f3")]).await.remove(0);
        assert_eq!(world.build(&second).await.state, BuildState::Superseded);
        let beside = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        let rules_fetch = NewRulesFetch { git_ref: "refs/pull/7/head".into(), ..rules_fetch() };
        database.accept(&delivery("opened", "opened"), &[], Some(&rules_fetch)).await.unwrap();
        let read = database.claim_rules_fetch("one").await.unwrap().expect("its rules are to be read");
        database.accept(&delivery("other", "other"), &[], Some(&super::rules_fetch())).await.unwrap();
        let closed = NewDelivery { closed: Some("refs/pull/7/head".into()), ..delivery("closed", "closed") };
        database.accept(&closed, &[], None).await.unwrap();
        let third = world.build(&third).await;
        let message = third.reason.unwrap().message;
        assert_eq!((third.state, message.as_str()), (BuildState::Superseded, "its pull request was closed"));
        assert_eq!(world.build(&beside).await.state, BuildState::Queued);
        let late = database.finish_rules_fetch(read, &RulesFetchResult::Missing).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "nothing follows from its rules any more: {late:?}");
        assert!(database.claim_rules_fetch("one").await.unwrap().is_some(), "another's rules fetch stays");
    }
}

both! {
    async fn the_older_commit_of_a_pull_request_that_comes_late_is_not_built(world) {
        let at = |before: Option<&str>, after: &str| {
            let git_ref = "refs/pull/7/head".to_owned();
            let pushed = PushedRef { git_ref, before: before.map(str::to_owned), after: after.into() };
            NewDelivery { push: Some(pushed), event: "pull_request".into(), ..delivery(after, after) }
        };
        let database = &world.database;
        database.accept(&at(None, "f1"), &[from_fork("f1")], None).await.unwrap();
        let new = new_builds(database.accept(&at(Some("f2"), "f3"), &[from_fork("f3")], None).await.unwrap()).remove(0);
        let late = new_builds(database.accept(&at(Some("f1"), "f2"), &[from_fork("f2")], None).await.unwrap()).remove(0);
        assert_eq!(world.build(&late).await.state, BuildState::Superseded);
        assert_eq!(world.build(&new).await.state, BuildState::Queued);
    }
}
