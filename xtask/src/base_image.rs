//! `base-image`: makes sure that the engine has a base image with Python 3.11.
//!
//! Users have `python:3.11-slim`. If no image registry is reachable, an equivalent image is made from Debian's packages,
//! under a different name. Another image also has PyTorch, for tests of distributed training: its wheels on PyPI are
//! gigabytes.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::apt::Apt;
use crate::dockerd::{Engine, docker};
use crate::process::{run, run_within, say, succeeds, text, tidy};
use crate::workspace::{Scratch, lock};

const PYTHONS: &str = "python:3.11-slim";

/// An image made from Debian's packages.
#[derive(Hash)]
struct Ours {
    name: &'static str,
    /// Packages in addition to `PACKAGES`.
    packages: &'static [&'static str],
    /// A Python program that succeeds if the image is complete.
    works: &'static str,
}

const BASE: Ours = Ours {
    name: "alekseylearn-base:3.11",
    packages: &[],
    works: "import ssl, sqlite3, venv, ctypes, distutils.core; assert ssl.create_default_context().get_ca_certs()",
};

const TORCH: Ours = Ours {
    name: "alekseylearn-torch:3.11",
    packages: &["python3-torch"],
    works: "import torch.distributed; assert torch.distributed.is_gloo_available()",
};

/// The release of Debian whose Python is 3.11.
const SUITES: [&str; 2] = ["bookworm", "bookworm-updates"];

/// What `python:3.11-slim` provides, and the two libraries that the wheels of NumPy and SciPy need.
#[rustfmt::skip]
const PACKAGES: [&str; 24] = [
    "base-files", "base-passwd", "bash", "bsdutils", "coreutils", "dash", "debianutils", "diffutils", "findutils",
    "grep", "gzip", "hostname", "libc-bin", "mawk", "ncurses-base", "sed", "tar", "util-linux",
    "ca-certificates", "netbase", "libgomp1", "libstdc++6", "python3-distutils", "python3-venv",
];

