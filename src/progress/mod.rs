//! Shows the progress of `slipway build`: a display on a terminal, plain lines or JSON otherwise.

mod display;
mod json;
mod plain;
mod quiet;
mod style;
mod terminal;

pub use display::Display;
pub use style::{Displays, Style, observer};
