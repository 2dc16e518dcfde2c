//! Maps the result of an attempt, and the reason why it was stopped, to its outcome in the database.

use super::watch::StopReason;
use crate::error::{Code, Fault};
use crate::secrets::Masks;
use crate::{Built, Error, duration};
use database::{BakedTarget, BaseImage, MergedPull, Outcome, PushedImage, Reason};
use registry_client::Reference;
use std::io::{self, ErrorKind};

/// The result of an attempt.
pub(crate) enum AttemptResult {
    /// An image, and what it was made from.
    Built(Box<Built>, Inputs),
    /// An image of an earlier build, which all of the tags name again unless a newer build has one of them.
    RolledBack { image: Box<PushedImage>, superseded: bool },
    /// Nothing was to be built.
    Skipped(Reason),
    /// The targets that are built next.
    Expanded(Vec<BakedTarget>),
}

/// The inputs of an image.
pub(crate) struct Inputs {
    /// The key of everything besides the context's files.
    pub key: String,
    /// The images of registries.
    pub base_images: Vec<BaseImage>,
    /// Id of the git tree.
    pub tree: Option<String>,
    /// Images of pull requests that the result may be.
    pub merged: Vec<(Reference, MergedPull)>,
}

/// Returns how the attempt ends; `None` if another worker has the build by now.
pub(crate) fn outcome(result: Result<AttemptResult, Error>, why: StopReason, masks: &Masks) -> Option<Outcome> {
    let reason = |error: &Error| match is_disk_full(error) {
        true => Reason { code: Code::DiskFull.to_string(), message: masks.text(&no_space(error)) },
        false => Reason { code: error.code().to_string(), message: masks.text(&error.report()) },
    };
    Some(match (result, why) {
        (Ok(AttemptResult::Built(built, inputs)), _) => succeeded(&built, inputs),
        (Ok(AttemptResult::RolledBack { image, superseded: false }), _) => Outcome::Succeeded(*image),
        (Ok(AttemptResult::RolledBack { image, superseded: true }), _) => Outcome::Superseded(*image),
        (Ok(AttemptResult::Skipped(reason)), _) => Outcome::Skipped(reason),
        (Ok(AttemptResult::Expanded(targets)), _) => Outcome::Expanded(targets),
        (Err(_), StopReason::LeaseLost) => return None,
        (Err(_), StopReason::CancelRequested) => Outcome::Cancelled,
        (Err(_), StopReason::WorkerEnds) => Outcome::GivenBack,
        (Err(_), StopReason::TimedOut(limit)) => Outcome::TimedOut(Reason {
            code: Code::BuildTimeout.to_string(),
            message: format!(
                "the build took longer than {}: the rule's `timeout` or the server's `limits.build_minutes` allow no more",
                duration::shown(limit)
            ),
        }),
        (Err(error), StopReason::Nothing) if error.code() == Code::StepTimeout => Outcome::TimedOut(reason(&error)),
        (Err(error), StopReason::Nothing) => match error.fault() {
            Fault::User => Outcome::Failed(reason(&error)),
            Fault::Upstream | Fault::Service => Outcome::Retry(reason(&error)),
            // Nobody asked for an end, so the log could not be written because another attempt has the build.
            Fault::Cancelled => return None,
        },
    })
}

/// Returns whether the machine has no space left for what was being written.
fn is_disk_full(error: &Error) -> bool {
    let mut next = (error.fault() == Fault::Service).then_some(error as &dyn std::error::Error);
    while let Some(error) = next {
        let written = error.downcast_ref::<io::Error>();
        if written.is_some_and(|error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) {
            return true;
        }
        // An error in another's place has no source but its own.
        next = match written.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

fn no_space(error: &Error) -> String {
    format!("{}; the worker's data directory needs more space", error.report().trim_end())
}

fn succeeded(built: &Built, inputs: Inputs) -> Outcome {
    let merged = inputs.merged.into_iter().find(|known| Some(&known.0) == built.same_as.as_ref());
    let image = PushedImage {
        digest: built.image.digest.to_string(),
        media_type: built.image.media_type.to_owned(),
        size: built.image.size(),
        tags: built.pushed.iter().map(Reference::to_string).collect(),
        inputs_key: Some(inputs.key),
        base_images: inputs.base_images,
        tree: inputs.tree,
        merged: merged.map(|known| known.1),
    };
    if built.superseded { Outcome::Superseded(image) } else { Outcome::Succeeded(image) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(error: Error, why: StopReason) -> Option<Outcome> {
        outcome(Err(error), why, &Masks::new([b"hush-hush".as_slice()]))
    }

    #[test]
    fn only_faults_of_the_service_are_tried_again() {
        assert!(matches!(of(Error::new(Code::StepFailed, "x"), StopReason::Nothing), Some(Outcome::Failed(_))));
        assert!(matches!(of(Error::new(Code::Sandbox, "x"), StopReason::Nothing), Some(Outcome::Retry(_))));
        assert!(matches!(of(Error::new(Code::Registry, "x"), StopReason::Nothing), Some(Outcome::Retry(_))));
        assert!(matches!(of(Error::new(Code::Sandbox, "x"), StopReason::CancelRequested), Some(Outcome::Cancelled)));
        assert!(matches!(of(Error::cancelled(), StopReason::WorkerEnds), Some(Outcome::GivenBack)));
    }

    #[test]
    fn a_full_disk_is_named_however_deep_it_lies() {
        // RL5
        let full = || io::Error::from(ErrorKind::StorageFull);
        for cause in
            [full(), io::Error::other(full()), io::Error::other(Error::new(Code::Sandbox, "y").with_cause(full()))]
        {
            let error = Error::new(Code::Store, "packing a layer").with_cause(cause);
            let Some(Outcome::Retry(reason)) = of(error, StopReason::Nothing) else { panic!("no retry") };
            assert_eq!(reason.code, "disk_full", "{}", reason.message);
            assert!(reason.message.contains("packing a layer") && reason.message.contains("more space"));
        }
        let other = Error::new(Code::Store, "packing a layer").with_cause(io::Error::other("x"));
        assert!(matches!(of(other, StopReason::Nothing), Some(Outcome::Retry(reason)) if reason.code == "store"));
    }

    #[test]
    fn a_lost_lease_writes_nothing() {
        // MW-03
        assert!(of(Error::cancelled(), StopReason::LeaseLost).is_none());
        assert!(of(Error::cancelled(), StopReason::Nothing).is_none());
    }

    #[test]
    fn timeouts_name_their_limit() {
        // DF-15
        let error = Error::new(Code::StepTimeout, "process \"sleep 9\" took longer than 30 min");
        let Some(Outcome::TimedOut(reason)) = of(error, StopReason::Nothing) else { panic!("no timeout") };
        assert_eq!((reason.code.as_str(), reason.message.contains("30 min")), ("step_timeout", true));
        let Some(Outcome::TimedOut(reason)) = of(Error::cancelled(), StopReason::TimedOut(Duration::from_secs(90)))
        else {
            panic!("no timeout")
        };
        let begins = "the build took longer than 90 s: the rule's `timeout` or";
        assert_eq!((reason.code.as_str(), reason.message.starts_with(begins)), ("build_timeout", true));
    }

    #[test]
    fn reasons_hold_no_secrets() {
        // SEC-08
        let error = Error::new(Code::StepFailed, "x").with_detail("+ login hush-hush");
        let Some(Outcome::Failed(reason)) = of(error, StopReason::Nothing) else { panic!("no failure") };
        assert!(reason.message.ends_with("+ login ***"));
    }
}
