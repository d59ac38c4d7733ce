//! Reads `environment.yml` and `pixi.toml`, and translates conda's package names to those on PyPI.
//!
//! Packages are only installed from PyPI. A name is looked up in `conda.txt` and among the known packages of PyPI.
//! Packages that are not Python (libraries, compilers, CUDA, R) are left out with a note. An unknown name is an error:
//! PyPI may have an unrelated package of that name.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use saphyr::{LoadableYamlNode, Yaml};
use saphyr_parser::{Event, Parser};
use toml::Value;

use super::{Form, Gathered, Said, requirements, text, toml};
use crate::{
    error::{Error, Result},
    project::imports::is_known_package,
};

/// The table in `conda.txt`; see there for its source.
static NAMES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("conda.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, line))).collect()
});
/// Names that the table lacks, or for which it has another package than a training needs.
const CHOSEN: &[(&str, &str)] = &[
    ("brotli-python", "brotli"),
    ("keras-gpu", "keras"),
    ("lightgbm-base", "lightgbm"),
    ("notebook", "notebook"),
    ("opencv", "opencv-python-headless"),
    ("psycopg2", "psycopg2-binary"),
    ("py-opencv", "opencv-python-headless"),
    ("py-xgboost", "xgboost"),
    ("py-xgboost-cpu", "xgboost"),
    ("py-xgboost-gpu", "xgboost"),
    ("pyqt", "pyqt5"),
    ("pytorch-cpu", "torch"),
    ("pytorch-gpu", "torch"),
    ("tensorflow-base", "tensorflow"),
    ("tensorflow-cpu", "tensorflow"),
    ("tensorflow-gpu", "tensorflow"),
    ("torchvision-cpu", "torchvision"),
    ("xgboost-gpu", "xgboost"),
];
/// Packages that only conda needs: a base image and wheels have what they provide.
const NOT_NEEDED: &[&str] = &[
    "pip",
    "setuptools",
    "wheel",
    "conda",
    "nomkl",
    "mkl",
    "mkl-service",
    "mkl_fft",
    "mkl_random",
    "blas",
    "openblas",
    "ipykernel",
    "ca-certificates",
    "openssl",
    "tzdata",
    "python_abi",
    "intel-openmp",
];
/// Names of packages that are not Python: PyPI may have something else under the name.
#[rustfmt::skip]
const NOT_PYTHON: &[&str] = &[
    "appdirs-c", "attr", "bash", "bash-completion", "bison", "blast", "blis", "blosc", "boost", "bowtie", "brotli",
    "brotli-bin", "bullet", "bwa", "bzip2", "cairo", "cdo", "chromium", "clang-format", "clang-tidy", "cmake", "cockroachdb",
    "compilers", "crlibm", "curl", "dbus", "deflate", "doxygen", "eccodes", "eigen", "expat", "ffmpeg", "fftw", "flatbuffers",
    "flex", "fontconfig", "fonts-conda-ecosystem", "fonts-conda-forge", "freetype", "gdal", "gdb", "geos", "gettext",
    "ghostscript", "giflib", "git", "glfw", "glib", "glpk", "gmp", "gnupg", "gnutls", "go", "graphite2", "graphviz",
    "groovy", "grpc-cpp", "gsl", "gst-plugins-base", "gstreamer", "h2o", "h3", "harfbuzz", "hdf5", "hunspell", "hwloc",
    "icc", "icu", "igraph", "imagemagick", "ipopt", "isa-l", "isal", "java", "jpeg", "jq", "julia", "kerberos", "keyutils",
    "krb5", "lame", "lapack", "lcms2", "ld_impl_linux-64", "lerc", "leveldb", "lmdb", "lua", "lz4-c", "lzo", "make",
    "maven", "mercurial", "metis", "mpc", "mpfr", "mpg123", "mpi", "mpich", "muscle", "mysql", "mysql-common", "mysql-libs",
    "nasm", "nco", "ncurses", "nettle", "nginx", "ninja", "node-semver", "nodejs", "nspr", "nss", "numactl", "octave",
    "openh264", "openjdk", "openjpeg", "openmesh", "openmpi", "p11-kit", "pandoc", "pango", "parallel", "patch",
    "patchelf", "pcre", "pcre2", "perl", "pixman", "pkg-config", "planarity", "plantuml", "podman", "poppler",
    "postgresql", "primesieve", "proj", "pthread-stubs", "pulseaudio-client", "qt", "qt-main", "quickjs", "r", "rdma-core",
    "re2", "readline", "ripgrep", "rpm", "rstudio", "ruby", "rust", "samtools", "sbt", "scala", "selinux", "snappy", "sox",
    "soxr", "spark", "sqlite", "stockfish", "subversion", "suitesparse", "svn", "svt-av1", "swig", "sysroot_linux-64", "tbb",
    "tensorboard-data-server-c", "tesseract", "texlive-core", "tiledb", "tini", "tk", "tmux", "typst", "ucx", "unixodbc",
    "unzip", "utf8proc", "valgrind", "vc", "vim", "vs2015_runtime", "wayland", "webp", "wget", "x264", "x265", "xxhash", "xz",
    "yaml", "yaml-cpp", "yasm", "zeromq", "zip", "zlib", "zlib-ng", "zstd",
];
/// The same, by their beginnings.
const NOT_PYTHON_BEGINNINGS: &[&str] = &[
    "r-",
    "lib",
    "_",
    "gcc",
    "gxx",
    "gfortran",
    "clang",
    "llvm-openmp",
    "cuda",
    "cudnn",
    "nccl",
    "pytorch-cuda",
    "pytorch-mutex",
    "binutils",
    "sysroot",
    "xorg-",
    "ld_impl",
    "aws-c-",
    "aws-checksums",
    "aws-crt-cpp",
    "aws-sdk-cpp",
    "azure-core-cpp",
    "azure-storage-",
    "kernel-headers",
    "font-ttf",
    "arrow-cpp",
    "qt6-",
    "ucrt",
    "vc14",
    "nvidia-apex-proc",
    "magma",
];

