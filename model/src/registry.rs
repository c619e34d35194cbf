//! Who may send: customers, their projects, their environments, and the keys of these.
//!
//! ```toml
//! [[customer]]
//! id = "acme"
//! name = "Acme Inc"              # optional
//! time_zone = "Europe/Berlin"    # optional, IANA
//!
//! [customer.plan]                # optional, and so is all of it: see `registry/plan.rs`
//! evaluations = 10_000_000
//!
//! [[customer.project]]
//! id = "web"
//! flags = ["checkout-v2"]        # optional: then names beyond it are told as unknown; owners: see `registry/flag.rs`
//!
//! [[customer.project.environment]]
//! id = "production"
//! keys = ["ser.abc"]
//! ```

mod flag;
mod plan;

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Range,
    sync::Arc,
};

use foldhash::quality::RandomState;
use serde::Deserialize;
use toml::Spanned;

use self::{flag::FlagText, plan::PlanText};
pub use self::{
    flag::{ListedFlag, ListedFlags},
    plan::{Plan, Threshold},
};
use crate::{Environment, Limits, Name};

/// A registry that cannot be taken, with the line to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {sentence}")]
pub struct RegistryError {
    /// Line of the text, from 1.
    pub line: usize,
    /// What is wrong there and what to do, in one sentence.
    pub sentence: String,
}

impl RegistryError {
    /// Whether the same text may be taken later: never, it has to be mended.
    pub const fn is_retryable(&self) -> bool {
        false
    }
}

/// A key with which an SDK sends. Not shown in full by `Debug`: logs are read by more people than may send.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EnvironmentKey(Arc<str>);

impl EnvironmentKey {
    /// Longest key, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for EnvironmentKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EnvironmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.get(..4).unwrap_or_default())
    }
}

/// A customer of the registry.
#[derive(Debug, Clone)]
pub struct Customer {
    /// What it is called in series, tokens and questions.
    pub id: Name,
    /// What people call it.
    pub name: Option<Name>,
    /// IANA name of the zone in which it sees days and months. Not checked here: the model knows no zones.
    pub time_zone: Option<String>,
    /// Line on which the time zone stands, or else the id; from 1.
    pub line: usize,
    /// What is included, if anything is agreed.
    pub plan: Option<Plan>,
    /// Its projects, as written.
    pub projects: Vec<Project>,
}

/// A project of a customer.
#[derive(Debug, Clone)]
pub struct Project {
    /// Unique within the customer.
    pub id: Name,
    /// The flags that are known to exist; `None` if nobody says.
    pub flags: Option<ListedFlags>,
    /// Its environments, as written.
    pub environments: Vec<RegisteredEnvironment>,
}

/// An environment of a project, with its keys.
#[derive(Debug, Clone)]
pub struct RegisteredEnvironment {
    /// Its full name.
    pub environment: Arc<Environment>,
    /// The keys that send to it; none while all are revoked.
    pub keys: Vec<EnvironmentKey>,
}

/// The registry: immutable; a change is a new one.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    customers: Vec<Customer>,
    environments: Vec<Arc<Environment>>,
    by_key: HashMap<EnvironmentKey, Arc<Environment>, RandomState>,
    /// Where a project of a customer stands.
    places: HashMap<(Name, Name), (usize, usize), RandomState>,
}

impl Registry {
    /// Largest text that is read, in bytes.
    pub const BYTES_MAX: usize = 64 * 1024 * 1024;

