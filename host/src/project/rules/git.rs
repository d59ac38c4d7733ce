//! Finds out whether git tracks or ignores a file. Git's own files are read, and git is never run: it may not be
//! installed, and the settings of somebody else's repository could make it run other programs.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    glob::{Case, Lines},
    read,
};
use crate::{
    disk,
    environment::GitEnvironment,
    error::{Error, Result},
};

/// Maximum size of an index in bytes; it has about a hundred for each tracked file. The paths in it have no more, although
/// version 4 of the format stores only how each differs from the one before.
const MAX_INDEX_SIZE: u64 = 1 << 29;
/// Maximum number of configuration files that are read for one setting. Each of them can include others.
const MAX_CONFIGS: usize = 100;

/// The repository that a folder belongs to.
struct Repository {
    /// The root of its working tree, or the project root if there is no repository.
    root: PathBuf,
    /// The tracked paths, sorted.
    tracked: Vec<Vec<u8>>,
    /// The lists of what only this repository ignores, and of what its user always ignores, in this order.
    everywhere: Vec<List>,
}

/// The ignore files that apply in a folder: its own, and those of the folders above.
#[derive(Clone)]
pub(super) struct Lists {
    repository: Arc<Repository>,
    own: Option<Arc<Nested>>,
}

/// One ignore file.
struct List {
    lines: Lines,
    file: PathBuf,
    /// The length of its folder's path, with a slash, relative to the root of the repository.
    base: usize,
}

struct Nested {
    list: List,
    outer: Option<Arc<Nested>>,
}

/// The decision of an ignore file.
pub(super) struct Said {
    /// The file that has the pattern.
    pub(super) file: PathBuf,
    /// The pattern as it was written.
    pub(super) pattern: String,
    /// Whether it includes what another pattern excludes.
    pub(super) sends: bool,
    /// Whether it names the file, without wildcards in its last part.
    pub(super) names: bool,
}

impl Repository {
    /// For a folder without a repository: its `.gitignore` files still apply.
    fn none(root: &Path) -> Self {
        Self { root: root.to_owned(), tracked: Vec::new(), everywhere: Vec::new() }
    }

    /// Reads the repository whose working tree has the root `root`.
    fn at(root: &Path) -> Result<Self> {
        let Some(place) = git_folder(root)? else { return Ok(Self::none(root)) };
        let common = match read(&place.join("commondir"))? {
            Some(path) => place.join(as_path(&path)),
            None => place.clone(),
        };
        let lists = [Some(common.join("info/exclude")), users_list(&common)?];
        let mut everywhere = Vec::new();
        for file in lists.into_iter().flatten() {
            if let Some(bytes) = read(&file)? {
                everywhere.push(List { lines: Lines::read(&bytes), file, base: 0 });
            }
        }
        Ok(Self { root: root.to_owned(), tracked: tracked(&place, &common)?, everywhere })
    }
}

impl Lists {
    /// Returns the ignore files of the repository that apply to `folder`, without the folder's own.
    pub(super) fn above(folder: &Path) -> Result<Self> {
        let Some(root) = folder.ancestors().find(|folder| is_root(folder)) else {
            return Ok(Self { repository: Arc::new(Repository::none(folder)), own: None });
        };
        let mut lists = Self { repository: Arc::new(Repository::at(root)?), own: None };
        let between = folder.ancestors().skip(1).take_while(|above| above.starts_with(root));
        for above in between.collect::<Vec<_>>().into_iter().rev() {
            lists = lists.with_file_of(above)?;
        }
        Ok(lists)
    }

    /// Returns the ignore files that apply inside `folder`. A repository in a repository has its own.
    pub(super) fn inside(&self, folder: &Path) -> Result<Self> {
        if folder != self.repository.root && is_root(folder) {
            let inner = Self { repository: Arc::new(Repository::at(folder)?), own: None };
            return inner.with_file_of(folder);
        }
        self.with_file_of(folder)
    }

