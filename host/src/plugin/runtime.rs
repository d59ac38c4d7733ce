//! The engine that runs components, and the compiled form of them.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use wasmtime::{
    Config, Engine, Store, UpdateDeadline,
    component::{Component, HasSelf, InstancePre, Linker},
};

use super::{
    authority::Capability,
    bindings::Capabilities,
    manifest::{DriverKind, Manifest, interface},
    state::State,
};
use crate::{
    environment::Environment,
    error::{Context, Error, Kind, Result},
};

/// How often a running driver is looked at.
const TICK: Duration = Duration::from_millis(10);
/// The running time that one call of a driver has, host calls not counted: what it does itself is little.
const MOST_TICKS: u32 = 1_000;
/// As many bytes as a driver may hand over in one call of the host: a page of a log, or a file of a build.
const MOST_SAID: usize = 32 << 20;

/// One engine, shared by all drivers of a process.
pub(super) struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    cache: PathBuf,
    ticking: Once,
}

/// A component that is ready to be called.
pub(super) struct Loaded {
    pub(super) pre: InstancePre<State>,
    pub(super) kinds: BTreeSet<DriverKind>,
    /// The parts of the contract that it imports.
    pub(super) wants: BTreeSet<Capability>,
}

impl Runtime {
    pub(super) fn new(cache: &Path) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let broken = || "the WebAssembly engine cannot start".to_owned();
        let engine = Engine::new(&config).context(broken)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).context(broken)?;
        Capabilities::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).context(broken)?;
        Ok(Self { engine, linker, cache: cache.join("drivers"), ticking: Once::new() })
    }

    /// Makes a component ready: from its compiled form where there is one, else from itself.
    pub(super) fn load<'a>(
        &self,
        name: &str,
        digest: &str,
        wasm: impl FnOnce() -> Result<Cow<'a, [u8]>>,
    ) -> Result<Loaded> {
        let component = match self.compiled(digest) {
            Some(component) => component,
            None => self.compile(name, digest, &wasm()?)?,
        };
        let kind = component.component_type();
        let exports = kind.exports(&self.engine).filter_map(|(export, _)| interface(export));
        let kinds =
            exports.filter_map(|name| DriverKind::ALL.into_iter().find(|kind| kind.name() == name)).collect();
        let imports = kind.imports(&self.engine).filter_map(|(import, _)| interface(import));
        let wants = imports.filter_map(Capability::of_interface).collect();
        let pre = self.linker.instantiate_pre(&component).map_err(|error| {
            Error::new(Kind::Plugin, format!("the plugin {name} asks for what this program does not have"))
                .hint("it may be built for another version of alekseylearn")
                .source(error)
        })?;
        Ok(Loaded { pre, kinds, wants })
    }

    /// A store for one call.
    pub(super) fn store(&self, state: State) -> Store<State> {
        let engine = self.engine.weak();
        self.ticking.call_once(|| {
            std::thread::spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(TICK);
                }
            });
        });
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(MOST_SAID);
        store.set_epoch_deadline(1);
        // Asked only while the driver itself runs: what it waits for in the host does not count.
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.ticks += 1;
            if state.ticks > MOST_TICKS {
                return Err(wasmtime::Error::msg("it ran for 10 seconds without an end"));
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    fn compiled(&self, digest: &str) -> Option<Component> {
        let path = self.compiled_path(digest);
        // SAFETY: the file is in a folder that only this user can write to, was written by `compile` below, whole or
        // not at all, and carries the hash of its source and of the engine in its name. Whoever can change it can
        // change this program as well.
        unsafe { Component::deserialize_file(&self.engine, path) }.ok()
    }

    fn compile(&self, name: &str, digest: &str, wasm: &[u8]) -> Result<Component> {
        // Says what is wrong with a file in better words than the compiler, and before it.
        Manifest::read(name, wasm)?;
        let component = Component::new(&self.engine, wasm).map_err(|error| {
            Error::new(Kind::Plugin, format!("{name} is no WebAssembly component that can be run"))
                .hint("get the plugin again; its author finds how to build one in the SDK's documentation")
                .source(error)
        })?;
        // Without the compiled form all works, only slower: a full disk is no reason to stop.
        let _ = self.keep(&component, &self.compiled_path(digest));
        Ok(component)
    }

    fn keep(&self, component: &Component, path: &Path) -> Result<()> {
        let failed = || format!("cannot write {}", path.display());
        Environment::private_folder(&self.cache)?;
        let mut partial = tempfile::NamedTempFile::new_in(&self.cache).context(failed)?;
        let code = component.serialize().context(failed)?;
        partial.write_all(&code).context(failed)?;
        partial.as_file().sync_all().context(failed)?;
        partial.persist(path).context(failed)?;
        Ok(())
    }

    fn compiled_path(&self, digest: &str) -> PathBuf {
        let mut engine = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut engine);
        let source = digest.trim_start_matches("sha256:");
        self.cache.join(format!("{source}-{:016x}.cwasm", engine.finish()))
    }
}
