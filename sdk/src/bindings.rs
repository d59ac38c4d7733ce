//! What `wit-bindgen` makes of the contract: once for what drivers import, and a thin layer for each of the two
//! interfaces that they export.

#![allow(missing_docs, reason = "generated; the contract's own comments are carried over where it has any")]

wit_bindgen::generate!({
    path: "../wit",
    world: "capabilities",
});

/// The exports of a world; what it imports is the one above.
macro_rules! exports {
    ($world:tt, $macro:tt, $module:tt) => {
        wit_bindgen::generate!({
            path: "../wit",
            world: $world,
            pub_export_macro: true,
            export_macro_name: $macro,
            default_bindings_module: $module,
            with: {
                "alekseylearn:driver/types@0.1.0": crate::bindings::alekseylearn::driver::types,
                "alekseylearn:driver/options@0.1.0": crate::bindings::alekseylearn::driver::options,
                "alekseylearn:driver/run@0.1.0": crate::bindings::alekseylearn::driver::run,
                "alekseylearn:driver/report@0.1.0": crate::bindings::alekseylearn::driver::report,
                "alekseylearn:driver/progress@0.1.0": crate::bindings::alekseylearn::driver::progress,
                "alekseylearn:driver/credentials@0.1.0": crate::bindings::alekseylearn::driver::credentials,
                "alekseylearn:driver/docker@0.1.0": crate::bindings::alekseylearn::driver::docker,
                "alekseylearn:driver/aws-identity@0.1.0": crate::bindings::alekseylearn::driver::aws_identity,
                "alekseylearn:driver/ecr@0.1.0": crate::bindings::alekseylearn::driver::ecr,
                "alekseylearn:driver/s3@0.1.0": crate::bindings::alekseylearn::driver::s3,
                "alekseylearn:driver/sagemaker@0.1.0": crate::bindings::alekseylearn::driver::sagemaker,
                "alekseylearn:driver/cloudwatch-logs@0.1.0": crate::bindings::alekseylearn::driver::cloudwatch_logs,
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
