//! A file that is looked at for changes.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// A file, and what was last read of it.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    path: PathBuf,
    bytes_max: usize,
    /// Good or bad: the same bytes are judged once. `None` before the first look.
    seen: Option<Result<String, String>>,
}

impl WatchedFile {
    pub(crate) const fn new(path: PathBuf, bytes_max: usize) -> Self {
        Self { path, bytes_max, seen: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it: its text, or why there is none; `None` where it is as it was.
    pub(crate) fn look(&mut self) -> Option<&Result<String, String>> {
        let found = read(&self.path, self.bytes_max);
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        Some(self.seen.insert(found))
    }
}

/// Reads a file, or says why it cannot be read. Of a file that is larger than `bytes_max`, so much that its reader sees
/// that it is.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<String, String> {
    let mut text = String::new();
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    fs::File::open(path)
        .and_then(|file| file.take(bytes_max.saturating_add(1)).read_to_string(&mut text))
        .map(|_| text)
        .map_err(|error| format!("it cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_is_told_once_whether_it_is_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = WatchedFile::new(path.clone(), 10);
        assert!(matches!(file.look(), Some(Err(_))));
        assert_eq!(file.look(), None);
        fs::write(&path, "one").unwrap();
        assert_eq!(file.look(), Some(&Ok("one".to_owned())));
        assert_eq!(file.look(), None);
        fs::write(&path, "a".repeat(100)).unwrap();
        assert!(matches!(file.look(), Some(Ok(text)) if text.len() == 11), "seen to be larger");
    }
}
