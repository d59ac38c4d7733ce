//! The proxy that a request goes through, for messages: a proxy that does not answer is not the service that is asked.

use hyper_util::client::proxy::matcher::Matcher;

/// The hint where a proxy is the trouble.
pub const HINT: &str = "correct HTTPS_PROXY and HTTP_PROXY, or name hosts that need no proxy in NO_PROXY";

/// The host and port of the proxy that the environment names for an address, without its user and password.
pub fn of(address: &str) -> Option<String> {
    let proxy = Matcher::from_env().intercept(&address.parse().ok()?)?;
    proxy.uri().authority().map(ToString::to_string)
}
