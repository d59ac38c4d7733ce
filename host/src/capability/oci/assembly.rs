//! Assembles an image: layers of packages, of the driver's files and of the project on top of a base image that stays in its
//! registry.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    LayerWriter, Python,
    base::{Base, Descriptor},
    config,
    store::{FORMAT, Layer, Store, cannot_write},
};
use crate::{
    capability::{
        Listener, Progress,
        docker::{BuildContext, Changed, Hashed},
        packages,
    },
    error::{Error, Kind, Result},
    project::{Content, Dependencies, Indexes, Python as Required},
};

/// How often the project is read again if a file changes meanwhile.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// This machine: where to keep what was made, and whether Docker's stored logins may be used.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The cache folder.
    pub cache: PathBuf,
    /// Whether the logins of registries and package indexes may be used.
    pub logins: bool,
}

/// The packages of an image.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// The virtual environment's path in the image.
    pub path: String,
    /// Packages besides the project's dependencies, as requirements.
    pub requirements: Vec<String>,
    /// Folders of the image from which modules can be imported.
    pub import_folders: Vec<String>,
    /// The project's dependencies.
    pub dependencies: Option<Dependencies>,
    /// The Python that the project requires.
    pub python: Option<Required>,
    /// The package indexes, with their logins.
    pub indexes: Arc<Indexes>,
    /// The certificates that this network needs, in PEM.
    pub certificates: Option<String>,
}

/// The inputs of an image.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    /// The base image's name.
    pub base: String,
    /// The image's name and platform, and the project's files. Its `extra` files are those of the driver, by their
    /// paths in the image.
    pub context: BuildContext,
    /// The virtual environment; `None` for an image without one.
    pub installation: Option<Installation>,
    /// The folder for the project's files.
    pub project: Option<String>,
    /// Environment variables. `$NAME` is replaced by the base image's value.
    pub environment: Vec<(String, String)>,
    /// The working folder.
    pub workdir: Option<String>,
    /// The command of a container.
    pub entrypoint: Vec<String>,
}

/// An image that was assembled on this machine. Its own layers are in the cache, those of its base image in a registry.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// Its name, with the hash of all inputs as the tag.
    pub reference: String,
    /// Whether nothing had to be assembled.
    pub reused: bool,
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration.
    pub config_digest: String,
    /// Names and versions of the packages, sorted.
    pub installed: Vec<String>,
    pub(super) made: Made,
    pub(super) environment: Environment,
    pub(super) store: Store,
}

/// What is kept of an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) base: Base,
    pub(super) layers: Vec<Layer>,
    pub(super) config: String,
    pub(super) manifest: String,
    pub(super) manifest_type: String,
    installed: Vec<String>,
}

/// A layer of packages that was made before.
#[derive(Serialize, Deserialize)]
struct Packages {
    layer: Layer,
    installed: Vec<String>,
}

