//! Measures downloads of models, compared with the tools that users have today.

use std::process::Command;

use anyhow::{Context, Result};

use super::Tell;
use super::measure::{Contender, side_by_side};
use super::place::Place;
use super::report::{Section, mebibytes};
use super::s3::S3;
use crate::process::say;

const ROUNDS: usize = 3;
/// The rounds of measurements that take up to a minute: the times of 10,000 requests average out.
const LONG_ROUNDS: usize = 1;
const MAX_MEMORY: u64 = 64 << 20;
/// Arguments: the program `aws`, the archive's location, and the target folder.
const COPY_AND_UNPACK: &str = r#"
"$1" s3 cp --only-show-errors "$2" "$3/" && tar -xzf "$3/model.tar.gz" -C "$3" && rm "$3/model.tar.gz""#;

pub fn models(place: &Place, tell: Tell<'_>) -> Result<()> {
    say("training the jobs whose models are downloaded");
    let jobs = Jobs {
        big: job(place, "big", &[])?,
        many: job(place, "many", &[])?,
        objects: job(place, "objects", &["--config.output_compression=NONE"])?,
    };
    Comparison::new(place, &S3::ministack(place)?)?.of(&jobs, tell)?;
    Comparison::new(place, &S3::s3s_fs(place)?)?.of(&jobs, tell)?;
    // These folders are gigabytes.
    place.forget("s3s-fs")?;
    place.forget("out")
}

/// Names of jobs in the rig's SageMaker; their models are uploaded separately.
struct Jobs {
    /// Its model is one large file.
    big: String,
    /// Its model is many small files.
    many: String,
    /// Its model is the same files, each as a separate object.
    objects: String,
}

fn job(place: &Place, name: &str, options: &[&str]) -> Result<String> {
    let script = format!("{name}/train.py");
    place.write(&script, super::place::TRIVIAL)?;
    place.must(place.fit_sagemaker(&script, options)?)?;
    Ok(place.newest_job()?["name"].as_str().context("the job has a name")?.to_owned())
}

/// Contenders that download from the same server.
struct Comparison<'a> {
    place: &'a Place,
    s3: &'a S3,
    bucket: String,
}

impl<'a> Comparison<'a> {
    fn new(place: &'a Place, s3: &'a S3) -> Result<Self> {
        Ok(Self { place, s3, bucket: place.rig("bucket")? })
    }

    fn of(&self, jobs: &Jobs, tell: Tell<'_>) -> Result<()> {
        let [big, many] = [&jobs.big, &jobs.many].map(|job| format!("jobs/{job}/output/model.tar.gz"));
        let objects = format!("jobs/{}/output/model/", jobs.objects);
        say(format_args!("uploading the models to {} (30 seconds)", self.s3.name));
        let seed = self.place.peer("seed.py", &[&self.bucket, &big, &many, &objects]);
        self.place.must(self.s3.serve(seed))?;
        tell(self.compare(
            "1 GiB, the archive as it is",
            ROUNDS,
            [
                self.ours(&jobs.big, &["--no-extract"]),
                self.boto3("boto3", "boto3_fetch.py", &big, &[]),
                self.s5cmd(&big),
                self.aws("`aws s3 cp`", &big, &[]),
            ],
        )?);
        tell(self.compare("1 GiB, unpacked", ROUNDS, self.unpacked(&jobs.big, &big))?);
        tell(self.compare("10,000 files, unpacked", ROUNDS, self.unpacked(&jobs.many, &many))?);
        let section = self.compare(
            "10,000 objects",
            LONG_ROUNDS,
            [
                self.ours(&jobs.objects, &[]),
                self.boto3("boto3 in ten threads", "boto3_fetch_all.py", &objects, &[]),
                self.s5cmd(&format!("{objects}*")),
                self.aws("`aws s3 cp --recursive`", &objects, &["--recursive"]),
            ],
        )?;
        tell(match self.s3.caveat {
            Some(caveat) => section.note(caveat),
            None => section,
        });
        Ok(())
    }

    fn unpacked<'b>(&'b self, job: &'b str, key: &'b str) -> [Contender<'b>; 3] {
        let copy_and_unpack = || {
            let aws = self.place.installed("aws", &[]);
            let arguments = ["sh", &*aws.get_program().to_string_lossy(), &self.address(key), "out"];
            self.place.of_system("sh", &[&["-c", COPY_AND_UNPACK], &arguments[..]].concat())
        };
        [
            self.ours(job, &[]),
            self.boto3("boto3 and tarfile", "boto3_fetch.py", key, &["--extract"]),
            self.contender("`aws s3 cp` and `tar -xzf`", copy_and_unpack),
        ]
    }

    fn ours<'b>(&'b self, job: &'b str, more: &'b [&'b str]) -> Contender<'b> {
        let fetch = move || self.place.ours(&[&["fetch", "out", job], more].concat());
        self.contender("`alekseylearn fetch`", fetch)
    }

    fn boto3<'b>(&'b self, name: &str, script: &'b str, key: &'b str, more: &'b [&'b str]) -> Contender<'b> {
        let fetch = move || self.place.peer(script, &[&[&*self.bucket, key, "out"], more].concat());
        self.contender(name, fetch)
    }

    fn aws<'b>(&'b self, name: &str, key: &'b str, more: &'b [&'b str]) -> Contender<'b> {
        let copy = move || {
            let from = self.address(key);
            self.place.installed("aws", &[&["s3", "cp", "--only-show-errors", &from, "out/"], more].concat())
        };
        self.contender(name, copy)
    }

    fn s5cmd<'b>(&'b self, key: &str) -> Contender<'b> {
        let from = self.address(key);
        self.contender("`s5cmd cp`", move || {
            self.place.installed("s5cmd", &["--log", "error", "cp", &from, "out/"])
        })
    }

    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// Downloads from this server to a new folder.
    fn contender<'b>(&'b self, name: &str, command: impl Fn() -> Command + 'b) -> Contender<'b> {
        Contender::new(name, move || {
            self.place.forget("out")?;
            Ok(self.s3.serve(command()))
        })
    }

    /// Compares the program with boto3, which is the second contender, and the others.
    fn compare<const N: usize>(
        &self,
        what: &str,
        rounds: usize,
        contenders: [Contender<'_>; N],
    ) -> Result<Section> {
        let title = format!("{what}, from {}", self.s3.name);
        say(format_args!("measuring: {title}"));
        let figures = side_by_side(rounds, &self.place.home, contenders)?;
        let (ours, others) = figures.split_first().context("there are contenders")?;
        let memory = ours.memory;
        let mut section = Section::new(title);
        for other in others {
            let times = ours.times_of(other);
            section = section.aim(
                format!("{times:.2} times the time of {}", other.name),
                "at most 1",
                times <= 1.0,
            );
        }
        Ok(section
            .aim(format!("`fetch` holds {}", mebibytes(memory)), "at most 64 MiB", memory <= MAX_MEMORY)
            .table(&figures))
    }
}
