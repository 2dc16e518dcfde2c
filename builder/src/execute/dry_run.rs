//! Dry run: foretells from definition keys which steps are cached, without executing any.

use super::state::Execution;
use super::{check_sources, definition_keys};
use crate::Error;
use database::StepForecast;
use dockerfile::plan::{Action, Base};

impl Execution<'_> {
    /// Returns the fate of each step by its number; fails as the build would, as far as that is known.
    pub fn dry_run(&self) -> Result<Vec<(usize, StepForecast)>, Error> {
        check_sources::check(self)?;
        let mut fates = Vec::new();
        // Whether the files that a stage ends with are known: a stage comes after all that it takes from.
        let mut ends: Vec<StepForecast> = Vec::with_capacity(self.plan.stages.len());
        for (index, stage) in self.plan.stages.iter().enumerate() {
            let mut end = match stage.base {
                Base::Stage(base) => ends.get(base).copied().unwrap_or(StepForecast::Unknown),
                Base::Scratch | Base::Image(_) => StepForecast::Cached,
            };
            for (position, step) in stage.steps.iter().enumerate() {
                if !step.action.makes_layer() {
                    fates.push((step.number, StepForecast::MetadataOnly));
                    continue;
                }
                let before = end;
                end = self.fate(index, position, &step.action, end, &ends);
                if end == StepForecast::WillRun && matches!(step.action, Action::Run(_)) {
                    let checked = super::emulation::check(&stage.config);
                    checked.map_err(|error| error.at_step(step.number, step.lines, &step.instruction))?;
                }
                fates.push((step.number, self.found_by_entries(&step.action, &stage.name, before, end)));
            }
            ends.push(end);
        }
        fates.sort_by_key(|(number, _)| *number);
        Ok(fates)
    }

    /// Returns the fate of a step with the fate `end` on one with the fate `before`: a copy to what is made may pack the same
    /// entries as one before, and is found by them then. The steps after it are executed nevertheless.
    fn found_by_entries(&self, action: &Action, stage: &str, before: StepForecast, end: StepForecast) -> StepForecast {
        let may_be_found = matches!(action, Action::Copy(copy) if !copy.flags.link) && self.options.uses_cache(stage);
        match (before, end) {
            (StepForecast::WillRun, StepForecast::WillRun) if may_be_found => StepForecast::Unknown,
            _ => end,
        }
    }

    fn fate(
        &self,
        stage: usize,
        position: usize,
        action: &Action,
        before: StepForecast,
        ends: &[StepForecast],
    ) -> StepForecast {
        if !self.needed[stage] || self.definitions.known(stage, position).is_some() {
            return StepForecast::Cached;
        }
        // A step above one that is executed has never been made: its key holds that step's.
        if before == StepForecast::WillRun || !self.options.uses_cache(&self.plan.stages[stage].name) {
            return StepForecast::WillRun;
        }
        let from = definition_keys::stages_of(action);
        let unknown = from.iter().any(|stage| ends.get(*stage) != Some(&StepForecast::Cached));
        if before == StepForecast::Unknown || unknown || self.definitions.key(stage, position).is_none() {
            return StepForecast::Unknown;
        }
        StepForecast::WillRun
    }
}
