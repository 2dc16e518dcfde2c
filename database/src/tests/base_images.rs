//! Base images: which are looked at, how often, and that the newest build of each branch is repeated once.

use super::*;

const PAUSE: Duration = Duration::from_secs(900);

fn image(name: &str) -> WatchedImage {
    WatchedImage { reference: name.into(), platform: "linux/amd64".into() }
}

/// Builds a commit of `git_ref` on a base with the digest `digest`.
async fn built(world: &World, git_ref: &str, commit: &str, digest: &str) -> BuildId {
    let mut wanted = request("acme/app", commit);
    wanted.spec.git_ref = git_ref.into();
    wanted.spec.push = true;
    let id = world.trigger(&[wanted]).await.remove(0);
    let base = BaseImage { reference: "r/base:1".into(), platform: "linux/amd64".into(), digest: digest.into() };
    let claim = world.claim("one").await;
    let pushed = PushedImage { base_images: vec![base], ..super::image() };
    world.database.finish(claim, Outcome::Succeeded(pushed)).await.unwrap();
    id
}

both! {
    async fn images_are_looked_at_in_turn_and_less_often_where_that_fails(world) {
        let database = &world.database;
        assert_eq!(database.claim_base_image().await.unwrap(), None);
        database.watch_base_images(&[image("r/a:1"), image("r/b:1")], PAUSE).await.unwrap();
        let first = database.claim_base_image().await.unwrap().unwrap();
        let second = database.claim_base_image().await.unwrap().unwrap();
        assert_eq!((&first.image, &second.image, &first.known), (&image("r/a:1"), &image("r/b:1"), &None));
        assert_eq!(database.claim_base_image().await.unwrap(), None, "one worker looks at each");
        let named = Named { tag: "sha256:index".into(), manifest: "sha256:1".into() };
        database.finish_base_image(&first, &Ok(named.clone())).await.unwrap();
        // A worker that died: another looks, and the first says nothing any more.
        world.pass(61);
        let again = database.claim_base_image().await.unwrap().unwrap();
        assert_eq!(again.image, image("r/b:1"));
        let late = database.finish_base_image(&second, &Ok(named.clone())).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        database.finish_base_image(&again, &Err("away".into())).await.unwrap();
        let seen = database.seen_base_images().await.unwrap();
        assert_eq!((seen[0].digest.as_deref(), seen[0].problem.as_deref()), (Some("sha256:1"), None));
        assert_eq!((seen[1].digest.as_deref(), seen[1].problem.as_deref()), (None, Some("away")));
        world.pass(840);
        assert_eq!(database.claim_base_image().await.unwrap().unwrap().known, Some(named));
        database.watch_base_images(&[image("r/a:1")], PAUSE).await.unwrap();
        world.pass(10_000);
        assert_eq!(database.claim_base_image().await.unwrap().unwrap().image, image("r/a:1"));
        assert_eq!(database.claim_base_image().await.unwrap(), None, "nobody asks for it any more");
    }
}

both! {
    async fn the_newest_build_of_a_branch_is_repeated_once(world) {
        let database = &world.database;
        built(&world, "refs/heads/main", "a", "sha256:old").await;
        let newest = built(&world, "refs/heads/main", "b", "sha256:1").await;
        let other = built(&world, "refs/heads/next", "c", "sha256:1").await;
        built(&world, "refs/tags/v1", "d", "sha256:1").await;
        let based = async || -> Vec<BuildId> {
            database.based_builds("acme/app").await.unwrap().into_iter().map(|build| build.id).collect()
        };
        assert_eq!(based().await, [other.clone(), newest.clone()], "of branches, and of each the newest");
        let references = ["r/base:1".to_owned()];
        let again = world.other().await;
        let trigger = Trigger::BaseImage { of: newest.clone(), references: references.to_vec() };
        let (one, two) = tokio::join!(database.rebuild(&newest, trigger.clone()), again.rebuild(&newest, trigger.clone()));
        let rebuilt: Vec<BuildId> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
        assert_eq!(rebuilt.len(), 1, "of two servers one repeats it");
        let (old, build) = (world.build(&newest).await, world.build(&rebuilt[0]).await);
        assert_eq!((build.commit.as_deref(), build.request.trigger.kind()), (Some("b"), "base_image"));
        assert_eq!(build.sequence, old.sequence, "it is as new as the push that it was for");
        assert!(build.number > old.number);
        assert_eq!(based().await, std::slice::from_ref(&other), "while it waits and runs nothing is compared");
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
        assert_eq!(based().await, [other], "one that fails is not repeated by itself");
    }
}
