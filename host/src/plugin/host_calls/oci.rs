//! `oci`: images that the host assembles without a container engine.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::{
    capability::{
        Image,
        docker::BuildContext,
        oci::{Assembly, Installation},
    },
    error::{Error, Kind, Result},
    plugin::{
        driver::run::SharedTraining,
        policy::verb::Verb,
        sandbox::{
            bindings::alekseylearn::driver::oci as wit,
            state::{CallState, show},
        },
    },
};

impl wit::Host for CallState {}

/// Checks a path in the image, so that a layer has no path that leaves it.
fn checked(path: &str) -> Result<&str> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let is_valid = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
    if is_valid && !path.contains(char::is_control) {
        Ok(path)
    } else {
        Err(Error::new(Kind::Plugin, format!("`{path}` is not a path in an image")))
    }
}

impl CallState {
    fn installation(&mut self, this: &Resource<Assembly>) -> Result<&mut Installation> {
        let installation = self.get_mut(this)?.installation.as_mut();
        installation.ok_or_else(|| Error::new(Kind::Plugin, "its image has no virtual environment"))
    }
}

impl wit::HostImageAssembly for CallState {
    async fn new(
        &mut self,
        training: Resource<SharedTraining>,
        base: String,
    ) -> wasmtime::Result<Resource<Assembly>> {
        self.hold(base.len())?;
        let training = self.get(&training)?;
        let context = BuildContext {
            anew: training.build_anew,
            known: self.services.known_hashes(&training.project.root),
            ..BuildContext::of(&training.project)
        };
        let installation = Installation {
            dependencies: training.project.dependencies.clone(),
            python: training.project.python.clone(),
            indexes: training.indexes.clone(),
            certificates: training.certificates.clone(),
            ..Installation::default()
        };
        Ok(self.push(Assembly { base, context, installation: Some(installation), ..Assembly::default() })?)
    }

    async fn platform(&mut self, this: Resource<Assembly>, name: String) -> wasmtime::Result<()> {
        self.hold(name.len())?;
        self.get_mut(&this)?.context.platform = name;
        Ok(())
    }

    async fn virtual_environment(
        &mut self,
        this: Resource<Assembly>,
        path: String,
        requirements: Vec<String>,
    ) -> wasmtime::Result<()> {
        self.hold(
            path.len() + requirements.iter().map(|text| size_of_val(text) + text.len()).sum::<usize>(),
        )?;
        checked(&path)?;
        let installation = self.installation(&this)?;
        (installation.path, installation.requirements) = (path, requirements);
        Ok(())
    }

    async fn import_folder(&mut self, this: Resource<Assembly>, path: String) -> wasmtime::Result<()> {
        self.hold(size_of_val(&path) + path.len())?;
        checked(&path)?;
        self.installation(&this)?.import_folders.push(path);
        Ok(())
    }

    async fn file(
        &mut self,
        this: Resource<Assembly>,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<()> {
        self.hold(path.len() + content.len())?;
        checked(&path)?;
        self.get_mut(&this)?.context.extra.insert(path, content);
        Ok(())
    }

    async fn project(&mut self, this: Resource<Assembly>, path: String) -> wasmtime::Result<()> {
        self.hold(path.len())?;
        checked(&path)?;
        self.get_mut(&this)?.project = Some(path);
        Ok(())
    }

    async fn environment(
        &mut self,
        this: Resource<Assembly>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.hold(size_of_val(&name) + name.len() + size_of_val(&value) + value.len())?;
        self.get_mut(&this)?.environment.push((name, value));
        Ok(())
    }

    async fn workdir(&mut self, this: Resource<Assembly>, path: String) -> wasmtime::Result<()> {
        self.hold(path.len())?;
        self.get_mut(&this)?.workdir = Some(path);
        Ok(())
    }

    async fn entrypoint(&mut self, this: Resource<Assembly>, command: Vec<String>) -> wasmtime::Result<()> {
        self.hold(command.iter().map(|text| size_of_val(text) + text.len()).sum())?;
        self.get_mut(&this)?.entrypoint = command;
        Ok(())
    }

    async fn run(&mut self, this: Resource<Assembly>) -> Result<Resource<Image>> {
        let mut assembly = self.get(&this)?.clone();
        if assembly.installation.as_ref().is_some_and(|installation| installation.path.is_empty()) {
            assembly.installation = None;
        }
        self.allow(Verb::Assembly(&assembly.context.name))?;
        let environment = self.services.for_assembly(self.authority.shipped);
        let assembly = Arc::new(assembly);
        if let Some(rehearsal) = &mut self.rehearsal {
            rehearsal.assembly = Some(assembly.clone());
            let reference = assembly.context.name.clone();
            return self.push(Image::none(reference));
        }
        let ui = self.ui.clone();
        let image = assembly.assemble(&environment, &show(&ui)).await?;
        self.push(Image::Assembled(Arc::new(image)))
    }

    async fn drop(&mut self, this: Resource<Assembly>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_the_image() {
        for path in ["/opt/alekseylearn/runner/a.py", "/a"] {
            checked(path).unwrap();
        }
        for path in ["", "a", "/", "/a/../b", "/a//b", "/a/", "/./a", "/a\nb"] {
            checked(path).unwrap_err();
        }
    }
}
