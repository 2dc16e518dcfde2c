//! Where the time of a build went: spans of work and of waiting, for Chrome's trace viewer and as a critical path.

use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Pieces of a critical path that are not worth naming.
const NEGLIGIBLE: Duration = Duration::from_micros(500);

/// Characters of a name that are written.
const LONGEST_NAME: usize = 200;

/// The kind of work that a span measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// The commit is fetched.
    Fetch,
    /// Base images are resolved.
    Resolve,
    /// A step looks for its layer: sources are selected, its key is made and looked up.
    Key,
    /// A step is executed.
    Step,
    /// A base layer is downloaded.
    Pull,
    /// A layer is unpacked for a step.
    Unpack,
    /// Changes become a layer: tar, hashes, compression, file.
    Pack,
    /// A layer goes to the registry.
    Upload,
    /// Layers become durable and known to the cache.
    Settle,
    /// Manifest and tags are pushed.
    Push,
    /// Something unfinished is waited for.
    Wait,
}

impl Work {
    /// Returns the word that stands for it in traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Work::Fetch => "fetch",
            Work::Resolve => "resolve",
            Work::Key => "key",
            Work::Step => "step",
            Work::Pull => "pull",
            Work::Unpack => "unpack",
            Work::Pack => "pack",
            Work::Upload => "upload",
            Work::Settle => "settle",
            Work::Push => "push",
            Work::Wait => "wait",
        }
    }
}

/// Something that took time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Of which kind.
    pub work: Work,
    /// On what.
    pub name: String,
    /// The thread: counted from 1 as they appear.
    pub lane: usize,
    /// When it began, after the trace did.
    pub began: Duration,
    /// When it ended.
    pub ended: Duration,
}

/// Collects spans; clones write into the same trace.
#[derive(Debug, Clone)]
pub struct Trace {
    began: Instant,
    collected: Arc<Mutex<Collected>>,
}

#[derive(Debug, Default)]
struct Collected {
    spans: Vec<Span>,
    lanes: HashMap<ThreadId, usize>,
    cpu: Option<Duration>,
}

/// A span that lasts until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct Open<'t> {
    trace: &'t Trace,
    work: Work,
    name: String,
    began: Instant,
}

impl Default for Trace {
    fn default() -> Self {
        Trace { began: Instant::now(), collected: Arc::default() }
    }
}

impl Trace {
    /// Begins a span.
    pub fn span(&self, work: Work, name: impl Into<String>) -> Open<'_> {
        Open { trace: self, work, name: name.into(), began: Instant::now() }
    }

    /// Adds the processor time of a sandbox.
    pub fn add_cpu(&self, time: Duration) {
        *self.collected().cpu.get_or_insert_default() += time;
    }

    /// Returns the processor time of all sandboxes; `None` where no sandbox was needed or none counts it.
    pub fn cpu(&self) -> Option<Duration> {
        self.collected().cpu
    }

    /// Returns what was collected, in the order of beginning.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = self.collected().spans.clone();
        spans.sort_by_key(|span| (span.began, std::cmp::Reverse(span.ended)));
        spans
    }

    /// Returns the trace in the format of Chrome's `about:tracing` and Perfetto: the longest spans, `most` of them,
    /// with their names as `shown` gives them.
    pub fn to_chrome(&self, most: usize, shown: &dyn Fn(&str) -> String) -> String {
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        let mut spans = self.spans();
        let left_out = spans.len().saturating_sub(most);
        if left_out > 0 {
            spans.sort_by_key(|span| std::cmp::Reverse(span.ended - span.began));
            spans.truncate(most);
            spans.sort_by_key(|span| (span.began, std::cmp::Reverse(span.ended)));
        }
        let events: Vec<_> = spans
            .into_iter()
            .map(|span| {
                let name: String = shown(&span.name).chars().take(LONGEST_NAME).collect();
                json!({
                    "name": name, "cat": span.work.as_str(), "ph": "X", "pid": 1, "tid": span.lane,
                    "ts": micros(span.began), "dur": micros(span.ended - span.began),
                })
            })
            .collect();
        let other = json!({ "left_out": left_out });
        json!({ "displayTimeUnit": "ms", "otherData": other, "traceEvents": events }).to_string()
    }

    /// Returns the work that the end of the build waited for, in order: shortening any of it shortens the build.
    pub fn critical_path(&self) -> Vec<Span> {
        critical_path(&self.spans())
    }

    /// Returns the critical path as one line, without what took next to nothing.
    pub fn summary(&self) -> String {
        let seconds = |span: &Span| (span.ended - span.began).as_secs_f64();
        let path = self.critical_path();
        let parts = path.iter().filter(|span| span.ended - span.began >= NEGLIGIBLE);
        let parts: Vec<_> =
            parts.map(|span| format!("{} {} {:.3}s", span.work.as_str(), span.name, seconds(span))).collect();
        format!("critical path: {}", parts.join(" > "))
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let ended = self.trace.began.elapsed();
        let began = self.began.saturating_duration_since(self.trace.began);
        let mut collected = self.trace.collected();
        let next = collected.lanes.len() + 1;
        let lane = *collected.lanes.entry(std::thread::current().id()).or_insert(next);
        collected.spans.push(Span { work: self.work, name: std::mem::take(&mut self.name), lane, began, ended });
    }
}

