//! `docker`: images and the containers of one job.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use wasmtime::component::Resource;

use super::in_job;
use crate::{
    capability::{
        Image,
        docker::{self, BuildContext, ContainerSpec, ContainerState, Secrets},
    },
    disk::{Folder, What, cannot_read},
    error::{Error, Kind, Result},
    plugin::{
        driver::run::{SharedJob, SharedTraining, Training},
        policy::verb::Verb,
        sandbox::{
            bindings::alekseylearn::driver::{
                docker as wit,
                types::{LogLine, LogPage},
            },
            state::{CallState, show},
        },
    },
    project::{self, Recipe},
};

/// The build secret with the credentials of package indexes.
const NETRC: &str = "netrc";
/// Where a Dockerfile must copy the build context's certificates to.
const CERTIFICATES: &str = "/opt/alekseylearn/machine/certificates.pem";
/// The longest time between SIGTERM and SIGKILL, in seconds. No service waits longer.
const MAX_GRACE: u32 = 600;

impl CallState {
    /// The name of a node's container, which contains the job's name.
    fn container_of(&self, job: &Resource<SharedJob>, node: &str) -> Result<String> {
        let job = self.get(job)?;
        self.allow(Verb::Container(&job.name))?;
        node_name(&job.name, node)
    }

    fn containers_of(&self, job: &Resource<SharedJob>, nodes: &[String]) -> Result<Vec<String>> {
        nodes.iter().map(|node| self.container_of(job, node)).collect()
    }

    /// The folder of a job. Its driver can write to it.
    fn folder_of(&self, job: &Resource<SharedJob>) -> Result<Folder> {
        let path = &self.get(job)?.folder;
        Folder::open(path).map_err(|error| cannot_read(path, error))
    }

    /// Removes the credentials from a build that an untrusted driver can influence.
    fn keep_secrets_from(&self, context: &mut BuildContext) {
        let secrets = std::mem::take(&mut context.secrets);
        if !secrets.files.is_empty() {
            self.ui.warning(&format!(
                "this build gets no package index credentials: {} does not ship with alekseylearn, and could read them",
                self.authority.plugin
            ));
        }
    }
}

fn node_name(job: &str, node: &str) -> Result<String> {
    let plain = !node.is_empty() && node.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !plain || node.len() > 64 {
        return Err(Error::new(Kind::Plugin, format!("`{node}` is not a valid node name")));
    }
    Ok(format!("alekseylearn-{job}-{node}"))
}

/// Where a node's log is saved in the job's folder.
fn saved_log(node: &str) -> PathBuf {
    Path::new("logs").join(format!("{node}.log"))
}

/// The name of the network of a job's nodes.
fn network_name(job: &str) -> String {
    format!("alekseylearn-{job}")
}

/// The settings of this machine and its network that a build needs.
struct Machine {
    /// The files in `machine/`.
    files: Vec<(String, Vec<u8>)>,
    secrets: Secrets,
}

impl Machine {
    fn of(training: &Training) -> Self {
        let bundle = training.certificates.as_ref();
        let script = training.indexes.script(bundle.map(|_| CERTIFICATES));
        let mut files = vec![("machine/environment".to_owned(), script.into_bytes())];
        files.extend(bundle.map(|text| ("machine/certificates.pem".to_owned(), text.clone().into_bytes())));
        let netrc = training.indexes.netrc().map(|text| (NETRC.to_owned(), text));
        let words = training.indexes.secret_words();
        let secrets = Secrets { files: netrc.into_iter().collect(), words, logins: true };
        Self { files, secrets }
    }
}

/// Adds a hint about the user's own Dockerfile, with the failed line if it is known.
fn in_recipe(recipe: &Recipe, error: Error) -> Error {
    let dockerfile = recipe.dockerfile_path();
    match recipe.line_of(&error.chain()) {
        Some(line) => error.hint(format!("fix line {line} of {}", dockerfile.display())),
        None if error.hint_text().is_none() => error.hint(format!("fix {}", dockerfile.display())),
        None => error,
    }
}

impl wit::Host for CallState {
    async fn buildkit(&mut self) -> Result<bool> {
        self.allow(Verb::Engine)?;
        Ok(self.services.docker().await?.buildkit())
    }

    async fn has_gpus(&mut self) -> Result<bool> {
        self.allow(Verb::Engine)?;
        Ok(self.services.docker().await?.gpu_support().await?.is_some())
    }

    async fn node(
        &mut self,
        job: Resource<SharedJob>,
        node: String,
    ) -> Result<Option<Resource<ContainerState>>> {
        let name = self.container_of(&job, &node)?;
        let services = self.services.clone();
        match services.docker().await?.container(&name).await? {
            Some(state) => self.push(state).map(Some),
            None => Ok(None),
        }
    }

