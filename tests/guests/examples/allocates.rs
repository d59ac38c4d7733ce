//! Allocates memory without end.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    let mut all = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
