//! The bindings that `wit-bindgen` generates from the contract: once for the imports of drivers, and a thin layer for
//! each of the two interfaces that they export.

#![allow(missing_docs, reason = "generated, with the contract's comments if there are any")]

wit_bindgen::generate!({
    path: "wit",
    world: "capabilities",
});

/// Generates the exports of a world. They use the imports above.
macro_rules! exports {
    ($world:tt, $macro:tt, $module:tt) => {
        wit_bindgen::generate!({
            path: "wit",
            world: $world,
            pub_export_macro: true,
            export_macro_name: $macro,
            default_bindings_module: $module,
            with: {
                "alekseylearn:driver/types@0.1.1": crate::bindings::alekseylearn::driver::types,
                "alekseylearn:driver/options@0.1.1": crate::bindings::alekseylearn::driver::options,
                "alekseylearn:driver/run@0.1.1": crate::bindings::alekseylearn::driver::run,
                "alekseylearn:driver/report@0.1.1": crate::bindings::alekseylearn::driver::report,
                "alekseylearn:driver/progress@0.1.1": crate::bindings::alekseylearn::driver::progress,
                "alekseylearn:driver/credentials@0.1.1": crate::bindings::alekseylearn::driver::credentials,
                "alekseylearn:driver/docker@0.1.1": crate::bindings::alekseylearn::driver::docker,
                "alekseylearn:driver/oci@0.1.1": crate::bindings::alekseylearn::driver::oci,
                "alekseylearn:driver/process@0.1.1": crate::bindings::alekseylearn::driver::process,
                "alekseylearn:driver/aws-identity@0.1.1": crate::bindings::alekseylearn::driver::aws_identity,
                "alekseylearn:driver/ecr@0.1.1": crate::bindings::alekseylearn::driver::ecr,
                "alekseylearn:driver/s3@0.1.1": crate::bindings::alekseylearn::driver::s3,
                "alekseylearn:driver/sagemaker@0.1.1": crate::bindings::alekseylearn::driver::sagemaker,
                "alekseylearn:driver/cloudwatch-logs@0.1.1": crate::bindings::alekseylearn::driver::cloudwatch_logs,
            },
        });
    };
}

/// The exports of a plugin with a build driver.
pub mod build_plugin {
    exports!("build-plugin", "export_build_driver", "alekseylearn_sdk::bindings::build_plugin");
}

/// The exports of a plugin with a train driver.
pub mod train_plugin {
    exports!("train-plugin", "export_train_driver", "alekseylearn_sdk::bindings::train_plugin");
}
