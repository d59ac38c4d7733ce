//! `wasm-target`: makes sure that rustc has a standard library for wasm32-wasip2.
//!
//! Uses `rustup target add`. If rustup's server is not reachable but a mirror of Debian is, builds the target from
//! Debian's `wasi-libc` and `rust-src` of the same version as rustc. A `rust-toolchain.toml` that lists the target would
//! not help: cargo fails with it if rustup's server is not reachable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::apt::Apt;
use crate::process::{run, run_within, say, text};
use crate::workspace::{Scratch, cargo, lock, remove, root};

pub const TARGET: &str = "wasm32-wasip2";

/// The first version of Debian's wasi-libc that supports wasip2.
const OLDEST_WASI_LIBC: &str = "0.0~git202601";

pub fn ensure() -> Result<()> {
    let _lock = lock(TARGET)?;
    let sysroot = sysroot()?;
    if has_std(&sysroot) {
        say(format_args!("rustc has {TARGET}"));
        return Ok(());
    }
    say(format_args!("adding {TARGET} to {}", sysroot.display()));
    let mut rustup = Command::new("rustup");
    let added =
        run_within(rustup.args(["target", "add", TARGET]).current_dir(root()), Duration::from_secs(120));
    let Err(refused) = added else {
        ensure!(has_std(&sysroot), "rustup added {TARGET} to another toolchain than {}", sysroot.display());
        return Ok(());
    };
    say(format_args!("rustup failed ({refused:#}): building {TARGET} from Debian's packages"));
    from_debian(&sysroot).with_context(|| {
        format!(
            "{TARGET} is missing: rustup could not add it ({refused:#}), and it could not be built from Debian's \
             packages; run `rustup target add {TARGET}` on a network that reaches rustup's server"
        )
    })
}

