//! The cache of packages, which all projects share: no project puts anything into it that another one would run.

use std::{fs, path::Path, process::Command};

use alekseylearn_tests::{PackageIndex, Sandbox, base_image_or_skip, wheel};
use serde_json::json;

/// Overwrites what it finds of the packages `harmless…` in the caches, and adds a file that Python runs when it starts.
const ATTACK: &str = "\
import os
for folder, _, names in os.walk('/var/cache/alekseylearn'):
    for name in names:
        if name.startswith('harmless') and name.endswith('.py'):
            open(os.path.join(folder, name), 'w').write('VERSION = \"planted\"\\n')
            open(os.path.join(folder, 'planted.pth'), 'w').write('import sys; sys.planted = True\\n')
";
/// Makes an archive of the files in a JSON object.
const MAKE: &str = "
import io, json, sys, tarfile, zipfile
path, files = sys.argv[1], json.loads(sys.argv[2])
if path.endswith('.whl'):
    with zipfile.ZipFile(path, 'w') as wheel:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            wheel.writestr(info, text)
else:
    with tarfile.open(path, 'w:gz') as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
";

const INSTALLER: &str = include_str!("../../../plugins/docker-drivers/src/uv.txt");

fn archive(path: &Path, files: &[(String, String)]) {
    let files: serde_json::Map<_, _> = files.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
    let files = serde_json::Value::Object(files).to_string();
    let made = Command::new("python3").args(["-c", MAKE]).arg(path).arg(files).status();
    assert!(made.unwrap().success(), "{}", path.display());
}

/// A wheel with one more file. Its `tag` is the last part of its name.
fn wheel_with(folder: &Path, name: &str, version: &str, tag: &str, file: (&str, &str)) {
    let info = format!("{name}-{version}.dist-info");
    let mut files = vec![
        (format!("{info}/METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")),
        (
            format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
        ),
        (file.0.to_owned(), file.1.to_owned()),
    ];
    let record = format!("{info}/RECORD");
    let lines = files.iter().map(|(name, _)| name).chain([&record]).map(|name| format!("{name},,\n"));
    let lines: String = lines.collect();
    files.push((record, lines));
    archive(&folder.join(format!("{name}-{version}-{tag}.whl")), &files);
}

/// A source distribution whose build attacks.
fn hostile_source(folder: &Path, name: &str) {
    let setup = format!("{ATTACK}from setuptools import setup\nsetup(name='{name}', version='1.0')\n");
    let backend = "\
import zipfile
exec(open('setup.py').read().split('from setuptools')[0])
def build_wheel(folder, settings=None, metadata=None):
    name = 'NAME-1.0-py3-none-any.whl'
    with zipfile.ZipFile(folder + '/' + name, 'w') as wheel:
        wheel.writestr('NAME-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: NAME\\nVersion: 1.0\\n')
        wheel.writestr('NAME-1.0.dist-info/WHEEL',
            'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr('NAME-1.0.dist-info/RECORD', '')
    return name
";
    let project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
    let files = [
        ("PKG-INFO", format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")),
        ("pyproject.toml", project.to_owned()),
        ("setup.py", setup),
        ("backend.py", backend.replace("NAME", name)),
    ];
    let files = files.map(|(file, text)| (format!("{name}-1.0/{file}"), text));
    archive(&folder.join(format!("{name}-1.0.tar.gz")), &files);
}

/// Names of packages that no other test has.
fn own(name: &str, sandbox: &Sandbox) -> String {
    let own: String = sandbox.path("").display().to_string();
    let own = own.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    format!("{name}{own}{}", std::process::id())
}

#[test]
fn a_package_that_attacks_the_cache_reaches_no_other_project() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    for attacker in ["source", "pth"] {
        let sandbox = Sandbox::new();
        let (harmless, other) = (own("harmless", &sandbox), own("other", &sandbox));
        let hostile = own("hostile", &sandbox);
        let wheels = sandbox.path("wheels");
        wheel(&wheels, &harmless, "1.0");
        wheel(&wheels, &other, "1.0");
        match attacker {
            "source" => hostile_source(&wheels, &hostile),
            _ => {
                let line = format!("import sys; exec({})\n", json!(ATTACK));
                wheel_with(&wheels, &hostile, "1.0", "py3-none-any", ("hostile.pth", &line));
            }
        }
        let index = PackageIndex::of(&wheels, "ada", "password");
        let host = index.host().to_owned();
        let machine = host.split(':').next().unwrap();
        sandbox.write_home(
            ".config/pip/pip.conf",
            &format!("[global]\nindex-url = http://ada:password@{host}/simple/\ntrusted-host = {machine}\n"),
        );
        let script = format!(
            "import os, sys\nsys.dont_write_bytecode = True\nimport {harmless} as it\n\
             print('harmless', it.VERSION, hasattr(sys, 'planted'), os.path.exists(it.__cached__))\n"
        );
        sandbox.write("a/train.py", &script);
        sandbox.write("a/requirements.txt", &format!("{harmless}\n{other}\n"));
        sandbox.run(&["fit", "a/train.py", &base]).success();
        sandbox.write("a/requirements.txt", &format!("{harmless}\n{other}\n{hostile}\n"));
        let run = sandbox.run(&["fit", "a/train.py", &base]).success();
        assert!(run.stdout.contains("harmless 1.0 False True"), "{attacker}: {}", run.stdout);
        // What the other project installs is another set, and all of it is in the cache.
        sandbox.write("b/train.py", &script);
        sandbox.write("b/requirements.txt", &format!("{harmless}\n"));
        let run = sandbox.run(&["fit", "b/train.py", &base, "-v"]).success();
        assert!(run.stdout.contains("harmless 1.0 False True"), "{attacker}: {}", run.stdout);
        assert!(!run.stderr.contains("Prepared "), "it was in the cache: {}", run.stderr);
    }
}

/// Wheels of the project itself have the same path in each build.
#[test]
fn a_wheel_of_one_project_is_not_installed_in_another() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let name = own("local", &sandbox);
    for project in ["planted", "clean"] {
        let wheels = sandbox.path(project).join("wheels");
        fs::create_dir_all(&wheels).unwrap();
        wheel_with(
            &wheels,
            &name,
            "1.0",
            "py3-none-any",
            (&format!("{name}.py"), &format!("OF = '{project}'\n")),
        );
        sandbox.write(&format!("{project}/train.py"), &format!("import {name}\nprint('of', {name}.OF)\n"));
        sandbox.write(&format!("{project}/requirements.txt"), &format!("--find-links ./wheels\n{name}\n"));
        let run = sandbox.run(&["fit", &format!("{project}/train.py"), &base]).success();
        assert!(run.stdout.contains(&format!("of {project}")), "{}", run.stdout);
    }
}

