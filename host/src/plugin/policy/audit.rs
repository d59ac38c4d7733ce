//! The audit log: what plugins asked for in a job, and what was decided. One JSON object per line, in a file beside the
//! job's folder, where no plugin can write.

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::verb::Verb;
use crate::{
    disk::{self, Folder, PRIVATE},
    environment::Environment,
    error::{Error, Kind, Result},
};

/// The file name extension of an audit log.
pub const EXTENSION: &str = "audit";
/// The size limit of one job's audit log.
const MAX_BYTES: u64 = 1 << 20;
/// The number of distinct entries of one job in one process, which also bounds the memory of a run without a job.
const MAX_WAITING: usize = 2_000;
/// The length limit of a name or reason, in characters. Longer ones are truncated.
const MAX_LENGTH: usize = 1_000;

/// One audit log entry: a verb that a plugin called, and the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// When this command first decided it, in RFC 3339.
    pub time: String,
    /// The plugin's name.
    pub plugin: String,
    /// The digest of its component.
    pub digest: String,
    /// The driver function that called it, such as `train.submit`.
    pub call: String,
    /// The verb, such as `request`.
    pub verb: String,
    /// The object of the verb. Contains no secrets: neither the query of a URL nor the value of a secret option.
    pub on: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Why it was denied; `None` if it was allowed.
    pub reason: Option<String>,
}

/// The audit logs of all jobs of this process. A process logs the same verb on the same object once.
#[derive(Debug, Default)]
pub struct Audit {
    jobs: PathBuf,
    kept: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The fields that identify an entry, of all entries so far.
    seen: HashSet<[String; 5]>,
    /// Entries that are not written yet, because the job has no folder.
    waiting: Vec<String>,
}

/// Logs the verbs of one driver call.
#[derive(Clone, Debug)]
pub(crate) struct Auditor {
    pub(crate) audit: Arc<Audit>,
    pub(crate) job: String,
    pub(crate) plugin: String,
    pub(crate) digest: String,
    pub(crate) call: &'static str,
    /// The values of secret options.
    pub(crate) secrets: Vec<String>,
}

impl Auditor {
    /// Logs one decision.
    pub(crate) fn note(&self, verb: Verb<'_>, decided: &Result<()>) {
        let (name, on) = verb.audited();
        self.audit.note(
            &self.job,
            Audited {
                time: Timestamp::now().to_string(),
                plugin: self.plugin.clone(),
                digest: self.digest.clone(),
                call: self.call.to_owned(),
                verb: name.to_owned(),
                on: self.clean(on),
                allowed: decided.is_ok(),
                reason: decided.as_ref().err().map(|error| self.clean(error.message().to_owned())),
            },
        );
    }

    /// Removes the values of secret options, and truncates the text.
    fn clean(&self, mut text: String) -> String {
        for secret in &self.secrets {
            text = text.replace(secret, "***");
        }
        if let Some((end, _)) = text.char_indices().nth(MAX_LENGTH) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

impl Audit {
    /// The audit logs in the user's data folder. Writes nothing yet.
    pub(crate) fn new(environment: &Environment) -> Self {
        Self { jobs: environment.data.join("jobs"), kept: Mutex::default() }
    }

    /// The entries of a job, oldest first.
    ///
    /// # Errors
    /// If the job has no audit log, or the file cannot be read.
    pub fn read(&self, job: &str) -> Result<Vec<Audited>> {
        let path = self.path(job);
        let file = match disk::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::new(Kind::NotFound, format!("no audit log for job {job}"))
                    .hint("list this machine's jobs with `alekseylearn jobs`"));
            }
            Err(error) => return Err(disk::cannot_read(&path, error)),
        };
        let lines = BufReader::new(file.take(2 * MAX_BYTES)).lines();
        // A killed process may have left a partial last line.
        Ok(lines.map_while(std::io::Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect())
    }

    /// Whether the log reached its size limit, so that entries may be missing.
    pub fn is_full(&self, job: &str) -> bool {
        self.path(job).metadata().is_ok_and(|data| data.len() + 2 * MAX_LENGTH as u64 > MAX_BYTES)
    }

    /// Writes the entries so far, now that the job has its folder.
    pub fn begun(&self, job: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get_mut(job) {
            self.write(job, kept);
        }
    }

    fn write(&self, job: &str, kept: &mut Kept) {
        if kept.waiting.is_empty() {
            return;
        }
        let text: String = kept.waiting.drain(..).map(|line| line + "\n").collect();
        // A log that cannot be written, such as on a full disk, must not stop the job.
        let _ = append(&self.jobs, &format!("{job}.{EXTENSION}"), &text);
    }

