//! Whether this machine can run a command of another platform: natively, or through the kernel's `binfmt_misc`.

use crate::Error;
use crate::error::Code;
use registry_client::{ImageConfig, Platform};
use std::path::Path;

/// Where the kernel shows its handlers.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// Fails if commands of a stage with this configuration cannot run here.
pub(crate) fn check(config: &ImageConfig) -> Result<(), Error> {
    check_with(&config.platform(), &Platform::host(), Path::new(HANDLERS))
}

fn check_with(platform: &Platform, host: &Platform, handlers: &Path) -> Result<(), Error> {
    if platform.architecture.is_empty() || is_native(platform, host) {
        return Ok(());
    }
    let refused = |problem: String| {
        let text = format!("RUN for {platform} on this {host} machine: {problem}");
        Err(Error::new(Code::PlatformUnsupported, text))
    };
    let Some((name, magic)) = machine(&platform.architecture).filter(|_| platform.os == "linux") else {
        return refused("there is no emulator for it".to_owned());
    };
    let install = "install `qemu-user-static` (Debian) or run `tonistiigi/binfmt --install all` once";
    match handler(handlers, &magic) {
        None => refused(format!("the kernel has no handler for its programs (binfmt_misc `{name}`): {install}")),
        // Without the flag the emulator is looked for among the files of the image, where it is not.
        Some(handler) if !handler.fixed => refused(format!(
            "the handler `{}` opens its emulator too late (flag F is missing): {install}",
            handler.name
        )),
        Some(_) => Ok(()),
    }
}

/// Returns whether the processor runs programs of `platform` itself.
fn is_native(platform: &Platform, host: &Platform) -> bool {
    let runs = match (host.architecture.as_str(), platform.architecture.as_str()) {
        (host, other) if host == other => true,
        ("amd64", "386") => true,
        _ => false,
    };
    platform.os == host.os && runs
}

/// Returns the emulator's usual name and the first bytes of a program of an architecture.
fn machine(architecture: &str) -> Option<(&'static str, [u8; 20])> {
    let (name, bits, little, number) = match architecture {
        "amd64" => ("qemu-x86_64", 2, true, 62),
        "386" => ("qemu-i386", 1, true, 3),
        "arm" => ("qemu-arm", 1, true, 40),
        "arm64" => ("qemu-aarch64", 2, true, 183),
        "ppc64le" => ("qemu-ppc64le", 2, true, 21),
        "s390x" => ("qemu-s390x", 2, false, 22),
        "riscv64" => ("qemu-riscv64", 2, true, 243),
        "mips64" => ("qemu-mips64", 2, false, 8),
        "mips64le" => ("qemu-mips64el", 2, true, 8),
        "loong64" => ("qemu-loongarch64", 2, true, 258),
        _ => return None,
    };
    let mut head = *b"\x7fELF\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0";
    head[4] = bits;
    head[5] = if little { 1 } else { 2 };
    let of = |number: u16| if little { number.to_le_bytes() } else { number.to_be_bytes() };
    head[16..18].copy_from_slice(&of(2));
    head[18..20].copy_from_slice(&of(number));
    Some((name, head))
}

/// A handler that takes a program.
struct Handler {
    name: String,
    fixed: bool,
}

/// Finds the enabled handler that takes programs that begin with `head`.
fn handler(directory: &Path, head: &[u8]) -> Option<Handler> {
    let entries = std::fs::read_dir(directory).ok()?;
    let handlers = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).ok()?;
        let fixed = takes(&text, head)?;
        Some(Handler { name, fixed })
    });
    // One that works is found before one that does not.
    handlers.max_by_key(|handler| handler.fixed)
}

/// Returns whether a handler takes programs that begin with `head`, and then whether it has the flag F.
fn takes(text: &str, head: &[u8]) -> Option<bool> {
    if text.lines().next() != Some("enabled") {
        return None;
    }
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let magic = hex::decode(field("magic ")?).ok()?;
    let offset: usize = field("offset ").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let mask = field("mask ").and_then(|mask| hex::decode(mask).ok()).unwrap_or_else(|| vec![0xff; magic.len()]);
    let part = head.get(offset..offset + magic.len())?;
    let same = part.iter().zip(&magic).zip(&mask).all(|((byte, magic), mask)| byte & mask == magic & mask);
    same.then(|| field("flags:").is_some_and(|flags| flags.contains('F')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AARCH64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\nmagic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn checked(handlers: &[(&str, &str)], platform: &str) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in handlers {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let (platform, host) = (platform.parse().unwrap(), "linux/amd64".parse().unwrap());
        check_with(&platform, &host, directory.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(checked(&[], "linux/amd64"), Ok(()));
        assert_eq!(checked(&[], "linux/386"), Ok(()));
        assert_eq!(checked(&[("qemu-aarch64", AARCH64)], "linux/arm64"), Ok(()));
        let missing = checked(&[("register", ""), ("status", "enabled\n")], "linux/arm64").unwrap_err();
        assert!(missing.contains("binfmt_misc `qemu-aarch64`") && missing.contains("qemu-user-static"), "{missing}");
        assert!(checked(&[("qemu-aarch64", AARCH64)], "linux/riscv64").is_err());
        assert!(checked(&[("qemu-aarch64", &AARCH64.replace("enabled", "disabled"))], "linux/arm64").is_err());
        let late = checked(&[("qemu-aarch64", &AARCH64.replace("OCF", "OC"))], "linux/arm64").unwrap_err();
        assert!(late.contains("flag F is missing"), "{late}");
    }
}
