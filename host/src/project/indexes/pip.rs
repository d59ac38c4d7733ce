//! Reads pip's configuration: its files in order, then its environment variables.

use std::{collections::BTreeMap, path::PathBuf};

use super::{MAX_SIZE, Settings};
use crate::{disk, environment::PackageEnvironment};

/// The sections that apply to an installation; the last one takes precedence.
const SECTIONS: [&str; 2] = ["global", "install"];

pub(super) fn read(environment: &PackageEnvironment) -> Settings {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    for path in files(environment) {
        let Ok(text) = disk::text(&path, MAX_SIZE) else { continue };
        for section in SECTIONS {
            options.extend(section_of(&text, section));
        }
    }
    for (name, value) in &environment.variables {
        if let Some(name) = name.strip_prefix("PIP_") {
            options.insert(name.to_lowercase().replace('_', "-"), value.clone());
        }
    }
    let list = |key: &str| -> Vec<String> {
        options.get(key).into_iter().flat_map(|value| value.split_whitespace()).map(str::to_owned).collect()
    };
    Settings {
        default: options.get("index-url").cloned(),
        extra: list("extra-index-url"),
        links: list("find-links"),
        trusted: list("trusted-host"),
        certificates: options.get("cert").map(PathBuf::from),
        // pip takes the best version of all indexes, and its users rely on that.
        strategy: Some("unsafe-best-match".to_owned()),
        origin: "pip's configuration",
        ..Settings::default()
    }
}

fn files(environment: &PackageEnvironment) -> Vec<PathBuf> {
    let own = environment.variables.get("PIP_CONFIG_FILE").map(PathBuf::from);
    if own.as_ref().is_some_and(|path| path.as_os_str() == "/dev/null") {
        return Vec::new();
    }
    let (home, config) = (&environment.home, &environment.config);
    let mut all: Vec<PathBuf> = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"].map(PathBuf::from).into();
    all.extend([home.join(".pip/pip.conf"), config.join("pip/pip.conf")]);
    all.extend(environment.variables.get("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("pip.conf")));
    all.extend(own);
    all
}

/// Returns the options of one section, as Python's `configparser` reads them: indented lines continue a value.
pub(in crate::project) fn section_of(text: &str, section: &str) -> BTreeMap<String, String> {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let mut inside = false;
    let mut key = None;
    for line in text.lines() {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = plain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (inside, key) = (name == section, None);
        } else if let Some(open) = key.as_ref().filter(|_| line.starts_with([' ', '\t'])) {
            let value: &mut String = options.entry(String::clone(open)).or_default();
            value.push('\n');
            value.push_str(plain);
        } else if let Some((name, value)) = plain.split_once(['=', ':']).filter(|_| inside) {
            let name = name.trim().to_lowercase().replace('_', "-");
            options.insert(name.clone(), value.trim().to_owned());
            key = Some(name);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn later_settings_take_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("pip");
        fs::create_dir(&config).unwrap();
        let text = "[install]\nindex-url = https://b/simple\n[global]\nindex-url: https://a/simple\n# no\n\
                    trusted_host = a\n    b\nextra-index-url =\n  https://c\n  https://d\n[list]\nindex-url = no\n";
        fs::write(config.join("pip.conf"), text).unwrap();
        let mut environment = PackageEnvironment {
            config: folder.path().into(),
            home: folder.path().into(),
            variables: BTreeMap::new(),
        };
        let settings = read(&environment);
        assert_eq!(settings.default.as_deref(), Some("https://b/simple"));
        assert_eq!(
            (settings.trusted, settings.extra),
            (vec!["a".into(), "b".into()], vec!["https://c".into(), "https://d".into()])
        );
        environment.variables.insert("PIP_INDEX_URL".into(), "https://e".into());
        assert_eq!(read(&environment).default.as_deref(), Some("https://e"));
        environment.variables.insert("PIP_CONFIG_FILE".into(), "/dev/null".into());
        assert_eq!(read(&environment).extra, [""; 0]);
    }
}
