//! Pull requests: tags that end with them, the comment on each, and ids by which repositories are followed.

use super::*;

const TAG: &str = "127.0.0.1:5000/app:pr-7";
const REF: &str = "refs/pull/7/head";

/// A request for the build of a pull request whose tag is kept for two days.
fn pull_request(commit: &str) -> BuildRequest {
    let mut request = request("acme/app", commit);
    (request.spec.git_ref, request.spec.tags) = (REF.into(), vec![TAG.into()]);
    request.spec.options.pull =
        Some(Box::new(PullImage { number: 7, target: "main".into(), version: None, tag_days: Some(2), comment: true }));
    request
}

/// Builds a commit of the pull request and publishes its tag.
async fn publish(world: &World, commit: &str) {
    world.trigger(&[pull_request(commit)]).await;
    let claim = world.claim("one").await;
    assert_eq!(world.database.begin_publish(&claim, TAG).await.unwrap(), Publish::Go);
    world.database.end_publish(&claim, TAG, "sha256:1").await.unwrap();
    world.database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
}

/// Tells that the pull request was closed, or that it has a commit.
async fn tell(world: &World, id: &str, after: Option<&str>) {
    let moved = RefMove { git_ref: REF.into(), before: None, after: after.map(str::to_owned) };
    let closed = after.is_none().then(|| REF.to_owned());
    let told = NewDelivery { closed, moves: vec![moved], ..delivery(id, id) };
    world.database.accept(&told, &[], None).await.unwrap();
}

both! {
    async fn a_tag_ends_when_its_time_is_up(world) {
        let database = &world.database;
        publish(&world, "a").await;
        assert_eq!(database.claim_pull_tag().await.unwrap(), None);
        world.pass(2 * 24 * 3600 + 1);
        let claimed = database.claim_pull_tag().await.unwrap().expect("its time is up");
        assert_eq!((claimed.tag.as_str(), claimed.repository.as_str()), (TAG, "acme/app"));
        assert_eq!(database.claim_pull_tag().await.unwrap(), None, "one worker removes it");
        // Nobody moves it meanwhile.
        world.trigger(&[pull_request("b")]).await;
        let newer = world.claim("two").await;
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), crate::tags::publish::Turn::Wait);
        database.end_pull_tag(&claimed, Some("cannot be removed: no")).await.unwrap();
        assert_eq!(database.tag_notes("acme/app").await.unwrap(), [(TAG.to_owned(), "cannot be removed: no".to_owned())]);
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), crate::tags::publish::Turn::Go);
        world.pass(600);
        assert_eq!(database.claim_pull_tag().await.unwrap(), None, "a build has it");
        database.end_publish(&newer, TAG, "sha256:2").await.unwrap();
        database.finish(newer, Outcome::Succeeded(image())).await.unwrap();
        assert_eq!(database.claim_pull_tag().await.unwrap(), None, "it has two more days");
        world.pass(2 * 24 * 3600 + 1);
        let claimed = database.claim_pull_tag().await.unwrap().expect("its time is up");
        database.end_pull_tag(&claimed, None).await.unwrap();
        assert_eq!(database.tag_notes("acme/app").await.unwrap(), []);
        assert_eq!(database.claim_tag_check().await.unwrap(), None, "nobody puts it back");
    }
}

both! {
    async fn a_tag_ends_with_its_pull_request(world) {
        let database = &world.database;
        tell(&world, "opened", Some("a")).await;
        publish(&world, "a").await;
        tell(&world, "closed", None).await;
        let claimed = database.claim_pull_tag().await.unwrap().expect("it was closed");
        database.end_pull_tag(&claimed, None).await.unwrap();
        // A build that ends afterwards leaves none behind.
        publish(&world, "b").await;
        assert!(database.claim_pull_tag().await.unwrap().is_some(), "it is closed already");
    }
}

both! {
    async fn a_tag_that_a_branch_has_by_now_stays(world) {
        let database = &world.database;
        publish(&world, "a").await;
        world.pass(1);
        world.trigger(&[request("acme/app", "c")]).await;
        let claim = world.claim("one").await;
        assert_eq!(database.begin_publish(&claim, TAG).await.unwrap(), Publish::Go);
        database.end_publish(&claim, TAG, "sha256:3").await.unwrap();
        database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        tell(&world, "closed", None).await;
        assert_eq!(database.claim_pull_tag().await.unwrap(), None, "it is the branch's");
    }
}

