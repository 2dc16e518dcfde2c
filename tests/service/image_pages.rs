//! The pages of images: layers, settings, files, and the comparison of two builds.

use crate::service::api::ADMIN;
use crate::support::{Site, curl};

const DOCKERFILE: &str = "FROM scratch\nENV MODE=slow TOKEN=kept\nUSER 1000\nEXPOSE 8080\nENTRYPOINT [\"/app/run\"]\n\
    COPY files/ /app/\nCOPY --chmod=4755 su /bin/su\nCOPY installed /lib/apk/db/installed\n\
    COPY package.json /srv/node_modules/left-pad/package.json\n";

fn page(site: &Site, path: &str) -> String {
    let answer = curl(&["-H", "Accept: text/html", &format!("{}{path}", site.url)]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

/// Builds a commit and returns the build's id.
fn build(site: &Site, files: &[(&str, &str)]) -> String {
    let id = site.push(&site.commit(files));
    site.succeeded(&id);
    id
}

#[test]
fn an_image_shows_what_is_in_it_and_in_what_it_differs_from_another_one() {
    let site = Site::start(ADMIN);
    let large = "x".repeat(5_000);
    let first = build(
        &site,
        &[
            ("Dockerfile", DOCKERFILE),
            ("files/run", "#!/bin/sh\n"),
            ("files/lib/large", &large),
            ("files/lib/gone", "1234567"),
            ("su", "s"),
            ("installed", "P:busybox\nV:1.37.0-r1\n\nP:old\nV:1\n"),
            ("package.json", "{\"name\": \"left-pad\", \"version\": \"1.0.0\"}"),
        ],
    );
    let image = page(&site, &format!("/builds/{first}/image"));
    for part in ["COPY files/ /app/", "/app/run", "8080/tcp", ">MODE<", "step 5", ">app/</code></a>", "docker pull"] {
        assert!(image.contains(part), "{part}: {image}");
    }
    let below = page(&site, &format!("/builds/{first}/image?path=app%2Flib"));
    assert!(below.contains(">large<") && below.contains("5.0 kB") && below.contains("2 files"), "{below}");
    let layer = page(&site, &format!("/builds/{first}/image?layer=2&path=bin"));
    assert!(layer.contains("of layer 2") && layer.contains(" setuid") && layer.contains("4755 0:0"), "{layer}");
    let none = page(&site, &format!("/builds/{first}/image?layer=9"));
    assert!(none.contains("the image has no layer 9: it has 4"), "{none}");

    std::fs::remove_file(site.path("work/files/lib/gone")).unwrap();
    let second = build(
        &site,
        &[
            ("Dockerfile", &DOCKERFILE.replace("MODE=slow", "MODE=fast").replace("4755", "0755")),
            ("files/lib/large", &large.repeat(2)),
            ("files/new", "n"),
            ("installed", "P:busybox\nV:1.37.0-r2\n\nP:old\nV:1\n"),
            ("package.json", "{\"name\": \"left-pad\", \"version\": \"1.3.0\"}"),
        ],
    );
    let compared = page(&site, &format!("/builds/{second}/diff"));
    for part in [
        "team/app #2</a> compared with <a",
        "+5.0 kB",
        "/app/lib/gone",
        "1.37.0-r2",
        "left-pad",
        "1.3.0",
        "ENV MODE",
        "Files with setuid or setgid",
        "4755 0:0 → 0755 0:0",
        "2 changed<small>0 added, 0 removed",
    ] {
        assert!(compared.contains(part), "{part}: {compared}");
    }
    assert!(!compared.contains(">old<") && !compared.contains("ENV TOKEN"), "what is the same is not told: {compared}");
    let back = page(&site, &format!("/builds/{first}/diff?against=%232"));
    assert!(back.contains("team/app #1</a> compared with <a") && back.contains("−5.0 kB"), "{back}");
    let wrong = curl(&["-H", "Accept: text/html", &format!("{}/builds/{first}/diff?against=77", site.url)]);
    assert!(wrong.status == 400 && wrong.text.contains("the number of another build of team/app"), "{}", wrong.text);
}

#[test]
fn a_build_without_an_image_says_so() {
    let site = Site::start(ADMIN);
    let id = site.push(&site.commit(&[("Dockerfile", "FROM nothing.invalid/x\n")]));
    site.finished(&id);
    let image = page(&site, &format!("/builds/{id}/image"));
    assert!(image.contains("This build has no image"), "{image}");
    let compared = page(&site, &format!("/builds/{id}/diff"));
    assert!(compared.contains("no other image of this repository"), "{compared}");
}
