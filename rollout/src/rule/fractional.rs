//! `fractional`: a share of all keys to each variant, always the same keys.
//!
//! The hash of the bucketing value is spread over the sum of the weights: `(hash × sum) >> 32` names the place, as in
//! flagd since it has weights of full precision. A variant that stands first and grows while the sum stays takes
//! further keys in and gives none back.

use serde_json::Value;

use crate::murmur;

/// The most that weights may sum up to, in flagd and here.
const SUM_MAX: i64 = i32::MAX as i64;

/// Which variant `operands` assign to the data; `None` where they assign none.
pub(super) fn assign(operands: Vec<Value>, data: &Value) -> Option<Value> {
    let mut shares = operands.into_iter().peekable();
    let bucket_by = match shares.peek() {
        Some(Value::String(text)) => {
            let text = text.clone();
            shares.next();
            text
        }
        first => {
            // A bucketing value that is not there: the same as none.
            if matches!(first, Some(Value::Null)) {
                shares.next();
            }
            let key = data.get("targetingKey")?.as_str().filter(|key| !key.is_empty())?;
            let flag = data.pointer("/$flagd/flagKey").and_then(Value::as_str).unwrap_or_default();
            format!("{flag}{key}")
        }
    };
    let shares: Vec<(Value, i64)> = shares.map(share).collect::<Option<_>>()?;
    // Each is at most 2^31, and there are far fewer than 2^31 of them.
    let sum: i64 = shares.iter().map(|(_, weight)| weight).sum();
    if !(1..=SUM_MAX).contains(&sum) {
        return None;
    }
    let place = (i64::from(murmur::hash(bucket_by.as_bytes())) * sum) >> 32;
    let mut end = 0;
    shares.into_iter().find_map(|(variant, weight)| {
        end += weight;
        (place < end).then_some(variant)
    })
}

/// A variant and its weight: 1 where none is given, 0 where it is less than that.
fn share(operand: Value) -> Option<(Value, i64)> {
    let Value::Array(parts) = operand else { return None };
    let mut parts = parts.into_iter();
    let variant = parts.next().filter(|variant| !matches!(variant, Value::Array(_) | Value::Object(_)))?;
    let weight = match parts.next() {
        None | Some(Value::Null) => 1,
        Some(weight) => whole(&weight)?.max(0),
    };
    (weight <= SUM_MAX).then_some((variant, weight))
}

fn whole(value: &Value) -> Option<i64> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    // Larger ones are refused, whatever they are.
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and the cast keeps to the ends of i64")]
    Some(number as i64)
}
