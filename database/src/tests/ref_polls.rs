//! Looks at refs: what counts as missed, once, and what does not.

use super::*;

const MAIN: &str = "refs/heads/main";
const PAUSE: Duration = Duration::from_secs(300);

fn looked(url: &str) -> Vec<Looked> {
    vec![Looked { repository: "acme/app".into(), clone_url: url.into() }]
}

fn heads(all: &[(&str, &str)]) -> Heads {
    all.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
}

/// Lets a worker look: it sees `all`, and the commits of what differs from what is known.
async fn look(world: &World, all: &[(&str, &str)]) -> AnsweredRefPoll {
    let claim = world.database.claim_ref_poll().await.unwrap().expect("a look is due");
    let known = claim.known.clone().unwrap_or_default();
    let moved = all.iter().filter(|(name, id)| known.get(*name).map(String::as_str) != Some(*id));
    let moved =
        moved.map(|(name, id)| MovedRef { git_ref: (*name).into(), commit: (*id).into(), message: String::new() });
    let seen = Seen { heads: heads(all), moved: moved.collect() };
    world.database.finish_ref_poll(&claim, &Ok(seen)).await.unwrap();
    world.database.answered_ref_polls(10).await.unwrap().pop().unwrap()
}

fn found(look: &AnsweredRefPoll) -> Vec<FoundPush> {
    let push = |missed: &MissedPush| {
        let id = format!("look-{}-{}", look.attempt, missed.git_ref);
        let mut request = request("acme/app", &missed.commit);
        request.spec.git_ref.clone_from(&missed.git_ref);
        request.trigger = Trigger::Reconcile { delivery: id.clone() };
        let pushed =
            PushedRef { git_ref: missed.git_ref.clone(), before: missed.before.clone(), after: missed.after.clone() };
        let delivery = NewDelivery { forge: "reconcile".into(), push: Some(pushed), ..delivery(&id, &id) };
        FoundPush { delivery, requests: vec![request], rules_fetch: None }
    };
    look.missed.iter().map(push).collect()
}

/// Looks and settles; returns the refs that were missed with what they name.
async fn missed(world: &World, all: &[(&str, &str)]) -> Vec<(String, String)> {
    let look = look(world, all).await;
    let refs = look.missed.iter().map(|missed| (missed.git_ref.clone(), missed.after.clone())).collect();
    let builds = world.database.settle_ref_poll(&look, found(&look)).await.unwrap().unwrap();
    assert_eq!(builds.len(), look.missed.len());
    refs
}

fn named(git_ref: &str, id: &str) -> Vec<(String, String)> {
    vec![(git_ref.to_owned(), id.to_owned())]
}

both! {
    async fn a_push_that_no_delivery_told_of_is_found_once(world) {
        let database = &world.database;
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, [], "the first look only takes note");
        assert!(database.claim_ref_poll().await.unwrap().is_none(), "the next look is not due");
        world.pass(300);
        assert_eq!(missed(&world, &[(MAIN, "b"), ("refs/tags/v1", "t")]).await, [], "its delivery may be on its way");
        world.pass(31);
        let look = look(&world, &[(MAIN, "b"), ("refs/tags/v1", "t")]).await;
        assert_eq!(look.missed[0].before.as_deref(), Some("a"));
        assert_eq!((look.missed[1].before.as_deref(), look.missed[1].after.as_str()), (None, "t"));
        let other = world.other().await;
        let (one, two) = tokio::join!(
            database.settle_ref_poll(&look, found(&look)),
            other.settle_ref_poll(&look, found(&look)),
        );
        let settled: Vec<_> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
        assert_eq!(settled.len(), 1, "of two servers one builds it");
        let build = world.build(&settled[0][0]).await;
        assert_eq!(build.request.trigger.kind(), "reconcile");
        let stored = database.deliveries(&DeliveryFilter { limit: 10, ..Default::default() }).await.unwrap();
        assert_eq!(stored.iter().map(|delivery| delivery.forge.as_str()).collect::<Vec<_>>(), ["reconcile"; 2]);
        world.pass(300);
        assert_eq!(missed(&world, &[(MAIN, "b"), ("refs/tags/v1", "t")]).await, []);
        // The delivery comes after all.
        let late = database.accept(&push(Some("a"), "b"), &[request("acme/app", "b")], None).await.unwrap();
        assert_eq!(late, Accepted::Duplicate(vec![build.id]));
    }
}

