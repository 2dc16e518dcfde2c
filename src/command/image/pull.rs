//! `slipway pull`: gets an image from a registry and keeps it under its name.

use super::layers::Layers;
use crate::command::build::registries;
use crate::hand::{Failure, Hand, runtime, told};
use clap::Args;
use container::{Error, Pulled};
use registry_client::{Platform, Reference};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway pull`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the image
    image: String,
    /// Print only the whole name
    #[arg(short, long)]
    quiet: bool,
    /// Platform of the image [default: this machine]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let pull = Pull {
            image: &arguments.image,
            platform: platform(arguments.platform.as_deref())?,
            registries: &arguments.registries,
            layers: &Layers::new(arguments.quiet, false),
        };
        pull.run(&hand)?;
        println!("{}", reference(&arguments.image)?);
        Ok(ExitCode::SUCCESS)
    })
}

/// Reads the value of `--platform`.
pub(crate) fn platform(text: Option<&str>) -> Result<Platform, Failure> {
    match text {
        None | Some("") => Ok(Platform::host()),
        Some(text) => text.parse().map_err(|error| Failure::from(format!("--platform: {error}"))),
    }
}

/// Reads the name of an image of a registry.
pub(crate) fn reference(text: &str) -> Result<Reference, Failure> {
    Reference::parse(text).map_err(|error| Failure::from(error.to_string()))
}

/// A pull that is shown as docker shows it.
pub(crate) struct Pull<'p> {
    /// The name, as it was given.
    pub image: &'p str,
    /// Platform of the image.
    pub platform: Platform,
    /// How registries are spoken to.
    pub registries: &'p [String],
    /// Where it is shown.
    pub layers: &'p Layers,
}

impl Pull<'_> {
    /// Pulls the image.
    pub(crate) fn run(&self, hand: &Hand) -> Result<Pulled, Failure> {
        let reference = reference(self.image)?;
        let last = self.image.rsplit('/').next().unwrap_or_default();
        if !last.contains([':', '@']) {
            self.layers.line("Using default tag: latest");
        }
        let selector = reference.selector().to_owned();
        let familiar = reference.to_string();
        let shown = if reference.digest().is_some() { &familiar } else { &selector };
        self.layers.line(&format!("{shown}: Pulling from {}", reference.repository()));
        let client = hand.client(registries::parse_all(self.registries)?)?;
        let watch = |layer: &registry_client::Descriptor, status| self.layers.pulled(layer, status);
        let pulling = container::pull(&hand.store, &client, &reference, &self.platform, &watch);
        let pulled = runtime()?.block_on(pulling);
        self.layers.finish();
        let pulled = pulled.map_err(|error| said(error, &reference))?;
        self.layers.line(&format!("Digest: {}", pulled.digest));
        let name = short(&reference);
        self.layers.line(&match pulled.is_up_to_date {
            true => format!("Status: Image is up to date for {name}"),
            false => format!("Status: Downloaded newer image for {name}"),
        });
        Ok(pulled)
    }
}

/// Returns a name without the parts that docker adds.
pub(crate) fn short(reference: &Reference) -> String {
    let whole = reference.to_string();
    let rest = whole.strip_prefix("docker.io/").unwrap_or(&whole);
    rest.strip_prefix("library/").filter(|_| whole.starts_with("docker.io/")).unwrap_or(rest).to_owned()
}

/// Says in docker's words that an image is not there or not for everybody.
fn said(error: Error, reference: &Reference) -> Failure {
    let repository = short(reference);
    let repository = repository.split('@').next().unwrap_or_default();
    let repository = match reference.tag() {
        Some(tag) => repository.strip_suffix(&format!(":{tag}")).unwrap_or(repository),
        None => repository,
    };
    let error = match error {
        Error::Registry(registry_client::Error::Denied(refusal)) => Error::NotFound(format!(
            "pull access denied for {repository}, repository does not exist or may require 'slipway login': {refusal}"
        )),
        Error::Registry(registry_client::Error::NotFound(text)) => {
            let selector = reference.selector();
            let separator = if reference.digest().is_some() { '@' } else { ':' };
            Error::NotFound(format!(
                "manifest for {repository}{separator}{selector} not found: manifest unknown: {text}"
            ))
        }
        Error::Registry(registry_client::Error::NoPlatform(platform)) => {
            Error::NotFound(format!("no matching manifest for {platform} in the manifest list entries"))
        }
        other => other,
    };
    Failure::from(error)
}
