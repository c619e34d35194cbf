//! Targeting rules: `JsonLogic` with flagd's operations, read once and then run.

mod fractional;
mod operator;
mod run;
mod value;
mod version;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub(crate) use self::run::run;
use self::{operator::Operator, value::weight};

/// How deep operations, lists and objects may stand in each other.
const DEPTH_MAX: usize = 32;
/// How many of them a rule may have, shared rules included.
const NODES_MAX: usize = 10_000;

/// How much all rules of a file may still have together, shared rules counted wherever they are named: a small file
/// could name a large one thousands of times.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    /// Of a file.
    pub(crate) const NODES_MAX: usize = 1 << 20;

    pub(crate) const fn of_file() -> Self {
        Self(Self::NODES_MAX)
    }

    fn spend(&mut self, nodes: usize) -> Result<(), String> {
        self.0 = self.0.checked_sub(nodes).ok_or_else(|| {
            let most = Self::NODES_MAX;
            format!("the rules of the file have more than {most} parts together: make them smaller")
        })?;
        Ok(())
    }
}

/// A rule, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// A value as it stands.
    Plain(Value),
    /// Each its own.
    List(Vec<Rule>),
    /// An operation on what its operands come to.
    Call(Operator, Vec<Rule>),
}

impl Rule {
    /// Reads a rule. `shared` are the rules of `$evaluators`, which `$ref` names.
    pub(crate) fn read(
        json: &Value,
        shared: &Map<String, Value>,
        budget: &mut Budget,
    ) -> Result<Self, String> {
        Reading { shared, nodes: 0, budget }.rule(json, DEPTH_MAX, true)
    }

    /// The variants that it names in so many words, wherever it comes to one. Not those that it computes.
    pub(crate) fn named(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.name(&mut names);
        names
    }

    fn name(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Plain(value) => names.extend(variant_of(value)),
            Self::Call(Operator::If, operands) => {
                let (pairs, rest) = operands.as_chunks::<2>();
                for value in pairs.iter().map(|[_, value]| value).chain(rest) {
                    value.name(names);
                }
            }
            Self::Call(Operator::Fractional, operands) => {
                for operand in operands {
                    match operand {
                        Self::List(share) => {
                            if let Some(variant) = share.first() {
                                variant.name(names);
                            }
                        }
                        Self::Plain(Value::Array(share)) => names.extend(share.first().and_then(variant_of)),
                        // What shares go by.
                        Self::Plain(_) | Self::Call(..) => {}
                    }
                }
            }
            Self::List(_) | Self::Call(..) => {}
        }
    }
}

/// Which variant a value names: a text that of its letters, everything else that of its JSON, null none.
pub(crate) fn variant_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(name) => Some(name.clone()),
        other => Some(other.to_string()),
    }
}

/// A list; as it stands where no part of it is computed.
fn list(parts: Vec<Rule>) -> Rule {
    if !parts.iter().all(|part| matches!(part, Rule::Plain(_))) {
        return Rule::List(parts);
    }
    let plain = |part| if let Rule::Plain(value) = part { Some(value) } else { None };
    Rule::Plain(Value::Array(parts.into_iter().filter_map(plain).collect()))
}

struct Reading<'a> {
    shared: &'a Map<String, Value>,
    nodes: usize,
    budget: &'a mut Budget,
}

impl Reading<'_> {
    /// `open`: `$ref` may stand here. In shared rules it may not, as in flagd's.
    fn rule(&mut self, json: &Value, depth: usize, open: bool) -> Result<Rule, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("its rule is nested deeper than {DEPTH_MAX}: make it flatter"));
        };
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("its rule has more than {NODES_MAX} parts: make it smaller"));
        }
        match json {
            Value::Array(parts) => {
                self.budget.spend(1)?;
                self.each(parts, depth, open).map(list)
            }
            Value::Object(object) => {
                self.budget.spend(1)?;
                self.object(object, depth, open)
            }
            plain => {
                self.budget.spend(weight(plain))?;
                Ok(Rule::Plain(plain.clone()))
            }
        }
    }

    fn each(&mut self, parts: &[Value], depth: usize, open: bool) -> Result<Vec<Rule>, String> {
        parts.iter().map(|part| self.rule(part, depth, open)).collect()
    }

    /// An object with one name is an operation.
    fn object(&mut self, object: &Map<String, Value>, depth: usize, open: bool) -> Result<Rule, String> {
        let mut names = object.iter();
        let (Some((name, operand)), None) = (names.next(), names.next()) else {
            if object.is_empty() {
                return Ok(Rule::Plain(Value::Object(Map::new())));
            }
            return Err("its rule has an object with several names: an operation has one".to_owned());
        };
        if name == "$ref" {
            return self.shared(operand, depth, open);
        }
        let operator =
            Operator::named(name).ok_or_else(|| format!("its rule has an unknown operation {name:?}"))?;
        let operands = match operand {
            Value::Array(operands) => self.each(operands, depth, open)?,
            one => vec![self.rule(one, depth, open)?],
        };
        Ok(Rule::Call(operator, operands))
    }

    fn shared(&mut self, name: &Value, depth: usize, open: bool) -> Result<Rule, String> {
        let rule = name.as_str().and_then(|name| self.shared.get(name));
        match rule {
            Some(_) if !open => Err(format!("the shared rule {name} stands in another: write it out there")),
            Some(rule) => self.rule(rule, depth, false),
            None => Err(format!("its rule names {name}, which $evaluators does not have")),
        }
    }
}
