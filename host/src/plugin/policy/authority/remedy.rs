//! The hints of denials: what the user can do to allow a verb.

use std::collections::BTreeSet;

use super::{Authority, is_forbidden};
use crate::{
    plugin::policy::{
        address::Region,
        grant::{Grant, Requests},
        origin::Origin,
        verb::Verb,
    },
    shell::{command, quote},
};

impl Authority {
    /// The hint with the command that gives a grant.
    pub(super) fn command(&self, grant: &Grant) -> String {
        let grant = grant.to_string();
        if self.lent {
            format!("to allow it: add `--grant {}` before the `--`", quote(&grant))
        } else {
            format!("to allow it: `{}`", command(["alekseylearn", "plugin", "grant", &self.plugin, &grant]))
        }
    }

    /// The hint for a verb whose object is not designated.
    pub(super) fn remedy(&self, verb: Verb<'_>) -> String {
        let regrant = |origin: &Origin, change: &dyn Fn(&mut Requests)| {
            let granted = self.granted.requests(origin).or_else(|| self.granted.all_requests(origin).next());
            let mut requests = granted.cloned().unwrap_or_else(|| Requests {
                origins: origin.into(),
                places: None,
                credential: None,
                private: false,
            });
            change(&mut requests);
            self.command(&Grant::Requests(requests))
        };
        match verb {
            Verb::Location(place) => {
                let option = format!("--config.output_path={place}");
                format!("to allow it: add {}", quote(&option))
            }
            Verb::Bucket(bucket) => {
                let option = format!("--config.output_path=s3://{bucket}");
                format!("to allow it: add {}", quote(&option))
            }
            Verb::Role(role) => {
                format!("to allow it: add {}", quote(&format!("--config.role_name={role}")))
            }
            Verb::Push { registry: Some(registry), .. }
                if self.granted.requests(registry).is_none_or(|granted| granted.credential.is_none()) =>
            {
                format!(
                    "{}, where /PATH is a file with registry credentials",
                    regrant(registry, &|_| {})
                        .replace(&registry.to_string(), &format!("{registry}=file:/PATH"))
                )
            }
            Verb::Push { .. } => {
                "a driver may push only to a repository that the host prepared, or to one named after the \
                 training's tag in a granted registry"
                    .into()
            }
            Verb::JobFile(_) => "a driver may access only its job's folder, /job".into(),
            Verb::BuildFile(_) => {
                "a driver may add files beside Dockerfile, .dockerignore, code/, dependencies/ and machine/, but \
                 not replace these"
                    .into()
            }
            Verb::Request { disguised: true, .. } => {
                "no grant allows this: method overrides are refused".into()
            }
            Verb::Request { method, .. } if is_forbidden(method) => {
                "no grant allows this: TRACE and CONNECT are refused".into()
            }
            Verb::Request { origin, own_credential: true, .. } => {
                regrant(origin, &|requests| requests.credential = None)
            }
            Verb::Request { origin, .. } => {
                let schemes: BTreeSet<&str> = self
                    .granted
                    .all_requests(origin)
                    .filter_map(|granted| Some(granted.places.as_ref()?.scheme()))
                    .collect();
                let places =
                    schemes.into_iter().map(|scheme| format!("{scheme}://…")).collect::<Vec<_>>().join(", ");
                format!("it may read only locations that an option names, as {places}")
            }
            Verb::Address { origin, address } => match Region::of(address) {
                Region::Private | Region::ThisMachine if !origin.is_this_machine() => {
                    regrant(origin, &|requests| requests.private = true)
                }
                _ => "no grant allows this: check how this machine resolves the name".into(),
            },
            Verb::Mount(_) | Verb::Hash(_) | Verb::ProcessInput(_) | Verb::Send { .. } => {
                "it may read only folders that you name as inputs, and upload them only to locations that you name"
                    .into()
            }
            Verb::Resource(_) => "a job may use only what an option on the command line names".into(),
            Verb::Credential(_)
            | Verb::Engine
            | Verb::Image(_)
            | Verb::Assembly(_)
            | Verb::Container(_)
            | Verb::Process(_)
            | Verb::Identity
            | Verb::Repository(_)
            | Verb::TrainingJob(_)
            | Verb::TrainingQuota
            | Verb::Log { .. } => "a run may use only its own image, repository and job".into(),
        }
    }
}
