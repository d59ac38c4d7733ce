//! `report`: what a driver reports to the host.

use url::Url;
use wasmtime::{Result, component::Resource};

use super::in_job;
use crate::{
    config::Location,
    error::{Error, Kind},
    plugin::{
        driver::report::{
            Archive, Artifact, ArtifactKind, Destination, Finding, Folder, JobState, JobStatus, Phase, Place,
        },
        sandbox::{bindings::alekseylearn::driver::report, limits::MAX_SHOWN, state::CallState},
    },
};

impl report::Host for CallState {}

impl report::HostDestination for CallState {
    async fn none(&mut self) -> Result<Resource<Destination>> {
        Ok(self.push(Destination::None)?)
    }

    async fn engine(&mut self) -> Result<Resource<Destination>> {
        Ok(self.push(Destination::Engine)?)
    }

    async fn repository(&mut self, address: String) -> Result<Resource<Destination>> {
        self.hold(address.len())?;
        Ok(self.push(Destination::Repository { address, to_be_made: false })?)
    }

    async fn to_be_made(&mut self, this: Resource<Destination>) -> Result<()> {
        if let Destination::Repository { to_be_made, .. } = self.get_mut(&this)? {
            *to_be_made = true;
        }
        Ok(())
    }

    async fn drop(&mut self, this: Resource<Destination>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl report::HostFinding for CallState {
    async fn problem(&mut self, message: String, fix: String) -> Result<Resource<Finding>> {
        self.hold(message.len() + fix.len())?;
        Ok(self.push(Finding::Problem { message, fix })?)
    }

    async fn warning(&mut self, message: String, fix: String) -> Result<Resource<Finding>> {
        self.hold(message.len() + fix.len())?;
        Ok(self.push(Finding::Warning { message, fix })?)
    }

    async fn note(&mut self, message: String) -> Result<Resource<Finding>> {
        self.hold(message.len())?;
        Ok(self.push(Finding::Note(message))?)
    }

    async fn cost(&mut self, most: Option<f64>, basis: String) -> Result<Resource<Finding>> {
        self.hold(basis.len())?;
        let most = most.filter(|most| most.is_finite() && *most >= 0.0);
        Ok(self.push(Finding::Cost { most, basis })?)
    }

    async fn drop(&mut self, this: Resource<Finding>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl report::HostJobStatus for CallState {
    async fn new(&mut self, state: report::State) -> Result<Resource<JobStatus>> {
        let state = match state {
            report::State::Queued => JobState::Queued,
            report::State::Running => JobState::Running,
            report::State::Stopping => JobState::Stopping,
            report::State::Completed => JobState::Completed,
            report::State::Failed => JobState::Failed,
            report::State::Stopped => JobState::Stopped,
        };
        Ok(self.push(JobStatus::new(state))?)
    }

    async fn detail(&mut self, this: Resource<JobStatus>, text: String) -> Result<()> {
        self.hold(text.len())?;
        self.get_mut(&this)?.detail = Some(text);
        Ok(())
    }

    async fn reason(&mut self, this: Resource<JobStatus>, text: String) -> Result<()> {
        self.hold(text.len())?;
        self.get_mut(&this)?.reason = Some(text);
        Ok(())
    }

    async fn exit_code(&mut self, this: Resource<JobStatus>, code: i32) -> Result<()> {
        self.get_mut(&this)?.exit_code = Some(code);
        Ok(())
    }

    async fn phase(
        &mut self,
        this: Resource<JobStatus>,
        name: String,
        start: u64,
        end: Option<u64>,
    ) -> Result<()> {
        self.hold(name.len())?;
        let status = self.get_mut(&this)?;
        if status.phases.len() >= MAX_SHOWN {
            return Err(Error::new(Kind::Plugin, "it reports too many phases").into());
        }
        status.phases.push(Phase { name, start, end });
        Ok(())
    }

    async fn billable_seconds(&mut self, this: Resource<JobStatus>, seconds: u64) -> Result<()> {
        self.get_mut(&this)?.billable_seconds = Some(seconds);
        Ok(())
    }

    async fn cost(&mut self, this: Resource<JobStatus>, dollars: f64) -> Result<()> {
        self.get_mut(&this)?.cost = Some(dollars).filter(|dollars| dollars.is_finite() && *dollars >= 0.0);
        Ok(())
    }

    async fn nodes(&mut self, this: Resource<JobStatus>, count: u32) -> Result<()> {
        self.get_mut(&this)?.nodes = count;
        Ok(())
    }

    async fn ask_again(&mut self, this: Resource<JobStatus>, seconds: u32) -> Result<()> {
        self.get_mut(&this)?.ask_again = Some(seconds);
        Ok(())
    }

    async fn read_log_again(&mut self, this: Resource<JobStatus>, seconds: u32) -> Result<()> {
        self.get_mut(&this)?.read_log_again = Some(seconds);
        Ok(())
    }

    async fn by_service(&mut self, this: Resource<JobStatus>) -> Result<()> {
        self.get_mut(&this)?.by_service = true;
        Ok(())
    }

    async fn drop(&mut self, this: Resource<JobStatus>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl CallState {
    fn artifact(&mut self, kind: report::ArtifactKind, place: Place) -> Result<Resource<Artifact>> {
        let kind = match kind {
            report::ArtifactKind::Model => ArtifactKind::Model,
            report::ArtifactKind::OutputData => ArtifactKind::OutputData,
            report::ArtifactKind::Checkpoints => ArtifactKind::Checkpoints,
        };
        Ok(self.push(Artifact { kind, place })?)
    }
}

fn in_s3(uri: &str) -> Result<Location> {
    Ok(Location::in_s3(uri).map_err(|problem| Error::new(Kind::Plugin, problem))?)
}

fn on_the_web(address: &str) -> Result<Url> {
    let wrong = |error: url::ParseError| {
        Error::new(Kind::Plugin, format!("a result has an invalid address: {error}"))
    };
    Ok(address.parse().map_err(wrong)?)
}

impl report::HostArtifact for CallState {
    async fn job_file(&mut self, kind: report::ArtifactKind, path: String) -> Result<Resource<Artifact>> {
        self.hold(path.len())?;
        self.artifact(kind, Place::Archive(Archive::JobFile(in_job(path))))
    }

    async fn s3_object(&mut self, kind: report::ArtifactKind, uri: String) -> Result<Resource<Artifact>> {
        self.hold(uri.len())?;
        self.artifact(kind, Place::Archive(Archive::S3(in_s3(&uri)?)))
    }

    async fn s3_folder(&mut self, kind: report::ArtifactKind, uri: String) -> Result<Resource<Artifact>> {
        self.hold(uri.len())?;
        self.artifact(kind, Place::Folder(Folder::S3(in_s3(&uri)?)))
    }

    async fn web_object(
        &mut self,
        kind: report::ArtifactKind,
        address: String,
    ) -> Result<Resource<Artifact>> {
        self.hold(address.len())?;
        self.artifact(kind, Place::Archive(Archive::Web(on_the_web(&address)?)))
    }

    async fn web_folder(
        &mut self,
        kind: report::ArtifactKind,
        files: Vec<report::WebFile>,
    ) -> Result<Resource<Artifact>> {
        self.hold(files.iter().map(|file| size_of_val(file) + file.name.len() + file.address.len()).sum())?;
        let file = |file: report::WebFile| Ok((file.name, file.size, on_the_web(&file.address)?));
        let files = files.into_iter().map(file).collect::<Result<_>>()?;
        self.artifact(kind, Place::Folder(Folder::Web(files)))
    }

    async fn drop(&mut self, this: Resource<Artifact>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
