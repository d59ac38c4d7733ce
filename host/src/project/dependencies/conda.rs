//! `environment.yml`: conda's packages by the names that PyPI has them under.
//!
//! Only PyPI is installed from. What is a Python package has nearly always the same name there; what is none (compilers,
//! CUDA, R) cannot be had, and is told.

use std::path::Path;

use saphyr::{LoadableYamlNode, Yaml};

use super::{Gathered, requirements, text};
use crate::error::{Error, Result};

/// Where the names differ: conda's, and PyPI's.
const NAMES: &[(&str, &str)] = &[
    ("dask-core", "dask"),
    ("faiss-cpu", "faiss-cpu"),
    ("graphviz", "graphviz"),
    ("huggingface_hub", "huggingface-hub"),
    ("keras-gpu", "keras"),
    ("lightgbm", "lightgbm"),
    ("matplotlib-base", "matplotlib"),
    ("msgpack-python", "msgpack"),
    ("opencv", "opencv-python-headless"),
    ("py-opencv", "opencv-python-headless"),
    ("py-xgboost", "xgboost"),
    ("py-xgboost-cpu", "xgboost"),
    ("py-xgboost-gpu", "xgboost"),
    ("pyqt", "PyQt5"),
    ("pytables", "tables"),
    ("python-graphviz", "graphviz"),
    ("pytorch", "torch"),
    ("pytorch-cpu", "torch"),
    ("pytorch-gpu", "torch"),
    ("seaborn-base", "seaborn"),
    ("tensorflow-base", "tensorflow"),
    ("tensorflow-gpu", "tensorflow"),
    ("torchvision-cpu", "torchvision"),
];
/// Part of conda's own world: a base image and wheels bring what they are for.
const NOT_NEEDED: &[&str] = &[
    "pip",
    "setuptools",
    "wheel",
    "conda",
    "nomkl",
    "mkl",
    "blas",
    "openblas",
    "ipykernel",
    "ca-certificates",
    "openssl",
];
/// No Python packages, by how their names begin.
const NOT_PYTHON: &[&str] = &[
    "r-",
    "lib",
    "_",
    "gcc",
    "gxx",
    "gfortran",
    "clang",
    "cuda",
    "cudnn",
    "cudatoolkit",
    "nccl",
    "pytorch-cuda",
    "compilers",
    "cmake",
    "make",
    "ffmpeg",
    "nodejs",
    "openjdk",
    "gdal-bin",
    "binutils",
    "sysroot",
];

/// Writes a requirements file in the place of the environment file `path`; gives its name, and the Python asked for.
pub(super) fn read(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<(String, Option<String>)> {
    let wrong = |problem: &str| {
        Error::invalid(format!("{} {problem}", path.display()))
            .hint("conda's environment files hold a list `dependencies`: export one with `conda env export --from-history`")
    };
    let documents = Yaml::load_from_str(&text(path)?).map_err(|error| wrong("is not YAML").source(error))?;
    let Some(environment) = documents.first().filter(|document| document.is_mapping()) else {
        return Err(wrong("is no environment file"));
    };
    let Some(entries) = environment.as_mapping_get("dependencies").and_then(Yaml::as_vec) else {
        return Err(wrong("lists no dependencies"));
    };
    let mut environment = Environment::default();
    for entry in entries {
        if let Some(spec) = entry.as_str() {
            environment.take(spec);
        } else if let Some(pip) = entry.as_mapping_get("pip").and_then(Yaml::as_vec) {
            environment.lines.extend(pip.iter().filter_map(Yaml::as_str).map(str::to_owned));
        }
    }
    if !environment.unavailable.is_empty() {
        let list = environment.unavailable.join(", ");
        return Err(Error::invalid(format!("{} asks for what only conda has: {list}", path.display())).hint(
            "take them out and build on an image that has them (--config.base_image=IMAGE), or list what the training needs in a requirements.txt",
        ));
    }
    let name = format!("{main}.requirements.txt");
    let lines = format!("{}\n", environment.lines.join("\n"));
    requirements::take(gathered, path, &lines)?;
    requirements::write(gathered, &name, lines);
    Ok((name, environment.python))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Environment {
    /// For a requirements file.
    lines: Vec<String>,
    python: Option<String>,
    unavailable: Vec<String>,
}

impl Environment {
    /// One of conda's specifications: `channel::name`, then a version behind `=`, a build behind another, or a range.
    fn take(&mut self, spec: &str) {
        let spec = spec.rsplit("::").next().unwrap_or(spec).trim();
        let end = spec.find(|c: char| " =<>!~[".contains(c)).unwrap_or(spec.len());
        let (name, version) = (spec[..end].to_lowercase(), spec[end..].trim());
        let version = version.split('[').next().unwrap_or_default().trim();
        let range = range(version);
        if name == "python" {
            self.python = Some(range).filter(|range| !range.is_empty());
        } else if NOT_PYTHON.iter().any(|start| name.starts_with(start)) {
            self.unavailable.push(name);
        } else if !NOT_NEEDED.contains(&name.as_str()) {
            let known = NAMES.iter().find(|(conda, _)| *conda == name).map(|(_, pypi)| (*pypi).to_owned());
            self.lines.push(format!("{}{range}", known.unwrap_or(name)));
        }
    }
}

/// As pip writes it: `=1.2` means 1.2 and all that begins so, `=1.2=build` and `==1.2` mean the one.
fn range(version: &str) -> String {
    let exact = |version: &str| if version.is_empty() { String::new() } else { format!("=={version}") };
    if let Some(version) = version.strip_prefix("==") {
        return exact(version.split('=').next().unwrap_or_default().trim());
    }
    let bare = version.strip_prefix('=').map(str::trim).unwrap_or(version);
    if bare.is_empty() || bare.starts_with(['<', '>', '!', '~']) {
        return bare.replace(' ', "");
    }
    match bare.split_once(['=', ' ']) {
        Some((version, _build)) => exact(version),
        None if bare.ends_with('*') => exact(&format!("{}.*", bare.trim_end_matches(['*', '.']))),
        None => format!("=={bare}.*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_become_requirements() {
        let mut environment = Environment::default();
        for spec in [
            "python=3.10",
            "pip",
            "numpy",
            "scikit-learn=1.5",
            "conda-forge::pytorch==2.3.0",
            "pandas=2.2.1=py310h1",
            "scipy >=1.10,<2",
            "pytables 3.9.*",
            "cudatoolkit=11.8",
            "r-base",
        ] {
            environment.take(spec);
        }
        let lines = [
            "numpy",
            "scikit-learn==1.5.*",
            "torch==2.3.0",
            "pandas==2.2.1",
            "scipy>=1.10,<2",
            "tables==3.9.*",
        ];
        assert_eq!(environment.lines, lines);
        assert_eq!(environment.python.as_deref(), Some("==3.10.*"));
        assert_eq!(environment.unavailable, ["cudatoolkit", "r-base"]);
    }
}
