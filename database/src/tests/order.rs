//! R5: a mutable tag never ends at an older commit, whatever is delivered when and whoever crashes where.
//!
//! One player makes pushes, delivers them in some order, lets workers build, publish, crash and send late requests, and
//! looks at the tag when all is quiet. It plays against the rules alone, 100,000 times, and against real databases, less often.

use super::*;
use crate::chain::{End, place};
use crate::publish::{Tag, Turn};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::HashMap;

const TAG: &str = "app:latest";
const GRACE_MS: i64 = 15_000;

/// A claimed build, as the player sees it.
#[derive(Debug)]
struct Held {
    push: usize,
    number: i64,
    claim: Claimed,
}

#[derive(Debug)]
enum Claimed {
    Pure { build: usize, attempt: i64 },
    Real(Box<Claim>),
}

/// What the player plays against.
enum Rules {
    Pure(Pure),
    Real(World, String),
}

/// The rules alone.
#[derive(Default)]
struct Pure {
    now_ms: i64,
    last: i64,
    pushes: Vec<PurePush>,
    builds: Vec<PureBuild>,
    tag: Tag,
}

struct PurePush {
    push: usize,
    before: String,
    after: String,
    sequence: i64,
    segment: i64,
    is_head: bool,
    is_tail: bool,
}

struct PureBuild {
    push: usize,
    sequence: i64,
    attempt: i64,
    works: bool,
    is_over: bool,
    moved: bool,
}

impl Pure {
    fn deliver(&mut self, push: usize, (before, after): (&str, &str)) {
        let segment_last = |segment| {
            self.pushes.iter().filter(|known| known.segment == segment).map(|known| known.sequence).max().unwrap()
        };
        let end = |known: &PurePush| End {
            sequence: known.sequence,
            segment: known.segment,
            last: segment_last(known.segment),
        };
        let tails = self.pushes.iter().filter(|known| known.is_tail && known.after == before);
        let begins = tails.max_by_key(|known| known.sequence).map(end);
        let heads = self.pushes.iter().filter(|known| known.is_head && known.before == after);
        let ends = heads.min_by_key(|known| known.sequence).map(end);
        let place = place(begins, ends, self.last);
        let segment = begins.map_or(push as i64, |end| end.segment);
        self.last = place.last;
        for known in &mut self.pushes {
            known.is_tail &= begins.is_none_or(|end| end.sequence != known.sequence);
            if let Some(end) = ends.filter(|_| place.joins_after) {
                known.is_head &= end.sequence != known.sequence;
            }
        }
        for known in &mut self.pushes {
            if ends.is_some_and(|end| place.joins_after && known.segment == end.segment) {
                known.segment = segment;
                known.sequence += place.shift;
                for build in self.builds.iter_mut().filter(|build| build.push == known.push) {
                    build.sequence += place.shift;
                    build.moved |= place.shift > 0;
                }
            }
        }
        let (is_head, is_tail) = (!place.joins_before, !place.joins_after);
        let (before, after, sequence) = (before.to_owned(), after.to_owned(), place.sequence);
        self.pushes.push(PurePush { push, before, after, sequence, segment, is_head, is_tail });
        let moved: Vec<_> = self
            .builds
            .iter()
            .filter(|build| build.moved && (build.works || build.is_over))
            .map(|build| (build.push, build.sequence))
            .collect();
        self.builds.iter_mut().for_each(|build| build.moved = false);
        for (push, sequence) in moved {
            self.queue(push, sequence);
        }
        self.queue(push, sequence);
    }

    fn queue(&mut self, push: usize, sequence: i64) {
        self.builds.push(PureBuild { push, sequence, attempt: 0, works: false, is_over: false, moved: false });
    }

    fn claim(&mut self, choice: usize) -> Option<Held> {
        let ready: Vec<_> =
            (0..self.builds.len()).filter(|at| !self.builds[*at].works && !self.builds[*at].is_over).collect();
        let build = *ready.get(choice % ready.len().max(1))?;
        let row = &mut self.builds[build];
        row.attempt += 1;
        row.works = true;
        Some(Held { push: row.push, number: build as i64, claim: Claimed::Pure { build, attempt: row.attempt } })
    }

