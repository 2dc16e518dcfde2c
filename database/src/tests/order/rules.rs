//! The player's opponents: the rules alone, or a database.

use super::{GRACE_MS, TAG};
use crate::deliveries::push_order::{End, place};
use crate::tags::publish::{Tag, Turn};
use crate::tests::*;

/// A claimed build, as the player sees it.
#[derive(Debug)]
pub(crate) struct Held {
    pub push: usize,
    pub number: i64,
    pub claim: Claimed,
}

#[derive(Debug)]
pub(crate) enum Claimed {
    Pure { build: usize, attempt: i64 },
    Real(Box<Claim>),
}

/// An opponent of the player.
pub(crate) enum Rules {
    Pure(Pure),
    Real(World, String),
}

/// The rules alone.
#[derive(Default)]
pub(crate) struct Pure {
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
    fn deliver(&mut self, push: usize, before: &str, after: &str) {
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
    pub(crate) async fn deliver(&mut self, number: usize, before: &str, after: &str) {
        match self {
            Rules::Pure(pure) => pure.deliver(number, before, after),
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

    pub(crate) async fn claim(&mut self, choice: usize) -> Option<Held> {
        match self {
            Rules::Pure(pure) => pure.claim(choice),
            Rules::Real(world, _) => {
                let claim = world.database.claim(&format!("worker-{choice}")).await.unwrap()?;
                let push = claim.build.request.commit_message.parse().unwrap();
                Some(Held { push, number: claim.build.number, claim: Claimed::Real(Box::new(claim)) })
            }
        }
    }

    pub(crate) async fn turn(&mut self, held: &Held) -> Turn {
        match (self, &held.claim) {
            (Rules::Pure(pure), Claimed::Pure { build, attempt }) => pure.turn(*build, *attempt),
            (Rules::Real(world, _), Claimed::Real(claim)) => world.database.take_tag(claim, TAG).await.unwrap(),
            _ => unreachable!(),
        }
    }

    pub(crate) async fn end(&mut self, held: &Held) {
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

    pub(crate) async fn finish(&mut self, held: Held, published: bool) {
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
    pub(crate) async fn lose(&mut self, held: Held) {
        match (self, held.claim) {
            (Rules::Pure(pure), Claimed::Pure { build, attempt }) => pure.end_of(build, attempt >= 3),
            (Rules::Real(world, _), Claimed::Real(claim)) => {
                let lost = "UPDATE builds SET lease_until_ms = 0 WHERE id = $1";
                crate::sql::statement::sql("test", lost)
                    .bind(claim.build.id.as_str())
                    .run(world.database.write())
                    .await
                    .unwrap();
                assert_eq!(world.database.expire_leases().await.unwrap(), [claim.build.id]);
            }
            _ => unreachable!(),
        }
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        match self {
            Rules::Pure(pure) => pure.now_ms += ms,
            Rules::Real(world, _) => world.database.clock.advance(Duration::from_millis(ms as u64)),
        }
    }
}
