//! Cache keys of instructions, written field by field: a new field does not compile until its part in the key is decided.
//!
//! Stages and images that files come from are not in these keys. Where keys are put together, their content
//! stands for them: the number of a stage says nothing.

use crate::key::{CacheKey, KeyBuilder};
use dockerfile::ast::{CopyFlags, Sharing};
use dockerfile::plan::{Action, Copy, InlineFile, Mount, MountKind, Run, Source};

impl CacheKey for Action {
    fn add_to(&self, key: &mut KeyBuilder) {
        match self {
            Action::Configure => key.text("configure"),
            Action::Workdir { path, user } => key.text("workdir").text(path).text(user),
            Action::Run(run) => key.text("run").add(&**run),
            Action::Copy(copy) => key.text("copy").add(&**copy),
        };
    }
}

impl CacheKey for Run {
    fn add_to(&self, key: &mut KeyBuilder) {
        // Proxies are how a build reaches others, not what it is.
        let Run { argv, env, proxies: _, cwd, user, mounts, network } = self;
        key.list(argv).list(env).text(cwd).text(user).each(mounts).flag(*network);
    }
}

impl CacheKey for Mount {
    fn add_to(&self, key: &mut KeyBuilder) {
        let Mount { target, kind } = self;
        key.text(target).add(kind);
    }
}

impl CacheKey for MountKind {
    fn add_to(&self, key: &mut KeyBuilder) {
        match self {
            MountKind::Bind { from: _, source, writable } => key.text("bind").text(source).flag(*writable),
            MountKind::Cache { name, id, sharing, mode, uid, gid, writable, seed, reset_on_miss } => {
                key.text("cache").text(name).text(id).add(sharing).numbers([*mode, *uid, *gid]).flag(*writable);
                key.optional(seed.as_ref().map(|(_, source)| source)).flag(*reset_on_miss)
            }
            MountKind::Tmpfs { size } => key.text("tmpfs").optional(size.map(|size| size.to_string())),
            MountKind::Secret { id, required, env, file, mode, uid, gid } => {
                key.text("secret").text(id).flag(*required).optional(env.as_ref()).flag(*file);
                key.numbers([*mode, *uid, *gid])
            }
            MountKind::Ssh { id, required, mode, uid, gid } => {
                key.text("ssh").text(id).flag(*required).numbers([*mode, *uid, *gid])
            }
            MountKind::Script { content } => key.text("script").field(content),
        };
    }
}

impl CacheKey for Sharing {
    fn add_to(&self, key: &mut KeyBuilder) {
        key.text(match self {
            Sharing::Shared => "shared",
            Sharing::Locked => "locked",
            Sharing::Private => "private",
        });
    }
}

impl CacheKey for Copy {
    fn add_to(&self, key: &mut KeyBuilder) {
        let Copy { add, from: _, sources, files, destination, workdir, flags } = self;
        key.flag(*add).each(sources).each(files).text(destination).text(workdir).add(flags);
    }
}

impl CacheKey for CopyFlags {
    fn add_to(&self, key: &mut KeyBuilder) {
        let CopyFlags { chown, chmod, parents, excludes, link, unpack, checksum, keep_git_dir } = self;
        key.optional(chown.as_ref()).optional(chmod.as_ref()).flag(*parents).list(excludes).flag(*link);
        key.optional(unpack.map(|unpack| if unpack { "yes" } else { "no" })).optional(checksum.as_ref());
        key.flag(*keep_git_dir);
    }
}

impl CacheKey for Source {
    fn add_to(&self, key: &mut KeyBuilder) {
        match self {
            Source::Path(path) => key.text("path").text(path),
            Source::Url(url) => key.text("url").text(url),
            Source::Git(url) => key.text("git").text(url),
        };
    }
}

