//! Compares how ignore files are read with Docker and git themselves: they get the same folders, with patterns of every
//! kind, and with generated ones.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::Command,
    sync::mpsc::{Receiver, channel},
};

use super::{super::files::list, Choice, docker::Patterns};

const FILES: &[&str] = &[
    ".hidden",
    "README.md",
    "a",
    "creds.txt",
    "data/keep.csv",
    "data/raw/x.csv",
    "data/raw/y.md",
    "docs/deep/y.md",
    "docs/x.md",
    "ß.txt",
    "temp!",
    "temp1",
    "tempA",
    "we ird",
    "{a,b}",
];

/// Ignore files from public projects, and from bug reports about tools that read them.
const FILES_OF_PATTERNS: &[&str] = &[
    "creds.txt/\n",
    "**.md\n",
    ".*/\n",
    "data//raw\n",
    "data/./raw\n",
    "data/../docs\n",
    "../data\n",
    "..\n",
    ".\n",
    "/\n",
    "//\n",
    "/data\n",
    "./data/\n",
    "\u{feff}creds.txt\nREADME.md\n",
    "\u{feff}# creds.txt\ndocs\n",
    " # a\n#docs\n",
    "temp[!0-9]\n",
    "temp[^0-9]\n",
    "temp[0-9A-C]\n",
    "temp[[:upper:]]\n",
    "temp[[:digit:]!]\n",
    "[]a]\n",
    "[a\n",
    "[z-a]\n",
    "[]\n",
    "[a-]\n",
    "a[\n",
    "!\n",
    "! \n",
    "!/\n",
    "*\n!\n",
    "{README.md,creds.txt}\n",
    "{a,b}\n",
    "{*}\n",
    "*.md\n! README.md\n",
    "*.md\n!README.md\n",
    "*\n!README.md\n!data/keep.csv\n",
    "*\n!docs\n",
    "*\n!docs/\n",
    "**\n!docs/\n",
    "**\n!docs/**\n",
    "**/*\n!docs\n",
    "*\n!docs/*\n",
    "*\n!*/\n",
    "data\n!data/raw/x.csv\n",
    "data/*\n!data/raw\n",
    "data/**\n!data/keep.csv\n",
    "*\n!**/*.md\n",
    "*\n!data/*/x.csv\n",
    "!docs\ndocs\n",
    "d**s/x.md\n",
    "docs/**/y.md\n",
    "**/y.md\n",
    "**/raw/**\n",
    "**/docs\n",
    "*/raw\n",
    "*\n",
    "**\n",
    "**/\n",
    "docs[/]x.md\n",
    "docs?x.md\n",
    "we ird\n",
    "we\\ ird  \n",
    "we ird\\\n",
    "\\{a,b}\n",
    "\\a\n",
    "\\!a\n",
    "?\n",
    "??.txt\n",
    "*.TXT\n",
    "data\r\ndocs\r\n",
    "^a\n",
    "^a*\n",
    "a$\n",
    "a|docs\n",
    "(a)\n",
    "a.\n",
    "temp.\n",
    "temp+\n",
    "/!a\n",
    "!/a\n",
    "docs/\n!docs/x.md\n",
    "/docs/*\n!/docs/x.md\n",
    "x.md\n",
    "raw/\n",
    "data/raw\n",
    "*.md\n!docs/*.md\n",
    "#\n\n\n",
    "data \n",
    "\tdata\t\n",
    "$x\n",
    "[\\]]\n",
    "[^a-z.]*\n",
    "[*]\n",
    "te[m]p?\n",
];

/// Ignore files from a generator that always makes the same.
fn made_up(count: usize) -> Vec<String> {
    // No backslash before a letter: that is not a pattern of Docker, and is refused here before Docker reads it.
    const PARTS: &[&str] = &[
        "*",
        "**",
        "/",
        "/",
        "!",
        "a",
        "data",
        "raw",
        "docs",
        "x",
        ".md",
        ".",
        "..",
        "?",
        "[a-d]",
        "[!a]",
        "[^d]",
        "{a,b}",
        "\\*",
        " ",
        "temp",
        "1",
        "README",
        "*.md",
        "**/",
        "/**",
        "keep.csv",
        "y.md",
        "[[:alpha:]]",
        "+",
    ];
    let mut state = 20_261_201_u64;
    let mut below = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    let mut all = Vec::new();
    for _ in 0..count {
        let mut text = String::new();
        for _ in 0..=below(3) {
            if below(4) == 0 {
                text.push('!');
            }
            for _ in 0..=below(4) {
                text.push_str(PARTS[below(PARTS.len())]);
            }
            text.push('\n');
        }
        all.push(text);
    }
    all
}

fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in FILES {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    root
}

/// An engine that builds nothing: it reports which files it received.
struct Engine {
    address: String,
    came: Receiver<BTreeSet<String>>,
    _folder: tempfile::TempDir,
}

