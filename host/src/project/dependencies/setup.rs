//! Reads `setup.cfg` and `setup.py`.

use std::path::Path;

use super::{Form, Gathered, Said, requirements, text};
use crate::{error::Result, project::indexes};

/// Reads `[options]` of a `setup.cfg`; `None` if it lists nothing.
pub(super) fn cfg(gathered: &mut Gathered<'_>, path: &Path, main: &str) -> Result<Option<Said>> {
    let options = indexes::section_of(&text(path)?, "options");
    let Some(list) = options.get("install-requires") else { return Ok(None) };
    let python = options.get("python-requires").cloned();
    if let Some(file) = list.trim().strip_prefix("file:") {
        let mut said = Said::new(Form::Requirements, main.to_owned(), python);
        let listed = path.parent().unwrap_or(path).join(file.split(',').next().unwrap_or(file).trim());
        requirements::read(gathered, &listed)?;
        said.main = gathered.inside(&listed)?;
        return Ok(Some(said));
    }
    let lines: Vec<String> =
        list.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    requirements::take(gathered, path, &lines.join("\n"))?;
    Ok(Some(Said::new(Form::Requirements, gathered.write(main, &lines), python)))
}

/// Reads a `setup.py` without running it. If it has to be run, the image runs it with its whole folder. `None` if it
/// lists nothing.
pub(super) fn py(gathered: &mut Gathered<'_>, path: &Path, main: String) -> Result<Option<Said>> {
    let text = text(path)?;
    let Some(said) = arguments(&text) else { return Ok(None) };
    let Some(lines) = said.requires else {
        if !said.has_requires {
            return Ok(None);
        }
        gathered.add(path.parent().unwrap_or(path))?;
        return Ok(Some(Said::new(Form::Pyproject, main, said.python)));
    };
    requirements::take(gathered, path, &lines.join("\n"))?;
    Ok(Some(Said::new(Form::Requirements, gathered.write(&main, &lines), said.python)))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    /// Whether there is a list of requirements.
    has_requires: bool,
    /// The list, if it can be read without running anything.
    requires: Option<Vec<String>>,
    python: Option<String>,
}

/// Reads the arguments of the call of `setup`; `None` if there is no call.
fn arguments(text: &str) -> Option<Arguments> {
    let (_, call) = text.split_once("setup(")?;
    let argument = |name: &str| {
        let (_, rest) = call.split_once(name)?;
        Some(rest.trim_start().strip_prefix('=')?.trim_start())
    };
    let requires = argument("install_requires");
    let list = requires.and_then(|value| {
        let name: String = value.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_name = value[name.len()..].trim_start().starts_with([',', ')']) && !name.is_empty();
        // The list can be a variable that was assigned before.
        if is_name {
            texts(text.lines().enumerate().find_map(|(number, line)| {
                let rest = line.strip_prefix(name.as_str())?.trim_start().strip_prefix('=')?;
                let start = text.lines().take(number).map(|line| line.len() + 1).sum::<usize>() + line.len()
                    - rest.len();
                text.get(start..)
            })?)
        } else {
            texts(value)
        }
    });
    // `**settings` may contain a list.
    let is_dynamic = call.contains("**");
    let python = argument("python_requires").and_then(one).map(|(text, _)| text.to_owned());
    Some(Arguments { has_requires: requires.is_some() || is_dynamic, requires: list, python })
}

/// Reads a list of strings at the beginning of `value`; `None` if it has to be computed.
fn texts(value: &str) -> Option<Vec<String>> {
    let mut rest = value.trim_start().strip_prefix(['[', '('])?;
    let mut list = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix('#') {
            rest = comment.split_once('\n')?.1;
        } else if let Some(end) = rest.strip_prefix([']', ')']) {
            // Something is added to the list, which cannot be read here.
            return if end.trim_start().starts_with(['+', '.']) { None } else { Some(list) };
        } else {
            let (text, after) = one(rest)?;
            list.push(text.to_owned());
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None if after.starts_with([']', ')', '#']) => after,
                None => return None,
            };
        }
    }
}

/// Returns the string in quotes at the beginning of `value`, and the rest.
fn one(value: &str) -> Option<(&str, &str)> {
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    value[1..].split_once(quote).filter(|(text, _)| !text.contains(['\\', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_is_read_or_has_to_be_run() {
        let list = |requires: &[&str]| Some(requires.iter().map(|&text| text.to_owned()).collect());
        let found = arguments(
            "from setuptools import setup\nsetup(name='x', install_requires=['six==1.16.0', 'idna'])\n",
        );
        assert_eq!(found.unwrap().requires, list(&["six==1.16.0", "idna"]));
        let named = "import setuptools\nNEEDS = ['six']\nsetuptools.setup(install_requires=NEEDS, python_requires='>=3.8')\n";
        let found = arguments(named).unwrap();
        assert_eq!((found.requires, found.python.as_deref()), (list(&["six"]), Some(">=3.8")));
        let read =
            "from setuptools import setup\nsetup(install_requires=open('requirements.txt').read().split())\n";
        let found = arguments(read).unwrap();
        assert_eq!((found.has_requires, found.requires), (true, None), "it has to be run");
        assert!(!arguments("from setuptools import setup\nsetup(name='x')\n").unwrap().has_requires);
        assert_eq!(arguments("print('no setup')\n"), None);
    }
}
