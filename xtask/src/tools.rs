//! `tools`: the rig's parts that are not crates: an image registry, and Python packages in virtual environments.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::apt::Apt;
use crate::process::{run, say, succeeds};
use crate::workspace::{Scratch, cache, lock, remove, root};

const REGISTRY: &str = "docker-registry";

/// The shells, with their packages of data and libraries.
const SHELLS: [&str; 5] = ["zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0"];

const PODMAN: [&str; 7] =
    ["podman", "conmon", "crun", "containernetworking-plugins", "libyajl2", "libgpgme11", "libsubid4"];

/// The browser with the libraries it needs, and a font.
const CHROMIUM: &str = "chromium-headless-shell chromium-common fontconfig-config fonts-dejavu-core libasound2 libasyncns0
    libatk1.0-0 libatspi2.0-0 libbrotli1 libbsd0 libdav1d6 libdbus-1-3 libdouble-conversion3 libdrm2 libexpat1 libffi8 libflac12
    libfontconfig1 libfreetype6 libgbm1 libglib2.0-0 libgraphite2-3 libharfbuzz-subset0 libharfbuzz0b libjpeg62-turbo liblcms2-2
    libminizip1 libmp3lame0 libmpg123-0 libnspr4 libnss3 libogg0 libopenh264-7 libopenjp2-7 libopus0 libpng16-16 libpulse0
    libsndfile1 libstdc++6 libvorbis0a libvorbisenc2 libwayland-server0 libx11-6 libx11-xcb1 libxau6 libxcb1 libxcomposite1
    libxdamage1 libxdmcp6 libxext6 libxfixes3 libxi6 libxkbcommon0 libxnvctrl0 libxrandr2 libxrender1";

/// The requirements of the Python parts.
const REQUIREMENTS: [&str; 4] = [
    "tests/rig/requirements.txt",
    "tests/runner/requirements.txt",
    "tests/browser/requirements.txt",
    "tests/python/requirements.txt",
];

/// The requirements of SageMaker's SDK, for comparison.
pub const SDK: &str = "tests/bench/sagemaker.txt";

/// Packages of which only a few modules are imported: installed without their dependencies, and not compiled.
const ALONE: &str = "tests/services/requirements.txt";

const IS_RECENT: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

pub struct Tools {
    pub python: PathBuf,
    pub registry: PathBuf,
    /// A folder with zsh and fish; `None` if they are not available.
    pub shells: Option<PathBuf>,
}

pub fn ensure() -> Result<Tools> {
    let _lock = lock("tools")?;
    Ok(Tools { registry: registry()?, python: python(&REQUIREMENTS, Some(ALONE))?, shells: shells() })
}

/// Debian's build of the registry. It is only unpacked, because installing it would start a service.
fn registry() -> Result<PathBuf> {
    let there = succeeds(Command::new(REGISTRY).arg("--version"), Duration::from_secs(5));
    if there && !cache()?.join("tools").join(REGISTRY).exists() {
        say(format_args!("{REGISTRY} is installed"));
        return Ok(REGISTRY.into());
    }
    let folder = unpacked(REGISTRY, &[REGISTRY], Apt::of_this_machine)
        .with_context(|| format!("the rig needs {REGISTRY} (CNCF Distribution): install it on the PATH"))?;
    Ok(folder.join("usr/bin").join(REGISTRY))
}

/// The shells besides bash, which is always available. Only the tests of completions need them.
fn shells() -> Option<PathBuf> {
    wished_for("zsh and fish", unpacked("shells", &SHELLS, Apt::of_this_machine))
}

/// Podman, unpacked but not installed, with the libraries that Debian's build needs. `None` if it is not available; its
/// test reports that.
pub fn podman() -> Result<Option<PathBuf>> {
    let _lock = lock("tools")?;
    Ok(wished_for("podman", unpacked("podman", &PODMAN, Apt::of_this_machine)))
}

/// Headless Chromium, in the same way.
pub fn browser() -> Result<Option<PathBuf>> {
    let _lock = lock("tools")?;
    let packages: Vec<&str> = CHROMIUM.split_whitespace().collect();
    Ok(wished_for("Chromium", unpacked("chromium", &packages, Apt::of_this_machine)))
}

