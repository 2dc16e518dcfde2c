//! Images and containers handled by hand: names, pulls, removals, records, writable layers, supervisors.
#![forbid(unsafe_code)]

mod container;
mod error;
mod image;
mod login;
mod template;

pub use container::{
    Client, CommitRequest, Container, ContainerFiles, Containers, ExecRequest, ImportRequest, Input, Layers, LogLine,
    LogReader, Message, PackedLayer, Port, Record, Request, State, Status, UNLIMITED, Volume, VolumeMount, Volumes,
    commit, container_details, extract, import, new_id, now, pass_signal, supervise, write_local,
};
pub use error::Error;
pub use image::{
    Catalog, Filters, HistoryLine, Image, ImageUser, LayerStatus, Loaded, Name, Pulled, Pushed, Removal, Removed,
    SizeOf, Watch, details, history, keep_for_container, load, moment, name_matches, prune, pull, push,
    release_container, remove, save, short_id, tag,
};
pub use login::{Account, ConfigFile, indented};
pub use template::Template;