    fn turn(&mut self, build: usize, attempt: i64) -> Turn {
        let name = build.to_string();
        let holder = self.tag.holder.as_ref().map(|(build, attempt)| (build.parse::<usize>().unwrap(), *attempt));
        self.tag.holder_works =
            holder.is_some_and(|(build, attempt)| self.builds[build].works && self.builds[build].attempt == attempt);
        let turn = self.tag.turn((&name, attempt), self.builds[build].sequence, self.now_ms);
        if turn == Turn::Go {
            self.tag.holder = Some((name, attempt));
        }
        turn
    }

    fn end_of(&mut self, build: usize, is_over: bool) {
        if self.tag.holder.as_ref().is_some_and(|holder| holder.0 == build.to_string()) {
            self.tag.held_until_ms = self.now_ms + GRACE_MS;
        }
        let row = &mut self.builds[build];
        row.works = false;
        row.is_over = is_over;
    }
}

impl Rules {
    async fn deliver(&mut self, number: usize, (before, after): (&str, &str)) {
        match self {
            Rules::Pure(pure) => pure.deliver(number, (before, after)),
            Rules::Real(world, repository) => {
                let mut asked = request(repository, after);
                asked.commit_message = number.to_string();
                let (delivery, repository) = (number.to_string(), repository.clone());
                let body = delivery.clone().into();
                let delivery = NewDelivery { delivery, body, repository, ..push(Some(before), after) };
                new_builds(world.database.accept(&delivery, &[asked], None).await.unwrap());
            }
        }
    }

    async fn claim(&mut self, choice: usize) -> Option<Held> {
        match self {
            Rules::Pure(pure) => pure.claim(choice),
            Rules::Real(world, _) => {
                let claim = world.database.claim(&format!("worker-{choice}")).await.unwrap()?;
                let push = claim.build.request.commit_message.parse().unwrap();
                Some(Held { push, number: claim.build.number, claim: Claimed::Real(Box::new(claim)) })
            }
        }
    }

    async fn turn(&mut self, held: &Held) -> Turn {
        match (self, &held.claim) {
            (Rules::Pure(pure), Claimed::Pure { build, attempt }) => pure.turn(*build, *attempt),
            (Rules::Real(world, _), Claimed::Real(claim)) => world.database.take_tag(claim, TAG).await.unwrap(),
            _ => unreachable!(),
        }
    }

    async fn end(&mut self, held: &Held) {
        match (self, &held.claim) {
            (Rules::Pure(pure), Claimed::Pure { build, .. }) => {
                pure.tag = Tag { sequence: pure.builds[*build].sequence, ..Tag::default() };
            }
            (Rules::Real(world, _), Claimed::Real(claim)) => {
                world.database.end_publish(claim, TAG, "sha256:1").await.unwrap();
            }
            _ => unreachable!(),
        }
    }

    async fn finish(&mut self, held: Held, published: bool) {
        match (self, held.claim) {
            (Rules::Pure(pure), Claimed::Pure { build, .. }) => pure.end_of(build, true),
            (Rules::Real(world, _), Claimed::Real(claim)) => {
                let outcome = if published { Outcome::Succeeded(image()) } else { Outcome::Superseded(image()) };
                world.database.finish(*claim, outcome).await.unwrap();
            }
            _ => unreachable!(),
        }
    }

    /// The worker is cut off: its lease ends, the build is queued again or has been tried often enough.
    async fn lose(&mut self, held: Held) {
        match (self, held.claim) {
            (Rules::Pure(pure), Claimed::Pure { build, attempt }) => pure.end_of(build, attempt >= 3),
            (Rules::Real(world, _), Claimed::Real(claim)) => {
                let lost = "UPDATE builds SET lease_until_ms = 0 WHERE id = $1";
                sql::sql("test", lost).bind(claim.build.id.as_str()).run(world.database.write()).await.unwrap();
                assert_eq!(world.database.expire_leases().await.unwrap(), [claim.build.id]);
            }
            _ => unreachable!(),
        }
    }

