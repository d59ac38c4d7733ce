//! Gives hints about a module or a library that is missing in a container, but only if they are known to be right.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    age,
    imports::{Found, find},
};

/// Facts about a job's project, for hints if its script fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// Top-level names of the project's own modules.
    pub modules: BTreeSet<String>,
    /// The dependency file, relative to the project root; empty if there is none.
    pub origin: String,
}

impl Known {
    /// Returns a hint about what an error reports as missing. `installed` lists the image's packages, as `six==1.16.0`.
    pub fn advice(&self, error: &str, artifact: &str, installed: &[String]) -> Option<String> {
        self.of_missing(error, artifact, installed).or_else(|| of_changed(error, artifact))
    }

    fn of_missing(&self, error: &str, artifact: &str, installed: &[String]) -> Option<String> {
        if let Some(library) = missing_library(error) {
            return Some(for_library(library));
        }
        let module = missing_module(error)?;
        let top = module.split('.').next().unwrap_or(module);
        // The user's own module cannot be installed.
        if self.modules.contains(top) {
            return None;
        }
        let requirement = match find(module) {
            Found::Standard => return None,
            Found::Package(requirement) => requirement,
            Found::Nothing => {
                return Some(format!(
                    "no package is known for the module `{module}`; if one has it, add it with `--with PACKAGE`"
                ));
            }
        };
        let normal = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
        let package = normal(requirement.split(['<', '>', '=']).next().unwrap_or(requirement));
        // The package is installed, but this version does not have the module.
        if installed.iter().any(|line| line.split("==").next().is_some_and(|name| normal(name) == package)) {
            return (requirement != package)
                .then(|| format!("the image has no `{module}`: {}", self.add(requirement, artifact)));
        }
        Some(format!("the image has no `{module}`: {}", self.add(requirement, artifact)))
    }

    /// Says how to add a requirement to the project's dependency file.
    fn add(&self, requirement: &str, artifact: &str) -> String {
        let origin = &self.origin;
        let quoted = if requirement.contains(['<', '>', ' ']) {
            format!("'{requirement}'")
        } else {
            requirement.to_owned()
        };
        let name = origin.rsplit('/').next().unwrap_or_default();
        match name {
            "" => format!("run again with `--with {quoted}`"),
            "uv.lock" => format!("run `uv add {quoted}`"),
            "poetry.lock" => format!("run `poetry add {quoted}`"),
            "pdm.lock" => format!("run `pdm add {quoted}`"),
            "Pipfile" | "Pipfile.lock" => format!("run `pipenv install {quoted}`"),
            "pixi.toml" => format!("run `pixi add --pypi {quoted}`"),
            "pyproject.toml" => format!("add {requirement} to the dependencies in {origin}"),
            "setup.py" | "setup.cfg" => format!("add {requirement} to install_requires in {origin}"),
            name if name.ends_with(".py") => format!("run `uv add --script {artifact} {quoted}`"),
            name if name.ends_with(".yml") || name.ends_with(".yaml") => {
                format!("add {requirement} to the list `pip:` in {origin}")
            }
            name if name.ends_with(".lock") || name.starts_with("pylock") => {
                format!("add {requirement} to the source of {origin}, and lock again")
            }
            _ => format!("add {requirement} to {origin}"),
        }
    }
}

/// A hint if a package no longer has what the code needs: an old project needs an older version.
fn of_changed(error: &str, artifact: &str) -> Option<String> {
    let is_lacking = ["ImportError: cannot import name ", "AttributeError: module '"]
        .iter()
        .any(|sign| error.contains(sign));
    let is_gone = || missing_module(error).is_some_and(|module| matches!(find(module), Found::Package(_)));
    // The project's own modules are as old as the project.
    if !(is_lacking || is_gone()) || error.contains("(/opt/alekseylearn/code") {
        return None;
    }
    let day = age::long_ago(Path::new(artifact).parent()?)?;
    Some(format!("the project's last commit is old: `--as-of {day}` installs the versions of that day"))
}

/// Returns the whole name of the module that Python did not find.
fn missing_module(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("No module named ")?;
    let rest = rest.strip_prefix(['\'', '"'])?;
    rest.split(['\'', '"']).next().filter(|name| !name.is_empty())
}

/// Returns the system library that a package needs.
fn missing_library(error: &str) -> Option<&str> {
    let (before, _) = error.split_once(": cannot open shared object file")?;
    let name = before.rsplit([' ', '\'', '"', '\n']).next()?;
    name.contains(".so").then_some(name)
}

