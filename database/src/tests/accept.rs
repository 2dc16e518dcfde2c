//! Deliveries and triggers: once, in their order, with their builds.

use super::*;

both! {
    // WH-13, WH-14, RL11
    async fn a_redelivery_finds_the_same_builds_however_many_come_at_once(world) {
        let mut answers = Vec::new();
        let other = world.other().await;
        for number in 0..50 {
            let database = if number % 3 == 0 { other.clone() } else { world.database.clone() };
            let id = if number % 2 == 0 { "same".to_owned() } else { format!("new-{number}") };
            answers.push(tokio::spawn(async move {
                database.accept(&delivery(&id, "body"), &[request("acme/app", "c1")], None).await.unwrap()
            }));
        }
        let (mut new, mut ids) = (0, Vec::new());
        for answer in answers {
            let builds = match answer.await.unwrap() {
                Accepted::New(builds) => {
                    new += 1;
                    builds
                }
                Accepted::Duplicate(builds) => builds,
                Accepted::KeyReused => unreachable!(),
            };
            ids.push(builds);
        }
        ids.dedup();
        assert_eq!((new, ids.len()), (1, 1));
        assert_eq!(ids[0].len(), 1);
    }
}

both! {
    async fn a_replay_builds_again_what_a_redelivery_does_not(world) {
        let database = &world.database;
        let first = new_builds(database.accept(&delivery("one", "body"), &[request("acme/app", "c1")], None).await.unwrap());
        let replay = NewDelivery { is_replay: true, ..delivery("one-again", "body") };
        let again = new_builds(database.accept(&replay, &[request("acme/app", "c1")], None).await.unwrap());
        assert_ne!(first, again);
        let known = database.accept(&replay, &[request("acme/app", "c1")], None).await.unwrap();
        assert_eq!(known, Accepted::Duplicate(again));
    }
}

both! {
    async fn a_key_makes_a_trigger_repeatable_and_refuses_another_body(world) {
        let database = &world.database;
        let key = |body: &str| IdempotencyKey { repository: "acme/app".into(), key: "k".into(), body: body.into() };
        let requests = [request("acme/app", "c1")];
        let first = new_builds(database.trigger(Some(&key("a")), &requests).await.unwrap());
        assert_eq!(database.trigger(Some(&key("a")), &requests).await.unwrap(), Accepted::Duplicate(first));
        assert_eq!(database.trigger(Some(&key("b")), &requests).await.unwrap(), Accepted::KeyReused);
        world.pass(25 * 3600);
        assert!(matches!(database.trigger(Some(&key("b")), &requests).await.unwrap(), Accepted::New(_)));
    }
}

both! {
    async fn words_of_every_kind_are_kept(world) {
        let mut asked = request("acme/app", "c1");
        asked.commit_message = "nul \0, quote ' \" and $1 /*+ 雪 */".into();
        asked.spec.build_args.insert("K".into(), "a\0b".into());
        let id = world.trigger(std::slice::from_ref(&asked)).await.remove(0);
        let kept = world.build(&id).await.request;
        assert_eq!(kept.commit_message, "nul \u{fffd}, quote ' \" and $1 /*+ 雪 */");
        assert_eq!(kept.spec, asked.spec);
    }
}

both! {
    async fn rows_of_before_an_option_was_known_still_read(world) {
        let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        let old = r#"{"clone_url":"u","git_ref":"r","commit":null,"dockerfile":"D","context":"","target":null,
                      "build_args":{},"tags":[],"use_cache":true,"push":true,"an_option_of_tomorrow":1}"#;
        crate::sql::statement::sql("test", "UPDATE builds SET spec_json = $1").bind(old).run(world.database.write()).await.unwrap();
        assert_eq!(world.build(&id).await.request.spec.options, BuildOptions::default());
    }
}

both! {
    async fn numbers_count_the_builds_of_a_repository(world) {
        world.trigger(&[request("acme/app", "c1"), request("acme/other", "c1"), request("acme/app", "c2")]).await;
        let third = world.trigger(&[request("acme/app", "c3")]).await.remove(0);
        assert_eq!(world.build(&third).await.number, 3);
        assert_eq!(world.database.build_number("acme/app", 3).await.unwrap().unwrap().id, third);
        assert!(world.database.build_number("acme/other", 2).await.unwrap().is_none());
    }
}

