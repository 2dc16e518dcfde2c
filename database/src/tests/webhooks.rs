//! Webhook deliveries: which events, once, in the transaction that changes the build, and for how long they are kept.

use super::*;

fn hook(name: &str, events: &[Event]) -> WebhookRecord {
    WebhookRecord { name: name.into(), events: events.to_vec(), is_per_tag: false }
}

async fn listen(world: &World, webhooks: &[WebhookRecord]) {
    world.database.put_webhooks("acme/app", webhooks).await.unwrap();
}

/// Returns the events of one webhook, oldest first.
async fn told(world: &World, webhook: &str) -> Vec<Event> {
    let mut all = world.database.notifications("acme/app", 200).await.unwrap();
    all.reverse();
    all.into_iter()
        .filter(|notification| notification.webhook == webhook)
        .map(|notification| notification.event)
        .collect()
}

async fn ended(world: &World, request: BuildRequest, outcome: Outcome) -> BuildId {
    let id = world.trigger(&[request]).await.remove(0);
    let claim = world.claim("w").await;
    assert_eq!(*claim.id(), id);
    world.database.finish(claim, outcome).await.unwrap();
    world.pass(1);
    id
}

const ALL: [Event; 6] =
    [Event::Queued, Event::Started, Event::Succeeded, Event::Failed, Event::Fixed, Event::Cancelled];

both! {
    async fn each_change_is_told_once_to_those_who_want_it(world) {
        listen(&world, &[hook("all", &ALL), hook("failures", &[Event::Failed])]).await;
        world.database.put_webhooks("acme/other", &[hook("other", &ALL)]).await.unwrap();
        let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        let claim = world.claim("w").await;
        world.database.set_state(&claim, BuildState::Building).await.unwrap();
        // Another attempt is the same build.
        world.database.finish(claim, Outcome::Retry(reason("upstream"))).await.unwrap();
        assert_eq!(told(&world, "all").await, [Event::Queued, Event::Started]);
        world.pass(60);
        let claim = world.claim("w").await;
        world.database.finish(claim, Outcome::TimedOut(reason("timeout"))).await.unwrap();
        assert_eq!(told(&world, "all").await, [Event::Queued, Event::Started, Event::Failed]);
        assert_eq!(told(&world, "failures").await, [Event::Failed]);
        let notifications = world.database.notifications("acme/app", 1).await.unwrap();
        assert_eq!((&notifications[0].build, notifications[0].state), (&id, NotificationState::Pending));
        assert!(world.database.notifications("acme/other", 9).await.unwrap().is_empty());
        let id = world.trigger(&[request("acme/app", "c2")]).await.remove(0);
        world.database.cancel(&id).await.unwrap();
        assert_eq!(told(&world, "all").await[3..], [Event::Queued, Event::Cancelled]);
    }
}

both! {
    async fn a_change_that_is_not_made_is_not_told(world) {
        listen(&world, &[hook("all", &[Event::Failed])]).await;
        world.trigger(&[request("acme/app", "c1")]).await;
        let claim = world.claim("w").await;
        // Its worker is taken for dead, and another begins.
        world.database.release("w").await.unwrap();
        let failed = || Outcome::Failed(reason("step_failed"));
        assert!(matches!(world.database.finish(claim, failed()).await, Err(Error::LeaseLost)));
        assert_eq!(told(&world, "all").await, []);
        let next = world.claim("other").await;
        world.database.finish(next, failed()).await.unwrap();
        assert_eq!(told(&world, "all").await, [Event::Failed]);
    }
}

both! {
    async fn fixed_is_what_succeeds_after_a_failure_of_its_rule_and_ref(world) {
        listen(&world, &[hook("all", &ALL), hook("plain", &[Event::Succeeded, Event::Failed])]).await;
        let (good, bad) = (|| Outcome::Succeeded(image()), || Outcome::Failed(reason("step_failed")));
        let other = |mut request: BuildRequest, git_ref: &str| {
            request.spec.git_ref = git_ref.into();
            request
        };
        ended(&world, request("acme/app", "c1"), good()).await;
        ended(&world, request("acme/app", "c2"), bad()).await;
        // Another branch and another rule have never failed.
        ended(&world, other(request("acme/app", "c3"), "refs/heads/x"), good()).await;
        ended(&world, with_policy("c3", "another", Policy::Parallel), good()).await;
        // A cancelled or superseded build says nothing about the code.
        let cancelled = world.trigger(&[request("acme/app", "c4")]).await.remove(0);
        world.database.cancel(&cancelled).await.unwrap();
        ended(&world, request("acme/app", "c5"), Outcome::Superseded(image())).await;
        ended(&world, request("acme/app", "c6"), good()).await;
        ended(&world, request("acme/app", "c7"), good()).await;
        let ends = |events: Vec<Event>| -> Vec<Event> {
            events.into_iter().filter(|event| !matches!(event, Event::Queued | Event::Started)).collect()
        };
        let (fine, failed) = (Event::Succeeded, Event::Failed);
        let expected = [fine, failed, fine, fine, Event::Cancelled, Event::Fixed, fine];
        assert_eq!(ends(told(&world, "all").await), expected);
        // A webhook without `fixed` is told that the build succeeded.
        assert_eq!(ends(told(&world, "plain").await), [fine, failed, fine, fine, fine, fine]);
    }
}

