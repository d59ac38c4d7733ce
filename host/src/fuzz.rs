//! Fuzz targets for all code that reads untrusted bytes. `cargo xtask fuzz` runs them on any bytes, and the unit tests on
//! their seeds. Each target asserts what must hold for accepted input. Rejected input ends in one error with a hint.

use tar::Header;

use crate::{
    capability, config, disk,
    error::{Error, Result},
    plugin, project,
};

/// One fuzz target.
pub struct Target {
    /// The name, as in `cargo xtask fuzz NAME`.
    pub name: &'static str,
    /// Runs the target. Panics if an invariant is broken.
    pub run: fn(&[u8]),
    /// The seeds: small valid inputs with which the fuzzer starts.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All fuzz targets.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    [plugin::FUZZ, capability::FUZZ, config::FUZZ, disk::FUZZ, project::FUZZ].into_iter().flatten()
}

/// The accepted value. Asserts that an error is readable and has a hint.
pub fn told<T>(outcome: Result<T>) -> Option<T> {
    outcome.inspect_err(assert_clear).ok()
}

fn assert_clear(error: &Error) {
    assert!(
        !error.message().is_empty() && error.hint_text().is_some_and(|hint| !hint.is_empty()),
        "{error:?}"
    );
    assert!(error.message().len() < MAX_MESSAGE, "an error of {} bytes", error.message().len());
}

/// Messages may contain names of files and options, but not whole files.
const MAX_MESSAGE: usize = 8 << 10;

/// Turns texts into seeds.
pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A tar with correct header checksums: an attacker computes them, but a fuzzer cannot guess them.
pub fn settled(tar: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut settled = tar.to_vec();
    let mut at = 0_usize;
    while let Some(block) = settled.get_mut(at..at.saturating_add(BLOCK)) {
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        if block.iter().any(|byte| *byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let size = usize::try_from(header.entry_size().unwrap_or(0)).unwrap_or(usize::MAX);
        at = size
            .checked_next_multiple_of(BLOCK)
            .and_then(|size| at.checked_add(BLOCK)?.checked_add(size))
            .unwrap_or(usize::MAX);
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_holds() {
        for target in targets() {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            for seed in &seeds {
                (target.run)(seed);
                // Truncated, as by a full disk.
                (target.run)(&seed[..seed.len() / 2]);
            }
        }
    }
}
