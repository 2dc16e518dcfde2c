//! Builds the `docker` of hooks: one file without libraries, linked statically, because it runs in any image.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=docker/main.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let out = Path::new(&variable("OUT_DIR")).join("docker");
    let mut command = Command::new(variable("RUSTC"));
    command.args(["--edition", "2024", "--crate-name", "docker", "--target", &variable("TARGET")]);
    for option in ["target-feature=+crt-static", "opt-level=s", "panic=abort", "strip=symbols", "codegen-units=1"] {
        command.args(["-C", option]);
    }
    if let Ok(linker) = std::env::var("RUSTC_LINKER") {
        command.arg("-C").arg(format!("linker={linker}"));
    }
    let status = command.arg("docker/main.rs").arg("-o").arg(&out).status();
    let built = status.is_ok_and(|status| status.success());
    assert!(
        built,
        "the `docker` of hooks was not built: a static libc is needed, on Debian from the package libc6-dev"
    );
}
