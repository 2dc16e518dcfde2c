//! `slipway system df`: what images, containers and the cache of builds take up.

use crate::command::container::ps::status;
use crate::hand::{Failure, Format, Hand, Table, ago, bytes, now, told};
use clap::Args;
use container::{Catalog, Container, Error, Image, Volume, short_id};
use registry_client::Digest;
use runtime::{ContainerId, Sandbox};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway system df`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show each image and container
    #[arg(short, long)]
    verbose: bool,
}

const COLUMNS: [(&str, &str); 5] =
    [("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"), ("Reclaimable", "RECLAIMABLE")];

/// Everything that is there, with sizes.
struct Found {
    images: Vec<Image>,
    /// The blobs of each image, in the order of the images.
    blobs: Vec<HashSet<Digest>>,
    sizes: HashMap<Digest, u64>,
    containers: Vec<(Container, u64)>,
    /// Volumes with the bytes that they have.
    volumes: Vec<(Volume, u64)>,
    cache: HashSet<Digest>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let format = Format::parse(arguments.format.as_deref())?;
        if arguments.verbose && arguments.format.is_some() {
            return Err("the verbose option is not supported when a custom format is specified".to_owned().into());
        }
        let found = find(&Hand::open(data_dir)?)?;
        match arguments.verbose {
            true => found.print_each(),
            false => format.print(&COLUMNS, &[], &found.rows())?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn find(hand: &Hand) -> Result<Found, Failure> {
    let images = Catalog::load(&hand.store)?.images;
    let blobs: Vec<HashSet<Digest>> = images.iter().map(|image| image.closure(&hand.store)).collect();
    let cache = hand.cached_blobs()?;
    let all = blobs.iter().flatten().chain(&cache);
    let sizes = all.map(|digest| (digest.clone(), hand.store.size(digest).unwrap_or(0))).collect();
    let sandbox = Sandbox::start(&hand.sandbox()?, &format!("df-{}", std::process::id())).map_err(Error::from)?;
    let all = hand.containers()?;
    let sized = all.volumes()?.list()?.into_iter().map(|volume| {
        let size = sandbox.volume_bytes(&volume.name)?;
        Ok((volume, size))
    });
    let volumes = sized.collect::<Result<_, Error>>()?;
    let measured = all.list()?.into_iter().map(|container| {
        let size = ContainerId::new(&container.record.id).and_then(|id| sandbox.container_bytes(&id));
        Ok((container, size.map_err(Error::from)?))
    });
    let containers = measured.collect::<Result<_, Error>>()?;
    Ok(Found { images, blobs, sizes, containers, volumes, cache })
}

impl Found {
    fn size<'d>(&self, digests: impl IntoIterator<Item = &'d Digest>) -> u64 {
        digests.into_iter().collect::<HashSet<_>>().iter().filter_map(|digest| self.sizes.get(digest)).sum()
    }

    fn users(&self, image: &Image) -> usize {
        self.containers.iter().filter(|known| known.0.record.image == image.id).count()
    }

    fn rows(&self) -> Vec<Value> {
        let (of_images, pairs) = (self.size(self.blobs.iter().flatten()), self.images.iter().zip(&self.blobs));
        let used: Vec<_> = pairs.filter(|pair| self.users(pair.0) > 0).map(|pair| pair.1).collect();
        let unused = of_images - self.size(used.iter().copied().flatten());
        let all: u64 = self.containers.iter().map(|known| known.1).sum();
        let running = self.containers.iter().filter(|known| known.0.is_running());
        let (count, held) = running.fold((0, 0), |sum, known| (sum.0 + 1, sum.1 + known.1));
        let images: HashSet<&Digest> = self.blobs.iter().flatten().collect();
        let cached: Vec<&Digest> = self.cache.iter().filter(|digest| !images.contains(digest)).collect();
        let cache = self.size(cached.iter().copied());
        vec![
            row("Images", self.images.len(), used.len(), of_images, unused),
            row("Containers", self.containers.len(), count, all, all - held),
            self.volume_row(),
            row("Build Cache", cached.len(), 0, cache, cache),
        ]
    }

    /// Returns how many containers have a volume.
    fn links(&self, volume: &Volume) -> usize {
        let has = |container: &Container| container.record.volumes.iter().any(|mount| mount.volume == volume.name);
        self.containers.iter().filter(|known| has(&known.0)).count()
    }

    fn volume_row(&self) -> Value {
        let all: u64 = self.volumes.iter().map(|known| known.1).sum();
        let used = self.volumes.iter().filter(|known| self.links(&known.0) > 0);
        let (count, held) = used.fold((0, 0), |sum, known| (sum.0 + 1, sum.1 + known.1));
        row("Local Volumes", self.volumes.len(), count, all, all - held)
    }

    fn print_each(&self) {
        println!("Images space usage:\n");
        let heads = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"];
        let mut table = Table::new(heads);
        for (at, image) in self.images.iter().enumerate() {
            let others = self.blobs.iter().enumerate().filter(|other| other.0 != at).flat_map(|other| other.1);
            let others: HashSet<&Digest> = others.collect();
            let shared = self.size(self.blobs[at].iter().filter(|digest| others.contains(digest)));
            let size = self.size(&self.blobs[at]);
            let names: Vec<(String, String)> = match image.names.as_slice() {
                [] => vec![("<none>".to_owned(), "<none>".to_owned())],
                names => names.iter().map(|name| (name.repository().to_owned(), name.tag.clone())).collect(),
            };
            for (repository, tag) in names {
                let created = format!("{} ago", ago(now() - image.created()));
                let sizes = [size, shared, size - shared].map(bytes);
                let mut cells = vec![repository, tag, short_id(&image.id).to_owned(), created];
                cells.extend(sizes);
                cells.push(self.users(image).to_string());
                table.row(cells);
            }
        }
        print!("{}", table.text());
        println!("\nContainers space usage:\n");
        let heads = ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"];
        let mut table = Table::new(heads);
        for (container, size) in &self.containers {
            let record = &container.record;
            let created = container::moment(&record.created, 0).unwrap_or(0);
            table.row(vec![
                container.short_id().to_owned(),
                record.image_name.clone(),
                format!("\"{}\"", record.argv.join(" ")),
                record.volumes.len().to_string(),
                bytes(*size),
                format!("{} ago", ago(now() - created)),
                status(container),
                record.name.clone(),
            ]);
        }
        print!("{}", table.text());
        println!("\nLocal Volumes space usage:\n");
        let mut table = Table::new(["VOLUME NAME", "LINKS", "SIZE"]);
        for (volume, size) in &self.volumes {
            table.row(vec![volume.name.clone(), self.links(volume).to_string(), bytes(*size)]);
        }
        print!("{}", table.text());
        let images: HashSet<&Digest> = self.blobs.iter().flatten().collect();
        let cache = self.size(self.cache.iter().filter(|digest| !images.contains(digest)));
        println!("\nBuild cache usage: {}", bytes(cache));
    }
}

fn row(kind: &str, total: usize, active: usize, size: u64, reclaimable: u64) -> Value {
    let share = match size {
        0 => String::new(),
        size => format!(" ({}%)", reclaimable * 100 / size),
    };
    json!({
        "Type": kind,
        "TotalCount": total.to_string(),
        "Active": active.to_string(),
        "Size": bytes(size),
        "Reclaimable": format!("{}{share}", bytes(reclaimable)),
    })
}
