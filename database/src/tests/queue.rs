//! The order of the queue: fairness, priorities, policies, places.

use super::*;

both! {
    // MW-16
    async fn a_busy_repository_does_not_starve_others(world) {
        let busy: Vec<_> = (0..1000).map(|number| request("acme/busy", &format!("c{number}"))).collect();
        world.trigger(&busy).await;
        let others: Vec<_> = (0..4).map(|number| request(&format!("acme/calm{number}"), "c")).collect();
        world.trigger(&others).await;
        let mut first = Vec::new();
        for _ in 0..6 {
            first.push(world.claim("one").await.build.request.repository);
        }
        // One each, and only then the second of the busy one.
        assert_eq!(first, ["acme/busy", "acme/calm0", "acme/calm1", "acme/calm2", "acme/calm3", "acme/busy"]);
    }
}

both! {
    async fn repositories_take_turns_when_there_is_one_worker(world) {
        for repository in ["acme/a", "acme/b", "acme/c"] {
            world.trigger(&[request(repository, "1"), request(repository, "2")]).await;
        }
        let mut order = Vec::new();
        while let Some(claim) = world.database.claim("one").await.unwrap() {
            order.push(claim.build.request.repository.clone());
            world.pass(1);
            world.database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        }
        assert_eq!(order, ["acme/a", "acme/b", "acme/c", "acme/a", "acme/b", "acme/c"]);
    }
}

both! {
    // MW-17
    async fn the_greater_priority_is_next_and_equals_keep_their_order(world) {
        let with = |commit: &str, priority| {
            let mut request = request("acme/app", commit);
            request.spec.options.priority = priority;
            request
        };
        world.trigger(&[with("low", -1), with("first", 0), with("second", 0), with("high", 5)]).await;
        let mut order = Vec::new();
        while let Some(claim) = world.database.claim("one").await.unwrap() {
            order.push(claim.build.commit.unwrap());
        }
        assert_eq!(order, ["high", "first", "second", "low"]);
    }
}

both! {
    // MW-17: a build that is tried again keeps its place before the later ones of its rule.
    async fn serial_builds_run_one_at_a_time_in_their_order(world) {
        let serial = |commit: &str| with_policy(commit, "serial", Policy::Serial);
        let mut urgent = serial("third");
        urgent.spec.options.priority = 9;
        world.trigger(&[serial("first"), serial("second"), urgent, with_policy("beside", "other", Policy::Serial)]).await;
        let first = world.claim("one").await;
        assert_eq!(first.build.commit.as_deref(), Some("first"));
        assert_eq!(world.claim("two").await.build.commit.as_deref(), Some("beside"));
        assert!(world.database.claim("three").await.unwrap().is_none());
        world.database.finish(first, Outcome::Retry(reason("registry"))).await.unwrap();
        assert!(world.database.claim("three").await.unwrap().is_none(), "the first waits to be tried again");
        world.pass(10);
        let mut order = Vec::new();
        while let Some(claim) = world.database.claim("one").await.unwrap() {
            assert!(world.database.claim("two").await.unwrap().is_none());
            order.push(claim.build.commit.clone().unwrap());
            world.database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        }
        assert_eq!(order, ["first", "second", "third"]);
    }
}

