//! What the user could say for a verb to be allowed.

use std::collections::BTreeSet;

use super::{Authority, is_forbidden};
use crate::{
    plugin::{
        address::Region,
        grant::{Grant, Requests},
        origin::Origin,
        verb::Verb,
    },
    shell::{command, quote},
};

impl Authority {
    /// What grants it.
    pub(super) fn command(&self, grant: &Grant) -> String {
        let grant = grant.to_string();
        match self.lent {
            true => format!("to allow it: add `--grant {}` before the `--`", quote(&grant)),
            false => {
                format!(
                    "to allow it: `{}`",
                    command(["alekseylearn", "plugin", "grant", &self.plugin, &grant])
                )
            }
        }
    }

    /// What the user would have to say for it to be allowed.
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
                format!("it may touch what you name: {}", quote(&option))
            }
            Verb::Bucket(bucket) => {
                let option = format!("--config.output_path=s3://{bucket}");
                format!("it may touch what you name: {}", quote(&option))
            }
            Verb::Role(role) => {
                format!("it may pass on what you name: {}", quote(&format!("--config.role_name={role}")))
            }
            Verb::Push { registry: Some(registry), .. }
                if self.granted.requests(registry).is_none_or(|granted| granted.credential.is_none()) =>
            {
                format!(
                    "{}, with the file of a login for /PATH",
                    regrant(registry, &|_| {})
                        .replace(&registry.to_string(), &format!("{registry}=file:/PATH"))
                )
            }
            Verb::Push { .. } => {
                "a driver may send an image only to a repository that the host made ready for it, or \
                                  to one of its tag's name in a registry that was granted"
                    .into()
            }
            Verb::JobFile(_) => "a driver has its job's folder, /job, and no other".into(),
            Verb::BuildFile(_) => {
                "a driver adds files beside the Dockerfile, .dockerignore, code/, dependencies/ and \
                                   machine/, and none of these names"
                    .into()
            }
            Verb::Request { disguised: true, .. } => {
                "nothing allows it: a request is of the method that it says".into()
            }
            Verb::Request { method, .. } if is_forbidden(method) => {
                "nothing allows it: the answer would hold all that was sent".into()
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
                format!("it may read there what you name in an option, as {places}")
            }
            Verb::Address { origin, address } => match Region::of(address) {
                Region::Private | Region::ThisMachine if !origin.is_this_machine() => {
                    regrant(origin, &|requests| requests.private = true)
                }
                _ => "nothing allows it: see what the name means on this machine".into(),
            },
            Verb::Mount(_) | Verb::Hash(_) | Verb::Send { .. } => {
                "it may read folders that you name as inputs, and send them to places that you name".into()
            }
            Verb::Resource(_) => "a job may use what an option of the command line names".into(),
            Verb::Credential(_)
            | Verb::Engine
            | Verb::Image(_)
            | Verb::Container(_)
            | Verb::Identity
            | Verb::Repository(_)
            | Verb::TrainingJob(_)
            | Verb::TrainingQuota
            | Verb::Log { .. } => "a run may touch only its own image, repository and job".into(),
        }
    }
}
