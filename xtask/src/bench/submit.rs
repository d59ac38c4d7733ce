//! Measures the time from the command to the submitted job, on the rig's SageMaker.

use std::cell::Cell;
use std::process::Command;

use anyhow::Result;

use super::measure::{Contender, side_by_side};
use super::place::Place;
use super::report::Section;

/// fahr supports at most nine jobs.
const ROUNDS: usize = 3;
const MAX_SECONDS: f64 = 2.0;

pub fn unchanged(place: &Place) -> Result<Section> {
    prepare_fahr(place)?;
    let ours = || {
        place.quiet()?;
        place.fit_sagemaker("trivial/train.py", &["--detach"])
    };
    let theirs = || {
        place.quiet()?;
        fahr(place)
    };
    let contenders = [
        Contender::new("`alekseylearn fit --detach`", ours),
        Contender::new("`fahr fit`, which never waits", theirs),
    ];
    let figures = side_by_side(ROUNDS, &place.home, contenders)?;
    let faster = figures[1].times_of(&figures[0]);
    Ok(Section::new("Nothing changed, up to \"submitted\"")
        .aim(format!("{faster:.1} times faster than `fahr fit`"), "at least 10", faster >= 10.0)
        .note("fahr uses the addresses of the rig's registry and STS, which it does not support by itself")
        .table(&figures))
}

pub fn changed(place: &Place) -> Result<Section> {
    let (version, before) = (Cell::new(0), Cell::new(0));
    let ours = || {
        place.quiet()?;
        version.set(version.get() + 1);
        place.write(
            "changing/train.py",
            &format!("open('/opt/ml/model/m', 'w').write('{}')\n", version.get()),
        )?;
        before.set(place.pushed_bytes()?);
        place.fit_sagemaker("changing/train.py", &["--detach"])
    };
    let figures = side_by_side(ROUNDS, &place.home, [Contender::new("`alekseylearn fit --detach`", ours)])?;
    let pushed = place.pushed_bytes()? - before.get();
    let seconds = figures[0].median().as_secs_f64();
    place.quiet()?;
    Ok(Section::new("One line of code changed, up to \"submitted\"")
        .aim(
            format!("{seconds:.2} s, and {:.1} KiB more in the registry", pushed as f64 / 1024.0),
            "one small layer, at most 2 s",
            seconds <= MAX_SECONDS && pushed < 1 << 20,
        )
        .table(&figures))
}

/// fahr has no Dockerfile template, so it gets one that does the same as ours.
fn prepare_fahr(place: &Place) -> Result<()> {
    let dockerfile = format!(
        "FROM {}\nWORKDIR /code\nCOPY requirements.txt .\nRUN pip install -q -r requirements.txt\nCOPY . /code\n\
         ENTRYPOINT [\"sh\", \"/code/run.sh\"]\n",
        place.base_image
    );
    place.write("for-fahr/Dockerfile", &dockerfile)?;
    place.write("for-fahr/run.sh", "#!/bin/sh\npython train.py\n")?;
    place.write("for-fahr/requirements.txt", "")?;
    place.write("for-fahr/train.py", super::place::TRIVIAL)
}

fn fahr(place: &Place) -> Result<Command> {
    let (registry, role) = (place.rig("registry")?, format!("--config.role_name={}", place.rig("role")?));
    let output = format!("--config.output_path={}", place.output_path()?);
    Ok(place.peer("fahr_fit.py", &[&registry, "for-fahr/train.py", &output, &role]))
}
