//! Constructors and accessors for the contract's errors.

use crate::{Error, Problem};

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $case:ident),* $(,)?) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<String>) -> Self {
            Self::$case(Problem { message: message.into(), hint: None, details: None })
        })*
    };
}

impl Error {
    constructors! {
        /// An option, a file or an argument is wrong.
        invalid Invalid,
        /// Credentials, a role or a grant are missing or not sufficient.
        denied Denied,
        /// It does not exist.
        not_found NotFound,
        /// It already exists, or its state does not allow this.
        conflict Conflict,
        /// A limit of the service or of the account was reached.
        quota Quota,
        /// The service cannot be reached or is overloaded. A retry may help.
        unavailable Unavailable,
        /// The service does not support this.
        unsupported Unsupported,
        /// Anything else.
        failed Failed,
    }

    /// Adds a hint: one action that the user can take.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem_mut().hint = Some(hint.into());
        self
    }

    /// Adds details, such as the end of a log.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.problem_mut().details = Some(details.into()).filter(|details: &String| !details.is_empty());
        self
    }

    /// Turns a [`Quota`](Self::Quota) error into [`Unavailable`](Self::Unavailable), for limits that a retry can solve,
    /// such as rate limits. Returns other errors unchanged.
    pub fn passing(self) -> Self {
        match self {
            Self::Quota(problem) => Self::Unavailable(problem),
            error => error,
        }
    }

    /// The message of any kind of error.
    pub fn message(&self) -> &str {
        match self {
            Self::Invalid(p)
            | Self::Denied(p)
            | Self::NotFound(p)
            | Self::Conflict(p)
            | Self::Quota(p)
            | Self::Unavailable(p)
            | Self::Unsupported(p)
            | Self::Failed(p) => &p.message,
        }
    }

    fn problem_mut(&mut self) -> &mut Problem {
        match self {
            Self::Invalid(p)
            | Self::Denied(p)
            | Self::NotFound(p)
            | Self::Conflict(p)
            | Self::Quota(p)
            | Self::Unavailable(p)
            | Self::Unsupported(p)
            | Self::Failed(p) => p,
        }
    }
}
