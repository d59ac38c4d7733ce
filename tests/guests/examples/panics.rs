//! Panics with a message for its author.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    panic!("the last words about {}", training.tag());
}