    /// Moves the entries so far to another job, because the run resumes that one.
    pub fn moved(&self, from: &str, to: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = kept.remove(from) {
            kept.insert(to.to_owned(), waiting);
        }
    }

    fn path(&self, job: &str) -> PathBuf {
        self.jobs.join(format!("{job}.{EXTENSION}"))
    }

    fn note(&self, job: &str, audited: Audited) {
        let Audited { plugin, call, verb, on, allowed, .. } = &audited;
        let same = [plugin.clone(), call.clone(), verb.clone(), on.clone(), allowed.to_string()];
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(job.to_owned()).or_default();
        if kept.seen.len() >= MAX_WAITING || !kept.seen.insert(same) {
            return;
        }
        kept.waiting.extend(serde_json::to_string(&audited).ok());
        // A run that was refused has no job folder, and leaves no file.
        if self.jobs.join(job).is_dir() {
            self.write(job, kept);
        }
    }
}

/// Appends whole lines, up to the size limit. Locks the file because two commands may write at once.
fn append(jobs: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let mut file = Folder::open(jobs)?.update(Path::new(name), PRIVATE)?;
    file.lock()?;
    let room = MAX_BYTES.saturating_sub(file.seek(SeekFrom::End(0))?);
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
    let end = text.as_bytes()[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    file.write_all(&text.as_bytes()[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit() -> (tempfile::TempDir, Arc<Audit>) {
        let folder = tempfile::tempdir().unwrap();
        let jobs = folder.path().join("jobs");
        std::fs::create_dir(&jobs).unwrap();
        (folder, Arc::new(Audit { jobs, kept: Mutex::default() }))
    }

    fn auditor(audit: &Arc<Audit>, job: &str) -> Auditor {
        Auditor {
            audit: audit.clone(),
            job: job.into(),
            plugin: "acme".into(),
            digest: "sha256:00".into(),
            call: "train.submit",
            secrets: vec!["hunter2".into()],
        }
    }

    #[test]
    fn each_verb_is_logged_once_with_its_job() {
        let (_folder, audit) = audit();
        let denied: Result<()> = Err(Error::new(Kind::Denied, "no: hunter2"));
        let one = auditor(&audit, "one");
        one.note(Verb::Role("admin-hunter2"), &denied);
        assert_eq!(
            audit.read("one").unwrap_err().kind(),
            Kind::NotFound,
            "a run without a job leaves nothing"
        );
        audit.moved("one", "two");
        std::fs::create_dir(audit.jobs.join("two")).unwrap();
        audit.begun("two");
        assert_eq!(audit.read("two").unwrap().len(), 1, "what was asked for before the job existed");
        let two = auditor(&audit, "two");
        for _ in 0..3 {
            two.note(Verb::Engine, &Ok(()));
        }
        let kept = audit.read("two").unwrap();
        let told: Vec<_> =
            kept.iter().map(|line| (line.verb.as_str(), line.on.as_str(), line.allowed)).collect();
        assert_eq!(told, [("role", "admin-***", false), ("docker engine", "", true)]);
        assert_eq!(kept[0].reason.as_deref(), Some("no: ***"));
    }

    #[test]
    fn a_request_is_logged_without_its_query() {
        let (_folder, audit) = audit();
        std::fs::create_dir(audit.jobs.join("one")).unwrap();
        let origin = "https://a.example".parse().unwrap();
        let address = "https://a.example/path/hunter2?token=SECRET".parse().unwrap();
        let verb = Verb::Request {
            origin: &origin,
            address: &address,
            method: "POST",
            own_credential: false,
            disguised: false,
        };
        auditor(&audit, "one").note(verb, &Ok(()));
        assert_eq!(audit.read("one").unwrap()[0].on, "POST https://a.example/path/***");
    }

    #[test]
    fn a_log_has_a_size_limit() {
        let (_folder, audit) = audit();
        std::fs::create_dir(audit.jobs.join("one")).unwrap();
        let long = "x".repeat(5_000);
        for process in 0..3 {
            let audit = Arc::new(Audit { jobs: audit.jobs.clone(), kept: Mutex::default() });
            let one = auditor(&audit, "one");
            for number in 0..MAX_WAITING + 10 {
                one.note(Verb::Image(&format!("{process}-{number}-{long}")), &Ok(()));
            }
        }
        let size = audit.path("one").metadata().unwrap().len();
        assert!(size <= MAX_BYTES && audit.is_full("one"), "{size}");
        assert!(audit.read("one").unwrap().len() > 500);
    }
}
