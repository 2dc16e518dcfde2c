//! `slipway repo import`: files of other services on the command line.

use crate::support::{shown, slipway};

#[test]
fn a_workflow_is_imported_and_what_it_does_not_say_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ci.yml");
    let workflow = "on: {push: {branches: [main]}}\njobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with: {tags: \"ghcr.io/a/b:latest\"}\n";
    std::fs::write(&file, workflow).unwrap();
    let import = |arguments: &[&str]| slipway().args(["repo", "import"]).arg(&file).args(arguments).output().unwrap();
    let output = import(&[]);
    assert!(!output.status.success() && shown(&output).contains("add --clone-url URL"), "{}", shown(&output));
    let output = import(&["--clone-url", "https://github.com/a/b.git"]);
    let said = shown(&output);
    assert!(output.status.success() && said.contains("branch = \"main\""), "{said}");
    assert!(said.contains("image = \"ghcr.io/a/b\""), "{said}");
    std::fs::write(&file, "a: 1\n").unwrap();
    let output = import(&[]);
    assert!(!output.status.success() && shown(&output).contains("nothing in it builds an image"), "{}", shown(&output));
}