impl CacheKey for InlineFile {
    fn add_to(&self, key: &mut KeyBuilder) {
        let InlineFile { name, content } = self;
        key.text(name).field(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dockerfile::plan::From;

    fn key(action: &Action) -> String {
        KeyBuilder::new("test").add(action).finish()[..16].to_owned()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn mounts() -> Vec<Mount> {
        let seed = Some((From::Stage(0), "s".to_owned()));
        let (name, id, sharing) = ("c".to_owned(), "c-700".to_owned(), Sharing::Locked);
        let (secret, env) = ("s".to_owned(), Some("S".to_owned()));
        let (agent, content) = ("default".to_owned(), b"true\n".to_vec());
        let (uid, gid) = (1, 2);
        let kinds = [
            ("/bind", MountKind::Bind { from: From::Stage(0), source: "w".to_owned(), writable: true }),
            (
                "/cache",
                MountKind::Cache {
                    name,
                    id,
                    sharing,
                    mode: 0o700,
                    uid,
                    gid,
                    writable: true,
                    seed,
                    reset_on_miss: true,
                },
            ),
            ("/tmp", MountKind::Tmpfs { size: Some(1024) }),
            ("/secret", MountKind::Secret { id: secret, required: true, env, file: false, mode: 0o400, uid, gid }),
            ("/ssh", MountKind::Ssh { id: agent, required: false, mode: 0o600, uid, gid }),
            ("/script", MountKind::Script { content }),
        ];
        kinds.map(|(target, kind)| Mount { target: target.to_owned(), kind }).into()
    }

    /// One instruction of each kind, with all its fields.
    fn actions() -> [Action; 4] {
        let copy = Copy {
            add: false,
            from: From::Context,
            sources: vec![Source::Path("a".to_owned()), Source::Path("b".to_owned())],
            files: Vec::new(),
            destination: "/d/".to_owned(),
            workdir: "/".to_owned(),
            flags: CopyFlags {
                chown: Some("1:2".to_owned()),
                chmod: Some("640".to_owned()),
                link: true,
                parents: true,
                excludes: texts(&["*.log"]),
                ..CopyFlags::default()
            },
        };
        let add = Copy {
            add: true,
            sources: vec![Source::Url("http://h/f".to_owned()), Source::Git("https://h/r.git#main".to_owned())],
            files: vec![InlineFile { name: "inline".to_owned(), content: b"text\n".to_vec() }],
            flags: CopyFlags {
                checksum: Some("sha256:00".to_owned()),
                keep_git_dir: true,
                unpack: Some(true),
                ..CopyFlags::default()
            },
            ..copy.clone()
        };
        let run = Run {
            argv: texts(&["/bin/sh", "-c", "true"]),
            env: texts(&["A=1", "PATH=/bin"]),
            proxies: texts(&["http_proxy=http://p"]),
            cwd: "/w".to_owned(),
            user: "u".to_owned(),
            mounts: mounts(),
            network: false,
        };
        [
            Action::Workdir { path: "/w".to_owned(), user: "u".to_owned() },
            Action::Copy(Box::new(copy)),
            Action::Copy(Box::new(add)),
            Action::Run(Box::new(run)),
        ]
    }

    #[test]
    fn keys_of_fixed_instructions_stay_as_they_are() {
        // A key that changes empties the caches of all machines: then the version in `definition_keys` goes up, too.
        let keys = actions().map(|action| key(&action));
        assert_eq!(keys, ["bfe280fd382927fe", "2893a6bea6c00491", "f5bf9785b2515964", "2e6fb639b223ccaa"]);
    }

    #[test]
    fn proxies_and_the_numbers_of_stages_are_not_in_keys() {
        let changed = actions().map(|mut action| {
            match &mut action {
                Action::Run(run) => {
                    run.proxies.clear();
                    run.mounts[0].kind =
                        MountKind::Bind { from: From::Stage(7), source: "w".to_owned(), writable: true };
                }
                Action::Copy(copy) => copy.from = From::Stage(7),
                Action::Configure | Action::Workdir { .. } => {}
            }
            action
        });
        assert_eq!(changed.map(|action| key(&action)), actions().map(|action| key(&action)));
    }
}
