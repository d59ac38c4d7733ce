//! What plugins share that use the Docker engine of the user's machine: a build driver that makes images, and a train
//! driver that runs them by SageMaker's container contract, as a true rehearsal of the cloud.

mod folder;
mod image;
mod install;
mod logs;
mod nodes;
mod outcome;
mod train;

use std::marker::PhantomData;

use alekseylearn_sdk::{Error, Finding, OptionSpec, Training, docker};

/// Both drivers, for one kind of machine.
pub struct Docker<M>(PhantomData<M>);

/// What a kind of machine adds to the drivers.
pub trait Machine: 'static {
    /// Instructions at the end of each Dockerfile, each with its line feed.
    const INSTRUCTIONS: &'static str = "";

    /// More options of the train driver.
    fn options() -> Vec<OptionSpec> {
        Vec::new()
    }

    /// Looks before anything is built.
    ///
    /// # Errors
    /// The engine is not such a machine.
    fn check(_training: &Training) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }

    /// Gives the container what the machine has.
    ///
    /// # Errors
    /// An option is wrong.
    fn equip(_container: &docker::Container, _training: &Training) -> Result<(), Error> {
        Ok(())
    }
}

/// Any machine.
pub enum Plain {}

impl Machine for Plain {}
