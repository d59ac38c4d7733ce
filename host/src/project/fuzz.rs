//! Fuzzes all that is read of a project before anything is built: somebody else may have written it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Component, Path},
};

use super::{Asked, Choice, Content, Form, Named, Project, Wanted, notebook::Notebook};
use crate::fuzz::{Target, texts, told};

/// The fuzz targets.
pub const FUZZ: &[Target] = &[
    Target { name: "project", run: project, seeds: || texts(&PROJECTS) },
    Target { name: "notebook", run: notebook, seeds: || texts(&[NOTEBOOK, FAILING]) },
];

const NOTEBOOK: &str = include_str!("../../../examples/notebook/digits.ipynb");
const FAILING: &str = include_str!("../../../tests/projects/failing-notebook/train.ipynb");

fn notebook(bytes: &[u8]) {
    let root = tempfile::tempdir().expect("a folder can be made");
    let path = root.path().join("a.ipynb");
    fs::write(&path, bytes).expect("a file can be written");
    if let Some(notebook) = told(Notebook::read(&path)) {
        notebook.code().for_each(drop);
    }
}

/// Files one after the other, each after a line with its name; `NAME -> TARGET` is a link, and `NAME -> |` a pipe.
const PROJECTS: [&str; 10] = [
    "=== train.py\nimport numpy as np, sklearn.linear_model\nfrom . import x\n=== requirements.txt\n-r more.txt\n\
     --find-links wheels\n-e ./lib[extra]\na @ file:wheels/a.whl ; python_version > '3'\n=== more.txt\nsix==1 \\\n \
     --hash=sha256:1 # end\n=== lib/setup.py\n\n=== wheels/a.whl\nx",
    "=== train.py\nprint(1)\n=== environment.yml\nname: x\ndependencies:\n  - python=3.10\n  - conda-forge::pytorch==2.3.0\n  \
     - scipy >=1.10,<2\n  - pip:\n    - -r r.txt\n    - six\n=== r.txt\nidna\n",
    "=== train.py\n\n=== pyproject.toml\n[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.9,<3.12'\n\
     dependencies = ['six']\n[tool.uv.sources]\nlib = { path = 'lib' }\n=== lib/pyproject.toml\n[project]\n\
     === uv.lock\nversion = 1\nrequires-python = '>=3.9'\n[[package]]\nname = 'lib'\nsource = { editable = 'lib' }\n",
    "=== train.py\n\n=== pyproject.toml\n[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\npython = '^3.10'\n\
     === poetry.lock\n[[package]]\nname = 'lib'\n[package.source]\ntype = 'directory'\nurl = 'lib'\n[metadata]\n\
     python-versions = '^3.10'\n=== lib/x.py\n",
    "=== train.py\n\n=== pylock.toml\nlock-version = '1.0'\n=== .python-version\ncpython-3.12.1\n=== .dockerignore\n*.csv\n\
     !keep.csv\n!.env\n**/out/\n=== .env\nA=1\n=== keep.csv\n1\n=== a.csv\n=== sub/out/x\n",
    "=== train.py\n\n=== .gitignore\n/data\n!/data/x\n\\#a\n[a-z\n=== data/x\n1\n=== data/y\n2\n=== key.pem\nx\n\
     === sub/.gitignore\n*.log\n=== sub/a.log\n",
    "=== train.py\n\n=== requirements.txt\n./link.whl\n=== link.whl -> ../secret\n=== out -> ..\n=== in -> sub\n=== sub/x\n1\n",
    "=== train.ipynb\n{\"nbformat\": 4, \"cells\": [{\"cell_type\": \"code\", \"source\": [\"import pandas\\n\", \"%pip\"]}]}\n\
     === pandas.py\n",
    "=== train.py\n\n=== requirements.txt\n-r list -> |\n-c ../secret\n-r .env\n./dev\n=== list -> |\n=== dev -> /dev/zero\n\
     === .env\nA=1\n=== .gitignore -> |\n=== .git/config -> /dev/zero\n=== .git/info/exclude -> ../../../secret\n",
    "=== train.py -> ../secret\n=== train.ipynb -> |\n=== uv.lock -> /dev/zero\n=== pyproject.toml -> |\n=== sub -> ..\n\
     === .python-version -> ../secret\n=== environment.yml\nx: &a [b]\ndependencies: [*a, *a]\n=== .dockerignore\n!.env\n",
];

