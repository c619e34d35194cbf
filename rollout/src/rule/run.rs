//! Running a rule over data, within bounds.

use serde_json::{Map, Value};

use super::{
    Operator, Rule, fractional,
    value::{from_number, is_equal, is_same, is_true, order, to_number, to_text, weight},
    version,
};

/// How many steps a rule may take. Copying a value takes as many as it has parts.
const STEPS_MAX: usize = 100_000;
/// The longest text that a rule may make, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What a rule came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) value: Value,
    /// Whether a share was assigned on the way.
    pub(crate) split: bool,
}

/// It takes more than is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

type Result<T, E = TooMuch> = std::result::Result<T, E>;

/// Runs `rule` over `data`.
pub(crate) fn run(rule: &Rule, data: &Value) -> Result<Outcome> {
    let mut running = Running { root: data, steps_left: STEPS_MAX, split: false };
    let value = running.value(rule, data)?;
    Ok(Outcome { value, split: running.split })
}

struct Running<'a> {
    /// What all of the rule is about, whatever a part of it sees.
    root: &'a Value,
    steps_left: usize,
    split: bool,
}

impl Running<'_> {
    fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(TooMuch)?;
        Ok(())
    }

    fn copy(&mut self, value: &Value) -> Result<Value> {
        self.spend(weight(value))?;
        Ok(value.clone())
    }

    fn value(&mut self, rule: &Rule, data: &Value) -> Result<Value> {
        self.spend(1)?;
        match rule {
            Rule::Plain(value) => self.copy(value),
            Rule::List(rules) => self.values(rules, data).map(Value::Array),
            Rule::Call(operator, operands) => self.call(*operator, operands, data),
        }
    }

    fn values(&mut self, rules: &[Rule], data: &Value) -> Result<Vec<Value>> {
        rules.iter().map(|rule| self.value(rule, data)).collect()
    }

    /// The operand at a place; null where there is none.
    fn operand(&mut self, operands: &[Rule], at: usize, data: &Value) -> Result<Value> {
        operands.get(at).map_or(Ok(Value::Null), |rule| self.value(rule, data))
    }

    fn call(&mut self, operator: Operator, operands: &[Rule], data: &Value) -> Result<Value> {
        match operator {
            Operator::If => self.choose(operands, data),
            Operator::And => self.until(operands, data, |value| !is_true(value)),
            Operator::Or => self.until(operands, data, is_true),
            Operator::Map | Operator::Filter | Operator::All | Operator::Some | Operator::None => {
                self.each(operator, operands, data)
            }
            Operator::Reduce => self.reduce(operands, data),
            Operator::In => self.contains(operands, data),
            Operator::Fractional => {
                let operands = self.values(operands, data)?;
                let assigned = fractional::assign(operands, self.root);
                self.split |= assigned.is_some();
                Ok(assigned.unwrap_or_default())
            }
            _ => {
                let operands = self.values(operands, data)?;
                self.plain(operator, &operands, data)
            }
        }
    }

    /// Operations that need all of their operands.
    fn plain(&mut self, operator: Operator, operands: &[Value], data: &Value) -> Result<Value> {
        let at = |place: usize| operands.get(place).unwrap_or(&Value::Null);
        Ok(match operator {
            Operator::Var => return self.var(operands, data),
            Operator::Missing => Value::Array(missing(list_in(operands), data)),
            Operator::MissingSome => missing_some(at(0), at(1), data),
            Operator::Not => Value::Bool(!is_true(at(0))),
            Operator::Truth => Value::Bool(is_true(at(0))),
            Operator::Equal => Value::Bool(is_equal(at(0), at(1))),
            Operator::NotEqual => Value::Bool(!is_equal(at(0), at(1))),
            Operator::Same => Value::Bool(is_same(at(0), at(1))),
            Operator::NotSame => Value::Bool(!is_same(at(0), at(1))),
            Operator::Less => rises(operands, |a, b| order(a, b).is_some_and(std::cmp::Ordering::is_lt)),
            Operator::LessOrEqual => {
                rises(operands, |a, b| order(a, b).is_some_and(std::cmp::Ordering::is_le))
            }
            Operator::Greater => rises(operands, |a, b| order(a, b).is_some_and(std::cmp::Ordering::is_gt)),
            Operator::GreaterOrEqual => {
                rises(operands, |a, b| order(a, b).is_some_and(std::cmp::Ordering::is_ge))
            }
            Operator::Max => calculated(operands, f64::max),
            Operator::Min => calculated(operands, f64::min),
            Operator::Add => calculated(operands, |a, b| a + b),
            Operator::Multiply => calculated(operands, |a, b| a * b),
            Operator::Subtract if operands.len() == 1 => {
                to_number(at(0)).map_or(Value::Null, |number| from_number(-number))
            }
            Operator::Subtract => calculated(operands, |a, b| a - b),
            Operator::Divide => calculated(operands, |a, b| a / b),
            Operator::Remainder => calculated(operands, |a, b| a % b),
            Operator::Cat => return self.cat(operands),
            Operator::Substr => substr(at(0), at(1), operands.get(2)),
            Operator::Merge => Value::Array(operands.iter().flat_map(as_list).cloned().collect()),
            Operator::SemVer => version::compare(operands).map_or(Value::Null, Value::Bool),
            Operator::StartsWith => texts(operands, |text, part| text.starts_with(part)),
            Operator::EndsWith => texts(operands, |text, part| text.ends_with(part)),
            // Those that do not need all of their operands were done before.
            Operator::If
            | Operator::And
            | Operator::Or
            | Operator::Map
            | Operator::Filter
            | Operator::Reduce
            | Operator::In
            | Operator::All
            | Operator::Some
            | Operator::None
            | Operator::Fractional => Value::Null,
        })
    }

    fn var(&mut self, operands: &[Value], data: &Value) -> Result<Value> {
        let place = operands.first().map(to_text).unwrap_or_default();
        match found(data, &place) {
            Some(value) => self.copy(value),
            None => operands.get(1).map_or(Ok(Value::Null), |default| self.copy(default)),
        }
    }

    fn cat(&mut self, operands: &[Value]) -> Result<Value> {
        let mut text = String::new();
        for operand in operands {
            text.push_str(&to_text(operand));
            if text.len() > TEXT_BYTES_MAX {
                return Err(TooMuch);
            }
        }
        self.spend(text.len() / 64)?;
        Ok(Value::String(text))
    }

    /// `if`: condition and value by turns, and at the end what is left.
    fn choose(&mut self, operands: &[Rule], data: &Value) -> Result<Value> {
        let (pairs, rest) = operands.as_chunks::<2>();
        for [condition, value] in pairs {
            if is_true(&self.value(condition, data)?) {
                return self.value(value, data);
            }
        }
        self.operand(rest, 0, data)
    }

    /// The first that is what is looked for, or else the last.
    fn until(&mut self, operands: &[Rule], data: &Value, found: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        for operand in operands {
            last = self.value(operand, data)?;
            if found(&last) {
                break;
            }
        }
        Ok(last)
    }

    /// A rule over each part of a list: it sees the part alone.
    fn each(&mut self, operator: Operator, operands: &[Rule], data: &Value) -> Result<Value> {
        let Value::Array(list) = self.operand(operands, 0, data)? else {
            let of_nothing = matches!(operator, Operator::Map | Operator::Filter);
            return Ok(if of_nothing {
                Value::Array(Vec::new())
            } else {
                Value::Bool(operator == Operator::None)
            });
        };
        let mut kept = Vec::new();
        let mut count = 0;
        let all = list.len();
        for part in list {
            let value = self.operand(operands, 1, &part)?;
            if operator == Operator::Map {
                kept.push(value);
            } else if is_true(&value) {
                count += 1;
                kept.push(part);
            }
        }
        Ok(match operator {
            // Of no parts, JsonLogic says, not all are so.
            Operator::All => Value::Bool(all > 0 && count == all),
            Operator::Some => Value::Bool(count > 0),
            Operator::None => Value::Bool(count == 0),
            _ => Value::Array(kept),
        })
    }

    /// `in`. A long list of customers is looked through where it is, and costs its steps all the same.
    fn contains(&mut self, operands: &[Rule], data: &Value) -> Result<Value> {
        let part = self.operand(operands, 0, data)?;
        if let Some(Rule::Plain(whole)) = operands.get(1) {
            self.spend(1 + weight(whole))?;
            return Ok(is_in(&part, whole));
        }
        let whole = self.operand(operands, 1, data)?;
        Ok(is_in(&part, &whole))
    }

    fn reduce(&mut self, operands: &[Rule], data: &Value) -> Result<Value> {
        let list = self.operand(operands, 0, data)?;
        let mut reduced = self.operand(operands, 2, data)?;
        let Value::Array(list) = list else { return Ok(reduced) };
        for part in list {
            let both = [("current".to_owned(), part), ("accumulator".to_owned(), reduced)];
            let both = Value::Object(both.into_iter().collect::<Map<_, _>>());
            reduced = self.operand(operands, 1, &both)?;
        }
        Ok(reduced)
    }
}