    fn with_file_of(&self, folder: &Path) -> Result<Self> {
        let file = folder.join(".gitignore");
        let Some(bytes) = read(&file)? else { return Ok(self.clone()) };
        let base = match self.inside_of(folder) {
            Some([]) | None => 0,
            Some(inside) => inside.len() + 1,
        };
        let list = List { lines: Lines::read(&bytes), file, base };
        let own = Some(Arc::new(Nested { list, outer: self.own.clone() }));
        Ok(Self { repository: self.repository.clone(), own })
    }

    /// Returns the pattern that decides about `path`, if any matches it.
    pub(super) fn said_of(&self, path: &Path, is_folder: bool) -> Option<Said> {
        let inside = self.inside_of(path)?;
        let mut own = self.own.as_ref();
        let nested = std::iter::from_fn(|| {
            let here = own?;
            own = here.outer.as_ref();
            Some(&here.list)
        });
        let said = |list: &List| {
            let line = list.lines.deciding(inside.get(list.base..)?, is_folder, Case::Counts)?;
            Some(Said {
                file: list.file.clone(),
                pattern: line.written.clone(),
                sends: line.negated,
                names: line.names(),
            })
        };
        nested.chain(&self.repository.everywhere).find_map(said)
    }

    /// Whether git tracks the file, or one in the folder.
    pub(super) fn tracks(&self, path: &Path, is_folder: bool) -> bool {
        let tracked = &self.repository.tracked;
        let Some(inside) = self.inside_of(path).filter(|_| !tracked.is_empty()) else { return false };
        // A submodule is one entry, with the folder's name.
        if tracked.binary_search_by(|known| known.as_slice().cmp(inside)).is_ok() {
            return true;
        }
        let start = [inside, b"/"].concat();
        let first = tracked.partition_point(|known| *known < start);
        is_folder && tracked.get(first).is_some_and(|known| known.starts_with(&start))
    }

    fn inside_of<'a>(&self, path: &'a Path) -> Option<&'a [u8]> {
        Some(path.strip_prefix(&self.repository.root).ok()?.as_os_str().as_bytes())
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

/// Reads the path in a git file that has nothing else.
fn as_path(bytes: &[u8]) -> PathBuf {
    std::ffi::OsStr::from_bytes(bytes.trim_ascii()).into()
}

/// Returns the git folder of a working tree. In a worktree or a submodule, `.git` is a file with its path.
fn git_folder(root: &Path) -> Result<Option<PathBuf>> {
    let git = root.join(".git");
    if git.is_dir() {
        return Ok(Some(git));
    }
    let text = read(&git)?;
    Ok(text.and_then(|text| Some(root.join(as_path(text.strip_prefix(b"gitdir:")?)))))
}

/// Returns the paths of the index, sorted.
fn tracked(place: &Path, common: &Path) -> Result<Vec<Vec<u8>>> {
    let format = setting(&common.join("config"), "extensions.objectformat", &mut Vec::new())?;
    let hash = if format.is_some_and(|(format, _)| format == "sha256") { 32 } else { 20 };
    let path = place.join("index");
    let Some(bytes) = disk::optional(&path, MAX_INDEX_SIZE)? else { return Ok(Vec::new()) };
    let wrong = |path: &Path| {
        Error::invalid(format!("cannot read {}: it is damaged, or has an unknown format", path.display()))
            .hint("check it with `git status`, or add a .dockerignore, which is then used instead")
    };
    let mut index = Index::read(&bytes, hash).ok_or_else(|| wrong(&path))?;
    if let Some(shared) = index.shared {
        // What a split index removes from its base counts as tracked until git rewrites the base.
        let path = place.join(format!("sharedindex.{shared}"));
        let bytes = disk::optional(&path, MAX_INDEX_SIZE)?.unwrap_or_default();
        index.paths.extend(Index::read(&bytes, hash).ok_or_else(|| wrong(&path))?.paths);
        index.paths.sort();
    }
    Ok(index.paths)
}

/// The parts of an index that matter, in versions 2 to 4 of the format (`gitformat-index` in git's documentation).
struct Index {
    paths: Vec<Vec<u8>>,
    /// The hash in the name of a shared index, which has most of the paths.
    shared: Option<String>,
}

