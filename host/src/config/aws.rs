//! The AWS settings of a run.

use url::Url;

/// AWS settings. `None` means the value of the environment: variables, or the default profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AwsSettings {
    /// A profile of the user's AWS configuration.
    pub profile: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The endpoint that replaces those of AWS.
    pub endpoint: Option<String>,
}

/// One AWS setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsSetting {
    /// [`AwsSettings::profile`].
    Profile,
    /// [`AwsSettings::region`].
    Region,
    /// [`AwsSettings::endpoint`].
    Endpoint,
}

impl AwsSetting {
    /// Validates a value.
    ///
    /// # Errors
    /// What is wrong with it, without naming the option.
    pub(super) fn parse(self, text: &str) -> Result<String, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_good = match self {
            Self::Profile => !text.trim().is_empty() && !text.contains(char::is_control),
            Self::Region => text.contains('-') && text.chars().all(plain),
            Self::Endpoint => text.parse().is_ok_and(|address: Url| is_private_to_the_service(&address)),
        };
        let wanted = match self {
            Self::Profile => "a profile",
            Self::Region => "a region, such as eu-west-1",
            Self::Endpoint => "an https:// address, or an address of this machine",
        };
        if is_good { Ok(text.to_owned()) } else { Err(format!("`{text}` is not {wanted}")) }
    }
}

impl AwsSettings {
    pub(super) fn set(&mut self, setting: AwsSetting, value: &str) {
        let place = match setting {
            AwsSetting::Profile => &mut self.profile,
            AwsSetting::Region => &mut self.region,
            AwsSetting::Endpoint => &mut self.endpoint,
        };
        *place = Some(value.to_owned());
    }
}

/// Whether requests to this address are encrypted or stay on this machine, so that nobody can read the session's token.
fn is_private_to_the_service(address: &Url) -> bool {
    match address.scheme() {
        "https" => true,
        "http" => matches!(address.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_accepts_only_its_form() {
        for (setting, good, bad) in [
            (AwsSetting::Profile, &["work", "two words"][..], &["", " ", "a\nb"][..]),
            (
                AwsSetting::Region,
                &["eu-west-1", "us-gov-east-1"],
                &["", "Europe", "eu west 1", "eu-west-1/.."],
            ),
            (
                AwsSetting::Endpoint,
                &["https://vpce.example.com", "http://127.0.0.1:4566", "http://localhost:1/x"],
                &["", "example.com", "http://example.com", "ftp://localhost"],
            ),
        ] {
            for text in good {
                assert_eq!(setting.parse(text).as_deref(), Ok(*text));
            }
            for text in bad {
                assert!(setting.parse(text).is_err(), "`{text}` is not a {setting:?}");
            }
        }
    }
}
