//! The bindings that wasmtime generates from the contract. Resources map to the program's own types, and every error is
//! [`crate::error::Error`].

wasmtime::component::bindgen!({
    path: "wit",
    world: "capabilities",
    imports: { default: async | trappable },
    with: {
        "alekseylearn:driver/options.option-spec": crate::config::OptionSpec,
        "alekseylearn:driver/options.values": crate::plugin::driver::run::OptionValues,
        "alekseylearn:driver/run.training": crate::plugin::driver::run::SharedTraining,
        "alekseylearn:driver/run.dependencies": crate::plugin::driver::run::SharedDependencies,
        "alekseylearn:driver/run.python": crate::plugin::driver::run::SharedPython,
        "alekseylearn:driver/run.job": crate::plugin::driver::run::SharedJob,
        "alekseylearn:driver/report.destination": crate::plugin::driver::report::Destination,
        "alekseylearn:driver/report.finding": crate::plugin::driver::report::Finding,
        "alekseylearn:driver/report.job-status": crate::plugin::driver::report::JobStatus,
        "alekseylearn:driver/report.artifact": crate::plugin::driver::report::Artifact,
        "alekseylearn:driver/docker.image": crate::capability::Image,
        "alekseylearn:driver/docker.image-build": crate::capability::docker::BuildContext,
        "alekseylearn:driver/docker.container": crate::capability::docker::ContainerSpec,
        "alekseylearn:driver/docker.node-state": crate::capability::docker::ContainerState,
        "alekseylearn:driver/oci.image-assembly": crate::capability::oci::Assembly,
        "alekseylearn:driver/aws-identity.iam-role": crate::capability::aws::Role,
        "alekseylearn:driver/sagemaker.training-job-request": crate::capability::aws::TrainingJobRequest,
        "alekseylearn:driver/sagemaker.training-job": crate::capability::aws::TrainingJob,
    },
    trappable_error_type: {
        "alekseylearn:driver/types.error" => crate::error::Error,
    },
});

/// A plugin with a build driver.
pub mod build_plugin {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "build-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "alekseylearn:driver": super::alekseylearn::driver },
    });
}

/// A plugin with a train driver.
pub mod train_plugin {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "train-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "alekseylearn:driver": super::alekseylearn::driver },
    });
}