both! {
    async fn deliveries_that_come_after_their_pushes_were_found_take_no_tag_back(world) {
        let database = &world.database;
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        let see = async |id: &str| {
            world.pass(300);
            assert_eq!(missed(&world, &[(MAIN, id)]).await, []);
            world.pass(31);
            assert_eq!(missed(&world, &[(MAIN, id)]).await, named(MAIN, id));
        };
        see("b").await;
        see("c").await;
        let newest = async || {
            let all = database.builds(&BuildFilter { limit: 20, ..Default::default() }).await.unwrap();
            let newest = all.iter().max_by_key(|build| build.sequence).unwrap();
            (all.len(), newest.commit.clone().unwrap())
        };
        assert_eq!(newest().await, (2, "c".to_owned()));
        // The found push is that of the delivery, though it is not the last one now.
        let late = database.accept(&push(Some("a"), "b"), &[request("acme/app", "b")], None).await.unwrap();
        assert!(matches!(&late, Accepted::Duplicate(builds) if builds.len() == 1), "{late:?}");
        assert_eq!(newest().await, (2, "c".to_owned()));
        // Two pushes that a look took for one: the first comes before what was found.
        see("e").await;
        let late = database.accept(&push(Some("c"), "d"), &[request("acme/app", "d")], None).await.unwrap();
        assert_eq!(new_builds(late).len(), 1);
        assert_eq!(newest().await, (4, "e".to_owned()));
        // Set back and pushed again, it is a push of its own.
        database.accept(&push(Some("e"), "a"), &[request("acme/app", "a")], None).await.unwrap();
        let again = NewDelivery { delivery: "again".into(), body: b"again".to_vec(), ..push(Some("a"), "b") };
        let again = database.accept(&again, &[request("acme/app", "b")], None).await.unwrap();
        assert_eq!(new_builds(again).len(), 1);
        assert_eq!(newest().await, (6, "b".to_owned()));
    }
}

both! {
    async fn what_cannot_be_fetched_is_given_up(world) {
        let database = &world.database;
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        let unseen = async || {
            let claim = database.claim_ref_poll().await.unwrap().expect("a look is due");
            let seen = Seen { heads: heads(&[(MAIN, "a"), ("refs/tags/tree", "t")]), moved: Vec::new() };
            database.finish_ref_poll(&claim, &Ok(seen)).await.unwrap();
            let look = database.answered_ref_polls(10).await.unwrap().pop().unwrap();
            assert_eq!(look.missed, []);
            database.settle_ref_poll(&look, Vec::new()).await.unwrap().unwrap();
            let state = database.ref_poll_state("acme/app").await.unwrap().unwrap();
            state.due_ms - database.now_ms().await.unwrap()
        };
        for seconds in [300, 31, 31] {
            world.pass(seconds);
            assert!(unseen().await <= 30_000, "its commit may be there next time");
        }
        world.pass(3600);
        assert!(unseen().await > 290_000);
    }
}

both! {
    async fn what_deliveries_tell_of_is_not_missed(world) {
        let database = &world.database;
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        world.pass(100);
        database.accept(&push(Some("a"), "b"), &[request("acme/app", "b")], None).await.unwrap();
        // One of several pushes of a delivery leaves only its build.
        let mut several = request("acme/app", "c");
        several.spec.git_ref = "refs/heads/next".into();
        database.accept(&delivery("several", "several"), &[several], None).await.unwrap();
        world.pass(200);
        for _ in 0..2 {
            assert_eq!(missed(&world, &[(MAIN, "b"), ("refs/heads/next", "c")]).await, []);
            world.pass(300);
        }
        // A look that began before the push was delivered saw less than is known.
        let old = look(&world, &[(MAIN, "b")]).await;
        world.pass(1);
        database.accept(&push(Some("b"), "d"), &[request("acme/app", "d")], None).await.unwrap();
        assert_eq!(old.missed, []);
        database.settle_ref_poll(&old, Vec::new()).await.unwrap().unwrap();
        world.pass(300);
        assert_eq!(missed(&world, &[(MAIN, "d")]).await, []);
        world.pass(300);
        assert_eq!(missed(&world, &[]).await, [], "a ref that is gone builds nothing");
        world.pass(300);
        assert_eq!(missed(&world, &[]).await, []);
    }
}

