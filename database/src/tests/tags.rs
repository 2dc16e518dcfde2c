//! Checks of tags: what is put right, what is only noted, and that nobody overwrites a newer commit.

use super::*;

const TAG: &str = "127.0.0.1:5000/app:latest";

/// Builds a commit and publishes it under the tag as `digest`.
async fn publish(world: &World, commit: &str, digest: &str) {
    world.trigger(&[request("acme/app", commit)]).await;
    let claim = world.claim("one").await;
    assert_eq!(world.database.begin_publish(&claim, TAG).await.unwrap(), Publish::Go);
    world.database.end_publish(&claim, TAG, digest).await.unwrap();
    let base = BaseImage { reference: "base".into(), platform: "linux/amd64".into(), digest: "sha256:base".into() };
    let image = PushedImage { digest: digest.into(), base_images: vec![base], ..image() };
    world.database.finish(claim, Outcome::Succeeded(image)).await.unwrap();
}

async fn due(world: &World) -> TagCheck {
    world.database.claim_tag_check().await.unwrap().expect("a check is due")
}

both! {
    // R5.3
    async fn a_tag_is_checked_three_times_and_put_right_when_it_went_back(world) {
        let database = &world.database;
        publish(&world, "a", "sha256:1").await;
        publish(&world, "b", "sha256:2").await;
        assert_eq!(database.claim_tag_check().await.unwrap(), None);
        world.pass(6);
        let check = due(&world).await;
        assert_eq!((check.tag.as_str(), check.digest.as_str()), (TAG, "sha256:2"));
        assert_eq!(database.claim_tag_check().await.unwrap(), None, "one worker checks it");
        let base = database.judge_tag(&check, Some("sha256:base")).await.unwrap();
        assert_eq!(base, TagVerdict::Foreign, "a base image is nothing that was built here");
        world.pass(56);
        let check = due(&world).await;
        assert_eq!(database.judge_tag(&check, Some("sha256:1")).await.unwrap(), TagVerdict::Restore);
        // Meanwhile it is held: a newer build waits.
        world.trigger(&[request("acme/app", "c")]).await;
        let newer = world.claim("two").await;
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), crate::tags::publish::Turn::Wait);
        database.end_tag_check(&check, "went back and was put right").await.unwrap();
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), crate::tags::publish::Turn::Go);
        let notes = database.tag_notes("acme/app").await.unwrap();
        assert_eq!(notes, [(TAG.to_owned(), "went back and was put right".to_owned())]);
        world.pass(60);
        assert_eq!(database.claim_tag_check().await.unwrap(), None, "who moves it checks it later");
        database.end_publish(&newer, TAG, "sha256:3").await.unwrap();
        database.finish(newer, Outcome::Succeeded(PushedImage { digest: "sha256:3".into(), ..image() })).await.unwrap();
        assert_eq!(database.tag_notes("acme/app").await.unwrap(), []);
        for (seconds, shown, expected) in [
            (6, None, TagVerdict::Restore),
            (56, Some("sha256:3"), TagVerdict::Fine),
            // So late no request of ours can arrive: somebody took the tag back on purpose.
            (541, Some("sha256:2"), TagVerdict::Foreign),
        ] {
            world.pass(seconds);
            let check = due(&world).await;
            assert_eq!(database.judge_tag(&check, shown).await.unwrap(), expected);
            if expected == TagVerdict::Restore {
                database.end_tag_check(&check, "was gone").await.unwrap();
            }
        }
        world.pass(10_000);
        assert_eq!(database.claim_tag_check().await.unwrap(), None);
    }
}

both! {
    async fn what_somebody_else_pushed_is_noted_and_left_alone(world) {
        publish(&world, "a", "sha256:1").await;
        world.pass(6);
        let check = due(&world).await;
        assert_eq!(world.database.judge_tag(&check, Some("sha256:9")).await.unwrap(), TagVerdict::Foreign);
        let notes = world.database.tag_notes("acme/app").await.unwrap();
        assert!(notes[0].1.contains("sha256:9") && notes[0].1.contains("somebody else"), "{notes:?}");
    }
}

both! {
    // R5.3: killed between push and record.
    async fn a_tag_of_a_build_that_did_not_end_well_goes_back(world) {
        let database = &world.database;
        publish(&world, "a", "sha256:1").await;
        let id = world.trigger(&[request("acme/app", "b")]).await.remove(0);
        let claim = world.claim("one").await;
        assert_eq!(database.begin_publish(&claim, TAG).await.unwrap(), Publish::Go);
        world.pass(61);
        database.expire_leases().await.unwrap();
        world.pass(16);
        assert_eq!(database.claim_tag_check().await.unwrap(), None, "the next attempt will move it");
        database.cancel(&id).await.unwrap();
        let check = due(&world).await;
        assert_eq!(database.judge_tag(&check, Some("sha256:2")).await.unwrap(), TagVerdict::Restore);
        // A checker that is lost leaves the tag to others after a while.
        world.pass(46);
        let again = due(&world).await;
        assert_eq!(database.judge_tag(&again, Some("sha256:1")).await.unwrap(), TagVerdict::Fine);
        publish(&world, "c", "sha256:3").await;
    }
}

/// A registry that never answers: the check is claimed and nothing comes of it.
async fn not_answered(world: &World, times: usize) {
    for _ in 0..times {
        due(world).await;
        world.pass(700);
    }
}

