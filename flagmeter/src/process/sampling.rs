//! Which share of log lines is written: the runtime flag `log-sampling`. Warnings and errors always are.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Level, Metadata};

/// What all of a line is, in parts.
const WHOLE: u64 = 1_000_000;

/// There is one log in a process, and so one share.
static SAMPLE: Sample = Sample::new();

/// Sets the share, 0 to 1, for the whole process.
pub(crate) fn set(share: f64) {
    SAMPLE.set(share);
}

/// Whether the next line of this kind is written.
pub(super) fn takes(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::WARN || SAMPLE.takes_the_next()
}

/// Takes every n-th.
#[derive(Debug)]
struct Sample {
    /// In parts of [`WHOLE`].
    share: AtomicU64,
    /// Parts that are saved up for the next line.
    saved: AtomicU64,
}

impl Sample {
    const fn new() -> Self {
        Self { share: AtomicU64::new(WHOLE), saved: AtomicU64::new(0) }
    }

    fn set(&self, share: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "it is from 0 to 1,000,000"
        )]
        self.share.store((share.clamp(0.0, 1.0) * WHOLE as f64) as u64, Ordering::Relaxed);
    }

    fn takes_the_next(&self) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        // Wraps after 2^64 parts, which is an odd line in half a million years.
        let before = self.saved.fetch_add(share, Ordering::Relaxed);
        before / WHOLE != before.wrapping_add(share) / WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_lines_is_taken_evenly() {
        let sample = Sample::new();
        let taken = || (0..100).map(|_| sample.takes_the_next()).collect::<Vec<_>>();
        assert!(taken().iter().all(|&taken| taken), "all, until it is told otherwise");
        sample.set(0.1);
        let tenth = taken();
        assert_eq!(tenth.iter().filter(|&&taken| taken).count(), 10);
        assert!(tenth.chunks(10).all(|ten| ten.iter().any(|&taken| taken)), "every tenth");
        sample.set(0.0);
        assert!(!taken().contains(&true));
        sample.set(f64::NAN);
        assert!(!taken().contains(&true));
    }
}
