//! Hashes what each instruction of a Dockerfile depends on. A label of the image holds the hashes, from which the next
//! build knows which layers are in the engine's cache. If it is unclear which files of the context an instruction uses,
//! it counts as using all of them: a cached layer may be reported as new, but never a new one as cached.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{BuildContext, Hashed};

/// An instruction that may create a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The instruction's text, on one line.
    pub instruction: String,
    /// The hash of the instruction, the files it copies, and all instructions before it in its stage.
    pub hash: String,
}

impl BuildContext {
    /// The steps of the build, in order.
    pub fn steps(&self, hashed: &Hashed) -> Vec<Step> {
        let hash = &hashed.whole;
        let mut reading = Reading { context: self, hashed, stages: HashMap::new() };
        let mut steps = Vec::new();
        let mut stage = Stage { name: String::new(), chain: String::new() };
        for instruction in instructions(&self.dockerfile) {
            let mut words = instruction.split_whitespace();
            let verb = words.next().unwrap_or_default().to_uppercase();
            let words: Vec<&str> = words.collect();
            if verb == "FROM" {
                stage = reading.begin(&words);
                continue;
            }
            let seen = match verb.as_str() {
                "COPY" | "ADD" => reading.copied(&words, &instruction),
                "RUN" if words.iter().any(|word| word.starts_with("--mount") && !is_private(word)) => {
                    hash.to_owned()
                }
                _ => String::new(),
            };
            stage.chain = of(&[&stage.chain, &instruction, &seen]);
            reading.stages.insert(stage.name.clone(), stage.chain.clone());
            if matches!(verb.as_str(), "COPY" | "ADD" | "RUN" | "WORKDIR") {
                steps.push(Step { instruction, hash: stage.chain.clone() });
            }
        }
        steps
    }
}

/// Whether a mount has no files of the context.
fn is_private(mount: &str) -> bool {
    ["type=cache", "type=secret", "type=ssh", "type=tmpfs"].iter().any(|kind| mount.contains(kind))
}

struct Stage {
    name: String,
    chain: String,
}

struct Reading<'a> {
    context: &'a BuildContext,
    /// The whole hash stands for the whole context.
    hashed: &'a Hashed,
    /// The last hash of each stage so far, by name and number.
    stages: HashMap<String, String>,
}

impl Reading<'_> {
    /// Begins a stage: `FROM [--platform=…] BASE [AS NAME]`.
    fn begin(&mut self, words: &[&str]) -> Stage {
        let plain: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
        let base = plain.first().copied().unwrap_or_default();
        let chain = match self.stages.get(base) {
            Some(chain) => chain.clone(),
            None => of(&["FROM", base, &self.context.platform]),
        };
        let name = plain.get(2).map_or_else(|| self.stages.len().to_string(), |name| (*name).to_owned());
        self.stages.insert(name.clone(), chain.clone());
        Stage { name, chain }
    }

    /// The hash of what a COPY or ADD copies.
    fn copied(&mut self, words: &[&str], instruction: &str) -> String {
        let (flags, rest): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("--"));
        if let Some(stage) = flags.iter().find_map(|flag| flag.strip_prefix("--from=")) {
            // Another image, or a stage by number, which is rare and counts as changed by anything.
            let number = stage.parse::<usize>().is_ok();
            let unknown = if number { self.hashed.whole.clone() } else { stage.to_owned() };
            return self.stages.get(stage).cloned().unwrap_or(unknown);
        }
        let list = instruction.find('[').and_then(|at| serde_json::from_str(&instruction[at..]).ok());
        let mut paths: Vec<String> =
            list.unwrap_or_else(|| rest.iter().map(|&word| word.to_owned()).collect());
        // The last one is the destination.
        paths.pop();
        let seen: Vec<String> = paths.iter().map(|path| self.at(path)).collect();
        of(&seen.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The hash of a path of the context: of a file, or of everything below a folder.
    fn at(&self, path: &str) -> String {
        let path = path.trim_start_matches("./").trim_matches('/');
        if path.is_empty() || path == "." || path.contains(['*', '?', '[', '$', '<', ':', '\\']) {
            return self.hashed.whole.clone();
        }
        let within =
            |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let context = self.context;
        let mut parts = Vec::new();
        for (name, content) in context.extra.iter().filter(|(name, _)| within(name)) {
            parts.push(of(&[name, &hex::encode(Sha256::digest(content))]));
        }
        for (name, file) in context.placed() {
            if within(&name) {
                let content = match &file.link {
                    Some(target) => format!("link {target}"),
                    None => {
                        self.hashed.contents.get(&name).map(|sum| hex::encode(sum.hash)).unwrap_or_default()
                    }
                };
                parts.push(of(&[&name, if file.executable { "x" } else { "" }, &content]));
            }
        }
        let folders = context.folders.iter().map(|folder| format!("code/{folder}"));
        parts.extend(folders.filter(|folder| within(folder)).map(|folder| of(&["folder", &folder])));
        if parts.is_empty() && path != "code" {
            self.hashed.whole.clone()
        } else {
            of(&parts.iter().map(String::as_str).collect::<Vec<_>>())
        }
    }
}

