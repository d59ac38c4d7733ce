//! Models brought home, from an S3 server that is quick enough not to be what is measured.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::measure::{Contender, Figures, side_by_side};
use super::place::Place;
use super::report::{Section, mebibytes};
use crate::daemon::Daemon;

const ROUNDS: usize = 3;
const MOST_MEMORY: u64 = 64 << 20;

pub fn models(place: &Place) -> Result<Vec<Section>> {
    let s3 = S3::start(place)?;
    let (big, many) = (job(place, "big")?, job(place, "many")?);
    let bucket = place.rig("bucket")?;
    place.must(place.peer("seed.py", &[&s3.endpoint, &bucket, &key(&big), &key(&many)]))?;
    let both = |job: &str, ours: &[&str], theirs: &[&str]| -> Result<[Figures; 2]> {
        let ours = || fresh(place, &s3, place.ours(&[&["fetch", "out", job], ours].concat()));
        let theirs = || {
            let key = key(job);
            let script = [&[&*bucket, &*key, "out"], theirs].concat();
            fresh(place, &s3, place.peer("boto3_fetch.py", &script))
        };
        let contenders =
            [Contender::new("`alekseylearn fetch`", ours), Contender::new("boto3 and tarfile", theirs)];
        side_by_side(ROUNDS, &place.home, contenders)
    };
    Ok(vec![
        judged("1 GiB, the archive as it is", both(&big, &["--no-extract"], &[])?),
        judged("1 GiB, unpacked", both(&big, &[], &["--extract"])?),
        judged("10,000 files, unpacked", both(&many, &[], &["--extract"])?),
    ])
}

fn judged(title: &'static str, figures: [Figures; 2]) -> Section {
    let times = figures[0].times_of(&figures[1]);
    let memory = figures[0].memory;
    Section::new(title)
        .aim(format!("{times:.2} times boto3's time"), "at most 1", times <= 1.0)
        .aim(format!("`fetch` holds {}", mebibytes(memory)), "at most 64 MiB", memory <= MOST_MEMORY)
        .table(&figures)
}

/// A job that the rig's SageMaker knows; its model is laid elsewhere.
fn job(place: &Place, name: &str) -> Result<String> {
    let script = format!("{name}/train.py");
    place.write(&script, super::place::TRIVIAL)?;
    place.must(place.fit_sagemaker(&script, &[])?)?;
    Ok(place.newest_job()?["name"].as_str().context("the job has a name")?.to_owned())
}

fn key(job: &str) -> String {
    format!("jobs/{job}/output/model.tar.gz")
}

/// Into a folder that is not there yet.
fn fresh(place: &Place, s3: &S3, mut command: Command) -> Result<Command> {
    place.forget("out")?;
    command.env("AWS_ENDPOINT_URL_S3", &s3.endpoint);
    Ok(command)
}

/// ministack, for as long as this lives.
struct S3 {
    endpoint: String,
    _daemon: Daemon,
}

impl S3 {
    fn start(place: &Place) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut ministack = place.installed("ministack", &[]);
        ministack.env("BIND_HOST", "127.0.0.1").env("SERVICES", "s3").env("GATEWAY_PORT", port.to_string());
        let mut daemon = Daemon::start("ministack", &mut ministack, &place.home.join("ministack.log"))?;
        daemon.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), Duration::from_secs(60))?;
        Ok(Self { endpoint: format!("http://127.0.0.1:{port}"), _daemon: daemon })
    }
}
