//! Builds plugins in Python, with the script that `examples/python-driver` gives to authors.

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
/// The files of a driver's folder that go into its component.
const SOURCES: [&str; 3] = ["driver.py", "driver.wit", "pyproject.toml"];

/// A plugin in Python, with its folder in the clone.
pub struct PythonGuest {
    name: &'static str,
    folder: &'static str,
}

/// All plugins in Python; the first is the example.
pub const PYTHON_GUESTS: [PythonGuest; 2] = [
    PythonGuest { name: "local-python", folder: "examples/python-driver" },
    PythonGuest { name: "dumps-python", folder: "tests/guests/python" },
];

impl PythonGuest {
    /// The file name of the component.
    pub fn file(&self) -> String {
        format!("{}.wasm", self.name)
    }

    /// The component in the cache folder. Building takes 15 seconds and is not reproducible, so the component is kept
    /// until its sources change.
    pub fn build(&self) -> Result<PathBuf> {
        let _lock = lock("python-guests")?;
        let folder = cache()?.join("python-guests");
        let component = folder.join(format!("{}-{:016x}.wasm", self.name, self.sources()?));
        if component.exists() {
            return Ok(component);
        }
        let python = tools::python(&[REQUIREMENTS], None)?;
        say(format_args!("building {} (15 seconds)", self.file()));
        let scratch = Scratch::new("python-guests")?;
        let built = scratch.path().join(self.file());
        let mut build = Command::new(python);
        build.arg(root().join(BUILD)).arg(root().join(self.folder)).arg("--output").arg(&built);
        run(build.env("PYTHONDONTWRITEBYTECODE", "1"))?;
        self.forget_others(&folder)?;
        fs::rename(built, &component)?;
        Ok(component)
    }

    /// A hash of everything that the component is built from.
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

    /// Removes components of older sources.
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
