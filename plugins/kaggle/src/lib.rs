//! The `kaggle` plugin: a train driver for Kaggle's kernels. There is no image: the kernel's text brings the training
//! folder and the runner, and runs in Kaggle's own.

mod api;
mod dataset;
mod kernel;
mod name;
mod options;
mod session;
mod source;

use std::fs;

use alekseylearn_sdk::{
    Artifact, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, Training, train,
};

use kernel::Kernel;
use source::Folder;

/// Written before the service is asked: what comes after may have been heard.
const ASKED: &str = "/job/asked";

struct Kaggle;

alekseylearn_sdk::plugin!(
    train = Kaggle,
    origins = [
        "https://api.kaggle.com" with "kaggle",
        // What sessions left.
        "https://www.kaggleusercontent.com",
        "https://storage.googleapis.com",
        // Where datasets go.
        "https://www.googleapis.com",
    ]
);

impl train::Guest for Kaggle {
    fn options() -> Vec<OptionSpec> {
        options::specs()
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        if let Some(name) = training.secrets().first() {
            return Err(Error::unsupported(format!("Kaggle's API takes no secrets: it cannot have {name}")).hint(
                "leave --secret out; add it on the kernel's page (Add-ons, Secrets), and let the script read it with kaggle_secrets.UserSecretsClient",
            ));
        }
        let options = training.options();
        let mut findings = kernel::findings(training);
        findings.push(Finding::note(&format!("the Kaggle user is {}", kernel::user(&options)?)));
        findings.extend(kernel::quota(&options)?);
        if training.is_notebook() {
            let length = source::text(training, &Folder::Embedded(Vec::new()))?.len();
            if length >= source::LONGEST {
                findings.push(Finding::problem(
                    &format!(
                        "{} is too long: Kaggle takes less than a megabyte of source",
                        training.artifact()
                    ),
                    "move code to modules, and data to files beside it: these may be of any size",
                ));
            }
        }
        Ok(findings)
    }

    fn preview(training: &Training) -> Result<String, Error> {
        let user = kernel::user(&training.options())?;
        let (folder, dataset) = match embedded(training)? {
            Some(folder) => (folder, None),
            None => {
                let told = "(told by the packing)".to_owned();
                (
                    Folder::Dataset { file: told.clone(), sha256: told.clone() },
                    Some(format!("{user}/alekseylearn-{told}")),
                )
            }
        };
        let text = source::text(training, &folder)?;
        Ok(kernel::request(training, &user, &text, dataset.as_deref()).to_string())
    }

    fn prepare(_training: &Training) -> Result<Destination, Error> {
        Ok(Destination::none())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        let user = kernel::user(&training.options())?;
        let title = name::title(&training.options(), &training.tag());
        if fs::exists(ASKED).unwrap_or(false)
            && let Some(kernel) = kernel::find(&user, &name::slug(&title), &training.job_name())?
        {
            return Ok(kernel.reference());
        }
        let (folder, dataset) = match embedded(training)? {
            Some(folder) => (folder, None),
            None => {
                let (dataset, folder) = dataset::send(training, &user)?;
                (folder, Some(dataset))
            }
        };
        let text = source::text(training, &folder)?;
        let request = kernel::request(training, &user, &text, dataset.as_deref());
        let written = fs::write(ASKED, "");
        written.map_err(|error| Error::failed(format!("cannot write to the job's folder: {error}")))?;
        let kernel = kernel::save(&user, &request)?;
        alekseylearn_sdk::progress::stage(&format!("Kaggle shows it at {}", kernel.page()));
        Ok(kernel.reference())
    }

    fn status(job: &Job) -> Result<JobStatus, Error> {
        session::status(&kernel_of(job)?)
    }

    fn logs(job: &Job, cursor: Option<String>) -> Result<LogPage, Error> {
        session::log(&kernel_of(job)?, cursor.as_deref())
    }

    fn stop(job: &Job) -> Result<(), Error> {
        let kernel = kernel_of(job)?;
        Err(Error::unsupported("Kaggle lets no program stop a session").hint(format!(
            "stop it on its page, {}, under Logs; or let --config.timeout end the next one",
            kernel.page()
        )))
    }

    fn artifacts(job: &Job) -> Result<Vec<Artifact>, Error> {
        session::artifacts(&kernel_of(job)?)
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("Kaggle keeps no results in S3")
            .hint("leave the location away: `alekseylearn fetch DIR TAG`"))
    }
}

/// The training folder, where it is small enough for the kernel's text.
fn embedded(training: &Training) -> Result<Option<Folder>, Error> {
    let most = if training.is_notebook() {
        let cells = source::text(training, &Folder::Embedded(Vec::new()))?.len();
        // A cell holds it as a text in a text: quotes and line ends are longer there, base64 is not.
        u32::try_from(source::LONGEST.saturating_sub(cells) / 4 * 3).unwrap_or(0).saturating_sub(1_000)
    } else {
        source::LARGEST_FOLDER
    };
    Ok(training.packed(most.min(source::LARGEST_FOLDER))?.map(Folder::Embedded))
}

fn kernel_of(job: &Job) -> Result<Kernel, Error> {
    if let Some(reference) = job.reference() {
        return Kernel::of_reference(&reference);
    }
    let options = job.options();
    let slug = name::slug(&name::title(&options, &job.tag()));
    kernel::find(&kernel::user(&options)?, &slug, &job.name())?
        .ok_or_else(|| Error::not_found(format!("Kaggle has no kernel of the job {}", job.name())))
}