both! {
    async fn a_comment_is_told_once_and_again_when_something_changed(world) {
        let database = &world.database;
        assert_eq!(database.pending_comments(10).await.unwrap(), []);
        publish(&world, "a").await;
        let [first] = database.pending_comments(10).await.unwrap().try_into().unwrap();
        assert_eq!((first.number, first.comment_id.clone(), first.is_posting), (7, None, false));
        database.begin_comment(first.id).await.unwrap();
        let answer = StatusAnswer::Again("the comment: HTTP 502".into());
        database.acknowledge_comment(&first, None, &answer).await.unwrap();
        assert_eq!(database.pending_comments(10).await.unwrap(), [], "it waits");
        world.pass(3);
        let [again] = database.pending_comments(10).await.unwrap().try_into().unwrap();
        assert!(again.is_posting && again.nonce == first.nonce);
        let build = database.builds(&BuildFilter { limit: 1, ..BuildFilter::default() }).await.unwrap().remove(0);
        assert!(database.refusal(&build.id).await.unwrap().is_some_and(|known| known.problem.contains("502")));
        assert!(database.newest_refusal("acme/app").await.unwrap().is_some());
        // It is changed while it is sent: then it is due once more.
        publish(&world, "b").await;
        database.acknowledge_comment(&again, Some("12"), &StatusAnswer::Taken).await.unwrap();
        let [newer] = database.pending_comments(10).await.unwrap().try_into().unwrap();
        assert_eq!((newer.comment_id.as_deref(), newer.is_posting), (Some("12"), false));
        database.acknowledge_comment(&newer, Some("12"), &StatusAnswer::Taken).await.unwrap();
        assert_eq!(database.pending_comments(10).await.unwrap(), []);
        assert_eq!(database.newest_refusal("acme/app").await.unwrap(), None);
        tell(&world, "closed", None).await;
        assert_eq!(database.pending_comments(10).await.unwrap().len(), 1, "the end is told");
    }
}

both! {
    async fn images_of_pull_requests_are_found_by_their_rule(world) {
        publish(&world, "a").await;
        let found = world.database.pull_images("acme/app", "main").await.unwrap();
        assert_eq!(found.len(), 0, "a push is none");
        let mut request = pull_request("b");
        let pull = PullRequest { number: 7, target: "main".into(), git_ref: REF.into(), ..PullRequest::default() };
        request.trigger = Trigger::PullRequest { delivery: "d".into(), by: "me".into(), pull: Box::new(pull) };
        world.trigger(&[request]).await;
        let claim = world.claim("one").await;
        world.database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        let found = world.database.pull_images("acme/app", "main").await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].request.spec.options.pull.as_ref().map(|pull| pull.number), Some(7));
        assert_eq!(world.database.pull_images("acme/app", "other").await.unwrap(), []);
    }
}

both! {
    async fn a_new_name_is_kept_until_the_forge_confirms_it(world) {
        let database = &world.database;
        let told = |name: &'static str, has_moved| ToldRepository {
            repository: "acme/app",
            forge: "github",
            forge_id: "4711",
            forge_name: name,
            has_moved,
        };
        database.note_forge_repository(&told("acme/app", false)).await.unwrap();
        database.note_forge_repository(&told("other/app", true)).await.unwrap();
        let known = database.forge_repository("acme/app").await.unwrap().unwrap();
        assert_eq!((known.forge_name.as_str(), known.is_confirmed), ("other/app", false));
        assert!(known.moved_ms.is_some());
        database.confirm_forge_name(&known).await.unwrap();
        assert!(database.forge_repository("acme/app").await.unwrap().unwrap().is_confirmed);
        database.note_forge_repository(&told("third/app", true)).await.unwrap();
        assert_eq!(database.forge_repositories().await.unwrap().len(), 1);
        assert!(!database.forge_repository("acme/app").await.unwrap().unwrap().is_confirmed, "another name");
    }
}
