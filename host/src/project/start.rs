//! Finds the training artifact that the user names, and how it is started.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use toml::Table;

use super::dependencies;
use crate::{
    disk,
    error::{Error, Kind, Result},
};

/// Maximum size of a script in bytes.
const MAX_SIZE: u64 = 16 << 20;
/// Bytes that are read to find the program in a file's first line.
const FIRST_LINE: u64 = 256;

/// How an artifact is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `python FILE`.
    Script,
    /// Cell by cell.
    Notebook,
    /// `sh FILE`, or the program in its first line.
    Shell,
    /// `python -m MODULE`.
    Module(String),
    /// A function, called without arguments, as by the command that an installation would create.
    Function {
        /// The function's module.
        module: String,
        /// Its name in the module, such as `main` or `cli.run`.
        function: String,
        /// The command's name, if it has one.
        name: Option<String>,
    },
}

impl Start {
    /// Describes the start for the runner, besides the artifact's path and folder.
    pub(super) fn description(&self) -> Value {
        match self {
            Self::Script => json!({ "kind": "script" }),
            Self::Notebook => json!({ "kind": "notebook" }),
            Self::Shell => json!({ "kind": "shell" }),
            Self::Module(module) => json!({ "kind": "module", "module": module }),
            Self::Function { module, function, name } => {
                let name = name.as_ref().unwrap_or(module);
                json!({ "kind": "function", "module": module, "function": function, "name": name })
            }
        }
    }
}

/// The artifact as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A file; or, if there is no such file, a function as `package.module:function` or a command of the project.
    Path(PathBuf),
    /// A module, as after `python -m`.
    Module(String),
}

/// An artifact that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Absolute path of its file; a link is not resolved.
    pub(super) path: PathBuf,
    pub(super) start: Start,
    /// The folder that its module is imported from.
    pub(super) base: Option<PathBuf>,
}

/// Finds what the user names, relative to the current folder.
///
/// # Errors
/// It does not exist, or cannot be trained.
pub(super) fn find(named: &Named, current: &Path) -> Result<Found> {
    let path = match named {
        Named::Module(module) => {
            let (path, base) = of_module(module, current)?;
            return Ok(Found { path, start: Start::Module(module.clone()), base: Some(base) });
        }
        Named::Path(path) => path,
    };
    let whole = current.join(path);
    if whole.is_file() {
        let start = kind_of(&whole, path)?;
        let folder = whole.parent().and_then(|folder| folder.canonicalize().ok());
        let (Some(folder), Some(name)) = (folder, whole.file_name()) else { return Err(nothing(path)) };
        return Ok(Found { path: folder.join(name), start, base: None });
    }
    if whole.is_dir() {
        return if whole.join("__main__.py").is_file() {
            find(&Named::Path(path.join("__main__.py")), current)
        } else {
            Err(Error::invalid(format!("{} is a folder", path.display()))
                .hint("give the path of the script in it"))
        };
    }
    let text = path.to_str().unwrap_or_default();
    if let Some((module, function)) = function(text) {
        return of_function(module, function, None, current);
    }
    if let Some(target) = command(text, current)? {
        return match function(&target) {
            Some((module, function)) => of_function(module, function, Some(text), current),
            None => Err(Error::invalid(format!(
                "the command `{text}` of this project is not a function: `{target}`"
            ))
            .hint("define the command as package.module:function")),
        };
    }
    Err(nothing(path))
}

fn nothing(path: &Path) -> Error {
    Error::new(Kind::NotFound, format!("there is no file {}", path.display())).hint(
        "give the path of a training script (.py, .sh) or notebook (.ipynb), a module with -m, or a function as \
         package.module:function",
    )
}

fn of_function(module: &str, function: &str, name: Option<&str>, current: &Path) -> Result<Found> {
    let (path, base) = of_module(module, current)?;
    let (module, function, name) = (module.to_owned(), function.to_owned(), name.map(str::to_owned));
    Ok(Found { path, start: Start::Function { module, function, name }, base: Some(base) })
}

