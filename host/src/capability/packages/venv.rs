//! Installed packages as a virtual environment of another machine: its programs start that machine's Python.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};

use super::Installed;
use crate::{
    capability::oci::{LayerWriter, Python},
    disk::{Folder, What},
};

/// Folders that the installer puts beside the modules, and a virtual environment has at its top.
const AT_THE_TOP: [&str; 4] = ["bin", "etc", "include", "share"];
/// Maximum size of a script or list in bytes.
const MAX_TEXT: u64 = 64 << 20;
/// From the modules to the top of the virtual environment.
const UP: &str = "../../../";

/// What a path of the virtual environment has.
enum Entry {
    /// A file of the installation, by its path there.
    File(PathBuf),
    Text(Vec<u8>, bool),
    Link(String),
}

/// Writes a virtual environment, with packages if there are any.
pub(in crate::capability) fn write(
    layer: &mut LayerWriter,
    installed: Option<&Installed>,
    python: &Python,
    venv: &str,
) -> io::Result<()> {
    let Python { version, path, .. } = python;
    let home = path.rsplit_once('/').map_or("/", |(home, _)| home);
    let settings = format!(
        "home = {home}\nimplementation = CPython\nversion_info = {version}\ninclude-system-site-packages = true\n"
    );
    let mut entries = BTreeMap::from([
        ("bin/python".to_owned(), Entry::Link(path.clone())),
        ("bin/python3".to_owned(), Entry::Link("python".to_owned())),
        (format!("bin/python{version}"), Entry::Link("python".to_owned())),
        ("lib64".to_owned(), Entry::Link("lib".to_owned())),
        ("pyvenv.cfg".to_owned(), Entry::Text(settings.into_bytes(), false)),
    ]);
    let site = match installed {
        Some(installed) => {
            let site = installed.site()?;
            add(&mut entries, &site, version, &format!("{venv}/bin/python"))?;
            let list = installed.list.iter().map(|line| format!("{line}\n")).collect::<String>();
            entries.insert("installed.txt".to_owned(), Entry::Text(list.into_bytes(), false));
            Some(site)
        }
        None => None,
    };
    for (name, entry) in entries {
        let to = format!("{venv}/{name}");
        match (entry, &site) {
            (Entry::Link(target), _) => layer.link(&to, &target)?,
            (Entry::Text(text, executable), _) => {
                layer.file(&to, text.len() as u64, executable, text.as_slice())?;
            }
            (Entry::File(path), Some(site)) => {
                let file = site.open_file(&path)?;
                let data = file.metadata()?;
                layer.file(&to, data.len(), is_executable(&data), file)?;
            }
            (Entry::File(_), None) => {}
        }
    }
    layer.folder(&format!("{venv}/lib/python{version}/site-packages"))
}

/// Adds the files of an installation.
fn add(
    entries: &mut BTreeMap<String, Entry>,
    site: &Folder,
    version: &str,
    interpreter: &str,
) -> io::Result<()> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in site.below(&folder)?.entries()? {
            let path = folder.join(&entry.name);
            match entry.what {
                What::Folder => folders.push(path),
                What::File if path != Path::new(".lock") => files.push(path),
                _ => {}
            }
        }
    }
    let top = |path: &Path| {
        let first = path.iter().next().and_then(|name| name.to_str()).unwrap_or_default();
        AT_THE_TOP.contains(&first) && (first == "bin" || !site.holds(&Path::new(first).join("__init__.py")))
    };
    let mut scripts = BTreeMap::new();
    let (records, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| is_record(path));
    for path in files {
        let Some(name) = path.to_str() else { continue };
        if !top(&path) {
            entries.insert(format!("lib/python{version}/site-packages/{name}"), Entry::File(path));
            continue;
        }
        let script = if path.starts_with("bin") { script(site, &path, interpreter)? } else { None };
        match script {
            Some(text) => {
                scripts.insert(name.to_owned(), (hash(&text), text.len()));
                entries.insert(name.to_owned(), Entry::Text(text, true));
            }
            None => drop(entries.insert(name.to_owned(), Entry::File(path))),
        }
    }
    for path in records {
        let text = String::from_utf8_lossy(&site.read(&path, MAX_TEXT)?).into_owned();
        let lines = text.lines().map(|line| {
            let parts: Vec<&str> = line.rsplitn(3, ',').collect();
            let [size, sum, file] = parts[..] else { return format!("{line}\n") };
            match (scripts.get(file), top(Path::new(file))) {
                (Some((sum, size)), _) => format!("{UP}{file},sha256={sum},{size}\n"),
                (None, true) => format!("{UP}{file},{sum},{size}\n"),
                (None, false) => format!("{line}\n"),
            }
        });
        let name = format!("lib/python{version}/site-packages/{}", path.display());
        entries.insert(name, Entry::Text(lines.collect::<String>().into_bytes(), false));
    }
    Ok(())
}

