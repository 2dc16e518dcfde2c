//! The progress of one stage between two steps, and how a step ends that fails.

use super::layer::Layer;
use super::state::Execution;
use crate::Error;
use dockerfile::plan::Step;
use registry_client::ImageConfig;
use std::sync::Arc;

/// The state of a stage between two steps.
pub(crate) struct Progress<'e, 'a> {
    /// The build.
    pub execution: &'e Execution<'a>,
    /// The layers so far.
    pub layers: Vec<Arc<Layer>>,
    /// The cache key of the layers so far.
    pub key: String,
    /// Whether the layers are being prepared for what is made on them.
    pub(super) is_ahead: bool,
    /// Whether the observer of layers was told of the layer that the present step makes.
    pub(super) is_told: bool,
    /// The stage's index in the plan.
    pub(super) stage: usize,
}

impl Progress<'_, '_> {
    /// Returns the configuration of the stage's image.
    pub(crate) fn config(&self) -> &ImageConfig {
        &self.execution.plan.stages[self.stage].config
    }

    /// Returns whether the steps run even if their layers are cached.
    pub(crate) fn is_fresh(&self) -> bool {
        let execution = self.execution;
        !execution.options.uses_cache(&execution.plan.stages[self.stage].name)
    }

    /// Adds a layer, after which the key of the whole is `key`.
    pub(crate) fn push(&mut self, layer: Arc<Layer>, key: String) {
        self.layers.push(layer);
        self.key = key;
    }
}

/// The layer that a step makes.
#[derive(Clone, Copy)]
pub(crate) struct StepLayer<'l, 'e> {
    /// The layer, which is not settled yet.
    pub layer: &'l Arc<Layer>,
    /// The step.
    pub step: &'e Step,
}

/// Why a step failed, and with which exit code if it is a command that ran.
pub(crate) struct Failure {
    /// The error that ends the build.
    pub error: Error,
    /// The command's exit code.
    pub exit_code: Option<i32>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, exit_code: None }
    }
}
