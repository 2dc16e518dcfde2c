//! The services of a test: in which order they start, and what they are waited for.

use bake::{Condition, Service};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The service whose exit code decides.
pub(crate) const SUT: &str = "sut";

/// The states of the services of a test.
#[derive(Default)]
pub(crate) struct ServiceStates {
    state: Mutex<BTreeMap<String, ServiceState>>,
    changed: Condvar,
}

/// The state of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceState {
    /// It was started.
    Started,
    /// Its health check succeeded.
    Healthy,
    /// It ended with this code.
    Ended(u8),
}

impl ServiceStates {
    /// Takes note of a state.
    pub(crate) fn set(&self, name: &str, state: ServiceState) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), state);
        self.changed.notify_all();
    }

    /// Returns the state of a service.
    pub(crate) fn get(&self, name: &str) -> Option<ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Waits for what a service asks of another; returns why that will not come.
    pub(crate) fn wait(&self, name: &str, condition: Condition, cancel: &CancellationToken) -> Result<(), String> {
        let mut states = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match (states.get(name), condition) {
                (Some(_), Condition::Started) => return Ok(()),
                (Some(ServiceState::Healthy), Condition::Healthy) => return Ok(()),
                (Some(ServiceState::Ended(0)), Condition::Completed) => return Ok(()),
                (Some(ServiceState::Ended(code)), _) => return Err(format!("the service `{name}` ended with {code}")),
                _ if cancel.is_cancelled() => return Err("the test was ended".to_owned()),
                _ => {}
            }
            let pause = Duration::from_millis(100);
            states = self.changed.wait_timeout(states, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Returns `sut` and the services that it needs, each after those that it depends on.
pub(crate) fn order(services: &[Service]) -> Result<Vec<&Service>, String> {
    fn add<'s>(
        name: &str,
        all: &'s [Service],
        done: &mut Vec<&'s Service>,
        via: &mut Vec<String>,
    ) -> Result<(), String> {
        if done.iter().any(|service| service.name == name) {
            return Ok(());
        }
        if via.iter().any(|known| known == name) {
            return Err(format!("the service `{name}` depends on itself"));
        }
        let service = all.iter().find(|service| service.name == name);
        let service = service.ok_or_else(|| format!("there is no service `{name}`"))?;
        via.push(name.to_owned());
        for (needed, _) in &service.depends_on {
            add(needed, all, done, via)?;
        }
        via.pop();
        done.push(service);
        Ok(())
    }
    let mut done = Vec::new();
    add(SUT, services, &mut done, &mut Vec::new())?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, needs: &[&str]) -> Service {
        let depends_on = needs.iter().map(|name| ((*name).to_owned(), Condition::Started)).collect();
        Service { name: name.to_owned(), depends_on, ..Service::default() }
    }

    #[test]
    fn only_what_sut_needs_is_started_and_in_order() {
        let services = [service("other", &[]), service("sut", &["web"]), service("web", &["db"]), service("db", &[])];
        let names: Vec<_> = order(&services).unwrap().iter().map(|service| service.name.clone()).collect();
        assert_eq!(names, ["db", "web", "sut"]);
        assert!(order(&[service("sut", &["web"]), service("web", &["sut"])]).unwrap_err().contains("itself"));
        assert!(order(&[service("web", &[])]).unwrap_err().contains("no service `sut`"));
    }
}