    fn pass(&mut self, ms: i64) {
        match self {
            Rules::Pure(pure) => pure.now_ms += ms,
            Rules::Real(world, _) => world.database.clock.advance(Duration::from_millis(ms as u64)),
        }
    }
}

/// A worker at one point of its work.
enum At {
    Building(Held),
    /// Told to go; its request is on its way.
    Putting(Held),
    /// Its request arrived.
    Put(Held),
}

/// The game.
struct Game {
    rules: Rules,
    pushes: Vec<(String, String)>,
    undelivered: Vec<usize>,
    workers: Vec<At>,
    /// Requests of workers that were cut off, with the last moment at which they may arrive.
    late: Vec<(usize, i64)>,
    now_ms: i64,
    shown: Option<usize>,
    /// Of each push the latest build and whether it was good.
    built: HashMap<usize, (i64, bool)>,
}

impl Game {
    /// Makes pushes from the choices: new commits, forced ones too, or, if `goes_back`, also back to an old commit.
    fn new(rules: Rules, choices: &[u8], goes_back: bool) -> Self {
        let mut pushes = Vec::new();
        let mut commits = vec!["c0".to_owned()];
        for (number, choice) in choices.iter().enumerate() {
            let before = pushes.last().map_or("c0".to_owned(), |(_, after): &(String, String)| after.clone());
            let back = commits[usize::from(*choice) % commits.len()].clone();
            let after = if goes_back && choice % 3 == 0 && back != before { back } else { format!("c{}", number + 1) };
            commits.push(after.clone());
            pushes.push((before, after));
        }
        let undelivered = (0..pushes.len()).collect();
        Game {
            rules,
            pushes,
            undelivered,
            workers: Vec::new(),
            late: Vec::new(),
            now_ms: 0,
            shown: None,
            built: HashMap::new(),
        }
    }

