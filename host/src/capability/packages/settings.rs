//! The settings of uv that a project may make: where to find packages, and which versions to choose. Others, such as the
//! interpreter to run, would let a project run its own code here.

use toml::{Table, Value};

/// The settings of `[tool.uv]` that are used.
const USED: [&str; 7] = [
    "index",
    "index-url",
    "extra-index-url",
    "index-strategy",
    "prerelease",
    "constraint-dependencies",
    "override-dependencies",
];

/// The text of a `uv.toml` with the settings of a `pyproject.toml`.
pub(super) fn of(pyproject: &str) -> String {
    let Ok(table) = pyproject.parse::<Table>() else { return String::new() };
    let uv = table.get("tool").and_then(|tool| tool.get("uv")).and_then(Value::as_table);
    let mut settings: Table = uv
        .into_iter()
        .flatten()
        .filter(|(key, _)| USED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let is_web = |value: &Value| {
        value.as_str().is_some_and(|text| text.starts_with("https://") || text.starts_with("http://"))
    };
    // A folder of this machine is no index.
    if let Some(indexes) = settings.get_mut("index").and_then(Value::as_array_mut) {
        indexes.retain(|index| index.get("url").is_some_and(is_web));
    }
    settings.retain(|key, value| match (key, value.as_array()) {
        ("index-url", _) => is_web(value),
        ("extra-index-url", Some(list)) => list.iter().all(is_web),
        _ => true,
    });
    settings.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_chooses_indexes_and_versions_but_no_program() {
        let text = "[project]\nname = 'a'\n[tool.uv]\nprerelease = 'allow'\ncache-dir = '/x'\n\
                    [tool.uv.pip]\npython = './evil'\n[[tool.uv.index]]\nname = 'torch'\nurl = 'https://a.example/cpu'\n\
                    explicit = true\n[[tool.uv.index]]\nname = 'here'\nurl = '/home/user'\n";
        let table: Table = of(text).parse().unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["index", "prerelease"]);
        assert_eq!(table["index"].as_array().unwrap().len(), 1);
        assert_eq!(of("not toml ["), "");
    }
}
