//! The audit log of tokens: its lines, and the state that they fold into.

use std::{collections::BTreeMap, path::Path};

use flagmeter_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Role, secret::SecretHash};
use crate::{Error, Result, rfc3339};

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it may read.
    pub role: Role,
    /// For whom or for what it is, in the words of who made it. At most [`NewToken::NOTE_CHARS_MAX`].
    pub note: Option<String>,
    /// It is refused from then on. `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    /// Longest note, in characters.
    pub const NOTE_CHARS_MAX: usize = 200;
}

/// A token, without its secret.
#[derive(Debug, Clone)]
pub struct Token {
    /// The public part: what it is revoked by.
    pub id: String,
    /// What it may read.
    pub role: Role,
    /// For whom or for what it is.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// It is refused from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    pub(super) hash: SecretHash,
}

impl Token {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(with = "rfc3339")]
    pub(super) at: Timestamp,
    /// Who did it.
    pub(super) by: String,
    /// To which token.
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) action: Action,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub(super) enum Action {
    Created {
        #[serde(flatten)]
        role: RoleLine,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        hash: SecretHash,
        #[serde(with = "rfc3339::option", default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    Revoked,
}

/// A role as the log spells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(super) enum RoleLine {
    Customer { customer: Name },
    Billing,
    Operator,
}

impl From<Role> for RoleLine {
    fn from(role: Role) -> Self {
        match role {
            Role::Customer(customer) => Self::Customer { customer },
            Role::Billing => Self::Billing,
            Role::Operator => Self::Operator,
        }
    }
}

impl From<RoleLine> for Role {
    fn from(line: RoleLine) -> Self {
        match line {
            RoleLine::Customer { customer } => Self::Customer(customer),
            RoleLine::Billing => Self::Billing,
            RoleLine::Operator => Self::Operator,
        }
    }
}

/// The state that the log folds into.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// All tokens that ever were, by id.
    pub(super) tokens: BTreeMap<String, Token>,
    /// Length of the whole lines, in bytes. What follows was cut off by a crash in the middle of a write.
    pub(super) whole_bytes: usize,
    /// Length of what was cut off.
    pub(super) torn_bytes: usize,
}

impl Fold {
    /// Folds the log. A last line without its end was never acknowledged and is left out; anything else that
    /// cannot be read is damage, and guessing around damage would be guessing who may read what.
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Self> {
        let whole_bytes = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut fold = Self { whole_bytes, torn_bytes: bytes.len() - whole_bytes, ..Self::default() };
        let whole = bytes.get(..whole_bytes).unwrap_or_default();
        for (at, line) in whole.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let wrong = |reason: String| Error::TokensLine { path: path.to_owned(), line: at + 1, reason };
            let line: Line = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
            fold.apply(line).map_err(|reason| wrong(reason.into()))?;
        }
        Ok(fold)
    }

    /// Applies one line.
    pub(super) fn apply(&mut self, line: Line) -> Result<(), &'static str> {
        match line.action {
            Action::Created { role, note, hash, expires_at } => {
                if self.tokens.contains_key(&line.id) {
                    return Err("a token with this id was created before");
                }
                let token = Token {
                    id: line.id.clone(),
                    role: role.into(),
                    note,
                    created_at: line.at,
                    created_by: line.by,
                    expires_at,
                    revoked_at: None,
                    revoked_by: None,
                    hash,
                };
                self.tokens.insert(line.id, token);
            }
            Action::Revoked => {
                let token =
                    self.tokens.get_mut(&line.id).ok_or("it revokes a token that was never created")?;
                // The first revocation stands.
                if token.revoked_at.is_none() {
                    token.revoked_at = Some(line.at);
                    token.revoked_by = Some(line.by);
                }
            }
        }
        Ok(())
    }
}
