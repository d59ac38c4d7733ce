//! A minimal Python package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const MAKE: &str = "
import sys, zipfile
path, name, version = sys.argv[1:]
info = f'{name}-{version}.dist-info'
files = {
    f'{name}.py': f'VERSION = {version!r}\\n',
    f'{info}/METADATA': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n',
    f'{info}/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
}
files[f'{info}/RECORD'] = ''.join(f'{file},,\\n' for file in [*files, f'{info}/RECORD'])
with zipfile.ZipFile(path, 'w') as wheel:
    for file, text in files.items():
        wheel.writestr(zipfile.ZipInfo(file), text)
";

/// Creates a wheel in a folder, with a module whose `VERSION` is its version.
pub fn wheel(folder: &Path, name: &str, version: &str) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder can be made");
    let path = folder.join(format!("{name}-{version}-py3-none-any.whl"));
    let made = Command::new("python3").args(["-c", MAKE]).arg(&path).args([name, version]).status();
    assert!(made.expect("python3 starts").success(), "a wheel is made");
    path
}
