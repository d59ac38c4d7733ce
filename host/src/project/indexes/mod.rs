//! Finds the package indexes that the user's pip or uv is configured for, and the logins there. URLs go into the build
//! as variables; logins only as a netrc file, which no layer keeps.

mod login;
mod netrc;
mod pip;
#[cfg(test)]
mod tests;
mod uv;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use toml::Value;

pub use login::holds_password;
pub(in crate::project) use login::{Login, Written};
pub(super) use login::{decoded, take_out, take_out_of, written_in};
pub(in crate::project) use pip::section_of;

use super::{Content, Dependencies, Form, dependencies::is_list};
use crate::{
    disk,
    environment::{Environment, PackageEnvironment},
    error::{Error, Kind, Result},
};

/// Maximum size of a configuration or dependency file in bytes.
const MAX_SIZE: u64 = 16 << 20;

/// The indexes that an installation on this machine would use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    /// The environment variables that tell pip and uv about them; without logins.
    pub variables: BTreeMap<&'static str, String>,
    /// A bundle of certificates that pip trusts.
    pub certificates: Option<PathBuf>,
    /// URLs of indexes that a build cannot reach.
    pub unreachable: Vec<String>,
    logins: BTreeMap<String, Login>,
    /// Logins that are not used before the user confirms them.
    asked: Vec<Asked>,
}

/// A login that the project's files request and that belongs to the user. Installed code can read it, and a project could
/// name any host and any variable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// With variables that a file names.
    Written(Written),
    /// With the variables for an index of a name that the project chose.
    Named(Login),
    /// With the user's netrc file.
    Netrc(Login),
}

/// The settings of a tool; the URLs may have logins.
#[derive(Debug, Default)]
struct Settings {
    default: Option<String>,
    extra: Vec<String>,
    /// Pages and folders to find packages on.
    links: Vec<String>,
    /// Hosts whose certificates are not verified.
    trusted: Vec<String>,
    certificates: Option<PathBuf>,
    strategy: Option<String>,
    /// Names and URLs of indexes: variables with logins have these names.
    names: Vec<(String, String)>,
    origin: &'static str,
}

impl Indexes {
    /// Reads the indexes that would be used to install `dependencies`. `folders` are those of the project that may have
    /// settings of uv, the nearest first. [`Self::claims`] are the logins that the project's files request.
    ///
    /// # Errors
    /// A file is not TOML, a variable in the user's own settings is missing, or one host has two logins.
    pub fn read(
        environment: &PackageEnvironment,
        folders: &[PathBuf],
        dependencies: Option<&Dependencies>,
    ) -> Result<Self> {
        // uv's own dependency files have these settings themselves.
        let by_list = dependencies.is_some_and(|found| matches!(found.form, Form::Requirements | Form::None));
        let nearby: Vec<&Path> =
            if by_list { folders.iter().map(PathBuf::as_path).collect() } else { Vec::new() };
        let (uv, pip) = (uv::read(environment, &nearby)?, pip::read(environment));
        let own = Own::of(&uv::read(environment, &[])?, &pip);
        let mut all = Self { certificates: pip.certificates.clone(), ..Self::default() };
        let mut names = uv.names.clone();
        let mut hosts = all.take(if uv.says_where() { &uv } else { &pip }, &own)?;
        for written in dependencies.into_iter().flat_map(|found| &found.addresses) {
            hosts.insert(written.host.clone());
            all.add_foreign(written)?;
        }
        for text in dependencies.into_iter().flat_map(|found| found.files.values()).filter_map(read) {
            names.extend(names_in(&text));
        }
        for (name, url) in names {
            for login in of_name(environment, &name, &url) {
                if own.hosts.contains(&login.host) {
                    all.add(login)?
                } else {
                    all.asked.push(Asked::Named(login))
                }
            }
        }
        let path = environment.variables.get("NETRC").map(PathBuf::from);
        let path = path.unwrap_or_else(|| environment.home.join(".netrc"));
        if let Ok(text) = disk::text(&path, MAX_SIZE) {
            let parsed = netrc::parse(&text, &path.display().to_string());
            for login in parsed.into_iter().filter(|login| hosts.contains(&login.host)) {
                if own.hosts.contains(&login.host) {
                    all.logins.entry(login.host.clone()).or_insert(login);
                } else if !all.logins.contains_key(&login.host)
                    && !all.asked.iter().any(|asked| asked.host() == login.host)
                {
                    all.asked.push(Asked::Netrc(login));
                }
            }
        }
        Ok(all)
    }

