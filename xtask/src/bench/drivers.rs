//! Measures installed drivers, in Rust and in Python.

use anyhow::Result;

use super::measure::{Contender, side_by_side};
use super::place::Place;
use super::report::Section;
use crate::python_guests::PYTHON_GUESTS;
use crate::workspace::root;

const ROUNDS: usize = 15;
const SLOW_ROUNDS: usize = 3;
/// The names under which they are installed.
const RUST: &str = "in-rust";
const PYTHON: &str = "in-python";

pub fn answers(place: &Place) -> Result<Section> {
    let components = Components::new()?;
    place.must(components.install(place, RUST))?;
    place.must(components.install(place, PYTHON))?;
    let show = |name: &'static str| move || Ok(place.ours(&["driver", "show", name]));
    let figures = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`--help`", || Ok(place.ours(&["--help"]))),
            Contender::new("`driver show`, in Rust", show(RUST)),
            Contender::new("`driver show`, in Python", show(PYTHON)),
        ],
    )?;
    let [help, rust, python] = &figures;
    let (rust, python) = (rust.over(help), python.over(help));
    Ok(Section::new("An installed driver's first answer")
        .aim(format!("In Rust {rust:.1} ms over `--help`"), "at most 2 ms", rust <= 2.0)
        .aim(format!("In Python {python:.1} ms over `--help`"), "at most 30 ms", python <= 30.0)
        .table(&figures))
}

/// Measures the compilation, which every later start saves.
pub fn compiling(place: &Place) -> Result<Section> {
    let components = Components::new()?;
    let anew = |name: &'static str| {
        move || {
            place.forget(".cache")?;
            Ok(place.ours(&["driver", "show", name]))
        }
    };
    let install = |name: &'static str| {
        let components = &components;
        move || {
            place.forget(".cache")?;
            place.forget(".local/share/alekseylearn/plugins")?;
            Ok(components.install(place, name))
        }
    };
    place.must(components.install(place, RUST))?;
    place.must(components.install(place, PYTHON))?;
    let loads = [
        Contender::new("first load, in Rust", anew(RUST)),
        Contender::new("first load, in Python", anew(PYTHON)),
    ];
    let loads = side_by_side(SLOW_ROUNDS, &place.home, loads)?;
    let installs = [
        Contender::new("`plugin install`, in Rust", install(RUST)),
        Contender::new("`plugin install`, in Python", install(PYTHON)),
    ];
    let installs = side_by_side(SLOW_ROUNDS, &place.home, installs)?;
    Ok(Section::new("A driver's compilation")
        .note("Once for each driver and version of the program")
        .table(&loads)
        .table(&installs))
}

struct Components {
    rust: String,
    python: String,
}

impl Components {
    fn new() -> Result<Self> {
        let shown = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let rust = shown(root().join("target/plugins/sagemaker.wasm"));
        Ok(Self { rust, python: shown(PYTHON_GUESTS[0].build()?) })
    }

    fn install(&self, place: &Place, name: &str) -> std::process::Command {
        let file = if name == RUST { &self.rust } else { &self.python };
        place.ours(&["plugin", "install", file, "--name", name, "--yes"])
    }
}