    async fn logs(
        &mut self,
        job: Resource<SharedJob>,
        node: String,
        cursor: Option<String>,
    ) -> Result<LogPage> {
        let name = self.container_of(&job, &node)?;
        let (folder, file) = (self.folder_of(&job)?, saved_log(&node));
        let is_saved = || folder.facts(&file).is_ok_and(|facts| facts.what == What::File);
        let seen = match cursor {
            Some(cursor) => {
                cursor.parse().map_err(|_| Error::invalid(format!("`{cursor}` is not a valid log cursor")))?
            }
            None => 0,
        };
        let page = if is_saved() {
            docker::saved(&folder, &file, seen)?
        } else {
            match self.services.docker().await?.logs(&name, seen).await {
                // Another process may have saved the log meanwhile.
                Err(_) if is_saved() => docker::saved(&folder, &file, seen)?,
                page => page?,
            }
        };
        let lines = page.lines.into_iter().map(|line| LogLine {
            node: node.clone(),
            time: line.time,
            text: line.text,
        });
        Ok(LogPage { lines: lines.collect(), cursor: page.seen.to_string(), drained: page.drained })
    }

    async fn stop(&mut self, job: Resource<SharedJob>, nodes: Vec<String>, grace: u32) -> Result<()> {
        let names = self.containers_of(&job, &nodes)?;
        let grace = Duration::from_secs(grace.min(MAX_GRACE).into());
        self.services.docker().await?.stop(&names, grace).await
    }

    async fn read(
        &mut self,
        job: Resource<SharedJob>,
        node: String,
        path: String,
    ) -> Result<Option<Vec<u8>>> {
        let name = self.container_of(&job, &node)?;
        self.services.docker().await?.read(&name, &path).await
    }

    async fn collect(
        &mut self,
        job: Resource<SharedJob>,
        nodes: Vec<String>,
        folder: String,
        archive: String,
    ) -> Result<bool> {
        let names = self.containers_of(&job, &nodes)?;
        let archive = in_job(archive);
        self.allow(Verb::JobFile(&archive))?;
        let to = self.folder_of(&job)?;
        self.services.docker().await?.collect(&names, &folder, &to, Path::new(&archive)).await
    }

    async fn save_logs(&mut self, job: Resource<SharedJob>, node: String) -> Result<()> {
        let name = self.container_of(&job, &node)?;
        let folder = self.folder_of(&job)?;
        self.services.docker().await?.save_logs(&name, &folder, &saved_log(&node)).await
    }

    async fn remove(&mut self, job: Resource<SharedJob>, node: String) -> Result<()> {
        let name = self.container_of(&job, &node)?;
        let network = network_name(&self.get(&job)?.name);
        let services = self.services.clone();
        let engine = services.docker().await?;
        engine.remove(&name).await?;
        engine.remove_network(&network).await
    }
}

