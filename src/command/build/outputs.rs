//! `--output`: what becomes of the image.

use super::fields::fields;
use builder::annotation::{Annotation, Level};
use builder::output::{Destination, Format, Output};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Keys of `--output`.
const KEYS: [&str; 9] =
    ["type", "dest", "tar", "name", "push", "oci-mediatypes", "compression", "store", "annotation.*"];

/// All outputs together.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Archives and directories.
    pub written: Vec<Output>,
    /// Further names of the image.
    pub names: Vec<String>,
    /// Whether it is pushed.
    pub push: bool,
    /// Whether it stays in the store under its names.
    pub keep: bool,
    /// Notes on it.
    pub annotations: Vec<Annotation>,
}

impl Outputs {
    /// Reads the flags; without any, the image stays in the store.
    pub fn parse(flags: &[String]) -> Result<Outputs, String> {
        let mut outputs = Outputs { keep: flags.is_empty(), ..Outputs::default() };
        for flag in flags {
            outputs.add(flag)?;
        }
        let stdout = outputs.written.iter().filter(|output| output.destination == Destination::Stdout).count();
        match stdout {
            0 => Ok(outputs),
            1 if std::io::stdout().is_terminal() => {
                Err("--output: a tar is not written to a terminal: redirect it or name a file".to_owned())
            }
            1 => Ok(outputs),
            _ => Err("--output: only one output can be standard output".to_owned()),
        }
    }

    fn add(&mut self, flag: &str) -> Result<(), String> {
        let files = |destination| Output { format: Format::Files, destination };
        if flag == "-" {
            self.written.push(files(Destination::Stdout));
            return Ok(());
        }
        if !flag.contains('=') {
            self.written.push(files(Destination::Directory(PathBuf::from(flag))));
            return Ok(());
        }
        let fields = fields("--output", flag, &KEYS)?;
        let field = |name: &str| fields.get(name).map(String::as_str);
        if let Some(compression) = field("compression").filter(|compression| *compression != "gzip") {
            return Err(format!("--output `{flag}`: compression={compression} is not written; gzip is"));
        }
        let names = field("name").unwrap_or_default().split(',').filter(|name| !name.is_empty());
        self.names.extend(names.map(str::to_owned));
        for (key, value) in &fields {
            if let Some(key) = key.strip_prefix("annotation.") {
                let (level, key, value) = (Level::Manifest, key.to_owned(), value.clone());
                self.annotations.push(Annotation { level, platform: None, key, value });
            }
        }
        let destination = |default: Option<Destination>| match field("dest") {
            Some("-") => Ok(Destination::Stdout),
            Some(path) => Ok(Destination::File(PathBuf::from(path))),
            None => default.ok_or_else(|| format!("--output `{flag}`: dest=… is missing")),
        };
        let is = |name: &str| field(name).is_some_and(|value| value == "true" || value == "1");
        match field("type") {
            Some("image") => {
                self.keep = true;
                self.push |= is("push");
            }
            Some("registry") => self.push = true,
            Some("cacheonly") => {}
            Some("docker") if field("dest").is_none() => self.keep = true,
            Some("docker") => {
                self.written.push(Output { format: Format::Docker, destination: destination(None)? });
            }
            Some("oci") => {
                let destination = match (field("tar"), destination(Some(Destination::Stdout))?) {
                    (Some("false" | "0"), Destination::File(path)) => Destination::Directory(path),
                    (Some("false" | "0"), _) => {
                        return Err(format!("--output `{flag}`: tar=false needs dest=DIRECTORY"));
                    }
                    (_, destination) => destination,
                };
                self.written.push(Output { format: Format::Oci, destination });
            }
            Some("tar") => self.written.push(files(destination(Some(Destination::Stdout))?)),
            Some("local") => match destination(None)? {
                Destination::File(path) => self.written.push(files(Destination::Directory(path))),
                _ => return Err(format!("--output `{flag}`: type=local writes a directory, not standard output")),
            },
            Some(other) => {
                return Err(format!(
                    "--output `{flag}`: unknown type `{other}`; image, registry, oci, docker, local, tar and cacheonly \
                     are known"
                ));
            }
            None => return Err(format!("--output `{flag}`: type=… is missing")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_as_docker_reads_them() {
        // DF-274
        let one = |flag: &str| Outputs::parse(&[flag.to_owned()]).unwrap().written.remove(0);
        let path = PathBuf::from;
        assert_eq!(one("out").destination, Destination::Directory(path("out")));
        assert_eq!(one("type=local,dest=out"), one("out"));
        assert_eq!(one("type=tar,dest=f"), Output { format: Format::Files, destination: Destination::File(path("f")) });
        assert_eq!(one("type=oci,dest=d,tar=false").destination, Destination::Directory(path("d")));
        assert_eq!(one("type=docker,dest=f").format, Format::Docker);
        let image = Outputs::parse(&["type=image,\"name=a/b:1,c\",push=true,annotation.k=v".to_owned()]).unwrap();
        assert_eq!(
            (image.names.as_slice(), image.push, image.keep),
            (["a/b:1", "c"].map(str::to_owned).as_slice(), true, true)
        );
        assert_eq!(image.annotations[0].key, "k");
        assert!(Outputs::parse(&[]).unwrap().keep);
        assert!(!Outputs::parse(&["type=cacheonly".to_owned()]).unwrap().keep);
        for bad in
            ["type=bogus", "dest=x", "type=local,dest=-", "type=local", "type=oci,tar=false", "type=oci,x=1,dest=f"]
        {
            assert!(Outputs::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
