//! The image's name: `foo/model` for `…/foo/model.py`.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Digits of the hash in a tag.
const HASH_LENGTH: usize = 8;

/// Returns the tag of an artifact, reduced to what every registry accepts: lower-case letters, digits, and single `.`,
/// `_` or `-` between them. A name without any of them, such as one in another script, is replaced by its hash.
pub fn tag_of(folder: &Path, artifact: &str) -> String {
    let folder_name = folder.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    let stem = Path::new(artifact).file_stem().map_or_else(Default::default, |stem| stem.to_string_lossy());
    let mut name = clean(&stem);
    if name.is_empty() {
        name = format!("artifact-{}", &hex::encode(Sha256::digest(stem.as_bytes()))[..HASH_LENGTH]);
    }
    let folder = clean(&folder_name);
    if folder.is_empty() { name } else { format!("{folder}/{name}") }
}

/// Returns the artifact that has the tag in the current project, whether or not it has any job.
pub fn artifact_of_tag(tag: &str, current: &Path) -> Option<PathBuf> {
    let (parent, stem) = tag.rsplit_once('/').unwrap_or(("", tag));
    let is_top = |folder: &Path| [".git", "pyproject.toml"].iter().any(|mark| folder.join(mark).exists());
    let ancestors: Vec<&Path> = current.ancestors().collect();
    let top = ancestors.iter().position(|folder| is_top(folder)).unwrap_or(0);
    let folders = ancestors[..=top].iter().flat_map(|folder| [folder.to_path_buf(), folder.join(parent)]);
    let names = ["py", "ipynb", "sh"].map(|end| format!("{stem}.{end}"));
    let mut paths = folders.flat_map(|folder| names.clone().map(|name| folder.join(name)));
    paths.find(|path| {
        let of_path = || Some(tag_of(path.parent()?, path.file_name()?.to_str()?));
        path.is_file() && of_path().is_some_and(|found| found == tag)
    })
}

fn clean(name: &str) -> String {
    const MAX_LENGTH: usize = 100;
    let mut out = String::new();
    for c in name.to_lowercase().chars().take(MAX_LENGTH) {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_') { c } else { '-' };
        let separator = |c: char| matches!(c, '.' | '_' | '-');
        if !separator(c) || out.chars().next_back().is_some_and(|last| !separator(last)) {
            out.push(c);
        }
    }
    out.trim_end_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_folder_and_the_artifact() {
        let tag = |folder: &str, name: &str| tag_of(Path::new(folder), name);
        assert_eq!(tag("/x/foo", "model.py"), "foo/model");
        assert_eq!(tag("/x/My Models", "Train_v2.ipynb"), "my-models/train_v2");
        assert_eq!(tag("/x/__a__b", "a--b.c.py"), "a_b/a-b.c");
        assert_eq!(tag("/", "model.py"), "model");
        assert_eq!(tag("/x/模型", "model.py"), "model");
        assert_eq!(tag("/x", "模型.py"), "x/artifact-c98e118e");
        assert_ne!(tag("/x", "模型.py"), tag("/x", "训练.py"));
    }
}
