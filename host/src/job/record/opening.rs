//! Opens the record: creates and upgrades its tables, and explains errors of the file.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::{
    disk,
    error::{Error, Kind, Result},
};

/// Version of the tables, increased with every change.
const VERSION: i64 = 4;
/// How long to wait for another alekseylearn that is writing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait before a busy record is opened again.
const PAUSE: Duration = Duration::from_millis(20);

const OPENING: &str = "cannot open the record of jobs";

const TABLES_1: &str = "
    CREATE TABLE jobs (
        name TEXT PRIMARY KEY, tag TEXT NOT NULL, artifact TEXT NOT NULL, driver TEXT NOT NULL,
        options TEXT NOT NULL, fingerprint TEXT NOT NULL, image TEXT, reference TEXT,
        state TEXT NOT NULL, reason TEXT, created TEXT NOT NULL, finished TEXT
    ) STRICT;
    CREATE INDEX jobs_by_tag ON jobs (tag, created);
    PRAGMA user_version = 1;";

const TABLES_2: &str = "
    ALTER TABLE jobs ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
    UPDATE jobs SET told = reference IS NOT NULL OR finished IS NOT NULL;
    CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint) WHERE NOT told;
    PRAGMA user_version = 2;";

const TABLES_3: &str = "
    ALTER TABLE jobs ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
    PRAGMA user_version = 3;";

const TABLES_4: &str = "
    CREATE INDEX jobs_by_time ON jobs (created);
    CREATE INDEX jobs_that_run ON jobs (created) WHERE finished IS NULL;
    PRAGMA user_version = 4;";

/// Checks that nobody else can have written the record: `status`, `fetch` and `reproduce` follow it.
fn require_own(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(data) => disk::require_own(path, &data, Some("make your user its owner, or move it away")),
        // A missing one is created, and another problem is an error when it is opened.
        Err(_) => Ok(()),
    }
}

/// Opens or creates the file, and brings its tables up to date.
pub(super) fn open(path: &Path) -> Result<Connection> {
    require_own(path)?;
    let begun = Instant::now();
    let (connection, version) = loop {
        match prepare(path) {
            // If two processes create the record at once, they would wait for each other: SQLite fails one of them.
            Err(error) if is_busy(&error) && begun.elapsed() < PATIENCE => sleep(PAUSE),
            opened => {
                break opened.map_err(|error| explain(path, OPENING, error))?;
            }
        }
    };
    if version > VERSION {
        return Err(Error::new(
            Kind::Unsupported,
            format!("{} is from a newer alekseylearn", path.display()),
        )
        .hint("upgrade alekseylearn, or set XDG_DATA_HOME to another folder"));
    }
    Ok(connection)
}

/// Opens an existing file as it is, without waiting.
pub(super) fn glance(path: &Path) -> Result<Connection> {
    require_own(path)?;
    let open = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(PAUSE)?;
        let version = version(&connection)?;
        Ok((connection, version))
    };
    match open().map_err(|error| explain(path, OPENING, error))? {
        (connection, VERSION) => Ok(connection),
        _ => Err(Error::new(
            Kind::Unsupported,
            format!("{} is from another version of alekseylearn", path.display()),
        )),
    }
}

fn prepare(path: &Path) -> rusqlite::Result<(Connection, i64)> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    if version(&connection)? < VERSION {
        upgrade(&mut connection)?;
    }
    connection.pragma_update(None, "synchronous", "full")?;
    let version = version(&connection)?;
    Ok((connection, version))
}

/// Creates the tables, or upgrades those of an older version.
fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another alekseylearn may have done it first.
    let steps: &[&str] = match version(&transaction)? {
        0 => &[TABLES_1, TABLES_2, TABLES_3, TABLES_4],
        1 => &[TABLES_2, TABLES_3, TABLES_4],
        2 => &[TABLES_3, TABLES_4],
        3 => &[TABLES_4],
        _ => &[],
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Explains an error of the database, with what to do about it.
pub(super) fn explain(path: &Path, operation: &str, error: rusqlite::Error) -> Error {
    let shown = path.display();
    let (kind, operation, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            Kind::Failed,
            format!("{operation}: {shown} is damaged"),
            "move it away; running jobs continue, and `alekseylearn fetch DIR TAG s3://…` finds their models"
                .to_owned(),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Kind::Conflict,
            format!("{operation}: another program has locked {shown} for {} seconds", PATIENCE.as_secs()),
            "wait for that program or stop it, then try again".to_owned(),
        ),
        Some(ErrorCode::DiskFull) => (
            Kind::Failed,
            format!("{operation}: the disk of {shown} is full"),
            "free some disk space, then run the same command again".to_owned(),
        ),
        Some(ErrorCode::ReadOnly) => (
            Kind::Failed,
            format!("{operation}: {shown} is not writable"),
            "make it and its folder writable, or set XDG_DATA_HOME to a writable folder".to_owned(),
        ),
        _ => (
            Kind::Failed,
            format!("{operation} {shown}"),
            "check that its disk is not full, and that the file and its folder are writable".to_owned(),
        ),
    };
    Error::new(kind, operation).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_newer_record_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.sqlite");
        std::fs::write(&path, "this is no database, and long enough to be taken for one ".repeat(20))
            .unwrap();
        let error = open(&path).err().unwrap();
        assert!(error.message().contains("is damaged"), "{error:?}");
        std::fs::remove_file(&path).unwrap();
        open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(open(&path).err().unwrap().kind(), Kind::Unsupported);
    }

    #[test]
    fn a_record_of_the_first_version_is_upgraded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES_1).unwrap();
        old.execute_batch(
            "INSERT INTO jobs VALUES ('cut', 't', 'a', 'local', '[]', 'f', NULL, NULL, 'submitting', NULL, '1', NULL);
             INSERT INTO jobs VALUES ('ran', 't', 'a', 'local', '[]', 'f', NULL, 'ran', 'running', NULL, '2', NULL);",
        )
        .unwrap();
        drop(old);
        let record = open(&path).unwrap();
        let told = |name: &str| -> bool {
            record.query_row("SELECT told FROM jobs WHERE name = ?", [name], |row| row.get(0)).unwrap()
        };
        assert!(!told("cut"));
        assert!(told("ran"));
    }

    #[test]
    fn a_record_can_be_created_by_many_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("jobs.sqlite");
            let together = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        together.wait();
                        open(&path).unwrap();
                    });
                }
            });
        }
    }
}
