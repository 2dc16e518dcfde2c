//! The log of a build by step: folded, with numbered lines that have addresses; of a long one the head and the tail.

use super::ansi::{Line, lines};
use super::mark::Mark;
use super::words::size;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use database::{Build, BuildState, Step, StepState};
use maud::{Markup, html};

/// Bytes of a log of which every line is read, so that its lines can be counted.
const MAX_COUNTED: i64 = 1024 * 1024;
/// Bytes at the beginning and at the end of an open step.
const OPEN: Shown = Shown { head: 16 * 1024, tail: 64 * 1024 };
/// Bytes at the beginning and at the end of a folded step.
const FOLDED: Shown = Shown { head: 4 * 1024, tail: 8 * 1024 };
/// Bytes of folded steps on one page; those after them are only linked.
const MAX_FOLDED: i64 = 192 * 1024;

#[derive(Debug, Clone, Copy)]
struct Shown {
    head: usize,
    tail: usize,
}

/// The output of a step, as far as it is shown.
struct Output {
    head: Vec<Line>,
    left_out: i64,
    tail: Vec<Line>,
    /// Number of the tail's first line, where that is known.
    tail_from: Option<usize>,
}

/// A fold of the log.
struct Fold<'s> {
    /// Number of the step; 0 for slipway itself.
    number: i64,
    step: Option<&'s Step>,
    is_open: bool,
    output: Option<Output>,
}

/// The log of a build.
pub(crate) struct StepLog<'s> {
    build: &'s Build,
    folds: Vec<Fold<'s>>,
    bytes: i64,
    /// The byte after the last one that is shown.
    next: i64,
}

impl<'s> StepLog<'s> {
    /// Reads the log of a build with these steps.
    pub(crate) async fn read(service: &Service, build: &'s Build, steps: &'s [Step]) -> Result<StepLog<'s>, Problem> {
        let database = &service.database;
        let next = database.log_length(&build.id).await?;
        let sizes = database.log_sizes(&build.id).await?;
        let open = opened(build, steps);
        let numbers = sizes.contains_key(&0).then_some(0).into_iter().chain(steps.iter().map(|step| step.number));
        let (mut folds, mut folded) = (Vec::new(), 0);
        for number in numbers {
            let is_open = open.contains(&number);
            let length = sizes.get(&number).copied().unwrap_or(0);
            let shown = if is_open { OPEN } else { FOLDED };
            let has_room = is_open || folded < MAX_FOLDED;
            let output =
                if length > 0 && has_room { Some(output(service, build, number, length, shown).await?) } else { None };
            if !is_open {
                folded += length.min((shown.head + shown.tail) as i64);
            }
            // A step that printed more than there is room for is linked.
            let output = output.or_else(|| {
                (length > 0).then(|| Output { head: Vec::new(), left_out: length, tail: Vec::new(), tail_from: None })
            });
            let step = steps.iter().find(|step| step.number == number);
            folds.push(Fold { number, step, is_open, output });
        }
        Ok(StepLog { build, folds, bytes: sizes.values().sum(), next })
    }

    /// Returns the byte after the last one that is shown.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// Returns the log with its head.
    pub(crate) fn shown(&self) -> Markup {
        let address = format!("/v1/builds/{}/logs", self.build.id.as_str());
        let has_errors = self.folds.iter().any(|fold| fold.errors().next().is_some());
        html! {
            div.lb {
                h2 #log { "Log" }
                span.tools {
                    @if has_errors { a.btn.errors href=(self.first_error()) { "First error" } }
                    label.scripted hidden { input #wrap type="checkbox" checked; "Wrap" }
                    @if self.bytes > 0 { a href=(address) download=(format!("{}-{}.log", self.build.request.repository.replace('/', "-"), self.build.number)) { "Whole log, " (size(self.bytes.unsigned_abs())) } }
                }
            }
            @if let Some(removed_ms) = self.build.log_removed_ms { p.notice { "The log was removed by retention, " (super::moment::time(removed_ms)) "." } }
            div.log { @for fold in &self.folds { (fold.shown(&address)) } }
            @if self.folds.is_empty() && self.build.log_removed_ms.is_none() { p.empty { "Nothing has been printed." } }
            @if !self.build.state.has_ended() { button #follow .scripted hidden aria-pressed="true" { "Following" } }
        }
    }

    fn first_error(&self) -> String {
        self.folds.iter().find_map(|fold| fold.errors().next()).unwrap_or_else(|| "#log".to_owned())
    }
}

/// Returns the steps that are open: those that failed or run, else nothing.
fn opened(build: &Build, steps: &[Step]) -> Vec<i64> {
    let is_open = |step: &&Step| matches!(step.state, StepState::Failed | StepState::Running);
    let mut open: Vec<i64> = steps.iter().filter(is_open).map(|step| step.number).collect();
    let is_own =
        open.is_empty() && matches!(build.state, BuildState::Failed | BuildState::Errored | BuildState::TimedOut);
    if is_own {
        open.push(0);
    }
    open
}

async fn output(service: &Service, build: &Build, number: i64, length: i64, shown: Shown) -> Result<Output, Problem> {
    let (database, id) = (&service.database, &build.id);
    let most = (shown.head + shown.tail) as i64;
    if length <= MAX_COUNTED {
        let whole = database.head_of_step(id, number, usize::try_from(length).unwrap_or(0)).await?;
        if length <= most {
            return Ok(Output { head: lines(&whole), left_out: 0, tail: Vec::new(), tail_from: None });
        }
        let (head, tail) = (whole_lines(&whole[..shown.head]), &whole[whole.len() - shown.tail..]);
        let tail = &tail[tail.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)..];
        let before = &whole[..whole.len() - tail.len()];
        let left_out = length - (head.len() + tail.len()) as i64;
        let tail_from = Some(lines(before).len() + 1);
        return Ok(Output { head: lines(head), left_out, tail: lines(tail), tail_from });
    }
    let head = database.head_of_step(id, number, shown.head).await?;
    let tail = database.tail_of_step(id, number, shown.tail).await?;
    let head = whole_lines(&head);
    let tail = &tail[tail.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)..];
    let left_out = length - (head.len() + tail.len()) as i64;
    Ok(Output { head: lines(head), left_out, tail: lines(tail), tail_from: None })
}

