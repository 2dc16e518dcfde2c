//! `--output`: what becomes of the image.

use super::fields::fields;
use builder::image::annotation::{Annotation, Level};
use builder::image::output::{Destination, Format, Output};
use builder::layer::Compression;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Keys of `--output`.
const KEYS: [&str; 9] =
    ["type", "dest", "tar", "name", "push", "oci-mediatypes", "compression", "store", "annotation.*"];

/// All outputs together.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Archives and directories.
    pub written: Vec<Output>,
    /// Further names of the image.
    pub names: Vec<String>,
    /// Whether it is pushed.
    pub push: bool,
    /// Whether it stays in the store under its names.
    pub keep: bool,
    /// Whether docker's own store was asked for, which slipway does not write to.
    pub for_docker: bool,
    /// How its layers are compressed.
    pub compression: Compression,
    /// Notes on it.
    pub annotations: Vec<Annotation>,
}

impl Outputs {
    /// Reads the flags; without any, the image stays in the store.
    pub(crate) fn parse(flags: &[String]) -> Result<Outputs, String> {
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
        if flag == "-" {
            self.written.push(files(Destination::Stdout));
            return Ok(());
        }
        if !flag.contains('=') {
            self.written.push(files(Destination::Directory(PathBuf::from(flag))));
            return Ok(());
        }
        let fields = Fields { flag, fields: fields("--output", flag, &KEYS)? };
        if let Some(name) = fields.get("compression") {
            self.compression = Compression::parse(name).ok_or_else(|| {
                let known = Compression::ALL.map(Compression::name).join(", ");
                fields.problem(&format!("compression={name} is not written; these are: {known}"))
            })?;
        }
        let names = fields.get("name").unwrap_or_default().split(',').filter(|name| !name.is_empty());
        self.names.extend(names.map(str::to_owned));
        for (key, value) in &fields.fields {
            if let Some(key) = key.strip_prefix("annotation.") {
                let (level, key, value) = (Level::Manifest, key.to_owned(), value.clone());
                self.annotations.push(Annotation { level, platform: None, key, value });
            }
        }
        self.add_type(&fields)
    }

    fn add_type(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        let to = |format| Ok::<_, String>(Output { format, destination: fields.destination()? });
        match fields.get("type") {
            Some("image") => {
                self.keep = true;
                self.push |= fields.is("push");
            }
            Some("registry") => self.push = true,
            Some("cacheonly") => {}
            Some("docker") if fields.get("dest").is_none() => (self.keep, self.for_docker) = (true, true),
            Some("docker") => self.written.push(to(Format::Docker)?),
            Some("oci") => self.written.push(fields.layout()?),
            Some("tar") => self.written.push(to(Format::Files)?),
            Some("local") => match (fields.get("dest"), fields.destination()?) {
                (Some(_), Destination::File(path)) => self.written.push(files(Destination::Directory(path))),
                _ => return Err(fields.problem("type=local needs dest=DIRECTORY")),
            },
            Some(other) => {
                let known = "image, registry, oci, docker, local, tar and cacheonly are known";
                return Err(fields.problem(&format!("unknown type `{other}`; {known}")));
            }
            None => return Err(fields.problem("type=… is missing")),
        }
        Ok(())
    }
}

fn files(destination: Destination) -> Output {
    Output { format: Format::Files, destination }
}

/// The fields of a flag.
struct Fields<'f> {
    flag: &'f str,
    fields: BTreeMap<String, String>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    fn problem(&self, text: &str) -> String {
        format!("--output `{}`: {text}", self.flag)
    }

    /// Returns where a tar goes: to standard output, unless a file is named.
    fn destination(&self) -> Result<Destination, String> {
        match self.get("dest") {
            None | Some("-") => Ok(Destination::Stdout),
            Some("") => Err(self.problem("dest is empty")),
            Some(path) => Ok(Destination::File(PathBuf::from(path))),
        }
    }

    fn layout(&self) -> Result<Output, String> {
        let destination = match (self.get("tar"), self.destination()?) {
            (Some("false" | "0"), Destination::File(path)) => Destination::Directory(path),
            (Some("false" | "0"), _) => return Err(self.problem("tar=false needs dest=DIRECTORY")),
            (_, destination) => destination,
        };
        Ok(Output { format: Format::Oci, destination })
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
        let compression = |flag: &str| Outputs::parse(&[flag.to_owned()]).map(|outputs| outputs.compression);
        assert_eq!(compression("type=registry,compression=zstd"), Ok(Compression::Zstd));
        assert_eq!(compression("type=registry"), Ok(Compression::Gzip));
        assert_eq!(compression("type=registry,compression=zstd:chunked"), Ok(Compression::ZstdChunked));
        assert_eq!(compression("type=image,compression=estargz"), Ok(Compression::Estargz));
        assert!(compression("type=registry,compression=xz").unwrap_err().contains("gzip, zstd, zstd:chunked, estargz"));
        assert!(!Outputs::parse(&["type=cacheonly".to_owned()]).unwrap().keep);
        for bad in
            ["type=bogus", "dest=x", "type=local,dest=-", "type=local", "type=oci,tar=false", "type=oci,x=1,dest=f"]
        {
            assert!(Outputs::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