impl Index {
    fn read(bytes: &[u8], hash: usize) -> Option<Self> {
        /// Bytes of a file's `stat` data.
        const FACTS: usize = 40;
        const EXTENDED: u16 = 0x4000;
        let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let version = number(4).filter(|_| bytes.starts_with(b"DIRC"))?;
        if !(2..=4).contains(&version) {
            return None;
        }
        let mut at = 12;
        let mut paths: Vec<Vec<u8>> = Vec::new();
        let mut room = usize::try_from(MAX_INDEX_SIZE).ok()?;
        for _ in 0..number(8)? {
            let start = at;
            at += FACTS + hash;
            let flags = u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
            at += if flags & EXTENDED != 0 && version > 2 { 4 } else { 2 };
            // Version 4 leaves out what a path has in common with the one before.
            let mut path = match version {
                4 => {
                    let less = variable_number(bytes, &mut at)?;
                    let before = paths.last().map_or(&[][..], Vec::as_slice);
                    before.get(..before.len().checked_sub(less)?)?.to_owned()
                }
                _ => Vec::new(),
            };
            let length = bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
            path.extend_from_slice(&bytes[at..at + length]);
            room = room.checked_sub(path.len() + size_of::<Vec<u8>>())?;
            at += length + 1;
            if version < 4 {
                at = start + (at - start).next_multiple_of(8);
            }
            paths.push(path);
        }
        let mut shared = None;
        while let (Some(name), Some(size)) = (bytes.get(at..at + 4), number(at + 4)) {
            if name == b"link" {
                let base = bytes.get(at + 8..at + 8 + hash)?;
                shared = base.iter().any(|byte| *byte != 0).then(|| hex::encode(base));
            }
            at += 8 + size as usize;
        }
        Some(Self { paths, shared })
    }
}

fn variable_number(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?.checked_mul(128)?;
    }
}

/// Returns `core.excludesFile` of the repository, the user or the machine, in this order, or else git's default.
fn users_list(common: &Path) -> Result<Option<PathBuf>> {
    let surroundings = GitEnvironment::read();
    for path in [common.join("config")].iter().chain(&surroundings.configs) {
        if let Some((value, stands_in)) = setting(path, "core.excludesfile", &mut Vec::new())? {
            return Ok((!value.is_empty()).then(|| surroundings.resolve(&value, &stands_in)));
        }
    }
    Ok(Some(surroundings.ignore))
}