/// Debian's packages for libraries that wheels rely on.
const LIBRARIES: [(&str, &str); 14] = [
    ("libGL.so", "libgl1"),
    ("libgthread-2.0.so", "libglib2.0-0"),
    ("libglib-2.0.so", "libglib2.0-0"),
    ("libgomp.so", "libgomp1"),
    ("libSM.so", "libsm6"),
    ("libXext.so", "libxext6"),
    ("libXrender.so", "libxrender1"),
    ("libsndfile.so", "libsndfile1"),
    ("libportaudio.so", "libportaudio2"),
    ("libxcb.so", "libxcb1"),
    ("libEGL.so", "libegl1"),
    ("libOSMesa.so", "libosmesa6"),
    ("libquadmath.so", "libquadmath0"),
    ("libgfortran.so", "libgfortran5"),
];

fn for_library(library: &str) -> String {
    let known = LIBRARIES.iter().find(|(name, _)| library.starts_with(name)).map(|(_, package)| *package);
    match known {
        Some("libgl1") => format!(
            "the base image has no {library}: use opencv-python-headless instead of opencv-python, or install it with \
             `--config.system_packages=libgl1,libglib2.0-0`"
        ),
        Some(package) => {
            format!("the base image has no {library}: install it with `--config.system_packages={package}`")
        }
        None => format!(
            "the base image has no {library}: install the system package that has it with \
             `--config.system_packages=NAME`, or choose another image with `--config.base_image=IMAGE`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(origin: &str, error: &str) -> Option<String> {
        let known = Known {
            modules: BTreeSet::from(["mytrainer".to_owned(), "src".to_owned()]),
            origin: origin.to_owned(),
        };
        known.advice(error, "train.py", &["scikit-learn==1.5.0".to_owned()])
    }

    fn missing(module: &str) -> String {
        format!("ModuleNotFoundError: No module named '{module}'")
    }

    #[test]
    fn a_hint_fits_the_dependency_file() {
        for (origin, expected) in [
            ("requirements.txt", "add pyyaml to requirements.txt"),
            ("../env/cpu.txt", "add pyyaml to ../env/cpu.txt"),
            ("uv.lock", "run `uv add pyyaml`"),
            ("../poetry.lock", "run `poetry add pyyaml`"),
            ("Pipfile.lock", "run `pipenv install pyyaml`"),
            ("environment.yml", "add pyyaml to the list `pip:` in environment.yml"),
            ("pyproject.toml", "add pyyaml to the dependencies in pyproject.toml"),
            ("train.py", "run `uv add --script train.py pyyaml`"),
            ("", "run again with `--with pyyaml`"),
        ] {
            assert_eq!(
                advice(origin, &missing("yaml")),
                Some(format!("the image has no `yaml`: {expected}"))
            );
        }
        let expected = "the image has no `pkg_resources`: add setuptools<81 to requirements.txt";
        assert_eq!(advice("requirements.txt", &missing("pkg_resources")).as_deref(), Some(expected));
    }

    #[test]
    fn unknown_packages_are_never_suggested() {
        for own in ["mytrainer", "mytrainer.models", "src.data", "distutils", "json.nothing"] {
            assert_eq!(advice("requirements.txt", &missing(own)), None, "{own}");
        }
        assert_eq!(
            advice("requirements.txt", &missing("sklearn.externals.joblib")),
            None,
            "scikit-learn is installed"
        );
        for unknown in ["google", "google.nowhere", "absenteeism", "utils"] {
            let said = advice("requirements.txt", &missing(unknown)).unwrap();
            assert!(said.starts_with(&format!("no package is known for the module `{unknown}`")), "{said}");
        }
        let storage = advice("requirements.txt", &missing("google.cloud.storage")).unwrap();
        assert!(storage.ends_with("add google-cloud-storage to requirements.txt"), "{storage}");
        assert_eq!(advice("requirements.txt", "ValueError: No module named numpy was asked for"), None);
    }

    #[test]
    fn system_libraries_have_packages() {
        let said = |library: &str| {
            advice(
                "",
                &format!("ImportError: {library}: cannot open shared object file: No such file or directory"),
            )
            .unwrap()
        };
        assert!(said("libGL.so.1").contains("opencv-python-headless"));
        let expected =
            "the base image has no libgomp.so.1: install it with `--config.system_packages=libgomp1`";
        assert_eq!(said("libgomp.so.1"), expected);
        assert!(said("libodd.so.3").contains("--config.system_packages=NAME"));
    }
}