both! {
    async fn a_registry_that_does_not_answer_is_asked_again_once_the_tag_moves(world) {
        let database = &world.database;
        publish(&world, "a", "sha256:1").await;
        world.pass(6);
        not_answered(&world, 11).await;
        assert_eq!(database.claim_tag_check().await.unwrap(), None, "it was asked often enough");
        let notes = database.tag_notes("acme/app").await.unwrap();
        assert!(notes[0].1.contains("does not answer"), "{notes:?}");
        publish(&world, "b", "sha256:2").await;
        assert_eq!(database.tag_notes("acme/app").await.unwrap(), []);
        world.pass(6);
        not_answered(&world, 1).await;
        assert_eq!(due(&world).await.digest, "sha256:2", "the next push is checked as often as the first");
    }
}

both! {
    async fn a_registry_that_answers_the_last_question_leaves_no_note(world) {
        let database = &world.database;
        publish(&world, "a", "sha256:1").await;
        world.pass(6);
        not_answered(&world, 10).await;
        let check = due(&world).await;
        assert_eq!(database.judge_tag(&check, Some("sha256:1")).await.unwrap(), TagVerdict::Fine);
        assert_eq!(database.tag_notes("acme/app").await.unwrap(), []);
    }
}

both! {
    async fn a_check_that_was_claimed_before_a_push_does_not_let_its_tag_go(world) {
        let database = &world.database;
        publish(&world, "a", "sha256:1").await;
        let id = world.trigger(&[request("acme/app", "b")]).await.remove(0);
        world.pass(6);
        let check = due(&world).await;
        let cut_off = world.claim("one").await;
        assert_eq!(database.begin_publish(&cut_off, TAG).await.unwrap(), Publish::Go);
        database.cancel(&id).await.unwrap();
        world.pass(61);
        database.expire_leases().await.unwrap();
        assert_eq!(database.judge_tag(&check, Some("sha256:1")).await.unwrap(), TagVerdict::Fine);
        world.trigger(&[request("acme/app", "c")]).await;
        let newer = world.claim("two").await;
        let turn = database.take_tag(&newer, TAG).await.unwrap();
        assert_eq!(turn, crate::tags::publish::Turn::Wait, "its last request may still be on its way");
    }
}

/// A request for a build of another ref with the same tag.
fn of_ref(name: &str, commit: &str) -> BuildRequest {
    let mut asked = request("acme/app", commit);
    asked.spec.git_ref = format!("refs/heads/{name}");
    asked
}

both! {
    async fn of_two_refs_with_one_tag_the_build_that_was_asked_for_last_has_it(world) {
        // MW-08
        use crate::tags::publish::Turn;
        let database = &world.database;
        world.trigger(&[of_ref("dev", "d1"), of_ref("main", "m1")]).await;
        let (older, newer) = (world.claim("one").await, world.claim("two").await);
        assert_eq!(database.take_tag(&older, TAG).await.unwrap(), Turn::Go);
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), Turn::Wait, "one attempt at a time, of whatever ref");
        database.end_publish(&older, TAG, "sha256:d1").await.unwrap();
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), Turn::Go);
        database.end_publish(&newer, TAG, "sha256:m1").await.unwrap();
        // Slower than the newer one, the older leaves the tag alone, and other tags are its own.
        assert_eq!(database.take_tag(&older, TAG).await.unwrap(), Turn::Superseded);
        assert_eq!(database.take_tag(&older, "127.0.0.1:5000/app:dev").await.unwrap(), Turn::Go);
        database.finish(older, Outcome::Superseded(image())).await.unwrap();
        // A retry of the older commit wants it there.
        world.trigger(&[of_ref("dev", "d1")]).await;
        let again = world.claim("one").await;
        assert_eq!(database.take_tag(&again, TAG).await.unwrap(), Turn::Go);
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), Turn::Wait);
        // A check for one ref does not restore the tag while another ref has it.
        world.pass(6);
        let check = due(&world).await;
        assert_eq!(database.judge_tag(&check, Some("sha256:d1")).await.unwrap(), TagVerdict::Fine);
        database.end_publish(&again, TAG, "sha256:d1").await.unwrap();
        assert_eq!(database.take_tag(&newer, TAG).await.unwrap(), Turn::Superseded);
    }
}

both! {
    async fn of_two_refs_that_begin_at_once_one_waits(world) {
        // MW-08
        use std::sync::Mutex;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let other = world.other().await;
        for round in 0..20 {
            let tag = format!("127.0.0.1:5000/app:{round}");
            world.trigger(&[of_ref("dev", "d"), of_ref("main", "m")]).await;
            let (first, second) = (world.claim("one").await, world.claim("two").await);
            let (at_once, shown) = (AtomicUsize::new(0), Mutex::new(String::new()));
            let publish = async |database: &Database, claim: &Claim| {
                if database.begin_publish(claim, &tag).await.unwrap() == Publish::Go {
                    assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "round {round}");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    *shown.lock().unwrap() = claim.build.request.spec.git_ref.clone();
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    database.end_publish(claim, &tag, "sha256:1").await.unwrap();
                }
            };
            tokio::join!(publish(&world.database, &first), publish(&other, &second));
            let newest = if first.build.id > second.build.id { &first } else { &second };
            assert_eq!(*shown.lock().unwrap(), newest.build.request.spec.git_ref, "round {round}");
            for claim in [first, second] {
                world.database.finish(claim, Outcome::Superseded(image())).await.unwrap();
            }
        }
    }
}
