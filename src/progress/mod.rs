//! Shows the progress of `slipway build`: a display on a terminal, plain lines or JSON otherwise.

mod display;
mod json;
mod plain;
mod quiet;
mod style;
mod terminal;

pub(crate) use display::Display;
pub(crate) use style::{Displays, Style, observer};