/// What lies at a place: names with points between. The empty place is everything.
fn found<'d>(data: &'d Value, place: &str) -> Option<&'d Value> {
    if place.is_empty() {
        return Some(data);
    }
    let step = |value: &'d Value, name: &str| match value {
        Value::Object(object) => object.get(name),
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => None,
    };
    place.split('.').try_fold(data, step).filter(|value| !value.is_null())
}

fn as_list(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    }
}

/// The operands, or the list that they are given as.
fn list_in(operands: &[Value]) -> &[Value] {
    match operands {
        [Value::Array(list)] => list,
        all => all,
    }
}

fn missing(places: &[Value], data: &Value) -> Vec<Value> {
    let is_missing = |place: &&Value| {
        found(data, &to_text(place)).is_none_or(|value| *value == Value::String(String::new()))
    };
    places.iter().filter(is_missing).cloned().collect()
}

fn missing_some(needed: &Value, places: &Value, data: &Value) -> Value {
    let places = as_list(places);
    let missing = missing(places, data);
    let there = places.len() - missing.len();
    let enough = u32::try_from(there)
        .is_ok_and(|there| to_number(needed).is_some_and(|needed| f64::from(there) >= needed));
    Value::Array(if enough { Vec::new() } else { missing })
}

/// Whether each is before the next: two of them, or three for what lies between.
fn rises(operands: &[Value], before: impl Fn(&Value, &Value) -> bool) -> Value {
    let pairs = operands.windows(2).take(2).all(|pair| before(&pair[0], &pair[1]));
    Value::Bool(operands.len() > 1 && pairs)
}

