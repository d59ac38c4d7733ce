//! `aws-identity`, `ecr`, `s3` and `cloudwatch-logs`.

use std::{path::Path, time::SystemTime};

use wasmtime::component::Resource;

use crate::{
    capability::{
        aws::{Role, ToSend},
        docker::BuildContext,
        transfer::Source,
    },
    config::Location,
    error::{Error, Kind, Result},
    plugin::{
        driver::run::{SharedJob, SharedTraining},
        policy::verb::Verb,
        sandbox::{
            bindings::alekseylearn::driver::{aws_identity, cloudwatch_logs, ecr, s3},
            state::{CallState, show},
        },
    },
    project::{self, File},
};

impl aws_identity::Host for CallState {
    async fn account(&mut self) -> Result<String> {
        self.allow(Verb::Identity)?;
        self.aws.account().await
    }

    async fn region(&mut self) -> Result<String> {
        self.allow(Verb::Identity)?;
        self.aws.region().await
    }

    async fn expiry(&mut self) -> Result<Option<u64>> {
        self.allow(Verb::Identity)?;
        let expiry = self.aws.credentials().await?.and_then(|credentials| credentials.expiry);
        let since = expiry.and_then(|expiry| expiry.duration_since(SystemTime::UNIX_EPOCH).ok());
        Ok(since.and_then(|since| since.as_millis().try_into().ok()))
    }

    async fn role(&mut self, name: String) -> Result<Resource<Role>> {
        self.allow(Verb::Role(&name))?;
        let role = self.aws.role(&name).await?;
        self.push(role)
    }
}

impl aws_identity::HostIamRole for CallState {
    async fn arn(&mut self, this: Resource<Role>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.arn.clone())
    }

    async fn trusted_services(&mut self, this: Resource<Role>) -> wasmtime::Result<Option<Vec<String>>> {
        Ok(self.get(&this)?.trusted_services.clone())
    }

    async fn may_be_passed_to(&mut self, this: Resource<Role>, service: String) -> Result<Option<bool>> {
        let arn = self.get(&this)?.arn.clone();
        self.allow(Verb::Role(&arn))?;
        self.aws.may_pass(&arn, &service).await
    }

    async fn drop(&mut self, this: Resource<Role>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl ecr::Host for CallState {
    async fn ensure_repository(&mut self, training: Resource<SharedTraining>) -> Result<String> {
        let name = self.get(&training)?.project.tag.clone();
        self.allow(Verb::Repository(&name))?;
        let repository = match &mut self.rehearsal {
            None => self.aws.ensure_repository(&name).await?,
            Some(rehearsal) => match self.aws.repository(&name).await? {
                Some(found) => found,
                None => {
                    rehearsal.repository_is_missing = true;
                    self.aws.missing_repository(&name).await?
                }
            },
        };
        let address = repository.address.clone();
        self.repositories.push(repository);
        Ok(address)
    }

    async fn address(&mut self, training: Resource<SharedTraining>) -> Result<String> {
        let name = self.get(&training)?.project.tag.clone();
        self.allow(Verb::Repository(&name))?;
        self.aws.missing_repository(&name).await.map(|repository| repository.address)
    }
}

impl s3::Host for CallState {
    async fn object_size(&mut self, uri: String) -> Result<Option<u64>> {
        let place = place(&uri)?;
        self.allow(Verb::Location(&place))?;
        Ok(self.aws.object(&place).await?.describe().await?.map(|object| object.size))
    }

    async fn holds_objects(&mut self, uri: String) -> Result<bool> {
        let place = place(&uri)?;
        self.allow(Verb::Location(&place))?;
        self.aws.holds_objects(&place).await
    }

    async fn folders(&mut self, uri: String) -> Result<Vec<String>> {
        let place = place(&uri)?;
        self.allow(Verb::Location(&place))?;
        self.aws.folders(&place).await
    }

    async fn folder_hash(&mut self, folder: String) -> Result<String> {
        self.allow(Verb::Hash(&folder))?;
        self.folder(&folder).map(|(hash, _)| hash)
    }

    async fn send_folder(&mut self, folder: String, uri: String) -> Result<()> {
        let place = place(&uri)?;
        self.allow(Verb::Send { folder: &folder, place: &place })?;
        let (_, files) = self.folder(&folder)?;
        let (aws, ui) = (self.aws.clone(), self.ui.clone());
        aws.send(&files, &place, &show(&ui)).await
    }

    async fn bucket_region(&mut self, uri: String) -> Result<String> {
        let place = place(&uri)?;
        self.allow(Verb::Bucket(&place.bucket))?;
        self.aws.bucket_region(&place.bucket).await
    }
}

impl CallState {
    /// The hash of a folder, and its files to upload.
    fn folder(&self, folder: &str) -> Result<(String, Vec<ToSend>)> {
        let path = Path::new(folder);
        let files = project::data(path)?;
        if files.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("no files to upload in {folder}"))
                .hint("use another folder; files that look like secrets are never uploaded"));
        }
        let known = self.services.known_hashes(path);
        let content = BuildContext { files, known, ..BuildContext::default() };
        let hashed = content.hashed()?;
        let to_send = |file: File| {
            let sha256 = hashed.of(&file.path).unwrap_or_default();
            ToSend { file, sha256 }
        };
        Ok((hashed.whole.clone(), content.files.into_iter().map(to_send).collect()))
    }
}

fn place(uri: &str) -> Result<Location> {
    Location::in_s3(uri).map_err(Error::invalid)
}

impl cloudwatch_logs::Host for CallState {
    async fn streams(&mut self, job: Resource<SharedJob>, group: String) -> Result<Vec<String>> {
        let job = &self.get(&job)?.name;
        self.allow(Verb::Log { job, group: &group, stream: None })?;
        self.aws.log_streams(&group, &format!("{job}/")).await
    }

    async fn events(
        &mut self,
        job: Resource<SharedJob>,
        group: String,
        stream: String,
        token: Option<String>,
    ) -> Result<(Vec<cloudwatch_logs::Event>, String)> {
        let job = self.get(&job)?;
        self.allow(Verb::Log { job: &job.name, group: &group, stream: Some(&stream) })?;
        let mask = self.aws.secrets_of(&job.name, &job.secrets).await?;
        let (events, token) = self.aws.log_events(&group, &stream, token.as_deref()).await?;
        let events = events
            .into_iter()
            .map(|event| cloudwatch_logs::Event { time: event.time, text: mask.owned(event.text) });
        Ok((events.collect(), token))
    }
}