/// The settings of a project can name an index, and ask uv for what would run or write in the cache.
#[test]
fn a_projects_settings_bring_neither_an_installer_nor_a_target() {
    let base = format!("--config.base_image={}", base_image_or_skip!());
    let sandbox = Sandbox::new();
    let wheels = sandbox.path("wheels");
    fs::create_dir_all(&wheels).unwrap();
    let version = INSTALLER.split([' ', '=']).nth(2).unwrap();
    let script = format!("#!/bin/sh\n# {}\necho the installer of a stranger\nexit 1\n", own("", &sandbox));
    // With a build number, pip prefers it.
    let tag = format!("9-py3-none-manylinux_2_17_{0}.manylinux2014_{0}", std::env::consts::ARCH);
    wheel_with(&wheels, "uv", version, &tag, (&format!("uv-{version}.data/scripts/uv"), &script));
    let index = PackageIndex::of(&wheels, "ada", "password");
    let host = index.host();
    let machine = host.split(':').next().unwrap();
    sandbox.write("a/train.py", "import six\nprint('six', six.__version__)\n");
    sandbox.write("a/requirements.txt", &format!("six==1.16.0\n# {}\n", own("", &sandbox)));
    sandbox.write(
        "a/pyproject.toml",
        &format!(
            "[tool.uv]\nextra-index-url = ['http://ada:password@{host}/simple/']\nallow-insecure-host = ['{machine}']\n"
        ),
    );
    let run = sandbox.run(&["fit", "a/train.py", &base]).success();
    assert!(run.stdout.contains("six 1.16.0"), "{}", run.stdout);
    // In a file that also lists the dependencies, uv's own settings are read where nothing is shared.
    fs::remove_file(sandbox.path("a/requirements.txt")).unwrap();
    sandbox.write(
        "a/pyproject.toml",
        "[project]\nname = 'a'\nversion = '1'\ndependencies = ['six==1.15.0']\n\
         [tool.uv.pip]\ntarget = '/var/cache/alekseylearn/uv/planted'\n",
    );
    sandbox.run(&["fit", "a/train.py", &base]);
    let dockerfile = format!(
        "FROM {}\nRUN --mount=type=cache,id=alekseylearn-wheels-uv-linux-amd64,target=/cache ls -d /cache/wheels-v* && \
         test ! -e /cache/planted && : {}\nENTRYPOINT [\"true\"]\n",
        base.split_once('=').unwrap().1,
        own("", &sandbox)
    );
    sandbox.write("probe/train.py", "");
    sandbox.write("probe/alekseylearn/Dockerfile", &dockerfile);
    sandbox.run(&["fit", "probe/train.py", "--trust"]).success();
}
