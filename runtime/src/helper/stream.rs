//! Streams from the helper to its caller.

use crate::error::HelperError;
use crate::protocol::{Answer, Conversation, FrameWriter};
use std::io::{self, Write};

/// Streams what `write` writes, and its error, if it fails, in place of the end.
pub(crate) fn stream(
    conversation: &mut Conversation,
    write: impl FnOnce(&mut dyn Write) -> Result<(), HelperError>,
) -> io::Result<()> {
    let mut writer = FrameWriter::new(conversation);
    match write(&mut writer) {
        Ok(()) => writer.finish(),
        Err(error) => {
            drop(writer);
            conversation.send_value(&Answer::<()>::Err(error))
        }
    }
}
