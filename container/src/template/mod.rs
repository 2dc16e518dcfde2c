//! Go templates for `--format`: text to nodes, nodes and data to text.

mod evaluate;
mod functions;
mod go_template;
mod lexer;
mod parse;
mod value;

pub use go_template::Template;
