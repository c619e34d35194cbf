//! The tokens of this installation: a file that is appended to, and watched.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use axum::http::HeaderMap;
use flagmeter_model::{Clock, Timestamp};
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::{
    NewToken, Principal, Refusal, Token,
    audit::{Action, Fold, Line},
    bearer,
    links::{self, Link, LinkText},
    secret::{NewSecret, SecretHash, TokenText},
};
use crate::{Error, Result};

/// Largest audit log that is read, in bytes: some hundred thousand changes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The file is looked at for changes at most this often.
const CHECK_INTERVAL_MS: u64 = 1_000;
/// For how long a link holds at most, in seconds.
pub(crate) const LINK_SECONDS_MAX: i64 = 30 * 86_400;
/// Longest name of who makes a change, in characters.
const BY_CHARS_MAX: usize = 100;

/// The tokens. Several processes may hold the same file open: a token that one of them revokes is refused by
/// the others within a second.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    loaded: Mutex<Loaded>,
}

/// The state as it was last read.
#[derive(Debug)]
struct Loaded {
    fold: Fold,
    stamp: Stamp,
    checked_at: Timestamp,
}

/// Tells cheaply whether the file is still what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified_at: Option<SystemTime>,
}

/// A token that was just made.
#[derive(Debug)]
pub struct Created {
    /// The public part.
    pub id: String,
    /// The token, `fm_<id>_<secret>`. It is not kept: whoever asked must be shown it now.
    pub text: String,
}

impl Tokens {
    /// Opens the audit log at `path`, makes it if there is none, and keeps it to its owner (mode 0600).
    pub fn open(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = path.into();
        let mut file = open_file(&path)?;
        let loaded = load(&path, &mut file, clock.now())?;
        Ok(Self { path, clock, loaded: Mutex::new(loaded) })
    }

    /// Makes a token. When this returns, it is durable. `by` says who made it, for the audit log.
    pub fn create(&self, new: NewToken, by: &str) -> Result<Created> {
        check_words("note", new.note.as_deref().unwrap_or_default(), NewToken::NOTE_CHARS_MAX)?;
        let secret = NewSecret::draw()?;
        self.append(by, |_| {
            let action = Action::Created {
                role: new.role.into(),
                note: new.note,
                hash: secret.hash(),
                expires_at: new.expires_at,
            };
            Ok((secret.id.clone(), action))
        })?;
        Ok(Created { id: secret.id.clone(), text: secret.text() })
    }

    /// Revokes the token with this id, for ever. When this returns, it is durable.
    pub fn revoke(&self, id: &str, by: &str) -> Result<()> {
        self.append(by, |fold| match fold.tokens.get(id) {
            None => Err(Error::TokenUnknown(id.chars().take(64).collect())),
            Some(token) if token.revoked_at.is_some() => Err(Error::TokenRevoked(id.to_owned())),
            Some(_) => Ok((id.to_owned(), Action::Revoked)),
        })
    }

    /// All tokens that ever were, by their time of making.
    pub fn list(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = self.current(|fold| fold.tokens.values().cloned().collect());
        tokens.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        tokens
    }

    /// Bytes at the end of the log that a crash cut off in the middle of a write; they say nothing, and the
    /// next change removes them. 0 is the rule.
    pub fn torn_bytes(&self) -> usize {
        self.current(|fold| fold.torn_bytes)
    }

    /// Who sends a request with these headers.
    pub(super) fn sender(&self, headers: &HeaderMap) -> Result<Principal, Refusal> {
        bearer::token(headers).and_then(|token| self.authenticate(token))
    }

    /// Who holds this token.
    pub fn authenticate(&self, text: &str) -> Result<Principal, Refusal> {
        let parsed = TokenText::parse(text).ok_or(Refusal::Malformed)?;
        let given = parsed.hash();
        let now = self.clock.now();
        self.current(|fold| {
            let token = fold.tokens.get(parsed.id);
            let kept = token.map_or_else(SecretHash::nobodys, |token| token.hash.clone());
            let same = bool::from(kept.ct_eq(&given));
            match token {
                Some(token) if same && token.revoked_at.is_some() => Err(Refusal::Revoked),
                Some(token) if same && token.is_expired(now) => Err(Refusal::Expired),
                Some(token) if same => Ok(Principal { token_id: token.id.clone(), role: token.role.clone() }),
                _ => Err(Refusal::Unknown),
            }
        })
    }

    /// A link to a question of the token with this id, if there is one.
    pub(crate) fn link(&self, id: &str, query: &str, expires_at: Timestamp) -> Option<String> {
        self.current(|fold| fold.tokens.get(id).map(|token| links::write(id, &token.hash, query, expires_at)))
    }

