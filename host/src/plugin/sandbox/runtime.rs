//! Loads components and makes the stores that they run in.

use std::{collections::BTreeSet, path::Path, sync::Once};

use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{Component, HasSelf, Linker},
};
use wasmtime_wasi::p2::bindings::{clocks::monotonic_clock, filesystem::types};

use super::{
    bindings::{Capabilities, build_plugin::BuildPluginPre, train_plugin::TrainPluginPre},
    compiled::Compiled,
    compiler,
    engine::engine,
    job_folder::JobFolder,
    limits::MAX_HANDLES,
    state::CallState,
    time_budget::TICK,
};
use crate::{
    error::{Context, Error, Kind, Result},
    plugin::{
        package::{
            imported::has_functions,
            manifest::{DriverKind, Manifest, interface},
        },
        policy::grant::Capability,
    },
};

/// The bytes that a driver may pass to one host call, such as a log page or a build file.
const MAX_HOST_CALL_BYTES: usize = 32 << 20;

/// The engine, shared by all drivers of a process.
pub(crate) struct Runtime {
    engine: Engine,
    linker: Linker<CallState>,
    compiled: Compiled,
    ticking: Once,
}

/// A loaded component.
pub(crate) struct Loaded {
    pub(crate) build: Option<BuildPluginPre<CallState>>,
    pub(crate) train: Option<TrainPluginPre<CallState>>,
    pub(crate) kinds: BTreeSet<DriverKind>,
    /// The capabilities that it imports.
    pub(crate) wants: BTreeSet<Capability>,
}

impl Runtime {
    pub(crate) fn new(cache: &Path) -> Result<Self> {
        let broken = || "cannot start the WebAssembly engine".to_owned();
        let engine = engine()?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).context(broken)?;
        linker.allow_shadowing(true);
        monotonic_clock::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)
            .context(broken)?;
        types::add_to_linker::<_, JobFolder>(&mut linker, CallState::job_folder).context(broken)?;
        linker.allow_shadowing(false);
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).context(broken)?;
        Capabilities::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state).context(broken)?;
        Ok(Self { engine, linker, compiled: Compiled::new(cache), ticking: Once::new() })
    }

    /// The compiled form of a component; `None` if it must be compiled.
    pub(crate) fn ready(&self, digest: &str) -> Option<Component> {
        self.compiled.load(&self.engine, digest)
    }

    /// Loads an untrusted component. `ready` is its compiled form, if there is one.
    pub(crate) async fn load(
        &self,
        name: &str,
        digest: &str,
        ready: Option<Component>,
        wasm: &[u8],
    ) -> Result<Loaded> {
        let component = match ready {
            Some(component) => component,
            None => {
                // Reports problems of the file better and earlier than the compiler.
                Manifest::read(name, wasm)?;
                self.keep(digest, &compiler::compile(name, wasm).await?)?
            }
        };
        self.link(name, &component)
    }

    /// Loads a shipped component, which is trusted and compiled in this process.
    pub(crate) fn load_shipped(&self, name: &str, digest: &str, wasm: &[u8]) -> Result<Loaded> {
        let component = match self.ready(digest) {
            Some(component) => component,
            None => {
                let code = self.engine.precompile_component(wasm);
                self.keep(digest, &code.context(|| format!("cannot compile the plugin {name}"))?)?
            }
        };
        self.link(name, &component)
    }

    fn keep(&self, digest: &str, code: &[u8]) -> Result<Component> {
        // If it cannot be cached, such as on a full disk, everything works, but more slowly.
        let _ = self.compiled.keep(&self.engine, digest, code);
        // SAFETY: this program compiled it a moment ago.
        unsafe { Component::deserialize(&self.engine, code) }
            .context(|| "cannot load the compiled plugin".into())
    }

    fn link(&self, name: &str, component: &Component) -> Result<Loaded> {
        let kind = component.component_type();
        let exports = kind.exports(&self.engine).filter_map(|(export, _)| interface(export));
        let kinds: BTreeSet<DriverKind> =
            exports.filter_map(|name| DriverKind::ALL.into_iter().find(|kind| kind.name() == name)).collect();
        let imports =
            kind.imports(&self.engine).filter(|(_, import)| has_functions(&self.engine, &import.ty));
        let imports = imports.filter_map(|(import, _)| interface(import));
        let wants = imports.filter_map(Capability::of_interface).collect();
        let pre = self.linker.instantiate_pre(component).map_err(|error| {
            Error::new(
                Kind::Plugin,
                format!("the plugin {name} imports something that alekseylearn does not provide"),
            )
            .hint("upgrade alekseylearn or the plugin")
            .source(error)
        })?;
        let lacks = |kind: DriverKind| {
            move |error: wasmtime::Error| {
                let kind = kind.name();
                Error::new(Kind::Plugin, format!("the plugin {name} is not a complete {kind} driver"))
                    .hint("report this to the plugin's author")
                    .source(error)
            }
        };
        let is = |kind| kinds.contains(&kind).then(|| pre.clone());
        let build = is(DriverKind::Build).map(BuildPluginPre::new).transpose();
        let train = is(DriverKind::Train).map(TrainPluginPre::new).transpose();
        Ok(Loaded {
            build: build.map_err(lacks(DriverKind::Build))?,
            train: train.map_err(lacks(DriverKind::Train))?,
            kinds,
            wants,
        })
    }

    /// Removes the compiled forms of a component that was uninstalled.
    pub(crate) fn forget(&self, digest: &str) {
        self.compiled.forget(digest);
    }

    /// A store for one call.
    pub(crate) fn store(&self, state: CallState) -> Store<CallState> {
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
        store.set_hostcall_fuel(MAX_HOST_CALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        store.set_epoch_deadline(1);
        // Called only while the driver itself runs: time in host calls does not count.
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().time.tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}
