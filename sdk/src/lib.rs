//! The SDK for `alekseylearn` drivers.
//!
//! A plugin is one WASI component. It exports a build driver, a train driver or both. It has no capabilities of its
//! own: it calls the host's interfaces ([`docker`], [`s3`], [`sagemaker`], …), for which its user must give it grants.
//!
//! ```
//! use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker};
//!
//! struct Driver;
//!
//! impl build::Guest for Driver {
//!     fn options() -> Vec<OptionSpec> {
//!         vec![OptionSpec::text("base_image", "Image to start from").default_to("python:3.11-slim")]
//!     }
//!
//!     fn build(training: &Training) -> Result<docker::Image, Error> {
//!         let base = training.options().text("base_image").unwrap_or_default();
//!         let build = docker::ImageBuild::new(training);
//!         build.dockerfile(&format!("FROM {base}\nCOPY code/ /code/\n"));
//!         build.run()
//!     }
//! }
//!
//! alekseylearn_sdk::plugin!(build = Driver);
//! ```

#[doc(hidden)]
pub mod bindings;
mod error;
pub mod http;
mod option;

pub use bindings::alekseylearn::driver::options::{OptionSpec, Values};
pub use bindings::alekseylearn::driver::report::{
    Artifact, ArtifactKind, Destination, Finding, JobStatus, State, WebFile,
};
pub use bindings::alekseylearn::driver::run::{Dependencies, Job, Python, Training};
pub use bindings::alekseylearn::driver::types::{Error, LogLine, LogPage, Problem};
pub use bindings::alekseylearn::driver::{
    aws_identity, cloudwatch_logs, credentials, docker, ecr, oci, process, progress, s3, sagemaker,
};
pub use bindings::build_plugin::exports::alekseylearn::driver::build;
pub use bindings::train_plugin::exports::alekseylearn::driver::train;

/// Makes a plugin of the types that implement [`build::Guest`] and [`train::Guest`]: `plugin!(build = A, train = B)`,
/// or one of the two. `origins` declares the origins that it sends requests to (see [`http`]), and the credential that
/// the host adds to each:
///
/// ```ignore
/// plugin!(train = Driver, origins = ["https://api.example.com" with "env:EXAMPLE_TOKEN", "https://open.example.com"]);
/// ```
///
/// - A credential is `env:NAME`, `file:/PATH`, `kaggle` (the credential of Kaggle's own client) or `google` (the
///   application default credentials).
/// - `private:https://…` is an origin that may be in the user's own network.
/// - `https://*-api.example.com` matches all origins with one word in place of the star.
/// - `https://storage.example.com/{gs.bucket}/{gs.key}` matches only locations that the user names in an
///   [`OptionSpec::location`] of the scheme `gs`, and only to read. For object stores, declare no more than that.
/// - To a container registry with a credential, the host also pushes images: see [`Destination::repository`].
///
/// The package's version, authors, licence, repository and description become the WebAssembly ecosystem's standard
/// sections. Its name and the origins become a custom section `alekseylearn` with JSON, which authors without this
/// macro write themselves: `{"name": "my-driver", "origins": ["https://api.example.com=env:EXAMPLE_TOKEN"]}`.
///
/// On targets other than WebAssembly, it exports nothing, so that a plugin's own tests run anywhere.
#[macro_export]
macro_rules! plugin {
    (build = $build:ident $(, train = $train:ident)? $(, origins = [$($origins:tt)*])? $(,)?) => {
        $crate::plugin!(@plugin [build $build $(, train $train)?] $($($origins)*)?);
    };
    (train = $train:ident $(, build = $build:ident)? $(, origins = [$($origins:tt)*])? $(,)?) => {
        $crate::plugin!(@plugin [train $train $(, build $build)?] $($($origins)*)?);
    };
    (@plugin [$($kind:ident $driver:ident),+] $($origins:tt)*) => {
        $($crate::plugin!(@export $kind $driver);)+
        $crate::plugin!(@section "alekseylearn", concat!(
            "{\"name\":\"", env!("CARGO_PKG_NAME"), "\",\"origins\":[", $crate::plugin!(@origins $($origins)*), "]}"
        ));
        $crate::plugin!(@section "version", env!("CARGO_PKG_VERSION"));
        $crate::plugin!(@section "authors", env!("CARGO_PKG_AUTHORS"));
        $crate::plugin!(@section "licenses", env!("CARGO_PKG_LICENSE"));
        $crate::plugin!(@section "source", env!("CARGO_PKG_REPOSITORY"));
        $crate::plugin!(@section "description", env!("CARGO_PKG_DESCRIPTION"));
    };
    (@origins) => { "" };
    (@origins $first:literal $(with $credential:literal)? $(, $origin:literal $(with $other:literal)?)* $(,)?) => {
        concat!("\"", $first, $("=", $credential,)? "\"" $(, ",\"", $origin, $("=", $other,)? "\"")*)
    };
    (@export build $driver:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::build_plugin::export_build_driver!($driver);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> Vec<$crate::OptionSpec> = <$driver as $crate::build::Guest>::options;
    };
    (@export train $driver:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::train_plugin::export_train_driver!($driver);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> Vec<$crate::OptionSpec> = <$driver as $crate::train::Guest>::options;
    };
    (@section $name:literal, $text:expr) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const TEXT: &str = $text;
            #[used]
            #[unsafe(link_section = $name)]
            static SECTION: [u8; TEXT.len()] = match TEXT.as_bytes().first_chunk() {
                Some(bytes) => *bytes,
                None => unreachable!(),
            };
        };
    };
}
