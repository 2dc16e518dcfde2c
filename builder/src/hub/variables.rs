//! The environment of hooks and tests, as Docker Hub's builder gave it.

use registry_client::Reference;
use std::collections::BTreeMap;

/// Everything that the environment is made from.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Full name of the ref.
    pub git_ref: String,
    /// Full hash of the commit.
    pub commit: String,
    /// First line of its message.
    pub message: String,
    /// Path of the Dockerfile from the root of the repository.
    pub dockerfile: String,
    /// Path of the context from there.
    pub context: String,
    /// The images that the rule names; none for a pull request.
    pub tags: Vec<Reference>,
    /// The repository's image, where there are no tags.
    pub repository: String,
    /// Whether layers of earlier builds may be used.
    pub use_cache: bool,
    /// Whether the image is pushed.
    pub push: bool,
    /// Names the build.
    pub build: String,
    /// The variables of the rule, and its secrets.
    pub own: BTreeMap<String, String>,
}

impl Facts {
    /// Returns the variables; those of the rule win, as on Docker Hub.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let branch = short_ref(&self.git_ref);
        let below = |path: &str| match self.context.as_str() {
            "" => path.to_owned(),
            context => path.strip_prefix(&format!("{context}/")).unwrap_or(path).to_owned(),
        };
        let cache = self.tags.first().and_then(Reference::tag).filter(|_| self.use_cache).unwrap_or_default();
        let pairs = [
            ("SOURCE_BRANCH", branch.to_owned()),
            ("SOURCE_COMMIT", self.commit.clone()),
            ("SOURCE_TYPE", "git".to_owned()),
            ("COMMIT_MSG", self.message.clone()),
            ("GIT_SHA1", self.commit.clone()),
            ("GIT_MSG", self.message.clone()),
            ("DOCKER_REPO", self.docker_repo()),
            ("DOCKER_TAG", self.tag_names().join(",")),
            ("CACHE_TAG", cache.to_owned()),
            ("IMAGE_NAME", self.image_name()),
            ("DOCKERFILE_PATH", below(&self.dockerfile)),
            ("BUILD_PATH", format!("/{}", self.context)),
            ("BUILD_CODE", self.build.clone()),
            ("PUSH", self.push.to_string()),
            ("DOCKER_HOST", "unix:///var/run/docker.sock".to_owned()),
            ("CI", "true".to_owned()),
        ];
        let mut environment: BTreeMap<_, _> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        environment.extend(self.own.clone());
        environment
    }

    /// Returns the name of the image that the build is to make: the first of its tags.
    pub(crate) fn image_name(&self) -> String {
        format!("{}:{}", self.docker_repo(), self.tag_names()[0])
    }

    /// Returns the tags alone; a build that pushes nothing has one of its own.
    pub(crate) fn tag_names(&self) -> Vec<String> {
        let tags: Vec<String> = self.tags.iter().filter_map(Reference::tag).map(str::to_owned).collect();
        if tags.is_empty() { vec!["this".to_owned()] } else { tags }
    }

    fn docker_repo(&self) -> String {
        match self.tags.first() {
            // The host as Docker Hub wrote it.
            Some(tag) if tag.registry() == "docker.io" => format!("index.docker.io/{}", tag.repository()),
            Some(tag) => format!("{}/{}", tag.registry(), tag.repository()),
            None => self.repository.clone(),
        }
    }
}

/// Returns the name of a branch or tag without its prefix.
pub(crate) fn short_ref(git_ref: &str) -> &str {
    let prefixes = ["refs/heads/", "refs/tags/"];
    prefixes.iter().find_map(|prefix| git_ref.strip_prefix(prefix)).unwrap_or(git_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_that_of_docker_hub() {
        let tags = ["docker.io/acme/app:1.2", "docker.io/acme/app:latest"];
        let facts = Facts {
            git_ref: "refs/tags/v1.2".to_owned(),
            commit: "c".repeat(40),
            message: "A commit".to_owned(),
            dockerfile: "deploy/docker/Dockerfile".to_owned(),
            context: "deploy".to_owned(),
            tags: tags.iter().map(|tag| Reference::parse(tag).unwrap()).collect(),
            repository: "acme/app".to_owned(),
            use_cache: true,
            push: true,
            build: "bld_1".to_owned(),
            own: [("COMMIT_MSG".to_owned(), "mine".to_owned())].into(),
        };
        let environment = facts.environment();
        for (name, value) in [
            ("SOURCE_BRANCH", "v1.2"),
            ("DOCKER_REPO", "index.docker.io/acme/app"),
            ("DOCKER_TAG", "1.2,latest"),
            ("CACHE_TAG", "1.2"),
            ("IMAGE_NAME", "index.docker.io/acme/app:1.2"),
            ("DOCKERFILE_PATH", "docker/Dockerfile"),
            ("BUILD_PATH", "/deploy"),
            ("COMMIT_MSG", "mine"),
        ] {
            assert_eq!(environment[name], value, "{name}");
        }
        let pull = Facts { tags: Vec::new(), use_cache: false, ..facts };
        assert_eq!(pull.image_name(), "acme/app:this");
        assert_eq!(pull.environment()["CACHE_TAG"], "");
    }
}
