//! `slipway push`: sends an image to the registry that its name says.

use super::layers::Layers;
use super::pull::reference;
use crate::command::build::registries;
use crate::hand::{Failure, Hand, runtime, told};
use clap::Args;
use container::{Catalog, Error, Pushed};
use registry_client::{Descriptor, Reference};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway push`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the image
    image: String,
    /// Push every tag of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Print only the whole name
    #[arg(short, long)]
    quiet: bool,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| push(arguments, data_dir))
}

fn push(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let hand = Hand::open(data_dir)?;
    let target = reference(&arguments.image)?;
    if target.digest().is_some() {
        return Err("cannot push a digest reference".to_owned().into());
    }
    let last = arguments.image.rsplit('/').next().unwrap_or_default();
    if arguments.all_tags && last.contains(':') {
        return Err("tag can't be used with --all-tags/-a".to_owned().into());
    }
    let layers = Layers::new(arguments.quiet, false);
    if !last.contains(':') && !arguments.all_tags {
        layers.line("Using default tag: latest");
    }
    layers.line(&format!("The push refers to repository [{}/{}]", target.registry(), target.repository()));
    let catalog = Catalog::load(&hand.store)?;
    let targets = match arguments.all_tags {
        true => tags(&catalog, &target)?,
        false => vec![target.clone()],
    };
    let client = hand.client(registries::parse_all(&arguments.registries)?)?;
    let runtime = runtime()?;
    for target in targets {
        let missing = || Error::NotFound(format!("An image does not exist locally with the tag: {}", name_of(&target)));
        catalog.by_name(&target.to_string()).ok_or_else(missing)?;
        let image = catalog.find_own(&hand.store, &target.to_string())?;
        let watch = |layer: &Descriptor, status| show(&layers, layer, status);
        let (digest, size) = runtime.block_on(container::push(&hand.store, &client, &image, &target, &watch))?;
        layers.finish();
        layers.line(&format!("{}: digest: {digest} size: {size}", target.tag().unwrap_or("latest")));
        if arguments.quiet {
            println!("{target}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the names of all tags of a repository.
fn tags(catalog: &Catalog, target: &Reference) -> Result<Vec<Reference>, Failure> {
    let stored = format!("{}/{}", target.registry(), target.repository());
    let names = catalog.images.iter().flat_map(|image| &image.names).filter(|name| name.stored == stored);
    let tags: Vec<Reference> = names.filter_map(|name| target.with_tag(&name.tag).ok()).collect();
    match tags.is_empty() {
        true => {
            Err(Error::NotFound(format!("An image does not exist locally with the tag: {}", name_of(target))).into())
        }
        false => Ok(tags),
    }
}

fn name_of(reference: &Reference) -> String {
    let short = super::pull::short(reference);
    let tag = format!(":{}", reference.tag().unwrap_or("latest"));
    short.strip_suffix(&tag).unwrap_or(&short).to_owned()
}

fn show(layers: &Layers, layer: &Descriptor, status: Pushed) {
    layers.show(
        layer,
        match status {
            Pushed::Preparing => "Preparing",
            Pushed::Sent => "Pushed",
            Pushed::Exists => "Layer already exists",
        },
    );
}
