//! Panics, with a message that its author would want to read.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    panic!("the last words about {}", training.tag());
}