fn is_record(path: &Path) -> bool {
    let is_info = path.parent().and_then(Path::extension).is_some_and(|end| end == "dist-info");
    is_info && path.ends_with("RECORD") && path.iter().count() == 2
}

/// A script that starts the interpreter; `None` if it is another program.
fn script(site: &Folder, path: &Path, interpreter: &str) -> io::Result<Option<Vec<u8>>> {
    let mut start = [0; 2];
    let mut file = site.open_file(path)?;
    if file.read(&mut start)? < 2 || start != *b"#!" {
        return Ok(None);
    }
    let text = site.read(path, MAX_TEXT)?;
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut rest: Vec<u8> = lines.clone().flatten().copied().collect();
    if first.trim_end() == "#!/bin/sh" && rest.starts_with(b"'''exec' ") {
        // The installer writes it for an interpreter whose path is too long for the first line. It has two more lines.
        rest = lines.skip(2).flatten().copied().collect();
    } else if !first.contains("python") {
        return Ok(None);
    }
    Ok(Some([format!("#!{interpreter}\n").into_bytes(), rest].concat()))
}

fn hash(text: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

fn is_executable(data: &std::fs::Metadata) -> bool {
    data.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn scripts_and_data_move_to_the_top_and_the_list_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("bin/tool", "#!/usr/bin/python3.9\nimport tool\n");
        write("bin/long", "#!/bin/sh\n'''exec' '/a b/python' \"$0\" \"$@\"\n' '''\nimport long\n");
        write("bin/native", "\u{7f}ELF");
        write("share/man/tool.1", "x");
        write("tool/__init__.py", "");
        write("include/__init__.py", "");
        write(
            "tool-1.dist-info/RECORD",
            "bin/tool,sha256=old,33\nshare/man/tool.1,sha256=x,1\ntool/__init__.py,,\n",
        );
        let mut entries = BTreeMap::new();
        let site = Folder::open(folder.path()).unwrap();
        add(&mut entries, &site, "3.11", "/v/bin/python").unwrap();
        let names: Vec<&str> = entries.keys().map(String::as_str).collect();
        let site = "lib/python3.11/site-packages";
        assert_eq!(
            names,
            [
                "bin/long",
                "bin/native",
                "bin/tool",
                &format!("{site}/include/__init__.py"),
                &format!("{site}/tool-1.dist-info/RECORD"),
                &format!("{site}/tool/__init__.py"),
                "share/man/tool.1"
            ]
        );
        let text = |name: &str| match &entries[name] {
            Entry::Text(text, _) => String::from_utf8(text.clone()).unwrap(),
            _ => panic!("{name} is no text"),
        };
        assert_eq!(text("bin/tool"), "#!/v/bin/python\nimport tool\n");
        assert_eq!(text("bin/long"), "#!/v/bin/python\nimport long\n");
        let sum = hash(text("bin/tool").as_bytes());
        assert_eq!(
            text(&format!("{site}/tool-1.dist-info/RECORD")),
            format!(
                "../../../bin/tool,sha256={sum},28\n../../../share/man/tool.1,sha256=x,1\ntool/__init__.py,,\n"
            )
        );
    }
}
