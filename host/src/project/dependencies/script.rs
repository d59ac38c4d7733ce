//! Reads the header of a script (`# /// script`, PEP 723), in which the script itself declares its dependencies.

use std::path::Path;

use toml::{Table, Value};

use super::{Form, Gathered, Said, requirements};
use crate::error::{Error, Result, toml_problem};

/// The lines between `# /// script` and `# ///`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header(String);

/// Returns the header of a script; `None` if it has none.
pub(super) fn header(script: &str) -> Option<Header> {
    let mut lines = script.lines().skip_while(|line| line.trim_end() != "# /// script").skip(1);
    let mut text = String::new();
    loop {
        let line = lines.next()?;
        if line.trim_end() == "# ///" {
            return Some(Header(text));
        }
        text.push_str(line.strip_prefix("# ").or_else(|| line.strip_prefix('#'))?);
        text.push('\n');
    }
}

/// Makes a requirements file from the header.
pub(super) fn read(gathered: &mut Gathered<'_>, path: &Path, main: &str, header: &Header) -> Result<Said> {
    let table: Table = header.0.parse().map_err(|error| {
        Error::invalid(format!("the `# /// script` header of {} is not valid TOML", path.display()))
            .hint("fix the lines between `# /// script` and `# ///`")
            .source(toml_problem(&header.0, &error))
    })?;
    let lines: Vec<String> = strings(table.get("dependencies"));
    requirements::take(gathered, path, &lines.join("\n"))?;
    let name = gathered.write(main, &lines);
    let python = table.get("requires-python").and_then(Value::as_str).map(str::to_owned);
    let mut said = Said::new(Form::Requirements, name, python);
    if table.get("tool").and_then(|tool| tool.get("uv")).and_then(|uv| uv.get("sources")).is_some() {
        said.notes.push(format!("{main}: [tool.uv.sources] in its header is not used"));
    }
    Ok(said)
}

/// Returns the strings of a list.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_between_its_marks() {
        let script = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.9\"\n#\n# dependencies = [\"six\"]\n# ///\nimport six\n";
        let expected = "requires-python = \">=3.9\"\n\ndependencies = [\"six\"]\n";
        assert_eq!(header(script), Some(Header(expected.into())));
        assert_eq!(header("import six\n"), None);
        assert_eq!(header("# /// script\n# dependencies = []\nimport six\n"), None, "it has no end");
    }
}
