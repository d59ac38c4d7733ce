//! Measures training on this machine.

use anyhow::{Context, Result};

use super::measure::{Contender, Figures, side_by_side};
use super::place::Place;
use super::report::{Section, mebibytes};
use crate::process::{text, tidy};

const ROUNDS: usize = 5;
const MAX_MEMORY: u64 = 80 << 20;
/// A script that writes its log as fast as it can.
pub const TALKATIVE: &str = "import sys\nfor number in range(100_000):\n    \
    sys.stdout.write(f'epoch {number} loss {1 / (number + 1):.6f} accuracy {number / 100_000:.4f}\\n')\n";

pub fn trivial(place: &Place) -> Result<Section> {
    let image = image_of(place, "trivial/train.py")?;
    let folder = place.home.join("local-mode").to_string_lossy().into_owned();
    let others = of_compose(place)?;
    let figures = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`alekseylearn fit`", || Ok(place.fit("trivial/train.py", &[]))),
            Contender::new("`docker run` of its image", || {
                Ok(place.docker(&["run", "--rm", &image, "train"]))
            }),
            Contender::new("the local mode of SageMaker's SDK, the same image", || {
                place.forget("local-mode")?;
                std::fs::create_dir(&folder)?;
                Ok(place.peer("local_mode.py", &[&image, &folder]))
            }),
        ],
    );
    tidy_after_compose(place, &others)?;
    let figures = figures?;
    let [ours, docker, sdk] = &figures;
    let (over, faster) = (ours.over(docker), sdk.times_of(ours));
    let section = Section::new("A script that trains nothing, on this machine")
        .aim(format!("{over:.0} ms over `docker run`"), "at most 500 ms", over <= 500.0)
        .aim(format!("{faster:.1} times faster than the SDK's local mode"), "at least 5", faster >= 5.0)
        .aim(memory_of_fit(ours), "at most 80 MiB", ours.memory <= MAX_MEMORY);
    Ok(section.table(&figures))
}

pub fn log(place: &Place) -> Result<Section> {
    place.write("talkative/train.py", TALKATIVE)?;
    let image = image_of(place, "talkative/train.py")?;
    let figures = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`alekseylearn fit`", || Ok(place.fit("talkative/train.py", &[]))),
            Contender::new("`docker run` of its image", || {
                Ok(place.docker(&["run", "--rm", &image, "train"]))
            }),
        ],
    )?;
    let job = place.newest_job()?["name"].as_str().context("the job has a name")?.to_owned();
    let container = format!("alekseylearn-bench-{}", std::process::id());
    place.must(place.docker(&["run", "--name", &container, &image, "train"]))?;
    let later = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`alekseylearn logs`, of the job", || Ok(place.ours(&["logs", &job]))),
            Contender::new("`docker logs`, of a container", || Ok(place.docker(&["logs", &container]))),
        ],
    );
    place.must(place.docker(&["rm", "--force", &container]))?;
    let (times, memory) = (figures[0].times_of(&figures[1]), memory_of_fit(&figures[0]));
    Ok(Section::new("Following a log of 100,000 lines")
        .note(format!("{times:.2} times `docker run`. {memory}"))
        .table(&figures)
        .table(&later?))
}

fn memory_of_fit(fit: &Figures) -> String {
    format!("`fit` holds {}", mebibytes(fit.memory))
}

/// Trains once, and returns the image.
fn image_of(place: &Place, script: &str) -> Result<String> {
    place.must(place.fit(script, &[]))?;
    Ok(place.newest_job()?["image"].as_str().context("the job has an image")?.to_owned())
}

/// The SDK's name for the network of its containers.
const COMPOSE: &str = "sagemaker-local";

/// All containers on that network.
fn of_compose(place: &Place) -> Result<Vec<String>> {
    let network = format!("network={COMPOSE}");
    let found = text(&mut place.docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &network]))?;
    Ok(found.lines().map(str::to_owned).collect())
}

/// Removes the containers and the network that the SDK leaves, but not those of others.
fn tidy_after_compose(place: &Place, others: &[String]) -> Result<()> {
    let left = of_compose(place)?;
    let left: Vec<&str> = left.iter().filter(|id| !others.contains(id)).map(String::as_str).collect();
    if !left.is_empty() {
        place.must(place.docker(&[&["rm", "--force"], &*left].concat()))?;
    }
    // The network may not exist, and Docker keeps one that is in use.
    tidy(&mut place.docker(&["network", "rm", COMPOSE]));
    Ok(())
}