/// Makes a requirements file from the environment file `path`.
pub(super) fn read(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Said> {
    let wrong = |problem: &str| {
        Error::invalid(format!("{} {problem}", path.display()))
            .hint("an environment file has a list `dependencies`: export one with `conda env export --from-history`")
    };
    let text = text(path)?;
    let documents = documents(&text).map_err(|error| wrong("is not valid YAML").source(error))?;
    let Some(environment) = documents.first().filter(|document| document.is_mapping()) else {
        return Err(wrong("is not an environment file"));
    };
    let Some(entries) = environment.as_mapping_get("dependencies").and_then(Yaml::as_vec) else {
        return Err(wrong("lists no dependencies"));
    };
    let mut environment = Environment::default();
    for entry in entries {
        if let Some(spec) = entry.as_str() {
            environment.take(spec);
        } else if let Some(pip) = entry.as_mapping_get("pip").and_then(Yaml::as_vec) {
            environment.lines.extend(pip.iter().filter_map(Yaml::as_str).map(|line| pip_line(line.trim())));
        }
    }
    environment.finish(gathered, path, main)
}

/// Parses YAML. The loader has no limit of depth, and copies a text for each alias.
fn documents(text: &str) -> Result<Vec<Yaml<'_>>, String> {
    const MAX_LENGTH: usize = 1 << 20;
    const MAX_DEPTH: usize = 50;
    const MAX_ALIASES: usize = 100;
    if text.len() > MAX_LENGTH {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let (mut depth, mut aliases) = (0, 0);
    for event in Parser::new_from_str(text) {
        match event.map_err(|error| error.to_string())?.0 {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth -= 1,
            Event::Alias(_) => aliases += 1,
            _ => {}
        }
        if depth > MAX_DEPTH || aliases > MAX_ALIASES {
            return Err("it is nested too deeply, or has too many aliases".to_owned());
        }
    }
    Yaml::load_from_str(text).map_err(|error| error.to_string())
}

/// Reads a `pixi.toml`; `None` if it lists nothing.
pub(super) fn pixi(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Option<Said>> {
    let file = toml(path)?;
    let list = |name: &str| file.get(name).and_then(Value::as_table).into_iter().flatten();
    let mut environment = Environment::default();
    for (name, wanted) in list("dependencies") {
        let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str()).unwrap_or("*");
        let version = if version == "*" { "" } else { version };
        let space = if version.starts_with(|c: char| c.is_ascii_digit()) { "=" } else { " " };
        environment.take(&format!("{name}{space}{version}"));
    }
    for (name, wanted) in list("pypi-dependencies") {
        let field = |key: &str| wanted.get(key).and_then(Value::as_str);
        let version = wanted.as_str().or(field("version")).unwrap_or("*");
        let version = if version == "*" { "" } else { version };
        environment.lines.push(match (field("git"), field("path"), field("url")) {
            (Some(git), _, _) => {
                format!("{name} @ git+{git}@{}", field("rev").or(field("tag")).unwrap_or("HEAD"))
            }
            (_, Some("."), _) => continue,
            (_, Some(path), _) => format!("{name} @ file:{path}"),
            (_, _, Some(url)) => format!("{name} @ {url}"),
            _ => format!("{name}{version}"),
        });
    }
    if environment == Environment::default() {
        return Ok(None);
    }
    environment.finish(gathered, path, main).map(Some)
}

/// Returns the environment file that an MLflow project names.
pub(super) fn mlproject(path: &Path) -> Result<Option<PathBuf>> {
    let text = text(path)?;
    let documents = documents(&text).map_err(|error| {
        Error::invalid(format!("{} is not valid YAML", path.display())).hint("fix its syntax").source(error)
    })?;
    let project = documents.first().filter(|document| document.is_mapping());
    let named = project.and_then(|project| {
        ["python_env", "conda_env"].iter().find_map(|key| project.as_mapping_get(key).and_then(Yaml::as_str))
    });
    Ok(named.map(|name| path.with_file_name(name)).filter(|path| path.is_file()))
}

/// Whether the file is a `python_env.yaml` of MLflow under another name: conda's files do not have these keys.
pub(super) fn is_python_env(path: &Path) -> Result<bool> {
    let text = text(path)?;
    let documents = documents(&text).unwrap_or_default();
    let file = documents.first().filter(|document| document.is_mapping());
    Ok(file.is_some_and(|file| {
        ["python", "build_dependencies"].iter().any(|key| file.as_mapping_get(key).is_some())
    }))
}

/// Reads a `python_env.yaml` of MLflow: the Python version, and lines for pip.
pub(super) fn python_env(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Said> {
    let text = text(path)?;
    let documents = documents(&text).map_err(|error| {
        Error::invalid(format!("{} is not valid YAML", path.display())).hint("fix its syntax").source(error)
    })?;
    let mut environment = Environment::default();
    if let Some(file) = documents.first().filter(|document| document.is_mapping()) {
        environment.python = file.as_mapping_get("python").and_then(Yaml::as_str).map(str::to_owned);
        let lines = file.as_mapping_get("dependencies").and_then(Yaml::as_vec).into_iter().flatten();
        environment.lines = lines.filter_map(Yaml::as_str).map(|line| pip_line(line.trim())).collect();
    }
    environment.finish(gathered, path, main)
}

/// Converts a line such as `-r file:requirements.txt`, which conda accepts, for pip.
fn pip_line(line: &str) -> String {
    let mut words = line.splitn(2, char::is_whitespace);
    match (words.next(), words.next()) {
        (Some(option @ ("-r" | "--requirement" | "-c" | "--constraint")), Some(file)) => {
            let file = file.trim();
            format!(
                "{option} {}",
                file.strip_prefix("file:").map_or(file, |file| file.trim_start_matches("//"))
            )
        }
        _ => line.to_owned(),
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Environment {
    /// Lines of a requirements file.
    lines: Vec<String>,
    python: Option<String>,
    /// Packages that are not Python.
    left: Vec<String>,
    /// Unknown packages.
    unknown: Vec<String>,
    /// Whether conda was told no exact version of a package.
    is_by_hand: bool,
}

impl Environment {
    /// Takes a specification of conda: `channel::name`, then `=version`, `=version=build`, or a range.
    fn take(&mut self, spec: &str) {
        let spec = spec.rsplit("::").next().unwrap_or(spec).trim();
        let end = spec.find(|c: char| " =<>!~[".contains(c)).unwrap_or(spec.len());
        let (name, version) = (spec[..end].to_lowercase(), spec[end..].trim());
        let version = version.split('[').next().unwrap_or_default().trim();
        let range = range(version);
        self.is_by_hand |= !range.starts_with("==");
        if name == "python" {
            self.python = Some(range).filter(|range| !range.is_empty());
        } else if !NOT_NEEDED.contains(&name.as_str()) {
            match package_of(&name) {
                Package::Known(package) => self.lines.push(format!("{package}{range}")),
                Package::NotPython => self.left.push(name),
                Package::Unknown => self.unknown.push(name),
            }
        }
    }

    fn finish(self, gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Said> {
        // `conda env export` lists all that conda brought, for its own sake too; an import that needs one of them is
        // completed like any other.
        if !self.unknown.is_empty() && self.is_by_hand {
            let list = self.unknown.join(", ");
            return Err(Error::invalid(format!("{} lists packages that PyPI may not have: {list}", gathered.names)).hint(
                "list those that PyPI has under `pip:` and remove the others, or start from an image that has them: \
                 --config.base_image=IMAGE",
            ));
        }
        requirements::take(gathered, path, &self.lines.join("\n"))?;
        let mut said = Said::new(Form::Requirements, gathered.write(main, &self.lines), self.python);
        if !self.left.is_empty() {
            said.notes.push(format!(
                "{}: skipped packages that are not Python: {} (if the training needs one, install it with \
                 --config.system_packages=NAME)",
                gathered.names,
                self.left.join(", ")
            ));
        }
        if !self.unknown.is_empty() {
            said.notes.push(format!(
                "{}: skipped packages that PyPI may not have: {}",
                gathered.names,
                self.unknown.join(", ")
            ));
        }
        Ok(said)
    }
}

/// What a package of conda is on PyPI.
#[derive(Debug, PartialEq, Eq)]
enum Package<'a> {
    Known(&'a str),
    NotPython,
    Unknown,
}

fn package_of(name: &str) -> Package<'_> {
    if let Some((_, package)) = CHOSEN.iter().find(|(conda, _)| *conda == name) {
        return Package::Known(package);
    }
    if NOT_PYTHON.contains(&name) {
        return Package::NotPython;
    }
    if let Some(package) = NAMES.get(name) {
        return Package::Known(package);
    }
    if is_known_package(&requirements::normal(name)) {
        return Package::Known(name);
    }
    if NOT_PYTHON_BEGINNINGS.iter().any(|start| name.starts_with(start)) {
        return Package::NotPython;
    }
    Package::Unknown
}

/// Converts a version for pip: `=1.2` means 1.2 and all versions that begin with it, `=1.2=build` and `==1.2` mean
/// exactly this version.
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
            "python-graphviz",
            "cudatoolkit=11.8",
            "r-base",
            "snappy",
            "tk=8.6.14=h39e8969_0",
            "a-stranger",
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
            "graphviz",
        ];
        assert_eq!(environment.lines, lines);
        assert_eq!(environment.python.as_deref(), Some("==3.10.*"));
        assert_eq!(environment.left, ["cudatoolkit", "r-base", "snappy", "tk"]);
        assert_eq!(environment.unknown, ["a-stranger"]);
    }

    /// Packages that `conda env export` adds to those that somebody asked for.
    #[test]
    fn the_packages_of_an_export_are_classified() {
        for name in [
            "_libgcc_mutex",
            "_openmp_mutex",
            "bzip2",
            "ld_impl_linux-64",
            "libffi",
            "libgcc-ng",
            "ncurses",
            "readline",
            "sqlite",
            "xz",
            "zlib",
            "jpeg",
            "freetype",
            "lcms2",
            "libpng",
            "libtiff",
            "libwebp",
            "lz4-c",
            "zstd",
            "mpfr",
            "gmp",
            "icu",
            "hdf5",
            "boost",
            "git",
            "swig",
            "tbb",
            "graphviz",
            "ffmpeg",
            "cudatoolkit",
            "openjpeg",
            "giflib",
            "wget",
            "perl",
            "qt-main",
            "xorg-libx11",
            "aws-c-common",
        ] {
            assert_eq!(package_of(name), Package::NotPython, "{name}");
        }
        for (name, package) in [
            ("pillow", "pillow"),
            ("pyyaml", "pyyaml"),
            ("tensorflow", "tensorflow"),
            ("six", "six"),
            ("msgpack-python", "msgpack"),
            ("dask-core", "dask"),
            ("matplotlib-base", "matplotlib"),
            ("huggingface_hub", "huggingface_hub"),
            ("python-xxhash", "xxhash"),
            ("typing_extensions", "typing_extensions"),
        ] {
            assert_eq!(package_of(name), Package::Known(package), "{name}");
        }
    }

    #[test]
    fn conda_names_files_as_addresses() {
        assert_eq!(pip_line("-r file:requirements.txt"), "-r requirements.txt");
        assert_eq!(pip_line("-r requirements.txt"), "-r requirements.txt");
        assert_eq!(pip_line("six==1.16"), "six==1.16");
    }
}