/// Finds out how a file is started: by its name, or else by its first line.
fn kind_of(whole: &Path, path: &Path) -> Result<Start> {
    match whole.extension().and_then(|end| end.to_str()).unwrap_or_default() {
        "py" => return Ok(Start::Script),
        "ipynb" => return Ok(Start::Notebook),
        "sh" | "bash" => return Ok(Start::Shell),
        _ => {}
    }
    let mut first = Vec::new();
    let read = disk::open(whole).and_then(|file| file.take(FIRST_LINE).read_to_end(&mut first));
    read.map_err(|error| Error::invalid(format!("cannot read {}", path.display())).source(error))?;
    let first = String::from_utf8_lossy(&first);
    let program = first.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or_default();
    let runs = |names: &[&str]| {
        let words = program.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
        words
            .into_iter()
            .any(|word| names.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')))
    };
    if runs(&["python", "pypy"]) {
        Ok(Start::Script)
    } else if runs(&["sh", "bash", "dash"]) {
        Ok(Start::Shell)
    } else {
        Err(Error::invalid(format!("{} is neither a script nor a notebook", path.display())).hint(
            "a training artifact is a Python script (.py), a Jupyter notebook (.ipynb) or a shell script (.sh); a file \
             with another name needs a first line such as #!/usr/bin/env python3",
        ))
    }
}

/// Splits `package.module:function`; extras are ignored.
fn function(text: &str) -> Option<(&str, &str)> {
    let (module, function) = text.split('[').next()?.trim().split_once(':')?;
    (is_dotted(module) && is_dotted(function)).then_some((module, function))
}

fn is_dotted(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split('.').all(is_name)
}

/// Returns the file of a module of the project, and the folder that it is imported from: the current folder, one above
/// it up to the top of the project, or the folder `src` in one of these.
fn of_module(module: &str, current: &Path) -> Result<(PathBuf, PathBuf)> {
    let missing = || {
        Error::new(Kind::NotFound, format!("there is no module {module} in this folder or its project"))
            .hint("give the name of a module of the project, as after `python -m`")
    };
    if !is_dotted(module) {
        return Err(missing());
    }
    let inner: PathBuf = module.split('.').collect();
    for folder in project_folders(current) {
        for base in [folder.clone(), folder.join("src")] {
            let whole = base.join(&inner);
            for path in [whole.with_extension("py"), whole.join("__main__.py"), whole.join("__init__.py")] {
                if path.is_file() {
                    let base = base.canonicalize().map_err(|error| missing().source(error))?;
                    let path = path.canonicalize().map_err(|error| missing().source(error))?;
                    return Ok((path, base));
                }
            }
        }
    }
    Err(missing())
}

/// Returns the current folder, and those above it up to the top of a project.
fn project_folders(current: &Path) -> Vec<PathBuf> {
    let is_top =
        |folder: &Path| [".git", "pyproject.toml", "setup.py"].iter().any(|mark| folder.join(mark).exists());
    let ancestors: Vec<PathBuf> = current.ancestors().map(Path::to_owned).collect();
    match ancestors.iter().position(|folder| is_top(folder)) {
        Some(top) => ancestors[..=top].to_vec(),
        None => vec![current.to_owned()],
    }
}

/// Returns the words of a shell script, without quotes.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let separates =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '|' | '(' | ')' | '`');
    lines.flat_map(move |line| line.split(separates)).filter(|word| !word.is_empty())
}

/// Returns the code of the Python scripts and modules that a shell script runs.
pub(super) fn python_of(text: &str, folder: &Path, current: &Path) -> Vec<String> {
    let words: Vec<&str> = words(text).collect();
    let script = |word: &&&str| word.ends_with(".py");
    let scripts = words
        .iter()
        .filter(script)
        .filter_map(|word| [current, folder].iter().map(|base| base.join(word)).find(|path| path.is_file()));
    let modules = words.windows(2).filter(|pair| pair[0] == "-m");
    let modules = modules.filter_map(|pair| of_module(pair[1], current).ok().map(|(path, _)| path));
    scripts.chain(modules).filter_map(|path| disk::text(&path, MAX_SIZE).ok()).collect()
}

