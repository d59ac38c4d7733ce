//! The common part of the misbehaving plugins: a train driver that misbehaves in its `check`.

pub use alekseylearn_sdk::{Error, Finding, Training};

/// A train driver whose `check` is the given function.
#[macro_export]
macro_rules! check {
    ($check:path $(, prepare = $prepare:path)? $(, submit = $submit:path)? $(, origins = $origins:tt)?) => {
        struct Driver;

        alekseylearn_sdk::plugin!(train = Driver $(, origins = $origins)?);

        impl alekseylearn_sdk::train::Guest for Driver {
            fn options() -> Vec<alekseylearn_sdk::OptionSpec> {
                vec![
                    alekseylearn_sdk::OptionSpec::location("output_path", "A location to access", &["s3".to_owned(), "gs".to_owned()]),
                    alekseylearn_sdk::OptionSpec::role("role_name", "A role to use"),
                    alekseylearn_sdk::OptionSpec::text("service", "A service to request"),
                    alekseylearn_sdk::OptionSpec::text("backwards", "Something to look for, backwards"),
                ]
            }

            fn check(
                training: &alekseylearn_sdk::Training,
            ) -> Result<Vec<alekseylearn_sdk::Finding>, alekseylearn_sdk::Error> {
                $check(training)
            }

            fn preview(_: &alekseylearn_sdk::Training) -> Result<String, alekseylearn_sdk::Error> {
                Ok("{}".to_owned())
            }

            #[allow(unreachable_code, unused_variables)]
            fn prepare(
                training: &alekseylearn_sdk::Training,
            ) -> Result<alekseylearn_sdk::Destination, alekseylearn_sdk::Error> {
                $( return $prepare(training); )?
                Err(alekseylearn_sdk::Error::unsupported("this is the end of it").hint("there is no more"))
            }

            #[allow(unreachable_code, unused_variables)]
            fn submit(training: &alekseylearn_sdk::Training) -> Result<String, alekseylearn_sdk::Error> {
                $( return $submit(training); )?
                Err(alekseylearn_sdk::Error::unsupported("nothing is submitted"))
            }

            fn status(
                _: &alekseylearn_sdk::Job,
            ) -> Result<alekseylearn_sdk::JobStatus, alekseylearn_sdk::Error> {
                Ok(alekseylearn_sdk::JobStatus::new(alekseylearn_sdk::State::Failed))
            }

            fn logs(
                _: &alekseylearn_sdk::Job,
                _: Option<String>,
            ) -> Result<alekseylearn_sdk::LogPage, alekseylearn_sdk::Error> {
                Err(alekseylearn_sdk::Error::unsupported("there is no log"))
            }

            fn stop(_: &alekseylearn_sdk::Job) -> Result<(), alekseylearn_sdk::Error> {
                Ok(())
            }

            fn artifacts(
                _: &alekseylearn_sdk::Job,
            ) -> Result<Vec<alekseylearn_sdk::Artifact>, alekseylearn_sdk::Error> {
                Ok(Vec::new())
            }

            fn find(_: String, _: String) -> Result<Vec<String>, alekseylearn_sdk::Error> {
                Ok(Vec::new())
            }
        }
    };
}
