//! Computes without end.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(31));
    }
}
