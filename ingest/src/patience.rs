//! Waiting before the same call is made again.

use std::{fmt, time::Duration};

use crate::{Config, metrics::Metrics};

/// Waits ever longer between the tries of one call: doubling, capped, and spread at random so that those
/// who failed together do not come back together.
pub(crate) struct Patience<'a> {
    call: &'static str,
    wait: Duration,
    wait_max: Duration,
    metrics: &'a Metrics,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(call: &'static str, config: &Config, metrics: &'a Metrics) -> Self {
        Self { call, wait: config.retry_first, wait_max: config.retry_max, metrics }
    }

    /// Waits after a failure, half the time at least.
    pub(crate) async fn wait(&mut self, error: &(dyn fmt::Display + Sync)) {
        let wait = self.next().mul_f64(rand::random_range(0.5..=1.0));
        self.tell(error);
        tokio::time::sleep(wait).await;
    }

    /// Tells of a failure.
    pub(crate) fn tell(&self, error: &(dyn fmt::Display + Sync)) {
        self.metrics.retries.with_label_values(&[self.call]).inc();
        tracing::warn!(call = self.call, %error, "a call of ingest failed; it will be made again");
    }

    /// The next wait, before it is spread.
    fn next(&mut self) -> Duration {
        let wait = self.wait.min(self.wait_max);
        self.wait = wait.saturating_mul(2).min(self.wait_max);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let config = Config {
            retry_first: Duration::from_millis(100),
            retry_max: Duration::from_millis(700),
            ..Config::default()
        };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let mut patience = Patience::new("write", &config, &metrics);
        let waits: Vec<_> = (0..6).map(|_| patience.next().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 700, 700, 700]);
    }
}
