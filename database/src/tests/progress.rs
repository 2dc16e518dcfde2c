//! Writes of workers: logs, steps, statuses, cached layers.

use super::*;

async fn log_is_cut(world: World) {
    let database = &world.database;
    let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
    let claim = world.claim("one").await;
    database.append_log(&claim, Some(1), b"hello ").await.unwrap();
    database.append_log(&claim, None, b"world and more").await.unwrap();
    database.append_log(&claim, None, b"never seen").await.unwrap();
    for (from, text) in [(0, "hello worl"), (3, "lo worl"), (7, "orl")] {
        let chunks = database.logs(&id, from, 1000).await.unwrap();
        let read: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.text.clone()).collect();
        assert_eq!((chunks[0].offset, read), (from, format!("{text}\n[log truncated]\n").into_bytes()));
    }
}

#[tokio::test]
async fn a_log_is_read_from_any_byte_and_cut_at_its_limit() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        log_is_cut(World::open_with(kind, Settings { log_limit: 10, ..Settings::default() }).await).await;
    }
}

both! {
    async fn a_step_takes_the_place_of_what_was_known_of_it(world) {
        let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        let claim = world.claim("one").await;
        let step = |number, state| Step {
            number, instruction: "RUN x".into(), stage: "0".into(), line: 1, state, cached: false, exit_code: None,
            layer_digest: None, layer_size: None, started_ms: None, duration_ms: None,
        };
        let before = world.build(&id).await.version;
        world.database.put_steps(&claim, &[step(1, StepState::Pending), step(2, StepState::Pending)]).await.unwrap();
        world.database.put_steps(&claim, &[step(1, StepState::Running)]).await.unwrap();
        let steps = world.database.steps(&id).await.unwrap();
        assert_eq!(steps, [step(1, StepState::Running), step(2, StepState::Pending)]);
        assert!(world.build(&id).await.version > before);
    }
}

both! {
    async fn statuses_wait_in_order_and_come_again_when_they_were_not_told(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "c1")]).await;
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
        let mut seen = Vec::new();
        while let Some(status) = database.pending_statuses(None, 10).await.unwrap().pop() {
            database.acknowledge_status(status.id, &StatusAnswer::Again("no".into())).await.unwrap();
            assert!(database.pending_statuses(None, 10).await.unwrap().is_empty());
            world.pass(2);
            database.acknowledge_status(database.pending_statuses(None, 10).await.unwrap()[0].id, &StatusAnswer::Taken).await.unwrap();
            seen.push((status.state, status.description));
        }
        let expected = [
            (BuildState::Queued, "waiting for a worker"),
            (BuildState::Preparing, "building"),
            (BuildState::Failed, "because"),
        ];
        assert_eq!(seen, expected.map(|(state, text)| (state, text.to_owned())));
    }
}

both! {
    async fn statuses_of_one_place_come_in_order_and_a_repository_waits_for_no_other(world) {
        let database = &world.database;
        // One commit and one rule have one place on a forge, whichever build it is.
        world.trigger(&[request("acme/app", "c1")]).await;
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
        world.trigger(&[request("acme/app", "c1"), request("acme/other", "c1")]).await;
        let due = database.repositories_with_due_statuses().await.unwrap();
        assert_eq!(due, ["acme/app", "acme/other"]);
        let of = async |name: &str| database.pending_statuses(Some(&[name.to_owned()]), 10).await.unwrap();
        let first = of("acme/app").await;
        assert_eq!(first.len(), 1, "{first:?}");
        let wait = StatusAnswer::After { problem: "slow down".into(), wait_ms: 30_000 };
        database.acknowledge_status(first[0].id, &wait).await.unwrap();
        world.pass(20);
        assert!(of("acme/app").await.is_empty(), "the forge said when");
        assert_eq!(of("acme/other").await.len(), 1);
        world.pass(20);
        let mut builds = Vec::new();
        while let Some(status) = of("acme/app").await.pop() {
            database.acknowledge_status(status.id, &StatusAnswer::Taken).await.unwrap();
            builds.push(status.build);
        }
        assert!(builds.len() == 4 && builds[..3].iter().all(|build| *build == builds[0]), "{builds:?}");
        assert!(builds[3] != builds[0], "the later build comes last");
        assert_eq!(of("acme/app").await, Vec::new());
        database.drop_due_statuses(&["acme/other".to_owned()]).await.unwrap();
        assert_eq!(database.repositories_with_due_statuses().await.unwrap(), Vec::<String>::new());
    }
}

both! {
    async fn a_status_is_given_up_in_the_end(world) {
        world.trigger(&[request("acme/app", "c1")]).await;
        let mut tries = 0;
        while let Some(status) = world.database.pending_statuses(None, 10).await.unwrap().pop() {
            world.database.acknowledge_status(status.id, &StatusAnswer::Again("no".into())).await.unwrap();
            world.pass(600);
            tries += 1;
        }
        assert_eq!(tries, 178, "a day, in the end every 512 seconds");
    }
}

both! {
    async fn the_cache_keeps_namespaces_apart(world) {
        let database = &world.database;
        let layer = CachedLayer {
            diff_id: "sha256:1".into(),
            digest: "sha256:2".into(),
            size: 3,
            media_type: "m".into(),
            empty: false,
            created_ms: 4, content_key: None, made: Some(5),
            annotations: [("key".to_owned(), "value".to_owned())].into(),
        };
        database.put_cached_layers("one", &[("key".to_owned(), layer.clone())]).await.unwrap();
        let keys = ["key".to_owned(), "other".to_owned()];
        assert_eq!(database.cached_layers("one", &keys).await.unwrap(), [("key".to_owned(), layer)].into());
        assert!(database.cached_layers("two", &keys).await.unwrap().is_empty());
        // ST-12: what the cache leads to is kept, unless nobody made or confirmed it for long.
        assert_eq!(database.cached_blobs(4).await.unwrap(), ["sha256:2".to_owned()].into());
        assert!(database.cached_blobs(5).await.unwrap().is_empty());
        assert!(database.cached_layers("one", &[]).await.unwrap().is_empty());
    }
}

both! {
    async fn the_last_image_of_a_rule_is_that_of_the_newest_push(world) {
        let database = &world.database;
        let last = || database.last_published("acme/app", "main", "refs/heads/main");
        assert_eq!(last().await.unwrap(), None);
        world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2"), request("acme/app", "c3")]).await;
        let (first, second, third) = (world.claim("a").await, world.claim("b").await, world.claim("c").await);
        let with_key = |key: &str| PushedImage { inputs_key: Some(key.into()), ..image() };
        database.finish(second, Outcome::Succeeded(with_key("k2"))).await.unwrap();
        database.finish(first, Outcome::Succeeded(with_key("k1"))).await.unwrap();
        database.finish(third, Outcome::Skipped(reason("path_unchanged"))).await.unwrap();
        let newest = last().await.unwrap().unwrap();
        assert_eq!((newest.commit.as_deref(), newest.image.unwrap().inputs_key.as_deref()), (Some("c2"), Some("k2")));
        assert_eq!(database.last_published("acme/app", "other", "refs/heads/main").await.unwrap(), None);
    }
}