both! {
    async fn a_ref_that_was_set_back_unseen_is_found(world) {
        let database = &world.database;
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        world.pass(10);
        database.accept(&push(Some("a"), "b"), &[request("acme/app", "b")], None).await.unwrap();
        world.pass(300);
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        world.pass(31);
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, named(MAIN, "a"));
        let newest = database.builds(&BuildFilter { limit: 2, ..Default::default() }).await.unwrap();
        assert!(newest[0].sequence > newest[1].sequence, "its tags move to the commit that the ref names now");
        // Set back further, past a push that nobody knows: what a look saw is the newest whatever it seems to follow.
        for (id, seconds) in [("b", 300), ("b", 31), ("a", 300), ("a", 31)] {
            world.pass(seconds);
            missed(&world, &[(MAIN, id)]).await;
        }
        let newest = database.builds(&BuildFilter { limit: 10, ..Default::default() }).await.unwrap();
        assert!(newest.windows(2).all(|pair| pair[0].sequence > pair[1].sequence), "{newest:#?}");
        // Pushed once more and told of: no late delivery of what was found.
        database.accept(&push(Some("a"), "e"), &[request("acme/app", "e")], None).await.unwrap();
        let again = database.accept(&push(Some("e"), "a"), &[request("acme/app", "a")], None).await.unwrap();
        assert_eq!(new_builds(again).len(), 1);
    }
}

both! {
    async fn a_server_that_does_not_answer_is_asked_less_and_less_often(world) {
        let database = &world.database;
        let state = async || database.ref_poll_state("acme/app").await.unwrap().unwrap();
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let claim = database.claim_ref_poll().await.unwrap().unwrap();
            let before = database.now_ms().await.unwrap();
            database.finish_ref_poll(&claim, &Err(reason("fetch_failed"))).await.unwrap();
            assert!(database.claim_ref_poll().await.unwrap().is_none());
            let pause = (state().await.due_ms - before + 500) / 1000;
            pauses.push(pause);
            world.pass(u64::try_from(pause).unwrap() + 1);
        }
        assert_eq!(pauses, [300, 600, 1200, 2400, 4800, 4800, 4800]);
        assert_eq!(state().await.problem.as_deref(), Some("because\nof this"));
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        assert_eq!(state().await.problem, None);
        // At another place everything is seen for the first time; a look whose worker died is given to another.
        database.look_at(&looked("https://x/moved.git"), PAUSE, false).await.unwrap();
        let lost = database.claim_ref_poll().await.unwrap().unwrap();
        assert_eq!(lost.known, None);
        world.pass(61);
        assert_eq!(missed(&world, &[(MAIN, "z")]).await, []);
        let refused = database.finish_ref_poll(&lost, &Ok(Seen::default())).await;
        assert!(matches!(refused, Err(Error::LeaseLost)), "{refused:?}");
        database.look_at(&[], PAUSE, true).await.unwrap();
        world.pass(10_000);
        assert!(database.claim_ref_poll().await.unwrap().is_none(), "nobody asks for it any more");
    }
}

both! {
    async fn what_somebody_built_by_hand_is_not_built_again(world) {
        let database = &world.database;
        database.look_at(&looked("https://x/y.git"), PAUSE, true).await.unwrap();
        assert_eq!(missed(&world, &[(MAIN, "a")]).await, []);
        world.pass(300);
        // No delivery comes; somebody asks for the build.
        let mut by_hand = request("acme/app", "b");
        by_hand.trigger = Trigger::Manual { by: "me".into() };
        by_hand.spec.git_ref = MAIN.into();
        world.trigger(std::slice::from_ref(&by_hand)).await;
        look(&world, &[(MAIN, "b")]).await;
        let first = database.answered_ref_polls(10).await.unwrap().pop().unwrap();
        database.settle_ref_poll(&first, found(&first)).await.unwrap();
        world.pass(31);
        let second = look(&world, &[(MAIN, "b")]).await;
        assert_eq!(second.missed.len(), 1);
        assert_eq!(database.settle_ref_poll(&second, found(&second)).await.unwrap(), Some(Vec::new()));
        let stored = database.deliveries(&DeliveryFilter { limit: 1, ..Default::default() }).await.unwrap();
        assert_eq!(stored[0].ignored.as_deref(), Some("built_before"));
        // Another commit is, and so is one that was built under other tags.
        let see = async |id: &str| {
            world.pass(300);
            let first = look(&world, &[(MAIN, id)]).await;
            database.settle_ref_poll(&first, found(&first)).await.unwrap();
            world.pass(31);
            let second = look(&world, &[(MAIN, id)]).await;
            database.settle_ref_poll(&second, found(&second)).await.unwrap().unwrap().len()
        };
        assert_eq!(see("c").await, 1);
        let mut other = by_hand.clone();
        (other.spec.commit, other.spec.tags) = (Some("d".into()), vec!["r.example.com/other:x".into()]);
        world.trigger(&[other]).await;
        assert_eq!(see("d").await, 1);
    }
}