    async fn step(&mut self, action: u8, choice: usize, in_order: bool) {
        match action % 8 {
            0 | 1 if !self.undelivered.is_empty() => {
                let at = if in_order { 0 } else { choice % self.undelivered.len() };
                let number = self.undelivered.remove(at);
                let (before, after) = self.pushes[number].clone();
                self.rules.deliver(number, (&before, &after)).await;
            }
            2 => {
                if let Some(held) = self.rules.claim(choice).await {
                    self.workers.push(At::Building(held));
                }
            }
            3 if !self.workers.is_empty() => self.lose(choice).await,
            4 if !self.late.is_empty() => {
                let (push, until) = self.late.remove(choice % self.late.len());
                if self.now_ms < until {
                    self.shown = Some(push);
                }
            }
            5 => self.pass([100, 1_000, 8_000, 16_000][choice % 4]),
            _ if !self.workers.is_empty() => self.work(choice).await,
            _ => {}
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.rules.pass(ms);
    }

    async fn lose(&mut self, choice: usize) {
        let worker = self.workers.swap_remove(choice % self.workers.len());
        let held = match worker {
            At::Putting(held) => {
                self.late.push((held.push, self.now_ms + GRACE_MS));
                held
            }
            At::Building(held) | At::Put(held) => held,
        };
        self.note(&held, false);
        self.rules.lose(held).await;
    }

    async fn work(&mut self, choice: usize) {
        let worker = self.workers.swap_remove(choice % self.workers.len());
        match worker {
            At::Building(held) => match self.rules.turn(&held).await {
                Turn::Go => self.workers.push(At::Putting(held)),
                Turn::Wait => self.workers.push(At::Building(held)),
                Turn::Superseded => {
                    self.note(&held, true);
                    self.rules.finish(held, false).await;
                }
            },
            At::Putting(held) => {
                self.shown = Some(held.push);
                self.workers.push(At::Put(held));
            }
            At::Put(held) => {
                self.rules.end(&held).await;
                self.note(&held, true);
                self.rules.finish(held, true).await;
            }
        }
    }

    fn note(&mut self, held: &Held, good: bool) {
        let known = self.built.entry(held.push).or_insert((held.number, good));
        if known.0 <= held.number {
            *known = (held.number, good);
        }
    }

    /// Delivers what is left and lets all builds end; nobody crashes any more.
    async fn come_to_rest(&mut self, in_order: bool) {
        while !self.undelivered.is_empty() {
            self.step(0, self.undelivered.len() / 2, in_order).await;
        }
        loop {
            while let Some(held) = self.rules.claim(0).await {
                self.workers.push(At::Building(held));
            }
            if self.workers.is_empty() {
                break;
            }
            for at in (0..self.workers.len()).rev() {
                self.work(at).await;
            }
            self.pass(5_000);
        }
        self.pass(GRACE_MS);
    }

    fn check(&self) -> Result<(), String> {
        let newest = self.built.iter().filter(|(_, (_, good))| *good).map(|(push, _)| *push).max();
        // One that was cut off may have been faster than its end: the tag shows a newer commit, which is no step back.
        let fine = newest.is_none_or(|newest| {
            self.shown.is_some_and(|shown| {
                shown >= newest || self.pushes[newest..].iter().any(|push| push.1 == self.pushes[shown].1)
            })
        });
        let state = (&self.pushes, &self.shown, &newest);
        if fine { Ok(()) } else { Err(format!("pushes, shown, newest good: {state:?}")) }
    }
}

async fn play(rules: Rules, choices: &[u8], goes_back: bool) -> (Rules, Result<(), String>) {
    let pushes = 1 + usize::from(choices.first().copied().unwrap_or(0)) % 6;
    let (made, rest) = choices.split_at(pushes.min(choices.len()));
    let mut game = Game::new(rules, made, goes_back);
    for pair in rest.chunks_exact(2) {
        game.step(pair[0], pair[1].into(), goes_back).await;
    }
    game.come_to_rest(goes_back).await;
    let result = game.check();
    (game.rules, result)
}

fn run_schedules(cases: u32, goes_back: bool) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let schedules = prop::collection::vec(any::<u8>(), 1..100);
    let result = TestRunner::new(config).run(&schedules, |choices| {
        let (_, played) = runtime.block_on(play(Rules::Pure(Pure::default()), &choices, goes_back));
        played.map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

// R5, RL14: new and forced commits, delivered in any order.
#[test]
fn a_tag_never_ends_at_an_older_commit_in_60_000_schedules_of_any_order() {
    run_schedules(60_000, false);
}

// R5, RL14: a ref that is set back to commits it had before. Their pushes are delivered in order: where a commit comes
// twice, the commits alone do not tell the order.
#[test]
fn a_tag_never_ends_at_an_older_commit_in_60_000_schedules_with_resets() {
    run_schedules(60_000, true);
}

both! {
    // R5, MW-05
    async fn a_tag_never_ends_at_an_older_commit_in_the_database(world) {
        let mut world = Some(world);
        let mut choices = 0x9e37_79b9_7f4a_7c15_u64;
        for schedule in 0..60 {
            let bytes: Vec<u8> = (0..90).map(|_| {
                choices ^= choices << 13;
                choices ^= choices >> 7;
                choices ^= choices << 17;
                (choices >> 32) as u8
            }).collect();
            let rules = Rules::Real(world.take().unwrap(), format!("acme/app{schedule}"));
            let (rules, result) = play(rules, &bytes, schedule % 2 == 1).await;
            result.unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
            let Rules::Real(same, _) = rules else { unreachable!() };
            world = Some(same);
        }
    }
}

both! {
    // RL14, MW-05
    async fn an_older_build_that_is_slower_leaves_the_tag_alone(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "old"), request("acme/app", "new")]).await;
        let (old, new) = (world.claim("one").await, world.claim("two").await);
        assert_eq!(database.begin_publish(&new, TAG).await.unwrap(), Publish::Go);
        database.end_publish(&new, TAG, "sha256:1").await.unwrap();
        assert_eq!(database.begin_publish(&old, TAG).await.unwrap(), Publish::Superseded);
        assert_eq!(database.begin_publish(&old, "app:old").await.unwrap(), Publish::Go);
        assert_eq!(database.begin_publish(&new, TAG).await.unwrap(), Publish::Go, "it may say so again");
        let moved = database.moved_tags(0).await.unwrap();
        assert_eq!(moved.len(), 0, "held tags are not at rest: {moved:?}");
        database.end_publish(&new, TAG, "sha256:1").await.unwrap();
        assert_eq!(database.moved_tags(0).await.unwrap()[0].digest, "sha256:1");
        assert_eq!(database.finish(old, Outcome::Superseded(image())).await.unwrap(), BuildState::Superseded);
    }
}

