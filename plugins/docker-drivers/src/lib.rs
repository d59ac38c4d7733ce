//! The drivers that plugins for the user's Docker engine share: a build driver that makes images, and a train driver
//! that runs them as SageMaker runs its training containers.

mod folder;
mod image;
mod install;
pub mod layout;
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
    /// Instructions at the end of each Dockerfile, each ending in a line feed.
    const INSTRUCTIONS: &'static str = "";

    /// Additional options of the train driver.
    fn options() -> Vec<OptionSpec> {
        Vec::new()
    }

    /// Checks the machine before anything is built.
    ///
    /// # Errors
    /// The engine is not a machine of this kind.
    fn check(_training: &Training) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }

    /// Gives the container the machine's devices.
    ///
    /// # Errors
    /// An option is invalid.
    fn equip(_container: &docker::Container, _training: &Training) -> Result<(), Error> {
        Ok(())
    }
}

/// A machine without anything to add.
pub enum Plain {}

impl Machine for Plain {}
