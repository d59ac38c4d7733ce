//! Who the user is, and which roles there are.

use std::time::Duration;

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use serde_json::Value;

use super::{
    Aws,
    failure::{code, explain, kind_of},
};
use crate::error::{Error, Kind, Result};

/// How long an answer is waited for without which a run can do.
const PATIENCE: Duration = Duration::from_secs(3);

/// A role of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::…:role/…`
    pub arn: String,
    /// The services that may assume it; none where the account does not let the user look.
    pub trusted_services: Option<Vec<String>>,
}

/// Whose credentials these are.
#[derive(Debug)]
pub(super) struct Caller {
    account: String,
    arn: String,
}

impl Caller {
    /// Whose policies decide, as IAM names it: a session's role stands for it. None for the account itself, which may do
    /// anything, and for what has no policies of its own.
    fn principal(&self) -> Option<String> {
        if self.arn.contains(":user/") {
            return Some(self.arn.clone());
        }
        let (partition, rest) = self.arn.strip_prefix("arn:")?.split_once(":sts:")?;
        let role = rest.split_once(":assumed-role/")?.1.split('/').next()?;
        Some(format!("arn:{partition}:iam::{}:role/{role}", self.account))
    }
}

/// Asked again, the service would say the same.
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
    /// There are no credentials, or they are not valid.
    pub async fn account(&self) -> Result<String> {
        self.caller().await.map(|caller| caller.account.clone())
    }

    /// Which of AWS's separate worlds this account is in, such as `aws` or `aws-cn`.
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
                .map_err(|error| explain("cannot tell which AWS account this is", error))?;
            let (account, arn) = answer
                .account
                .zip(answer.arn)
                .ok_or_else(|| Error::failed("AWS did not tell which account this is"))?;
            Ok(Caller { account, arn })
        });
        asked.await
    }

    /// Whether the user may pass a role to a service; none where the account does not let the user ask, or knows no such
    /// question.
    ///
    /// # Errors
    /// AWS cannot be asked at all.
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
        // Not to be told in time is no problem of the run either.
        let Ok(asked) = tokio::time::timeout(PATIENCE, asked).await else { return Ok(None) };
        match asked {
            Ok(answer) => {
                let first = answer.evaluation_results.unwrap_or_default().into_iter().next();
                Ok(first.map(|result| result.eval_decision == PolicyEvaluationDecisionType::Allowed))
            }
            // Not to be told is no problem of the run.
            Err(error) if error.raw_response().is_some() && is_final(code(&error)) => Ok(None),
            Err(error) => Err(explain(format!("cannot ask whether the role {role} may be passed on"), error)),
        }
    }

    /// A role by name or ARN. Where the user may not look roles up, the ARN is made from the name.
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
                    .ok_or_else(|| Error::failed(format!("AWS told nothing of the role {name}")))?;
                if !is_of_name(&role.arn, name) {
                    return Err(Error::new(
                        Kind::NotFound,
                        format!("there is no role {name} in this account"),
                    )
                    .hint(format!("the role of that name is {}: give this, if it is the one", role.arn)));
                }
                Ok(Role {
                    trusted_services: role.assume_role_policy_document.map(|text| services(&text)),
                    arn: role.arn,
                })
            }
            Err(error) if code(&error) == "NoSuchEntity" => {
                Err(Error::new(Kind::NotFound, format!("there is no role {name} in this account"))
                    .hint("`aws iam list-roles` lists them; SageMaker needs one that it may assume"))
            }
            Err(error) if matches!(code(&error), "AccessDenied" | "AccessDeniedException") => {
                let arn = match name.starts_with("arn:") {
                    true => name.to_owned(),
                    false => {
                        let Caller { account, .. } = self.caller().await?;
                        format!("arn:{}:iam::{account}:role/{name}", self.partition().await?)
                    }
                };
                Ok(Role { arn, trusted_services: None })
            }
            Err(error) => Err(explain(format!("cannot look up the role {name}"), error)),
        }
    }
}

/// An ARN is that of a role by its name, its path and name, or its whole ARN.
fn is_of_name(arn: &str, name: &str) -> bool {
    arn == name || !name.starts_with("arn:") && arn.ends_with(&format!("/{name}"))
}

/// Who is allowed to assume a role, out of its trust policy: JSON, percent-encoded.
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
    fn a_session_stands_for_its_role() {
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
