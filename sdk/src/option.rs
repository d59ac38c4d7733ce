//! Builder methods for options: `OptionSpec::integer("epochs", "Rounds").within(1..=100).default_to("10")`.

use std::ops::{Bound, RangeBounds};

use crate::OptionSpec;

impl OptionSpec {
    /// Makes the option required.
    #[must_use]
    pub fn required(self) -> Self {
        self.require();
        self
    }

    /// Sets the default value, as a user would write it.
    #[must_use]
    pub fn default_to(self, value: &str) -> Self {
        self.default(value);
        self
    }

    /// Sets the allowed values.
    #[must_use]
    pub fn one_of(self, values: &[&str]) -> Self {
        self.choices(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        self
    }

    /// Sets the minimum and maximum of a number.
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

    /// Marks the value as a secret, which is never shown, logged or recorded.
    #[must_use]
    pub fn hidden(self) -> Self {
        self.secret();
        self
    }
}
