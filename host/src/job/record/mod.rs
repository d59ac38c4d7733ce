//! The record of all jobs that this user submitted, in SQLite. It is written before a service is asked, so that a
//! job is found again even if the program was killed.

mod entry;
mod opening;
mod query;
mod state;
mod which;

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

pub use entry::{Details, Entry, Outcome};
use entry::{SELECT, entry};
pub use query::{Order, Query};
pub use state::RecordedState;
use which::{Candidate, which};

use super::{home::Home, kept_back, left::Left, metrics::Series};
use crate::{
    disk::{self, Folder},
    environment::Environment,
    error::{Context, Error, Kind, Result},
    plugin::{AUDIT, JobState},
};

/// Maximum jobs that are offered to a shell for completion.
const AT_A_GLANCE: usize = 1000;
const FILE: &str = "jobs.sqlite";

/// Extension of the file beside a job's folder that marks all of its results as downloaded.
pub(super) const FETCHED: &str = "fetched";

/// A lock that the run of `fit` which owns a job holds as long as it runs.
pub struct Claim(#[expect(dead_code, reason = "the lock ends with the file")] File);

/// The open record.
pub struct Record {
    connection: Connection,
    folder: PathBuf,
    path: PathBuf,
}

impl Record {
    /// Opens the record, or creates it.
    ///
    /// # Errors
    /// It is damaged, from a newer alekseylearn, locked by another program, or not writable.
    pub fn open(environment: &Environment) -> Result<Self> {
        let folder = environment.data.clone();
        Environment::private_folder(&folder)?;
        let path = folder.join(FILE);
        // SQLite gives the files beside it the same mode.
        if !path.exists() {
            disk::lock_file(&path).context(|| format!("cannot create {}", path.display()))?;
        }
        let connection = opening::open(&path)?;
        Ok(Self { connection, folder, path })
    }

    /// Returns the newest jobs for a shell's completion: nothing is created, upgraded or waited for.
    ///
    /// # Errors
    /// The record does not exist, or cannot be read at once.
    pub fn glance(environment: &Environment) -> Result<Vec<Entry>> {
        let folder = environment.data.clone();
        let path = folder.join(FILE);
        let connection = opening::glance(&path)?;
        Self { connection, folder, path }.list(&Query { limit: Some(AT_A_GLANCE), ..Query::default() })
    }

    /// Returns the folder that a job's driver sees as `/job`, and creates it if it is missing.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.place(name);
        Environment::private_folder(&folder)?;
        Ok(folder)
    }

    /// Locks a job: only one process at a time may ask its driver, which may be downloading results.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub async fn lock(&self, name: &str) -> Result<File> {
        let path = self.folder(name)?.with_extension("lock");
        let failed = format!("cannot lock {}", path.display());
        let locking = tokio::task::spawn_blocking(move || {
            let file = disk::lock_file(&path)?;
            file.lock().map(|()| file)
        });
        match locking.await {
            Ok(locked) => locked.context(|| failed),
            Err(broken) => Err(Error::failed(failed).source(broken)),
        }
    }

    /// Claims a job for this run; `None` if it belongs to another run that has not ended.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn claim(&self, name: &str) -> Result<Option<Claim>> {
        let path = self.folder(name)?.with_extension("run");
        let failed = || format!("cannot lock {}", path.display());
        let file = disk::lock_file(&path).context(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context(failed),
        }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// The disk is full, or the name is taken.
    pub fn add(&self, entry: &Entry) -> Result<()> {
        let options = serde_json::to_string(&entry.options).unwrap_or_default();
        self.connection
            .execute(
                "INSERT INTO jobs (name, tag, artifact, driver, options, fingerprint, image, reference, state, reason,
                     created, finished, told, details)
                 VALUES (:name, :tag, :artifact, :driver, :options, :fingerprint, :image, :reference, :state, :reason,
                     :created, :finished, :told, :details)",
                named_params! {
                    ":name": entry.name, ":tag": entry.tag, ":artifact": entry.artifact, ":driver": entry.driver,
                    ":options": options, ":fingerprint": entry.fingerprint, ":image": entry.image,
                    ":reference": entry.reference, ":state": entry.state, ":reason": entry.reason,
                    ":created": entry.created.to_string(),
                    ":finished": entry.finished.map(|time| time.to_string()), ":told": entry.told,
                    ":details": serde_json::to_string(&entry.details).unwrap_or_default(),
                },
            )
            .map_err(|error| self.failed("cannot record the job", error))?;
        Ok(())
    }

    /// Records the driver's answer. Another command may have recorded the job as failed before, which this corrects.
    ///
    /// # Errors
    /// The disk is full.
    pub fn submitted(&self, name: &str, reference: &str, state: JobState) -> Result<()> {
        self.connection
            .execute(
                "UPDATE jobs SET reference = :reference, state = :state, reason = NULL, finished = NULL WHERE name = :name",
                named_params! { ":name": name, ":reference": reference, ":state": state.name() },
            )
            .map_err(|error| self.failed("cannot record the submission", error))?;
        Ok(())
    }

    /// Records where the job runs.
    ///
    /// # Errors
    /// The disk is full.
    pub fn runs_at(&self, name: &str, home: &Home) -> Result<()> {
        let home = serde_json::to_string(home).unwrap_or_default();
        self.connection
            .execute(
                "UPDATE jobs SET details = json_set(details, '$.home', json(:home)) WHERE name = :name",
                named_params! { ":name": name, ":home": home },
            )
            .map_err(|error| self.failed("cannot record where the job runs", error))?;
        Ok(())
    }

    /// Records a job's state. The state of an ended job does not change any more.
    ///
    /// # Errors
    /// The disk is full.
    pub fn seen(&self, name: &str, state: JobState, reason: Option<&str>, ended: bool) -> Result<()> {
        let finished = ended.then(|| Timestamp::now().to_string());
        self.connection
            .execute(
                "UPDATE jobs SET state = :state, reason = :reason, finished = coalesce(finished, :finished)
                 WHERE name = :name AND finished IS NULL",
                named_params! { ":name": name, ":state": state.name(), ":reason": reason, ":finished": finished },
            )
            .map_err(|error| self.failed("cannot record the job's state", error))?;
        Ok(())
    }

    /// Records what the service reports about a job. Nothing is written if that has not changed.
    ///
    /// # Errors
    /// The disk is full.
    pub fn went(&self, name: &str, outcome: &Outcome) -> Result<()> {
        let outcome = serde_json::to_string(outcome).unwrap_or_default();
        self.connection
            .execute(
                "UPDATE jobs SET details = json_set(details, '$.outcome', json(:outcome))
                 WHERE name = :name AND json_extract(details, '$.outcome') IS NOT json(:outcome)",
                named_params! { ":name": name, ":outcome": outcome },
            )
            .map_err(|error| self.failed("cannot record the job's outcome", error))?;
        Ok(())
    }

    /// Records the metrics found in the log so far.
    ///
    /// # Errors
    /// The disk is full.
    pub fn measured(&self, name: &str, metrics: &BTreeMap<String, Series>) -> Result<()> {
        let metrics = serde_json::to_string(metrics).unwrap_or_default();
        self.connection
            .execute(
                "UPDATE jobs SET details = json_set(details, '$.metrics', json(:metrics)) WHERE name = :name",
                named_params! { ":name": name, ":metrics": metrics },
            )
            .map_err(|error| self.failed("cannot record the metrics", error))?;
        Ok(())
    }

    /// Records which files the job left; `None` if its log does not list them.
    ///
    /// # Errors
    /// The disk is full.
    pub fn left(&self, name: &str, left: Option<&Left>) -> Result<()> {
        let left = serde_json::to_string(&left).unwrap_or_default();
        self.connection
            .execute(
                "UPDATE jobs SET details = json_set(details, '$.left', json(:left), '$.left_is_looked_for', json('true'))
                 WHERE name = :name",
                named_params! { ":name": name, ":left": left },
            )
            .map_err(|error| self.failed("cannot record the job's files", error))?;
        Ok(())
    }

    /// Records that the user knows the job's outcome: an equal run then submits a new job.
    ///
    /// # Errors
    /// The disk is full.
    pub fn told(&self, name: &str) -> Result<()> {
        self.connection
            .execute("UPDATE jobs SET told = 1 WHERE name = :name", named_params! { ":name": name })
            .map_err(|error| self.failed("cannot record that the job is done", error))?;
        Ok(())
    }

    /// Removes a job whose submission was refused.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.connection
            .execute(
                "DELETE FROM jobs WHERE name = :name AND reference IS NULL",
                named_params! { ":name": name },
            )
            .map_err(|error| self.failed("cannot remove the job from the record", error))?;
        Ok(())
    }

    /// Removes an ended job, with its folder and all results in it. Returns false if the job has not ended.
    ///
    /// # Errors
    /// The record or the folder cannot be written.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let removed = self
            .connection
            .execute(
                "DELETE FROM jobs WHERE name = :name AND finished IS NOT NULL",
                named_params! { ":name": name },
            )
            .map_err(|error| self.failed("cannot remove the job from the record", error))?;
        if removed == 0 {
            return Ok(false);
        }
        let folder = self.place(name);
        for beside in ["lock", "run", FETCHED, AUDIT, kept_back::EXTENSION] {
            let _ = std::fs::remove_file(folder.with_extension(beside));
        }
        let jobs = Folder::open(folder.parent().unwrap_or(&folder));
        match jobs.and_then(|jobs| jobs.remove_all(Path::new(name))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(|| format!("cannot remove {}", folder.display()))
            }
            _ => Ok(true),
        }
    }

    /// Returns the path of a job's folder, whether or not it exists.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join("jobs").join(name)
    }

    /// Returns a job by its name.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Entry>> {
        self.one("WHERE name = :text", name)
    }

    /// Returns the newest job with a tag in the current project, or else in the only project that has the tag.
    fn newest(&self, tag: &str, current: &Path) -> Result<Option<Entry>> {
        let current = current.canonicalize().unwrap_or_else(|_| current.to_owned());
        match which(tag, &self.candidates(tag)?, &current)? {
            Some(candidate) => self.get(&candidate.name),
            None => Ok(None),
        }
    }

    /// Returns the newest job of each artifact that has the tag, newest first.
    fn candidates(&self, tag: &str) -> Result<Vec<Candidate>> {
        const QUERY: &str = "SELECT name, artifact, json_extract(details, '$.root'), max(created || printf('%020d', rowid)) AS age
             FROM jobs WHERE tag = :tag GROUP BY artifact ORDER BY age DESC";
        let failed = |error| self.failed(READING, error);
        let mut statement = self.connection.prepare(QUERY).map_err(failed)?;
        let candidate = |row: &rusqlite::Row<'_>| {
            let (artifact, root): (String, Option<String>) = (row.get(1)?, row.get(2)?);
            Ok(Candidate { name: row.get(0)?, artifact: artifact.into(), root: root.map(PathBuf::from) })
        };
        let found = statement.query_map(named_params! { ":tag": tag }, candidate).map_err(failed)?;
        found.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Returns a job by its name or by a tag: the newest in the current project, or else in the only project that has
    /// the tag.
    ///
    /// # Errors
    /// There is no such job, several projects have the tag, or the record cannot be read.
    pub fn find(&self, name_or_tag: &str, current: &Path) -> Result<Entry> {
        let found = match self.get(name_or_tag)? {
            Some(entry) => Some(entry),
            None => self.newest(name_or_tag, current)?,
        };
        found.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no job or tag `{name_or_tag}` on this machine")).hint(
                "`alekseylearn jobs` lists all jobs; for a job of another machine, give the location of its results: \
                 `alekseylearn fetch DIR TAG s3://bucket/path`",
            )
        })
    }

    /// Returns the jobs of equal runs whose outcome the user does not know, newest first.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn untold(&self, fingerprint: &str) -> Result<Vec<Entry>> {
        let failed = |error| self.failed(READING, error);
        let query = format!("{SELECT} WHERE fingerprint = ? AND NOT told ORDER BY created DESC, rowid DESC");
        let mut statement = self.connection.prepare(&query).map_err(failed)?;
        let entries = statement.query_map([fingerprint], entry).map_err(failed)?;
        entries.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Returns all jobs, newest first.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn all(&self) -> Result<Vec<Entry>> {
        self.list(&Query::default())
    }

    fn one(&self, condition: &str, text: &str) -> Result<Option<Entry>> {
        self.connection
            .query_row(&format!("{SELECT} {condition}"), named_params! { ":text": text }, entry)
            .optional()
            .map_err(|error| self.failed(READING, error))
    }

    fn failed(&self, operation: &str, error: rusqlite::Error) -> Error {
        opening::explain(&self.path, operation, error)
    }
}