/// A hash, with enough digits to avoid collisions within one image.
fn of(parts: &[&str]) -> String {
    const DIGITS: usize = 16;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(DIGITS);
    text
}

/// The base image of the last stage, if it is named literally.
pub(super) fn base(dockerfile: &str) -> Option<String> {
    let last =
        instructions(dockerfile).into_iter().rfind(|line| line.to_ascii_uppercase().starts_with("FROM "))?;
    let base = last.split_whitespace().skip(1).find(|word| !word.starts_with("--"))?.to_owned();
    (!base.contains('$') && base != "scratch").then_some(base)
}

/// The instructions, without comments and with continued lines joined.
fn instructions(dockerfile: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut open = String::new();
    for line in dockerfile.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_suffix('\\') {
            Some(line) => {
                open.push_str(line.trim());
                open.push(' ');
            }
            None => all.push(std::mem::take(&mut open) + line),
        }
    }
    all.extend((!open.is_empty()).then_some(open));
    all
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::project::File;

    const DOCKERFILE: &str = "\
        FROM base AS dependencies\n\
        COPY [\"code/requirements.txt\", \"/build/\"]\n\
        RUN --mount=type=cache,target=/x pip install \\\n  -r /build/requirements.txt\n\
        # the image itself\n\
        FROM base\n\
        COPY --from=dependencies /venv /venv\n\
        ENV A=1\n\
        COPY runner/ /runner/\n\
        COPY code/ /code/\n";

    #[test]
    fn the_base_is_that_of_the_last_stage() {
        assert_eq!(base("FROM a AS b\nRUN x\nfrom --platform=linux/amd64 c:1\n").as_deref(), Some("c:1"));
        assert_eq!(base("ARG A\nFROM $A\n"), None);
        assert_eq!(base("FROM scratch\n"), None);
    }

    /// The numbers of the steps that differ from those of the plain build.
    fn changed(dockerfile: &str, files: &[(&str, &str)], runner: &str) -> Vec<usize> {
        let folder = tempfile::tempdir().unwrap();
        let context = |dockerfile: &str, files: &[(&str, &str)], runner: &str| {
            let file = |(path, text): &(&str, &str)| {
                let source = folder.path().join(path);
                fs::write(&source, text).unwrap();
                File {
                    path: (*path).into(),
                    source,
                    size: text.len() as u64,
                    executable: false,
                    link: None,
                    cleaned: None,
                }
            };
            let context = BuildContext {
                dockerfile: dockerfile.into(),
                files: files.iter().map(file).collect(),
                extra: [("runner/a.py".to_owned(), runner.as_bytes().to_vec())].into(),
                ..BuildContext::default()
            };
            context.steps(&context.hashed().unwrap())
        };
        let before = context(DOCKERFILE, &[("requirements.txt", "six"), ("train.py", "1")], "a");
        assert_eq!(before.len(), 5);
        let after = context(dockerfile, files, runner);
        (0..after.len()).filter(|&at| !before.contains(&after[at])).collect()
    }

    #[test]
    fn a_step_depends_on_what_it_sees_and_on_those_before_it() {
        let files = [("requirements.txt", "six"), ("train.py", "1")];
        assert_eq!(changed(DOCKERFILE, &files, "a"), [0; 0]);
        assert_eq!(changed(DOCKERFILE, &[files[0], ("train.py", "2")], "a"), [4], "the code alone");
        assert_eq!(changed(DOCKERFILE, &files, "b"), [3, 4], "the runner, and what follows");
        assert_eq!(changed(DOCKERFILE, &[("requirements.txt", "attrs"), files[1]], "a"), [0, 1, 2, 3, 4]);
        assert_eq!(changed(&DOCKERFILE.replace("A=1", "A=2"), &files, "a"), [3, 4]);
        assert_eq!(changed(&DOCKERFILE.replace("base", "other"), &files, "a"), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_unclear_instruction_depends_on_everything() {
        for copy in
            ["COPY c* /code/", "COPY . /code/", "COPY $WHERE /code/", "RUN --mount=type=bind,target=/x make"]
        {
            let dockerfile = DOCKERFILE.replace("COPY code/ /code/", copy);
            let folder = tempfile::tempdir().unwrap();
            let source = folder.path().join("train.py");
            let steps = |text: &str| {
                fs::write(&source, text).unwrap();
                let file = File {
                    path: "train.py".into(),
                    source: source.clone(),
                    size: 1,
                    executable: false,
                    link: None,
                    cleaned: None,
                };
                let context = BuildContext {
                    dockerfile: dockerfile.clone(),
                    files: vec![file],
                    ..BuildContext::default()
                };
                context.steps(&context.hashed().unwrap())
            };
            assert_ne!(steps("1").pop(), steps("2").pop(), "{copy}");
        }
    }
}
