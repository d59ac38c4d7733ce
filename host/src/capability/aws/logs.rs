//! CloudWatch Logs.

use super::{
    Aws,
    failure::{code, explain},
};
use crate::error::Result;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// Milliseconds since the Unix epoch.
    pub time: u64,
    /// Its text.
    pub text: String,
}

impl Aws {
    /// The sorted names of a group's streams with a prefix. Empty if the group does not exist, as before an account's
    /// first job.
    ///
    /// # Errors
    /// The user may not list them.
    pub async fn log_streams(&self, group: &str, prefix: &str) -> Result<Vec<String>> {
        let mut pages = self
            .cloudwatch_logs()
            .await?
            .describe_log_streams()
            .log_group_name(group)
            .log_stream_name_prefix(prefix)
            .into_paginator()
            .send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => {
                    let streams = page.log_streams.unwrap_or_default();
                    names.extend(streams.into_iter().filter_map(|stream| stream.log_stream_name));
                }
                Err(error) if code(&error) == "ResourceNotFoundException" => return Ok(Vec::new()),
                Err(error) => return Err(explain(format!("cannot list the logs in {group}"), error)),
            }
        }
        names.sort();
        Ok(names)
    }

    /// The events of a stream from its start or from a token on, and the next token. The same token again means that
    /// there are no more events for now.
    ///
    /// # Errors
    /// The user may not read them.
    pub async fn log_events(
        &self,
        group: &str,
        stream: &str,
        token: Option<&str>,
    ) -> Result<(Vec<LogEvent>, String)> {
        let answer = self
            .cloudwatch_logs()
            .await?
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream)
            .start_from_head(true)
            .set_next_token(token.map(str::to_owned))
            .send()
            .await
            .map_err(|error| explain(format!("cannot read the log {stream}"), error))?;
        let events = answer.events.unwrap_or_default().into_iter().map(|event| LogEvent {
            time: event.timestamp.and_then(|time| time.try_into().ok()).unwrap_or(0),
            text: event.message.unwrap_or_default(),
        });
        Ok((events.collect(), answer.next_forward_token.unwrap_or_default()))
    }

    async fn cloudwatch_logs(&self) -> Result<aws_sdk_cloudwatchlogs::Client> {
        Ok(aws_sdk_cloudwatchlogs::Client::new(self.config().await?))
    }
}
