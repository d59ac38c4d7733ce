//! Options in one expression each: `OptionSpec::integer("epochs", "Rounds").within(1..=100).default_to("10")`.

use std::ops::{Bound, RangeBounds};

use crate::OptionSpec;

impl OptionSpec {
    /// The user must give it.
    #[must_use]
    pub fn required(self) -> Self {
        self.require();
        self
    }

    /// Taken where the user gives none; in the form in which a user would write it.
    #[must_use]
    pub fn default_to(self, value: &str) -> Self {
        self.default(value);
        self
    }

    /// The only values allowed.
    #[must_use]
    pub fn one_of(self, values: &[&str]) -> Self {
        self.choices(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        self
    }

    /// Smallest and largest value of a number.
    #[must_use]
    pub fn within(self, range: impl RangeBounds<i64>) -> Self {
        let least = match range.start_bound() {
            Bound::Included(least) => Some(*least),
            Bound::Excluded(below) => Some(below.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let most = match range.end_bound() {
            Bound::Included(most) => Some(*most),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        self.range(least, most);
        self
    }

    /// Never shown, logged or recorded.
    #[must_use]
    pub fn hidden(self) -> Self {
        self.secret();
        self
    }
}