/// A time in which a thread did nothing but the work of one span: not what is within it, nor waiting.
struct Own<'s> {
    span: &'s Span,
    began: Duration,
    ended: Duration,
}

/// Returns the own times of all spans: what a span waits for, or does in spans within it, is not its own.
fn own_times(spans: &[Span]) -> Vec<Own<'_>> {
    let mut lanes: HashMap<usize, Vec<&Span>> = HashMap::new();
    for span in spans {
        lanes.entry(span.lane).or_default().push(span);
    }
    let mut own = Vec::with_capacity(spans.len());
    for lane in lanes.values_mut() {
        lane.sort_by_key(|span| (span.began, std::cmp::Reverse(span.ended)));
        // The spans that are open at a time, outermost first, and until when each was told of.
        let mut open: Vec<(&Span, Duration)> = Vec::new();
        for &span in lane.iter() {
            close(&mut open, span.began, &mut own);
            if let Some(&(outer, from)) = open.last() {
                own.extend(Own::of(outer, from, span.began));
            }
            open.push((span, span.began));
        }
        close(&mut open, Duration::MAX, &mut own);
    }
    own
}

/// Ends the spans that are over at `until`; what is outside of them goes on where they ended.
fn close<'s>(open: &mut Vec<(&'s Span, Duration)>, until: Duration, own: &mut Vec<Own<'s>>) {
    while let Some(&(last, from)) = open.last().filter(|(last, _)| last.ended <= until) {
        own.extend(Own::of(last, from, last.ended));
        open.pop();
        if let Some((_, told)) = open.last_mut() {
            *told = last.ended.max(*told);
        }
    }
}

impl<'s> Own<'s> {
    fn of(span: &'s Span, began: Duration, ended: Duration) -> Option<Self> {
        (span.work != Work::Wait && began < ended).then_some(Own { span, began, ended })
    }
}