    /// Reads a registry. It is taken whole or not at all.
    ///
    /// An empty one is refused: it would turn every SDK away, and is nearly always a file caught half-written.
    pub fn parse(toml_text: &str) -> Result<Self, RegistryError> {
        let lines = Lines::new(toml_text);
        if toml_text.len() > Self::BYTES_MAX {
            return lines.refuse(
                0..0,
                format!("the registry is larger than {} bytes; shorten its flag lists", Self::BYTES_MAX),
            );
        }
        let document: Document = toml::from_str(toml_text).map_err(|error| RegistryError {
            line: lines.of(&error.span().unwrap_or(0..0)),
            sentence: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        if document.customer.is_empty() {
            return lines.refuse(0..0, "there is no customer; add a [[customer]] with an id".into());
        }
        Reading::new(lines).document(document)
    }

    /// Whose key this is; `None` if nobody's.
    pub fn environment_of(&self, key: &str) -> Option<&Arc<Environment>> {
        self.by_key.get(key)
    }

    /// The customers, as written.
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// The customer with this id.
    pub fn customer(&self, id: &str) -> Option<&Customer> {
        self.customers.iter().find(|customer| customer.id.as_str() == id)
    }

    /// All environments, as written.
    pub fn environments(&self) -> &[Arc<Environment>] {
        &self.environments
    }

    /// A project, with its customer.
    pub fn project(&self, customer: &Name, project: &Name) -> Option<(&Customer, &Project)> {
        let &(customer, project) = self.places.get(&(customer.clone(), project.clone()))?;
        let customer = self.customers.get(customer)?;
        Some((customer, customer.projects.get(project)?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    customer: Vec<CustomerText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerText {
    id: Spanned<String>,
    name: Option<Spanned<String>>,
    time_zone: Option<Spanned<String>>,
    plan: Option<Spanned<PlanText>>,
    #[serde(default)]
    project: Vec<ProjectText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectText {
    id: Spanned<String>,
    flags: Option<Vec<Spanned<FlagText>>>,
    #[serde(default)]
    environment: Vec<EnvironmentText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentText {
    id: Spanned<String>,
    #[serde(default)]
    keys: Vec<Spanned<String>>,
}

/// Where the lines start, so that a span finds its line.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1).collect())
    }

    fn of(&self, span: &Range<usize>) -> usize {
        1 + self.0.partition_point(|&start| start <= span.start)
    }

    fn refuse<T>(&self, span: Range<usize>, sentence: String) -> Result<T, RegistryError> {
        Err(RegistryError { line: self.of(&span), sentence })
    }

    fn name(&self, what: &str, text: &Spanned<String>) -> Result<Name, RegistryError> {
        Name::new(text.get_ref())
            .or_else(|error| self.refuse(text.span(), format!("the {what} cannot be taken: {error}")))
    }
}

/// What has been read so far, with the lines on which it stands.
struct Reading {
    lines: Lines,
    registry: Registry,
    customer_lines: BTreeMap<Name, usize>,
    key_lines: HashMap<Arc<str>, usize, RandomState>,
}

impl Reading {
    fn new(lines: Lines) -> Self {
        Self {
            lines,
            registry: Registry::default(),
            customer_lines: BTreeMap::new(),
            key_lines: HashMap::default(),
        }
    }

    fn document(mut self, document: Document) -> Result<Registry, RegistryError> {
        for text in document.customer {
            let customer = self.customer(text)?;
            self.registry.customers.push(customer);
        }
        Ok(self.registry)
    }

    fn customer(&mut self, text: CustomerText) -> Result<Customer, RegistryError> {
        let id = self.id("customer", &text.id)?;
        let line = self.lines.of(&text.id.span());
        if let Some(first) = self.customer_lines.insert(id.clone(), line) {
            return self.lines.refuse(
                text.id.span(),
                format!("the customer {id:?} stands on line {first} already; give this one another id"),
            );
        }
        let name = text.name.map(|name| self.lines.name("name of a customer", &name)).transpose()?;
        let mut customer = Customer {
            id,
            name,
            line: text.time_zone.as_ref().map_or(line, |zone| self.lines.of(&zone.span())),
            time_zone: text.time_zone.map(Spanned::into_inner),
            plan: text.plan.map(|text| plan::read(&self.lines, text)).transpose()?,
            projects: Vec::with_capacity(text.project.len()),
        };
        let mut seen = BTreeMap::new();
        for text in text.project {
            let id = self.id("project", &text.id)?;
            let line = self.lines.of(&text.id.span());
            if let Some(first) = seen.insert(id.clone(), line) {
                return self.lines.refuse(
                    text.id.span(),
                    format!(
                        "the project {id:?} of {:?} stands on line {first} already; give this one another id",
                        customer.id
                    ),
                );
            }
            let place = (self.registry.customers.len(), customer.projects.len());
            let project = self.project(&customer.id, id, text, place)?;
            customer.projects.push(project);
        }
        Ok(customer)
    }

    fn project(
        &mut self,
        customer: &Name,
        id: Name,
        text: ProjectText,
        place: (usize, usize),
    ) -> Result<Project, RegistryError> {
        let flags = text.flags.map(|flags| flag::read(&self.lines, flags)).transpose()?;
        self.registry.places.insert((customer.clone(), id.clone()), place);
        let mut project = Project { id, flags, environments: Vec::with_capacity(text.environment.len()) };
        let mut seen = BTreeMap::new();
        for text in text.environment {
            let id = self.id("environment", &text.id)?;
            let line = self.lines.of(&text.id.span());
            if let Some(first) = seen.insert(id.clone(), line) {
                return self.lines.refuse(
                    text.id.span(),
                    format!(
                        "the environment {id:?} of {customer}/{} stands on line {first} already; \
                         give this one another id",
                        project.id
                    ),
                );
            }
            let environment = Arc::new(Environment {
                customer: customer.clone(),
                project: project.id.clone(),
                environment: id,
            });
            self.registry.environments.push(environment.clone());
            let keys =
                text.keys.iter().map(|key| self.key(key, &environment)).collect::<Result<Vec<_>, _>>()?;
            project.environments.push(RegisteredEnvironment { environment, keys });
        }
        Ok(project)
    }

    fn id(&self, what: &str, text: &Spanned<String>) -> Result<Name, RegistryError> {
        let id = self.lines.name(&format!("id of {what}"), text)?;
        if id.as_str() == Limits::OTHER {
            return self.lines.refuse(
                text.span(),
                format!(
                    "{:?} stands for what is folded together; give this {what} another id",
                    Limits::OTHER
                ),
            );
        }
        Ok(id)
    }

    /// A key travels in a header and may be told in a sentence only by its line.
    fn key(
        &mut self,
        text: &Spanned<String>,
        environment: &Arc<Environment>,
    ) -> Result<EnvironmentKey, RegistryError> {
        let key = text.get_ref();
        if key.is_empty() || key.len() > EnvironmentKey::BYTES_MAX {
            return self.lines.refuse(
                text.span(),
                format!("a key has 1 to {} bytes, this one has {}", EnvironmentKey::BYTES_MAX, key.len()),
            );
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return self.lines.refuse(
                text.span(),
                "a key travels in a header: use ASCII letters, digits and signs, without spaces".into(),
            );
        }
        let key: Arc<str> = key.as_str().into();
        if let Some(first) = self.key_lines.insert(key.clone(), self.lines.of(&text.span())) {
            let other = self.registry.by_key.get(&*key).map(ToString::to_string).unwrap_or_default();
            return self.lines.refuse(
                text.span(),
                format!(
                    "this key belongs to {other} already (line {first}); a key names one environment, \
                     make another one"
                ),
            );
        }
        let key = EnvironmentKey(key);
        self.registry.by_key.insert(key.clone(), environment.clone());
        Ok(key)
    }
}

#[cfg(test)]
mod tests;
