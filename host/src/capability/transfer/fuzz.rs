//! Fuzzes the unpacking of model artifacts, which code on another machine made.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::Unpack;
use crate::{
    disk::Folder,
    fuzz::{Target, settled, told},
};

/// The targets.
pub const FUZZ: &[Target] = &[Target { name: "archive", run: archive, seeds: archives }];

/// Small, so that larger files are refused.
const LIMIT: u64 = 1 << 20;

/// Takes a tar, because the checksum of a `.tar.gz` would reject most changes.
fn archive(bytes: &[u8]) {
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(&settled(bytes)).expect("it is kept in memory");
    let packed = packed.finish().expect("it is kept in memory");
    let root = tempfile::tempdir().expect("a folder can be made");
    fs::write(root.path().join("beside"), "untouched").expect("a file can be written");
    let tree = root.path().join("tree");
    let unpack = Unpack {
        name: "model.tar.gz".into(),
        tree: Folder::make(&tree).expect("a folder can be made"),
        beside: None,
    };
    let brought = told(unpack.within(LIMIT, packed.as_slice()));
    assert_eq!(fs::read(root.path().join("beside")).ok().as_deref(), Some(&b"untouched"[..]));
    assert_eq!(fs::read_dir(root.path()).expect("it is there").count(), 2);
    let mut found = Vec::new();
    if tree.exists() {
        walk(&tree, &tree, brought.is_some(), &mut found);
    }
    if let Some(brought) = brought {
        found.sort();
        assert_eq!(brought.files, found);
        assert!(brought.size <= LIMIT);
    }
}

/// Checks that there are only files and folders, and if all was accepted, links that stay inside.
fn walk(folder: &Path, tree: &Path, accepted: bool, found: &mut Vec<PathBuf>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let data = path.symlink_metadata().expect("it is there");
        if data.is_dir() {
            walk(&path, tree, accepted, found);
            continue;
        }
        if data.is_symlink() {
            let end = path.canonicalize().ok();
            let root = tree.canonicalize().expect("it is there");
            assert!(
                !accepted || end.is_some_and(|end| end.starts_with(root)),
                "{} leads out",
                path.display()
            );
        } else {
            assert!(data.is_file() && data.len() <= LIMIT, "{}", path.display());
            assert!(!accepted || matches!(data.permissions().mode() & 0o7777, 0o644 | 0o755));
        }
        found.push(path.strip_prefix(tree).expect("it lies in it").to_owned());
    }
}

fn archives() -> Vec<Vec<u8>> {
    let tar = |items: &[(&str, EntryType, &str)]| {
        let mut tar = Builder::new(Vec::new());
        for (name, kind, content) in items {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            // The writer itself would refuse hostile entries.
            if name.starts_with(['/', '.']) {
                header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
                header.set_size(0);
                header.set_cksum();
                tar.append(&header, std::io::empty()).expect("it is kept in memory");
                continue;
            }
            let outcome = match kind {
                EntryType::Symlink | EntryType::Link => tar.append_link(&mut header, name, content),
                _ => {
                    header.set_size(content.len() as u64);
                    tar.append_data(&mut header, name, content.as_bytes())
                }
            };
            outcome.expect("it is kept in memory");
        }
        tar.into_inner().expect("it is kept in memory")
    };
    let long = "long/".repeat(30) + "name";
    vec![
        tar(&[
            ("model.txt", EntryType::Regular, "abc"),
            ("a", EntryType::Directory, ""),
            ("a/b.txt", EntryType::Regular, "d"),
            ("a/l", EntryType::Symlink, "../model.txt"),
            ("h", EntryType::Link, "model.txt"),
        ]),
        tar(&[(&long, EntryType::Regular, "abc"), ("x", EntryType::XHeader, "20 path=a/b/c.txt\n\n")]),
        tar(&[
            ("./d/x", EntryType::Regular, ""),
            ("./d/l", EntryType::Symlink, "../d"),
            ("./h", EntryType::Link, "d/x"),
        ]),
        tar(&[("../x", EntryType::Regular, "")]),
        tar(&[("./d/x", EntryType::Regular, ""), ("./d/l", EntryType::Symlink, "../../beside")]),
        tar(&[("/tmp/x", EntryType::Regular, ""), ("./l", EntryType::Symlink, "/etc")]),
        tar(&[("x", EntryType::Symlink, "y"), ("y", EntryType::Symlink, "."), ("z", EntryType::Fifo, "")]),
    ]
}
