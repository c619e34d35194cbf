//! What can be asked, as the document says. What it says and this does not know is a failure, so that whoever adds to the API
//! adds here what is needed to ask for it.

use serde_json::Value;

use crate::tests::bench::Bench;

/// An operation: what can be asked of a path with a method.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) is_public: bool,
    /// Media types of its answers.
    pub(super) kinds: Vec<String>,
    has_body: bool,
}

/// A parameter of it.
pub(super) struct Parameter {
    pub(super) name: String,
    /// `query`, `path`, `header`.
    pub(super) place: String,
    pub(super) choices: Vec<String>,
    /// Whether earlier answers say what it may be.
    pub(super) is_cursor: bool,
    is_required: bool,
}

/// All of them.
pub(super) async fn operations(bench: &Bench) -> Vec<Operation> {
    let document = bench.get_as("", "/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten().map(Parameter::of);
            let content = operation["responses"]["200"]["content"].as_object();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: parameters.collect(),
                is_public: operation.get("security").is_none(),
                kinds: content.into_iter().flatten().map(|(kind, _)| kind.clone()).collect(),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    operations
}

impl Parameter {
    fn of(parameter: &Value) -> Self {
        let text = |member: &str| parameter[member].as_str().unwrap_or_default().to_owned();
        let described = text("description");
        let choices = parameter["schema"]["enum"].as_array().into_iter().flatten();
        Self {
            name: text("name"),
            place: text("in"),
            choices: choices.map(|choice| choice.as_str().unwrap().to_owned()).collect(),
            is_cursor: ["`next`", "`as_of`", "last event"].iter().any(|word| described.contains(word)),
            is_required: parameter["required"] == true,
        }
    }
}

impl Operation {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|one| one.name == parameter)
    }

    /// What has to be said for an answer, for someone who asks about this customer and has this link.
    pub(super) fn needed(&self, customer: &str, link: &str) -> Vec<(String, String)> {
        let mut pairs: Vec<(&str, &str)> = match self.path.as_str() {
            "/v1/billing/statement" => vec![("customer", customer), ("period", "2026-11"), ("draft", "true")],
            "/v1/billing/usage-to-date" | "/v1/reconcile/billing" => vec![("customer", customer)],
            _ => Vec::new(),
        };
        for parameter in self.parameters.iter().filter(|parameter| parameter.is_required) {
            let value = match parameter.name.as_str() {
                "from" => "2026-11-18T00:00:00Z",
                "to" => "2026-11-20T11:00:00Z",
                "customer" => customer,
                "link" => link,
                // It stands in the path, and is filled in there.
                "id" => continue,
                name => {
                    panic!("{}: what could {name} be? Say so in tests/isolation/document.rs.", self.name())
                }
            };
            pairs.push((&parameter.name, value));
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What is sent, for someone who asks this.
    pub(super) fn body(&self, token: &str, query: &str) -> Option<String> {
        self.has_body.then(|| match self.path.as_str() {
            "/v1/session" => serde_json::json!({"token": token}).to_string(),
            "/v1/embed" => serde_json::json!({"query": query}).to_string(),
            "/v1/operator/mutes" => {
                serde_json::json!({"customer": "acme", "for": "2h", "reason": "launch"}).to_string()
            }
            _ => panic!("{}: what is sent to it? Say so in tests/isolation/document.rs.", self.name()),
        })
    }
}
