//! Recurses without end.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    Ok(vec![Finding::note(&deeper(1).to_string())])
}

#[expect(unconditional_recursion, reason = "the mischief")]
fn deeper(number: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(number + 1))) + number
}
