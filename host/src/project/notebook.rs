//! Checks a notebook before anything is built, and finds errors that papermill would only report afterwards.

use std::{io::BufReader, ops::RangeInclusive, path::Path};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::error::Category;

use super::files;
use crate::{
    disk,
    error::{Error, Result},
};

/// Maximum size of a notebook in bytes: it is written again after every cell, which would take longer than most cells.
const MAX_BYTES: u64 = 100 << 20;

/// The formats that nbformat can upgrade, which the runner uses.
const FORMATS: RangeInclusive<u64> = 2..=4;

/// The parts of a notebook that matter; outputs are skipped while reading, however large. Parts that a run does not
/// need, such as the metadata, may be missing or have another type: the runner repairs them.
#[derive(Debug, Deserialize)]
pub(super) struct Notebook {
    nbformat: Option<u64>,
    #[serde(default)]
    metadata: Lenient<Metadata>,
    cells: Option<Vec<Cell>>,
    /// The cells in formats before 4.
    worksheets: Option<Vec<Worksheet>>,
}

#[derive(Debug, Deserialize)]
struct Worksheet {
    #[serde(default)]
    cells: Vec<Cell>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    kernelspec: Lenient<Kernel>,
    #[serde(default)]
    language_info: Lenient<Language>,
}

#[derive(Debug, Default, Deserialize)]
struct Kernel {
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    language: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Language {
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    version: Lenient<Version>,
}

/// A version as text, or as a number, as some tools write it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Version {
    Text(String),
    Number(f64),
}