/// Returns the lines that are whole, unless there is but one.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes, |end| &bytes[..=end])
}

impl Fold<'_> {
    fn shown(&self, log: &str) -> Markup {
        let id = format!("s{}", self.number);
        let is_failed = self.step.is_some_and(|step| step.state == StepState::Failed);
        let colour = self.step.map_or("off", |step| Mark::of_step(step).colour());
        html! {
            details.step.(colour) id=(id) data-step=(self.number) open[self.is_open] {
                summary { (self.head()) }
                pre tabindex="0" {
                    @match &self.output {
                        None => span.gap { "No output." },
                        Some(output) => {
                            @for (at, line) in output.head.iter().enumerate() { (self.line(&(at + 1).to_string(), line, is_failed)) }
                            @if output.left_out > 0 { span.gap { "… " (size(output.left_out.unsigned_abs())) " left out: " a href=(self.address(log)) { "all of it" } } }
                            @for (at, line) in output.tail.iter().enumerate() { (self.line(&output.number_of_tail(at), line, is_failed)) }
                        }
                    }
                }
            }
        }
    }

    /// Returns the line that stays when the step is folded.
    fn head(&self) -> Markup {
        let Some(step) = self.step else {
            return html! { span {} span.nm { "slipway" } code.cut { "Messages of slipway" } span.flag {} span.num {} };
        };
        let mark = Mark::of_step(step);
        let note = match step.state {
            StepState::Failed => step.exit_code.map(|code| format!("exit {code}")),
            StepState::Succeeded if !step.cached => step.layer_size.map(size),
            StepState::Succeeded | StepState::Running => None,
            _ => Some(mark.word.to_lowercase()),
        };
        html! {
            (mark.icon())
            span.nm.cut { (plain(step.stage.as_bytes())) " " (step.number) }
            code.cut title=(format!("line {} of the Dockerfile", step.line)) { (plain(step.instruction.as_bytes())) }
            span.flag { @if let Some(note) = note { (note) } }
            span.num { (super::timeline::time_of(step)) }
        }
    }

    fn line(&self, number: &str, line: &Line, is_failed: bool) -> Markup {
        let id = format!("s{}-{number}", self.number);
        html! { span.l.e[is_failed && line.is_error()] id=(id) { a href=(format!("#{id}")) { (number.replace('e', "−")) } (line.shown()) "\n" } }
    }

    /// Returns the addresses of lines that report errors.
    fn errors(&self) -> impl Iterator<Item = String> {
        let is_failed = self.step.is_some_and(|step| step.state == StepState::Failed);
        let output = self.output.as_ref().filter(|_| is_failed);
        output.into_iter().flat_map(move |output| {
            let head = output.head.iter().enumerate().map(|(at, line)| ((at + 1).to_string(), line));
            let tail = output.tail.iter().enumerate().map(|(at, line)| (output.number_of_tail(at), line));
            let all = head.chain(tail).filter(|(_, line)| line.is_error());
            all.map(|(number, _)| format!("#s{}-{number}", self.number))
        })
    }

    fn address(&self, log: &str) -> String {
        if self.number == 0 { log.to_owned() } else { format!("{log}?step={}", self.number) }
    }
}

impl Output {
    /// Returns the number of a line of the tail: from the end, behind an `e`, where the lines before were not counted.
    fn number_of_tail(&self, at: usize) -> String {
        match self.tail_from {
            Some(from) => (from + at).to_string(),
            None => format!("e{}", self.tail.len() - at),
        }
    }
}
