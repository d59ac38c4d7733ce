//! Calls the host without end.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    loop {
        std::hint::black_box(training.tag());
    }
}