fn project(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let root = tempfile::tempdir().expect("a folder can be made");
    // Its name is plain, so that a tag can be made of it.
    let folder = root.path().canonicalize().expect("it is there").join("project");
    fs::create_dir_all(folder.join(".git")).expect("a folder can be made");
    fs::write(root.path().join("secret"), "hidden").expect("a file can be written");
    for file in text.split("=== ").take(32) {
        let (name, content) = file.split_once('\n').unwrap_or((file, ""));
        make(&folder, name, content);
    }
    for artifact in ["train.py", "train.ipynb"].map(|name| folder.join(name)) {
        if artifact.is_file()
            && let Some(project) = told(Project::open(Asked {
                artifact: &Named::Path(artifact),
                arguments: &[],
                wanted: &Wanted::default(),
                root: None,
                choice: &Choice::default(),
                current: &folder,
                home: Path::new("/"),
            }))
        {
            hold(&project, &folder, &allowed(&text));
        }
    }
}

/// Creates a file, a link or, with `-> |`, a pipe; impossible names are skipped.
fn make(folder: &Path, name: &str, content: &str) {
    let (name, target) = name.split_once(" -> ").map_or((name, None), |(name, target)| (name, Some(target)));
    if name.len() > 100 || name.contains('\0') || !is_plain(name) {
        return;
    }
    let path = folder.join(name);
    // Not through a link that was made before.
    let parent = path.parent().unwrap_or(folder);
    if fs::create_dir_all(parent).is_err()
        || !parent.canonicalize().is_ok_and(|real| real.starts_with(folder))
    {
        return;
    }
    let _ = match target {
        Some("|") => rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .map_err(Into::into),
        Some(target) => symlink(target, &path),
        None if path.is_symlink() => return,
        None => fs::write(&path, content),
    };
}

fn is_plain(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Checks that nothing from outside of the folder is sent, and no secret.
fn hold(project: &Project, folder: &Path, allowed: &[&str]) {
    let Project { files, dependencies, tag, python, artifact, .. } = project;
    assert!(files.is_sorted_by(|a, b| a.path < b.path), "{files:?}");
    let needed = dependencies.iter().map(|found| found.origin.as_str());
    let chosen: Vec<&str> = needed.chain([artifact.as_str()]).collect();
    for file in files {
        assert!(is_plain(&file.path) && file.source.starts_with(folder), "{file:?}");
        let named = file.path.split('/').any(|part| allowed.contains(&part));
        assert!(named || chosen.contains(&file.path.as_str()) || !is_secret(&file.path), "{file:?}");
    }
    if let Some(found) = dependencies {
        assert!(found.form == Form::None || found.files.contains_key(&found.main), "{found:?}");
        for (path, content) in &found.files {
            assert!(is_plain(path), "{path}");
            let named = path.split('/').any(|part| allowed.contains(&part));
            assert!(named || *path == found.main || !is_secret(path), "{path} is a secret");
            if let Content::File(file) = content {
                assert!(file.source.starts_with(folder), "{path} is {}", file.source.display());
            }
        }
    }
    assert!(tag.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c)), "{tag}");
    assert!(
        python.as_ref().is_none_or(|python| python.versions.iter().all(|version| version.starts_with("3.")))
    );
}

/// Names that a line of an ignore file may allow, although they are those of secrets.
fn allowed(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.trim().trim_start_matches('\u{feff}').split_once('!'));
    lines.filter_map(|(_, pattern)| pattern.trim().trim_end_matches('/').rsplit('/').next()).collect()
}

fn is_secret(path: &str) -> bool {
    path.split('/').any(|part| part == ".env" || part == ".aws" || part.ends_with(".key"))
}
