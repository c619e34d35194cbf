//! What the answers of one call may be in all.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes the answers of one call may have, all together.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) max: usize,
    left: AtomicUsize,
}

impl Budget {
    /// All of it is left.
    pub(super) const fn new(max: usize) -> Self {
        Self { max, left: AtomicUsize::new(max) }
    }

    /// Takes so many bytes of it, if there are as many left.
    pub(super) fn draw(&self, bytes: usize) -> bool {
        let left = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    /// For what did not come whole.
    pub(super) fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