both! {
    async fn serial_builds_run_one_at_a_time_however_many_workers_ask(world) {
        let builds: Vec<_> = (0..12).map(|number| with_policy(&format!("c{number:02}"), "serial", Policy::Serial)).collect();
        world.trigger(&builds).await;
        let running = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut workers = Vec::new();
        for number in 0..4 {
            let (database, running, order) = (world.other().await, running.clone(), order.clone());
            workers.push(tokio::spawn(async move {
                while order.lock().unwrap().len() < 12 {
                    let Some(claim) = database.claim(&format!("w{number}")).await.unwrap() else {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        continue;
                    };
                    assert_eq!(running.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "two at once");
                    order.lock().unwrap().push(claim.build.commit.clone().unwrap());
                    running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
                }
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
        let order = order.lock().unwrap();
        assert!(order.is_sorted() && order.len() == 12, "{order:?}");
    }
}

both! {
    async fn a_newer_push_supersedes_the_queued_ones_of_its_rule_and_ref(world) {
        let latest = |commit: &str| with_policy(commit, "latest", Policy::LatestOnly);
        let mut elsewhere = latest("elsewhere");
        elsewhere.spec.git_ref = "refs/heads/other".into();
        let first = world.trigger(&[latest("running")]).await.remove(0);
        let running = world.claim("one").await;
        let old = world.trigger(&[latest("old"), elsewhere, with_policy("beside", "other", Policy::LatestOnly)]).await;
        let new = world.trigger(&[latest("new")]).await.remove(0);
        let state = |id: &BuildId| {
            let (id, database) = (id.clone(), world.database.clone());
            async move { database.build(&id).await.unwrap().unwrap() }
        };
        let ended = state(&old[0]).await;
        assert_eq!((ended.state, ended.reason.unwrap().code.as_str()), (BuildState::Superseded, "superseded"));
        assert!(ended.finished_ms.is_some());
        for id in [&old[1], &old[2], &new] {
            assert_eq!(state(id).await.state, BuildState::Queued);
        }
        assert_eq!(state(&first).await.state, BuildState::Preparing, "what runs is not ended");
        world.database.finish(running, Outcome::Succeeded(image())).await.unwrap();
        let told: Vec<_> = world.database.pending_statuses(None, 100).await.unwrap();
        assert!(told.iter().any(|status| status.build == old[0]), "{told:?}");
    }
}

both! {
    async fn a_repetition_keeps_its_place_and_supersedes_nothing(world) {
        let latest = |commit: &str| with_policy(commit, "latest", Policy::LatestOnly);
        let database = &world.database;
        let old = new_builds(database.accept(&push(None, "a"), &[latest("a")], None).await.unwrap()).remove(0);
        let claim = world.claim("one").await;
        assert_eq!(database.retry(&old, RetryFrom::Start).await.unwrap(), Retried::NotFinished(BuildState::Preparing));
        database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
        let new = new_builds(database.accept(&push(Some("a"), "b"), &[latest("b")], None).await.unwrap()).remove(0);
        let Retried::Queued(again) = database.retry(&old, RetryFrom::Start).await.unwrap() else { panic!() };
        let (original, repeated) = (world.build(&old).await, world.build(&again).await);
        assert_eq!(repeated.sequence, original.sequence);
        assert_eq!(repeated.request.trigger, Trigger::Retry { of: old.clone() });
        assert!(original.request.spec.use_cache && !repeated.request.spec.use_cache);
        assert_eq!(world.build(&new).await.state, BuildState::Queued);
        assert_eq!(repeated.state, BuildState::Queued);
        database.cancel(&again).await.unwrap();
        let Retried::Queued(third) = database.retry(&again, RetryFrom::FailedStep).await.unwrap() else { panic!() };
        assert!(world.build(&third).await.request.spec.use_cache, "no cache was meant for that one only");
        assert_eq!(database.retry(&BuildId::at(0), RetryFrom::Start).await.unwrap(), Retried::NotFound);
    }
}

both! {
    async fn a_rollback_is_newer_than_every_push_before_it_and_older_than_the_next(world) {
        let (database, latest) = (&world.database, |commit: &str| with_policy(commit, "main", Policy::Parallel));
        let old = new_builds(database.accept(&push(None, "a"), &[latest("a")], None).await.unwrap()).remove(0);
        assert!(matches!(database.roll_back(&old, "ops").await.unwrap(), RolledBack::NoImage(BuildState::Queued)));
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        let new = new_builds(database.accept(&push(Some("a"), "b"), &[latest("b")], None).await.unwrap()).remove(0);
        let RolledBack::Queued(back) = database.roll_back(&old, "ops").await.unwrap() else { panic!() };
        let next = new_builds(database.accept(&push(Some("b"), "c"), &[latest("c")], None).await.unwrap()).remove(0);
        let [original, before, rollback, after] =
            [world.build(&old).await, world.build(&new).await, world.build(&back).await, world.build(&next).await];
        assert!(before.sequence < rollback.sequence && rollback.sequence < after.sequence);
        assert_eq!(rollback.request.trigger, Trigger::Rollback { of: old.clone(), by: "ops".into() });
        assert_eq!(rollback.request.spec.options.image.as_deref(), original.image.as_ref());
        assert_eq!(database.roll_back(&BuildId::at(0), "ops").await.unwrap(), RolledBack::NotFound);
        // A repetition for another base image builds the commit.
        let RolledBack::Queued(newest) = database.roll_back(&old, "ops").await.unwrap() else { panic!() };
        let trigger = Trigger::BaseImage { of: newest.clone(), references: vec!["base".into()] };
        let rebuilt = database.rebuild(&newest, trigger).await.unwrap().unwrap();
        let rebuilt = world.build(&rebuilt).await;
        assert_eq!((&rebuilt.request.spec.options.image, &rebuilt.commit), (&None, &original.commit));
    }
}

both! {
    async fn places_tell_who_is_ahead_what_is_waited_for_and_how_long(world) {
        let database = &world.database;
        // Two rules whose builds have a known length.
        for (rule, seconds) in [("main", 10), ("serial", 100)].into_iter().flat_map(|one| [one; 3]) {
            world.trigger(&[with_policy("before", rule, Policy::Parallel)]).await;
            let claim = world.claim("one").await;
            world.pass(seconds);
            database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        }
        database.register_worker("one", 1, &WorkerInfo::default()).await.unwrap();
        let running = world.trigger(&[with_policy("running", "serial", Policy::Serial)]).await.remove(0);
        assert_eq!(world.claim("one").await.build.id, running);
        let serial = world.trigger(&[with_policy("c1", "serial", Policy::Serial)]).await.remove(0);
        let main = world.trigger(&[request("acme/app", "c2"), request("acme/other", "c3")]).await;
        world.pass(40);
        database.register_worker("one", 1, &WorkerInfo::default()).await.unwrap();
        let queue = database.queue(10).await.unwrap();
        // The other repository runs nothing, so it is before those that came first.
        assert_eq!(queue.iter().map(|build| &build.id).collect::<Vec<_>>(), [&main[1], &serial, &main[0]]);
        assert_eq!(database.queue_length().await.unwrap(), 3);
        let place = database.queue_place(&serial).await.unwrap().unwrap();
        assert_eq!((place.position, place.waiting_for), (Some(2), WaitingFor::SerialGroup));
        assert_eq!(place.ahead, [main[1].clone()]);
        let about = |found: Option<i64>, seconds: i64| (found.unwrap() - seconds * 1000).abs() < 20_000;
        // US-05: the one that runs has 60 s to go; of the other repository's rule nothing is known, so nothing is said of
        // what comes after it.
        assert!(about(queue[0].place.starts_in_ms, 60), "{:?}", queue[0].place);
        assert_eq!((queue[0].place.eta_ms, place.starts_in_ms, place.eta_ms), (None, None, None), "{place:?}");
        assert_eq!(database.queue_place(&main[0]).await.unwrap().unwrap().waiting_for, WaitingFor::Slot);
        assert_eq!(database.queue_place(&running).await.unwrap(), None);
        database.pause_queue().await.unwrap();
        assert_eq!(database.queue_place(&main[0]).await.unwrap().unwrap().waiting_for, WaitingFor::Resume);
    }
}

both! {
    async fn the_queue_is_claimed_as_it_is_shown(world) {
        let mut builds = Vec::new();
        for number in 0..40 {
            let mut one = request(&format!("acme/app{}", number * number % 7), &format!("c{number}"));
            one.rule = format!("rule{}", number % 3);
            one.spec.options.priority = number % 5 / 4;
            builds.push(one);
        }
        world.trigger(&builds).await;
        let shown: Vec<_> = world.database.queue(100).await.unwrap().into_iter().map(|build| build.id).collect();
        assert_eq!(shown.len(), 40);
        let mut claimed = Vec::new();
        while let Some(claim) = world.database.claim("one").await.unwrap() {
            claimed.push(claim.build.id);
            world.pass(1);
        }
        assert_eq!(shown, claimed);
    }
}

both! {
    async fn a_paused_queue_gives_out_nothing(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "c1")]).await;
        database.pause_queue().await.unwrap();
        assert!(database.is_queue_paused().await.unwrap());
        assert!(database.claim("one").await.unwrap().is_none());
        assert!(!database.watch_work().wait(Duration::from_millis(50)).await.unwrap());
        database.resume_queue().await.unwrap();
        assert!(database.claim("one").await.unwrap().is_some());
    }
}

both! {
    async fn a_drained_worker_gets_no_more_builds(world) {
        let database = &world.database;
        database.register_worker("one", 2, &WorkerInfo::default()).await.unwrap();
        world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2"), request("acme/app", "c3")]).await;
        let first = database.claim("one").await.unwrap().unwrap();
        database.drain_worker("one").await.unwrap();
        assert!(database.claim("one").await.unwrap().is_none());
        assert!(database.workers().await.unwrap()[0].is_drained);
        let running = database.running_builds().await.unwrap();
        assert_eq!((running.len(), &running[0].0.id, running[0].0.worker.as_str()), (1, &first.build.id, "one"));
        assert!(database.claim("two").await.unwrap().is_some(), "others go on");
        database.undrain_worker("one").await.unwrap();
        assert!(database.claim("one").await.unwrap().is_some() && !database.workers().await.unwrap()[0].is_drained);
    }
}

both! {
    async fn who_waits_for_work_is_woken_by_another_process(world) {
        let waiting = world.other().await;
        let mut work = waiting.watch_work();
        assert!(!work.wait(Duration::from_secs(2)).await.unwrap());
        let before = waiting.faults().statements();
        for _ in 0..4 {
            assert!(!work.wait(Duration::from_millis(500)).await.unwrap());
        }
        assert_eq!(waiting.faults().statements(), before, "a wait for work executed statements");
        let wait = tokio::spawn(async move {
            let came = work.wait(Duration::from_secs(20)).await.unwrap();
            (came, std::time::Instant::now())
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.trigger(&[request("acme/app", "c1")]).await;
        let told = std::time::Instant::now();
        let (came, at) = wait.await.unwrap();
        println!("woken after {:?}", at.saturating_duration_since(told));
        assert!(came);
        // Far less than the second after which PostgreSQL's queue is looked at without a word.
        assert!(at.saturating_duration_since(told) < Duration::from_millis(500));
    }
}

both! {
    async fn who_waits_for_work_is_woken_when_a_back_off_ends(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "c1")]).await;
        let claim = database.claim("one").await.unwrap().unwrap();
        let reason = Reason { code: "registry".into(), message: "away".into() };
        database.finish(claim, Outcome::Retry(reason)).await.unwrap();
        let mut work = database.watch_work();
        assert!(!work.wait(Duration::from_millis(200)).await.unwrap(), "its back-off is a second and more");
        assert!(work.wait(Duration::from_secs(20)).await.unwrap());
        assert!(database.claim("one").await.unwrap().is_some());
    }
}

