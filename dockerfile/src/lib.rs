//! Dockerfiles: text in, typed instructions with positions out, as BuildKit reads them; then a plan of the build.
//!
//! The three stages have types of the same names: [`ast::Copy`] is what the file says, [`plan::Copy`] has every word
//! expanded and every name resolved. Executing it is the builder's part. Everything here is pure.
#![forbid(unsafe_code)]

mod arguments;
pub mod ast;
mod cause;
mod check;
mod error;
mod exec;
pub mod expand;
mod flags;
mod health;
mod heredoc;
mod lexer;
mod mount;
mod parse;
pub mod plan;
mod port;
mod quote;
mod rules;
mod signal;
mod snippet;
mod style;
mod suggest;
mod syntax;
mod text;
mod words;

pub use ast::{Dockerfile, MAX_SIZE};
pub use error::{ParseError, Span};
pub use heredoc::Heredoc;
pub use lexer::{Comments, Directives};
pub use quote::printable;
pub use rules::{Rule, Warning};
pub use snippet::{snippet, snippet_of_error};
pub use suggest::suggest_name;
pub use text::DockerfileText;

#[cfg(test)]
mod tests;
