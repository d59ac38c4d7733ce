//! Explains a failed installation, from uv's output.

use super::{BY_DOCKER, Request};
use crate::{
    capability::docker,
    error::{Error, Kind},
};

/// What uv writes if an index cannot be reached.
const UNREACHABLE: [&str; 4] =
    ["error sending request", "dns error", "tcp connect error", "operation timed out"];

pub(super) fn failed(request: &Request<'_>, output: &str) -> Error {
    let said = |words: &[&str]| words.iter().any(|word| output.contains(word));
    let error = if said(&["No space left on device", "os error 28"]) {
        Error::failed("cannot install the dependencies: the disk is full")
            .hint("free some disk space, or set XDG_CACHE_HOME to a folder on another disk")
    } else if let Some((host, status)) = docker::refused_by_index(Some(output)) {
        Error::new(Kind::Denied, format!("the package index at {host} rejected the credentials ({status})"))
            .hint("check its user and password in the configuration of pip or uv, or in ~/.netrc")
    } else if let Some(package) = without_wheel(output) {
        let (platform, python) = (request.platform, &request.python.version);
        Error::invalid(format!(
            "cannot install the dependencies: `{package}` has no wheel for {platform} and Python {python}"
        ))
        .hint(BY_DOCKER)
    } else if said(&UNREACHABLE) {
        Error::new(Kind::Unavailable, "cannot install the dependencies: the package index is unreachable")
            .hint("check the network, and run the same command again")
    } else {
        docker::installation_failed(output)
    };
    error.details(output.trim_end().to_owned())
}

/// The first package that has no wheel for the platform.
fn without_wheel(output: &str) -> Option<&str> {
    const AFTER: [&str; 2] = ["Wheels are required for `", "Building source distributions for `"];
    const BEFORE: [&str; 3] =
        [" has no usable wheels", " has no wheels with a matching", " has no wheels are available"];
    let after = AFTER.iter().find_map(|words| output.split_once(words)?.1.split('`').next());
    let before =
        || BEFORE.iter().find_map(|words| output.split_once(words)?.0.split_whitespace().next_back());
    let name = after.or_else(before)?;
    let name = name.split(['=', '>', '<', '@', '[']).next().unwrap_or(name);
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_wheel_is_named() {
        for output in [
            "cause: Because sgmllib3k==1.0.0 has no usable wheels and only sgmllib3k==1.0.0 is available",
            "hint: Wheels are required for `sgmllib3k` because building from source is disabled",
            "Because sgmllib3k==1.0.0 has no wheels with a matching Python ABI tag",
        ] {
            assert_eq!(without_wheel(output), Some("sgmllib3k"), "{output}");
        }
        assert_eq!(without_wheel("Because x was not found in the package registry"), None);
    }
}
