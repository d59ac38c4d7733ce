//! Plugins in Python, built by the very script that `examples/python-driver` gives to authors.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::{run, say};
use crate::tools;
use crate::workspace::{Scratch, cache, lock, root};

const REQUIREMENTS: &str = "examples/python-driver/requirements.txt";
const BUILD: &str = "examples/python-driver/build.py";
const CONTRACT: &str = "wit";
/// What of a driver's folder goes into its component.
const SOURCES: [&str; 3] = ["driver.py", "driver.wit", "pyproject.toml"];

/// A driver's folder in the clone.
pub struct PythonGuest {
    name: &'static str,
    folder: &'static str,
}

/// All of them; the first is the example.
pub const PYTHON_GUESTS: [PythonGuest; 2] = [
    PythonGuest { name: "local-python", folder: "examples/python-driver" },
    PythonGuest { name: "dumps-python", folder: "tests/guests/python" },
];

impl PythonGuest {
    /// Its component's name.
    pub fn file(&self) -> String {
        format!("{}.wasm", self.name)
    }

    /// Its component, in the cache folder. It is a quarter of a minute's work and never twice the same file, so it is
    /// kept for as long as nothing of its sources changes.
    pub fn build(&self) -> Result<PathBuf> {
        let _lock = lock("python-guests")?;
        let folder = cache()?.join("python-guests");
        let component = folder.join(format!("{}-{:016x}.wasm", self.name, self.sources()?));
        if component.exists() {
            return Ok(component);
        }
        let python = tools::python(&[REQUIREMENTS], None)?;
        say(format_args!("building {} (a quarter of a minute)", self.file()));
        let scratch = Scratch::new("python-guests")?;
        let built = scratch.path().join(self.file());
        let mut build = Command::new(python);
        build.arg(root().join(BUILD)).arg(root().join(self.folder)).arg("--output").arg(&built);
        run(build.env("PYTHONDONTWRITEBYTECODE", "1"))?;
        self.forget_others(&folder)?;
        fs::rename(built, &component)?;
        Ok(component)
    }

    /// A name for all that the component is made of.
    fn sources(&self) -> Result<u64> {
        let mut hasher = DefaultHasher::new();
        for file in [REQUIREMENTS, BUILD] {
            fs::read(root().join(file))?.hash(&mut hasher);
        }
        for name in SOURCES {
            fs::read(root().join(self.folder).join(name))?.hash(&mut hasher);
        }
        let contract: Result<Vec<PathBuf>, _> =
            fs::read_dir(root().join(CONTRACT))?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut contract = contract?;
        contract.sort();
        for file in contract {
            fs::read(file)?.hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    /// Components of older sources.
    fn forget_others(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(self.name)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}
