//! How an attempt ends, from what the build came to and from what the watch saw.

use super::watch::Why;
use crate::secrets::Masks;
use crate::{Built, Error, duration};
use database::{BaseImage, Outcome, PushedImage, Reason};
use registry_client::{Fault, Reference};
use std::io::{self, ErrorKind};

/// Code of the reason of an attempt for which the worker's disk had no space.
pub const DISK_FULL: &str = "disk_full";

/// What an attempt came to.
pub enum Ended {
    /// An image, and what it was made from.
    Built(Box<Built>, Inputs),
    /// Nothing was to be built.
    Skipped(Reason),
}

/// What an image was made from.
pub struct Inputs {
    /// The key of everything besides the context's files.
    pub key: String,
    /// The images of registries.
    pub base_images: Vec<BaseImage>,
}

/// Returns how the attempt ends; `None` if that is not for this worker to say any more.
pub fn outcome(result: Result<Ended, Error>, why: Why, masks: &Masks) -> Option<Outcome> {
    let reason = |error: &Error| match is_disk_full(error) {
        true => Reason { code: DISK_FULL.into(), message: masks.text(&no_space(error)) },
        false => Reason { code: error.code().into(), message: masks.text(&error.report()) },
    };
    Some(match (result, why) {
        (Ok(Ended::Built(built, inputs)), _) => succeeded(&built, inputs),
        (Ok(Ended::Skipped(reason)), _) => Outcome::Skipped(reason),
        (Err(_), Why::LeaseLost) => return None,
        (Err(_), Why::CancelRequested) => Outcome::Cancelled,
        (Err(_), Why::WorkerEnds) => Outcome::GivenBack,
        (Err(_), Why::TimedOut(limit)) => Outcome::TimedOut(Reason {
            code: "build_timeout".into(),
            message: format!(
                "the build took longer than {}: the rule's `timeout` or the server's `limits.build_minutes` allow no more",
                duration::shown(limit)
            ),
        }),
        // Nobody asked for an end, so the log could not be written because another attempt has the build.
        (Err(error), Why::Nothing) if error.code() == "cancelled" => return None,
        (Err(error), Why::Nothing) if error.code() == "step_timeout" => Outcome::TimedOut(reason(&error)),
        (Err(error), Why::Nothing) => match error.fault() {
            Fault::User => Outcome::Failed(reason(&error)),
            Fault::Upstream | Fault::Service => Outcome::Retry(reason(&error)),
        },
    })
}

/// Tells whether the machine has no space left for what was being written.
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
    let image = PushedImage {
        digest: built.image.digest.to_string(),
        media_type: built.image.media_type.to_owned(),
        size: built.image.size(),
        tags: built.pushed.iter().map(Reference::to_string).collect(),
        inputs_key: Some(inputs.key),
        base_images: inputs.base_images,
    };
    if built.superseded { Outcome::Superseded(image) } else { Outcome::Succeeded(image) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(error: Error, why: Why) -> Option<Outcome> {
        outcome(Err(error), why, &Masks::new([b"hush-hush".as_slice()]))
    }

    #[test]
    fn only_faults_of_the_service_are_tried_again() {
        assert!(matches!(of(Error::user("step_failed", "x"), Why::Nothing), Some(Outcome::Failed(_))));
        assert!(matches!(of(Error::service("sandbox", "x"), Why::Nothing), Some(Outcome::Retry(_))));
        assert!(matches!(of(Error::upstream("registry", "x"), Why::Nothing), Some(Outcome::Retry(_))));
        assert!(matches!(of(Error::service("sandbox", "x"), Why::CancelRequested), Some(Outcome::Cancelled)));
        assert!(matches!(of(Error::cancelled(), Why::WorkerEnds), Some(Outcome::GivenBack)));
    }

    #[test]
    fn a_full_disk_is_named_however_deep_it_lies() {
        // RL5
        let full = || io::Error::from(ErrorKind::StorageFull);
        for cause in [full(), io::Error::other(full()), io::Error::other(Error::service("x", "y").with_cause(full()))] {
            let error = Error::service("store", "packing a layer").with_cause(cause);
            let Some(Outcome::Retry(reason)) = of(error, Why::Nothing) else { panic!("no retry") };
            assert_eq!(reason.code, "disk_full", "{}", reason.message);
            assert!(reason.message.contains("packing a layer") && reason.message.contains("more space"));
        }
        let other = Error::service("store", "packing a layer").with_cause(io::Error::other("x"));
        assert!(matches!(of(other, Why::Nothing), Some(Outcome::Retry(reason)) if reason.code == "store"));
    }

    #[test]
    fn a_lost_lease_writes_nothing() {
        // MW-03
        assert!(of(Error::cancelled(), Why::LeaseLost).is_none());
        assert!(of(Error::cancelled(), Why::Nothing).is_none());
    }

    #[test]
    fn timeouts_name_their_limit() {
        // DF-15
        let error = Error::user("step_timeout", "process \"sleep 9\" took longer than 30 min");
        let Some(Outcome::TimedOut(reason)) = of(error, Why::Nothing) else { panic!("no timeout") };
        assert_eq!((reason.code.as_str(), reason.message.contains("30 min")), ("step_timeout", true));
        let Some(Outcome::TimedOut(reason)) = of(Error::cancelled(), Why::TimedOut(Duration::from_secs(90))) else {
            panic!("no timeout")
        };
        let begins = "the build took longer than 90 s: the rule's `timeout` or";
        assert_eq!((reason.code.as_str(), reason.message.starts_with(begins)), ("build_timeout", true));
    }

    #[test]
    fn reasons_hold_no_secrets() {
        // SEC-08
        let error = Error::user("step_failed", "x").with_detail("+ login hush-hush");
        let Some(Outcome::Failed(reason)) = of(error, Why::Nothing) else { panic!("no failure") };
        assert!(reason.message.ends_with("+ login ***"));
    }
}