impl Engine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (sender, came) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    if let Some(files) = answer(stream) {
                        let _ = sender.send(files);
                    }
                });
            }
        });
        Self { address: format!("unix://{}", socket.display()), came, _folder: folder }
    }

    /// Returns what `docker build` sends of a folder; `None` if it refuses.
    fn sent(&self, folder: &Path) -> Option<BTreeSet<String>> {
        let mut docker = Command::new("docker");
        docker.args(["build", "-q", "."]).current_dir(folder).env("DOCKER_HOST", &self.address);
        docker.env("DOCKER_BUILDKIT", "0").env_remove("DOCKER_CONTEXT");
        let output = docker.output().expect("docker is installed");
        output.status.success().then(|| self.came.recv().unwrap())
    }
}

/// Answers requests as an engine does, up to the first build, whose files it returns.
fn answer(stream: UnixStream) -> Option<BTreeSet<String>> {
    let mut out = stream.try_clone().ok()?;
    let mut requests = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if requests.read_line(&mut first).ok()? == 0 {
            return None;
        }
        let mut chunked = false;
        loop {
            let mut line = String::new();
            requests.read_line(&mut line).ok()?;
            chunked |= line.to_lowercase().trim() == "transfer-encoding: chunked";
            if line.trim().is_empty() {
                break;
            }
        }
        let body = if chunked { chunks(&mut requests)? } else { Vec::new() };
        let built = first.contains("/build?");
        let text =
            if built { "{\"aux\":{\"ID\":\"sha256:1\"}}\n{\"stream\":\"sha256:1\\n\"}\n" } else { "{}" };
        write!(
            out,
            "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nOstype: linux\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            text.len()
        )
        .ok()?;
        if !first.starts_with("HEAD") {
            out.write_all(text.as_bytes()).ok()?;
        }
        if built {
            let mut archive = tar::Archive::new(body.as_slice());
            let entries = archive.entries().unwrap().map(Result::unwrap);
            let files = entries.filter(|entry| entry.header().entry_type().is_file());
            return Some(files.map(|entry| entry.path().unwrap().to_str().unwrap().to_owned()).collect());
        }
    }
}

fn chunks(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        from.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(all);
        }
        all.extend_from_slice(&chunk[..size]);
    }
}

/// Returns what `patterns` send with the legacy builder, which can be asked without BuildKit's own client: it does not
/// enter an excluded folder, unless an exception begins with its name.
fn sent_by(patterns: &Patterns) -> BTreeSet<String> {
    let is_sent = |path: &&&str| {
        let mut matches = Vec::new();
        for (end, _) in path.match_indices('/') {
            let verdict = patterns.judge(&path[..end], &matches);
            if verdict.kept.is_some() && !patterns.has_exception_in(&path[..end]) {
                return false;
            }
            matches = verdict.matches;
        }
        patterns.judge(path, &matches).kept.is_none()
    };
    FILES.iter().filter(is_sent).map(|path| (*path).to_owned()).collect()
}

#[test]
fn dockerignore_is_read_as_docker_does() {
    let root = tree();
    fs::write(root.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    let engine = Engine::start();
    let known = FILES_OF_PATTERNS.iter().map(|text| (*text).to_owned());
    let mut refused = 0;
    for text in known.chain(made_up(80)) {
        fs::write(root.path().join(".dockerignore"), &text).unwrap();
        let theirs = engine.sent(root.path()).map(|mut files| {
            files.retain(|file| FILES.contains(&file.as_str()));
            files
        });
        let ours = Patterns::read(text.as_bytes()).ok().map(|patterns| sent_by(&patterns));
        refused += usize::from(theirs.is_none());
        assert_eq!(ours, theirs, "ours and Docker's by {text:?}");
    }
    assert!(refused > 5, "some of them are errors for Docker, too: {refused}");
}

#[test]
fn gitignore_is_read_as_git_does() {
    let root = tree();
    let folder = root.path().canonicalize().unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(&folder);
        let output = git.output().expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q"]);
    git(&["add", "-f", "docs/x.md", "data/raw/x.csv"]);
    // In addition: what only this repository ignores, and what its user always ignores.
    fs::write(folder.join(".git/info/exclude"), "tempA\n").unwrap();
    fs::write(folder.join(".git/mine"), "/creds.txt\n!creds.txt\n*.bak\nwe*\n").unwrap();
    git(&["config", "core.excludesFile", ".git/mine"]);
    let mine = folder.join(".git/mine");
    git(&["config", "core.excludesFile", mine.to_str().unwrap()]);
    fs::write(folder.join("docs/.gitignore"), "!y.md\n/x.md\n").unwrap();
    let known = FILES_OF_PATTERNS.iter().map(|text| (*text).to_owned());
    for text in known.chain(made_up(300)) {
        fs::write(folder.join(".gitignore"), &text).unwrap();
        let theirs = git(&[
            "-c",
            "core.quotePath=false",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let theirs: BTreeSet<String> =
            theirs.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect();
        let listing = list(&folder, &[], &Choice::default()).unwrap();
        let ours: BTreeSet<String> = listing.files.into_iter().map(|file| file.path).collect();
        assert_eq!(ours, theirs, "ours and git's by {text:?}");
    }
}
