//! Compares the stages of two plans, each after those it rests on: what changed first is what the steps after it name.

use super::files::{Files, Walking};
use super::own;
use super::pair::{Pair, pairs};
use super::side::Half;
use crate::execute::{copy_request, escaped, mount_request};
use database::{ExplainedStep, StepState, Was, Why};
use dockerfile::plan::{Action, Base, From, HOSTNAME, MountKind, Plan, Source, Stage, Step};

/// How the files that a step rests on compare with those that its predecessor rested on.
#[derive(Clone)]
enum Rest {
    /// They are the same.
    Same,
    /// They begin with another image.
    Base(Why),
    /// A step before changed them.
    Step(i64),
}

/// Files as a stage leaves them.
#[derive(Clone)]
struct End {
    rest: Rest,
    /// Whether nothing that leads here could come from the cache.
    is_fresh: bool,
}

/// A comparison of two builds for one platform.
pub(crate) struct Comparison<'s, 'r> {
    new: Half<'s, 'r>,
    old: Half<'s, 'r>,
    platform: Option<Why>,
    files: Files<'s>,
    ends: Vec<End>,
    steps: Vec<ExplainedStep>,
}

impl<'s, 'r> Comparison<'s, 'r> {
    /// Prepares a comparison; `platform` says that they are of two platforms.
    pub(crate) fn new(new: Half<'s, 'r>, old: Half<'s, 'r>, platform: Option<Why>) -> Self {
        let options = &new.prepared.request().options;
        let walking = Walking { max_paths: options.fetching.max_paths, cancel: options.cancel().clone() };
        let files = Files::new(&new.prepared.request().context, &old.prepared.request().context, walking);
        Comparison { new, old, platform, files, ends: Vec::new(), steps: Vec::new() }
    }

    /// Compares all steps.
    pub(crate) fn steps(mut self) -> Vec<ExplainedStep> {
        let (plan, earlier) = (self.new.prepared.plan(), self.old.prepared.plan());
        for (index, stage) in plan.stages.iter().enumerate() {
            let before = predecessor(plan, index, earlier);
            let end = self.stage(stage, before);
            self.ends.push(end);
        }
        self.steps
    }

    /// Returns whether a command sees another host name.
    fn hostname(&self, action: &Action) -> Option<Why> {
        let same = self.new.prepared.plan().hostname == self.old.prepared.plan().hostname;
        (matches!(action, Action::Run(_)) && !same).then(|| Why::ArgumentChanged { names: vec![HOSTNAME.to_owned()] })
    }

    fn stage(&mut self, stage: &'s Stage, before: Option<&'s Stage>) -> End {
        let uses_cache = self.new.prepared.request().options.uses_cache(&stage.name);
        let mut end = self.begin(stage, before);
        end.is_fresh |= !uses_cache;
        let pairs =
            before.map_or_else(|| vec![Pair::default(); stage.steps.len()], |old| pairs(&old.steps, &stage.steps));
        let (mut setting, mut removed) = (None, None);
        for (step, pair) in stage.steps.iter().zip(pairs) {
            let old_steps = before.map_or(&[][..], |before| &before.steps);
            let mut gone = pair.removed.iter().map(|at| &old_steps[*at]);
            removed = gone.rfind(|step| step.action.makes_layer()).or(removed);
            let old = pair.old.map(|at| &old_steps[at]);
            let mut why = match old {
                Some(old) => {
                    own::differences(old, step, setting).into_iter().chain(self.hostname(&step.action)).collect()
                }
                None => vec![Why::InstructionAdded],
            };
            if step.action.makes_layer() {
                why.extend(removed.take().map(|gone| Why::InstructionRemoved { old: gone.instruction.clone() }));
                self.layer(stage, step, old, why, &mut end);
                continue;
            }
            if !why.is_empty() {
                setting = Some(step.number + self.new.before);
            }
            self.keep(stage, step, Was::Setting, why);
        }
        end
    }

