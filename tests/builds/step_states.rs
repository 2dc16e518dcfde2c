//! States of steps while they wait, after another failed, and after the build was ended.

use crate::support::worker_pool::Yard;
use database::{Step, StepState};

const PARALLEL: &str = "ARG BASE\nFROM ${BASE} AS slow\nRUN sleep 2; ENDING\nFROM ${BASE}\nRUN true\nCOPY --from=slow /made /made\n\
    RUN echo after\n";

fn steps(yard: &Yard, id: &database::BuildId) -> Vec<Step> {
    yard.tokio.block_on(yard.database.steps(id)).unwrap()
}

fn of<'s>(steps: &'s [Step], instruction: &str) -> &'s Step {
    steps
        .iter()
        .find(|step| step.instruction.contains(instruction))
        .unwrap_or_else(|| panic!("{instruction}: {steps:#?}"))
}

#[test]
fn a_step_waits_for_another_stage_before_its_time_begins() {
    // US-01
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[("Dockerfile", &PARALLEL.replace("ENDING", "echo > /made"))]);
    crate::support::wait_for("the copy to wait", || {
        let steps = steps(&yard, &id);
        let copy = steps.iter().find(|step| step.instruction.starts_with("COPY"))?;
        (copy.state == StepState::Waiting && copy.started_ms.is_none()).then_some(())
    });
    yard.succeeded(&id);
    let steps = steps(&yard, &id);
    let copy = of(&steps, "COPY");
    assert!(copy.state == StepState::Succeeded && copy.duration_ms.is_some_and(|took| took < 1500), "{copy:?}");
    let slow = of(&steps, "sleep 2");
    assert!(copy.started_ms >= slow.started_ms.map(|began| began + 1900), "{copy:?} {slow:?}");
}

#[test]
fn what_was_never_reached_has_not_failed() {
    // US-01
    let (yard, _worker) = Yard::with_worker("");
    let id = yard.push(&[("Dockerfile", &PARALLEL.replace("ENDING", "exit 3"))]);
    yard.failed(&id);
    let failed = steps(&yard, &id);
    assert_eq!((of(&failed, "sleep 2").state, of(&failed, "sleep 2").exit_code), (StepState::Failed, Some(3)));
    for instruction in ["COPY", "echo after"] {
        let step = of(&failed, instruction);
        assert_eq!((step.state, step.started_ms, step.duration_ms), (StepState::NotReached, None, None), "{step:?}");
    }
    let id = yard.push(&[("Dockerfile", &PARALLEL.replace("ENDING", "echo RUNNING; sleep 1000"))]);
    yard.wait_for_log(&id, "RUNNING\n");
    yard.tokio.block_on(yard.database.cancel(&id)).unwrap();
    yard.finished(&id);
    let cancelled = steps(&yard, &id);
    assert_eq!(of(&cancelled, "sleep 1000").state, StepState::Cancelled);
    assert_eq!(of(&cancelled, "COPY").state, StepState::NotReached);
    assert_eq!(of(&cancelled, "RUN true").state, StepState::Succeeded);
}
