//! `sem_ver`: versions by semver.org, where the minor and the patch may be left out, as flagd reads them.

use std::cmp::Ordering;

use serde_json::Value;

use super::value::to_text;

/// What `sem_ver` comes to; `None` where it is asked what it cannot say.
pub(super) fn compare(operands: &[Value]) -> Option<bool> {
    let [actual, Value::String(operator), target] = operands else { return None };
    let (actual, target) = (to_text(actual), to_text(target));
    let (actual, target) = (Version::read(&actual)?, Version::read(&target)?);
    let order = actual.order(&target);
    Some(match operator.as_str() {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "~" => actual.numbers[..2] == target.numbers[..2],
        "^" => actual.numbers[0] == target.numbers[0],
        _ => return None,
    })
}

/// Numbers stay texts: they may have any length.
struct Version<'a> {
    numbers: [&'a str; 3],
    /// Identifiers before a release; none for a release.
    before: Vec<&'a str>,
}

impl<'a> Version<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, before) = text.split_once('-').map_or((text, None), |(core, before)| (core, Some(before)));
        let numbers: Vec<&str> = core.split('.').collect();
        // Whatever comes behind the numbers needs all three of them.
        if numbers.len() > 3 || (numbers.len() < 3 && (before.is_some() || build.is_some())) {
            return None;
        }
        if !numbers.iter().all(|number| is_number(number) && !has_leading_zero(number)) {
            return None;
        }
        let at = |place: usize| numbers.get(place).copied().unwrap_or("0");
        let before: Vec<&str> = before.map_or_else(Vec::new, |before| before.split('.').collect());
        let is_good = |part: &str| is_identifier(part) && !(is_number(part) && has_leading_zero(part));
        let build_is_good = build.is_none_or(|build| build.split('.').all(is_identifier));
        (before.iter().all(|part| is_good(part)) && build_is_good)
            .then(|| Self { numbers: [at(0), at(1), at(2)], before })
    }

    fn order(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.iter().zip(&other.numbers).map(|(a, b)| by_size(a, b));
        let releases = || self.before.is_empty().cmp(&other.before.is_empty());
        let before = || {
            let parts =
                self.before.iter().zip(&other.before).map(|(a, b)| match (is_number(a), is_number(b)) {
                    (true, true) => by_size(a, b),
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                    (false, false) => a.cmp(b),
                });
            first(parts).then(self.before.len().cmp(&other.before.len()))
        };
        first(numbers).then_with(releases).then_with(before)
    }
}

fn first(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Numbers without leading zeros.
fn by_size(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0')
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(actual: Value, operator: &str, target: &str) -> Option<bool> {
        compare(&[actual, json!(operator), json!(target)])
    }

    #[test]
    fn versions_stand_in_the_order_that_semver_org_gives() {
        let rising = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.9.0",
            "1.10.0",
            "2",
            "99999999999999999999.0.0",
        ];
        for (at, lower) in rising.iter().enumerate() {
            assert_eq!(said(json!(lower), "=", lower), Some(true), "{lower}");
            for higher in &rising[at + 1..] {
                assert_eq!(said(json!(lower), "<", higher), Some(true), "{lower} {higher}");
                assert_eq!(said(json!(higher), ">=", lower), Some(true), "{lower} {higher}");
                assert_eq!(said(json!(higher), "!=", lower), Some(true), "{lower} {higher}");
            }
        }
    }

    #[test]
    fn short_forms_prefixes_numbers_and_builds_are_read_as_flagd_reads_them() {
        assert_eq!(said(json!("V1.0.0"), "=", "v1"), Some(true));
        assert_eq!(said(json!(1.2), ">", "1.1"), Some(true));
        assert_eq!(said(json!(1.0), "^", "1"), Some(true));
        assert_eq!(said(json!("1.0.0+other"), "=", "1.0.0+build"), Some(true));
        assert_eq!(said(json!("3.1.0"), "~", "3.0.0"), Some(false));
        assert_eq!(said(json!("3.1.0"), "^", "3.0.0"), Some(true));
    }

    #[test]
    fn what_is_no_version_or_no_comparison_says_nothing() {
        for wrong in
            ["", "1.", "1.2.3.4", "01.0.0", "1.0.0-", "1.0.0-01", "1.0-a", "1.0+b", "vv1", "1.0.0-ä", "x"]
        {
            assert_eq!(said(json!(wrong), "=", "1.0.0"), None, "{wrong}");
        }
        assert_eq!(said(json!(null), "=", "1.0.0"), None);
        assert_eq!(said(json!("1.0.0"), "===", "1.0.0"), None);
        assert_eq!(compare(&[json!("1.0.0"), json!("=")]), None);
    }
}