    /// Returns what the steps of a stage rest on at first.
    fn begin(&self, stage: &Stage, before: Option<&Stage>) -> End {
        let same = End { rest: Rest::Same, is_fresh: false };
        let Some(before) = before else { return same };
        match (&before.base, &stage.base) {
            (_, Base::Stage(index)) => self.ends.get(*index).cloned().unwrap_or(same),
            (Base::Image(old), Base::Image(new)) => match self.image(old, new) {
                Some(why) => End { rest: Rest::Base(why), ..same },
                None => same,
            },
            (Base::Scratch, Base::Scratch) => same,
            (old, new) => {
                let name = |base: &Base, half: &Half<'_, '_>| match base {
                    Base::Image(key) => (half.image(key).0, half.image(key).1),
                    Base::Scratch => ("scratch".to_owned(), None),
                    Base::Stage(index) => (format!("stage {index}"), None),
                };
                let ((old_reference, old), (reference, new)) = (name(old, &self.old), name(new, &self.new));
                let old_reference = (old_reference != reference).then_some(old_reference);
                End { rest: Rest::Base(Why::BaseImageChanged { reference, old_reference, old, new }), ..same }
            }
        }
    }

    fn image(&self, old: &str, new: &str) -> Option<Why> {
        let ((old_name, old, old_layers), (reference, new, layers)) = (self.old.image(old), self.new.image(new));
        // Steps rest on the layers of an image alone: a new digest of the same layers changes nothing for them.
        if old == new || (!layers.is_empty() && layers == old_layers) {
            return None;
        }
        let old_reference = (old_name != reference).then_some(old_name);
        Some(Why::BaseImageChanged { reference, old_reference, old, new })
    }

    /// Explains a step that makes a layer, and notes what it makes of what the next one rests on.
    fn layer(&mut self, stage: &Stage, step: &Step, old: Option<&Step>, own: Vec<Why>, end: &mut End) {
        let number = (step.number + self.new.before) as i64;
        let is_own = !own.is_empty();
        let (mut taken, mut from) = (Vec::new(), Rest::Same);
        if let Some(old) = old {
            self.taken(old, step, &mut taken, &mut from);
        }
        end.is_fresh |= crate::execute::stages_of(&step.action)
            .iter()
            .any(|stage| self.ends.get(*stage).is_some_and(|end| end.is_fresh));
        let linked = matches!(&step.action, Action::Copy(copy) if copy.flags.link);
        let mut why: Vec<Why> = self.platform.iter().cloned().collect();
        why.extend(end.is_fresh.then_some(Why::NotCached));
        if !linked {
            why.extend(reason(&end.rest));
        }
        why.extend(own);
        why.extend(taken.iter().cloned());
        let found = reason(&from);
        why.extend(found.clone());
        let recorded = self.new.recorded(step);
        let layer = |step: Option<&database::Step>| step.and_then(|step| step.layer_digest.clone());
        let earlier = old.and_then(|old| self.old.recorded(old));
        let same_layer = layer(recorded).is_some() && layer(recorded) == layer(earlier);
        let was = was(recorded);
        if why.is_empty() && was == Was::Executed {
            why.push(if reads_elsewhere(step) { Why::ContentUnknown } else { Why::CacheLost });
        }
        let copies = matches!(step.action, Action::Copy(_));
        let changed = is_own || !taken.is_empty() || found.is_some();
        end.rest = match (&end.rest, from) {
            // A linked copy stands on its own.
            (rest, _) if linked && !changed => rest.clone(),
            (Rest::Step(first), _) => Rest::Step(*first),
            (Rest::Base(_), _) => Rest::Step(number),
            // A copy counts by its content: an equal layer changes nothing for what follows.
            _ if !changed || (copies && same_layer) => Rest::Same,
            (Rest::Same, Rest::Step(first)) if !is_own && taken.is_empty() => Rest::Step(first),
            _ => Rest::Step(number),
        };
        why.dedup();
        self.keep(stage, step, was, why);
    }

