//! Counts as strangers write them.

use flagmeter_model::Limits;

use super::Rejection;

/// Reads a count from the text of a JSON value, whatever that value is.
///
/// A whole number in another spelling (`12.0`, `1e3`) is a count: some languages have no other.
pub(super) fn count_of(text: &str) -> Result<u64, Rejection> {
    let bytes = text.as_bytes();
    if let Some(count) = small(bytes) {
        return if count <= Limits::ENTRY_COUNT_MAX { Ok(count) } else { Err(Rejection::CountTooLarge) };
    }
    match bytes {
        [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..] => {}
        _ => return Err(Rejection::NotANumber),
    }
    let Ok(value) = text.parse::<f64>() else { return Err(Rejection::NotANumber) };
    if value < 0.0 {
        Err(Rejection::NegativeCount)
    } else if value > f64::from(u32::try_from(Limits::ENTRY_COUNT_MAX).unwrap_or(u32::MAX)) {
        Err(Rejection::CountTooLarge)
    } else if value.fract() != 0.0 {
        Err(Rejection::FractionalCount)
    } else {
        // Rare enough to go through its digits; a cast would have to be argued for.
        format!("{value:.0}").trim_start_matches('-').parse().map_err(|_| Rejection::NotANumber)
    }
}

/// The common case: up to 18 digits.
fn small(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 18 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_number_gets_its_answer() {
        let cases = [
            ("0", Ok(0)),
            ("12", Ok(12)),
            ("-0", Ok(0)),
            ("12.0", Ok(12)),
            ("1e3", Ok(1_000)),
            ("1000000000", Ok(1_000_000_000)),
            ("1000000001", Err(Rejection::CountTooLarge)),
            ("18446744073709551616", Err(Rejection::CountTooLarge)),
            ("999999999999999999999999999999999999999", Err(Rejection::CountTooLarge)),
            ("1e400", Err(Rejection::CountTooLarge)),
            ("-1", Err(Rejection::NegativeCount)),
            ("-1e400", Err(Rejection::NegativeCount)),
            ("-0.5", Err(Rejection::NegativeCount)),
            ("1.5", Err(Rejection::FractionalCount)),
            ("1e-3", Err(Rejection::FractionalCount)),
            ("true", Err(Rejection::NotANumber)),
            ("null", Err(Rejection::NotANumber)),
            ("\"12\"", Err(Rejection::NotANumber)),
            ("[1]", Err(Rejection::NotANumber)),
            ("{}", Err(Rejection::NotANumber)),
            ("", Err(Rejection::NotANumber)),
        ];
        for (text, count) in cases {
            assert_eq!(count_of(text), count, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_taken_exactly(count in 0..=Limits::ENTRY_COUNT_MAX) {
            prop_assert_eq!(count_of(&count.to_string()), Ok(count));
            prop_assert_eq!(count_of(&format!("{count}.0")), Ok(count));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = count_of(&text);
        }
    }
}
