//! `--secret`: what steps may see and the image never holds.

use super::fields::fields;
use std::path::Path;

/// Largest secret that is read.
const MAX_SECRET: u64 = 500 * 1024;

/// Reads a secret given as `id=ID[,src=FILE|,env=NAME][,type=file|env]`.
pub(crate) fn secret(argument: &str) -> Result<(String, Vec<u8>), String> {
    let fields = fields("--secret", argument, &["id", "src", "source", "env", "type"])?;
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty());
    let source = field("src").or_else(|| field("source"));
    let id = match (field("id"), source) {
        (Some(id), _) => id.clone(),
        // A file is its own id, as for docker.
        (None, Some(path)) => Path::new(path)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .ok_or_else(|| format!("--secret `{argument}`: id=… is missing"))?,
        (None, None) => return Err(format!("--secret `{argument}`: id=… is missing")),
    };
    let from_variable = |name: &str| {
        std::env::var_os(name)
            .map(std::os::unix::ffi::OsStringExt::into_vec)
            .ok_or_else(|| format!("reading secret `{id}` from ${name}: the variable is not set"))
    };
    let content = match (field("type").map(String::as_str), field("env"), source) {
        (Some("env"), Some(name), _) => from_variable(name)?,
        // `type=env,src=NAME` is docker's older spelling.
        (Some("env"), None, name) => from_variable(name.unwrap_or(&id))?,
        (None, Some(name), None) => from_variable(name)?,
        (None | Some("file"), None, Some(path)) => from_file(&id, path)?,
        (Some("file"), None, None) => from_file(&id, &id)?,
        (None, None, None) if std::env::var_os(&id).is_some() => from_variable(&id)?,
        (None, None, None) => from_file(&id, &id)?,
        (Some("file") | None, Some(_), _) => {
            return Err(format!("--secret `{argument}`: either a file (src) or a variable (env), not both"));
        }
        (Some(other), ..) => {
            return Err(format!("--secret `{argument}`: unsupported type `{other}`; file and env are known"));
        }
    };
    Ok((id, content))
}

fn from_file(id: &str, path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("reading secret `{id}` from `{path}`: {error}");
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_SECRET {
        return Err(format!("secret `{id}` from `{path}` has {size} bytes; {MAX_SECRET} are allowed"));
    }
    std::fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_files_and_variables() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("s");
        std::fs::write(&file, "value").unwrap();
        let path = file.display();
        let read = |text: String| secret(&text).unwrap();
        assert_eq!(read(format!("id=a,src={path}")), ("a".to_owned(), b"value".to_vec()));
        assert_eq!(read(format!("type=file,id=a,source={path}")).1, b"value");
        assert_eq!(read(format!("src={path}")).0, "s");
        let home = std::env::var("PATH").unwrap().into_bytes();
        for text in ["id=a,env=PATH", "id=a,type=env,src=PATH", "id=PATH", "id=PATH,type=env"] {
            assert_eq!(secret(text).unwrap().1, home, "{text}");
        }
        for bad in ["", "id=", "id=a,src=/nosuch", "id=a,env=NO_SUCH_VARIABLE", "id=a,bogus=1", "id=a,type=x,src=/"] {
            assert!(secret(bad).is_err(), "{bad}");
        }
    }
}