    /// Compares the files that a step takes from elsewhere.
    fn taken(&self, old: &Step, new: &Step, taken: &mut Vec<Why>, rest: &mut Rest) {
        match (&old.action, &new.action) {
            (Action::Copy(before), Action::Copy(after)) => {
                let request = (before.flags.excludes == after.flags.excludes
                    && before.flags.parents == after.flags.parents)
                    .then(|| copy_request(after, None, 0).ok())
                    .flatten();
                if before.sources == after.sources
                    && let (From::Context, From::Context, Some(request)) = (&before.from, &after.from, request)
                {
                    let paths = after.sources.iter().filter(|source| matches!(source, Source::Path(_)));
                    taken.extend(self.files.changed(paths.map(Source::text), &request));
                }
                self.from(&before.from, &after.from, taken, rest);
            }
            (Action::Run(before), Action::Run(after)) => {
                for mount in &after.mounts {
                    let Some((from, source)) = files_of(&mount.kind) else { continue };
                    let same = before.mounts.iter().find(|other| other.target == mount.target);
                    let Some((old_from, old_source)) = same.and_then(|same| files_of(&same.kind)) else { continue };
                    if (from, old_from) == (&From::Context, &From::Context) && source == old_source {
                        taken.extend(self.files.changed([escaped(source).as_str()], &mount_request(0)));
                    }
                    self.from(old_from, from, taken, rest);
                }
            }
            _ => {}
        }
    }

    fn from(&self, old: &From, new: &From, taken: &mut Vec<Why>, rest: &mut Rest) {
        match (old, new) {
            (From::Image(old), From::Image(new)) => taken.extend(self.image(old, new)),
            (_, From::Stage(index)) if matches!(rest, Rest::Same) => {
                *rest = self.ends.get(*index).map_or(Rest::Same, |end| end.rest.clone());
            }
            _ => {}
        }
    }

    fn keep(&mut self, stage: &Stage, step: &Step, was: Was, mut why: Vec<Why>) {
        if why.is_empty() {
            why.push(Why::Same);
        }
        self.steps.push(ExplainedStep {
            number: step.number as i64,
            stage: stage.name.clone(),
            instruction: step.instruction.clone(),
            line: step.lines.0 as i64,
            was,
            why,
        });
    }
}

/// Returns the stage that another was: the one of its name, or the one in its place if that name is gone, too.
fn predecessor<'s>(plan: &Plan, index: usize, earlier: &'s Plan) -> Option<&'s Stage> {
    let name = &plan.stages[index].name;
    let named = earlier.stages.iter().find(|stage| stage.name == *name);
    let in_place = earlier.stages.get(index).filter(|old| plan.stages.iter().all(|stage| stage.name != old.name));
    named.or(in_place)
}

fn reason(rest: &Rest) -> Option<Why> {
    match rest {
        Rest::Same => None,
        Rest::Base(why) => Some(why.clone()),
        Rest::Step(step) => Some(Why::EarlierStepChanged { step: *step }),
    }
}

/// Returns where the files of a mount come from.
fn files_of(kind: &MountKind) -> Option<(&From, &str)> {
    match kind {
        MountKind::Bind { from, source, .. } | MountKind::Cache { seed: Some((from, source)), .. } => {
            Some((from, source))
        }
        _ => None,
    }
}

/// Returns whether a step takes what another server has.
fn reads_elsewhere(step: &Step) -> bool {
    let Action::Copy(copy) = &step.action else { return false };
    matches!(copy.from, From::Stage(_)) || copy.sources.iter().any(|source| !matches!(source, Source::Path(_)))
}

fn was(recorded: Option<&database::Step>) -> Was {
    match recorded {
        Some(step) if step.cached => Was::Cached,
        Some(step) if matches!(step.state, StepState::Succeeded | StepState::Failed | StepState::Running) => {
            Was::Executed
        }
        _ => Was::NotReached,
    }
}