both! {
    async fn one_attempt_at_a_time_moves_a_tag(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "old"), request("acme/app", "new")]).await;
        let (old, new) = (world.claim("one").await, world.claim("two").await);
        assert_eq!(database.begin_publish(&old, TAG).await.unwrap(), Publish::Go);
        let waiting = world.other().await;
        let wait = tokio::spawn(async move { (waiting.begin_publish(&new, TAG).await.unwrap(), new) });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!wait.is_finished());
        database.end_publish(&old, TAG, "sha256:1").await.unwrap();
        let (publish, new) = wait.await.unwrap();
        assert_eq!(publish, Publish::Go);
        // The newer one dies before it says that it is done: its request may arrive for another while.
        database.release("two").await.unwrap();
        let again = world.claim("three").await;
        assert_eq!(again.build.id, new.build.id);
        assert_eq!(database.take_tag(&again, TAG).await.unwrap(), Turn::Go, "a dead process sends nothing more");
        world.pass(61);
        database.expire_leases().await.unwrap();
        let third = world.claim("four").await;
        let fresh = world.claim("five").await;
        let (third, _) = if third.build.id == new.build.id { (third, fresh) } else { (fresh, third) };
        assert_eq!(database.take_tag(&third, TAG).await.unwrap(), Turn::Wait, "one that was cut off may");
        world.pass(16);
        assert_eq!(database.take_tag(&third, TAG).await.unwrap(), Turn::Go);
    }
}

both! {
    // R5.1
    async fn pushes_are_in_the_order_of_their_commits(world) {
        let database = &world.database;
        let accept = |before: &'static str, after: &'static str| {
            let database = database.clone();
            async move {
                let delivery = push(Some(before), after);
                new_builds(database.accept(&delivery, &[request("acme/app", after)], None).await.unwrap()).remove(0)
            }
        };
        // c→d arrives first, then a→b, which seems newer, and is built; then b→c joins them.
        let last = accept("c", "d").await;
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        let first = accept("a", "b").await;
        assert!(world.build(&first).await.sequence > world.build(&last).await.sequence);
        let middle = accept("b", "c").await;
        let sequence = |id: &BuildId| {
            let (database, id) = (database.clone(), id.clone());
            async move { database.build(&id).await.unwrap().unwrap().sequence }
        };
        assert!(sequence(&first).await < sequence(&middle).await && sequence(&middle).await < sequence(&last).await);
        // What was published before its place was known is published again.
        let newest = database.builds(&BuildFilter { limit: 10, trigger: Some("retry".into()), ..BuildFilter::default() }).await.unwrap();
        assert_eq!((newest.len(), newest[0].sequence), (1, sequence(&last).await));
        // A trigger for a known commit is as old as its push, one for an unknown one is the newest.
        let known = world.trigger(&[request("acme/app", "c")]).await.remove(0);
        assert_eq!(sequence(&known).await, sequence(&middle).await);
        let unknown = world.trigger(&[request("acme/app", "elsewhere")]).await.remove(0);
        assert!(sequence(&unknown).await > sequence(&last).await);
    }
}

both! {
    async fn a_build_of_a_ref_is_as_new_as_the_commit_that_it_finds(world) {
        let database = &world.database;
        let mut of_ref = request("acme/app", "x");
        of_ref.spec.commit = None;
        let id = world.trigger(&[of_ref]).await.remove(0);
        let claim = world.claim("one").await;
        let pushed = new_builds(database.accept(&push(Some("a"), "b"), &[request("acme/app", "b")], None).await.unwrap());
        database.set_commit(&claim, "b", "message").await.unwrap();
        let (found, push) = (world.build(&id).await, world.build(&pushed[0]).await);
        assert_eq!((found.sequence, found.commit.as_deref()), (push.sequence, Some("b")));
    }
}