both! {
    async fn what_waits_or_runs_is_not_asked_for_twice(world) {
        let database = &world.database;
        let asked = [request("acme/app", "c1")];
        let (one, two) = (world.other().await, world.other().await);
        let (one, two) = tokio::join!(one.trigger_once(&asked), two.trigger_once(&asked));
        let (one, two) = (one.unwrap(), two.unwrap());
        let (first, found) = if matches!(one, Accepted::New(_)) { (one, two) } else { (two, one) };
        let first = new_builds(first);
        assert_eq!(found, Accepted::Duplicate(first.clone()));
        let claim = world.claim("one").await;
        assert_eq!(database.trigger_once(&asked).await.unwrap(), Accepted::Duplicate(first), "it runs");
        let mut other = request("acme/app", "c1");
        other.spec.use_cache = false;
        new_builds(database.trigger_once(&[other]).await.unwrap());
        new_builds(database.trigger_once(&[request("acme/app", "c1"), request("acme/app", "c2")]).await.unwrap());
        database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        while let Some(claim) = database.claim("one").await.unwrap() {
            database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        }
        new_builds(database.trigger_once(&asked).await.unwrap());
    }
}

both! {
    async fn a_list_is_filtered_and_goes_on_where_it_ended(world) {
        let mut tagged = request("acme/app", "c1");
        tagged.spec.git_ref = "refs/tags/v1".into();
        tagged.trigger = Trigger::Manual { by: "me".into() };
        let ids = world.trigger(&[request("acme/app", "c1"), tagged, request("acme/other", "c2")]).await;
        let list = |filter: BuildFilter| {
            let database = world.database.clone();
            async move {
                let builds = database.builds(&BuildFilter { limit: 10, ..filter }).await.unwrap();
                builds.into_iter().map(|build| build.id).collect::<Vec<_>>()
            }
        };
        let all = || BuildFilter::default();
        assert_eq!(list(all()).await, [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
        assert_eq!(list(BuildFilter { before: Some(ids[1].clone()), ..all() }).await, [ids[0].clone()]);
        assert_eq!(list(BuildFilter { repository: Some("acme/other".into()), ..all() }).await, [ids[2].clone()]);
        assert_eq!(list(BuildFilter { git_ref: Some("refs/tags/v1".into()), ..all() }).await, [ids[1].clone()]);
        assert_eq!(list(BuildFilter { trigger: Some("manual".into()), ..all() }).await, [ids[1].clone()]);
        assert_eq!(list(BuildFilter { commit: Some("c1".into()), ..all() }).await, [ids[1].clone(), ids[0].clone()]);
        assert_eq!(list(BuildFilter { state: Some(BuildState::Succeeded), ..all() }).await, []);
        let search = |search: BuildSearch| BuildFilter { search, ..all() };
        let text = |text: &str| search(BuildSearch { text: Some(text.into()), ..BuildSearch::default() });
        assert_eq!(list(text("V1")).await, [ids[1].clone()], "a ref in any case");
        assert_eq!(list(text("me")).await, [ids[1].clone()], "an author");
        assert_eq!(list(text("A CHANGE")).await.len(), 3);
        assert_eq!(list(text("#2")).await, [ids[1].clone()]);
        assert_eq!(list(text("%")).await, [], "no character stands for others");
        let author = |name: &str| search(BuildSearch { author: Some(name.into()), ..BuildSearch::default() });
        assert_eq!(list(author("me")).await, [ids[1].clone()]);
        assert_eq!(list(author("m_")).await, []);
        let refs = vec!["refs/heads/v1".to_owned(), "refs/tags/v1".to_owned()];
        assert_eq!(list(search(BuildSearch { refs, ..BuildSearch::default() })).await, [ids[1].clone()]);
        let states = vec![BuildState::Failed, BuildState::Queued];
        let both = BuildSearch { states, awaits_approval: Some(false), ..BuildSearch::default() };
        assert_eq!(list(search(both)).await.len(), 3);
        let running = vec![BuildState::Preparing, BuildState::Building, BuildState::Pushing];
        let running = BuildSearch { states: running, ..BuildSearch::default() };
        assert_eq!(list(search(running.clone())).await, []);
        let claim = world.claim("one").await;
        assert_eq!(list(search(running)).await, [claim.build.id]);
        let mut other = request("acme/app", "c3");
        other.spec.tags = vec!["127.0.0.1:5000/app:v1_0".into(), "127.0.0.1:5000/app:newest".into()];
        other.spec.tags.push(format!("127.0.0.1:5000/app:n{}-{}", marks::NUMBER, marks::COMMIT7));
        other.spec.build_args.insert("BASE".into(), "busybox:latest".into());
        let other = world.trigger(&[other, request("acme/app", "c4")]).await;
        let tag = |tag: &str| BuildFilter { tag: Some(tag.into()), ..all() };
        assert_eq!(list(tag("v1_0")).await, [other[0].clone()]);
        assert_eq!(list(tag("127.0.0.1:5000/app:newest")).await, [other[0].clone()]);
        assert_eq!(list(tag("n3-c3")).await, [other[0].clone()]);
        assert_eq!(list(tag("v1-0")).await, []);
        let latest = [other[1].clone(), ids[2].clone(), ids[1].clone(), ids[0].clone()];
        assert_eq!(list(tag("latest")).await, latest, "a build argument is not a tag");
        let two = BuildFilter { limit: 2, before: Some(other[1].clone()), ..tag("latest") };
        let two = database_list(&world, &two).await;
        assert_eq!(two, latest[1..3], "a page is full though some were left out");
        let created = world.build(&ids[0]).await.created_ms;
        assert_eq!(list(BuildFilter { since_ms: Some(created), ..all() }).await.len(), 5);
        assert_eq!(list(BuildFilter { since_ms: Some(created + 1000), ..all() }).await, []);
        assert_eq!(list(BuildFilter { rule: Some("none".into()), ..all() }).await, []);
    }
}

async fn database_list(world: &World, filter: &BuildFilter) -> Vec<BuildId> {
    world.database.builds(filter).await.unwrap().into_iter().map(|build| build.id).collect()
}

/// Returns what became of a push whose body says nothing but what it did, under an id of its own.
async fn pushed(world: &World, id: &str, targets: (Option<&str>, Option<&str>)) -> Accepted {
    let (before, after) = targets;
    let moved =
        RefMove { git_ref: "refs/tags/v1".into(), before: before.map(Into::into), after: after.map(Into::into) };
    let push = after.map(|after| PushedRef {
        git_ref: moved.git_ref.clone(),
        before: moved.before.clone(),
        after: after.into(),
    });
    let ignored = after.is_none().then(|| "ref_deleted".to_owned());
    let body = format!("{before:?} {after:?}");
    let delivery = NewDelivery { push, ignored, moves: vec![moved], ..delivery(id, &body) };
    let mut request = request("acme/app", after.unwrap_or("none"));
    request.spec.git_ref = "refs/tags/v1".into();
    let requests = if after.is_some() { vec![request] } else { Vec::new() };
    world.database.accept(&delivery, &requests, None).await.unwrap()
}

both! {
    // SV-20
    async fn a_push_that_goes_on_is_built_though_its_bytes_came_before(world) {
        let mut all = Vec::new();
        let moves = [(None, Some("a")), (Some("a"), Some("b")), (Some("b"), Some("a")), (Some("a"), Some("b")), (Some("b"), Some("a"))];
        for (number, moved) in moves.into_iter().enumerate() {
            all.extend(new_builds(pushed(&world, &format!("id-{number}"), moved).await));
        }
        assert_eq!(all.len(), 5);
        let mut sequences = Vec::new();
        for id in &all {
            sequences.push(world.build(id).await.sequence);
        }
        assert!(sequences.is_sorted() && sequences[3] < sequences[4], "{sequences:?}");
        // Told once more, by another hook or under the same id, it is the same push.
        assert_eq!(pushed(&world, "other-hook", moves[4]).await, Accepted::Duplicate(vec![all[4].clone()]));
        assert_eq!(pushed(&world, "id-3", moves[3]).await, Accepted::Duplicate(vec![all[3].clone()]));
        assert_eq!(pushed(&world, "id-1", moves[1]).await, Accepted::Duplicate(vec![all[1].clone()]));
        // Played back out of place it is not news.
        assert!(matches!(pushed(&world, "played-back", moves[0]).await, Accepted::Duplicate(_)));
    }
}

both! {
    // SV-20
    async fn a_tag_that_is_deleted_and_made_again_is_built_each_time(world) {
        for round in 0..3 {
            assert_eq!(new_builds(pushed(&world, &format!("made-{round}"), (None, Some("t"))).await).len(), 1);
            assert!(new_builds(pushed(&world, &format!("gone-{round}"), (Some("t"), None)).await).is_empty());
        }
    }
}

both! {
    // SEC-m4
    async fn an_id_that_comes_again_with_another_body_is_refused(world) {
        let accept = |id: &str, body: &str, has_own_id: bool| {
            let delivery = NewDelivery { has_own_id, ..delivery(id, body) };
            let database = world.database.clone();
            async move { database.accept(&delivery, &[request("acme/app", "c1")], None).await.unwrap() }
        };
        let first = new_builds(accept("one", "body", true).await);
        assert_eq!(accept("one", "other", true).await, Accepted::KeyReused);
        assert_eq!(accept("one", "body", true).await, Accepted::Duplicate(first));
        assert!(matches!(accept("two", "other", true).await, Accepted::New(_)), "what was refused left nothing behind");
    }
}
