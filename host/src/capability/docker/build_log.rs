//! Reads the output of a build, from BuildKit or the classic builder, and explains its failures.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{BuildInfo, BuildInfoAux};

use super::{explain, failure, installation};
use crate::{
    capability::{Listener, Progress},
    error::{Error, Kind},
};

/// Maximum number of lines kept of each step.
const MAX_LINES: usize = 2_000;
/// Of an installer's failure, the first lines name the package, and the last ones the cause.
const FIRST_SHOWN: usize = 12;
const LAST_SHOWN: usize = 20;

/// The builder's output so far.
#[derive(Default)]
pub(super) struct BuildLog {
    names: HashMap<String, String>,
    /// The lines of each step.
    lines: HashMap<String, Vec<String>>,
    failed: Option<String>,
    /// Bytes downloaded and total of each of the base image's layers.
    pulled: BTreeMap<String, (u64, u64)>,
    /// The unfinished line of the classic builder,
    open: String,
    /// and of BuildKit for each step: a line may arrive in several pieces.
    unfinished: HashMap<String, Vec<u8>>,
    /// Secrets, which are removed from the output.
    hidden: Vec<String>,
}

impl BuildLog {
    pub(super) fn hiding(hidden: Vec<String>) -> Self {
        Self { hidden, ..Self::default() }
    }

    pub(super) fn take(&mut self, info: BuildInfo, listener: Listener<'_>) {
        if let Some(BuildInfoAux::BuildKit(status)) = info.aux {
            return self.take_status(status, listener);
        }
        if let (Some("Downloading"), Some(layer), Some(detail)) =
            (info.status.as_deref(), &info.id, &info.progress_detail)
        {
            return self.take_layer(layer, detail.current.unwrap_or(0), detail.total.unwrap_or(0), listener);
        }
        let Some(text) = info.stream else { return };
        self.open.push_str(&text);
        while let Some(end) = self.open.find(['\n', '\r']) {
            let line: String = self.open.drain(..=end).collect();
            self.take_line(line.trim_end(), listener);
        }
    }

    fn take_status(&mut self, status: bollard::moby::buildkit::v1::StatusResponse, listener: Listener<'_>) {
        for step in status.vertexes {
            let is_new = !self.names.contains_key(&step.digest);
            if step.started.is_some() && !step.cached && is_new {
                if !step.name.starts_with("[internal]") {
                    listener(Progress::Step(&step.name));
                }
                self.names.insert(step.digest.clone(), step.name);
            }
            if !step.error.is_empty() {
                self.failed = Some(step.digest);
            }
        }
        for part in status.statuses.into_iter().filter(|part| part.id.starts_with("sha256:")) {
            self.take_layer(&part.id, part.current, part.total, listener);
        }
        for log in status.logs {
            let text = self.unfinished.entry(log.vertex.clone()).or_default();
            text.extend(log.msg);
            let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let whole: Vec<u8> = text.drain(..end).collect();
            for line in String::from_utf8_lossy(&whole).lines() {
                self.keep(&log.vertex, line, listener);
            }
        }
    }

    /// Flushes the lines that have no line feed yet.
    fn finish(&mut self) {
        for (step, text) in std::mem::take(&mut self.unfinished) {
            for line in String::from_utf8_lossy(&text).lines() {
                self.keep(&step, line, &|_| {});
            }
        }
    }

    fn take_layer(&mut self, layer: &str, done: i64, total: i64, listener: Listener<'_>) {
        let (done, total) = (done.unsigned_abs(), total.unsigned_abs());
        if total > 0 {
            self.pulled.insert(layer.to_owned(), (done, total));
            let done = self.pulled.values().map(|(done, _)| done).sum();
            let total = self.pulled.values().map(|(_, total)| total).sum();
            listener(Progress::Bytes { what: "pulling the base image", done, total: Some(total) });
        }
    }

