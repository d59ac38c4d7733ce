//! The Elastic Container Registry.

use aws_sdk_ecr::types::{ImageIdentifier, Repository as EcrRepository};
use aws_types::service_config::ServiceConfigKey;
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    Aws,
    failure::{code, explain},
};
use crate::{
    capability::docker::Login,
    error::{Error, Kind, Result},
};

/// A repository of the account's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The repository's name.
    pub name: String,
    /// The repository's address, without a tag.
    pub address: String,
}

impl Aws {
    /// The repository of this name, created if it is missing.
    ///
    /// # Errors
    /// The user may neither read nor create it.
    pub async fn ensure_repository(&self, name: &str) -> Result<Repository> {
        if let Some(found) = self.repository(name).await? {
            return Ok(found);
        }
        let made = self.ecr().await?.create_repository().repository_name(name).send().await;
        match made {
            Ok(answer) => self.of(name, answer.repository).await,
            // Another run created it at the same time.
            Err(error) if code(&error) == "RepositoryAlreadyExistsException" => {
                self.repository(name).await?.ok_or_else(|| {
                    Error::failed(format!("the ECR repository {name} exists, but cannot be found"))
                })
            }
            Err(error) => Err(explain(format!("cannot create the ECR repository {name}"), error)),
        }
    }

    /// The repository of this name as it would be created: in the account's registry.
    ///
    /// # Errors
    /// The account cannot be determined.
    pub async fn missing_repository(&self, name: &str) -> Result<Repository> {
        let address = format!("{}/{name}", self.registry().await?);
        Ok(Repository { name: name.to_owned(), address })
    }

    /// Checks the repository that the service returned. The image and the login go to its address, so it must be in the
    /// account's registry, unless the user set a custom endpoint.
    async fn of(&self, name: &str, repository: Option<EcrRepository>) -> Result<Repository> {
        let address = repository.and_then(|repository| repository.repository_uri);
        let address = address
            .ok_or_else(|| Error::failed(format!("ECR returned no address for the repository {name}")))?;
        let foreign = |expected: &str| {
            Error::new(
                Kind::Denied,
                format!("ECR returned {address} for the repository {name}, which is not {expected}"),
            )
            .hint("check the ECR endpoint in your AWS configuration; nothing was pushed")
        };
        if self.has_own_endpoint().await? {
            return if address.strip_suffix(name).is_some_and(|registry| registry.ends_with('/')) {
                Ok(Repository { name: name.to_owned(), address })
            } else {
                Err(foreign("a repository of that name"))
            };
        }
        let registry = self.registry().await?;
        if address == format!("{registry}/{name}") {
            Ok(Repository { name: name.to_owned(), address })
        } else {
            Err(foreign(&format!("in your registry, {registry}")))
        }
    }

    /// Whether the user set a custom endpoint for ECR, on the command line or in the configuration.
    async fn has_own_endpoint(&self) -> Result<bool> {
        let config = self.config().await?;
        let of_ecr =
            ServiceConfigKey::builder().service_id("ecr").env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let named =
            config.service_config().zip(of_ecr.build().ok()).and_then(|(all, key)| all.load_config(key));
        Ok(config.endpoint_url().is_some() || named.is_some())
    }

    /// The host of the account's registry.
    async fn registry(&self) -> Result<String> {
        let (account, region) = (self.account().await?, self.region().await?);
        Ok(registry_of(&account, &region, self.partition().await?))
    }

    /// The repository of this name; `None` if it is missing.
    ///
    /// # Errors
    /// The user may not read it.
    pub async fn repository(&self, name: &str) -> Result<Option<Repository>> {
        match self.ecr().await?.describe_repositories().repository_names(name).send().await {
            Ok(answer) => self.of(name, answer.repositories.unwrap_or_default().pop()).await.map(Some),
            Err(error) if code(&error) == "RepositoryNotFoundException" => Ok(None),
            Err(error) => Err(explain(format!("cannot look up the ECR repository {name}"), error)),
        }
    }

    /// The digest of a tag in a repository; `None` if there is no such tag.
    ///
    /// # Errors
    /// The user may not read it.
    pub async fn digest(&self, repository: &Repository, tag: &str) -> Result<Option<String>> {
        let image = ImageIdentifier::builder().image_tag(tag).build();
        let asked = self
            .ecr()
            .await?
            .describe_images()
            .repository_name(&repository.name)
            .image_ids(image)
            .send()
            .await;
        match asked {
            Ok(answer) => {
                Ok(answer.image_details.unwrap_or_default().pop().and_then(|image| image.image_digest))
            }
            Err(error)
                if matches!(code(&error), "ImageNotFoundException" | "RepositoryNotFoundException") =>
            {
                Ok(None)
            }
            Err(error) => Err(explain(format!("cannot look up {}:{tag} in ECR", repository.name), error)),
        }
    }

    /// The login for pushes to the account's registry, valid for 12 hours.
    ///
    /// # Errors
    /// The user may not push.
    pub async fn login(&self) -> Result<Login> {
        let answer = self
            .ecr()
            .await?
            .get_authorization_token()
            .send()
            .await
            .map_err(|error| explain("cannot log in to ECR", error))?;
        let token =
            answer.authorization_data.unwrap_or_default().pop().and_then(|data| data.authorization_token);
        let decoded = token.and_then(|token| String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok());
        let login = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) =
            login.ok_or_else(|| Error::new(Kind::Denied, "ECR returned an unreadable login"))?;
        Ok(Login { user: user.to_owned(), password: password.to_owned() })
    }

    async fn ecr(&self) -> Result<aws_sdk_ecr::Client> {
        Ok(aws_sdk_ecr::Client::new(self.config().await?))
    }
}

/// The domain of a partition's registries.
fn domain_of(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-iso-e" => "cloud.adc-e.uk",
        "aws-iso-f" => "csp.hci.ic.gov",
        _ => "amazonaws.com",
    }
}

/// The host of an account's registry in a region.
fn registry_of(account: &str, region: &str, partition: &str) -> String {
    format!("{account}.dkr.ecr.{region}.{}", domain_of(partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_registry_in_each_region() {
        for (partition, region, host) in [
            ("aws", "us-east-1", "1.dkr.ecr.us-east-1.amazonaws.com"),
            ("aws-us-gov", "us-gov-west-1", "1.dkr.ecr.us-gov-west-1.amazonaws.com"),
            ("aws-cn", "cn-north-1", "1.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            ("aws-iso", "us-iso-east-1", "1.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
            ("aws-iso-b", "us-isob-east-1", "1.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
            ("aws-iso-f", "us-isof-south-1", "1.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"),
            ("aws-iso-e", "eu-isoe-west-1", "1.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
            ("aws-eusc", "eusc-de-east-1", "1.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(registry_of("1", region, partition), host);
        }
    }
}
