//! The proxy of a request, for messages: an unreachable proxy must not be reported as an unreachable service.

use hyper_util::client::proxy::matcher::Matcher;

/// The hint if a proxy fails.
pub const HINT: &str = "fix HTTPS_PROXY and HTTP_PROXY, or add hosts that need no proxy to NO_PROXY";

/// The host and port of the proxy that the environment names for an address, without its user and password.
pub fn of(address: &str) -> Option<String> {
    let proxy = Matcher::from_env().intercept(&address.parse().ok()?)?;
    proxy.uri().authority().map(ToString::to_string)
}