    /// Returns the logins of the user that the project's files request, one line each.
    pub fn claims(&self) -> BTreeSet<String> {
        self.asked.iter().map(Asked::claim).collect()
    }

    /// Adds the logins of [`Self::claims`], which the user confirmed.
    ///
    /// # Errors
    /// A variable is missing, or one host has two logins.
    pub fn confirmed(mut self) -> Result<Self> {
        for asked in std::mem::take(&mut self.asked) {
            match asked {
                Asked::Written(written) => {
                    written.login(&Environment::variable)?.map(|login| self.add(login)).transpose()?;
                }
                Asked::Named(login) => self.add(login)?,
                Asked::Netrc(login) => {
                    self.logins.entry(login.host.clone()).or_insert(login);
                }
            }
        }
        Ok(self)
    }

    /// Returns the logins as a file `.netrc`; `None` if there are none.
    pub fn netrc(&self) -> Option<String> {
        (!self.logins.is_empty()).then(|| netrc::format(self.logins.values()))
    }

    /// Returns a shell script that sets the variables. `certificates` is the path of a bundle of certificates in the
    /// build.
    pub fn script(&self, certificates: Option<&str>) -> String {
        const BUNDLE: [&str; 5] =
            ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"];
        let bundle = certificates.into_iter().flat_map(|path| BUNDLE.map(|name| (name, path)));
        let variables = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let lines = variables
            .chain(bundle)
            .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")));
        lines.collect()
    }

    /// Returns the secrets, which no message may show.
    pub fn secret_words(&self) -> Vec<String> {
        let secret = |login: &Login| {
            if login.password.is_empty() { login.user.clone() } else { login.password.clone() }
        };
        // To hide a shorter one would make messages unreadable.
        self.logins.values().map(secret).filter(|word| word.len() > 3).collect()
    }

    /// Adds settings. Returns the hosts of their URLs.
    fn take(&mut self, settings: &Settings, own: &Own) -> Result<BTreeSet<String>> {
        let mut hosts = BTreeSet::new();
        let mut clean = |address: &String| -> Result<Option<String>> {
            let clean = take_out(address);
            // The build does not have this machine's folders.
            if !clean.starts_with("http://") && !clean.starts_with("https://") {
                return Ok(None);
            }
            for written in written_in(address, settings.origin) {
                if written.host == "localhost" || written.host.starts_with("127.") {
                    self.unreachable.push(clean.clone());
                }
                hosts.insert(written.host.clone());
                if own.addresses.contains(address) {
                    written.login(&Environment::variable)?.map(|login| self.add(login)).transpose()?
                } else {
                    Some(self.add_foreign(&written)?)
                };
            }
            Ok(Some(clean))
        };
        let mut list = |addresses: &[String]| -> Result<Vec<String>> {
            addresses.iter().filter_map(|address| clean(address).transpose()).collect()
        };
        let default = list(settings.default.as_slice())?.pop();
        let (extra, links) = (list(&settings.extra)?, list(&settings.links)?);
        let several = !extra.is_empty();
        let mut set = |names: [&'static str; 2], values: [String; 2]| {
            for (name, value) in names.into_iter().zip(values).filter(|(_, value)| !value.is_empty()) {
                self.variables.insert(name, value);
            }
        };
        let default = default.unwrap_or_default();
        set(["PIP_INDEX_URL", "UV_DEFAULT_INDEX"], [default.clone(), default]);
        set(["PIP_EXTRA_INDEX_URL", "UV_INDEX"], [extra.join(" "), extra.join(" ")]);
        set(["PIP_FIND_LINKS", "UV_FIND_LINKS"], [links.join(" "), links.join(",")]);
        let trusted = settings.trusted.join(" ");
        set(["PIP_TRUSTED_HOST", "UV_INSECURE_HOST"], [trusted.clone(), trusted]);
        if let Some(strategy) = settings.strategy.clone().filter(|_| several) {
            self.variables.insert("UV_INDEX_STRATEGY", strategy);
        }
        Ok(hosts)
    }

