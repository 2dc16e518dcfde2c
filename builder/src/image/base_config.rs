//! Checks the configuration of a base image: one is refused if no command could be started with it.

use registry_client::ImageConfig;

/// Longest user and group.
const MAX_USER: usize = 1024;
/// Longest path, as the kernel has it.
const MAX_PATH: usize = 4096;
/// Most bytes of all variables, as for those of a stage.
const MAX_ENVIRONMENT: usize = 4 * 1024 * 1024;

/// Refuses a configuration that no step could work with; says what is wrong and what would be right, not what stands there.
pub(crate) fn check(config: &ImageConfig) -> Result<(), String> {
    let config = &config.config;
    if config.user.contains(char::is_control) {
        return Err("User holds a control character: `name`, `name:group` or numbers are expected".to_owned());
    }
    at_most("User", config.user.len(), MAX_USER)?;
    at_most("WorkingDir", config.working_dir.len(), MAX_PATH)?;
    at_most("Env", config.env.iter().map(String::len).sum(), MAX_ENVIRONMENT)?;
    let lists = [("Entrypoint", &config.entrypoint), ("Cmd", &config.cmd), ("Shell", &config.shell)];
    let texts = lists.into_iter().flat_map(|(name, words)| words.iter().flatten().map(move |word| (name, word)));
    let variables = config.env.iter().map(|variable| ("Env", variable));
    let mut all = texts.chain(variables).chain([("WorkingDir", &config.working_dir)]);
    match all.find(|(_, text)| text.contains('\0')) {
        Some((name, _)) => Err(format!("{name} holds a NUL, at which every command would take it to end")),
        None => Ok(()),
    }
}

fn at_most(name: &str, bytes: usize, most: usize) -> Result<(), String> {
    if bytes <= most { Ok(()) } else { Err(format!("{name} has {bytes} bytes, at most {most} are possible")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry_client::ContainerConfig;

    fn said(change: impl FnOnce(&mut ContainerConfig)) -> Result<(), String> {
        let mut config = ImageConfig::default();
        change(&mut config.config);
        check(&config)
    }

    #[test]
    fn what_no_step_could_work_with_is_named_and_not_repeated() {
        // REG-18
        let long = || "x".repeat(1_000_000);
        for (result, expected) in [
            (said(|config| config.user = "root\nevil".into()), "User holds a control character"),
            (said(|config| config.user = "a\0".into()), "User holds a control character"),
            (said(|config| config.user = long()), "User has 1000000 bytes, at most 1024"),
            (said(|config| config.working_dir = "/a\0b".into()), "WorkingDir holds a NUL"),
            (said(|config| config.working_dir = long()), "WorkingDir has 1000000 bytes, at most 4096"),
            (said(|config| config.env = vec!["A=\0".into()]), "Env holds a NUL"),
            (said(|config| config.env = vec![long(); 5]), "Env has 5000000 bytes, at most 4194304"),
            (said(|config| config.entrypoint = Some(vec!["a".into(), "\0".into()])), "Entrypoint holds a NUL"),
            (said(|config| config.cmd = Some(vec!["\0".into()])), "Cmd holds a NUL"),
            (said(|config| config.shell = Some(vec!["\0".into()])), "Shell holds a NUL"),
        ] {
            let problem = result.unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
            assert!(problem.len() < 200, "{problem}");
        }
        let fine = said(|config| {
            config.user = "app:web".into();
            config.working_dir = "/new\nline".into();
            config.env = vec!["A=1\n2".into(), format!("B={}", long())];
            config.entrypoint = Some(vec![long()]);
        });
        assert_eq!(fine, Ok(()), "what one image may have and another may not is for the kernel to say");
    }
}
