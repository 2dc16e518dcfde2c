//! The secrets that a build may mount.

use super::recorder::Recorder;
use crate::error::Code;
use crate::event::{Event, Observer};
use crate::secrets::{LARGEST, SHORTEST};
use crate::{Error, Services};
use database::BuildRequest;
use std::collections::BTreeMap;

/// Opens the secrets that the rule of `request` names; a build that strangers may start gets none.
pub(crate) fn open(services: &Services, request: &BuildRequest) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let options = &request.spec.options;
    if !options.trusted || options.secrets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let opened = services.tokio.block_on(services.database.secrets(&request.repository, &options.secrets));
    let opened = opened
        .map_err(|error| Error::new(Code::Database, "opening the secrets of the repository").with_cause(error))?;
    if let Some((name, value)) = opened.iter().find(|(_, value)| value.len() > LARGEST) {
        let size = value.len();
        return Err(Error::new(
            Code::SecretTooLarge,
            format!("secret `{name}` has {size} bytes; at most {LARGEST} can be hidden in what a build prints"),
        ));
    }
    Ok(opened.into_iter().collect())
}

/// Says which secrets are too short to be hidden.
pub(crate) fn warn_of_short_ones(secrets: &BTreeMap<String, Vec<u8>>, recorder: &Recorder) {
    for (name, value) in secrets {
        let length = value.trim_ascii().len();
        if (1..SHORTEST).contains(&length) {
            let text = format!("secret `{name}` has fewer than {SHORTEST} characters and is not hidden in the log");
            recorder.observe(Event::Warning(&text));
        }
    }
}
