//! Waiting for the servers that a start needs: they come up beside it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::readiness::Readiness;
use crate::{Error, Result};

/// The first wait between two tries, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often it is said again that it still waits, and for what.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// Opens what needs a server, again and again until the server is there, for `patience` at most. What no waiting
/// mends is an error at once.
pub(crate) async fn until_there<T>(
    server: &str,
    patience: Duration,
    readiness: &Readiness,
    mut open: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    info!("connecting to {server}");
    readiness.waits_for(format!("connecting to {server}"));
    let began = Instant::now();
    let mut pause = PAUSE_MIN;
    let mut said_at = None;
    let mut last = None;
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let error = match tokio::time::timeout(left, open()).await {
            Ok(Ok(opened)) => {
                if said_at.is_some() {
                    info!("{server} is there, after {} s", began.elapsed().as_secs());
                }
                return Ok(opened);
            }
            Ok(Err(error)) if !error.is_retryable() => return Err(error),
            Ok(Err(error)) => error,
            // The time is up in the middle of a try: what ended the one before says more.
            Err(_) => last.take().unwrap_or_else(|| {
                flagmeter_store::Error::Unavailable("it does not answer".to_owned()).into()
            }),
        };
        if began.elapsed() + pause > patience {
            let waited_seconds = began.elapsed().as_secs();
            return Err(Error::NotThere {
                server: server.to_owned(),
                waited_seconds,
                reason: Box::new(error),
            });
        }
        readiness.waits_for(format!("waiting for {server}: {error}"));
        if said_at.is_none_or(|at: Instant| at.elapsed() >= SAID_EVERY) {
            warn!("waiting for {server}, up to {} s: {error}", patience.as_secs());
            said_at = Some(Instant::now());
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
        last = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Error {
        flagmeter_store::Error::Unavailable("nobody answers".into()).into()
    }

    async fn open_after(tries: u32, patience: Duration, error: fn() -> Error) -> (Result<u32>, u32) {
        let (mut attempts, readiness) = (0, Readiness::default());
        let opened = until_there("the server", patience, &readiness, async || {
            attempts += 1;
            if attempts < tries { Err(error()) } else { Ok(attempts) }
        });
        (opened.await, attempts)
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_until_the_server_is_there() {
        let (opened, tried) = open_after(7, Duration::from_mins(1), away).await;
        assert_eq!((opened.unwrap(), tried), (7, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_no_longer_than_it_may_and_says_what_was_wrong() {
        let began = Instant::now();
        let (opened, _) = open_after(u32::MAX, Duration::from_secs(20), away).await;
        let sentence = opened.unwrap_err().to_string();
        assert!(
            sentence.contains("nobody answers") && sentence.contains("startup.servers_max"),
            "{sentence}"
        );
        assert!(began.elapsed() <= Duration::from_secs(20));
        assert!(began.elapsed() > Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_never_ends_is_given_up_in_time() {
        let (began, readiness) = (Instant::now(), Readiness::default());
        let patience = Duration::from_secs(20);
        let opened =
            until_there("the server", patience, &readiness, std::future::pending::<Result<()>>).await;
        assert!(opened.unwrap_err().to_string().contains("it does not answer"));
        assert_eq!(began.elapsed(), patience);
    }

    #[tokio::test(start_paused = true)]
    async fn a_last_try_that_is_cut_off_does_not_hide_what_ended_the_others() {
        let (mut tries, readiness) = (0, Readiness::default());
        let opened = until_there("the server", Duration::from_secs(20), &readiness, async || {
            tries += 1;
            if tries < 3 { Err(away()) } else { std::future::pending::<Result<()>>().await }
        });
        assert!(opened.await.unwrap_err().to_string().contains("nobody answers"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_waiting_mends_is_told_at_once() {
        let wrong = || flagmeter_store::Error::Configuration("run `flagmeter store init`".into()).into();
        let (opened, tried) = open_after(2, Duration::from_mins(1), wrong).await;
        assert_eq!((opened.unwrap_err().to_string().as_str(), tried), ("run `flagmeter store init`", 1));
    }
}
