//! The containers of a data directory: one directory each, with the record, the state, the log and the socket.

use super::name;
use super::record::{Record, State, Status};
use super::volume::Volumes;
use crate::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Tells one start of the machine from the next.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Digits of an id.
const ID: usize = 64;
/// Exit code of a container whose end nobody saw.
const LOST: i32 = 255;

/// The containers of a data directory.
#[derive(Debug, Clone)]
pub struct Containers {
    root: PathBuf,
}

/// A container at one moment.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its settings.
    pub record: Record,
    /// How it is.
    pub state: State,
    /// Its directory.
    pub directory: PathBuf,
}

/// Returns a new id.
pub fn new_id() -> Result<String, Error> {
    let mut bytes = [0; 32];
    let path = Path::new("/dev/urandom");
    let read = File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    read.map_err(Error::file("reading", path))?;
    Ok(hex::encode(bytes))
}

/// Returns this moment, RFC 3339.
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// Returns what tells this start of the machine from others.
pub(crate) fn boot() -> String {
    fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned()
}

impl Containers {
    /// Opens the containers of a data directory.
    pub fn open(data: &Path) -> Result<Containers, Error> {
        let root = data.join("containers");
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(Error::file("creating", &root))?;
        Ok(Containers { root })
    }

    /// Opens the volumes of the same data directory.
    pub fn volumes(&self) -> Result<Volumes, Error> {
        Volumes::open(self.root.parent().unwrap_or(&self.root))
    }

    /// Returns all containers, the newest first.
    pub fn list(&self) -> Result<Vec<Container>, Error> {
        let entries = fs::read_dir(&self.root).map_err(Error::file("reading", &self.root))?;
        // One that is removed meanwhile is not there any more.
        let mut found: Vec<Container> =
            entries.flatten().filter_map(|entry| Container::read(&entry.path()).ok()).collect();
        found.sort_by(|one, other| other.record.created.cmp(&one.record.created));
        Ok(found)
    }

    /// Returns the container that `text` means: a name, an id, or the start of an id.
    pub fn find(&self, text: &str) -> Result<Container, Error> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let all = self.list()?;
        let exact = all.iter().find(|known| known.record.name == text || known.record.id == text);
        if let Some(found) = exact {
            return Ok(found.clone());
        }
        let mut fitting = all.into_iter().filter(|known| !text.is_empty() && known.record.id.starts_with(text));
        let first = fitting.next();
        match (first, fitting.next()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => Err(Error::Invalid(format!("Multiple IDs found with provided prefix: {text}"))),
            (None, _) => Err(Error::no_container(text)),
        }
    }

    /// Makes a container; a name that is empty is chosen.
    pub fn create(&self, mut record: Record) -> Result<Container, Error> {
        let _lock = self.lock()?;
        if record.name.is_empty() {
            record.name = name::name_of(&record.id);
        }
        self.check_name(&record.name)?;
        let directory = self.root.join(&record.id);
        DirBuilder::new().mode(0o700).create(&directory).map_err(Error::file("creating", &directory))?;
        let container = Container { record, state: State::default(), directory };
        container.write_state()?;
        container.write_record()?;
        sync(&container.directory)?;
        sync(&self.root)?;
        Ok(container)
    }

    /// Takes the place of the supervisor of the container `id`, which it reads then: nobody removes it meanwhile.
    pub fn supervise(&self, id: &str) -> Result<(File, Container), Error> {
        let directory = self.find(id)?.directory;
        let lock = lock(&directory)?.ok_or_else(|| Error::Conflict(format!("container {id} is running already")))?;
        // A removal that held the lock before has left nothing.
        let mut container = Container::read(&directory).map_err(|_| Error::no_container(id))?;
        if container.is_running() {
            container.lose();
        }
        Ok((lock, container))
    }

    /// Keeps a container that does not run from being started or removed; fails if it runs or is about to.
    pub fn hold(&self, container: &Container) -> Result<File, Error> {
        let busy = || Error::Busy(container.record.id.clone());
        let lock = lock(&container.directory)?.ok_or_else(busy)?;
        Container::read(&container.directory).map_err(|_| Error::no_container(&container.record.name))?;
        Ok(lock)
    }

    /// Removes a container: its files, which `remove_files` does, and its record. Fails if it runs or is about to.
    pub fn remove(&self, container: &Container, remove_files: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let is_gone = || !container.directory.join("record.json").exists();
        let _lock = match lock(&container.directory) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(Error::Busy(container.record.id.clone())),
            // It removed itself when it ended.
            Err(_) if is_gone() => return Ok(()),
            Err(error) => return Err(error),
        };
        if is_gone() {
            return Ok(());
        }
        remove_files()?;
        self.forget(container)
    }

    /// Removes what is left of the container with the whole id `id` whose record cannot be read; tells whether it was there.
    pub fn remove_damaged(&self, id: &str, remove_files: impl FnOnce() -> Result<(), Error>) -> Result<bool, Error> {
        let directory = self.root.join(id);
        let is_id = id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id || !directory.is_dir() || Container::read(&directory).is_ok() {
            return Ok(false);
        }
        let _lock = lock(&directory)?.ok_or_else(|| Error::Busy(id.to_owned()))?;
        remove_files()?;
        fs::remove_dir_all(&directory).map_err(Error::file("removing", &directory))?;
        Ok(true)
    }

    /// Returns those of `directories` that belong to no container: the first digits of ids.
    pub fn unknown(&self, directories: Vec<String>) -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(&self.root).map_err(Error::file("reading", &self.root))?;
        let known: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let is_known = |digits: &String| known.iter().any(|id| id.starts_with(digits.as_str()));
        Ok(directories.into_iter().filter(|digits| !is_known(digits)).collect())
    }

    /// Gives a container another name.
    pub fn rename(&self, text: &str, name: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut container = self.find(text)?;
        self.check_name(name)?;
        container.record.name = name.to_owned();
        container.write_record()
    }

    /// Forgets a container; its files in the sandbox are removed by the caller.
    pub(super) fn forget(&self, container: &Container) -> Result<(), Error> {
        // Without its record it is not a container any more, whatever interrupts the rest.
        let record = container.directory.join("record.json");
        fs::remove_file(&record).map_err(Error::file("removing", &record))?;
        fs::remove_dir_all(&container.directory).map_err(Error::file("removing", &container.directory))
    }

    fn lock(&self) -> Result<File, Error> {
        let path = self.root.join("lock");
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("opening", &path))?;
        file.lock().map_err(Error::file("locking", &path))?;
        Ok(file)
    }

    fn check_name(&self, name: &str) -> Result<(), Error> {
        if !name::is_valid(name) {
            return Err(Error::Invalid(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        match self.list()?.into_iter().find(|known| known.record.name == name) {
            Some(known) => Err(Error::Conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                known.record.id
            ))),
            None => Ok(()),
        }
    }
}

