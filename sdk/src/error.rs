//! Shorter ways to make and read the contract's errors.

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
        /// A credential, role or grant does not allow it.
        denied Denied,
        /// What was named does not exist.
        not_found NotFound,
        /// It exists already, or is in a state that forbids this.
        conflict Conflict,
        /// A limit of the service or of the account was reached.
        quota Quota,
        /// The service cannot be reached or is overloaded: worth a retry.
        unavailable Unavailable,
        /// The service cannot do this at all.
        unsupported Unsupported,
        /// Anything else.
        failed Failed,
    }

    /// The same error with what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem_mut().hint = Some(hint.into());
        self
    }

    /// The same error with lines that tell more.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.problem_mut().details = Some(details.into()).filter(|details: &String| !details.is_empty());
        self
    }

    /// The same error, where a limit passes by itself: being asked too often is worth a retry.
    pub fn passing(self) -> Self {
        match self {
            Self::Quota(problem) => Self::Unavailable(problem),
            error => error,
        }
    }

    /// The message, whatever the case.
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
