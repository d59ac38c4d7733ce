//! What `wit-bindgen` makes of the contract: once for what drivers import, and a thin layer for each of the two
//! interfaces that they export.

#![allow(missing_docs, reason = "generated; the contract's own comments are carried over where it has any")]

wit_bindgen::generate!({
    path: "../wit",
    world: "capabilities",
});

/// The exports of a plugin with a build driver.
pub mod build_plugin {
    wit_bindgen::generate!({
        path: "../wit",
        world: "build-plugin",
        pub_export_macro: true,
        export_macro_name: "export_build_driver",
        default_bindings_module: "alekseylearn_sdk::bindings::build_plugin",
        with: {
            "alekseylearn:driver/types@0.1.1": crate::bindings::alekseylearn::driver::types,
            "alekseylearn:driver/options@0.1.1": crate::bindings::alekseylearn::driver::options,
            "alekseylearn:driver/run@0.1.1": crate::bindings::alekseylearn::driver::run,
            "alekseylearn:driver/report@0.1.1": crate::bindings::alekseylearn::driver::report,
            "alekseylearn:driver/progress@0.1.1": crate::bindings::alekseylearn::driver::progress,
            "alekseylearn:driver/credentials@0.1.1": crate::bindings::alekseylearn::driver::credentials,
            "alekseylearn:driver/docker@0.1.1": crate::bindings::alekseylearn::driver::docker,
            "alekseylearn:driver/aws-identity@0.1.1": crate::bindings::alekseylearn::driver::aws_identity,
            "alekseylearn:driver/ecr@0.1.1": crate::bindings::alekseylearn::driver::ecr,
            "alekseylearn:driver/s3@0.1.1": crate::bindings::alekseylearn::driver::s3,
            "alekseylearn:driver/sagemaker@0.1.1": crate::bindings::alekseylearn::driver::sagemaker,
            "alekseylearn:driver/cloudwatch-logs@0.1.1": crate::bindings::alekseylearn::driver::cloudwatch_logs,
        },
    });
}

/// The exports of a plugin with a train driver.
pub mod train_plugin {
    wit_bindgen::generate!({
        path: "../wit",
        world: "train-plugin",
        pub_export_macro: true,
        export_macro_name: "export_train_driver",
        default_bindings_module: "alekseylearn_sdk::bindings::train_plugin",
        with: {
            "alekseylearn:driver/types@0.1.1": crate::bindings::alekseylearn::driver::types,
            "alekseylearn:driver/options@0.1.1": crate::bindings::alekseylearn::driver::options,
            "alekseylearn:driver/run@0.1.1": crate::bindings::alekseylearn::driver::run,
            "alekseylearn:driver/report@0.1.1": crate::bindings::alekseylearn::driver::report,
            "alekseylearn:driver/progress@0.1.1": crate::bindings::alekseylearn::driver::progress,
            "alekseylearn:driver/credentials@0.1.1": crate::bindings::alekseylearn::driver::credentials,
            "alekseylearn:driver/docker@0.1.1": crate::bindings::alekseylearn::driver::docker,
            "alekseylearn:driver/aws-identity@0.1.1": crate::bindings::alekseylearn::driver::aws_identity,
            "alekseylearn:driver/ecr@0.1.1": crate::bindings::alekseylearn::driver::ecr,
            "alekseylearn:driver/s3@0.1.1": crate::bindings::alekseylearn::driver::s3,
            "alekseylearn:driver/sagemaker@0.1.1": crate::bindings::alekseylearn::driver::sagemaker,
            "alekseylearn:driver/cloudwatch-logs@0.1.1": crate::bindings::alekseylearn::driver::cloudwatch_logs,
        },
    });
}
