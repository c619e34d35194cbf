//! Which properties of a client are for nobody's eyes.

/// What the names of secret properties have in them.
const SAYS: [&str; 5] = ["password", "passphrase", "secret", ".pem", "oauthbearer.config"];

/// Whether the value of a property of librdkafka, such as `sasl.password`, is for nobody's eyes. One that is not secret,
/// such as a certificate, may be taken for one.
pub fn is_secret(property: &str) -> bool {
    SAYS.iter().any(|says| property.contains(says))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_and_others_are_shown() {
        let secret = [
            "sasl.password",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
        ];
        assert_eq!(secret.into_iter().find(|property| !is_secret(property)), None);
        let shown = ["sasl.username", "ssl.key.location", "sasl.oauthbearer.assertion.private.key.file"];
        assert_eq!(shown.into_iter().find(|property| is_secret(property)), None);
    }
}
