//! Whatever reads a stranger's bytes, as functions that may be given any bytes: `cargo xtask fuzz` does so, and the unit
//! tests give them their seeds. Each function asserts what must hold of what is accepted; what is not accepted ends
//! in one error that says what to do.

use tar::Header;

use crate::{
    capability, config, disk,
    error::{Error, Result},
    plugin, project,
};

/// One of them.
pub struct Target {
    /// As in `cargo xtask fuzz NAME`.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub run: fn(&[u8]),
    /// Real files of the kind, small ones: what the fuzzer begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    [plugin::FUZZ, capability::FUZZ, config::FUZZ, disk::FUZZ, project::FUZZ].into_iter().flatten()
}

/// What was accepted; an error must be one that a person can read and act upon.
pub fn told<T>(outcome: Result<T>) -> Option<T> {
    outcome.inspect_err(assert_clear).ok()
}

fn assert_clear(error: &Error) {
    assert!(
        !error.message().is_empty() && error.hint_text().is_some_and(|hint| !hint.is_empty()),
        "{error:?}"
    );
    assert!(error.message().len() < LONGEST_MESSAGE, "an error of {} bytes", error.message().len());
}

/// Names of files and options are in messages, and whole files are not.
const LONGEST_MESSAGE: usize = 8 << 10;

/// A text as the seed that it is.
pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A tar whose headers have the checksums that they should: an enemy computes them, and a fuzzer cannot guess them.
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
            assert!(!seeds.is_empty(), "{} has none", target.name);
            for seed in &seeds {
                (target.run)(seed);
                // Cut off, as by a full disk.
                (target.run)(&seed[..seed.len() / 2]);
            }
        }
    }
}