    /// Adds a line of the classic builder. It runs one step after the other, so the last one fails.
    fn take_line(&mut self, line: &str, listener: Listener<'_>) {
        if let Some(name) = classic_step(line) {
            listener(Progress::Step(line));
            self.names.insert(line.to_owned(), name.to_owned());
            self.failed = Some(line.to_owned());
        } else if let Some(step) = self.failed.clone()
            && !line.starts_with(" ---> ")
            && !line.starts_with("Removing intermediate container ")
        {
            self.keep(&step, line, listener);
        }
    }

    fn keep(&mut self, step: &str, line: &str, listener: Listener<'_>) {
        if line.trim().is_empty() {
            return;
        }
        let line = self.hidden.iter().fold(line.to_owned(), |line, word| line.replace(word, "****"));
        listener(Progress::Line(&line));
        let kept = self.lines.entry(step.to_owned()).or_default();
        kept.push(line);
        if kept.len() > MAX_LINES {
            // The first lines are kept.
            kept.remove(MAX_LINES / 2);
        }
    }

    pub(super) fn failed(&mut self, error: bollard::errors::Error, listener: Listener<'_>) -> Error {
        self.finish();
        let step = self.failed.as_ref().and_then(|step| self.names.get(step));
        let lines = self.failed.as_ref().and_then(|step| self.lines.get(step)).map(|lines| shown(lines));
        let by_program =
            ["did not complete successfully", "returned a non-zero code", "exit code", "exit status"];
        let text = failure::causes(&error);
        let no_space = |text: &str| text.to_lowercase().contains("no space left on device");
        let explained = match step {
            // A full disk fails in any step, with different messages for each tool.
            _ if no_space(&text) || lines.as_deref().is_some_and(no_space) => {
                failure::full("cannot build the image: the engine's disk is full")
            }
            _ if failure::is_lost(&error) => return explain("cannot build the image", error),
            Some(_) if said(lines.as_deref()).is_some() => {
                return Error::new(Kind::Invalid, said(lines.as_deref()).unwrap_or_default()).hint(
                    "set --config.base_image=IMAGE to another image, or change the project's requirements",
                );
            }
            Some(step) if is_first_use_of_python(step) && has_no_python(lines.as_deref(), &text) => {
                return Error::new(Kind::Invalid, "the base image has no Python 3").hint(
                    "set --config.base_image=IMAGE to one with Python 3 and pip, such as python:3.11-slim",
                );
            }
            Some(_)
                if text.contains("exec format error")
                    || lines.as_deref().is_some_and(|lines| lines.contains("exec format error")) =>
            {
                return other_architecture();
            }
            Some(_) if refused(lines.as_deref()).is_some() => {
                let (host, status) = refused(lines.as_deref()).unwrap_or_default();
                return Error::new(
                    Kind::Denied,
                    format!("the package index at {host} rejected the credentials ({status})"),
                )
                .hint("check its user and password in the configuration of pip or uv, or in ~/.netrc");
            }
            // Without output or exit code of the step's program, the engine could not start it.
            Some(step)
                if step.contains("RUN ")
                    && lines.is_none()
                    && !by_program.iter().any(|said| text.contains(said)) =>
            {
                return Error::new(Kind::Unavailable, "cannot build the image: the engine failed")
                    .details(text)
                    .hint("check `docker info` and the engine's log");
            }
            Some(step) if step.contains("apt-get install") => {
                Error::new(Kind::Invalid, "cannot install the system packages").hint(
                    "check the names in --config.system_packages; the package manager's output is above",
                )
            }
            Some(step) if step.contains("/opt/uv/bin/uv") && !step.contains("uv venv") => {
                installation::failed(lines.as_deref().unwrap_or_default())
            }
            _ if text.contains("no match for platform")
                || text.contains("does not match the specified platform") =>
            {
                return other_architecture();
            }
            Some(step) if step.contains("load metadata for") || step.starts_with("FROM ") => {
                return no_base(&text, listener);
            }
            Some(step) => Error::failed(format!("the build failed at {step}")),
            None if text.contains("failed to resolve source metadata")
                || text.contains("pull access denied")
                || text.contains("not found")
                || text.contains("failed to do request") =>
            {
                return no_base(&text, listener);
            }
            None => return explain("cannot build the image", error),
        };
        match lines {
            Some(lines) => explained.details(lines),
            None => explained.source(error),
        }
    }
}