/// The sysroot of the toolchain that is active in the clone.
fn sysroot() -> Result<PathBuf> {
    Ok(text(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?.into())
}

/// Whether the target is complete: with std and the libraries it is linked with.
fn has_std(sysroot: &Path) -> bool {
    let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let std = fs::read_dir(&lib).is_ok_and(|files| {
        files.flatten().any(|file| is_library(&file.file_name().to_string_lossy(), "libstd-"))
    });
    std && lib.join("self-contained/libc.a").exists()
}

fn is_library(file: &str, prefix: &str) -> bool {
    file.starts_with(prefix) && file.ends_with(".rlib")
}

/// Builds the target in a temporary folder, and moves it to its place when it is complete.
fn from_debian(sysroot: &Path) -> Result<()> {
    let rustlib = sysroot.join("lib/rustlib");
    let (place, half_made) = (rustlib.join(TARGET), rustlib.join(format!(".{TARGET}.new")));
    remove(&half_made)?;
    let target_lib = half_made.join("lib");
    fs::create_dir_all(target_lib.join("self-contained"))
        .with_context(|| format!("{} is not writable", rustlib.display()))?;

    let scratch = Scratch::new(TARGET)?;
    let work = scratch.path();
    let packages = unpack_sources(work)?;
    copy_files(&packages.join("usr/lib").join(TARGET), &target_lib.join("self-contained"), |_| true)?;
    let built =
        build_std(work, sysroot, &packages.join("usr/src").join(format!("rustc-{}", rust_version()?)))?;
    copy_files(&built, &target_lib, |file| is_library(file, "lib") && !is_library(file, "libempty-"))?;

    remove(&place)?;
    fs::rename(&half_made, &place)?;
    if let Err(broken) = try_it(work) {
        remove(&place)?;
        return Err(broken.context("the target built from Debian's packages does not work"));
    }
    Ok(())
}

/// Unpacks `wasi-libc`, and `rust-src` of rustc's version, because a std of another version does not compile.
fn unpack_sources(work: &Path) -> Result<PathBuf> {
    let apt = Apt::of_debian(&["trixie-backports", "forky"])?;
    let (rust, all) = (rust_version()?, apt.versions("rust-src")?);
    let source = all.iter().find(|version| version.starts_with(&format!("{rust}+")) || **version == rust);
    let source = source.with_context(|| format!("Debian has no rust-src {rust}, only {}", all.join(", ")))?;
    let libc = apt.versions("wasi-libc")?.into_iter().next().context("Debian has no wasi-libc")?;
    ensure!(libc.as_str() >= OLDEST_WASI_LIBC, "Debian's wasi-libc {libc} is older than {TARGET}");
    say(format_args!("unpacking rust-src {source} and wasi-libc {libc}"));
    let packages = work.join("packages");
    apt.unpack(&[&format!("rust-src={source}"), &format!("wasi-libc={libc}")], &packages)?;
    Ok(packages)
}

/// The version of the rustc that is active in the clone, such as `1.95.0`.
fn rust_version() -> Result<String> {
    let version = text(Command::new("rustc").arg("--version").current_dir(root()))?;
    Ok(version.split([' ', '-']).nth(1).context("rustc --version prints no version")?.to_owned())
}

/// Compiles std in an empty crate, and returns the folder that holds the libraries.
fn build_std(work: &Path, sysroot: &Path, source: &Path) -> Result<PathBuf> {
    let _lent = lend_source(sysroot, source)?;
    let (krate, target) = (empty_crate(work)?, work.join("target"));
    say("compiling std (half a minute)");
    let mut build =
        cargo(&["build", "--quiet", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort"])?;
    run(build
        .current_dir(krate)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS"))?;
    Ok(target.join(TARGET).join("release/deps"))
}

/// Creates an empty library outside of any workspace.
fn empty_crate(work: &Path) -> Result<PathBuf> {
    let krate = work.join("empty");
    fs::create_dir_all(krate.join("src"))?;
    fs::write(krate.join("Cargo.toml"), "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[workspace]\n")?;
    fs::write(krate.join("src/lib.rs"), "#![no_std]\n")?;
    Ok(krate)
}

/// Links std's source to the place in the sysroot where cargo expects it, while the returned value lives.
fn lend_source(sysroot: &Path, source: &Path) -> Result<Option<Lent>> {
    let place = sysroot.join("lib/rustlib/src/rust/library");
    if place.join("Cargo.toml").exists() && !place.is_symlink() {
        return Ok(None);
    }
    fs::create_dir_all(place.parent().expect("has a parent"))?;
    let _ = fs::remove_file(&place);
    std::os::unix::fs::symlink(source.join("library"), &place)?;
    Ok(Some(Lent(place)))
}

/// A link that is removed with this value, so that a later `rustup component add rust-src` succeeds.
struct Lent(PathBuf);

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        for folder in self.0.ancestors().skip(1).take(2) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Compiles and links a program that allocates and prints.
fn try_it(work: &Path) -> Result<()> {
    let source = work.join("try.rs");
    fs::write(&source, "fn main() { println!(\"{:?}\", std::env::args().collect::<Vec<_>>()); }\n")?;
    let mut rustc = Command::new("rustc");
    run(rustc
        .args(["--edition=2024", "--target", TARGET, "-o"])
        .arg(work.join("try.wasm"))
        .arg(source)
        .current_dir(root()))
}

fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for file in fs::read_dir(from).with_context(|| format!("{} is missing", from.display()))? {
        let file = file?;
        if wanted(&file.file_name().to_string_lossy()) {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_target_does_not_count() {
        let sysroot = std::env::temp_dir().join(format!("xtask-sysroot-{}", std::process::id()));
        let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        assert!(!has_std(&sysroot));
        fs::create_dir_all(lib.join("self-contained")).unwrap();
        fs::write(lib.join("libstd-0123456789abcdef.rlib"), "").unwrap();
        assert!(!has_std(&sysroot));
        fs::write(lib.join("self-contained/libc.a"), "").unwrap();
        assert!(has_std(&sysroot));
        remove(&sysroot).unwrap();
    }
}
