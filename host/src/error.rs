//! Errors: a message, a hint for the user, and the exit code for scripts.

use std::{error::Error as StdError, fmt};

/// The result of an operation whose error is shown to the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error. It alone decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A failure that no other kind describes.
    Failed,
    /// An argument, an option or a file of the user is not valid.
    Invalid,
    /// Credentials, a role or a grant are missing or not sufficient.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The thing already exists, or its state does not allow the operation.
    Conflict,
    /// A limit of the service or of the account was reached.
    Quota,
    /// Docker or the service cannot be reached, is overloaded, or has no capacity for a job.
    Unavailable,
    /// The service or driver does not support this.
    Unsupported,
    /// A plugin failed or exceeded its limits.
    Plugin,
    /// The training itself failed.
    JobFailed,
    /// The training was stopped before it ended.
    JobStopped,
    /// The user pressed Ctrl-C before anything was submitted.
    Interrupted,
    /// The reader closed the output, as `| head` does.
    Unheard,
}

impl Kind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Failed,
        Self::Invalid,
        Self::Denied,
        Self::NotFound,
        Self::Conflict,
        Self::Quota,
        Self::Unavailable,
        Self::Unsupported,
        Self::Plugin,
        Self::JobFailed,
        Self::JobStopped,
        Self::Interrupted,
        Self::Unheard,
    ];

    /// The program's exit code. 0 is success; clap also exits with 2 if the command line is wrong.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Invalid => 2,
            Self::Denied => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Quota => 6,
            Self::Unavailable => 7,
            Self::Unsupported => 8,
            Self::Plugin => 9,
            Self::JobFailed => 10,
            Self::JobStopped => 11,
            Self::Interrupted => 130,
            // The code of a shell after SIGPIPE.
            Self::Unheard => 141,
        }
    }

    /// The name in `--json`, and in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Plugin => "plugin",
            Self::JobFailed => "job-failed",
            Self::JobStopped => "job-stopped",
            Self::Interrupted => "interrupted",
            Self::Unheard => "unheard",
        }
    }

    /// One line for the help text.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "another failure",
            Self::Invalid => "invalid argument, option or file",
            Self::Denied => "missing or insufficient credentials, role or grant",
            Self::NotFound => "not found",
            Self::Conflict => "already exists, or in a state that does not allow this",
            Self::Quota => "a limit of the service or account was reached",
            Self::Unavailable => "Docker or the service is unreachable or has no capacity",
            Self::Unsupported => "not supported by the service or driver",
            Self::Plugin => "a plugin failed or exceeded its limits",
            Self::JobFailed => "the training failed",
            Self::JobStopped => "the training was stopped",
            Self::Interrupted => "interrupted before anything was submitted",
            Self::Unheard => "output closed (broken pipe)",
        }
    }
}

/// One error: a message, an optional hint, and its cause.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    details: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a message: one sentence without a full stop, which does not repeat its source.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), hint: None, details: None, source: None }))
    }

    /// An error for an argument, an option or a file that is not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// An error of [`Kind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Adds a hint: what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds lines to show below the error, such as the end of a log.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.0.details = Some(details.into());
        self
    }

    /// Adds the cause.
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The message and those of its causes, as one line.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            let sentence = error.to_string();
            // Libraries often repeat the cause's text in their own.
            if !text.contains(&sentence) {
                text.push_str(": ");
                text.push_str(&sentence);
            }
            cause = error.source();
        }
        text
    }

    /// The hint, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The details, if there are any.
    pub fn details_text(&self) -> Option<&str> {
        self.0.details.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Names the operation that failed, if a library's error alone does not.
pub trait Context<T> {
    /// Wraps the error in one of [`Kind::Failed`] with this message.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::failed(message()).source(error))
    }
}

/// Describes why a text is not valid TOML, by line and column: the line itself, and a value in it, may be a secret.
pub fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = error.message();
    let message = match (message.find("string \""), message.rfind('"')) {
        (Some(start), Some(end)) => format!("{}a string{}", &message[..start], &message[end + 1..]),
        _ => message.to_owned(),
    };
    format!("line {line}, column {column}: {}", message.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code_and_name() {
        let codes: std::collections::BTreeSet<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        let names: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn the_chain_names_each_cause_once() {
        let cause = std::io::Error::other("disk full");
        let error = Error::failed("cannot write the record").source(cause);
        assert_eq!(error.chain(), "cannot write the record: disk full");
        assert_eq!(
            Error::failed("it says: disk full").source(error).chain(),
            "it says: disk full: cannot write the record"
        );
    }

    #[test]
    fn a_problem_in_toml_shows_no_value() {
        #[derive(serde::Deserialize)]
        struct Form {
            #[expect(dead_code, reason = "only its type counts")]
            a: bool,
        }
        for (text, at, says) in [
            ("a = hunter2\n", "line 1, column 5: ", ""),
            ("\na = \"hunter2\"\n", "line 2, column 5: ", "invalid type: a string, expected a boolean"),
            ("url = \"https://me:hunter2@a.example\" x\n", "line 1, column 38: ", ""),
            ("a = 'hunter2", "line 1, column ", ""),
        ] {
            let error = toml::from_str::<Form>(text).err().unwrap();
            let problem = toml_problem(text, &error);
            assert!(problem.starts_with(at) && problem.contains(says), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
