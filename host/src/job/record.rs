//! The record of all jobs that this user submitted, in SQLite: written before a service is asked, so that a job is
//! found again whatever happened to the program.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use crate::{
    config::{Assignment, Origin},
    environment::Environment,
    error::{Context, Error, Kind, Result},
};

/// Raised with every change of the tables.
const VERSION: i64 = 1;
/// How long to wait for another alekseylearn that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// One job, as far as this machine knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Unique.
    pub name: String,
    /// The image's name.
    pub tag: String,
    /// The training artifact, absolute.
    pub artifact: String,
    /// The train driver's name.
    pub driver: String,
    /// The options as the user gave them, secrets left out.
    pub options: Vec<(String, String)>,
    /// What decides whether another run would be the same: image, driver and options.
    pub fingerprint: String,
    /// The image that runs.
    pub image: Option<String>,
    /// What the driver calls the job; none as long as it has not answered.
    pub reference: Option<String>,
    /// `submitting`, or the name of a state.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// RFC 3339.
    pub created: String,
    /// RFC 3339; when the job was seen to have ended.
    pub finished: Option<String>,
}

/// The state of a job whose submission has not been answered.
pub const SUBMITTING: &str = "submitting";

impl Entry {
    /// The options, as the command line gives them.
    pub fn assignments(&self) -> Vec<Assignment> {
        let options = self.options.iter().cloned();
        options.map(|(key, value)| Assignment { key, value, origin: Origin::CommandLine }).collect()
    }
}

/// The record, open.
pub struct Record {
    connection: Connection,
    folder: PathBuf,
}

impl Record {
    /// Opens the record, or begins it.
    ///
    /// # Errors
    /// It is damaged, of a newer alekseylearn, or cannot be written.
    pub fn open(environment: &Environment) -> Result<Self> {
        let folder = environment.data.clone();
        Environment::private_folder(&folder)?;
        let path = folder.join("jobs.sqlite");
        let connection = Connection::open(&path).map_err(|error| broken(&path, error))?;
        let record = Self { connection, folder };
        record.prepare(&path)?;
        Ok(record)
    }

    fn prepare(&self, path: &Path) -> Result<()> {
        let failed = |error| broken(path, error);
        self.connection.busy_timeout(PATIENCE).map_err(failed)?;
        self.connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        self.connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        let version: i64 =
            self.connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if version > VERSION {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{} is of a newer alekseylearn", path.display()),
            )
            .hint("use that version, or set XDG_DATA_HOME to another folder"));
        }
        self.connection
            .execute_batch(
                "BEGIN IMMEDIATE;
                 CREATE TABLE IF NOT EXISTS jobs (
                     name TEXT PRIMARY KEY, tag TEXT NOT NULL, artifact TEXT NOT NULL, driver TEXT NOT NULL,
                     options TEXT NOT NULL, fingerprint TEXT NOT NULL, image TEXT, reference TEXT,
                     state TEXT NOT NULL, reason TEXT, created TEXT NOT NULL, finished TEXT
                 ) STRICT;
                 CREATE INDEX IF NOT EXISTS jobs_by_tag ON jobs (tag, created);
                 PRAGMA user_version = 1;
                 COMMIT;",
            )
            .map_err(failed)
    }

    /// The folder that a job's driver sees as `/job`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("jobs").join(name);
        Environment::private_folder(&folder)?;
        Ok(folder)
    }

    /// One at a time may ask a job's driver: it may be bringing results home.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub async fn lock(&self, name: &str) -> Result<File> {
        let path = self.folder(name)?.with_extension("lock");
        let failed = format!("cannot lock {}", path.display());
        let locking = tokio::task::spawn_blocking(move || {
            let file = File::options().create(true).append(true).open(&path)?;
            file.lock().map(|()| file)
        });
        match locking.await {
            Ok(locked) => locked.context(|| failed),
            Err(broken) => Err(Error::failed(failed).source(broken)),
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
                     created, finished)
                 VALUES (:name, :tag, :artifact, :driver, :options, :fingerprint, :image, :reference, :state, :reason,
                     :created, :finished)",
                named_params! {
                    ":name": entry.name, ":tag": entry.tag, ":artifact": entry.artifact, ":driver": entry.driver,
                    ":options": options, ":fingerprint": entry.fingerprint, ":image": entry.image,
                    ":reference": entry.reference, ":state": entry.state, ":reason": entry.reason,
                    ":created": entry.created, ":finished": entry.finished,
                },
            )
            .map_err(|error| self.failed("cannot record the job", error))?;
        Ok(())
    }

    /// The driver has answered. Whoever looked before that may have taken the job for one that is gone.
    ///
    /// # Errors
    /// The disk is full.
    pub fn submitted(&self, name: &str, reference: &str, state: &str) -> Result<()> {
        self.connection
            .execute(
                "UPDATE jobs SET reference = :reference, state = :state, reason = NULL, finished = NULL WHERE name = :name",
                named_params! { ":name": name, ":reference": reference, ":state": state },
            )
            .map_err(|error| self.failed("cannot record the submission", error))?;
        Ok(())
    }

    /// The job was seen in a state. Once it has ended, it stays as it is.
    ///
    /// # Errors
    /// The disk is full.
    pub fn seen(&self, name: &str, state: &str, reason: Option<&str>, ended: bool) -> Result<()> {
        let finished = ended.then(|| Timestamp::now().to_string());
        self.connection
            .execute(
                "UPDATE jobs SET state = :state, reason = :reason, finished = coalesce(finished, :finished)
                 WHERE name = :name AND finished IS NULL",
                named_params! { ":name": name, ":state": state, ":reason": reason, ":finished": finished },
            )
            .map_err(|error| self.failed("cannot record the job's state", error))?;
        Ok(())
    }

    /// Takes a job out whose submission was refused.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.connection
            .execute(
                "DELETE FROM jobs WHERE name = :name AND reference IS NULL",
                named_params! { ":name": name },
            )
            .map_err(|error| self.failed("cannot take the job out of the record", error))?;
        Ok(())
    }

    /// A job by its name.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Entry>> {
        self.one("WHERE name = :text", name)
    }

    /// The newest job of a tag.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn newest(&self, tag: &str) -> Result<Option<Entry>> {
        self.one("WHERE tag = :text ORDER BY created DESC, rowid DESC LIMIT 1", tag)
    }

    /// A job of which it is not known whether the service has it.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn unanswered(&self, fingerprint: &str) -> Result<Option<Entry>> {
        self.one(
            "WHERE fingerprint = :text AND reference IS NULL AND finished IS NULL ORDER BY created DESC LIMIT 1",
            fingerprint,
        )
    }

    /// All jobs, the newest first.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn all(&self) -> Result<Vec<Entry>> {
        let failed = |error| self.failed("cannot read the record of jobs", error);
        let query = format!("{SELECT} ORDER BY created DESC, rowid DESC");
        let mut statement = self.connection.prepare(&query).map_err(failed)?;
        let entries = statement.query_map([], entry).map_err(failed)?;
        entries.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    fn one(&self, condition: &str, text: &str) -> Result<Option<Entry>> {
        self.connection
            .query_row(&format!("{SELECT} {condition}"), named_params! { ":text": text }, entry)
            .optional()
            .map_err(|error| self.failed("cannot read the record of jobs", error))
    }

    fn failed(&self, operation: &str, error: rusqlite::Error) -> Error {
        Error::failed(operation)
            .hint(format!("see that the disk of {} is not full and can be written to", self.folder.display()))
            .source(error)
    }
}

