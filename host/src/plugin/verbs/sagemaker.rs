//! `sagemaker`: training jobs of alekseylearn.

use wasmtime::component::Resource;

use crate::{
    capability::aws::{TrainingJob, TrainingJobRequest},
    config::S3Location,
    error::{Error, Result},
    plugin::{
        authority::Verb,
        bindings::alekseylearn::driver::sagemaker,
        run::{SharedJob, SharedTraining},
        state::State,
    },
};

impl sagemaker::Host for State {
    async fn describe(&mut self, job: Resource<SharedJob>) -> Result<Resource<TrainingJob>> {
        let name = &self.get(&job)?.name;
        self.allow(Verb::TrainingJob(name))?;
        let job = self.services.aws.training_job(name).await?;
        self.push(job)
    }

    async fn stop(&mut self, job: Resource<SharedJob>) -> Result<()> {
        let name = &self.get(&job)?.name;
        self.allow(Verb::TrainingJob(name))?;
        self.services.aws.stop_training_job(name).await
    }
}

impl sagemaker::HostTrainingJobRequest for State {
    async fn new(
        &mut self,
        training: Resource<SharedTraining>,
    ) -> wasmtime::Result<Resource<TrainingJobRequest>> {
        let training = self.get(&training)?;
        let request = TrainingJobRequest {
            name: training.job_name.clone(),
            image: training.image.clone().unwrap_or_default(),
            tag: training.project.tag.clone(),
            ..TrainingJobRequest::default()
        };
        Ok(self.push(request)?)
    }

    async fn role(&mut self, this: Resource<TrainingJobRequest>, arn: String) -> wasmtime::Result<()> {
        self.get_mut(&this)?.role = arn;
        Ok(())
    }

    async fn output_path(&mut self, this: Resource<TrainingJobRequest>, uri: String) -> wasmtime::Result<()> {
        self.get_mut(&this)?.output_path = uri;
        Ok(())
    }

    async fn instances(
        &mut self,
        this: Resource<TrainingJobRequest>,
        kind: String,
        count: u32,
    ) -> wasmtime::Result<()> {
        let request = self.get_mut(&this)?;
        request.instance_type = kind;
        request.instance_count = count;
        Ok(())
    }

    async fn volume_size(
        &mut self,
        this: Resource<TrainingJobRequest>,
        gigabytes: u32,
    ) -> wasmtime::Result<()> {
        self.get_mut(&this)?.volume_size = gigabytes;
        Ok(())
    }

    async fn max_runtime(
        &mut self,
        this: Resource<TrainingJobRequest>,
        seconds: u32,
    ) -> wasmtime::Result<()> {
        self.get_mut(&this)?.max_runtime = seconds;
        Ok(())
    }

    async fn hyperparameter(
        &mut self,
        this: Resource<TrainingJobRequest>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.get_mut(&this)?.hyperparameters.insert(name, value);
        Ok(())
    }

    async fn environment(
        &mut self,
        this: Resource<TrainingJobRequest>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.get_mut(&this)?.environment.insert(name, value);
        Ok(())
    }

    async fn submit(&mut self, this: Resource<TrainingJobRequest>) -> Result<String> {
        let request = self.get(&this)?.clone();
        let output: S3Location =
            request.output_path.parse().map_err(|problem: String| Error::invalid(problem))?;
        self.allow(Verb::TrainingJob(&request.name))?;
        self.allow(Verb::Role(&request.role))?;
        self.allow(Verb::Location(&output))?;
        self.services.aws.create_training_job(request).await
    }

    async fn drop(&mut self, this: Resource<TrainingJobRequest>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl sagemaker::HostTrainingJob for State {
    async fn arn(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.arn.clone())
    }

    async fn status(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.status.clone())
    }

    async fn secondary_status(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.secondary_status.clone())
    }

    async fn failure_reason(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&this)?.failure_reason.clone())
    }

    async fn output_path(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&this)?.output_path.clone())
    }

    async fn instance_count(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<u32> {
        Ok(self.get(&this)?.instance_count)
    }

    async fn billable_seconds(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<Option<u64>> {
        Ok(self.get(&this)?.billable_seconds)
    }

    async fn transitions(
        &mut self,
        this: Resource<TrainingJob>,
    ) -> wasmtime::Result<Vec<(String, u64, Option<u64>)>> {
        Ok(self.get(&this)?.transitions.clone())
    }

    async fn drop(&mut self, this: Resource<TrainingJob>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
