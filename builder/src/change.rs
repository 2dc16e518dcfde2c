//! Instructions of a Dockerfile applied to the configuration of a container, as `commit --change` does.

use dockerfile::Dockerfile;
use dockerfile::ast::InstructionKind;
use dockerfile::plan::{BaseImages, Lint, Plan, Planned, Scope, Settings};
use registry_client::{ContainerConfig, ImageConfig, Platform};

/// Applies `changes`, the lines of a Dockerfile without `FROM`, to `config`; fails with what is wrong with them.
pub fn change_config(config: &ContainerConfig, changes: &str) -> Result<ContainerConfig, String> {
    let text = format!("FROM base\n{changes}\n");
    let file = Dockerfile::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    if file.stages.len() > 1 {
        return Err("FROM is not a valid change command".to_owned());
    }
    let kinds = file.stages.iter().flat_map(|stage| &stage.instructions).map(|instruction| &instruction.kind);
    if let Some(refused) = kinds.filter_map(refused).next() {
        return Err(format!("{refused} is not a valid change command"));
    }
    let settings = Settings::new(Platform::host());
    let lint = Lint::new(&file, &settings).map_err(|error| error.to_string())?;
    // Triggers of the image are for builds on it, not for its commit.
    let own = ContainerConfig { on_build: Vec::new(), ..config.clone() };
    let host = Platform::host();
    let base = ImageConfig { config: own, os: host.os, architecture: host.architecture, ..ImageConfig::default() };
    let mut images = BaseImages::new();
    loop {
        match Plan::for_file(&file, &settings, &images, Scope::Target, &lint).map_err(|error| error.to_string())? {
            Planned::Needs(needed) => needed.into_iter().for_each(|image| images.insert(image.key, base.clone())),
            Planned::Ready(plan) => {
                let mut changed = plan.stages[plan.target].config.config.clone();
                changed.on_build.splice(0..0, config.on_build.iter().cloned());
                return Ok(changed);
            }
        }
    }
}

/// Returns the name of an instruction that a commit does not take.
fn refused(kind: &InstructionKind) -> Option<&'static str> {
    match kind {
        InstructionKind::Add(_) => Some("ADD"),
        InstructionKind::Arg(_) => Some("ARG"),
        InstructionKind::Copy(_) => Some("COPY"),
        InstructionKind::Maintainer(_) => Some("MAINTAINER"),
        InstructionKind::Run(_) => Some("RUN"),
        InstructionKind::Shell(_) => Some("SHELL"),
        InstructionKind::Cmd(_)
        | InstructionKind::Entrypoint(_)
        | InstructionKind::Env(_)
        | InstructionKind::Expose(_)
        | InstructionKind::Healthcheck(_)
        | InstructionKind::Label(_)
        | InstructionKind::OnBuild(_)
        | InstructionKind::StopSignal(_)
        | InstructionKind::User(_)
        | InstructionKind::Volume(_)
        | InstructionKind::Workdir(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn every_instruction_of_a_commit_changes_what_it_says() {
        // cli.md 3
        let config = ContainerConfig { env: words(&["A=1"]), cmd: Some(words(&["old"])), ..ContainerConfig::default() };
        let changes = "CMD [\"new\", \"x y\"]\nENV A=2 B=\"b c\"\nEXPOSE 80\nLABEL k=v\nONBUILD RUN true\nUSER u\nVOLUME /v\nWORKDIR /w\nHEALTHCHECK CMD true\nSTOPSIGNAL SIGINT";
        let changed = change_config(&config, changes).unwrap();
        assert_eq!(changed.cmd, Some(words(&["new", "x y"])));
        assert!(
            changed.env.contains(&"A=2".to_owned()) && changed.env.contains(&"B=b c".to_owned()),
            "{:?}",
            changed.env
        );
        assert!(changed.exposed_ports.contains_key("80/tcp") && changed.volumes.contains_key("/v"));
        assert_eq!((changed.user.as_str(), changed.working_dir.as_str()), ("u", "/w"));
        assert_eq!((changed.labels["k"].as_str(), changed.on_build), ("v", words(&["RUN true"])));
        assert!(changed.healthcheck.is_some() && changed.stop_signal.ends_with("INT"));
        let entrypoint = change_config(&config, "ENTRYPOINT [\"e\"]").unwrap();
        assert_eq!((entrypoint.entrypoint, entrypoint.cmd), (Some(words(&["e"])), None));
    }

    #[test]
    fn what_is_not_a_change_is_refused() {
        for (change, name) in [("RUN true", "RUN"), ("COPY a b", "COPY"), ("ARG A", "ARG"), ("FROM x", "FROM")] {
            let said = change_config(&ContainerConfig::default(), change).unwrap_err();
            assert_eq!(said, format!("{name} is not a valid change command"));
        }
        assert!(change_config(&ContainerConfig::default(), "NOSUCH x").is_err());
    }
}