impl Assembly {
    /// The inputs as text, like a Dockerfile. It is part of the hash.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("FROM {}", self.base)];
        if let Some(installation) = &self.installation {
            lines.push(format!(
                "# Packages in {}, from wheels: {}",
                installation.path,
                installation.choices()
            ));
            lines.push(format!("# Imports from {}", installation.import_folders.join(", ")));
        }
        lines.extend(self.environment.iter().map(|(name, value)| format!("ENV {name}={value}")));
        lines.extend(self.workdir.iter().map(|folder| format!("WORKDIR {folder}")));
        lines.push(format!("ENTRYPOINT {}", json!(self.entrypoint)));
        lines.extend(self.project.iter().map(|folder| format!("COPY code/ {folder}/")));
        lines.push(String::new());
        lines.join("\n")
    }

    /// The inputs with their hash.
    fn hashed(&self) -> Result<(String, Hashed)> {
        let indexes = self.installation.as_ref().map(|installation| &installation.indexes.variables);
        let version = packages::VERSION;
        let dockerfile = format!("{}# Format {FORMAT}, uv {version}, indexes {indexes:?}\n", self.text());
        let hashed = BuildContext { dockerfile, ..self.context.clone() }.hashed()?;
        Ok((self.context.reference(&hashed.whole), hashed))
    }

    /// The image's name, and the image if it was assembled before.
    ///
    /// # Errors
    /// A file of the project cannot be read.
    pub fn known(&self, environment: &Environment) -> Result<(String, Option<Assembled>)> {
        let store = Store::open(&environment.cache)?;
        let (reference, hashed) = self.hashed()?;
        Ok((reference.clone(), self.made(environment, &store, reference, &hashed.whole)))
    }

    fn made(
        &self,
        environment: &Environment,
        store: &Store,
        reference: String,
        hash: &str,
    ) -> Option<Assembled> {
        let made: Made = store.record("image", hash)?;
        let is_whole = made.layers.iter().all(|layer| store.has(layer));
        is_whole.then(|| made.into_image(reference, true, environment, store))
    }

    /// Assembles the image, or finds that of equal inputs.
    ///
    /// # Errors
    /// The base image or a package cannot be found, a file cannot be read, or the disk is full.
    pub async fn assemble(
        self: &Arc<Self>,
        environment: &Environment,
        listener: Listener<'_>,
    ) -> Result<Assembled> {
        if let Some(recipe) = &self.context.recipe {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{} needs a Docker engine", recipe.dockerfile_path().display()),
            )
            .hint("build with one: --build-driver local"));
        }
        for attempt in 1..ATTEMPTS {
            match self.assemble_once(environment, listener).await {
                Err(error) if has_changed(&error) => tokio::time::sleep(PAUSE * attempt).await,
                outcome => return outcome,
            }
        }
        self.assemble_once(environment, listener).await
    }

    async fn assemble_once(
        self: &Arc<Self>,
        environment: &Environment,
        listener: Listener<'_>,
    ) -> Result<Assembled> {
        let store = Store::open(&environment.cache)?;
        let this = self.clone();
        let (reference, hashed) = blocking(move || this.hashed()).await??;
        let hashed = Arc::new(hashed);
        let anew = self.context.anew;
        if !anew && let Some(image) = self.made(environment, &store, reference.clone(), &hashed.whole) {
            return Ok(image);
        }
        let platform = &self.context.platform;
        let base = Base::find(environment, &store, &self.base, platform, anew).await?;
        listener(Progress::Step(&format!("The base image is {}", base.pinned)));
        let mut layers = Vec::new();
        let mut installed = Vec::new();
        let mut paths = BTreeMap::new();
        if let Some(installation) = &self.installation {
            let python = installation.python(&base, environment, &store, listener).await?;
            let packages =
                self.packages(installation, &python, &hashed, environment, &store, listener).await?;
            layers.push((packages.layer, "packages"));
            installed = packages.installed;
            let name =
                format!("{}/lib/python{}/site-packages/alekseylearn.pth", installation.path, python.version);
            let lines = installation.import_folders.iter().map(|folder| format!("{folder}\n"));
            paths.insert(name, lines.collect::<String>().into_bytes());
        }
        let (this, to, sums) = (self.clone(), store.clone(), hashed.clone());
        let [driver, code] = blocking(move || -> Result<[Layer; 2]> {
            Ok([this.of_driver(&to, paths).map_err(cannot_write)?, this.of_project(&to, &sums)?])
        })
        .await??;
        layers.extend([(driver, "driver"), (code, "project")]);
        let config = config::config(self, &base, &layers, &hashed.whole);
        let layers: Vec<Layer> = layers.into_iter().map(|(layer, _)| layer).collect();
        let described =
            Descriptor { media_type: String::new(), digest: digest(&config), size: config.len() as u64 };
        let (manifest, manifest_type) = config::manifest(&base, &layers, &described);
        let manifest_type = manifest_type.to_owned();
        let made = Made { base, layers, config, manifest, manifest_type, installed };
        store.keep("image", &hashed.whole, &made);
        store.tidy();
        Ok(made.into_image(reference, false, environment, &store))
    }

    /// The layer with the virtual environment. The same dependencies for the same Python are installed once.
    async fn packages(
        &self,
        installation: &Installation,
        python: &Python,
        hashed: &Hashed,
        environment: &Environment,
        store: &Store,
        listener: Listener<'_>,
    ) -> Result<Packages> {
        let key = installation.key(python, &self.context, hashed);
        if !self.context.anew
            && let Some(known) = store.record::<Packages>("packages", &key)
            && store.has(&known.layer)
        {
            return Ok(known);
        }
        let request = packages::Request {
            dependencies: installation.dependencies.as_ref(),
            requirements: &installation.requirements,
            indexes: &installation.indexes,
            logins: environment.logins,
            certificates: installation.certificates.as_deref(),
            python,
            platform: &self.context.platform,
        };
        let found =
            if request.is_empty() { None } else { Some(request.install(store.folder(), listener).await?) };
        listener(Progress::Step("Packing the dependencies"));
        let (to, python, venv) = (store.clone(), python.clone(), installation.path.clone());
        let packages = blocking(move || -> io::Result<Packages> {
            let mut layer = LayerWriter::begin(&to)?;
            packages::write(&mut layer, found.as_ref(), &python, &venv)?;
            let mut installed = found.map(|found| found.list.clone()).unwrap_or_default();
            installed.sort_unstable_by_key(|line| line.to_lowercase());
            Ok(Packages { layer: layer.finish()?, installed })
        });
        let packages = packages.await?.map_err(cannot_write)?;
        store.keep("packages", &key, &packages);
        Ok(packages)
    }

    /// The layer with the driver's files.
    fn of_driver(&self, store: &Store, paths: BTreeMap<String, Vec<u8>>) -> io::Result<Layer> {
        let mut layer = LayerWriter::begin(store)?;
        let mut files: BTreeMap<&str, &[u8]> =
            paths.iter().map(|(path, text)| (path.as_str(), text.as_slice())).collect();
        // Lists of dependencies are inputs, but not part of the image.
        let own = self.context.extra.iter().filter(|(path, _)| path.starts_with('/'));
        files.extend(own.map(|(path, text)| (path.as_str(), text.as_slice())));
        for (path, text) in files {
            layer.file(path, text.len() as u64, false, text)?;
        }
        layer.finish()
    }

    /// The layer with the project's files.
    fn of_project(&self, store: &Store, hashed: &Hashed) -> Result<Layer> {
        let mut layer = LayerWriter::begin(store).map_err(cannot_write)?;
        if let Some(place) = &self.project {
            self.context.write_project(&mut layer, place, hashed)?;
        }
        layer.finish().map_err(cannot_write)
    }
}

