//! Secrets of tokens: making, reading, hashing and comparing them.

use std::fmt;

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::{Error, Result, hex};

/// Length of an id, in hexadecimal digits.
const ID_DIGITS: usize = 12;
/// Length of a secret, in hexadecimal digits: 256 bits.
const SECRET_DIGITS: usize = 64;

/// The text of a token, taken apart.
#[derive(Clone, Copy)]
pub(super) struct TokenText<'a> {
    /// The public part.
    pub(super) id: &'a str,
    secret: &'a str,
}

impl<'a> TokenText<'a> {
    /// Takes `fm_<id>_<secret>` apart; `None` for anything else.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("fm_")?.split_once('_')?;
        let is_hex = |text: &str| hex::read(text).is_some();
        (id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS && is_hex(id) && is_hex(secret))
            .then_some(Self { id, secret })
    }

    /// The hash of the secret.
    pub(super) fn hash(self) -> SecretHash {
        SecretHash::of(self.secret)
    }
}

/// A new secret. It is shown once and then forgotten.
pub(super) struct NewSecret {
    /// The public part.
    pub(super) id: String,
    secret: String,
}

impl NewSecret {
    /// Draws an id and a secret from the system's random source.
    pub(super) fn draw() -> Result<Self> {
        // Two digits a byte.
        let mut bytes = [0_u8; ID_DIGITS / 2 + SECRET_DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
        let (id, secret) = bytes.split_at(ID_DIGITS / 2);
        Ok(Self { id: hex::write(id), secret: hex::write(secret) })
    }

    /// The token as its owner keeps it.
    pub(super) fn text(&self) -> String {
        format!("fm_{}_{}", self.id, self.secret)
    }

    /// The hash of the secret.
    pub(super) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }
}

/// SHA-256 of a secret. Compared in constant time, and in no other way.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// What somebody who has this signs these pieces with.
    pub(super) fn sign(&self, pieces: &[&str]) -> [u8; 32] {
        self.mac(pieces).map(|mac| mac.finalize().into_bytes().into()).unwrap_or_default()
    }

    /// Whether this is the signature of the pieces; it takes as long where it is not.
    pub(super) fn has_signed(&self, pieces: &[&str], signature: &[u8]) -> bool {
        self.mac(pieces).is_some_and(|mac| mac.verify_slice(signature).is_ok())
    }

    /// Keys of any length are taken: there is always one.
    fn mac(&self, pieces: &[&str]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::new_from_slice(&self.0).ok()?;
        for piece in pieces {
            mac.update(piece.as_bytes());
        }
        Some(mac)
    }

    /// A hash that no secret has: what an unknown id is compared with, so that it takes as long as a known one.
    pub(super) const fn nobodys() -> Self {
        Self([0; 32])
    }
}

impl ConstantTimeEq for SecretHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hex::write(&hash.0)
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = hex::read(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a hash is 64 hexadecimal digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_token_parses_and_hashes_to_the_same() {
        let drawn = NewSecret::draw().unwrap();
        let text = drawn.text();
        let parsed = TokenText::parse(&text).unwrap();
        assert_eq!(parsed.id, drawn.id);
        assert!(bool::from(parsed.hash().ct_eq(&drawn.hash())));
        assert_ne!(NewSecret::draw().unwrap().text(), text);
    }

    #[test]
    fn the_hash_is_sha_256_in_hexadecimal_and_reads_back() {
        let text = String::from(SecretHash::of("abc"));
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let back = SecretHash::try_from(text).unwrap();
        assert!(bool::from(back.ct_eq(&SecretHash::of("abc"))));
        for wrong in ["", "zz", &"g".repeat(64), &"ä".repeat(32), &"+f".repeat(32)] {
            assert!(SecretHash::try_from(wrong.to_owned()).is_err());
        }
    }

    #[test]
    fn what_is_not_a_token_does_not_parse() {
        let (id, secret) = ("0123456789ab", "a".repeat(64));
        assert!(TokenText::parse(&format!("fm_{id}_{secret}")).is_some());
        for wrong in [
            String::new(),
            format!("fm_{id}"),
            format!("{id}_{secret}"),
            format!("fm_{id}_{secret}0"),
            format!("fm_{id}_{}", "A".repeat(64)),
            format!("fm__{secret}"),
            format!("fm_{}_{secret}", "é".repeat(6)),
        ] {
            assert!(TokenText::parse(&wrong).is_none(), "{wrong}");
        }
    }
}
