//! Retries of requests: after a rate limit, after a passing error, and after rejected credentials if there are others.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::{CONTENT_RANGE, HeaderMap, RETRY_AFTER};

use super::outgoing::{Content, Failure, Outgoing, Sender, Sending};

/// Maximum total wait of one request if the service asks for it.
const MAX_WAIT: Duration = Duration::from_secs(5 * 60);
/// Pauses before retries if the service does not name a time. Their number is the maximum number of retries.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// Methods that may be repeated safely.
const IDEMPOTENT: [&str; 5] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];

/// A callback for the reason and pause of a retry.
pub type Waits<'a> = &'a (dyn Fn(&str, Duration) + Send + Sync);

impl Sender {
    /// Sends a request with its credentials. If its whole body is known, it is retried after a rate limit, a few times
    /// after a passing error, and with new credentials if the service rejected the old ones. `waits` is called before
    /// each pause.
    ///
    /// # Errors
    /// There is no response. A response with an error status is not an error.
    pub async fn send(
        &self,
        mut request: Outgoing,
        waits: Waits<'_>,
    ) -> Result<http::Response<Content>, Failure> {
        let mut left = MAX_WAIT;
        let mut tries = WAITS.iter();
        let mut renewed = false;
        let source = request.route.credential.clone();
        let mut credential = match &source {
            Some(source) => Some(self.credentials.of(source).await.map_err(Failure::Credential)?),
            None => None,
        };
        loop {
            let again = request.again();
            let may_repeat = request.is_repeatable();
            let answer = self.send_once(request, credential.as_ref()).await;
            let Some(next) = again else { return answer };
            if let (Ok(answer), Some(source), Some(refused)) = (&answer, &source, &credential)
                && answer.status() == 401
                && !renewed
                && let Some(other) = self.credentials.another(source, &refused.authorization).await
            {
                credential = Some(other);
                renewed = true;
                request = next;
                continue;
            }
            let (why, wait) = match &answer {
                // The request was not processed, so any method may be repeated.
                Ok(answer) if answer.status() == 429 => {
                    let said = retry_after(answer.headers(), Timestamp::now());
                    ("asked to wait", said.or_else(|| tries.next().copied()))
                }
                Ok(answer) if may_repeat && [502, 503, 504].contains(&answer.status().as_u16()) => {
                    let said = retry_after(answer.headers(), Timestamp::now());
                    let tried = tries.next().copied();
                    ("returned a server error", tried.map(|wait| said.unwrap_or(wait)))
                }
                Err(Failure::Broken(_)) if may_repeat => ("closed the connection", tries.next().copied()),
                _ => return answer,
            };
            let Some(wait) = wait.filter(|wait| *wait <= left) else { return answer };
            left -= wait;
            waits(why, wait);
            tokio::time::sleep(wait).await;
            request = next;
        }
    }
}

impl Outgoing {
    /// Whether sending it twice is as good as once. A part of an upload is not repeatable: only the sender can find out
    /// how much of it arrived.
    fn is_repeatable(&self) -> bool {
        IDEMPOTENT.contains(&self.method.as_str()) && !self.headers.contains_key(CONTENT_RANGE)
    }

    /// A copy of the request; `None` if its body was a stream.
    fn again(&self) -> Option<Self> {
        let Sending::Whole(body) = &self.body else { return None };
        Some(Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Sending::Whole(body.clone()),
            route: self.route.clone(),
            patience: self.patience,
            silence: self.silence,
        })
    }
}

/// The time in `Retry-After`, as seconds or a date. At least one second, to avoid a busy loop.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let then = rfc2822::parse(text).ok()?.timestamp();
            u64::try_from(then.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-10-21T07:28:00Z".parse().unwrap();
        let seconds = |text: &str| {
            let headers = [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("0"), Some(1));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:09 GMT"), Some(9));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:27:00 GMT"), Some(1));
        assert_eq!(seconds("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