/// The instruction in `Step 1/9 : FROM x`, or in Podman's `STEP 1/9: FROM x` and `[1/2] STEP 1/9: FROM x`.
fn classic_step(line: &str) -> Option<&str> {
    let line = match line.split_once("] ") {
        Some((stage, rest)) if stage.starts_with('[') => rest,
        _ => line,
    };
    let (number, name) =
        line.strip_prefix("Step ").or_else(|| line.strip_prefix("STEP "))?.split_once(':')?;
    let number = number.trim_end();
    let counts = number.split_once('/').is_some_and(|(one, all)| {
        [one, all].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    counts.then(|| name.trim_start())
}

/// The lines to show of a failed step: all, or the first ones of the failure and the last ones.
fn shown(lines: &[String]) -> String {
    const BEGINNINGS: [&str; 6] = ["error", "ERROR", "×", "x ", "Traceback", "Failed"];
    let begins = |line: &String| BEGINNINGS.iter().any(|word| line.trim_start().starts_with(word));
    let begin = lines.iter().position(begins).unwrap_or(0);
    let failure = &lines[begin..];
    match failure.len().checked_sub(FIRST_SHOWN + LAST_SHOWN).filter(|left| *left > 0) {
        None => {
            let before = (FIRST_SHOWN + LAST_SHOWN).saturating_sub(failure.len());
            lines[begin.saturating_sub(before)..].join("\n")
        }
        Some(left) => {
            let (first, last) = (&failure[..FIRST_SHOWN], &failure[failure.len() - LAST_SHOWN..]);
            format!("{}\n… {left} more lines …\n{}", first.join("\n"), last.join("\n"))
        }
    }
}

/// The message of one of the driver's own checks.
fn said(lines: Option<&str>) -> Option<&str> {
    lines?.lines().find_map(|line| line.strip_prefix("alekseylearn: "))
}

/// The host that rejected the installer's credentials and its status, from the output of uv, pip or Poetry.
pub(in crate::capability) fn refused(lines: Option<&str>) -> Option<(&str, &str)> {
    let answers = ["401 Unauthorized", "403 Forbidden", "401 Client Error", "403 Client Error"];
    let lines = lines?;
    let (at, status) = answers.iter().filter_map(|answer| Some((lines.rfind(answer)?, *answer))).max()?;
    // The address is on the same line, or before it if the line arrived in pieces.
    let (before, after) = lines.split_at(at);
    let same_line = before.rfind('\n').map_or(0, |end| end + 1);
    let rest_of_line = after.lines().next().unwrap_or_default();
    let (_, host) = before[same_line..]
        .split_once("://")
        .or_else(|| rest_of_line.split_once("://"))
        .or_else(|| before.rsplit_once("://"))?;
    Some((host.split(['/', '`', ')', ' ', '\n']).next()?, status))
}

fn is_first_use_of_python(step: &str) -> bool {
    (step.starts_with("RUN ") || step.contains(" RUN ")) && step.contains("python3 -")
}

fn has_no_python(lines: Option<&str>, error: &str) -> bool {
    let missing = ["not found", "no such file or directory", "No such file or directory"];
    let names =
        |text: &str, what: &str| text.contains(what) && missing.iter().any(|word| text.contains(word));
    // Without a shell too, the error comes from the engine.
    lines.is_some_and(|lines| names(lines, "python3") || names(lines, "\"/bin/sh\""))
        || names(error, "/bin/sh")
}

pub(super) fn other_architecture() -> Error {
    Error::new(Kind::Invalid, "the base image is for another architecture")
        .hint("set --config.base_image=IMAGE to one for the image's platform, or change --config.platform=OS/ARCHITECTURE")
}

/// The error for a missing base image. The engine's own message is long, so it is only a line of progress.
fn no_base(why: &str, listener: Listener<'_>) -> Error {
    why.lines().for_each(|line| listener(Progress::Line(line)));
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    // The builder says: `… source metadata for docker.io/library/NAME: …`.
    let image = why.split_once(" metadata for ").and_then(|(_, rest)| rest.split(": ").next());
    let image = image.map(|image| image.trim_start_matches("docker.io/").trim_start_matches("library/"));
    let image = image.map_or_else(String::new, |image| format!(" {image}"));
    if says(&["401", "403", "nauthorized", "authorization failed", "no basic auth"]) {
        return Error::new(
            Kind::Denied,
            format!("cannot pull the base image{image}: its registry denied access"),
        )
        .hint("log in with `docker login REGISTRY`, or set --config.base_image=IMAGE to another image");
    }
    let unreachable =
        ["dial tcp", "i/o timeout", "no such host", "connection refused", "TLS handshake", "x509:", "EOF"];
    let reason = if says(&unreachable) {
        "not found locally, and the registry is unreachable"
    } else {
        "not found in the registry, or private"
    };
    Error::new(Kind::NotFound, format!("cannot pull the base image{image}: {reason}")).hint(
        "set --config.base_image=IMAGE to another image, or log in with `docker login` if it is private; -v shows the \
         engine's output",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_rejects_credentials_is_named() {
        for text in [
            "error: x\n hint: An index URL (http://a.example:1/simple/) could not be queried (401 Unauthorized)",
            "see https://other.example\nAn index URL (\nhttp://a.example:1/simple/\n) could not be queried (401 Unauthorized)",
            "HTTP status client error (401 Unauthorized) for url (http://a.example:1/simple/x/)\nhttp://b.example/",
        ] {
            assert_eq!(refused(Some(text)), Some(("a.example:1", "401 Unauthorized")), "{text}");
        }
        assert_eq!(
            refused(Some("401 Client Error: Unauthorized for url: http://a.example/simple/")),
            Some(("a.example", "401 Client Error"))
        );
        assert_eq!(refused(Some("no address, 401 Unauthorized")), None);
        assert_eq!(refused(None), None);
    }

    fn failed(lines: &[&str], error: &str) -> Error {
        let mut said = BuildLog::default();
        for line in lines {
            let info = BuildInfo { stream: Some(format!("{line}\n")), ..BuildInfo::default() };
            said.take(info, &|_| {});
        }
        said.failed(bollard::errors::Error::DockerStreamError { error: error.into() }, &|_| {})
    }

    #[test]
    fn the_classic_builders_failures_are_explained() {
        let install =
            "Step 3/9 : RUN cd /build && /opt/uv/bin/uv pip install --requirement 'requirements.txt'";
        let lines =
            ["Step 1/9 : FROM a AS b", " ---> 0123", install, " ---> Running in 45", "no such package"];
        let error = failed(&lines, "The command '/bin/sh -c cd' returned a non-zero code: 1");
        assert_eq!((error.kind(), error.details_text()), (Kind::Invalid, Some("no such package")));
        let error = failed(&["[1/2] STEP 1/9: FROM nothing AS b"], "manifest unknown");
        assert!(
            error.message().starts_with("cannot pull the base image: not found in the registry"),
            "{error}"
        );
        let error = failed(&["Step 1/9 : FROM a", "Step 2/9 : COPY x y"], "no such file");
        assert_eq!(error.message(), "the build failed at COPY x y");
    }

    #[test]
    fn the_layers_of_a_base_image_are_counted_together() {
        use std::sync::Mutex;

        use bollard::{
            moby::buildkit::v1::{StatusResponse, VertexStatus},
            models::ProgressDetail,
        };
        let heard = Mutex::new(Vec::new());
        let listener = |progress: Progress<'_>| {
            if let Progress::Bytes { done, total, .. } = progress {
                heard.lock().unwrap().push((done, total));
            }
        };
        let mut said = BuildLog::default();
        for (layer, current) in [("a", 10), ("b", 0), ("a", 100)] {
            let detail = ProgressDetail { current: Some(current), total: Some(100) };
            let info = BuildInfo {
                id: Some(layer.into()),
                status: Some("Downloading".into()),
                progress_detail: Some(detail),
                ..BuildInfo::default()
            };
            said.take(info, &listener);
        }
        let part =
            |id: &str, current| VertexStatus { id: id.into(), current, total: 50, ..VertexStatus::default() };
        let status = StatusResponse {
            statuses: vec![part("sha256:c", 25), part("transferring context:", 5)],
            ..StatusResponse::default()
        };
        let aux = Some(BuildInfoAux::BuildKit(status));
        said.take(BuildInfo { aux, ..BuildInfo::default() }, &listener);
        let of = |done, total| (done, Some(total));
        assert_eq!(*heard.lock().unwrap(), [of(10, 100), of(10, 200), of(100, 200), of(125, 250)]);
    }

    #[test]
    fn a_line_that_arrives_in_pieces_is_joined() {
        use bollard::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};
        let digest = "sha256:a".to_owned();
        let log =
            |msg: &[u8]| VertexLog { vertex: digest.clone(), msg: msg.to_vec(), ..VertexLog::default() };
        let step = Vertex {
            digest: digest.clone(),
            name: "[4/9] RUN /opt/uv/bin/uv pip install".into(),
            started: Some(Default::default()),
            ..Vertex::default()
        };
        let failed = Vertex { error: "exit code: 1".into(), ..step.clone() };
        let whole = "error: no\n  cause: sé\n";
        let pieces = whole.as_bytes().chunks(3).map(log).chain([log(b"last")]).collect();
        let mut said = BuildLog::hiding(vec!["secret".into()]);
        for (vertexes, logs) in [(vec![step], pieces), (vec![failed], vec![log(b" sec"), log(b"ret")])] {
            let aux =
                Some(BuildInfoAux::BuildKit(StatusResponse { vertexes, logs, ..StatusResponse::default() }));
            said.take(BuildInfo { aux, ..BuildInfo::default() }, &|_| {});
        }
        let error =
            said.failed(bollard::errors::Error::DockerStreamError { error: "exit code: 1".into() }, &|_| {});
        assert_eq!(error.details_text(), Some("error: no\n  cause: sé\nlast ****"));
    }

    #[test]
    fn a_failure_of_the_engine_is_not_reported_as_a_bad_requirement() {
        let install = "Step 3/9 : RUN /opt/uv/bin/uv pip install --requirement 'requirements.txt'";
        let error = failed(&[install], "failed to create endpoint: could not find bridge docker0");
        assert_eq!(
            (error.kind(), error.message()),
            (Kind::Unavailable, "cannot build the image: the engine failed")
        );
    }

    #[test]
    fn a_long_failure_keeps_its_beginning_and_its_end() {
        let mut lines: Vec<String> = (0..40).map(|number| format!("Downloading {number}")).collect();
        lines.push("error: Failed to build `pyyaml==5.4.1`".into());
        lines.extend((0..100).map(|number| format!("line {number}")));
        let text = shown(&lines);
        assert!(text.starts_with("error: Failed to build `pyyaml==5.4.1`\nline 0\n"), "{text}");
        assert!(text.contains("\n… 69 more lines …\n") && text.ends_with("line 99"), "{text}");
        assert_eq!(shown(&lines[..3]), "Downloading 0\nDownloading 1\nDownloading 2");
    }

    #[test]
    fn a_full_disk_is_distinguished_from_a_bad_requirement() {
        let install = "Step 3/9 : RUN uv pip install";
        for (lines, error) in [
            (vec![install, "OSError: [Errno 28] No space left on device"], "a non-zero code: 1"),
            (vec![install], "write /var/lib/docker/x: no space left on device"),
            (vec![], "no space left on device"),
        ] {
            let error = failed(&lines, error);
            assert_eq!(error.message(), "cannot build the image: the engine's disk is full");
            assert!(error.hint_text().unwrap().contains("docker system prune"));
        }
    }

    #[test]
    fn only_lines_of_steps_are_parsed_as_steps() {
        assert_eq!(classic_step("Step 2/10 : RUN a: b"), Some("RUN a: b"));
        assert_eq!(classic_step("STEP 2/10: RUN x"), Some("RUN x"));
        for line in ["Step by step: x", "Step 2 : x", "[x] y", "STEP /: x"] {
            assert_eq!(classic_step(line), None, "{line}");
        }
    }
}