both! {
    async fn a_worker_knows_when_something_is_due(world) {
        let database = &world.database;
        assert_eq!(database.next_reconciliation().await.unwrap(), None);
        assert!(!database.has_claims().await.unwrap());
        let image = WatchedImage { reference: "docker.io/library/alpine:3".into(), platform: "linux/amd64".into() };
        database.watch_base_images(&[image], Duration::from_secs(3600)).await.unwrap();
        assert_eq!(database.next_reconciliation().await.unwrap(), Some(Duration::ZERO));
        database.claim_base_image().await.unwrap().unwrap();
        assert!(database.next_reconciliation().await.unwrap().unwrap() > Duration::from_secs(30), "the lease of the claim");
        world.trigger(&[request("acme/app", "c1")]).await;
        database.claim("one").await.unwrap().unwrap();
        assert!(database.has_claims().await.unwrap());
    }
}

both! {
    async fn workers_are_known_while_they_are_heard_of(world) {
        let database = &world.database;
        database.register_worker("one", 2, &WorkerInfo::default()).await.unwrap();
        database.register_worker("two", 1, &WorkerInfo::default()).await.unwrap();
        world.pass(150);
        database.register_worker("two", 4, &WorkerInfo::default()).await.unwrap();
        world.pass(60);
        let workers = database.workers().await.unwrap();
        assert_eq!(workers.iter().map(|worker| (worker.name.as_str(), worker.slots)).collect::<Vec<_>>(), [("two", 4)]);
        database.release("two").await.unwrap();
        assert!(database.workers().await.unwrap().is_empty());
    }
}

