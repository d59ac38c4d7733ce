//! The installed plugins: components by digest, and one list of names, versions, sources and grants. A component is
//! written before the list names it, and the list is replaced atomically. So a reader sees the old state or the new
//! one, even if a writer was killed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    identity::Identity,
    signature::{Claim, key_of},
    source::{MAX_BYTES, Source},
};
use crate::{
    disk::{self, PRIVATE},
    environment::Environment,
    error::{Context, Error, Kind, Result},
    plugin::policy::grant::Grants,
};

/// The version of the list's format.
const FORM: u32 = 1;
const LIST: &str = "plugins.json";
const MAX_LIST_SIZE: u64 = 64 << 20;

/// One installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its name, as in `--train-driver NAME`.
    pub name: String,
    /// Its version; `None` if it has none.
    pub version: Option<String>,
    /// The digest of the component, `sha256:…`.
    pub digest: String,
    /// Where it came from.
    pub source: Source,
    /// The version of the contract that it was built for.
    pub contract: String,
    /// The grants that the user gave this component.
    pub granted: Grants,
    /// When it was installed, in RFC 3339.
    pub installed: String,
    /// The text of its `.minisig` file; `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The component's own name; `None` if it has none.
    #[serde(default)]
    pub own_name: Option<String>,
    /// The grants that it wants, so that a denial can name the whole grant.
    #[serde(default)]
    pub wants: Grants,
}

impl Installed {
    /// The claim to verify. `wasm` may be empty if there is no signature.
    pub(crate) fn claim<'a>(&'a self, wasm: &'a [u8]) -> Claim<'a> {
        Claim {
            name: &self.name,
            own_name: self.own_name.as_deref(),
            version: self.version.as_deref(),
            wasm,
            signature: self.signature.as_deref(),
            source: &self.source,
        }
    }

    /// Its identity.
    pub fn identity(&self) -> Identity {
        Identity {
            name: self.name.clone(),
            own_name: self.own_name.clone(),
            source: self.source.place(),
            signer: self.signature.as_deref().and_then(key_of),
        }
    }

    /// Its name and version, for display.
    pub fn named(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A component to install.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The component.
    pub wasm: &'a [u8],
    /// Its entry for the list.
    pub plugin: &'a Installed,
    /// The grants of the plugin of that name when the user chose.
    pub before: &'a Grants,
}

#[derive(Serialize, Deserialize)]
struct List {
    form: u32,
    plugins: Vec<Installed>,
}

/// The user's installed plugins.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// The digest of a component, `sha256:…`.
pub fn digest_of(wasm: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(wasm)))
}

impl Store {
    /// Opens the store. Does not touch the disk yet.
    pub fn new(environment: &Environment) -> Self {
        Self { folder: environment.data.join("plugins") }
    }

