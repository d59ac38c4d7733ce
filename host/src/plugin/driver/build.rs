use std::sync::Arc;

use super::{Driver, run::Training};
use crate::{
    capability::{Image, docker::BuildContext, oci::Assembly},
    config::{Assignment, Chosen, OptionSpec},
    error::{Error, Kind, Result},
    plugin::{package::identity::Identity, policy::authority::Scope},
};

/// What a build driver would do.
#[derive(Debug)]
pub enum Rehearsed {
    /// Build an image in the engine.
    Build(Box<BuildContext>),
    /// Assemble an image on this machine.
    Assembly(Arc<Assembly>),
}

/// A driver that builds images.
pub struct BuildDriver<'a>(pub(in crate::plugin) Driver<'a>);

impl BuildDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// The identity of its plugin.
    pub fn identity(&self) -> &Identity {
        &self.0.plugin.identity
    }

    /// It came with the program.
    pub fn is_shipped(&self) -> bool {
        self.0.is_shipped()
    }

    /// The digest of its component.
    pub fn digest(&self) -> String {
        self.0.plugin.digest()
    }

    /// The driver's options, with the defaults from files.
    pub fn chosen<'a>(&'a self, specs: &'a [OptionSpec], defaults: &'a [Assignment]) -> Chosen<'a> {
        Chosen { name: self.name(), specs, defaults, shipped: self.is_shipped() }
    }

    /// The options that it declares.
    ///
    /// # Errors
    /// If the plugin fails.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut call = self.0.call("build.options", Scope::default(), None)?;
        let specs = call.build(async |driver, store| driver.call_options(store).await.map(Ok)).await?;
        call.take_specs(specs)
    }

    /// Builds an image of the project.
    ///
    /// # Errors
    /// If the build fails.
    pub async fn build(&self, training: Training) -> Result<Image> {
        let (mut call, training) = self.0.call_for("build.build", training, None)?;
        let image = call.build(async |driver, store| driver.call_build(store, training).await).await?;
        call.take(image)
    }

    /// The build that [`BuildDriver::build`] would run, for a dry run.
    ///
    /// # Errors
    /// If the driver fails or builds nothing.
    pub async fn rehearse(&self, training: Training) -> Result<Rehearsed> {
        let (mut call, training) = self.0.call_for("build.build", training, None)?;
        call.build(async |driver, store| driver.call_build(store, training).await).await?;
        let rehearsal = call.store.data_mut().rehearsal.take().unwrap_or_default();
        let build = rehearsal.build.map(|build| Rehearsed::Build(Box::new(build)));
        build.or(rehearsal.assembly.map(Rehearsed::Assembly)).ok_or_else(|| {
            Error::new(Kind::Plugin, format!("the driver {} does not build an image", self.name()))
        })
    }
}
