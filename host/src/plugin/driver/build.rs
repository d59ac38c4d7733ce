use super::Driver;
use crate::{
    capability::docker::{BuildContext, Image},
    config::{Assignment, Chosen, OptionSpec},
    error::{Error, Kind, Result},
    plugin::{authority::Scope, identity::Identity, run::Training},
};

/// A driver that makes images.
pub struct BuildDriver<'a>(pub(in crate::plugin) Driver<'a>);

impl BuildDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// Who its plugin is.
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

    /// These options, with what files say of them.
    pub fn chosen<'a>(&'a self, specs: &'a [OptionSpec], defaults: &'a [Assignment]) -> Chosen<'a> {
        Chosen { name: self.name(), specs, defaults, shipped: self.is_shipped() }
    }

    /// The options it declares.
    ///
    /// # Errors
    /// The plugin is broken.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut call = self.0.call("build.options", Scope::default(), None)?;
        let specs = call.build(async |driver, store| driver.call_options(store).await.map(Ok)).await?;
        call.take_specs(specs)
    }

    /// An image of the training folder.
    ///
    /// # Errors
    /// The build fails.
    pub async fn build(&self, training: Training) -> Result<Image> {
        let (mut call, training) = self.0.call_for("build.build", training, None)?;
        let image = call.build(async |driver, store| driver.call_build(store, training).await).await?;
        call.take(image)
    }

    /// What [`BuildDriver::build`] would build, of a dry run.
    ///
    /// # Errors
    /// The driver cannot tell, or builds nothing.
    pub async fn rehearse(&self, training: Training) -> Result<BuildContext> {
        let (mut call, training) = self.0.call_for("build.build", training, None)?;
        call.build(async |driver, store| driver.call_build(store, training).await).await?;
        let build = call.store.data_mut().rehearsal.take().and_then(|rehearsal| rehearsal.build);
        build.ok_or_else(|| Error::new(Kind::Plugin, format!("the driver {} builds nothing", self.name())))
    }
}
