//! The `kaggle` plugin: a train driver for Kaggle's kernels. It builds no image: the kernel's source carries the
//! project and the runner, and runs in Kaggle's own image.

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

/// Written before the request is sent: from then on, the service may have received it.
const ASKED: &str = "/job/asked";

struct Kaggle;

alekseylearn_sdk::plugin!(
    train = Kaggle,
    origins = [
        "https://api.kaggle.com" with "kaggle",
        // Results of sessions.
        "https://www.kaggleusercontent.com",
        "https://storage.googleapis.com",
        // Uploads of datasets.
        "https://www.googleapis.com",
    ]
);

impl train::Guest for Kaggle {
    fn options() -> Vec<OptionSpec> {
        options::specs()
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        if let Some(name) = training.secrets().first() {
            return Err(Error::unsupported(format!("Kaggle's API does not accept secrets such as {name}")).hint(
                "remove --secret; add it on the kernel's page (Add-ons, Secrets), and let the script read it with kaggle_secrets.UserSecretsClient",
            ));
        }
        let options = training.options();
        let mut findings = kernel::findings(training);
        findings.push(Finding::note(&format!("the Kaggle user is {}", kernel::user(&options)?)));
        findings.extend(kernel::quota(&options)?);
        if training.is_notebook() {
            let length = source::text(training, &Folder::Embedded(Vec::new()))?.len();
            if length >= source::MAX_LENGTH {
                findings.push(Finding::problem(
                    &format!("{} is too long: Kaggle accepts less than 1 MB of source", training.artifact()),
                    "move code to modules and data to files, which may have any size",
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
                let told = "(known after packing)".to_owned();
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
        alekseylearn_sdk::progress::stage(&format!("View the job on Kaggle: {}", kernel.page()));
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
        Err(Error::unsupported("Kaggle's API cannot stop a session").hint(format!(
            "stop it on its page, {}, under Logs; set --config.timeout to limit the next one",
            kernel.page()
        )))
    }

    fn artifacts(job: &Job) -> Result<Vec<Artifact>, Error> {
        session::artifacts(&kernel_of(job)?)
    }

    fn find(_location: String, _prefix: String) -> Result<Vec<String>, Error> {
        Err(Error::unsupported("Kaggle does not keep results in S3")
            .hint("leave out the location: `alekseylearn fetch DIR TAG`"))
    }
}

/// The packed project, if it is small enough for the kernel's source.
fn embedded(training: &Training) -> Result<Option<Folder>, Error> {
    let most = if training.is_notebook() {
        let cells = source::text(training, &Folder::Embedded(Vec::new()))?.len();
        // A cell holds it as a string within a string: escaping makes quotes and line ends longer, but not base64.
        u32::try_from(source::MAX_LENGTH.saturating_sub(cells) / 4 * 3).unwrap_or(0).saturating_sub(1_000)
    } else {
        source::MAX_FOLDER_SIZE
    };
    Ok(training.packed(most.min(source::MAX_FOLDER_SIZE))?.map(Folder::Embedded))
}

fn kernel_of(job: &Job) -> Result<Kernel, Error> {
    if let Some(reference) = job.reference() {
        return Kernel::of_reference(&reference);
    }
    let options = job.options();
    let slug = name::slug(&name::title(&options, &job.tag()));
    kernel::find(&kernel::user(&options)?, &slug, &job.name())?
        .ok_or_else(|| Error::not_found(format!("no Kaggle kernel found for the job {}", job.name())))
}
