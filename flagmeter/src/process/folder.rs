//! The data folder: who may use it, and what lies where.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// The layout that this build reads and writes.
const VERSION: u32 = 1;
/// The registry's file in a data folder.
const REGISTRY: &str = "registry.toml";

/// A data folder that belongs to this process until the value is dropped, or the process ends however it does.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, and makes it if it is not there.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| unwritable(path, error))?;
        Self::lock(path, File::try_lock)
    }

    /// Takes the folder together with others that share it so, and makes it if it is not there.
    #[cfg(feature = "kafka")]
    pub(crate) fn share(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| unwritable(path, error))?;
        Self::lock(path, File::try_lock_shared)
    }

    /// Takes a folder that must be there already, and one of ours: in any other, nothing is written.
    pub(crate) fn take_existing(path: &Path) -> Result<Self> {
        must_exist(path)?;
        Self::lock(path, File::try_lock)
    }

    fn lock(path: &Path, try_lock: fn(&File) -> Result<(), TryLockError>) -> Result<Self> {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join("lock"))
            .map_err(|error| unwritable(path, error))?;
        match try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::FolderInUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(unwritable(path, error)),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.check_version()?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("journal.sqlite")
    }

    /// Which numbers the journal's seals have.
    #[cfg(feature = "kafka")]
    pub(crate) fn lane(&self) -> PathBuf {
        self.path.join("lane")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log.sqlite")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store.sqlite")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.path.join("ledger.sqlite")
    }

    /// One of the files in which processes that share the folder keep what they have read of the ledger in Kafka, each
    /// its own.
    #[cfg(feature = "kafka")]
    pub(crate) fn book(&self, number: u32) -> PathBuf {
        self.path.join(format!("ledger-{number}.sqlite"))
    }

    /// Where the registry lies that was last found good.
    pub(crate) fn registry_good_copy(&self) -> PathBuf {
        self.path.join("registry.last-good.toml")
    }

    /// Where the runtime flags lie that were last found good.
    pub(crate) fn flags_good_copy(&self) -> PathBuf {
        self.path.join("runtime-flags.last-good.json")
    }

    fn check_version(&self) -> Result<()> {
        let path = version_file(&self.path);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim() == VERSION.to_string() => Ok(()),
            Ok(text) => Err(Error::FolderNewer {
                path: self.path.clone(),
                found: text.trim().chars().take(32).collect(),
                known: VERSION,
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write_whole(&path, &format!("{VERSION}\n")).map_err(|error| unwritable(&self.path, error))
            }
            Err(reason) => Err(Error::File { path, reason }),
        }
    }
}

/// Whether a process works on a folder of ours. For the moment of the look, none can begin to.
pub(crate) fn is_in_use(path: &Path) -> Result<bool> {
    must_exist(path)?;
    let lock =
        File::options().write(true).open(path.join("lock")).map_err(|error| unwritable(path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(unwritable(path, error)),
    }
}

/// Refuses a folder that is not there, and one that no server has made.
fn must_exist(path: &Path) -> Result<()> {
    must_be(path, version_file(path).exists())
}

/// Refuses what [`must_exist`] refuses, but for a folder that is being prepared for its first server: it is empty,
/// or holds a registry. Tokens are made beforehand where machines start servers.
pub(crate) fn must_be_prepared(path: &Path) -> Result<()> {
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    must_be(path, version_file(path).exists() || path.join(REGISTRY).exists() || is_empty())
}

fn must_be(path: &Path, ours: bool) -> Result<()> {
    if !path.is_dir() {
        return Err(Error::FolderMissing { path: path.to_owned() });
    }
    if ours { Ok(()) } else { Err(Error::FolderForeign { path: path.to_owned() }) }
}

fn version_file(path: &Path) -> PathBuf {
    path.join("version")
}

/// The registry's file of a data folder, where no other is configured.
pub(crate) fn registry_file(config: &crate::config::Config) -> PathBuf {
    let registry = &config.registry;
    if registry.is_elsewhere() { registry.file.clone() } else { config.data.path.join(REGISTRY) }
}

/// The file of the API tokens, which commands write beside a running server.
pub(crate) fn tokens_file(data: &Path) -> PathBuf {
    data.join("tokens.jsonl")
}

/// Writes a file so that a reader, or a power cut, finds the old content or the new one and nothing between.
pub(crate) fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    // A name of its own: others may write the same file at the same time.
    let beside = path.with_extension(format!("{:08x}.new", rand::random::<u32>()));
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder_of(path))?.sync_all()
}

/// The folder in which a file lies; that of a bare name is the current one.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unwritable(path: &Path, reason: std::io::Error) -> Error {
    Error::FolderReadOnly { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let first = Folder::take(&temp.path().join("data")).unwrap();
        let second = Folder::take(first.path()).unwrap_err();
        assert!(matches!(second, Error::FolderInUse { .. }), "{second}");
        let path = first.path().to_owned();
        drop(first);
        Folder::take(&path).unwrap();
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_folder_is_shared_by_those_that_only_share() {
        let temp = tempfile::tempdir().unwrap();
        let (one, other) = (Folder::share(temp.path()).unwrap(), Folder::share(temp.path()).unwrap());
        assert!(matches!(Folder::take(temp.path()), Err(Error::FolderInUse { .. })));
        drop((one, other));
        let _alone = Folder::take(temp.path()).unwrap();
        assert!(matches!(Folder::share(temp.path()), Err(Error::FolderInUse { .. })));
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn those_that_share_a_fresh_folder_may_come_at_once() {
        for _ in 0..20 {
            let temp = tempfile::tempdir().unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| Folder::share(temp.path()).unwrap());
                }
            });
            let mut names = fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(names.all(|name| name == "lock" || name == "version"), "nothing is left behind");
        }
    }

    #[test]
    fn a_folder_of_a_newer_version_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("version"), "2\n").unwrap();
        let error = Folder::take(temp.path()).unwrap_err();
        assert!(error.to_string().contains("version \"2\""), "{error}");
        assert_eq!(fs::read_to_string(temp.path().join("version")).unwrap(), "2\n");
    }

    #[test]
    fn a_file_is_written_whole_also_where_its_path_is_a_bare_name() {
        assert_eq!(folder_of(Path::new("registry.toml")), Path::new("."));
        assert_eq!(folder_of(Path::new("/etc/registry.toml")), Path::new("/etc"));
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("registry.toml");
        write_whole(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }

    #[test]
    fn a_folder_that_is_none_of_ours_is_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let error = Folder::take_existing(temp.path()).unwrap_err();
        assert!(error.to_string().contains("no data folder of flagmeter"), "{error}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
        drop(Folder::take(temp.path()).unwrap());
        Folder::take_existing(temp.path()).unwrap();
    }

    #[test]
    fn a_folder_is_prepared_by_being_empty_or_by_a_registry() {
        let temp = tempfile::tempdir().unwrap();
        must_be_prepared(temp.path()).unwrap();
        fs::write(temp.path().join("letters"), "").unwrap();
        assert!(must_be_prepared(temp.path()).is_err());
        fs::write(temp.path().join(REGISTRY), "").unwrap();
        must_be_prepared(temp.path()).unwrap();
        assert!(must_be_prepared(&temp.path().join("nothing")).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_made_or_is_not_there_is_told_in_one_sentence() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Folder::take(&file.join("data")).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        let error = Folder::take_existing(&temp.path().join("nothing")).unwrap_err();
        assert!(error.to_string().contains("there is no data folder"), "{error}");
    }
}
