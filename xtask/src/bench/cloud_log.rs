//! Measures the log of a SageMaker job on the rig, which writes it to CloudWatch Logs with moto.

use anyhow::{Context, Result};

use super::local::TALKATIVE;
use super::measure::{Contender, side_by_side};
use super::place::Place;
use super::report::{Section, mebibytes};

const ROUNDS: usize = 3;
const SCRIPT: &str = "talkative/train.py";

pub fn followed(place: &Place) -> Result<Section> {
    place.write(SCRIPT, TALKATIVE)?;
    place.must(place.fit_sagemaker(SCRIPT, &[])?)?;
    let job = place.newest_job()?["name"].as_str().context("the job has a name")?.to_owned();
    let figures = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`alekseylearn fit`", || place.fit_sagemaker(SCRIPT, &[])),
            Contender::new("`alekseylearn fit` of a script without a log", || {
                place.fit_sagemaker("trivial/train.py", &[])
            }),
        ],
    )?;
    let later = side_by_side(
        ROUNDS,
        &place.home,
        [
            Contender::new("`alekseylearn logs`, of the job", || Ok(place.ours(&["logs", &job]))),
            Contender::new("boto3, of the job", || Ok(place.peer("boto3_logs.py", &[&job]))),
        ],
    )?;
    let [talkative, silent] = &figures;
    let (over, memory) = (talkative.over(silent) / 1e3, mebibytes(talkative.memory));
    Ok(Section::new("Following a log of 100,000 lines from CloudWatch Logs")
        .note(format!("{over:.2} s for the lines, most of them moto's. `fit` holds {memory}"))
        .table(&figures)
        .table(&later))
}
