//! Targeting rules: `JsonLogic` with flagd's operations, read once and then run.

mod fractional;
mod operator;
mod run;
mod value;
mod version;

use serde_json::{Map, Value};

use self::operator::Operator;
pub(crate) use self::run::run;

/// How deep operations, lists and objects may stand in each other.
const DEPTH_MAX: usize = 32;
/// How many of them a rule may have, shared rules included.
const NODES_MAX: usize = 10_000;

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
    pub(crate) fn read(json: &Value, shared: &Map<String, Value>) -> Result<Self, String> {
        Reading { shared, nodes: 0 }.rule(json, DEPTH_MAX, true)
    }
}

struct Reading<'a> {
    shared: &'a Map<String, Value>,
    nodes: usize,
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
            Value::Array(parts) => self.each(parts, depth, open).map(Rule::List),
            Value::Object(object) => self.object(object, depth, open),
            plain => Ok(Rule::Plain(plain.clone())),
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
