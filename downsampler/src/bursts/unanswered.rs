//! Environments whose flags are not answered: they do not hold up the others.

use std::collections::BTreeSet;

use flagmeter_model::Environment;
use tracing::warn;

use super::metrics::Metrics;
use crate::{Error, Result};

/// After so many that are not answered in a row no more is asked: the store may be away for all.
const IN_A_ROW_MAX: usize = 3;

/// Environments whose flags were not answered when they were last asked for.
#[derive(Debug)]
pub(super) struct Unanswered {
    environments: BTreeSet<Environment>,
    in_a_row: usize,
    metrics: Metrics,
}

impl Unanswered {
    pub(super) const fn new(metrics: Metrics) -> Self {
        Self { environments: BTreeSet::new(), in_a_row: 0, metrics }
    }

    /// Others may be asked again.
    pub(super) const fn begin(&mut self) {
        self.in_a_row = 0;
    }

    /// What was answered of an environment; what failed is counted.
    pub(super) fn take<T>(&mut self, environment: &Environment, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.in_a_row = 0;
                self.environments.remove(environment);
                Some(answer)
            }
            Err(error) => {
                self.in_a_row += 1;
                self.environments.insert(environment.clone());
                self.failed(&error);
                None
            }
        }
    }

    /// Whether no more is to be asked now.
    pub(super) const fn gives_up(&self) -> bool {
        self.in_a_row >= IN_A_ROW_MAX
    }

    /// Whether it is one of them: it is asked last.
    pub(super) fn contains(&self, environment: &Environment) -> bool {
        self.environments.contains(environment)
    }

    pub(super) fn failed(&self, error: &Error) {
        self.metrics.failures.inc();
        warn!(%error, "flags are looked at for bursts again in a minute; environments are watched meanwhile");
    }

    #[cfg(test)]
    pub(super) fn environments(&self) -> Vec<&str> {
        self.environments.iter().map(|of| of.environment.as_str()).collect()
    }
}