/// Returns the value of a key in a configuration, and the file that has it: this may be an included one. `seen` are the
/// files that were read before: to read one again would find nothing more, and may never end.
fn setting(path: &Path, key: &str, seen: &mut Vec<PathBuf>) -> Result<Option<(String, PathBuf)>> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if seen.contains(&real) || seen.len() == MAX_CONFIGS {
        return Ok(None);
    }
    seen.push(real);
    let Some(bytes) = read(path)? else { return Ok(None) };
    let settings = settings(&String::from_utf8_lossy(&bytes));
    for (name, value) in settings.into_iter().rev() {
        if name == key {
            return Ok(Some((value, path.to_owned())));
        }
        if name == "include.path" {
            let included = GitEnvironment::read().resolve(&value, path);
            if let Some(found) = setting(&included, key, seen)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// Returns the settings of a configuration in order, as `section.key` or `section.subsection.key`.
fn settings(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut section = String::new();
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(first) = rest.chars().next() {
        let line = rest.split('\n').next().unwrap_or(rest);
        if matches!(first, '#' | ';') {
            rest = &rest[line.len()..];
        } else if let Some(inner) = rest.strip_prefix('[') {
            let Some((name, behind)) = inner.split_once(']') else { break };
            let (name, subsection) = name.split_once('"').unwrap_or((name, ""));
            section = name.trim().to_lowercase();
            if !subsection.is_empty() {
                section = format!("{section}.{}", subsection.trim_end_matches('"'));
            }
            rest = behind;
        } else {
            let end = line.find(['=', '#', ';']).unwrap_or(line.len());
            let key = format!("{section}.{}", rest[..end].trim().to_lowercase());
            let (value, behind) = match rest[end..].strip_prefix('=') {
                Some(value) => value_of(value),
                None => (String::new(), &rest[line.len()..]),
            };
            all.push((key, value));
            rest = behind;
        }
        rest = rest.trim_start();
    }
    all
}

/// Reads a value; returns it and what follows its line.
fn value_of(text: &str) -> (String, &str) {
    let mut value = String::new();
    // Spaces at the end count only in quotes.
    let mut kept = 0;
    let mut quoted = false;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' => return (value[..kept].to_owned(), &text[at..]),
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => {
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                return (value[..kept].to_owned(), &text[end..]);
            }
            '\\' => {
                value.extend(letters.next().and_then(|(_, escaped)| match escaped {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    '\n' => None,
                    other => Some(other),
                }));
                kept = value.len();
                continue;
            }
            letter if letter.is_whitespace() && value.is_empty() && !quoted => continue,
            letter => value.push(letter),
        }
        if quoted || !letter.is_whitespace() {
            kept = value.len();
        }
    }
    (value[..kept].to_owned(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_git_writes_them() {
        let text = "# x\n[core]\n\tbare = false\n\texcludesFile = ~/my\\\\ list \\\"x\\\"  ; why\n[include] path=a\n\
                    [branch \"main\"]\n  remote = \" origin \"\n[core]\nflag\nlast = 1 \\\n 2";
        let expected = [
            ("core.bare", "false"),
            ("core.excludesfile", "~/my\\ list \"x\""),
            ("include.path", "a"),
            ("branch .main.remote", " origin "),
            ("core.flag", ""),
            ("core.last", "1  2"),
        ];
        let expected = expected.map(|(key, value)| (key.replace(" .", "."), value.to_owned()));
        assert_eq!(settings(text), expected);
        for odd in ["[core", "[a]\n=", "\\", "[a]\nb = \"x", "=", "[a]b=\\"] {
            settings(odd);
        }
    }

    #[test]
    fn files_that_include_each_other_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "[include]\npath = a\npath = b\n".repeat(50)).unwrap();
        std::fs::write(at("b"), "[include]\npath = a\npath = c\n".repeat(50)).unwrap();
        std::fs::write(at("c"), "[core]\nexcludesFile = mine\n").unwrap();
        let found = setting(&at("a"), "core.excludesfile", &mut Vec::new()).unwrap();
        assert_eq!(found, Some(("mine".to_owned(), at("c"))));
        assert_eq!(setting(&at("a"), "core.other", &mut Vec::new()).unwrap(), None);
    }

    /// Each path of version 4 can be a little longer than the one before: a few bytes become gigabytes.
    #[test]
    fn an_index_that_grows_without_a_bound_is_refused() {
        let mut bytes = [&b"DIRC\0\0\0\x04"[..], &6_000_u32.to_be_bytes()].concat();
        for _ in 0..6_000 {
            bytes.extend([&[1; 60][..], &[0, 0, 0], &[b'x'; 50], &[0]].concat());
        }
        assert!(Index::read(&bytes, 20).is_none());
    }

    #[test]
    fn a_damaged_index_is_refused() {
        let entry = |path: &str| {
            let mut entry = vec![1; 60];
            entry.extend_from_slice(&(path.len() as u16).to_be_bytes());
            entry.extend_from_slice(path.as_bytes());
            let padded = (entry.len() + 1).next_multiple_of(8);
            entry.resize(padded, 0);
            entry
        };
        let whole = [&b"DIRC\0\0\0\x02\0\0\0\x02"[..], &entry("a/b"), &entry("c"), &[7; 20]].concat();
        assert_eq!(Index::read(&whole, 20).unwrap().paths, [b"a/b".to_vec(), b"c".to_vec()]);
        for end in 0..whole.len() - 28 {
            assert!(Index::read(&whole[..end], 20).is_none_or(|index| index.paths.is_empty()), "{end}");
        }
    }
}
