//! The user's identity, and IAM roles.

use std::time::Duration;

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use serde_json::Value;

use super::{
    Aws,
    failure::{code, explain, kind_of},
};
use crate::error::{Error, Kind, Result};

/// Timeout for an optional answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A role of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::…:role/…`
    pub arn: String,
    /// The services that may assume it; `None` if the user may not read that.
    pub trusted_services: Option<Vec<String>>,
}

/// The identity of the credentials.
#[derive(Debug)]
pub(super) struct Caller {
    account: String,
    arn: String,
}

impl Caller {
    /// The ARN whose policies apply: for a session, its role. `None` for the root user, who may do anything, and for
    /// identities without policies.
    fn principal(&self) -> Option<String> {
        if self.arn.contains(":user/") {
            return Some(self.arn.clone());
        }
        let (partition, rest) = self.arn.strip_prefix("arn:")?.split_once(":sts:")?;
        let role = rest.split_once(":assumed-role/")?.1.split('/').next()?;
        Some(format!("arn:{partition}:iam::{}:role/{role}", self.account))
    }
}

/// Whether a retry would fail again.
fn is_final(code: &str) -> bool {
    !matches!(kind_of(code).0, Kind::Unavailable)
        && !matches!(
            code,
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "InvalidClientTokenId"
        )
}

impl Aws {
    /// The account's twelve digits.
    ///
    /// # Errors
    /// The credentials are missing or not valid.
    pub async fn account(&self) -> Result<String> {
        self.caller().await.map(|caller| caller.account.clone())
    }

    /// The account's partition, such as `aws` or `aws-cn`.
    pub(super) async fn partition(&self) -> Result<&str> {
        let arn = &self.caller().await?.arn;
        Ok(arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws"))
    }

    async fn caller(&self) -> Result<&Caller> {
        let asked = self.caller.get_or_try_init(|| async {
            let answer = aws_sdk_sts::Client::new(self.config().await?)
                .get_caller_identity()
                .send()
                .await
                .map_err(|error| explain("cannot determine the AWS account", error))?;
            let (account, arn) =
                answer.account.zip(answer.arn).ok_or_else(|| Error::failed("AWS returned no account"))?;
            Ok(Caller { account, arn })
        });
        asked.await
    }

    /// Whether the user may pass a role to a service; `None` if the user may not ask, or AWS does not support it.
    ///
    /// # Errors
    /// AWS cannot be reached.
    pub async fn may_pass(&self, role: &str, service: &str) -> Result<Option<bool>> {
        let Some(caller) = self.caller().await?.principal() else { return Ok(None) };
        let iam = aws_sdk_iam::Client::new(self.config().await?);
        let context = ContextEntry::builder()
            .context_key_name("iam:PassedToService")
            .context_key_values(service)
            .context_key_type(ContextKeyTypeEnum::String)
            .build();
        let asked = iam
            .simulate_principal_policy()
            .policy_source_arn(caller)
            .action_names("iam:PassRole")
            .resource_arns(role)
            .context_entries(context)
            .send();
        // A late answer is not an error of the run either.
        let Ok(asked) = tokio::time::timeout(PATIENCE, asked).await else { return Ok(None) };
        match asked {
            Ok(answer) => {
                let first = answer.evaluation_results.unwrap_or_default().into_iter().next();
                Ok(first.map(|result| result.eval_decision == PolicyEvaluationDecisionType::Allowed))
            }
            // A missing answer is not an error of the run.
            Err(error) if error.raw_response().is_some() && is_final(code(&error)) => Ok(None),
            Err(error) => Err(explain(format!("cannot check iam:PassRole on the role {role}"), error)),
        }
    }

    /// A role by name or ARN. If the user may not look up roles, the ARN is built from the name.
    ///
    /// # Errors
    /// There is no such role.
    pub async fn role(&self, name: &str) -> Result<Role> {
        let short = name.rsplit('/').next().unwrap_or(name);
        let asked = aws_sdk_iam::Client::new(self.config().await?).get_role().role_name(short).send().await;
        match asked {
            Ok(answer) => {
                let role = answer
                    .role
                    .ok_or_else(|| Error::failed(format!("AWS returned nothing for the role {name}")))?;
                if !is_of_name(&role.arn, name) {
                    return Err(Error::new(Kind::NotFound, format!("no role {name} in this account"))
                        .hint(format!("set --config.role_name={} if you mean this role", role.arn)));
                }
                Ok(Role {
                    trusted_services: role.assume_role_policy_document.map(|text| services(&text)),
                    arn: role.arn,
                })
            }
            Err(error) if code(&error) == "NoSuchEntity" => {
                Err(Error::new(Kind::NotFound, format!("no role {name} in this account"))
                    .hint("run `aws iam list-roles` to list them, and choose one that SageMaker may assume"))
            }
            Err(error) if matches!(code(&error), "AccessDenied" | "AccessDeniedException") => {
                let arn = if name.starts_with("arn:") {
                    name.to_owned()
                } else {
                    let Caller { account, .. } = self.caller().await?;
                    format!("arn:{}:iam::{account}:role/{name}", self.partition().await?)
                };
                Ok(Role { arn, trusted_services: None })
            }
            Err(error) => Err(explain(format!("cannot look up the role {name}"), error)),
        }
    }
}

/// Whether a name, a path and name, or a whole ARN names the role with this ARN.
fn is_of_name(arn: &str, name: &str) -> bool {
    arn == name || !name.starts_with("arn:") && arn.ends_with(&format!("/{name}"))
}

/// The services that a trust policy allows to assume the role. The policy is percent-encoded JSON.
fn services(policy: &str) -> Vec<String> {
    let text = percent_encoding::percent_decode_str(policy).decode_utf8_lossy();
    let policy: Value = serde_json::from_str(&text).unwrap_or_default();
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    let allowed = statements.iter().filter(|statement| statement["Effect"] == "Allow");
    allowed
        .flat_map(|statement| match &statement["Principal"]["Service"] {
            Value::Array(services) => services.clone(),
            one => vec![one.clone()],
        })
        .filter_map(|service| service.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_principal_of_a_session_is_its_role() {
        let principal = |arn: &str| Caller { account: "1".into(), arn: arn.into() }.principal();
        assert_eq!(principal("arn:aws:iam::1:user/a").as_deref(), Some("arn:aws:iam::1:user/a"));
        let session = principal("arn:aws-cn:sts::1:assumed-role/Dev/me@example.com");
        assert_eq!(session.as_deref(), Some("arn:aws-cn:iam::1:role/Dev"));
        assert_eq!(principal("arn:aws:iam::1:root"), None);
    }

    #[test]
    fn a_role_is_named_in_three_ways() {
        let arn = "arn:aws-cn:iam::1:role/service-role/Trainer";
        for (name, is) in [
            ("Trainer", true),
            ("service-role/Trainer", true),
            (arn, true),
            ("other/Trainer", false),
            ("arn:aws-cn:iam::2:role/service-role/Trainer", false),
            ("arn:aws-cn:iam::1:role/Trainer", false),
        ] {
            assert_eq!(is_of_name(arn, name), is, "{name}");
        }
    }

    #[test]
    fn trust_policies_come_in_two_shapes() {
        let one = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"}}}"#;
        let many = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%5B%22a%22%2C%22b%22%5D%7D%7D%5D%7D";
        assert_eq!(services(one), ["sagemaker.amazonaws.com"]);
        assert_eq!(services(many), ["a", "b"]);
        assert!(services("nonsense").is_empty());
    }
}