    /// What a link asks, and for whom.
    pub(crate) fn follow(&self, text: &str) -> Result<Link, Refusal> {
        let link = LinkText::parse(text).ok_or(Refusal::Malformed)?;
        let now = self.clock.now();
        self.current(|fold| {
            let token = fold.tokens.get(link.id);
            let key = token.map_or_else(SecretHash::nobodys, |token| token.hash.clone());
            let is_signed = link.is_signed_with(&key);
            // One that whoever has the token has signed by hand for longer than we would is good for no longer, either.
            let is_over = link.expires_at <= now || link.expires_at > now.plus_seconds(LINK_SECONDS_MAX);
            match token {
                Some(token) if is_signed && token.revoked_at.is_some() => Err(Refusal::Revoked),
                Some(token) if is_signed && (is_over || token.is_expired(now)) => Err(Refusal::Expired),
                Some(token) if is_signed => {
                    let principal = Principal { token_id: token.id.clone(), role: token.role.clone() };
                    Ok(Link { principal, query: link.query, expires_at: link.expires_at })
                }
                _ => Err(Refusal::Unknown),
            }
        })
    }

    /// The token with this id, whether it is in force or not.
    pub(crate) fn find(&self, id: &str) -> Option<Token> {
        self.current(|fold| fold.tokens.get(id).cloned())
    }

    /// Whether the token with this id, which was good once, still is.
    pub(crate) fn standing(&self, id: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.current(|fold| match fold.tokens.get(id) {
            None => Err(Refusal::Unknown),
            Some(token) if token.revoked_at.is_some() => Err(Refusal::Revoked),
            Some(token) if token.is_expired(now) => Err(Refusal::Expired),
            Some(_) => Ok(()),
        })
    }

    /// Looks at the state, read anew if the file has changed. A file that cannot be read any more leaves the
    /// last good state in place: it locks nobody out, and lets nobody in who was not.
    fn current<T>(&self, look: impl FnOnce(&Fold) -> T) -> T {
        let now = self.clock.now();
        let mut loaded = self.loaded.lock();
        if now.millis_since(loaded.checked_at).unsigned_abs() >= CHECK_INTERVAL_MS {
            loaded.checked_at = now;
            if let Err(error) = self.refresh(&mut loaded, now) {
                tracing::error!(%error, "the tokens cannot be read again; the last good ones stay in force");
            }
        }
        look(&loaded.fold)
    }

    fn refresh(&self, loaded: &mut Loaded, now: Timestamp) -> Result<()> {
        let mut file = File::open(&self.path).map_err(|error| self.wrong(&error))?;
        if stamp(&file).map_err(|error| self.wrong(&error))? != loaded.stamp {
            *loaded = load(&self.path, &mut file, now)?;
        }
        Ok(())
    }

    /// Appends one line, decided on what the file says at that moment: other processes wait for the lock.
    fn append(&self, by: &str, decide: impl FnOnce(&Fold) -> Result<(String, Action)>) -> Result<()> {
        check_words("by", by, BY_CHARS_MAX)?;
        let mut file = open_file(&self.path)?;
        file.lock().map_err(|error| self.wrong(&error))?;
        let now = self.clock.now();
        let before = load(&self.path, &mut file, now)?;
        let (id, action) = decide(&before.fold)?;
        let line = Line { at: now, by: by.to_owned(), id, action };
        let mut bytes = serde_json::to_vec(&line).map_err(|error| self.wrong(&error.into()))?;
        bytes.push(b'\n');
        let mut write = || {
            if before.fold.torn_bytes > 0 {
                file.set_len(u64::try_from(before.fold.whole_bytes).unwrap_or(u64::MAX))?;
            }
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|error| self.wrong(&error))?;
        let mut again = File::open(&self.path).map_err(|error| self.wrong(&error))?;
        *self.loaded.lock() = load(&self.path, &mut again, now)?;
        Ok(())
    }

    fn wrong(&self, error: &io::Error) -> Error {
        Error::TokensFile { path: self.path.clone(), reason: error.to_string() }
    }
}

/// Refuses words that would not fit one line of a log that people read.
fn check_words(what: &'static str, text: &str, chars_max: usize) -> Result<()> {
    if text.chars().count() > chars_max || text.chars().any(char::is_control) {
        return Err(Error::TokenWords { what, chars_max });
    }
    Ok(())
}

fn open_file(path: &Path) -> Result<File> {
    let wrong = |error: io::Error| Error::TokensFile { path: path.to_owned(), reason: error.to_string() };
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(wrong)?;
    keep_to_owner(&file).map_err(wrong)?;
    if is_new && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // The entry in its folder must outlive a power cut, too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)?;
    }
    Ok(file)
}

#[cfg(unix)]
fn keep_to_owner(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = file.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        file.set_permissions(permissions)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_to_owner(_file: &File) -> io::Result<()> {
    Ok(())
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let metadata = file.metadata()?;
    Ok(Stamp { bytes: metadata.len(), modified_at: metadata.modified().ok() })
}

fn load(path: &Path, file: &mut File, now: Timestamp) -> Result<Loaded> {
    let wrong = |reason: String| Error::TokensFile { path: path.to_owned(), reason };
    // The stamp is taken first: a change in between is then seen at the next look.
    let stamp = stamp(file).map_err(|error| wrong(error.to_string()))?;
    if stamp.bytes > FILE_BYTES_MAX {
        return Err(wrong(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    let fold = Fold::of(path, &bytes)?;
    if fold.torn_bytes > 0 {
        tracing::warn!(
            path = %path.display(),
            bytes = fold.torn_bytes,
            "the last line of the token log was cut off by a crash: it is left out"
        );
    }
    Ok(Loaded { fold, stamp, checked_at: now })
}

#[cfg(test)]
mod tests;
