//! Origins: the scheme, host and port of a request, normalised to one spelling.

use std::{fmt, net::IpAddr, str::FromStr};

use url::{Host, Url};

/// The length limits of a host name and of each label in DNS (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// The length limit of an origin's text, with space for scheme and port.
const MAX_LENGTH: usize = 300;

/// Scheme, host and port: `https://api.example.com`, or `http://127.0.0.1:8080` on this machine.
///
/// Different spellings of one origin are equal: case, the default port, a trailing dot, Unicode or punycode, and
/// unusual forms of an IP address (`0x7f.1`) make no difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(Url);

impl Origin {
    /// The IP address; `None` if the origin has a host name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// Whether it is a program on this machine by its own spelling. Only these may be used without TLS.
    pub(crate) fn is_this_machine(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The URL of a page on it. The result always has this origin, whatever the path contains.
    pub(crate) fn page(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(query);
        url
    }
}

/// The origins of a grant: one origin, or the pattern `https://*-NAME`. The star matches the beginning of the host's
/// first label, such as the name of a region, and never a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origins {
    /// One origin.
    One(Origin),
    /// All origins that differ from this one only in the text before the first dash.
    Like(Origin),
}

/// How a pattern's text begins, and how it is kept as an origin.
const ANY: &str = "*-";
const SOME: &str = "some-";

impl Origins {
    /// Whether an origin is one of these.
    pub(crate) fn hold(&self, origin: &Origin) -> bool {
        match self {
            Self::One(one) => one == origin,
            Self::Like(like) => {
                let (Some(end), Some(host)) =
                    (like.0.domain().and_then(|host| host.strip_prefix("some")), origin.0.domain())
                else {
                    return false;
                };
                let word = host.strip_suffix(end);
                (like.0.scheme(), like.0.port()) == (origin.0.scheme(), origin.0.port())
                    && word.is_some_and(|word| !word.is_empty() && !word.contains('.'))
            }
        }
    }

    /// Whether it is a program on this machine by its own spelling.
    pub(crate) fn is_this_machine(&self) -> bool {
        matches!(self, Self::One(origin) if origin.is_this_machine())
    }
}

