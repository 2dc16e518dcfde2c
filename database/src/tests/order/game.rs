//! The player: makes pushes, delivers them, and lets workers build, publish, crash, and send requests that arrive late.

use super::GRACE_MS;
use super::rules::{Held, Rules};
use crate::tags::publish::Turn;
use std::collections::HashMap;

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
                self.rules.deliver(number, &before, &after).await;
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
        // One that was cut off may have been faster than its end: the tag shows a newer commit, which is not a step back.
        let fine = newest.is_none_or(|newest| {
            self.shown.is_some_and(|shown| {
                shown >= newest || self.pushes[newest..].iter().any(|push| push.1 == self.pushes[shown].1)
            })
        });
        let state = (&self.pushes, &self.shown, &newest);
        if fine { Ok(()) } else { Err(format!("pushes, shown, newest good: {state:?}")) }
    }
}

pub(crate) async fn play(rules: Rules, choices: &[u8], goes_back: bool) -> (Rules, Result<(), String>) {
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
