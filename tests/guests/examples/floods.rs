//! Writes to its standard output and error without end.

use std::io::Write;

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    let block = vec![b'x'; 1 << 20];
    loop {
        // Errors do not stop it.
        let _ = std::io::stdout().write_all(&block);
        let _ = std::io::stderr().write_all(&block);
    }
}