const READING: &str = "cannot read the record of jobs";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn environment(folder: &Path) -> Environment {
        Environment {
            data: folder.join("data"),
            cache: folder.join("cache"),
            config: folder.join("config"),
            current: folder.to_owned(),
            docker: crate::environment::DockerEnvironment::default(),
            packages: crate::environment::PackageEnvironment::default(),
            aws_profile: None,
            certificates: None,
            out: crate::environment::Look::PLAIN,
            err: crate::environment::Look::PLAIN,
            interactive: false,
        }
    }

    fn job(name: &str, tag: &str, created: &str) -> Entry {
        Entry {
            name: name.into(),
            tag: tag.into(),
            artifact: "/x/train.py".into(),
            driver: "local".into(),
            options: vec![("a".into(), "b=c".into())],
            fingerprint: "f".into(),
            image: None,
            reference: None,
            state: RecordedState::Submitting,
            reason: None,
            created: created.parse().unwrap(),
            finished: None,
            told: false,
            details: Details::default(),
        }
    }

    fn untold(record: &Record) -> Vec<String> {
        record.untold("f").unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_job_is_found_again_and_its_end_stays() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        let record = Record::open(&environment).unwrap();
        record.add(&job("one", "t", "2026-01-01T00:00:00Z")).unwrap();
        record.add(&job("two", "t", "2026-01-02T00:00:00Z")).unwrap();
        // Another command may see the job before the program that submitted it has recorded the answer.
        record.seen("two", JobState::Running, None, false).unwrap();
        record.seen("two", JobState::Failed, Some("it is not there"), true).unwrap();
        record.submitted("two", "ref", JobState::Queued).unwrap();
        let found = record.get("two").unwrap().unwrap();
        assert_eq!((found.state.name(), found.reason, found.finished), ("queued", None, None));
        assert_eq!(untold(&record), ["two", "one"]);
        record.told("two").unwrap();
        assert_eq!(untold(&record), ["one"]);
        record.seen("two", JobState::Failed, Some("why"), true).unwrap();
        record.seen("two", JobState::Running, None, false).unwrap();
        drop(record);
        let record = Record::open(&environment).unwrap();
        let found = record.find("t", folder.path()).unwrap();
        assert_eq!((found.name.as_str(), found.state.name()), ("two", "failed"));
        assert_eq!((found.reference.as_deref(), found.reason.as_deref()), (Some("ref"), Some("why")));
        assert_eq!(found.options, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(record.all().unwrap().len(), 2);
        record.forget("one").unwrap();
        record.forget("two").unwrap();
        assert_eq!(record.all().unwrap().len(), 1, "only what was never submitted is forgotten");
    }

    #[test]
    fn the_database_chooses_and_orders() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(&environment(folder.path())).unwrap();
        for (name, tag, created) in [
            ("old", "t", "2026-01-01T00:00:00Z"),
            ("new", "t", "2026-01-03T00:00:00.5Z"),
            ("other", "u", "2026-01-02T00:00:00Z"),
        ] {
            record.add(&job(name, tag, created)).unwrap();
        }
        record.seen("old", JobState::Failed, None, true).unwrap();
        let outcome = Outcome { cost_usd: Some(1.5), ..Outcome::default() };
        record.went("other", &outcome).unwrap();
        let names = |query: Query<'_>| -> Vec<String> {
            record.list(&query).unwrap().into_iter().map(|entry| entry.name).collect()
        };
        let all = Query::default;
        assert_eq!(names(all()), ["new", "other", "old"]);
        assert_eq!(names(Query { limit: Some(1), ..all() }), ["new"]);
        assert_eq!(names(Query { tag: Some("t"), ..all() }), ["new", "old"]);
        assert_eq!(names(Query { unfinished: true, ..all() }), ["new", "other"]);
        assert_eq!(
            names(Query {
                states: vec![RecordedState::Seen(JobState::Failed), RecordedState::Seen(JobState::Stopped)],
                ..all()
            }),
            ["old"]
        );
        assert_eq!(names(Query { order: Order::Name, ..all() }), ["new", "old", "other"]);
        assert_eq!(names(Query { order: Order::Cost, ..all() }), ["other", "new", "old"]);
        assert_eq!(names(Query { order: Order::Time, ..all() })[1..], ["other", "new"]);
        let since = Some("2026-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(names(Query { since, driver: Some("local"), ..all() }), ["new", "other"]);
        assert_eq!(record.count().unwrap(), 3);
    }

    #[test]
    fn a_job_belongs_to_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(&environment(folder.path())).unwrap();
        let claim = record.claim("one").unwrap();
        assert!(claim.is_some());
        assert!(record.claim("one").unwrap().is_none());
        drop(claim);
        assert!(record.claim("one").unwrap().is_some());
    }
}
