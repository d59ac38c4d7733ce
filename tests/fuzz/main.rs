//! libFuzzer, and the target that `ALEKSEYLEARN_FUZZ` names: one program for all of them, because each would hold the
//! whole host. Without a name it lists them.

#![no_main]

use std::{env, fs, path::Path, process, sync::LazyLock};

use alekseylearn::fuzz::{Target, targets};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let Ok(name) = env::var("ALEKSEYLEARN_FUZZ") else {
        targets().for_each(|target| println!("{}", target.name));
        process::exit(0);
    };
    targets().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target {name}"))
});

/// Before libFuzzer looks into its folders.
fn write_seeds() {
    let target = *TARGET;
    let Some(folder) = env::var_os("ALEKSEYLEARN_FUZZ_SEEDS") else { return };
    for (number, seed) in (target.seeds)().iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("{number:02}")), seed).expect("a seed can be written");
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| (TARGET.run)(bytes));
