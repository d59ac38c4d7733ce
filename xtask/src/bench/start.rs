//! Measures the start time and the size of the program.

use anyhow::Result;

use super::measure::{Contender, side_by_side};
use super::place::Place;
use super::report::Section;

const ROUNDS: usize = 15;
const MAX_BYTES: u64 = 60 << 20;

pub fn help(place: &Place) -> Result<Section> {
    let figures = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`alekseylearn --help`", || Ok(place.ours(&["--help"]))),
            Contender::new("`docker --version`", || Ok(place.docker(&["--version"]))),
            Contender::new("`fahr --help`", || Ok(place.installed("fahr", &["--help"]))),
        ],
    )?;
    let [help, docker, fahr] = &figures;
    let (of_docker, faster) = (help.times_of(docker), fahr.times_of(help));
    Ok(Section::new("Start")
        .aim(format!("{of_docker:.2} times `docker --version`"), "at most 2", of_docker <= 2.0)
        .aim(format!("{faster:.1} times faster than `fahr --help`"), "at least 10", faster >= 10.0)
        .table(&figures))
}

pub fn size(place: &Place) -> Result<Section> {
    let size = place.program.metadata()?.len();
    let found = format!("One file of {:.1} MiB, with its shipped drivers", size as f64 / f64::from(1 << 20));
    Ok(Section::new("The program").aim(found, "at most 60 MiB", size <= MAX_BYTES))
}
