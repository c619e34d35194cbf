//! The registry of a first start.

use std::fmt::Write as _;

use rand::RngCore as _;

/// A registry with one customer, one project and one environment, for someone who has none yet.
#[derive(Debug)]
pub(crate) struct Starter {
    /// The environment's key.
    pub(crate) key: String,
}

impl Starter {
    /// With a key that nobody can guess.
    pub(crate) fn new() -> Self {
        Self { key: secret("fm_env_") }
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        format!(
            "# Who may send: customers, their projects, their environments and the keys of these.\n\
             # A change is taken within a second; a mistake is refused, and the old registry goes on.\n\
             # `flagmeter registry check registry.toml` says what is wrong with it.\n\
             \n\
             [[customer]]\n\
             id = \"acme\"\n\
             name = \"Acme Inc\"\n\
             time_zone = \"UTC\"\n\
             \n\
             [[customer.project]]\n\
             id = \"web\"\n\
             # Where flags are listed, names beyond them are shown as unknown; owner and remove_by are optional.\n\
             # flags = [\"dark-mode\", {{ id = \"checkout-v2\", owner = \"payments\", remove_by = \"2026-12-31\" }}]\n\
             \n\
             [[customer.project.environment]]\n\
             id = \"production\"\n\
             keys = [\"{}\"]\n\
             \n\
             # What is included in a month, and at how many percent of it to be told: docs/billing.md\n\
             # [customer.plan]\n\
             # evaluations = 10_000_000\n\
             # thresholds = [50, 80, 100]\n",
            self.key
        )
    }
}

/// 128 random bits in hexadecimal, behind a prefix that tells what they open.
pub(crate) fn secret(prefix: &str) -> String {
    let mut bits = [0; 16];
    rand::rng().fill_bytes(&mut bits);
    bits.iter().fold(prefix.to_owned(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use flagmeter_model::Registry;

    use super::*;

    #[test]
    fn the_starter_registry_is_one_that_is_taken_and_knows_its_key() {
        let starter = Starter::new();
        let registry = Registry::parse(&starter.text()).unwrap();
        let environment = registry.environment_of(&starter.key).unwrap();
        assert_eq!(environment.to_string(), "acme/web/production");
        assert_ne!(Starter::new().key, starter.key);
    }
}
