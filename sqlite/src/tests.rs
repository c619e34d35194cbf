use super::*;

const KIND: Kind = Kind { name: "a diary", application_id: 0x666c_6d64, version: 2 };

fn made(path: &Path) -> Connection {
    let (connection, version) = KIND.open(path).unwrap();
    assert_eq!(version, 0, "it is new");
    connection.execute_batch("CREATE TABLE days (day)").unwrap();
    KIND.sign(&connection).unwrap();
    connection
}

fn refused(path: &Path) -> String {
    let before = std::fs::read(path).ok();
    let refusal = KIND.open(path).unwrap_err().to_string();
    assert_eq!(std::fs::read(path).ok(), before, "it is left as it was: {refusal}");
    refusal
}

#[test]
fn a_file_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary.sqlite");
    let first = Lock::take(&path).unwrap();
    let refusal = Lock::take(&path).unwrap_err().to_string();
    assert!(refusal.contains("another process is using it"), "{refusal}");
    drop(first);
    Lock::take(&path).unwrap();
    let nowhere = Lock::take(&folder.path().join("none/diary.sqlite")).unwrap_err().to_string();
    assert!(nowhere.contains("none/diary.sqlite.lock cannot be made"), "{nowhere}");
}

#[test]
fn a_file_of_ours_tells_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary.sqlite");
    drop(made(&path));
    assert_eq!(KIND.open(&path).unwrap().1, 2);
    KIND.open_reader(&path).unwrap().execute_batch("SELECT day FROM days").unwrap();
    KIND.open(&path).unwrap().0.pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(KIND.open(&path).unwrap().1, 1, "an older one is for its owner to bring up to date");
}

#[test]
fn a_file_whose_making_was_cut_off_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary.sqlite");
    Connection::open(&path).unwrap().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    assert_ne!(std::fs::metadata(&path).unwrap().len(), 0);
    drop(made(&path));
}

#[test]
fn files_that_cannot_be_used_are_left_alone_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary.sqlite");
    made(&path).pragma_update(None, "user_version", 3).unwrap();
    assert!(refused(&path).contains("by a newer flagmeter (version 3 of the file, this program knows 2)"));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(refused(&path).contains("not a diary of flagmeter"));
    std::fs::write(&path, "no database, but more than a hundred bytes of text. ".repeat(9)).unwrap();
    assert!(refused(&path).contains("not a diary of flagmeter"));
    assert!(refused(&folder.path().join("none/diary.sqlite")).contains("that its folder is there"));
    assert!(refused(folder.path()).contains("see that it is a file"));
}

/// Opened as SQLite opens a file that may not be written: root may write everything, and tests run as root.
#[test]
fn a_file_that_may_only_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary.sqlite");
    drop(made(&path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let refusal = KIND.version_of(&Connection::open_with_flags(&path, flags).unwrap()).unwrap_err();
    assert!(refusal.to_string().contains("read-only"), "{refusal}");
}

#[test]
fn a_writer_elsewhere_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diary.sqlite");
    let writer = made(&path);
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = {
        let second = Connection::open(&path).unwrap();
        second.busy_timeout(Duration::ZERO).unwrap();
        second.execute_batch("BEGIN IMMEDIATE").unwrap_err()
    };
    assert_eq!(KIND.refusal(&error), Refusal::InUse);
}
