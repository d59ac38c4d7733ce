//! Fuzzes a folder in which two parties write: the host through its handle, and an attacker who creates links, pipes and
//! hard links between the host's steps to make it reach outside.

use std::{
    fs,
    io::Write,
    os::unix::fs::{FileTypeExt, symlink},
    path::Path,
};

use rustix::fs::{CWD, FileType, mknodat};

use super::{Folder, PRIVATE};
use crate::fuzz::Target;

/// The fuzz targets.
pub const FUZZ: &[Target] = &[Target { name: "folder", run: folder, seeds }];

const PATHS: [&str; 12] = [
    "a",
    "b",
    "a/b",
    "a/b/c",
    "link",
    "link/x",
    "link/secret",
    "../secret",
    "b/../../secret",
    "/etc/x",
    ".",
    "",
];
const TARGETS: [&str; 6] = ["..", "../secret", "a", "/dev/zero", "nothing", "link"];
/// The limit for reading, in bytes.
const MAX: u64 = 100;

/// Each step is three bytes: what to do, where, and with what.
fn folder(bytes: &[u8]) {
    let root = tempfile::tempdir().expect("a folder can be made");
    let (inside, secret) = (root.path().join("inside"), root.path().join("secret"));
    fs::create_dir(&inside).expect("a folder can be made");
    fs::write(&secret, "hidden").expect("a file can be written");
    let folder = Folder::open(&inside).expect("it is there");
    for step in bytes.as_chunks::<3>().0.iter().take(200) {
        let [what, path, other] = *step;
        let pick = |number: u8| Path::new(PATHS[usize::from(number) % PATHS.len()]);
        let (path, other, target) = (pick(path), pick(other), TARGETS[usize::from(other) % TARGETS.len()]);
        let own = |path: &Path| inside.join(path.file_name().unwrap_or_default());
        // A step may fail, but must not reach outside.
        let _ = match what % 16 {
            0 => symlink(target, own(path)),
            1 => mknodat(CWD, own(path), FileType::Fifo, PRIVATE.into(), 0).map_err(Into::into),
            2 => fs::hard_link(&secret, own(path)),
            3 => folder.create(path, PRIVATE).and_then(|mut file| file.write_all(b"x")),
            4 => folder.update(path, PRIVATE).and_then(|mut file| file.write_all(b"x")),
            5 => folder.write(path, PRIVATE, |file| file.write_all(b"x")),
            6 => folder.write(path, PRIVATE, |_| Err(std::io::ErrorKind::Other.into())),
            7 => folder.make_below(path).map(drop),
            8 => folder.rename(path, &folder, other),
            9 => folder.remove_file(path),
            10 => folder.remove_all(path),
            11 => folder.clear(),
            12 => folder.below(path).and_then(|below| below.clear()),
            13 => folder.link(Path::new(target), path),
            14 => folder.target(path).map(drop),
            _ => folder.read(path, MAX).map(|content| {
                // A hard link to it was made in the folder itself.
                assert!(content == b"x" || content.is_empty() || content == b"hidden");
            }),
        };
        assert_eq!(fs::read(&secret).ok().as_deref(), Some(&b"hidden"[..]), "{step:?}");
        assert_eq!(fs::read_dir(root.path()).expect("it is there").count(), 2, "{step:?}");
    }
    for entry in folder.entries().expect("it can be listed") {
        let data = inside.join(&entry.name).symlink_metadata().expect("it is there");
        assert!(!entry.name.to_string_lossy().ends_with(".part"), "{}", entry.name.display());
        assert!(data.is_file() || data.is_dir() || data.is_symlink() || data.file_type().is_fifo());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let steps = |steps: &[[u8; 3]]| steps.concat();
    vec![
        steps(&[[0, 4, 0], [15, 6, 0], [5, 5, 0], [4, 6, 0], [7, 5, 0], [8, 6, 0], [10, 6, 0], [12, 4, 0]]),
        steps(&[[0, 0, 1], [4, 0, 0], [15, 0, 0], [5, 0, 0], [15, 0, 0], [13, 1, 1], [14, 1, 0], [10, 1, 0]]),
        steps(&[[2, 1, 0], [4, 1, 0], [5, 1, 0], [2, 0, 0], [9, 0, 0], [1, 0, 0], [15, 0, 0], [5, 0, 0]]),
        steps(&[[7, 3, 0], [5, 3, 0], [3, 2, 0], [8, 0, 1], [6, 1, 0], [11, 0, 0], [0, 0, 3], [15, 0, 0]]),
    ]
}
