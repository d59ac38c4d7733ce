//! Reads uv's configuration: its environment variables, then its files, the nearest first.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{MAX_SIZE, Settings};
use crate::{
    disk,
    environment::PackageEnvironment,
    error::{Error, Result, toml_problem},
};

/// Reads the settings. `nearby` are the folders whose own files apply as well, the nearest first.
pub(super) fn read(environment: &PackageEnvironment, nearby: &[&Path]) -> Result<Settings> {
    let mut settings = Settings { origin: "uv's configuration", ..Settings::default() };
    let variable = |name: &str| environment.variables.get(name).cloned();
    settings.default = variable("UV_DEFAULT_INDEX").or_else(|| variable("UV_INDEX_URL"));
    for name in ["UV_INDEX", "UV_EXTRA_INDEX_URL"] {
        let list = variable(name).unwrap_or_default();
        list.split_whitespace().for_each(|index| settings.add(index));
    }
    if let Some(index) = settings.default.take() {
        settings.default = Some(settings.named(&index));
    }
    settings.links = list_of(variable("UV_FIND_LINKS"), ',');
    settings.trusted = list_of(variable("UV_INSECURE_HOST"), ' ');
    settings.strategy = variable("UV_INDEX_STRATEGY");
    let own = match variable("UV_CONFIG_FILE") {
        Some(path) => vec![PathBuf::from(path)],
        None if variable("UV_NO_CONFIG").is_some() => Vec::new(),
        None => {
            let mut near = None;
            for folder in nearby {
                let (own, project) = (folder.join("uv.toml"), folder.join("pyproject.toml"));
                // A pyproject.toml may be for other tools, and they report its errors.
                if table(&own)?.is_some() {
                    near = Some(own);
                } else if table(&project).is_ok_and(|table| table.is_some()) {
                    near = Some(project);
                }
                if near.is_some() {
                    break;
                }
            }
            let wide = [environment.config.join("uv/uv.toml"), "/etc/uv/uv.toml".into()];
            near.into_iter().chain(wide).collect()
        }
    };
    for path in own {
        if let Some(table) = table(&path)? {
            settings.take(&table);
        }
    }
    Ok(settings)
}

/// Returns the settings of uv in a file.
fn table(path: &Path) -> Result<Option<Table>> {
    let Some(bytes) = disk::optional(path, MAX_SIZE)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let table: Table = text.parse().map_err(|error| {
        Error::invalid(format!("{} is not valid TOML", path.display()))
            .hint("fix its syntax")
            .source(toml_problem(&text, &error))
    })?;
    if !path.ends_with("pyproject.toml") {
        return Ok(Some(table));
    }
    Ok(table.get("tool").and_then(|tool| tool.get("uv")).and_then(Value::as_table).cloned())
}

fn list_of(value: Option<String>, separator: char) -> Vec<String> {
    let value = value.unwrap_or_default();
    value.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

impl Settings {
    fn add(&mut self, index: &str) {
        let url = self.named(index);
        self.extra.push(url);
    }

    /// Returns the URL of `name=url`, or a URL alone.
    fn named(&mut self, index: &str) -> String {
        match index.split_once('=').filter(|(name, _)| !name.contains("://")) {
            Some((name, url)) => {
                self.names.push((name.to_owned(), url.to_owned()));
                url.to_owned()
            }
            None => index.to_owned(),
        }
    }

    /// Adds the settings of a file with lower precedence.
    fn take(&mut self, table: &Table) {
        let text = |table: &Table, key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
        let list = |table: &Table, key: &str| -> Vec<String> {
            let values = table.get(key).and_then(Value::as_array).into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let pip = table.get("pip").and_then(Value::as_table);
        for table in [Some(table), pip].into_iter().flatten() {
            for index in table.get("index").and_then(Value::as_array).into_iter().flatten() {
                let Some(url) = index.get("url").and_then(Value::as_str) else { continue };
                if let Some(name) = index.get("name").and_then(Value::as_str) {
                    self.names.push((name.to_owned(), url.to_owned()));
                }
                let says = |key: &str| index.get(key).and_then(Value::as_bool).unwrap_or(false);
                if says("default") {
                    self.default.get_or_insert_with(|| url.to_owned());
                } else if !says("explicit") {
                    self.extra.push(url.to_owned());
                }
            }
            if let Some(url) = text(table, "index-url") {
                self.default.get_or_insert(url);
            }
            if let Some(strategy) = text(table, "index-strategy") {
                self.strategy.get_or_insert(strategy);
            }
            self.extra.extend(list(table, "extra-index-url"));
            self.links.extend(list(table, "find-links"));
            self.trusted.extend(list(table, "allow-insecure-host"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn variables_take_precedence_over_files_and_near_files_over_others() {
        let folder = tempfile::tempdir().unwrap();
        let near = folder.path().join("project");
        for path in ["project", "config/uv"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let text = "[tool.uv]\nextra-index-url = ['https://near']\n\
                    [[tool.uv.index]]\nname = 'only'\nurl = 'https://only'\nexplicit = true\n";
        fs::write(near.join("pyproject.toml"), text).unwrap();
        let text = "index-url = 'https://user'\nfind-links = ['/wheels']\n\
                    [[index]]\nname = 'corp'\nurl = 'https://corp'\n";
        fs::write(folder.path().join("config/uv/uv.toml"), text).unwrap();
        let mut environment = PackageEnvironment {
            config: folder.path().join("config"),
            home: folder.path().into(),
            variables: [("UV_INDEX".to_owned(), "first=https://first".to_owned())].into(),
        };
        let settings = read(&environment, &[&near]).unwrap();
        assert_eq!(settings.extra, ["https://first", "https://near", "https://corp"]);
        assert_eq!(settings.default.as_deref(), Some("https://user"));
        let names: Vec<&str> = settings.names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["first", "only", "corp"]);
        environment.variables.insert("UV_DEFAULT_INDEX".into(), "https://variable".into());
        assert_eq!(read(&environment, &[]).unwrap().default.as_deref(), Some("https://variable"));
        fs::write(folder.path().join("config/uv/uv.toml"), "index-url = 'https://a:secret@b").unwrap();
        assert!(!read(&environment, &[]).unwrap_err().chain().contains("secret"));
    }
}