impl wit::HostImage for CallState {
    async fn reference(&mut self, this: Resource<Image>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.reference().to_owned())
    }

    async fn id(&mut self, this: Resource<Image>) -> wasmtime::Result<String> {
        Ok(self.get(&this)?.id().to_owned())
    }

    async fn drop(&mut self, this: Resource<Image>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl wit::HostImageBuild for CallState {
    async fn new(&mut self, training: Resource<SharedTraining>) -> wasmtime::Result<Resource<BuildContext>> {
        let training = self.get(&training)?;
        let mut context = BuildContext {
            anew: training.build_anew,
            known: self.services.known_hashes(&training.project.root),
            ..BuildContext::of(&training.project)
        };
        let machine = Machine::of(training);
        context.extra.extend(machine.files);
        let by_the_user = training.project.recipe.is_some();
        context.secrets = machine.secrets;
        // The author of the Dockerfile can read the secrets that it mounts and pull private images. So the author must
        // be the user or a shipped driver.
        if !self.authority.shipped && !by_the_user {
            self.keep_secrets_from(&mut context);
        }
        Ok(self.push(context)?)
    }

    async fn dockerfile(&mut self, this: Resource<BuildContext>, text: String) -> wasmtime::Result<()> {
        self.hold(text.len())?;
        self.get_mut(&this)?.dockerfile = text;
        Ok(())
    }

    async fn file(
        &mut self,
        this: Resource<BuildContext>,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<()> {
        self.allow(Verb::BuildFile(&path))?;
        self.hold(path.len() + content.len())?;
        let mut context = std::mem::take(self.get_mut(&this)?);
        // The user's Dockerfile may run this file while the credentials are mounted.
        if !self.authority.shipped {
            self.keep_secrets_from(&mut context);
        }
        context.extra.insert(path, content);
        *self.get_mut(&this)? = context;
        Ok(())
    }

    async fn platform(&mut self, this: Resource<BuildContext>, name: String) -> wasmtime::Result<()> {
        self.hold(name.len())?;
        self.get_mut(&this)?.platform = name;
        Ok(())
    }

    async fn run(&mut self, this: Resource<BuildContext>) -> Result<Resource<Image>> {
        let context = self.get(&this)?.clone().settled();
        self.allow(Verb::Image(&context.name))?;
        if let Some(rehearsal) = &mut self.rehearsal {
            let reference = context.reference(&context.hash()?);
            rehearsal.build = Some(context);
            return self.push(Image::none(reference));
        }
        let ui = self.ui.clone();
        let recipe = context.recipe.clone();
        let built = self.services.docker().await?.build(context, &show(&ui)).await;
        let image = built.map_err(|error| match &recipe {
            Some(recipe) => in_recipe(recipe, error),
            None => error,
        })?;
        self.push(Image::InEngine(image))
    }

    async fn drop(&mut self, this: Resource<BuildContext>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl wit::HostContainer for CallState {
    async fn new(
        &mut self,
        training: Resource<SharedTraining>,
        node: String,
        image: String,
    ) -> wasmtime::Result<Resource<ContainerSpec>> {
        self.hold(image.len())?;
        let training = self.get(&training)?;
        let job = training.job_name.clone();
        let secrets = if self.authority.shipped { training.secrets.clone() } else { Arc::default() };
        let spec = ContainerSpec {
            name: node_name(&job, &node)?,
            job,
            secrets,
            host_name: node,
            image,
            ..ContainerSpec::default()
        };
        Ok(self.push(spec)?)
    }

    async fn argument(&mut self, this: Resource<ContainerSpec>, text: String) -> wasmtime::Result<()> {
        self.hold(size_of_val(&text) + text.len())?;
        self.get_mut(&this)?.arguments.push(text);
        Ok(())
    }

    async fn environment(
        &mut self,
        this: Resource<ContainerSpec>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.hold(size_of_val(&name) + name.len() + size_of_val(&value) + value.len())?;
        self.get_mut(&this)?.environment.push((name, value));
        Ok(())
    }

    async fn file(
        &mut self,
        this: Resource<ContainerSpec>,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<()> {
        self.hold(size_of_val(&path) + path.len() + size_of_val(&content) + content.len())?;
        self.get_mut(&this)?.files.push((path, content));
        Ok(())
    }

    async fn scratch(&mut self, this: Resource<ContainerSpec>, path: String) -> wasmtime::Result<()> {
        self.hold(size_of_val(&path) + path.len())?;
        self.get_mut(&this)?.scratch.push(path);
        Ok(())
    }

    async fn input(&mut self, this: Resource<ContainerSpec>, path: String, folder: String) -> Result<()> {
        self.allow(Verb::Mount(&folder))?;
        if !Path::new(&folder).is_dir() {
            return Err(Error::new(Kind::NotFound, format!("there is no folder {folder}"))
                .hint("use a folder of this machine"));
        }
        if !self.services.docker().await?.is_here() {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the Docker engine runs on another machine and cannot read {folder}"),
            )
            .hint("unset DOCKER_HOST, or run the command where the data is"));
        }
        self.hold(path.len() + folder.len())?;
        let links = project::blobs_of(Path::new(&folder)).zip(Path::new(&path).ancestors().nth(2));
        let spec = self.get_mut(&this)?;
        // The links of a Hugging Face snapshot point two folders up, so their targets are mounted there.
        if let Some((blobs, above)) = links {
            let (place, blobs) = (above.join("blobs").display().to_string(), blobs.display().to_string());
            if !spec.inputs.iter().any(|(taken, _)| *taken == place) {
                spec.inputs.push((place, blobs));
            }
        }
        spec.inputs.push((path, folder));
        Ok(())
    }

    async fn gpus(&mut self, this: Resource<ContainerSpec>, which: String) -> Result<()> {
        self.get_mut(&this)?.gpus = Some(which.parse()?);
        Ok(())
    }

    async fn shm_size(&mut self, this: Resource<ContainerSpec>, size: String) -> Result<()> {
        self.get_mut(&this)?.shared_memory = Some(size.parse()?);
        Ok(())
    }

    async fn network(&mut self, this: Resource<ContainerSpec>) -> wasmtime::Result<()> {
        let spec = self.get_mut(&this)?;
        spec.network = Some(network_name(&spec.job));
        Ok(())
    }

    async fn start(&mut self, this: Resource<ContainerSpec>) -> Result<()> {
        let spec = self.get(&this)?;
        self.allow(Verb::Container(&spec.job))?;
        self.services.docker().await?.start(spec).await
    }

    async fn drop(&mut self, this: Resource<ContainerSpec>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl wit::HostNodeState for CallState {
    async fn running(&mut self, this: Resource<ContainerState>) -> wasmtime::Result<bool> {
        Ok(self.get(&this)?.running)
    }

    async fn exit_code(&mut self, this: Resource<ContainerState>) -> wasmtime::Result<Option<i32>> {
        Ok(self.get(&this)?.exit_code)
    }

    async fn out_of_memory(&mut self, this: Resource<ContainerState>) -> wasmtime::Result<bool> {
        Ok(self.get(&this)?.out_of_memory)
    }

    async fn started(&mut self, this: Resource<ContainerState>) -> wasmtime::Result<Option<u64>> {
        Ok(self.get(&this)?.started)
    }

    async fn finished(&mut self, this: Resource<ContainerState>) -> wasmtime::Result<Option<u64>> {
        Ok(self.get(&this)?.finished)
    }

    async fn drop(&mut self, this: Resource<ContainerState>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