    /// All plugins, by name.
    ///
    /// # Errors
    /// If the list is damaged, or a newer alekseylearn wrote it.
    pub fn list(&self) -> Result<Vec<Installed>> {
        let path = self.folder.join(LIST);
        // The list decides what is granted, so only the user's own file is read.
        let text = disk::read_own(&path, MAX_LIST_SIZE, Some("move it away and install the plugins again"))?;
        let Some(text) = text else { return Ok(Vec::new()) };
        let list: List = serde_json::from_slice(&text).map_err(|error| {
            Error::failed(format!("the plugin list {} is damaged", path.display()))
                .hint("move it away and install the plugins again")
                .source(error)
        })?;
        if list.form > FORM {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{} was written by a newer alekseylearn", path.display()),
            )
            .hint("upgrade alekseylearn, or set XDG_DATA_HOME to another folder"));
        }
        Ok(list.plugins)
    }

    /// A plugin by name; `None` if it is not installed.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Installed>> {
        Ok(self.list()?.into_iter().find(|plugin| plugin.name == name))
    }

    /// A plugin by name, which must be installed.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn expect(&self, name: &str) -> Result<Installed> {
        self.get(name)?.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no plugin `{name}` is installed"))
                .hint("list installed plugins with `alekseylearn plugin list`")
        })
    }

    /// Calls `read` with a plugin, again if another process replaces the plugin meanwhile; `None` if it is not
    /// installed.
    ///
    /// # Errors
    /// If the list cannot be read, or `read` fails on the current plugin.
    pub fn with<T>(&self, name: &str, read: impl Fn(&Installed) -> Result<T>) -> Result<Option<T>> {
        let mut installed = self.get(name)?;
        while let Some(plugin) = installed {
            let outcome = read(&plugin);
            if outcome.is_ok() {
                return outcome.map(Some);
            }
            installed = self.get(name)?;
            if installed.as_ref().is_some_and(|now| now.digest == plugin.digest) {
                return outcome.map(Some);
            }
        }
        Ok(None)
    }

    /// The component of an installed plugin.
    ///
    /// # Errors
    /// If it is missing, or changed after it was installed.
    pub fn wasm(&self, plugin: &Installed) -> Result<Vec<u8>> {
        let path = self.component(&plugin.digest);
        let again = format!("install it again: `{}`", plugin.source.install());
        let wasm = disk::read(&path, MAX_BYTES as u64).map_err(|error| {
            Error::new(Kind::Plugin, format!("cannot read the component of the plugin {}", plugin.name))
                .hint(&again)
                .source(error)
        })?;
        if digest_of(&wasm) != plugin.digest {
            return Err(Error::new(Kind::Plugin, format!("{} is not what was installed", path.display()))
                .hint(format!("it was changed or damaged; {again}")));
        }
        Ok(wasm)
    }

    /// Installs components, either all or none, and replaces those of the same names. Returns the new entries.
    ///
    /// # Errors
    /// If the disk is full or cannot be written.
    pub fn install(&self, components: &[Chosen<'_>]) -> Result<Vec<Installed>> {
        let _lock = self.lock()?;
        let mut plugins = self.list()?;
        let mut installed = Vec::new();
        for Chosen { wasm, plugin, before } in components {
            let path = self.component(&plugin.digest);
            // Installing a damaged component again fixes it.
            if !disk::read(&path, MAX_BYTES as u64).is_ok_and(|there| there == *wasm) {
                write_whole(&path, wasm)?;
            }
            // Grants that another plugin of the name got meanwhile do not apply to this one.
            let admitted = |known: &&Installed| known.identity().admits(&plugin.identity());
            let now = plugins.iter().find(admitted).map(|known| &known.granted);
            let mut plugin = Installed::clone(plugin);
            plugin.granted.follow(before, now.unwrap_or(&Grants::default()));
            plugins.retain(|known| known.name != plugin.name);
            plugins.push(plugin.clone());
            installed.push(plugin);
        }
        self.replace(plugins)?;
        Ok(installed)
    }

    /// Removes a plugin.
    ///
    /// # Errors
    /// If it is not installed, or the disk cannot be written.
    pub fn uninstall(&self, name: &str) -> Result<()> {
        let _lock = self.lock()?;
        self.expect(name)?;
        let mut plugins = self.list()?;
        plugins.retain(|known| known.name != name);
        self.replace(plugins)
    }

    /// Changes the grants of a plugin, and returns the result. Concurrent changes do not undo each other.
    ///
    /// # Errors
    /// If it is not installed, or the disk cannot be written.
    pub fn regrant(&self, name: &str, change: impl FnOnce(&mut Grants)) -> Result<Grants> {
        let _lock = self.lock()?;
        let mut plugin = self.expect(name)?;
        change(&mut plugin.granted);
        let granted = plugin.granted.clone();
        let mut plugins = self.list()?;
        plugins.retain(|known| known.name != name);
        plugins.push(plugin);
        self.replace(plugins)?;
        Ok(granted)
    }

    fn lock(&self) -> Result<File> {
        Environment::private_folder(&self.folder)?;
        let path = self.folder.join("lock");
        let failed = || format!("cannot lock {}", path.display());
        let file = disk::lock_file(&path).context(failed)?;
        file.lock().context(failed)?;
        Ok(file)
    }

    /// Writes the list, and then removes components that it no longer names.
    fn replace(&self, mut plugins: Vec<Installed>) -> Result<()> {
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        let keep: BTreeSet<PathBuf> = plugins.iter().map(|plugin| self.component(&plugin.digest)).collect();
        let list = serde_json::to_vec_pretty(&List { form: FORM, plugins })
            .context(|| "cannot write the plugin list".into())?;
        write_whole(&self.folder.join(LIST), &list)?;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let ours = path.extension().is_some_and(|extension| extension == "wasm" || extension == "part");
            if ours && !keep.contains(&path) {
                // If this fails, the next change tries again.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn component(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.trim_start_matches("sha256:")))
    }
}

fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    disk::write(path, PRIVATE, |file| file.write_all(content))
        .context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().join("plugins") };
        (folder, store)
    }

    fn plugin(name: &str, wasm: &[u8]) -> Installed {
        Installed {
            name: name.into(),
            version: None,
            digest: digest_of(wasm),
            source: Source::File("a.wasm".into()),
            contract: "0.1.0".into(),
            granted: Grants::default(),
            installed: "2026-01-01T00:00:00Z".into(),
            signature: None,
            own_name: Some(name.into()),
            wants: Grants::default(),
        }
    }

    fn install(store: &Store, wasm: &[u8], plugin: Installed) -> Result<Vec<Installed>> {
        store.install(&[Chosen { wasm, plugin: &plugin, before: &Grants::default() }])
    }

    #[test]
    fn a_component_is_added_and_removed_with_its_plugin() {
        let (_folder, store) = store();
        assert_eq!(store.list().unwrap(), []);
        install(&store, b"one", plugin("a", b"one")).unwrap();
        install(&store, b"two", plugin("a", b"two")).unwrap();
        install(&store, b"two", plugin("b", b"two")).unwrap();
        let names: Vec<String> = store.list().unwrap().into_iter().map(|plugin| plugin.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(store.wasm(&store.expect("a").unwrap()).unwrap(), b"two");
        let components = || {
            let entries = fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).count()
        };
        assert_eq!(components(), 1, "unused components are removed");
        let granted: Grants =
            ["docker".parse().unwrap(), "https://a.example=env:A".parse().unwrap()].into_iter().collect();
        let change = |to: &mut Grants| *to = granted.clone();
        assert_eq!(store.regrant("a", change).unwrap(), granted);
        assert_eq!(store.expect("a").unwrap().granted, granted);
        store.uninstall("a").unwrap();
        assert_eq!(components(), 1, "b still needs it");
        store.uninstall("b").unwrap();
        assert_eq!(components(), 0);
        assert_eq!(store.uninstall("b").unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn a_changed_component_is_refused() {
        let (_folder, store) = store();
        install(&store, b"one", plugin("a", b"one")).unwrap();
        fs::write(store.component(&digest_of(b"one")), b"two").unwrap();
        let error = store.wasm(&store.expect("a").unwrap()).unwrap_err();
        assert!(error.message().contains("is not what was installed"), "{error}");
        install(&store, b"one", plugin("a", b"one")).unwrap();
        assert_eq!(store.wasm(&store.expect("a").unwrap()).unwrap(), b"one");
    }

    #[test]
    fn a_plugin_that_is_replaced_while_it_is_read_is_read_again() {
        let (_folder, store) = store();
        install(&store, b"one", plugin("a", b"one")).unwrap();
        let read = store.with("a", |found| {
            install(&store, b"two", plugin("a", b"two"))?;
            store.wasm(found)
        });
        assert_eq!(read.unwrap().unwrap(), b"two");
        let gone = store.with("a", |found| store.uninstall("a").and_then(|()| store.wasm(found)));
        assert_eq!(gone.unwrap(), None);
    }

    #[test]
    fn what_was_revoked_since_the_user_was_asked_stays_revoked() {
        let (_folder, store) = store();
        let grants = |texts: &[&str]| -> Grants { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let one = Installed { granted: grants(&["s3", "https://a.example=env:A"]), ..plugin("a", b"one") };
        install(&store, b"one", one.clone()).unwrap();
        let before = store.expect("a").unwrap().granted;
        let granted = grants(&["s3", "https://a.example=env:B", "docker"]);
        let two = Installed { granted, ..plugin("a", b"two") };
        store.regrant("a", |granted| granted.remove(&"s3".parse().unwrap())).unwrap();
        store.regrant("a", |granted| granted.remove(&"https://a.example".parse().unwrap())).unwrap();
        store.regrant("a", |granted| granted.add("ecr".parse().unwrap())).unwrap();
        let chosen = Chosen { wasm: b"two", plugin: &two, before: &before };
        let installed = store.install(&[chosen]).unwrap();
        assert_eq!(installed[0].granted, grants(&["docker", "ecr"]));
        assert_eq!(store.expect("a").unwrap(), installed[0]);
        // Uninstalling it revokes all of its grants.
        store.uninstall("a").unwrap();
        let again = Chosen { wasm: b"one", plugin: &one, before: &installed[0].granted };
        assert_eq!(store.install(&[again]).unwrap()[0].granted, one.granted);
        let two = Chosen { wasm: b"two", plugin: &two, before: &one.granted };
        store.uninstall("a").unwrap();
        assert_eq!(store.install(&[two]).unwrap()[0].granted, grants(&["docker"]));
    }

    /// Another plugin of the name was installed while the user was asked about this one.
    #[test]
    fn what_another_plugin_of_the_name_was_granted_is_not_taken_over() {
        let (_folder, store) = store();
        let grants = |texts: &[&str]| -> Grants { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let mine = Installed { granted: grants(&["s3"]), ..plugin("a", b"one") };
        install(&store, b"one", mine.clone()).unwrap();
        let others = Installed {
            source: Source::File("b.wasm".into()),
            granted: grants(&["docker", "https://a.example=env:A"]),
            ..plugin("a", b"two")
        };
        install(&store, b"two", others).unwrap();
        let newer = Installed { granted: grants(&["s3"]), ..plugin("a", b"three") };
        let chosen = Chosen { wasm: b"three", plugin: &newer, before: &mine.granted };
        assert_eq!(store.install(&[chosen]).unwrap()[0].granted, Grants::default());
    }

    #[test]
    fn concurrent_changes_lose_nothing() {
        let (_folder, store) = store();
        install(&store, b"all", plugin("all", b"all")).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    let wasm = format!("component {number}");
                    let plugin = plugin(&format!("p{number}"), wasm.as_bytes());
                    install(store, wasm.as_bytes(), plugin).unwrap();
                    let grant = format!("https://{number}.example").parse().unwrap();
                    store.regrant("all", |granted| granted.add(grant)).unwrap();
                });
            }
        });
        let plugins = store.list().unwrap();
        assert_eq!(plugins.len(), 9);
        assert_eq!(store.expect("all").unwrap().granted.iter().count(), 8);
        for plugin in plugins {
            store.wasm(&plugin).unwrap();
        }
    }

    #[test]
    fn a_damaged_list_is_an_error() {
        let (_folder, store) = store();
        install(&store, b"one", plugin("a", b"one")).unwrap();
        fs::write(store.folder.join(LIST), "{").unwrap();
        assert!(store.list().unwrap_err().message().contains("is damaged"));
        fs::write(store.folder.join(LIST), r#"{"form": 9, "plugins": []}"#).unwrap();
        assert_eq!(store.list().unwrap_err().kind(), Kind::Unsupported);
    }
}
