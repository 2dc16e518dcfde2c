//! Groups: targets become builds once, and a group ends with the last of them.

use super::*;

/// Queues a group, has a worker find the targets `names`, and makes them builds.
async fn expanded(world: &World, names: &[&str]) -> (BuildId, Vec<BuildId>) {
    let database = &world.database;
    let mut asked = request("acme/app", "c1");
    let images = vec!["127.0.0.1:5000/app/**".to_owned()];
    asked.spec.options.bake = Some(Box::new(BakeFile { targets: Vec::new(), images }));
    asked.spec.options.secrets = vec!["granted".into()];
    let group = world.trigger(std::slice::from_ref(&asked)).await.remove(0);
    let claim = world.claim("one").await;
    let target = |name: &&str| {
        let mut spec = asked.spec.clone();
        spec.options.bake = None;
        spec.options.baked = Some(Box::default());
        spec.tags = vec![format!("127.0.0.1:5000/app/{name}:latest")];
        // A worker does not say whose rights a target has.
        (spec.clone_url, spec.git_ref) = ("http://elsewhere/x.git".into(), "refs/heads/other".into());
        spec.options.secrets = vec!["granted".into(), "other".into()];
        BakedTarget { name: (*name).to_owned(), spec }
    };
    let targets = names.iter().map(target).collect();
    assert_eq!(database.finish(claim, Outcome::Expanded(targets)).await.unwrap(), BuildState::Building);
    assert_eq!(database.settle_groups().await.unwrap(), [], "its targets are no builds yet");
    assert_eq!(database.expandable_groups(10).await.unwrap(), std::slice::from_ref(&group));
    let builds = database.expand_group(&group).await.unwrap().unwrap();
    assert!(database.expand_group(&group).await.unwrap().is_none(), "another server did it before");
    (group, builds)
}

/// Ends the builds of all targets, in their order.
async fn end(world: &World, outcomes: Vec<Outcome>) {
    for outcome in outcomes {
        let claim = world.claim("one").await;
        world.database.finish(claim, outcome).await.unwrap();
    }
}

both! {
    async fn a_group_ends_with_the_last_of_its_targets(world) {
        let database = &world.database;
        let (group, builds) = expanded(&world, &["api", "web"]).await;
        let one = world.build(&builds[0]).await;
        assert_eq!((one.request.rule.as_str(), one.request.rule_alone()), ("main/api", "main"));
        assert_eq!((one.request.group(), one.sequence), (Some(&group), world.build(&group).await.sequence));
        let spec = &one.request.spec;
        assert_eq!((spec.clone_url.as_str(), spec.git_ref.as_str()), ("http://127.0.0.1/app.git", "refs/heads/main"));
        assert_eq!(spec.options.secrets, ["granted"]);
        end(&world, vec![Outcome::Skipped(reason("path_unchanged"))]).await;
        assert_eq!(database.settle_groups().await.unwrap(), []);
        assert_eq!(world.build(&group).await.state, BuildState::Building);
        // A worker that dies takes nothing of it away.
        assert!(database.release("one").await.unwrap().is_empty());
        end(&world, vec![Outcome::Failed(reason("step_failed"))]).await;
        assert_eq!(database.settle_groups().await.unwrap(), [(group.clone(), BuildState::Failed)]);
        let ended = world.build(&group).await;
        assert_eq!(ended.reason.unwrap().message, "1 of 2 targets failed: web");
        assert_eq!(database.settle_groups().await.unwrap(), []);
        let targets = database.group_targets(&group).await.unwrap();
        let states: Vec<_> = targets.iter().map(|target| (target.name(), target.state)).collect();
        assert_eq!(states, [("api", BuildState::Skipped), ("web", BuildState::Failed)]);
    }
}

both! {
    async fn a_group_is_skipped_if_all_of_it_is(world) {
        let (group, _) = expanded(&world, &["api", "web"]).await;
        let skipped = || Outcome::Skipped(reason("path_unchanged"));
        end(&world, vec![skipped(), skipped()]).await;
        assert_eq!(world.database.settle_groups().await.unwrap(), [(group, BuildState::Skipped)]);
    }
}

both! {
    async fn the_targets_of_a_cancelled_group_end(world) {
        let database = &world.database;
        let (group, builds) = expanded(&world, &["api", "web"]).await;
        let running = world.claim("one").await;
        assert_eq!(database.cancel(&group).await.unwrap(), Cancel::Requested);
        assert_eq!(world.build(&builds[1]).await.state, BuildState::Cancelled, "it was queued");
        assert!(world.build(&builds[0]).await.cancel_requested, "its worker ends it");
        database.finish(running, Outcome::Cancelled).await.unwrap();
        assert_eq!(database.settle_groups().await.unwrap(), [(group.clone(), BuildState::Cancelled)]);

        // One that is cancelled before its targets are builds has none.
        let mut asked = request("acme/app", "c2");
        asked.spec.options.bake = Some(Box::new(BakeFile { targets: Vec::new(), images: Vec::new() }));
        let group = world.trigger(std::slice::from_ref(&asked)).await.remove(0);
        let claim = world.claim("one").await;
        let target = BakedTarget { name: "api".into(), spec: asked.spec.clone() };
        database.finish(claim, Outcome::Expanded(vec![target])).await.unwrap();
        assert_eq!(database.cancel(&group).await.unwrap(), Cancel::Requested);
        assert_eq!(database.expand_group(&group).await.unwrap(), Some(Vec::new()));
        assert_eq!(world.build(&group).await.state, BuildState::Cancelled);
        assert_eq!(database.group_targets(&group).await.unwrap(), []);
    }
}
