//! The drivers' interface for the rest of the program. Each call runs in its own store.

mod build;
pub(super) mod plugin;
pub(super) mod report;
pub(super) mod repository;
pub(super) mod run;
mod train;

use std::{path::Path, sync::Arc};

use wasmtime::{Store, component::Resource};

pub use build::{BuildDriver, Rehearsed};
pub use train::{SecretWay, TrainDriver};

use crate::{
    config::{OptionSpec, check_specs},
    error::{Error, Kind, Result},
    plugin::{
        driver::{
            plugin::{Origin, Plugin},
            run::{SharedTraining, Training},
        },
        host_calls::from_driver,
        policy::{
            audit::{Audit, Auditor},
            authority::{Authority, Scope},
        },
        sandbox::{
            bindings::{
                alekseylearn::driver::types,
                build_plugin::exports::alekseylearn::driver::build::Guest as BuildGuest,
                train_plugin::exports::alekseylearn::driver::train::Guest as TrainGuest,
            },
            job_folder::Writes,
            limits::MAX_SHOWN,
            runtime::Runtime,
            state::CallState,
        },
        services::Services,
    },
    ui::Ui,
};

/// What all calls of drivers share.
pub(super) struct CallContext {
    pub(super) runtime: Runtime,
    pub(super) services: Arc<Services>,
    pub(super) ui: Arc<Ui>,
    pub(super) audit: Arc<Audit>,
}

/// A plugin whose driver is called.
pub(super) struct Driver<'a> {
    pub(super) calls: &'a CallContext,
    pub(super) plugin: Arc<Plugin>,
}

/// The scope that a training designates.
fn scope_of(training: &Training) -> Scope {
    Scope::of(&training.options, &training.project.tag, &training.job_name)
}

/// The outcome of a driver function: its result or error, or a trap.
type Outcome<T> = wasmtime::Result<std::result::Result<T, types::Error>>;

/// One driver call.
struct Call<'a> {
    plugin: &'a Plugin,
    store: Store<CallState>,
}

impl Driver<'_> {
    fn is_shipped(&self) -> bool {
        self.plugin.origin == Origin::Shipped
    }

    /// A call for a training, which may be a dry run.
    fn call_for(
        &self,
        function: &'static str,
        training: Training,
        job: Option<&Path>,
    ) -> Result<(Call<'_>, Resource<SharedTraining>)> {
        self.call_in(function, Scope { dry_run: training.dry_run, ..scope_of(&training) }, training, job)
    }

    /// A call for a training, with the given scope.
    fn call_in(
        &self,
        function: &'static str,
        scope: Scope,
        training: Training,
        job: Option<&Path>,
    ) -> Result<(Call<'_>, Resource<SharedTraining>)> {
        let mut call = self.call(function, scope, job)?;
        let training = call.push(Arc::new(training))?;
        Ok((call, training))
    }

    /// `job` is the folder that the driver sees as `/job`.
    fn call(&self, function: &'static str, scope: Scope, job: Option<&Path>) -> Result<Call<'_>> {
        let (services, ui) = (self.calls.services.clone(), self.calls.ui.clone());
        let writes = Writes::new(self.plugin.written.clone());
        let state = CallState::new(self.authority(function, scope), services, ui, job, writes)?;
        Ok(Call { plugin: &self.plugin, store: self.calls.runtime.store(state) })
    }

    fn authority(&self, function: &'static str, scope: Scope) -> Authority {
        let auditor = scope.job.clone().map(|job| Auditor {
            audit: self.calls.audit.clone(),
            job,
            plugin: self.plugin.name.clone(),
            digest: self.plugin.digest(),
            call: function,
            secrets: scope.secrets.clone(),
        });
        Authority {
            auditor,
            plugin: self.plugin.name.clone(),
            granted: self.plugin.granted.clone(),
            wants: self.plugin.wants.clone(),
            never: self.plugin.never.clone(),
            shipped: self.is_shipped(),
            lent: matches!(self.plugin.origin, Origin::Lent(_)),
            scope,
            used: Arc::default(),
        }
    }
}

impl Call<'_> {
    async fn build<T>(
        &mut self,
        call: impl AsyncFnOnce(&BuildGuest, &mut Store<CallState>) -> Outcome<T>,
    ) -> Result<T> {
        let outcome = async {
            let pre = self.plugin.loaded.build.as_ref().ok_or_else(|| no_such_driver("build"))?;
            let instance = pre.instantiate_async(&mut self.store).await?;
            call(instance.alekseylearn_driver_build(), &mut self.store).await
        };
        let outcome = outcome.await;
        self.ended(outcome)
    }

    async fn train<T>(
        &mut self,
        call: impl AsyncFnOnce(&TrainGuest, &mut Store<CallState>) -> Outcome<T>,
    ) -> Result<T> {
        let outcome = async {
            let pre = self.plugin.loaded.train.as_ref().ok_or_else(|| no_such_driver("train"))?;
            let instance = pre.instantiate_async(&mut self.store).await?;
            call(instance.alekseylearn_driver_train(), &mut self.store).await
        };
        let outcome = outcome.await;
        self.ended(outcome)
    }

    fn ended<T>(&self, outcome: Outcome<T>) -> Result<T> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.store.data().requester.explain(from_driver(error))),
            // A host function may have ended the call with one of the program's own errors.
            Err(error) => Err(match error.downcast::<Error>() {
                Ok(error) if error.kind() == Kind::Plugin => self.broken(&error.chain()),
                Ok(error) => error,
                Err(error) => self.broken(&error.root_cause().to_string()),
            }),
        }
    }

    fn broken(&self, reason: &str) -> Error {
        let state = self.store.data();
        if let Some(job) = &state.job {
            state.writes.undo(job);
        }
        let words = state.last_words();
        let broken = Error::new(Kind::Plugin, format!("the driver {} failed: {reason}", self.plugin.name))
            .hint("report this to the plugin's author");
        if words.is_empty() { broken } else { broken.details(words) }
    }

    fn few(&self, count: usize, most: usize, what: &str) -> Result<()> {
        if count <= most {
            return Ok(());
        }
        Err(self.broken(&format!("it returned {count} {what} at once; the limit is {most}")))
    }

    fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>> {
        self.store.data_mut().push(value)
    }

    fn take<T: Send + 'static>(&mut self, handle: Resource<T>) -> Result<T> {
        self.store.data_mut().take(handle)
    }

    /// Takes the options that a driver declares, and checks them.
    fn take_specs(&mut self, handles: Vec<Resource<OptionSpec>>) -> Result<Vec<OptionSpec>> {
        let specs = self.take_all(handles, "options")?;
        check_specs(&specs).map_err(|problem| self.broken(&problem))?;
        Ok(specs)
    }

    /// Takes all values that a driver returned at once. `what` names them in errors.
    fn take_all<T: Send + 'static>(&mut self, handles: Vec<Resource<T>>, what: &str) -> Result<Vec<T>> {
        self.few(handles.len(), MAX_SHOWN, what)?;
        handles.into_iter().map(|handle| self.take(handle)).collect()
    }
}

fn no_such_driver(kind: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("it has no {kind} driver"))
}
