//! A notebook looked at before anything is built: what papermill would say only afterwards is found out now.

use std::{io::BufReader, path::Path};

use serde::Deserialize;
use serde_json::error::Category;

use super::files;
use crate::{
    disk,
    error::{Error, Result},
};

/// It is written anew after every cell: beyond this size that would take longer than most cells.
const MOST_BYTES: u64 = 100 << 20;

/// What counts of a notebook; outputs, however large, are skipped while reading.
#[derive(Debug, Deserialize)]
pub(super) struct Notebook {
    nbformat: u64,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    cells: Vec<Cell>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    kernelspec: Option<Kernel>,
    language_info: Option<Language>,
}

#[derive(Debug, Deserialize)]
struct Kernel {
    name: Option<String>,
    language: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Language {
    name: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Cell {
    cell_type: String,
    source: Source,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Source {
    Text(String),
    Lines(Vec<String>),
}

impl Notebook {
    /// Reads and judges a notebook.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let cannot_read = |error| files::unreadable(path, error);
        let file = disk::open(path).map_err(cannot_read)?;
        let size = file.metadata().map_err(cannot_read)?.len();
        let wrong = |problem: &str| Error::invalid(format!("{} {problem}", path.display()));
        let save_again = "open it in Jupyter and save it again";
        if size == 0 {
            return Err(wrong("is empty: it was never saved").hint(save_again));
        }
        if size > MOST_BYTES {
            return Err(wrong(&format!(
                "holds {} MiB, nearly all of it outputs of earlier runs",
                size >> 20
            ))
            .hint("clear them: `jupyter nbconvert --clear-output --inplace NOTEBOOK`"));
        }
        let notebook: Self =
            serde_json::from_reader(BufReader::with_capacity(1 << 20, file)).map_err(|error| {
                let problem = match error.classify() {
                    Category::Io => return cannot_read(error.into()),
                    Category::Eof => "is not a notebook: it ends in the middle",
                    Category::Syntax => "is not a notebook: it is not JSON",
                    Category::Data => "is not a notebook",
                };
                wrong(problem).source(error).hint(save_again)
            })?;
        if notebook.nbformat < 4 {
            return Err(wrong(&format!("is a notebook of format {}: 4 is needed", notebook.nbformat))
                .hint(format!("{save_again}: that brings it up to date")));
        }
        let language = notebook.language();
        let says_python2 = |language: &str| language.starts_with("python 2") || language == "python2";
        if language.as_deref().is_some_and(says_python2)
            || notebook.code().any(|cell| prints_as_python2(&cell))
        {
            return Err(wrong("is a notebook of Python 2")
                .hint("choose a kernel of Python 3 in Jupyter, mend what no longer works, and save it"));
        }
        match language {
            Some(language) if !language.contains("python") => {
                Err(wrong(&format!("is a notebook of {language}")).hint("only Python's can be trained"))
            }
            _ => Ok(notebook),
        }
    }

    /// What it says it is written in; nothing where it has no kernel yet.
    fn language(&self) -> Option<String> {
        let Metadata { kernelspec, language_info } = &self.metadata;
        let of_kernel = kernelspec.as_ref().and_then(|kernel| {
            let python2 = kernel.name.as_ref().filter(|name| name.as_str() == "python2");
            python2.or(kernel.language.as_ref()).cloned()
        });
        let of_code = language_info.as_ref().and_then(|language| {
            let version = language.version.as_deref().unwrap_or_default();
            Some(format!("{} {version}", language.name.as_ref()?).trim().to_owned())
        });
        let is_python2 = |language: &Option<String>| {
            language
                .as_ref()
                .is_some_and(|language| language == "python2" || language.starts_with("python 2"))
        };
        let language = if is_python2(&of_code) { of_code } else { of_kernel.or(of_code) };
        language.map(|language| language.to_lowercase())
    }

    /// The code of its cells.
    pub(super) fn code(&self) -> impl Iterator<Item = String> {
        self.cells.iter().filter(|cell| cell.cell_type == "code").map(|cell| match &cell.source {
            Source::Text(text) => text.clone(),
            Source::Lines(lines) => lines.concat(),
        })
    }
}

/// `print "text"`, which no Python 3 takes. Looks no further than the first text of many lines: that may hold anything.
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
    fn code_is_what_cells_of_code_hold_with_or_without_a_kernel() {
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
    fn what_cannot_be_run_is_told_apart() {
        for (text, problem) in [
            ("", "is empty"),
            ("print(1)", "it is not JSON"),
            (r#"{"nbformat": 4, "cells": [{"cell_type": "co"#, "it ends in the middle"),
            (r#"{"nbformat": 4, "cells": [{"cell_type": "code"}]}"#, "is not a notebook"),
            ("[]", "is not a notebook"),
            (r#"{"nbformat": 3, "worksheets": []}"#, "of format 3"),
            (r#"{"nbformat": 4, "metadata": {"kernelspec": {"name": "python2"}}}"#, "of Python 2"),
            (
                r#"{"nbformat": 4, "metadata": {"language_info": {"name": "python", "version": "2.7.18"}}}"#,
                "of Python 2",
            ),
            (r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": "print 'x'"}]}"#, "of Python 2"),
            (r#"{"nbformat": 4, "metadata": {"kernelspec": {"name": "ir", "language": "R"}}}"#, "of r"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message().contains(problem), "{text}: {}", error.message());
            assert!(error.hint_text().is_some(), "{text}");
        }
    }
}
