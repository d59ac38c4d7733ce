//! Asks the host ten million times.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    for _ in 0..10_000_000 {
        std::hint::black_box(training.tag());
    }
    Err(Error::failed("all was answered"))
}