both! {
    async fn a_repeated_build_has_a_number_of_its_own(world) {
        let mut asked = request("acme/app", "a");
        asked.spec.tags = vec![format!("127.0.0.1:5000/app:n{}", marks::NUMBER)];
        asked.spec.build_args.insert("N".into(), marks::NUMBER.to_string());
        let first = world.trigger(&[asked]).await.remove(0);
        world.database.cancel(&first).await.unwrap();
        world.trigger(&[request("acme/app", "b")]).await;
        let mut last = first.clone();
        for number in [3, 4] {
            let Retried::Queued(again) = world.database.retry(&last, RetryFrom::FailedStep).await.unwrap() else { panic!() };
            let build = world.build(&again).await;
            assert_eq!((build.number, build.request.spec.tags), (number, vec![format!("127.0.0.1:5000/app:n{number}")]));
            assert_eq!(build.request.spec.build_args["N"], number.to_string());
            world.database.cancel(&again).await.unwrap();
            last = again;
        }
        assert_eq!(world.build(&first).await.request.spec.tags, ["127.0.0.1:5000/app:n1"]);
    }
}

both! {
    async fn builds_are_counted_by_state(world) {
        world.trigger(&[request("acme/app", "a"), request("acme/other", "b"), request("acme/third", "c")]).await;
        let claim = world.claim("one").await;
        world.database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        let running = world.claim("one").await;
        world.database.set_state(&running, BuildState::Building).await.unwrap();
        world.pass(7);
        let counts = world.database.counts().await.unwrap();
        assert_eq!(counts.open, [(BuildState::Queued, 1), (BuildState::Building, 1)]);
        assert_eq!(counts.ended, [(BuildState::Succeeded, 1)]);
        assert!((7000..9000).contains(&counts.longest_wait_ms), "{counts:?}");
    }
}