impl Installation {
    /// What is installed, without the contents of the files.
    fn choices(&self) -> String {
        let mut words = self.requirements.clone();
        if let Some(found) = &self.dependencies {
            words.insert(0, format!("{} {}", found.form.name(), found.main));
            words.extend(found.member.clone());
            words.push(found.choices());
        }
        words.extend(self.python.iter().map(|python| format!("for Python {}", python.versions.join(" or "))));
        words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Stands for the content of the layer.
    fn key(&self, python: &Python, context: &BuildContext, hashed: &Hashed) -> String {
        let files =
            self.dependencies.iter().flat_map(|found| &found.files).map(|(path, content)| match content {
                Content::Text(text) => (path, hex::encode(Sha256::digest(text))),
                Content::File(_) => (path, hashed.of_dependency(path).map(hex::encode).unwrap_or_default()),
            });
        let inputs = json!([
            FORMAT,
            packages::VERSION,
            python,
            context.platform,
            self.path,
            self.choices(),
            self.indexes.variables,
            files.collect::<BTreeMap<_, _>>(),
        ]);
        hex::encode(Sha256::digest(inputs.to_string()))
    }

    /// The base image's Python, which must be one that the project accepts.
    async fn python(
        &self,
        base: &Base,
        environment: &Environment,
        store: &Store,
        listener: Listener<'_>,
    ) -> Result<Python> {
        let with_modules = self.dependencies.as_ref().is_some_and(|found| !found.imported.is_empty());
        let python = Python::find(base, environment, store, with_modules, listener).await?;
        match &self.python {
            Some(required) if !required.versions.contains(&python.version) => Err(Error::invalid(format!(
                "the base image has Python {}, but the project requires {}",
                python.version, required.origin
            ))
            .hint("set --config.base_image=IMAGE to another image, or change the project's requirements")),
            _ => Ok(python),
        }
    }
}

impl Made {
    fn into_image(
        self,
        reference: String,
        reused: bool,
        environment: &Environment,
        store: &Store,
    ) -> Assembled {
        Assembled {
            reference,
            reused,
            digest: digest(&self.manifest),
            config_digest: digest(&self.config),
            installed: self.installed.clone(),
            environment: environment.clone(),
            store: store.clone(),
            made: self,
        }
    }
}

fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Whether a file of the project changed while it was read.
fn has_changed(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| Changed::of(error).is_some())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::failed("cannot assemble the image").source(error))
}