/// Does the work of the maintainer scripts, and installs pip. Runs as root in the unpacked image.
const CONFIGURE: &str = r#"
set -e
cp /usr/share/base-passwd/passwd.master /etc/passwd
cp /usr/share/base-passwd/group.master /etc/group
ln -sf dash /usr/bin/sh
ln -sf mawk /usr/bin/awk
ln -sf which.debianutils /usr/bin/which
ln -sf python3 /usr/bin/python
(cd /usr/share/ca-certificates && find . -name '*.crt' | sed 's,^\./,,' | sort) > /etc/ca-certificates.conf
update-ca-certificates > /dev/null
# Their own scripts would choose among the builds of these two.
printf '/usr/lib/%s-linux-gnu/blas\n/usr/lib/%s-linux-gnu/lapack\n' "$(uname -m)" "$(uname -m)" > /etc/ld.so.conf.d/algebra.conf
ldconfig
# As in Python's own image, pip may install into the system: it is the image's only user.
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
wheel=$(echo /wheels/pip-*.whl)
python "$wheel/pip" install --quiet --no-index --find-links /wheels --no-cache-dir --root-user-action=ignore pip setuptools
rm -rf /wheels /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /var/lib/apt /var/cache/*
find / -xdev -name __pycache__ -prune -exec rm -rf {} +
"#;

const PATH: &str = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the command. Its last line is the image's name.
pub fn run_chore() -> Result<()> {
    let _engine = Engine::ensure()?;
    println!("{}", ensure()?);
    Ok(())
}

/// Provides the image, and returns its name. The engine must be running.
pub fn ensure() -> Result<&'static str> {
    let _lock = lock("base-image")?;
    if has(PYTHONS) {
        say(format_args!("the engine has {PYTHONS}"));
        return Ok(PYTHONS);
    }
    if BASE.is_there() {
        return Ok(BASE.name);
    }
    say(format_args!("pulling {PYTHONS}"));
    match run_within(docker(&["pull", "--quiet", PYTHONS]).stderr(Stdio::null()), Duration::from_secs(120)) {
        Ok(()) => Ok(PYTHONS),
        Err(unreachable) => {
            say(format_args!("no registry: {unreachable:#}"));
            BASE.build().with_context(|| {
                format!(
                    "no Python image: cannot pull {PYTHONS} and cannot make {}; \
                     add one with `docker load` or `docker pull`, and tag it {PYTHONS}",
                    BASE.name
                )
            })?;
            Ok(BASE.name)
        }
    }
}

/// Provides the image with PyTorch, and returns its name. The engine must be running.
pub fn ensure_torch() -> Result<&'static str> {
    let _lock = lock("base-image")?;
    if !TORCH.is_there() {
        TORCH.build()?;
    }
    Ok(TORCH.name)
}

fn has(image: &str) -> bool {
    succeeds(&mut docker(&["image", "inspect", image]), Duration::from_secs(10))
}

/// The recipe with which an image was made.
fn label(image: &str) -> Option<String> {
    text(&mut docker(&["image", "inspect", "--format", "{{.Config.Labels.recipe}}", image])).ok()
}

impl Ours {
    fn is_there(&self) -> bool {
        let there = label(self.name).is_some_and(|label| label == self.recipe());
        if there {
            say(format_args!("the engine has {}", self.name));
        }
        there
    }

    /// A hash of the recipe: an image of an older recipe is made again.
    fn recipe(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self, PACKAGES, SUITES, CONFIGURE).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    fn build(&self) -> Result<()> {
        let name = self.name;
        say(format_args!("making {name} from Debian's packages"));
        let scratch = Scratch::new("base-image")?;
        let root = scratch.path().join("root");
        skeleton(&root)?;
        let packages = [&PACKAGES, self.packages].concat();
        let count = Apt::of_debian(&SUITES)?.unpack_with_dependencies(&packages, &root)?;
        say(format_args!("unpacked {count} packages"));
        wheels(&root.join("wheels"))?;

        let raw = format!("{name}-raw");
        self.import(
            Command::new("tar")
                .args(["--numeric-owner", "--owner=0", "--group=0", "-c", "."])
                .current_dir(&root),
            &raw,
        )?;
        let container = format!("alekseylearn-base-{}", std::process::id());
        let made = self.configure(&raw, &container).and_then(|()| self.verify());
        tidy(&mut docker(&["rm", "--force", &container]));
        tidy(&mut docker(&["rmi", "--force", &raw]));
        if made.is_err() {
            tidy(&mut docker(&["rmi", "--force", name]));
        }
        made
    }

    /// Imports a stream of files as an image. An import has one layer, so it contains no removed files.
    fn import(&self, files: &mut Command, image: &str) -> Result<()> {
        let mut files = files
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start tar or docker")?;
        let stream = files.stdout.take().expect("stdout is piped");
        let label = format!("LABEL recipe={}", self.recipe());
        let changes = ["--change", PATH, "--change", "CMD [\"python3\"]", "--change", &label];
        let mut import = docker(&["import"]);
        let imported =
            import.args(changes).args(["-", image]).stdin(stream).stdout(Stdio::null()).status()?;
        ensure!(files.wait()?.success() && imported.success(), "docker import of {image} failed");
        Ok(())
    }

    fn configure(&self, raw: &str, container: &str) -> Result<()> {
        run(&mut docker(&["run", "--network=none", "--name", container, raw, "sh", "-c", CONFIGURE]))?;
        self.import(&mut docker(&["export", container]), self.name)
    }

    fn verify(&self) -> Result<()> {
        let inside =
            |command: &[&str]| run(docker(&["run", "--rm", "--network=none", self.name]).args(command));
        inside(&["python", "-c", self.works])?;
        inside(&["python", "-m", "pip", "--version"])?;
        inside(&[
            "sh",
            "-c",
            "python3 -m venv --without-pip /tmp/v && /tmp/v/bin/python -c pass && pip --version >/dev/null",
        ])
    }
}

/// Creates the folders that no package owns, and Debian's top-level links.
fn skeleton(root: &Path) -> Result<()> {
    for folder in
        ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "root", "tmp", "etc/ssl/certs", "usr/local/bin"]
    {
        fs::create_dir_all(root.join(folder))?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link))?;
    }
    // The script that creates the real link needs a shell.
    Ok(std::os::unix::fs::symlink("dash", root.join("usr/bin/sh"))?)
}

fn wheels(folder: &Path) -> Result<()> {
    say("fetching pip");
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.11",
    ]);
    run(pip.args(["pip", "setuptools", "--dest"]).arg(folder))
}