both! {
    async fn each_pushed_tag_is_told_to_those_who_want_tags(world) {
        let per_tag = WebhookRecord { name: "hub".into(), events: vec![Event::Succeeded], is_per_tag: true };
        listen(&world, &[per_tag]).await;
        let tags = vec!["r/app:1".to_owned(), "r/app:latest".to_owned()];
        ended(&world, request("acme/app", "c1"), Outcome::Failed(reason("step_failed"))).await;
        ended(&world, request("acme/app", "c2"), Outcome::Succeeded(PushedImage { tags: tags.clone(), ..image() })).await;
        // One that was not pushed has no tags.
        ended(&world, request("acme/app", "c3"), Outcome::Succeeded(image())).await;
        let mut all = world.database.notifications("acme/app", 9).await.unwrap();
        all.reverse();
        assert_eq!(all.into_iter().filter_map(|notification| notification.tag).collect::<Vec<_>>(), tags);
    }
}

both! {
    async fn notifications_are_tried_again_with_growing_pauses_and_given_up(world) {
        listen(&world, &[hook("all", &[Event::Queued]), hook("other", &[Event::Queued])]).await;
        world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2")]).await;
        let database = &world.database;
        // Of each webhook the oldest; what one process took no other takes.
        let due = database.due_notifications(9).await.unwrap();
        assert_eq!(due.iter().map(|notification| notification.webhook.as_str()).collect::<Vec<_>>(), ["all", "other"]);
        assert!(database.take_notification(&due[0]).await.unwrap());
        assert!(!world.other().await.take_notification(&due[0]).await.unwrap());
        let said = (Some(503), Some("HTTP 503"));
        let mut waited = 0;
        let mut state = database.acknowledge_notification(&due[0], Sent::Again, said.0, said.1).await.unwrap();
        while state == NotificationState::Pending {
            let notification = find(&world, &due[0].id).await;
            let pause = notification.due_ms - notification.tried_ms.unwrap();
            assert!(pause > waited, "{pause} after {waited}");
            waited = pause;
            state = database.acknowledge_notification(&notification, Sent::Again, said.0, said.1).await.unwrap();
        }
        let given_up = find(&world, &due[0].id).await;
        assert_eq!((given_up.tries, given_up.status, waited), (9, Some(503), 3_600_000));
        // Replayed, it has as many tries as a new one.
        assert!(database.replay_notification("acme/app", &given_up.id).await.unwrap());
        assert!(!database.replay_notification("acme/other", &given_up.id).await.unwrap());
        let again = find(&world, &due[0].id).await;
        assert_eq!((again.state, again.tries, again.id.as_str()), (NotificationState::Pending, 0, due[0].id.as_str()));
        assert_eq!(database.acknowledge_notification(&again, Sent::Refused, said.0, said.1).await.unwrap(), NotificationState::Failed);
    }
}

async fn find(world: &World, id: &str) -> Notification {
    let all = world.database.notifications("acme/app", 200).await.unwrap();
    all.into_iter().find(|notification| notification.id == id).unwrap()
}

both! {
    async fn a_notification_that_was_taken_and_not_sent_is_due_again(world) {
        listen(&world, &[hook("all", &[Event::Queued])]).await;
        world.trigger(&[request("acme/app", "c1")]).await;
        let taken = world.database.due_notifications(9).await.unwrap().remove(0);
        assert!(world.database.take_notification(&taken).await.unwrap());
        assert!(world.database.due_notifications(9).await.unwrap().is_empty());
        world.pass(31);
        assert_eq!(world.database.due_notifications(9).await.unwrap()[0].id, taken.id);
    }
}

both! {
    async fn records_are_bounded(world) {
        listen(&world, &[hook("all", &[Event::Queued])]).await;
        let requests: Vec<_> = (0..120).map(|number| request("acme/app", &format!("c{number}"))).collect();
        world.trigger(&requests).await;
        let database = &world.database;
        let first = database.due_notifications(1).await.unwrap().remove(0);
        while let Some(notification) = database.due_notifications(1).await.unwrap().pop() {
            database.acknowledge_notification(&notification, Sent::Delivered, Some(200), None).await.unwrap();
        }
        let kept = database.notifications("acme/app", 200).await.unwrap();
        assert_eq!(kept.len(), 100);
        assert!(kept.iter().all(|notification| notification.id != first.id && notification.state == NotificationState::Delivered));
        world.pass(31 * 86_400);
        world.trigger(&[request("acme/app", "new")]).await;
        let last = database.due_notifications(1).await.unwrap().remove(0);
        database.acknowledge_notification(&last, Sent::Delivered, Some(200), None).await.unwrap();
        assert_eq!(database.notifications("acme/app", 200).await.unwrap().len(), 1);
    }
}

both! {
    async fn webhooks_go_with_their_repository(world) {
        let database = &world.database;
        database.put_repository("acme/app", "{}", None).await.unwrap();
        listen(&world, &[hook("all", &ALL)]).await;
        world.trigger(&[request("acme/app", "c1")]).await;
        assert!(database.delete_repository("acme/app").await.unwrap());
        assert_eq!(told(&world, "all").await, [Event::Queued]);
        database.register_webhooks(&[("acme/app".into(), vec![hook("new", &[Event::Queued])])]).await.unwrap();
        world.trigger(&[request("acme/app", "c2")]).await;
        database.register_webhooks(&[]).await.unwrap();
        world.trigger(&[request("acme/app", "c3")]).await;
        assert_eq!((told(&world, "all").await.len(), told(&world, "new").await.len()), (1, 1));
    }
}