    /// Adds the login of a URL in the project's files. A login with variables of the user is only requested.
    fn add_foreign(&mut self, written: &Written) -> Result<()> {
        if written.variables().is_empty() {
            written.login(&|_| None)?.map_or(Ok(()), |login| self.add(login))
        } else {
            self.asked.push(Asked::Written(written.clone()));
            Ok(())
        }
    }

    fn add(&mut self, login: Login) -> Result<()> {
        match self.logins.get(&login.host) {
            Some(known) if (&known.user, &known.password) != (&login.user, &login.password) => {
                let (host, one, other) = (&login.host, &known.origin, &login.origin);
                Err(Error::new(Kind::Invalid, format!("two logins for {host}: from {one} and from {other}"))
                    .hint("use the same login in both: a build has one for each host"))
            }
            _ => {
                self.logins.insert(login.host.clone(), login);
                Ok(())
            }
        }
    }
}

/// The URLs and hosts in the user's own settings of pip and uv.
struct Own {
    addresses: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Own {
    fn of(uv: &Settings, pip: &Settings) -> Self {
        let of = |settings: &Settings| {
            let named = settings.names.iter().map(|(_, url)| url.clone());
            let all = settings.default.iter().chain(&settings.extra).chain(&settings.links).cloned();
            all.chain(named).collect::<Vec<_>>()
        };
        let addresses: BTreeSet<String> = [of(uv), of(pip)].concat().into_iter().collect();
        let hosts = addresses.iter().flat_map(|address| written_in(address, "")).map(|written| written.host);
        Self { hosts: hosts.collect(), addresses }
    }
}

impl Asked {
    fn host(&self) -> &str {
        match self {
            Self::Written(written) => &written.host,
            Self::Named(login) | Self::Netrc(login) => &login.host,
        }
    }

    fn claim(&self) -> String {
        let host = self.host();
        match self {
            Self::Written(written) => {
                let names: Vec<&str> = written.variables().into_iter().collect();
                format!("login to {host} with your variable {} (in {})", names.join(" and "), written.origin)
            }
            Self::Named(login) => format!("login to {host} with your variables {}", login.origin),
            Self::Netrc(login) => format!("login to {host} with {}", login.origin),
        }
    }
}

impl Settings {
    fn says_where(&self) -> bool {
        self.default.is_some() || !self.extra.is_empty() || !self.links.is_empty()
    }
}

/// Returns the text of a dependency file, without logins.
fn read(content: &Content) -> Option<String> {
    match content {
        Content::Text(text) => Some(text.clone()),
        Content::File(file) => match &file.cleaned {
            Some(text) => Some(String::from_utf8_lossy(text).into_owned()),
            None if is_list(&file.path) => disk::text(&file.source, MAX_SIZE).ok(),
            None => None,
        },
    }
}

/// Returns the indexes that a project names, for uv or for Poetry.
fn names_in(text: &str) -> Vec<(String, String)> {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let tool = table.get("tool");
    let lists = [
        table.get("index"),
        tool.and_then(|tool| tool.get("uv")?.get("index")),
        tool.and_then(|tool| tool.get("poetry")?.get("source")),
    ];
    let entries = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    entries.filter_map(|entry| Some((text(entry, "name")?, text(entry, "url")?))).collect()
}

/// Returns the login of a named index in `UV_INDEX_NAME_USERNAME` and `…_PASSWORD`, or `POETRY_HTTP_BASIC_NAME_…`.
fn of_name(environment: &PackageEnvironment, name: &str, url: &str) -> Vec<Login> {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let of = |start: &str| {
        let get = |end: &str| environment.variables.get(&format!("{start}_{name}_{end}")).cloned();
        let (user, password) = (get("USERNAME"), get("PASSWORD"));
        if user.is_none() && password.is_none() {
            return None;
        }
        Some(Login {
            host: written_in(url, "").into_iter().next()?.host,
            user: user.unwrap_or_default(),
            password: password.unwrap_or_default(),
            origin: format!("{start}_{name}_…"),
        })
    };
    ["UV_INDEX", "POETRY_HTTP_BASIC"].into_iter().find_map(of).into_iter().collect()
}
