//! The events of a running build; the worker writes it to the database, `slipway build` to the terminal.

use registry_client::Digest;
use std::time::Duration;

/// Somebody who is told of a build's progress; called from several threads.
pub trait Observer: Sync {
    /// Takes note of one event; must not block for long, because a step waits for it.
    fn observe(&self, event: Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: Event<'_>) {}
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A phase before or after the steps begins; the text stands alone.
    Phase(Phase, &'a str),
    /// The commit that is built is known.
    Commit {
        /// Full hash.
        id: &'a str,
        /// First line of its message.
        message: &'a str,
    },
    /// The steps are known, in the order of the Dockerfile.
    Planned(&'a [StepSummary]),
    /// Something the user should know that does not end the build.
    Warning(&'a str),
    /// A base image is what its name meant earlier: its registry cannot be asked. Stays with the build.
    StaleImage(&'a str),
    /// A step waits for the end of another stage.
    Waiting {
        /// Its number.
        step: usize,
    },
    /// A step begins: what it needs is there.
    Started {
        /// Its number.
        step: usize,
    },
    /// A step printed something.
    Output {
        /// Its number.
        step: usize,
        /// The bytes as they came.
        bytes: &'a [u8],
    },
    /// A step is done.
    Finished {
        /// Its number.
        step: usize,
        /// Whether its layer came from the cache.
        cached: bool,
        /// How long it took.
        duration: Duration,
    },
    /// The layer of a step is in the store.
    Layer {
        /// The step's number.
        step: usize,
        /// Digest of the compressed layer.
        digest: &'a Digest,
        /// Its bytes.
        size: u64,
    },
    /// A step was given up because another failed or the build was ended.
    Cancelled {
        /// Its number.
        step: usize,
        /// How long it ran.
        duration: Duration,
    },
    /// A step failed.
    Failed {
        /// Its number.
        step: usize,
        /// The command's exit code, for a `RUN` that ran.
        exit_code: Option<i32>,
        /// How long it took.
        duration: Duration,
    },
}

impl Event<'_> {
    /// Returns the event of a step that `before` others come before, in a build that is shown as part of a larger one.
    pub(crate) fn after(self, before: usize) -> Self {
        match self {
            Event::Waiting { step } => Event::Waiting { step: step + before },
            Event::Started { step } => Event::Started { step: step + before },
            Event::Output { step, bytes } => Event::Output { step: step + before, bytes },
            Event::Layer { step, digest, size } => Event::Layer { step: step + before, digest, size },
            Event::Finished { step, cached, duration } => Event::Finished { step: step + before, cached, duration },
            Event::Cancelled { step, duration } => Event::Cancelled { step: step + before, duration },
            Event::Failed { step, exit_code, duration } => Event::Failed { step: step + before, exit_code, duration },
            other => other,
        }
    }
}

/// A part of a build's life outside its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The commit is fetched, the Dockerfile read, base images resolved.
    Preparing,
    /// Steps are executed.
    Building,
    /// The manifest and the tags are pushed.
    Pushing,
}

/// A step before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSummary {
    /// Counts the steps of the build from 1.
    pub number: usize,
    /// The stage's name, or `stage-N`.
    pub stage: String,
    /// Position among the steps of the stage that can make a layer, from 1, and their number: `2/5`.
    pub position: (usize, usize),
    /// The instruction on one line.
    pub instruction: String,
    /// First line in the Dockerfile, from 1.
    pub line: usize,
}

impl StepSummary {
    /// Returns the step's stage and place among all steps of it as BuildKit shows it: `[stage 2/5]`.
    pub fn place(&self) -> String {
        let (at, of) = self.position;
        if at == 0 { format!("[{}]", self.stage) } else { format!("[{} {at}/{of}]", self.stage) }
    }
}