/// Walks back from the end: to the work that ended last, through its own time, and from its beginning on in the same way.
fn critical_path(spans: &[Span]) -> Vec<Span> {
    let own = own_times(spans);
    let mut path: Vec<Span> = Vec::new();
    let mut at = spans.iter().map(|span| span.ended).max().unwrap_or_default();
    loop {
        let work = own.iter().filter(|own| own.began < at);
        // Of work at the same time, what began last; of two that began together, what the same thread went on from.
        let lane = path.last().map(|later| later.lane);
        let key = |own: &&Own<'_>| (own.ended.min(at), own.began, Some(own.span.lane) == lane, own.span.lane);
        let Some(last) = work.max_by_key(key) else { break };
        let end = last.ended.min(at);
        let same = |later: &&mut Span| later.lane == last.span.lane && later.name == last.span.name;
        match path.last_mut().filter(|later| same(later) && later.began.saturating_sub(end) < NEGLIGIBLE) {
            Some(later) => later.began = last.began,
            None => path.push(Span { began: last.began, ended: end, ..last.span.clone() }),
        }
        at = last.began;
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(work: Work, name: &str, lane: usize, began: u64, ended: u64) -> Span {
        let (began, ended) = (Duration::from_secs(began), Duration::from_secs(ended));
        Span { work, name: name.to_owned(), lane, began, ended }
    }

    #[test]
    fn the_critical_path_goes_through_what_was_waited_for() {
        let spans = [
            span(Work::Resolve, "base", 1, 0, 1),
            span(Work::Step, "short", 2, 1, 3),
            span(Work::Step, "long", 3, 1, 6),
            span(Work::Unpack, "base", 3, 1, 2),
            span(Work::Wait, "stage long", 2, 3, 6),
            span(Work::Step, "copy", 2, 6, 7),
            span(Work::Upload, "layer", 4, 7, 9),
        ];
        let path = critical_path(&spans);
        let names: Vec<_> = path.iter().map(|span| (span.work.as_str(), span.name.as_str())).collect();
        let expected =
            [("resolve", "base"), ("unpack", "base"), ("step", "long"), ("step", "copy"), ("upload", "layer")];
        assert_eq!(names, expected);
        assert_eq!(path[2].began, Duration::from_secs(2));
    }

    #[test]
    fn waiting_inside_a_step_is_not_the_steps_own_time() {
        let spans =
            [span(Work::Step, "outer", 1, 0, 10), span(Work::Wait, "blob", 1, 1, 8), span(Work::Pull, "blob", 2, 2, 8)];
        let path: Vec<_> = critical_path(&spans).into_iter().map(|span| (span.name, span.began.as_secs())).collect();
        assert_eq!(path, [("outer".to_owned(), 0), ("blob".to_owned(), 2), ("outer".to_owned(), 8)]);
    }

    #[test]
    fn a_copy_is_not_blamed_for_the_stage_that_it_waits_for() {
        // US-02: the wait ends a moment after the work that was waited for.
        let at = Duration::from_millis;
        let span = |work, name: &str, lane, began, ended| Span {
            work,
            name: name.to_owned(),
            lane,
            began: at(began),
            ended: at(ended),
        };
        let spans = [
            span(Work::Key, "COPY --from=build", 1, 0, 1740),
            span(Work::Wait, "stage build", 1, 2, 1735),
            span(Work::Step, "RUN one", 2, 3, 1063),
            span(Work::Step, "RUN two", 2, 1064, 1734),
            span(Work::Step, "COPY --from=build", 1, 1740, 1750),
        ];
        let path = critical_path(&spans);
        let of = |name: &str| path.iter().filter(|span| span.name == name).map(|span| span.ended - span.began).sum();
        let own: [Duration; 3] = ["RUN one", "RUN two", "COPY --from=build"].map(of);
        assert_eq!(own, [at(1060), at(670), at(17)]);
    }

    #[test]
    fn the_chrome_form_has_an_event_for_each_span() {
        let trace = Trace::default();
        drop(trace.span(Work::Fetch, "commit"));
        let written: serde_json::Value = serde_json::from_str(&trace.to_chrome(9, &str::to_owned)).unwrap();
        assert_eq!(written["traceEvents"][0]["cat"], "fetch");
        assert_eq!(written["traceEvents"][0]["ph"], "X");
        assert!(trace.summary().starts_with("critical path:"));
    }

    #[test]
    fn of_too_many_spans_the_longest_are_written() {
        let trace = Trace::default();
        let open = trace.span(Work::Step, "x".repeat(1000));
        (0..5).for_each(|_| drop(trace.span(Work::Key, "short")));
        std::thread::sleep(Duration::from_millis(5));
        drop(open);
        let written: serde_json::Value = serde_json::from_str(&trace.to_chrome(1, &str::to_owned)).unwrap();
        let events = written["traceEvents"].as_array().unwrap();
        assert_eq!((events.len(), &written["otherData"]["left_out"]), (1, &json!(5)));
        assert_eq!(events[0]["name"].as_str().unwrap().len(), LONGEST_NAME);
    }
}
