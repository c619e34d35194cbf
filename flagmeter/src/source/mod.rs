//! Definitions that others write: a file that is looked at for changes, an address that is polled, and the copy of what
//! was last found good. The registry and runtime flags come this way.

mod file;
mod url;

use std::path::PathBuf;

use tracing::warn;

pub(crate) use self::{
    file::{WatchedFile, read},
    url::{WatchedUrl, address},
};
use crate::process::folder::write_whole;

/// What was last found good, kept in the data folder: a start with a source that is bad or away goes on with it.
#[derive(Debug)]
pub(crate) struct GoodCopy {
    /// Of what, for log lines.
    what: &'static str,
    path: PathBuf,
    bytes_max: usize,
}

impl GoodCopy {
    pub(crate) const fn new(what: &'static str, path: PathBuf, bytes_max: usize) -> Self {
        Self { what, path, bytes_max }
    }

    pub(crate) const fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(crate) fn read(&self) -> Result<String, String> {
        read(&self.path, self.bytes_max)
    }

    /// Keeps a text that was found good. That it cannot be kept stops nothing.
    pub(crate) fn keep(&self, text: &str) {
        if self.read().as_deref() == Ok(text) {
            return;
        }
        if let Err(error) = write_whole(&self.path, text) {
            warn!("the good copy of {} cannot be kept at {}: {error}", self.what, self.path.display());
        }
    }
}