impl Origins {
    /// Whether each of them is one of these hosts, or a subdomain of one.
    pub(crate) fn all_below(&self, hosts: &[&str]) -> bool {
        let (Self::One(origin) | Self::Like(origin)) = self;
        let below = |host: &&str, name: &str| {
            name.strip_suffix(host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        origin.0.domain().is_some_and(|name| hosts.iter().any(|host| below(host, name)))
    }
}

impl From<&Origin> for Origins {
    fn from(origin: &Origin) -> Self {
        Self::One(origin.clone())
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((before, after)) = text.split_once(ANY) else { return text.parse().map(Self::One) };
        let wrong = || format!("`{text}` is not a valid origin pattern: write https://*-NAME.example.com");
        if before != "https://" || after.contains('*') {
            return Err(wrong());
        }
        let like: Origin = format!("{before}{SOME}{after}").parse()?;
        // Requires a name below a registered domain, and text after the dash.
        let parts: Vec<&str> = like.0.domain().unwrap_or_default().split('.').collect();
        let is_good = parts.len() >= 3 && parts[0].len() > SOME.len();
        is_good.then_some(Self::Like(like)).ok_or_else(wrong)
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(origin) => origin.fmt(f),
            Self::Like(like) => f.write_str(&like.to_string().replacen(SOME, ANY, 1)),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not an origin such as https://api.example.com: {why}");
        if text.len() > MAX_LENGTH {
            return Err(format!("an origin has at most {MAX_LENGTH} characters"));
        }
        // The parser would ignore these silently.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(wrong("it contains invalid characters"));
        }
        // The parser also accepts a scheme without slashes, or with three.
        if text.split_once("://").is_none_or(|(_, rest)| rest.starts_with('/')) {
            return Err(wrong("it must begin with https:// and a host"));
        }
        let mut url: Url = text.parse().map_err(|error: url::ParseError| wrong(&error.to_string()))?;
        if text.contains('@') {
            return Err(wrong("it must not contain a user name"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it must end after the host or port"));
        }
        if let Some(Host::Domain(name)) = url.host() {
            let name = name.strip_suffix('.').unwrap_or(name).to_owned();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !name.split('.').all(|label| !label.is_empty() && label.chars().all(plain)) {
                return Err(wrong("the host may contain only letters, digits and dashes"));
            }
            // Punycode makes Unicode names longer.
            if name.len() > MAX_NAME || name.split('.').any(|label| label.len() > MAX_LABEL) {
                return Err(wrong("the host name is too long for DNS"));
            }
            url.set_host(Some(&name)).map_err(|error| wrong(&error.to_string()))?;
        }
        let this_machine = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong("it has no host")),
        };
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if this_machine => Ok(Self(url)),
            "http" => Err(wrong("http:// is allowed only for this machine")),
            _ => Err(wrong("it must begin with https://")),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_one_origin_are_equal() {
        for (text, canonical) in [
            ("https://api.example.com", "https://api.example.com"),
            ("HTTPS://API.Example.COM:443/", "https://api.example.com"),
            ("https://api.example.com.", "https://api.example.com"),
            ("https://api.example.com:8443", "https://api.example.com:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://api%2eexample.com", "https://api.example.com"),
            ("https://a_b.example", "https://a_b.example"),
            ("https://0x7f.1", "https://127.0.0.1"),
            ("https://2130706433", "https://127.0.0.1"),
            ("https://0177.0.0.1", "https://127.0.0.1"),
            ("https://127.1.", "https://127.0.0.1"),
            ("https://[0:0::1]", "https://[::1]"),
            ("http://localhost:80", "http://localhost"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://0x7f.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), canonical, "{text}");
            assert_eq!(canonical.parse(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn an_invalid_origin_is_refused() {
        for text in [
            "",
            "api.example.com",
            "https://",
            "https:///path",
            "ftp://example.com",
            "file:///etc/passwd",
            "http://example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://[::ffff:127.0.0.1]",
            "https://user@example.com",
            "https://user:word@example.com",
            "https://@example.com",
            "https://example.com@evil.example",
            "https://example.com/path",
            "https://example.com?query",
            "https://example.com#part",
            "https://example.com\\@evil.example",
            "https://exa\tmple.com",
            " https://example.com",
            "https://*.example.com",
            "https://example.com..",
            "https://.example.com",
            "https://a..b",
            "https://1.2.3.4.5",
            "https://256.0.0.1",
            "https://example.com:99999",
            "https://exam%00ple.com",
            &format!("https://{}.example", "x".repeat(300)),
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        let label = |length: usize| "a".repeat(length);
        assert!(format!("https://{}.example", label(63)).parse::<Origin>().is_ok());
        assert!(format!("https://{}.example", label(64)).parse::<Origin>().is_err());
        let name = |length: usize| format!("https://{0}.{0}.{0}.{1}", label(63), label(length));
        assert!(name(61).parse::<Origin>().is_ok());
        assert!(name(62).parse::<Origin>().is_err());
        // Each Unicode character makes it longer.
        assert!(
            format!("https://{}.example", "\u{fc}".repeat(50))
                .parse::<Origin>()
                .is_ok_and(|origin| { origin.to_string().parse() == Ok(origin) })
        );
    }

    #[test]
    fn a_star_matches_a_word_but_no_dot() {
        let like: Origins = "https://*-Docker.pkg.dev:443/".parse().unwrap();
        assert_eq!(like.to_string(), "https://*-docker.pkg.dev");
        assert_eq!(like.to_string().parse(), Ok(like.clone()));
        let holds = |text: &str| like.hold(&text.parse().unwrap());
        assert!(holds("https://us-central1-docker.pkg.dev") && holds("https://europe-docker.pkg.dev"));
        for text in [
            "https://docker.pkg.dev",
            "https://-docker.pkg.dev",
            "https://evil.com-docker.pkg.dev",
            "https://evil.example-docker.pkg.dev",
            "https://us-docker.pkg.dev.evil.example",
            "https://us-docker.pkg.dev:8443",
            "https://us-dockerxpkg.dev",
            "https://10.0.0.1",
        ] {
            assert!(!holds(text), "{text}");
        }
        assert!("https://a.example".parse::<Origins>().unwrap().hold(&"https://a.example".parse().unwrap()));
        for text in [
            "https://*.example.com",
            "https://*-example.com",
            "https://*-com",
            "https://*-.example.com",
            "https://a*-x.example.com",
            "https://*-*-x.example.com",
            "https://a.*-x.example.com",
            "http://*-x.localhost",
            "https://*",
            "*-x.example.com",
        ] {
            assert!(text.parse::<Origins>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_has_its_origin_for_every_path() {
        let origin: Origin = "https://api.example.com".parse().unwrap();
        for path in ["/a/b?c", "@evil.example/", "//evil.example", ":99/", "\\\\evil.example", "/../..", ""] {
            let page = origin.page(path, Some("q=1"));
            assert_eq!(
                (page.scheme(), page.host_str(), page.port()),
                ("https", Some("api.example.com"), None)
            );
        }
        assert_eq!(origin.page("/a/ä", None).as_str(), "https://api.example.com/a/%C3%A4");
    }
}
