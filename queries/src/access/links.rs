//! Links to one question of a token: what they say can be read by whoever has one, and changed by nobody.
//!
//! A link is `<id>.<until>.<question>.<signature>`: the public part of a token, the second until which it holds, a query in
//! base64, and HMAC-SHA256 over these with what is kept of the token's secret as the key. So a link ends with its token,
//! and every process that has the file of tokens can look at it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flagmeter_model::Timestamp;

use super::{Principal, secret::SecretHash};

/// What is signed begins with this: no other signature with the same key is one of a link.
const PURPOSE: &str = "flagmeter link 1\n";

/// A link that holds.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Whose question it is.
    pub(crate) principal: Principal,
    /// The question, as the query of an address.
    pub(crate) query: String,
    /// It is refused from then on.
    pub(crate) expires_at: Timestamp,
}

/// The text of a link, taken apart.
#[derive(Debug)]
pub(super) struct LinkText<'a> {
    /// The public part of the token.
    pub(super) id: &'a str,
    pub(super) expires_at: Timestamp,
    pub(super) query: String,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> LinkText<'a> {
    /// Takes a link apart; `None` for what is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let mut parts = signed.splitn(3, '.');
        let (id, until, query) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            id,
            expires_at: Timestamp::from_seconds_clamped(until.parse().ok()?),
            query: String::from_utf8(URL_SAFE_NO_PAD.decode(query).ok()?).ok()?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether it was signed with this key. It takes as long where it was not.
    pub(super) fn is_signed_with(&self, key: &SecretHash) -> bool {
        key.has_signed(&[PURPOSE, self.signed], &self.signature)
    }
}

/// A link, signed.
pub(super) fn write(id: &str, key: &SecretHash, query: &str, expires_at: Timestamp) -> String {
    let signed = format!("{id}.{}.{}", expires_at.as_seconds(), URL_SAFE_NO_PAD.encode(query));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(&[PURPOSE, &signed]));
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789ab";

    fn key(byte: u8) -> SecretHash {
        SecretHash::try_from(format!("{byte:02x}").repeat(32)).unwrap()
    }

    proptest! {
        #[test]
        fn a_link_says_what_was_put_into_it(query in ".{0,200}", until in 0_i64..4_000_000_000, byte in 0_u8..) {
            let expires_at = Timestamp::from_seconds_clamped(until);
            let text = write(ID, &key(byte), &query, expires_at);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            let link = LinkText::parse(&text).unwrap();
            prop_assert_eq!((link.id, &link.query, link.expires_at), (ID, &query, expires_at));
            prop_assert!(link.is_signed_with(&key(byte)));
            prop_assert!(!link.is_signed_with(&key(byte.wrapping_add(1))));
        }

        #[test]
        fn a_link_with_any_letter_changed_is_signed_by_nobody(at in 0_usize..140, letter in "[A-Za-z0-9._-]") {
            let text = write(ID, &key(7), "from=-24h&customer=acme", Timestamp::from_seconds_clamped(1_800_000_000));
            let at = at % text.len();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &letter);
            let is_signed = LinkText::parse(&changed).is_some_and(|link| link.is_signed_with(&key(7)));
            prop_assert_eq!(is_signed, changed == text);
        }

        #[test]
        fn anything_is_a_link_or_is_not(text in ".{0,200}") {
            let _ = LinkText::parse(&text);
        }
    }

    #[test]
    fn parts_of_links_do_not_make_another() {
        let until = Timestamp::from_seconds_clamped(1_800_000_000);
        let (one, other) = (write(ID, &key(7), "flag=a", until), write(ID, &key(7), "flag=b", until));
        let (signed, _) = one.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        for text in
            [format!("{signed}.{signature}"), format!("{signed}."), signed.to_owned(), format!("{one}.")]
        {
            assert!(!LinkText::parse(&text).is_some_and(|link| link.is_signed_with(&key(7))), "{text}");
        }
    }
}