/// Returns the function that a command of the project calls, as the nearest `pyproject.toml` declares it.
fn command(name: &str, current: &Path) -> Result<Option<String>> {
    if name.is_empty() || name.contains('/') {
        return Ok(None);
    }
    for folder in project_folders(current) {
        let path = folder.join("pyproject.toml");
        if path.is_file()
            && let Some(target) = declared(&dependencies::toml(&path)?, name)
        {
            return Ok(Some(target));
        }
    }
    Ok(None)
}

fn declared(file: &Table, name: &str) -> Option<String> {
    let modern = file.get("project").and_then(|project| project.get("scripts"));
    let poetry =
        file.get("tool").and_then(|tool| tool.get("poetry")).and_then(|poetry| poetry.get("scripts"));
    [modern, poetry].into_iter().flatten().find_map(|scripts| {
        let target = scripts.get(name)?;
        let target = target.get("callable").or_else(|| target.get("reference")).unwrap_or(target);
        target.as_str().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn disk(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, root)
    }

    #[test]
    fn a_file_is_started_by_its_name_or_its_first_line() {
        let (_folder, root) = disk(&[
            ("train.py", ""),
            ("note.ipynb", ""),
            ("run.sh", ""),
            ("train", "#!/usr/bin/env python3\n"),
            ("older", "#!/usr/bin/python3.9 -u\r\n"),
            ("go", "#!/bin/bash\npython train.py\n"),
            ("data.csv", "1,2\n"),
            ("empty", ""),
            ("pkg/__main__.py", ""),
        ]);
        let start = |name: &str| find(&Named::Path(name.into()), &root).map(|found| found.start);
        for (name, expected) in [
            ("train.py", Start::Script),
            ("note.ipynb", Start::Notebook),
            ("run.sh", Start::Shell),
            ("train", Start::Script),
            ("older", Start::Script),
            ("go", Start::Shell),
            ("pkg", Start::Script),
        ] {
            assert_eq!(start(name).unwrap(), expected, "{name}");
        }
        for (name, problem) in
            [("data.csv", "is neither"), ("empty", "is neither"), (".", "is a folder"), ("no.py", "no file")]
        {
            let error = start(name).unwrap_err();
            assert!(error.message().contains(problem) && error.hint_text().is_some(), "{name}: {error}");
        }
    }

    #[test]
    fn modules_functions_and_commands_are_found_from_the_current_folder() {
        let scripts = "[project]\nname = 'x'\n[project.scripts]\ntrain = 'pkg.cli:main'\n\
                       [tool.poetry.scripts]\nfit-it = { reference = 'pkg.cli:app.run', type = 'console' }\n";
        let (_folder, root) = disk(&[
            ("pyproject.toml", scripts),
            ("src/pkg/cli.py", ""),
            ("tool/__main__.py", ""),
            ("deep/er/x.txt", ""),
        ]);
        let at = |named: Named, current: &str| {
            let found = find(&named, &root.join(current)).unwrap();
            let inside = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
            (inside(&found.path), inside(&found.base.unwrap()), found.start)
        };
        let function = |function: &str, name: Option<&str>| Start::Function {
            module: "pkg.cli".into(),
            function: function.into(),
            name: name.map(str::to_owned),
        };
        let cli = |start: Start| ("src/pkg/cli.py".to_owned(), "src".to_owned(), start);
        assert_eq!(at(Named::Module("pkg.cli".into()), ""), cli(Start::Module("pkg.cli".into())));
        assert_eq!(at(Named::Module("pkg.cli".into()), "deep/er"), cli(Start::Module("pkg.cli".into())));
        assert_eq!(at(Named::Module("tool".into()), "").0, "tool/__main__.py");
        assert_eq!(at(Named::Path("pkg.cli:main".into()), ""), cli(function("main", None)));
        assert_eq!(at(Named::Path("train".into()), "deep"), cli(function("main", Some("train"))));
        assert_eq!(at(Named::Path("fit-it".into()), ""), cli(function("app.run", Some("fit-it"))));
        for named in
            [Named::Module("torch".into()), Named::Module("../x".into()), Named::Path("nothing".into())]
        {
            assert!(find(&named, &root).unwrap_err().hint_text().is_some(), "{named:?}");
        }
    }
}
