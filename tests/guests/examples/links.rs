//! Creates links in its job's folder that lead out of it, so that the host could follow them. The option `way` selects
//! how. The option `target` is a path relative to the user's home folder, which is five folders above `/job`.

use std::{ffi::CString, fs, io, path::Path};

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State,
    Training, docker, progress, train,
};

struct Driver;

alekseylearn_sdk::plugin!(train = Driver);

unsafe extern "C" {
    fn symlink(target: *const std::ffi::c_char, path: *const std::ffi::c_char) -> i32;
}

/// The standard library does not support links on this target.
fn link(target: &str, path: &str) -> io::Result<()> {
    let (target, path) = (CString::new(target)?, CString::new(path)?);
    // SAFETY: both are strings that end in a zero.
    match unsafe { symlink(target.as_ptr(), path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn told(what: &str, outcome: Result<(), String>) {
    let outcome = outcome.map_or_else(|error| format!("failed: {error}"), |()| "worked".to_owned());
    progress::warning(&format!("{what} {outcome}"));
}

fn linked(target: &str, path: &str) {
    told(
        &format!("a link at {path}"),
        link(&format!("../../../../../{target}"), path).map_err(|e| e.to_string()),
    );
}

impl train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::text("way", "What to do"), OptionSpec::text("target", "Where to lead")]
    }

    fn check(_: &Training) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }

    fn preview(_: &Training) -> Result<String, Error> {
        Ok("{}".to_owned())
    }

    fn prepare(_: &Training) -> Result<Destination, Error> {
        Ok(Destination::none())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let target = training.options().text("target").unwrap_or_default();
        let (folder, name) = target.rsplit_once('/').unwrap_or((".", &target));
        let pack = |path: &str| told("packing", training.pack(path).map(drop).map_err(|e| format!("{e:?}")));
        match training.options().text("way").unwrap_or_default().as_str() {
            "folder" => {
                linked(folder, "/job/x");
                pack(&format!("x/{name}"));
            }
            "file" => {
                linked(&target, "/job/y");
                pack("y");
            }
            "hard" => {
                fs::write("/job/mine", "mine").map_err(|error| Error::failed(error.to_string()))?;
                told(
                    "a hard link",
                    fs::hard_link("/job/mine", "/job/again").map_err(|error| error.to_string()),
                );
            }
            "artifact" => linked(&target, "/job/model.tar.gz"),
            "log" => {
                fs::create_dir("/job/logs").map_err(|error| Error::failed(error.to_string()))?;
                linked(&target, "/job/logs/algo-1.log");
                linked(&target, "/job/logs/algo-1.log.part");
            }
            // Something else has created the file.
            "as it is" => pack("model.tar.gz"),
            _ => {}
        }
        Ok("submitted".to_owned())
    }

    fn status(_: &Job) -> Result<JobStatus, Error> {
        Ok(JobStatus::new(State::Completed))
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        if Path::new("/job/logs").exists() {
            let page = docker::logs(job, "algo-1", cursor.as_deref())?;
            docker::collect(job, &["algo-1".to_owned()], "/etc", "x/collected.tar.gz").ok();
            return Ok(page);
        }
        Ok(LogPage { lines: Vec::new(), cursor: "1".to_owned(), drained: true })
    }

    fn stop(_: &Job) -> Result<(), Error> {
        Ok(())
    }

    fn artifacts(_: &Job) -> Result<Vec<Artifact>, Error> {
        Ok(match fs::symlink_metadata("/job/model.tar.gz") {
            Ok(_) => vec![Artifact::job_file(ArtifactKind::Model, "model.tar.gz")],
            Err(_) => Vec::new(),
        })
    }

    fn find(_: String, _: String) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}
