//! Whom a decision is about.

use flagmeter_model::Timestamp;
use serde_json::{Map, Value, json};

/// An evaluation context: the targeting key and further attributes.
#[derive(Debug, Clone, Default)]
pub struct Context {
    targeting_key: Option<String>,
    attributes: Map<String, Value>,
}

impl Context {
    /// Of a customer: its id is the targeting key, and the attribute `customer`.
    pub fn of_customer(customer: &str) -> Self {
        Self { targeting_key: Some(customer.to_owned()), attributes: Map::new() }.with("customer", customer)
    }

    /// Of a targeting key that is no customer, such as a process.
    pub fn of_key(key: &str) -> Self {
        Self { targeting_key: Some(key.to_owned()), attributes: Map::new() }
    }

    /// With one more attribute; the last of a name holds.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// What rules see: the attributes, `targetingKey`, and `$flagd` with the flag's key and the time.
    pub(crate) fn data(&self, flag: &str, now: Timestamp) -> Value {
        let mut data = self.attributes.clone();
        if let Some(key) = &self.targeting_key {
            data.insert("targetingKey".to_owned(), Value::from(key.as_str()));
        }
        data.insert("$flagd".to_owned(), json!({ "flagKey": flag, "timestamp": now.as_seconds() }));
        Value::Object(data)
    }
}
