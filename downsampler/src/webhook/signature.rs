//! Signatures as the Standard Webhooks specification has them: the HMAC-SHA256 of what is sent.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// What a receiver and we know, and nobody else. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What stands before it in text.
    const PREFIX: &str = "whsec_";
    /// Bytes at least, and at most.
    const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

    /// Reads `whsec_` and 24 to 64 bytes in base64; else a sentence that says so.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let bytes = text.strip_prefix(Self::PREFIX).and_then(|text| STANDARD.decode(text).ok());
        bytes.filter(|bytes| Self::BYTES.contains(&bytes.len())).map(Self).ok_or(
            "it must be whsec_ and 24 to 64 random bytes in base64, as \
             `echo whsec_$(head -c 32 /dev/urandom | base64)` makes one",
        )
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> Result<String, &'static str> {
        // It takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| "the secret is no key")?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_the_specification_signs() {
        // The example of the specification's own libraries.
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "set");
    }

    #[test]
    fn a_secret_that_is_too_short_or_no_secret_is_refused() {
        for wrong in [
            "",
            "whsec_",
            "whsec_aHVzaA==",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not base64 at all, no",
        ] {
            assert!(Secret::read(wrong).unwrap_err().contains("whsec_"), "{wrong}");
        }
    }
}
