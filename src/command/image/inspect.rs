//! `slipway inspect`: everything that is known of images and containers, as JSON or as a template says.

use crate::hand::{Failure, Hand, told};
use clap::Args;
use container::{Catalog, Template};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway inspect`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names or ids
    #[arg(required = true)]
    names: Vec<String>,
    /// How to print: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only images, or only containers
    #[arg(long = "type", value_name = "image|container")]
    kind: Option<String>,
}

/// The kind of object that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A container, or else an image.
    Any,
    /// An image.
    Image,
    /// A container.
    Container,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>, kind: Kind) -> Result<ExitCode, String> {
    told(|| inspect(arguments, data_dir, kind))
}

fn inspect(arguments: &Arguments, data_dir: Option<PathBuf>, kind: Kind) -> Result<ExitCode, Failure> {
    let kind = match arguments.kind.as_deref() {
        None | Some("") => kind,
        Some("image") => Kind::Image,
        Some("container") => Kind::Container,
        Some(other) => return Err(format!("{other:?} is not a valid value for --type").into()),
    };
    let template = match arguments.format.as_deref() {
        None | Some("" | "json") => None,
        Some(text) => Some(Template::parse(text)?),
    };
    let hand = Hand::open(data_dir)?;
    let (catalog, containers) = (Catalog::load(&hand.store)?, hand.containers()?);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &arguments.names {
        if kind != Kind::Image
            && let Ok(known) = containers.find(name)
        {
            found.push(container::container_details(&known));
            continue;
        }
        if kind == Kind::Container {
            missing.push(Failure::from(container::Error::no_container(name)));
            continue;
        }
        match (catalog.find_own(&hand.store, name), kind) {
            (Ok(image), _) => found.push(container::details(&image)),
            (Err(error), Kind::Image) => missing.push(Failure::from(error)),
            (Err(_), _) => missing.push(Failure::from(format!("error: no such object: {name}"))),
        }
    }
    print(arguments, template.as_ref(), &found)?;
    Ok(missing.iter().map(Failure::tell).next_back().unwrap_or(ExitCode::SUCCESS))
}

fn print(arguments: &Arguments, template: Option<&Template>, found: &[Value]) -> Result<(), Failure> {
    match template {
        Some(template) => {
            for document in found {
                println!("{}", template.render(document)?);
            }
        }
        None if arguments.format.as_deref() == Some("json") => println!("{}", Value::from(found)),
        None => println!("{}", container::indented(&found, "    ").unwrap_or_default()),
    }
    Ok(())
}
