//! Random pushes, mounts, deletions and collections against a model: nothing is lost, and nothing gets from one repository to
//! another but by being sent or mounted.

use crate::hub::{Hub, digest_of, manifest};
use axum::http::Method;
use registry_client::Digest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REPOSITORIES: [&str; 3] = ["a", "b/b", "c/c/c"];
const BLOBS: [&[u8]; 4] = [b"{}", b"one", b"two", b"three"];
const TAGS: [&str; 2] = ["1", "latest"];
const STEPS: usize = 700;

/// Expected contents of a repository.
#[derive(Default)]
struct Model {
    blobs: BTreeSet<usize>,
    /// Manifests, by the set of their layers.
    manifests: BTreeSet<usize>,
    /// Manifests by tag, and those that were put by digest under `None`.
    tags: BTreeMap<(Option<&'static str>, usize), usize>,
}

/// Random numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Returns the layers of a manifest: those whose bits are set.
fn layers(number: usize) -> Vec<usize> {
    (1..BLOBS.len()).filter(|blob| number & (1 << (blob - 1)) != 0).collect()
}

fn document(number: usize) -> Value {
    manifest(&layers(number).into_iter().map(|blob| BLOBS[blob]).collect::<Vec<_>>())
}

fn tag_key(tag: Option<&'static str>, number: usize) -> (Option<&'static str>, usize) {
    (tag, if tag.is_some() { 0 } else { number })
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_leaks() {
    for seed in [1, 2] {
        play(Random(seed)).await;
    }
}

async fn play(mut random: Random) {
    let hub = Hub::new();
    let mut models: [Model; 3] = Default::default();
    for step in 0..STEPS {
        let (at, blob, number) = (random.below(3), random.below(BLOBS.len()), random.below(8));
        let (name, digest) = (REPOSITORIES[at], Digest::of(BLOBS[blob]));
        match random.below(20) {
            0..6 => {
                hub.upload(name, BLOBS[blob]).await;
                models[at].blobs.insert(blob);
            }
            6..8 => {
                let from = random.below(3);
                let path = format!("{name}/blobs/uploads/?mount={digest}&from={}", REPOSITORIES[from]);
                let has = models[from].blobs.contains(&blob) || models[at].blobs.contains(&blob);
                let expected = if has { 201 } else { 202 };
                assert_eq!(hub.ask(Method::POST, &path, &[], b"").await.status, expected, "step {step}");
                models[at].blobs.extend(has.then_some(blob));
            }
            8..14 => {
                let tag = [None, Some(TAGS[0]), Some(TAGS[1])][random.below(3)];
                let put = hub.put(name, tag.unwrap_or_default(), &document(number)).await;
                let needed = layers(number);
                let may = models[at].blobs.contains(&0) && needed.iter().all(|blob| models[at].blobs.contains(blob));
                assert_eq!(put.status, if may { 201 } else { 404 }, "step {step}");
                if may {
                    models[at].manifests.insert(number);
                    models[at].tags.insert(tag_key(tag, number), number);
                }
            }
            14 => {
                let tag = TAGS[random.below(2)];
                let was = models[at].tags.remove(&tag_key(Some(tag), 0)).is_some();
                let path = format!("{name}/manifests/{tag}");
                assert_eq!(hub.status(Method::DELETE, &path).await, if was { 202 } else { 404 }, "step {step}");
            }
            15 => {
                let path = format!("{name}/manifests/{}", digest_of(&document(number)));
                let was = models[at].manifests.remove(&number);
                models[at].tags.retain(|_, tagged| *tagged != number);
                assert_eq!(hub.status(Method::DELETE, &path).await, if was { 202 } else { 404 }, "step {step}");
            }
            16 => {
                let was = models[at].blobs.remove(&blob);
                let path = format!("{name}/blobs/{digest}");
                assert_eq!(hub.status(Method::DELETE, &path).await, if was { 202 } else { 404 }, "step {step}");
            }
            17 => hub.store.readmit().map(|()| readmit(&mut models)).unwrap(),
            _ => {
                hub.store.collect(&Default::default(), Duration::ZERO).unwrap();
                collect(&mut models);
            }
        }
        check(&hub, &models, step).await;
    }
}

/// After a start of the machine repositories have what their tags lead to, whatever was deleted of that.
fn readmit(models: &mut [Model; 3]) {
    for model in models {
        let tagged: Vec<usize> = model.tags.values().copied().collect();
        for number in tagged {
            model.manifests.insert(number);
            model.blobs.extend(layers(number).into_iter().chain([0]));
        }
    }
}

fn collect(models: &mut [Model; 3]) {
    let manifests: BTreeSet<usize> = models.iter().flat_map(|model| model.tags.values().copied()).collect();
    let blobs: BTreeSet<usize> = manifests.iter().flat_map(|number| layers(*number).into_iter().chain([0])).collect();
    for model in models {
        model.manifests.retain(|number| manifests.contains(number));
        model.blobs.retain(|blob| blobs.contains(blob));
    }
}

async fn check(hub: &Hub, models: &[Model; 3], step: usize) {
    for (name, model) in REPOSITORIES.iter().zip(models) {
        for (blob, bytes) in BLOBS.iter().enumerate() {
            let has = hub.store.has(name, image_store::Part::Blob, &Digest::of(bytes)).unwrap();
            assert_eq!(has, model.blobs.contains(&blob), "step {step}: blob {blob} of {name}");
        }
        for number in 0..8 {
            let digest = digest_of(&document(number));
            let has = hub.store.has(name, image_store::Part::Manifest, &digest).unwrap();
            assert_eq!(has, model.manifests.contains(&number), "step {step}: manifest {number} of {name}");
        }
    }
    // One answer of each step is asked for whole.
    let (name, model) = (REPOSITORIES[step % 3], &models[step % 3]);
    for tag in TAGS {
        let expected =
            model.tags.get(&tag_key(Some(tag), 0)).map(|number| serde_json::to_vec(&document(*number)).unwrap());
        let got = hub.get(&format!("{name}/manifests/{tag}")).await;
        assert_eq!((got.status == 200).then_some(got.body), expected, "step {step}: {name}:{tag}");
    }
}