fn calculated(operands: &[Value], with: impl Fn(f64, f64) -> f64) -> Value {
    let numbers: Option<Vec<f64>> = list_in(operands).iter().map(to_number).collect();
    numbers.and_then(|numbers| numbers.into_iter().reduce(with)).map_or(Value::Null, from_number)
}

fn is_in(part: &Value, whole: &Value) -> Value {
    Value::Bool(match whole {
        Value::String(text) => part.as_str().is_some_and(|part| text.contains(part)),
        Value::Array(list) => list.iter().any(|one| is_same(one, part)),
        _ => false,
    })
}

/// Both are texts, or there is no answer.
fn texts(operands: &[Value], are: impl Fn(&str, &str) -> bool) -> Value {
    match operands {
        [Value::String(text), Value::String(part)] => Value::Bool(are(text, part)),
        _ => Value::Null,
    }
}

/// A part of a text, by letters. Negative places count from its end.
fn substr(text: &Value, from: &Value, length: Option<&Value>) -> Value {
    let letters: Vec<char> = to_text(text).chars().collect();
    let all = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "beyond the ends of the text, all places are its end"
    )]
    let whole = |value: &Value| to_number(value).unwrap_or(0.0) as i64;
    let from = match whole(from) {
        back if back < 0 => all.saturating_add(back).max(0),
        from => from.min(all),
    };
    let to = match length.map(whole) {
        None => all,
        Some(back) if back < 0 => all.saturating_add(back),
        Some(length) => from.saturating_add(length).min(all),
    };
    let taken = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
    Value::String(letters.into_iter().skip(usize::try_from(from).unwrap_or(0)).take(taken).collect())
}

#[cfg(test)]
mod tests;