impl Container {
    /// Reads the container in `directory`; one whose supervisor is gone has ended.
    pub fn read(directory: &Path) -> Result<Container, Error> {
        let record = read(&directory.join("record.json"))?;
        let state = read(&directory.join("state.json"))?;
        let mut container = Container { record, state, directory: directory.to_owned() };
        if container.is_running() && !container.is_supervised() {
            // The supervisor writes the end before it lets go.
            container.state = read(&directory.join("state.json"))?;
            if container.is_running() {
                container.lose();
            }
        }
        Ok(container)
    }

    /// Takes note that it ended without its supervisor.
    fn lose(&mut self) {
        self.state.status = Status::Exited;
        self.state.exit_code = LOST;
        self.state.error = match self.state.boot == boot() {
            true => "its supervisor was ended".to_owned(),
            false => "the machine was restarted".to_owned(),
        };
    }

    /// Tells whether it runs, frozen or not.
    pub fn is_running(&self) -> bool {
        matches!(self.state.status, Status::Running | Status::Paused)
    }

    /// Tells whether a supervisor holds it.
    fn is_supervised(&self) -> bool {
        File::open(self.directory.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_err())
    }

    /// Writes the state so that readers see it whole.
    pub fn write_state(&self) -> Result<(), Error> {
        write(&self.directory, "state.json", &self.state)
    }

    fn write_record(&self) -> Result<(), Error> {
        write(&self.directory, "record.json", &self.record)
    }

    /// Returns the first 12 digits of its id.
    pub fn short_id(&self) -> &str {
        &self.record.id[..12]
    }
}

/// Takes the lock of the container in `directory`; `None` if its supervisor has it.
fn lock(directory: &Path) -> Result<Option<File>, Error> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("opening", &path))?;
    Ok(file.try_lock().is_ok().then_some(file))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(Error::file("reading", path))?;
    serde_json::from_slice(&bytes).map_err(|_| Error::Damaged(path.display().to_string()))
}

fn write<T: serde::Serialize>(directory: &Path, name: &str, value: &T) -> Result<(), Error> {
    let path = directory.join(name);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(Error::file("creating a file in", directory))?;
    let bytes = serde_json::to_vec(value).map_err(|_| Error::Damaged(name.to_owned()))?;
    file.write_all(&bytes).map_err(Error::file("writing", &path))?;
    // A record that a power loss cut short would be a container that nobody can name.
    file.as_file().sync_data().map_err(Error::file("syncing", &path))?;
    file.persist(&path).map_err(|error| Error::file("renaming to", &path)(error.error))?;
    Ok(())
}

fn sync(directory: &Path) -> Result<(), Error> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(Error::file("syncing", directory))
}
