use super::Driver;
use crate::{
    capability::docker::{BuildContext, Image},
    config::OptionSpec,
    error::{Error, Kind, Result},
    plugin::{authority::Scope, run::Training},
};

/// A driver that makes images.
pub struct BuildDriver<'a>(pub(in crate::plugin) Driver<'a>);

impl BuildDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// The options it declares.
    ///
    /// # Errors
    /// The plugin is broken.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut call = self.0.call(Scope::default(), None)?;
        let specs = call.build(async |driver, store| driver.call_options(store).await.map(Ok)).await?;
        call.take_all(specs, "options")
    }

    /// An image of the training folder.
    ///
    /// # Errors
    /// The build fails.
    pub async fn build(&self, training: Training) -> Result<Image> {
        let (mut call, training) = self.0.call_for(training, None)?;
        let image = call.build(async |driver, store| driver.call_build(store, training).await).await?;
        call.take(image)
    }

    /// What [`BuildDriver::build`] would build, of a dry run.
    ///
    /// # Errors
    /// The driver cannot tell, or builds nothing.
    pub async fn rehearse(&self, training: Training) -> Result<BuildContext> {
        let (mut call, training) = self.0.call_for(training, None)?;
        call.build(async |driver, store| driver.call_build(store, training).await).await?;
        let build = call.store.data_mut().rehearsal.take().and_then(|rehearsal| rehearsal.build);
        build.ok_or_else(|| Error::new(Kind::Plugin, format!("the driver {} builds nothing", self.name())))
    }
}
