//! The changes of a step, kept until they are dropped or adopted.

use crate::process::Process;
use crate::protocol::{FrameReader, MAX_FRAME, Request};
use crate::{Error, SnapshotId};
use std::io::{Read, Write};
use std::sync::Arc;

/// The files that a step changed; they are removed when this is dropped, unless they were adopted.
pub struct Changes {
    process: Arc<Process>,
    run: u64,
}

impl Changes {
    pub(crate) fn new(process: Arc<Process>, run: u64) -> Self {
        Changes { process, run }
    }

    /// Returns the snapshot that the changes are while they live: the next step can see them at once.
    pub fn snapshot(&self) -> SnapshotId {
        SnapshotId::of_run(&self.process.attempt, self.run)
    }

    /// Writes the changes as a layer's tar.
    pub fn write_tar(&self, out: &mut dyn Write) -> Result<(), Error> {
        self.write_tar_until(None, out)
    }

    /// Writes the changes as a layer; times after `latest` become it.
    pub fn write_tar_until(&self, latest: Option<i64>, out: &mut dyn Write) -> Result<(), Error> {
        let conversation = self.process.ask(&Request::WriteTar(self.run, latest))?;
        let mut reader = FrameReader::new(conversation);
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let got = reader
                .read(&mut buffer)
                .map_err(|error| Error::Inside(format!("reading the changes of a step: {error}")))?;
            if got == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..got]).map_err(Error::Output)?;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        // Not awaited: leftovers are removed with the attempt in any case.
        let _ = self.process.ask(&Request::Discard(self.run));
    }
}
