//! Explains a failed installation of packages, from the installer's output.

use crate::error::{Error, Kind};

/// Tools that builds need: how their absence shows, their names, and Debian's packages that provide them.
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

/// The error for a failed installation. `lines` are the installer's output.
pub(in crate::capability) fn failed(lines: &str) -> Error {
    let package = package(lines);
    let said = |signs: &[&str]| signs.iter().any(|sign| lines.contains(sign));
    if let Some((_, tool, packages)) = TOOLS.iter().find(|(signs, _, _)| said(signs)) {
        let what = package.map_or_else(|| "a package".to_owned(), |package| format!("`{package}`"));
        return Error::new(
            Kind::Invalid,
            format!("cannot install the dependencies: building {what} from source needs {tool}"),
        )
        .hint(format!(
            "add `--config.system_packages={packages}`, or use a version that has a wheel for this Python"
        ));
    }
    let why = match package {
        Some(package) if lines.contains("not found in the package registry") => {
            format!(": `{package}` is not in the package index")
        }
        Some(package) => format!(": building `{package}` failed"),
        None if lines.contains("No solution found") => ": the required versions conflict".to_owned(),
        None => String::new(),
    };
    Error::new(Kind::Invalid, format!("cannot install the dependencies{why}"))
        .hint("fix the dependency file; the installer's output is above")
}

/// The package that failed, from the installer's output.
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
    fn the_failed_package_and_its_needs_are_named() {
        for (lines, message, hint) in [
            (
                "  × Failed to build `pyyaml==5.4.1`\n  ├─▶ AttributeError: cython_sources",
                "cannot install the dependencies: building `pyyaml==5.4.1` failed",
                "fix the dependency file",
            ),
            (
                "× Failed to build `hydra==2.5`\nerror: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
                "cannot install the dependencies: building `hydra==2.5` from source needs a compiler",
                "--config.system_packages=build-essential",
            ),
            (
                "× Failed to download and build `six @ git+https://x/six.git`\n╰─▶ Git executable not found. Ensure it is",
                "cannot install the dependencies: building `six` from source needs git",
                "--config.system_packages=git",
            ),
            (
                "× No solution found when resolving dependencies:\n╰─▶ Because nosuch was not found in the package registry and",
                "cannot install the dependencies: `nosuch` is not in the package index",
                "fix the dependency file",
            ),
            (
                "× No solution found when resolving dependencies:\n╰─▶ Because a==1 depends on b>2 and you require b<2",
                "cannot install the dependencies: the required versions conflict",
                "fix the dependency file",
            ),
            ("something else", "cannot install the dependencies", "fix the dependency file"),
        ] {
            let error = failed(lines);
            assert_eq!(error.message(), message);
            assert!(error.hint_text().unwrap().contains(hint), "{:?}", error.hint_text());
        }
    }
}
