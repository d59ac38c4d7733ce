//! Finds the URLs in a dependency file that packages come from: indexes, pages of links, packages. URLs in comments, or of
//! a project's homepage, do not count: an installation does not log in there.

use toml::Value;

use super::requirements::logical_lines;

/// Keys with such URLs in the TOML files of uv, Poetry, PDM, Pipenv and pixi.
const KEYS: [&str; 11] = [
    "url",
    "git",
    "file",
    "registry",
    "index",
    "index-url",
    "extra-index-url",
    "extra-index-urls",
    "find-links",
    "default",
    "channels",
];
/// Tables that only describe the project.
const TOLD: [&str; 4] = ["urls", "readme", "authors", "license"];
/// Options of pip that take such a URL.
const OPTIONS: [&str; 7] =
    ["-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-e", "--editable"];

/// Returns the parts of a file's text with such URLs.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    match text.parse::<toml::Table>() {
        Ok(table) => walk("", &Value::Table(table), &mut found),
        Err(_) => found.extend(logical_lines(text).into_iter().filter(|line| is_source(line))),
    }
    found
}

fn walk(key: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Table(members) => {
            for (key, member) in members.iter().filter(|(key, _)| !TOLD.contains(&key.as_str())) {
                walk(key, member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(key, item, found)),
        Value::String(text) => {
            let named = KEYS.contains(&key.replace('_', "-").as_str());
            // Only in a list is a plain URL a package.
            let is_package = || is_requirement(text) && !text.starts_with("http");
            if text.contains("://") && (named || is_package()) {
                found.push(text.clone());
            }
        }
        _ => {}
    }
}

/// Whether a line of a list names such a URL.
fn is_source(line: &str) -> bool {
    let first = line.split([' ', '\t', '=']).next().unwrap_or_default();
    // A short option and its value may be one word.
    let is_it = |option: &&str| first == *option || option.len() == 2 && line.starts_with(*option);
    line.contains("://") && (OPTIONS.iter().any(is_it) || is_requirement(line))
}

/// Whether a text is `name @ https://…`, or a URL alone.
fn is_requirement(text: &str) -> bool {
    let Some((before, _)) = text.split_once("://") else { return false };
    let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let name = before.trim_end_matches(scheme).trim_end();
    name.is_empty() || name.ends_with('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_packages_are_found_in_a_list() {
        let text = "# https://in.a.comment/\n\
                    --index-url https://index/simple  # https://behind/\n\
                    -ihttps://glued/simple\n--extra-index-url=https://extra/simple\n-f https://links/\n\
                    --trusted-host https://host\n-e git+https://editable/x.git\n\
                    a @ https://direct/a.whl\ngit+https://git/x.git#egg=x\nb>=1 ; extra == 'https://marker'\n\
                    c \\\n  @ https://joined/c.whl\n";
        let found = of(text);
        let hosts: Vec<&str> =
            found.iter().map(|text| text.split("://").nth(1).unwrap().split('/').next().unwrap()).collect();
        assert_eq!(hosts, ["index", "glued", "extra", "links", "editable", "direct", "git", "joined"]);
    }

    #[test]
    fn urls_of_packages_are_found_in_toml() {
        let text = "# https://in.a.comment\n[project]\ndescription = 'see https://described'\n\
                    dependencies = ['a @ git+https://direct/a.git', 'b']\n[project.urls]\nurl = 'https://home'\n\
                    [[tool.uv.index]]\nname = 'x'\nurl = 'https://index'\n\
                    [tool.uv]\nextra-index-url = ['https://extra']\n[tool.uv.sources]\nc = { git = 'https://git/c' }\n\
                    [tool.other]\nproxy = 'https://proxy'\n";
        let mut found = of(text);
        found.sort();
        assert_eq!(
            found,
            ["a @ git+https://direct/a.git", "https://extra", "https://git/c", "https://index"]
        );
    }
}
