//! What a failed installation of packages means, by what the installer said.

use crate::error::{Error, Kind};

/// What no package can be built without, and the packages of Debian's that have it.
const TOOLS: [(&[&str], &str, &str); 6] = [
    (
        &["Git executable not found", "Git operation failed", "git: not found", "'git': No such file"],
        "git",
        "git",
    ),
    (
        &["CMake must be installed", "'cmake': No such file", "cmake: not found"],
        "CMake",
        "cmake,build-essential",
    ),
    (
        &["pg_config executable not found", "pg_config is required"],
        "PostgreSQL's library",
        "libpq-dev,build-essential",
    ),
    (
        &["mysql_config not found", "Can not find valid pkg-config name"],
        "MySQL's library",
        "default-libmysqlclient-dev,build-essential,pkg-config",
    ),
    (
        &["can't find Rust compiler", "cargo, the Rust package manager, is not installed"],
        "a Rust compiler",
        "rustc,cargo",
    ),
    (
        &[
            "gcc' failed: No such file",
            "'gcc': No such file",
            "'cc': No such file",
            "gcc: not found",
            "cc: not found",
            "g++': No such file",
            "-gcc' failed",
            "-g++' failed",
            "Unable to find a compiler",
            "Unknown compiler(s)",
            "error: command 'gcc'",
            "error: command 'cc'",
            "error: command 'g++'",
        ],
        "a compiler",
        "build-essential",
    ),
];

/// An error for it. `lines` are the installer's own.
pub(super) fn failed(lines: &str) -> Error {
    let package = package(lines);
    let said = |signs: &[&str]| signs.iter().any(|sign| lines.contains(sign));
    if let Some((_, tool, packages)) = TOOLS.iter().find(|(signs, _, _)| said(signs)) {
        let what = package.map_or_else(|| "a package".to_owned(), |package| format!("`{package}`"));
        return Error::new(
            Kind::Invalid,
            format!("the dependencies cannot be installed: {what} is built from source, which needs {tool}"),
        )
        .hint(format!(
            "add `--config.system_packages={packages}`, or name a version that has a wheel for this Python"
        ));
    }
    let why = match package {
        Some(package) if lines.contains("not found in the package registry") => {
            format!(": the package index has no `{package}`")
        }
        Some(package) => format!(": `{package}` cannot be built"),
        None if lines.contains("No solution found") => ": no versions fit together".to_owned(),
        None => String::new(),
    };
    Error::new(Kind::Invalid, format!("the dependencies cannot be installed{why}"))
        .hint("change the dependency file; the lines above are the installer's own")
}

/// The package that the installer names as the one that fails.
fn package(lines: &str) -> Option<&str> {
    let quoted = |start: &str| {
        let (_, rest) = lines.split_once(start)?;
        rest.split('`').next().map(|name| name.split(" @ ").next().unwrap_or(name))
    };
    let missing = || {
        let (before, _) = lines.split_once(" was not found in the package registry")?;
        before.rsplit(' ').next()
    };
    let found =
        quoted("Failed to build `").or_else(|| quoted("Failed to download and build `")).or_else(missing)?;
    let name = found.trim();
    (!name.is_empty() && name.len() < 100).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_named_and_what_it_needs() {
        for (lines, message, hint) in [
            (
                "  × Failed to build `pyyaml==5.4.1`\n  ├─▶ AttributeError: cython_sources",
                "the dependencies cannot be installed: `pyyaml==5.4.1` cannot be built",
                "change the dependency file",
            ),
            (
                "× Failed to build `hydra==2.5`\nerror: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
                "the dependencies cannot be installed: `hydra==2.5` is built from source, which needs a compiler",
                "--config.system_packages=build-essential",
            ),
            (
                "× Failed to download and build `six @ git+https://x/six.git`\n╰─▶ Git executable not found. Ensure it is",
                "the dependencies cannot be installed: `six` is built from source, which needs git",
                "--config.system_packages=git",
            ),
            (
                "× No solution found when resolving dependencies:\n╰─▶ Because nosuch was not found in the package registry and",
                "the dependencies cannot be installed: the package index has no `nosuch`",
                "change the dependency file",
            ),
            (
                "× No solution found when resolving dependencies:\n╰─▶ Because a==1 depends on b>2 and you require b<2",
                "the dependencies cannot be installed: no versions fit together",
                "change the dependency file",
            ),
            ("something else", "the dependencies cannot be installed", "change the dependency file"),
        ] {
            let error = failed(lines);
            assert_eq!(error.message(), message);
            assert!(error.hint_text().unwrap().contains(hint), "{:?}", error.hint_text());
        }
    }
}