const SELECT: &str = "SELECT name, tag, artifact, driver, options, fingerprint, image, reference, state, reason, \
                      created, finished FROM jobs";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let options: String = row.get(4)?;
    Ok(Entry {
        name: row.get(0)?,
        tag: row.get(1)?,
        artifact: row.get(2)?,
        driver: row.get(3)?,
        options: serde_json::from_str(&options).unwrap_or_default(),
        fingerprint: row.get(5)?,
        image: row.get(6)?,
        reference: row.get(7)?,
        state: row.get(8)?,
        reason: row.get(9)?,
        created: row.get(10)?,
        finished: row.get(11)?,
    })
}

fn broken(path: &Path, error: rusqlite::Error) -> Error {
    let hint = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            format!(
                "it is damaged: move {} away; running jobs go on, and their names find them",
                path.display()
            )
        }
        _ => format!("see that the disk of {} is not full and can be written to", path.display()),
    };
    Error::failed(format!("cannot open the record of jobs {}", path.display())).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(folder: &Path) -> Environment {
        Environment {
            data: folder.join("data"),
            cache: folder.join("cache"),
            config: folder.join("config"),
            current: folder.to_owned(),
            docker_host: None,
            certificates: None,
            color: false,
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
            state: SUBMITTING.into(),
            reason: None,
            created: created.into(),
            finished: None,
        }
    }

    #[test]
    fn a_job_is_found_again_and_its_end_stays() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        let record = Record::open(&environment).unwrap();
        record.add(&job("one", "t", "2026-01-01T00:00:00Z")).unwrap();
        record.add(&job("two", "t", "2026-01-02T00:00:00Z")).unwrap();
        assert_eq!(record.unanswered("f").unwrap().unwrap().name, "two");
        // Seen by another command before the program that submitted it could say so.
        record.seen("two", "running", None, false).unwrap();
        assert_eq!(record.unanswered("f").unwrap().unwrap().name, "two");
        record.seen("two", "failed", Some("it is not there"), true).unwrap();
        record.submitted("two", "ref", "queued").unwrap();
        let found = record.get("two").unwrap().unwrap();
        assert_eq!((found.state.as_str(), found.reason, found.finished), ("queued", None, None));
        assert_eq!(record.unanswered("f").unwrap().unwrap().name, "one");
        record.seen("two", "failed", Some("why"), true).unwrap();
        record.seen("two", "running", None, false).unwrap();
        drop(record);
        let record = Record::open(&environment).unwrap();
        let found = record.newest("t").unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.state.as_str()), ("two", "failed"));
        assert_eq!((found.reference.as_deref(), found.reason.as_deref()), (Some("ref"), Some("why")));
        assert_eq!(found.options, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(record.all().unwrap().len(), 2);
        record.forget("one").unwrap();
        record.forget("two").unwrap();
        assert_eq!(record.all().unwrap().len(), 1, "only what was never submitted is forgotten");
    }

    #[test]
    fn a_damaged_or_newer_record_is_said_plainly() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        std::fs::create_dir_all(&environment.data).unwrap();
        let path = environment.data.join("jobs.sqlite");
        std::fs::write(&path, "this is no database, and long enough to be taken for one ".repeat(20))
            .unwrap();
        let error = Record::open(&environment).err().unwrap();
        assert!(error.hint_text().unwrap().contains("it is damaged"), "{error:?}");
        std::fs::remove_file(&path).unwrap();
        Record::open(&environment).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(Record::open(&environment).err().unwrap().kind(), Kind::Unsupported);
    }
}
