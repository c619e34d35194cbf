//! What values are to `JsonLogic`: truth, equality, order and text, as `JavaScript` has them.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Number, Value};

/// Whether it counts as true: not null, false, 0, an empty text or an empty list.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(_) => true,
    }
}

/// `===`: of one type and equal. Numbers are equal however they are written.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => equal(a.as_f64(), b.as_f64()),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (a, b) => a == b,
    }
}

/// `==`: the same, or the same number.
pub(super) fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_) | Value::Bool(_), Value::String(_) | Value::Bool(_) | Value::Number(_))
        | (Value::String(_), Value::Number(_) | Value::Bool(_)) => equal(to_number(a), to_number(b)),
        (a, b) => is_same(a, b),
    }
}

#[expect(
    clippy::float_cmp,
    reason = "what is written the same is the same; nothing was computed to come near"
)]
fn equal(a: Option<f64>, b: Option<f64>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a == b)
}

/// Texts by their letters, everything else by its number; `None` where it has none.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => to_number(a)?.partial_cmp(&to_number(b)?),
    }
}

/// As a number, if it is one in any way.
pub(super) fn to_number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(0.0),
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => Some(0.0),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number as JSON has it: whole ones without a point. What is no number is null.
pub(super) fn from_number(number: f64) -> Value {
    /// Beyond this, not every whole number has an f64.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// As `cat` has it; a list is its parts with commas between.
pub(super) fn to_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => {
            let whole = number.as_f64().map(from_number);
            Cow::Owned(whole.map_or_else(|| number.to_string(), |number| number.to_string()))
        }
        Value::Array(list) => Cow::Owned(list.iter().map(to_text).collect::<Vec<_>>().join(",")),
        Value::Bool(_) | Value::Object(_) => Cow::Owned(value.to_string()),
    }
}

/// How much it costs to copy.
pub(super) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / 64,
        Value::Array(list) => 1 + list.iter().map(weight).sum::<usize>(),
        Value::Object(object) => 1 + object.values().map(|value| 1 + weight(value)).sum::<usize>(),
        _ => 1,
    }
}