/// A value, or anything else in its place.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Value(T),
    Other(IgnoredAny),
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl<T> Lenient<T> {
    fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Cell {
    cell_type: Option<String>,
    /// Called `input` in formats before 4.
    #[serde(alias = "input")]
    source: Option<Source>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Source {
    Text(String),
    Lines(Vec<String>),
}

impl Notebook {
    /// Reads and checks a notebook.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let cannot_read = |error| files::unreadable(path, error);
        let file = disk::open(path).map_err(cannot_read)?;
        let size = file.metadata().map_err(cannot_read)?.len();
        let wrong = |problem: &str| Error::invalid(format!("{} {problem}", path.display()));
        let save_again = "open it in Jupyter and save it again";
        if size == 0 {
            return Err(wrong("is empty: it was never saved").hint(save_again));
        }
        if size > MAX_BYTES {
            return Err(wrong(&format!("has {} MiB, most of it outputs of earlier runs", size >> 20))
                .hint("clear the outputs: `jupyter nbconvert --clear-output --inplace NOTEBOOK`"));
        }
        let notebook: Self =
            serde_json::from_reader(BufReader::with_capacity(1 << 20, file)).map_err(|error| {
                let problem = match error.classify() {
                    Category::Io => return cannot_read(error.into()),
                    Category::Eof => "is not a notebook: the file is incomplete",
                    Category::Syntax => "is not a notebook: it is not JSON",
                    Category::Data => "is not a notebook",
                };
                wrong(problem).source(error).hint(save_again)
            })?;
        if let Some(problem) = notebook.problem() {
            return Err(wrong(&problem).hint(save_again));
        }
        let language = notebook.language();
        let says_python2 = |language: &str| language.starts_with("python 2") || language == "python2";
        if language.as_deref().is_some_and(says_python2)
            || notebook.code().any(|cell| prints_as_python2(&cell))
        {
            return Err(wrong("is a Python 2 notebook")
                .hint("choose a Python 3 kernel in Jupyter, fix what no longer works, and save it"));
        }
        match language {
            Some(language) if !language.contains("python") => {
                Err(wrong(&format!("is a notebook in {language}")).hint("use a Python notebook"))
            }
            _ => Ok(notebook),
        }
    }

    /// Returns a problem that the runner cannot repair, if there is one.
    fn problem(&self) -> Option<String> {
        let format = match self.nbformat {
            Some(format) if FORMATS.contains(&format) => format,
            Some(format) => {
                return Some(format!(
                    "has the notebook format {format}: formats {} to {} are supported",
                    FORMATS.start(),
                    FORMATS.end()
                ));
            }
            None => {
                return Some("is not a notebook: it has no `nbformat`".into());
            }
        };
        if format == 4 && self.cells.is_none() {
            return Some("is not a notebook: it has no `cells`".into());
        }
        self.cells().enumerate().find_map(|(number, cell)| {
            let missing = match cell.cell_type.as_deref() {
                None => "cell_type",
                Some("code" | "markdown" | "raw") if cell.source.is_none() => "source",
                Some(_) => return None,
            };
            Some(format!("is not a notebook: cell {} has no `{missing}`", number + 1))
        })
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        let of_worksheets = self.worksheets.iter().flatten().flat_map(|sheet| &sheet.cells);
        self.cells.iter().flatten().chain(of_worksheets)
    }

    /// Returns its language; `None` if it has no kernel yet.
    fn language(&self) -> Option<String> {
        let metadata = self.metadata.get();
        let of_kernel = metadata.and_then(|metadata| metadata.kernelspec.get()).and_then(|kernel| {
            let python2 = kernel.name.get().filter(|name| name.as_str() == "python2");
            python2.or(kernel.language.get()).cloned()
        });
        let of_code = metadata.and_then(|metadata| metadata.language_info.get()).and_then(|language| {
            let version = match language.version.get() {
                Some(Version::Text(text)) => text.clone(),
                Some(Version::Number(number)) => number.to_string(),
                None => String::new(),
            };
            Some(format!("{} {version}", language.name.get()?).trim().to_owned())
        });
        let is_python2 = |language: &Option<String>| {
            language
                .as_ref()
                .is_some_and(|language| language == "python2" || language.starts_with("python 2"))
        };
        // Some editors write a fixed version beside the kernel that they start.
        let kernel = metadata.and_then(|metadata| metadata.kernelspec.get());
        let is_python3 = kernel.and_then(|kernel| kernel.name.get()).is_some_and(|name| name == "python3");
        let language = if is_python2(&of_code) && !is_python3 { of_code } else { of_kernel.or(of_code) };
        language.map(|language| language.to_lowercase())
    }

    /// Returns the code of its cells.
    pub(super) fn code(&self) -> impl Iterator<Item = String> {
        let code = self.cells().filter(|cell| cell.cell_type.as_deref() == Some("code"));
        code.filter_map(|cell| cell.source.as_ref()).map(|source| match source {
            Source::Text(text) => text.clone(),
            Source::Lines(lines) => lines.concat(),
        })
    }
}

/// Whether a cell has `print "text"`, which Python 3 does not accept. Stops at the first multi-line string, which may
/// contain anything.
fn prints_as_python2(cell: &str) -> bool {
    let is_print = |line: &str| {
        let text = line.trim_start().strip_prefix("print ").map(str::trim_start);
        text.is_some_and(|text| text.starts_with(['"', '\'']))
    };
    let of_another_language = cell.trim_start().starts_with("%%");
    !of_another_language
        && cell.lines().take_while(|line| !line.contains("\"\"\"") && !line.contains("'''")).any(is_print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ipynb");
        std::fs::write(&path, text).unwrap();
        Notebook::read(&path).map(|notebook| notebook.code().collect())
    }

    #[test]
    fn code_is_read_with_or_without_a_kernel() {
        let cells = r#""cells": [{"cell_type": "markdown", "source": "import no"},
            {"cell_type": "code", "source": ["import a\n", "b"], "outputs": [{"data": {"x": [1, {"y": 2}]}}]},
            {"cell_type": "code", "source": "c"}]"#;
        for metadata in [
            "{}",
            r#"{"kernelspec": {"name": "python3", "language": "python"}}"#,
            r#"{"kernelspec": {"name": "my-env", "display_name": "Mine"}, "language_info": {"name": "python"}}"#,
        ] {
            let text = format!(r#"{{"nbformat": 4, "metadata": {metadata}, {cells}}}"#);
            assert_eq!(read(&text).unwrap(), ["import a\nb", "c"], "{metadata}");
        }
    }

    #[test]
    fn parts_that_other_tools_leave_out_may_be_missing() {
        let cell = r#"{"cell_type": "code", "source": "a"}"#;
        for text in [
            format!(r#"{{"nbformat": 4, "cells": [{cell}]}}"#),
            format!(r#"{{"nbformat": 4, "nbformat_minor": 5, "metadata": null, "cells": [{cell}]}}"#),
            format!(r#"{{"nbformat": 4, "metadata": {{"kernelspec": [], "language_info": {{"name": "python", "version": 3.8}}}}, "cells": [{cell}]}}"#),
            r#"{"nbformat": 3, "metadata": {"name": ""}, "worksheets": [{"cells": [{"cell_type": "heading", "level": 1},
                {"cell_type": "code", "input": ["a"], "language": "python"}]}]}"#.to_owned(),
        ] {
            assert_eq!(read(&text).unwrap(), ["a"], "{text}");
        }
        // PyCharm writes a fixed version beside the kernel.
        let pycharm = r#"{"nbformat": 4, "metadata": {"kernelspec": {"name": "python3", "language": "python"},
            "language_info": {"name": "python", "version": "2.7.6"}}, "cells": []}"#;
        assert!(read(pycharm).unwrap().is_empty());
        let old = r#"{"nbformat": 4, "metadata": {"language_info": {"name": "python", "version": 2.7}}, "cells": []}"#;
        assert!(read(old).unwrap_err().message().contains("Python 2"));
    }

    #[test]
    fn a_notebook_that_cannot_run_is_an_error() {
        for (text, problem) in [
            ("", "is empty"),
            ("print(1)", "it is not JSON"),
            (r#"{"nbformat": 4, "cells": [{"cell_type": "co"#, "the file is incomplete"),
            (r#"{"nbformat": 4, "cells": [{"cell_type": "code"}]}"#, "is not a notebook"),
            ("[]", "is not a notebook"),
            (r#"{"nbformat": 1, "cells": []}"#, "the notebook format 1"),
            (r#"{"nbformat": 5, "cells": []}"#, "the notebook format 5"),
            (r#"{"cells": []}"#, "it has no `nbformat`"),
            (r#"{"nbformat": 4}"#, "it has no `cells`"),
            (r#"{"nbformat": 4, "cells": [{"source": ""}]}"#, "cell 1 has no `cell_type`"),
            (r#"{"nbformat": 4, "cells": [{"cell_type": "code"}]}"#, "cell 1 has no `source`"),
            (
                r#"{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"name": "python2"}}}"#,
                "is a Python 2 notebook",
            ),
            (
                r#"{"nbformat": 4, "cells": [], "metadata": {"language_info": {"name": "python", "version": "2.7.18"}}}"#,
                "is a Python 2 notebook",
            ),
            (
                r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": "print 'x'"}]}"#,
                "is a Python 2 notebook",
            ),
            (
                r#"{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"name": "ir", "language": "R"}}}"#,
                "in r",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message().contains(problem), "{text}: {}", error.message());
            assert!(error.hint_text().is_some(), "{text}");
        }
    }
}
