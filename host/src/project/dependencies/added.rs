//! Packages that are installed in addition to a dependency file: those that the user names, and those that the code
//! imports.

use std::{collections::BTreeMap, path::Path};

use super::{Content, Dependencies, Form, Found, MAX_SIZE, Wanted, brings, decoded, is_list, requirements};
use crate::{
    disk,
    error::{Error, Result},
    project::{
        imports::Needed,
        indexes::{take_out, written_in},
    },
};

/// Parts of names that distinguish packages with the same modules.
const VARIANTS: [&str; 12] = [
    "headless", "contrib", "cpu", "gpu", "binary", "nightly", "intel", "skinny", "lite", "cu11", "cu12",
    "rocm",
];

/// Adds the packages that the user names, and those that the code imports but the files do not provide.
///
/// # Errors
/// The code is Python 2, or the user names something that is not a package.
pub(in crate::project) fn complete(
    found: &mut Found,
    root: &Path,
    needed: Needed,
    wanted: &Wanted,
) -> Result<()> {
    if let Some((file, line, text)) = &needed.python2 {
        return Err(Error::invalid(format!("{file} is Python 2: line {line} is `{text}`"))
            .hint("convert it to Python 3: `python3.12 -m lib2to3 -w FILE` does most of it"));
    }
    for requirement in &wanted.with {
        let is_option = requirement.trim_start().starts_with('-') || requirement.contains(['\n', '\r']);
        if is_option || requirements::name_of(requirement).is_none() && !requirement.contains("://") {
            return Err(Error::invalid(format!("`{requirement}` is not a package"))
                .hint("give --with a requirement such as tqdm or `tqdm>=4`"));
        }
    }
    let brought = found.dependencies.as_ref();
    let missing: BTreeMap<String, String> = needed
        .packages
        .into_iter()
        .filter(|(_, package)| !brought.is_some_and(|found| found.brings(package)))
        .collect();
    // The build finds out what the others bring. What they always bring is not worth a word.
    let is_news = |package: &&str| !brought.is_some_and(|found| found.always_brings(package));
    let mut names: Vec<&str> = missing.values().map(String::as_str).filter(is_news).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.join(", ");
    if !names.is_empty() && wanted.no_detect {
        found.notes.push(match brought {
            None => {
                format!("no dependency file found, but the code imports {names}; add packages with --with")
            }
            Some(file) => format!("{} does not list what the code imports: {names}", file.origin),
        });
    } else if !names.is_empty() {
        let what = match brought {
            None => format!("No dependency file found; installing what the code imports: {names}"),
            Some(file) if file.is_lock() => {
                format!("{} does not list what the code imports: also installing {names}", file.origin)
            }
            Some(file) => format!(
                "{} does not list what the code imports: also installing {names}, unless they come with another package",
                file.origin
            ),
        };
        found.told.push(format!("{what} (--no-detect turns this off)"));
    }
    if brought.is_none() && !needed.unknown.is_empty() {
        let modules: Vec<&str> = needed.unknown.iter().map(String::as_str).collect();
        found.notes.push(format!(
            "the code imports {}, but no package is known for it; add one with --with PACKAGE",
            modules.join(", ")
        ));
    }
    let imported = if wanted.no_detect { BTreeMap::new() } else { missing };
    if found.dependencies.is_none() && (!imported.is_empty() || !wanted.with.is_empty()) {
        found.dependencies = Some(Dependencies::none(root, wanted));
    }
    if let Some(dependencies) = &mut found.dependencies {
        // As for the lines of a list, the build gets logins separately.
        let addresses = wanted.with.iter().flat_map(|line| written_in(line, "--with"));
        dependencies.addresses.extend(addresses);
        dependencies.added = wanted.with.iter().map(|line| take_out(line)).collect();
        dependencies.imported = imported;
    }
    Ok(())
}

impl Dependencies {
    /// Dependencies that no file declares.
    fn none(root: &Path, wanted: &Wanted) -> Self {
        Self {
            origin: String::new(),
            form: Form::None,
            main: String::new(),
            files: BTreeMap::new(),
            anchor: root.to_owned(),
            place: None,
            member: None,
            extras: Vec::new(),
            groups: Vec::new(),
            added: Vec::new(),
            imported: BTreeMap::new(),
            as_of: wanted.as_of.clone(),
            addresses: Vec::new(),
            python: None,
            provided: Default::default(),
        }
    }

    /// Returns the system programs that the installation needs besides the installers.
    pub fn programs(&self) -> Vec<&'static str> {
        const SIGNS: [&str; 4] = ["git+", "git = \"", "git = '", "type = \"git\""];
        let says = |text: &str| SIGNS.iter().any(|sign| text.contains(sign));
        let texts = self.files.iter().filter_map(|(name, content)| match content {
            Content::Text(text) => Some(text.clone()),
            Content::File(file) if is_list(name) => disk::read(&file.source, MAX_SIZE).ok().and_then(decoded),
            Content::File(_) => None,
        });
        let needs_git =
            texts.into_iter().any(|text| says(&text)) || self.added.iter().any(|added| says(added));
        if needs_git { vec!["git"] } else { Vec::new() }
    }

    /// Describes what was chosen in addition to the files themselves.
    pub fn choices(&self) -> String {
        let Self { extras, groups, added, imported, as_of, .. } = self;
        let lists = [extras, groups, added].map(|list| list.join(" "));
        let imported: Vec<&str> = imported.values().map(String::as_str).collect();
        format!("{} {} {}", lists.join(" "), imported.join(" "), as_of.as_deref().unwrap_or_default())
    }

    /// Whether the file lists the package, or one with the same modules.
    fn brings(&self, requirement: &str) -> bool {
        let wanted = requirements::name_of(requirement).unwrap_or_default();
        let stem = |name: &str| -> String {
            name.split('-').filter(|word| !VARIANTS.contains(word)).collect::<Vec<_>>().join("-")
        };
        self.provided.contains(&wanted) || self.provided.iter().any(|name| stem(name) == stem(&wanted))
    }

    /// Whether what the file lists always brings the package.
    fn always_brings(&self, requirement: &str) -> bool {
        requirements::name_of(requirement).is_some_and(|name| brings::always_bring(&self.provided, &name))
    }

    /// Whether the file is a lock, which lists all that is installed.
    fn is_lock(&self) -> bool {
        let name = self.origin.rsplit('/').next().unwrap_or_default();
        name.ends_with(".lock") || name.starts_with("pylock.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(with: &[&str]) -> Result<Dependencies> {
        let mut found = Found::default();
        let with = with.iter().map(|line| (*line).to_owned()).collect();
        let wanted = Wanted { with, ..Wanted::default() };
        complete(&mut found, Path::new("/project"), Needed::default(), &wanted)?;
        Ok(found.dependencies.expect("something is wanted"))
    }

    #[test]
    fn a_login_of_an_added_package_is_not_in_the_list() {
        let found = completed(&["six", "a @ https://me:hunter2@a.example/a.whl"]).unwrap();
        assert_eq!(found.added, ["six", "a @ https://a.example/a.whl"]);
        let logins = found.addresses.iter().filter_map(|written| written.login(&|_| None).unwrap());
        assert_eq!(logins.map(|login| login.password).collect::<Vec<_>>(), ["hunter2"]);
    }

    #[test]
    fn an_added_package_is_one_line_and_no_option() {
        for wrong in
            ["", "-r x", "--extra-index-url https://a.example", "six\n-i https://a.example", " -i a://b"]
        {
            assert!(completed(&[wrong]).unwrap_err().message().contains("is not a package"), "{wrong}");
        }
    }
}