/// SageMaker's SDK, with the needs of its local mode.
pub struct LocalMode {
    pub python: PathBuf,
    /// A PATH with docker-compose.
    pub path: OsString,
}

/// `None` if there is no docker-compose; its test reports that.
pub fn local_mode() -> Result<Option<LocalMode>> {
    let _lock = lock("tools")?;
    let Some(path) = path_with_compose()? else { return Ok(None) };
    Ok(Some(LocalMode { python: python(&[SDK], None)?, path }))
}

/// A PATH with the machine's docker-compose, or else trixie's: bookworm's is not a single program.
pub fn path_with_compose() -> Result<Option<OsString>> {
    let path = env::var_os("PATH").unwrap_or_default();
    if succeeds(Command::new("docker-compose").arg("version"), Duration::from_secs(30)) {
        say("docker-compose is installed");
        return Ok(Some(path));
    }
    let compose = unpacked("docker-compose", &["docker-compose"], || Apt::of_debian(&["trixie"]));
    let Some(folder) = wished_for("docker-compose", compose) else { return Ok(None) };
    let plugins = folder.join("usr/libexec/docker/cli-plugins");
    Ok(Some(env::join_paths([plugins].into_iter().chain(env::split_paths(&path)))?))
}

/// Unpacks packages of Debian to a folder in the cache.
fn unpacked(name: &str, packages: &[&str], apt: impl FnOnce() -> Result<Apt>) -> Result<PathBuf> {
    let folder = cache()?.join("tools").join(name);
    if folder.exists() {
        say(format_args!("found {}", folder.display()));
        return Ok(folder);
    }
    say(format_args!("fetching {name}"));
    let scratch = Scratch::new(name)?;
    let unpacked = scratch.path().join("unpacked");
    apt()?.unpack(packages, &unpacked)?;
    fs::create_dir_all(cache()?.join("tools"))?;
    fs::rename(unpacked, &folder)?;
    Ok(folder)
}

/// Makes a missing tool a message, because only some tests need it.
fn wished_for(name: &str, found: Result<PathBuf>) -> Option<PathBuf> {
    found.inspect_err(|error| say(format_args!("no {name}: {error:#}"))).ok()
}

/// The Python of a virtual environment with exactly the requirements of these files, and the packages of `alone` without
/// their dependencies. Other requirements get another environment.
pub fn python(requirements: &[&str], alone: Option<&str>) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    let files: Vec<PathBuf> =
        requirements.iter().map(|file| root().join(file)).filter(|file| file.exists()).collect();
    ensure!(!files.is_empty(), "{} is missing", requirements[0]);
    let alone = alone.map(|file| root().join(file));
    for file in files.iter().chain(&alone) {
        fs::read(file)?.hash(&mut hasher);
    }
    let environment = cache()?.join("tools").join(format!("python-{:016x}", hasher.finish()));
    let (python, complete) = (environment.join("bin/python"), environment.join("complete"));
    if complete.exists() && succeeds(Command::new(&python).arg("--version"), Duration::from_secs(10)) {
        say(format_args!("found {}", environment.display()));
        return Ok(python);
    }
    say(format_args!("making {} (a minute or two)", environment.display()));
    remove(&environment)?;
    run(Command::new(recent_python()?).args(["-m", "venv"]).arg(&environment))?;
    let install = |more: &[&str], files: &[PathBuf]| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(more);
        for file in files {
            pip.arg("--requirement").arg(file);
        }
        run(&mut pip).with_context(|| format!("pip could not install the requirements of {files:?}"))
    };
    install(&[], &files)?;
    if let Some(alone) = alone {
        install(&["--no-deps", "--no-compile"], &[alone])?;
    }
    fs::write(complete, "")?;
    Ok(python)
}

fn recent_python() -> Result<&'static str> {
    let recent =
        |python: &&str| succeeds(Command::new(python).args(["-c", IS_RECENT]), Duration::from_secs(10));
    let found = ["python3.11", "python3", "python"].into_iter().find(recent);
    found.context("Python 3.11 or later is missing: install it as `python3`")
}
