//! Text in a picture: escaped, cut where there is no room, broken into lines. How wide it comes out is not known here,
//! because fonts are the reader's; so it is estimated, rather too wide than too narrow.

use std::fmt::Write as _;

/// What stands where a text was cut.
const ELLIPSIS: char = '…';

/// Writes text or the value of an attribute.
pub(crate) fn escape(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML cannot hold them.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
}

/// A stranger's name, so that it turns no text around it: what would change the direction of writing is taken out,
/// and a name that may be written from right to left stands in an isolate.
pub(super) fn isolated(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    let turns = |char: char| matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = name.chars().map(|char| if turns(char) { '\u{fffd}' } else { char }).collect();
    format!("\u{2068}{name}\u{2069}")
}

/// About how wide a text is, in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// The text, cut to so many pixels.
pub(super) fn cut(text: &str, width_max: f64, size: f64) -> String {
    if width(text, size) <= width_max {
        return text.to_owned();
    }
    let mut left = width_max - em(ELLIPSIS) * size;
    let mut kept = String::new();
    for char in text.chars() {
        left -= em(char) * size;
        if left < 0.0 {
            break;
        }
        kept.push(char);
    }
    let joins = |char: char| char.is_whitespace() || char == '\u{200d}';
    let mut kept = kept.trim_end_matches(joins).to_owned();
    kept.push(ELLIPSIS);
    kept
}

/// The text in lines of at most so many pixels; a word that is longer is cut.
pub(super) fn lines(text: &str, width_max: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) if width(&longer, size) <= width_max => *line = longer,
            _ => lines.push(cut(word, width_max, size)),
        }
    }
    lines
}

/// A number as it is written in full: 184,467.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number in at most three digits and a unit: 184k, 1.2M, and so on to quintillions (Qi).
pub(super) fn short(number: u128) -> String {
    const UNITS: [(u128, &str); 6] = [
        (1_000, "k"),
        (1_000_000, "M"),
        (1_000_000_000, "B"),
        (1_000_000_000_000, "T"),
        (1_000_000_000_000_000, "Qa"),
        (1_000_000_000_000_000_000, "Qi"),
    ];
    // 999.95k and more round to 1M.
    let unit = UNITS.iter().rev().find(|(unit, _)| number.saturating_mul(20) >= unit * 20 - unit / 1_000);
    let Some((unit, letter)) = unit else { return number.to_string() };
    let tenths = number.saturating_add(unit / 20) / (unit / 10);
    let mut out = (tenths / 10).to_string();
    if tenths < 1_000 && !tenths.is_multiple_of(10) {
        // Writing to a string does not fail.
        let _ = write!(out, ".{}", tenths % 10);
    }
    out.push_str(letter);
    out
}

/// About how wide a character is, in the size of its font.
const fn em(char: char) -> f64 {
    match char {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.3,
        ' ' | 'f' | 't' | 'r' | 'I' | '(' | ')' | '[' | ']' | '/' | '\\' | '-' => 0.4,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | ELLIPSIS => 0.95,
        'A'..='Z' | '&' | '~' | '+' | '=' | '<' | '>' | '#' => 0.74,
        '\0'..='\u{7f}' => 0.61,
        // They stand on the letter before.
        '\u{300}'..='\u{36f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}' => 0.0,
        // One letter for a whole sentence.
        '\u{fdf0}'..='\u{fdff}' => 6.0,
        '\u{1f000}'.. => 1.4,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'.. => 1.05,
        _ => 0.75,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_numbers_have_three_digits_at_most() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1k"),
            (1_204, "1.2k"),
            (1_250, "1.3k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (184_467, "184k"),
            (999_400, "999k"),
            (999_960, "1M"),
            (1_000_000, "1M"),
            (2_500_000_000, "2.5B"),
            (u128::from(u64::MAX), "18.4Qi"),
        ] {
            assert_eq!(short(number), text, "{number}");
        }
    }

    #[test]
    fn full_numbers_are_grouped() {
        let texts = [0, 999, 1_000, 184_467, 1_000_000].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "184,467", "1,000,000"]);
    }

    #[test]
    fn what_is_markup_is_text_and_what_xml_cannot_hold_is_replaced() {
        let mut out = String::new();
        escape(&mut out, "<b a='\"'>&\u{1}\u{ffff}中");
        assert_eq!(out, "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}\u{fffd}中");
    }

    #[test]
    fn no_name_turns_the_text_around_it() {
        assert_eq!(isolated("plain"), "plain");
        assert_eq!(isolated("علم"), "\u{2068}علم\u{2069}");
        assert_eq!(isolated("a\u{202e}b\u{2069}"), "\u{2068}a\u{fffd}b\u{fffd}\u{2069}");
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_begins_as_it_was(text in "\\PC{0,80}", width_max in 20.0_f64..300.0) {
            let short = cut(&text, width_max, 12.0);
            prop_assert!(width(&short, 12.0) <= width_max + 0.001);
            if short != text {
                prop_assert!(text.starts_with(short.strip_suffix(ELLIPSIS).unwrap()));
            }
        }

        #[test]
        fn short_numbers_are_near(number in 0_u64.., shift in 0_u32..64) {
            let number = number >> shift;
            let text = short(u128::from(number));
            let (digits, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
            let thousands = ["", "k", "M", "B", "T", "Qa", "Qi"].iter().position(|known| *known == unit).unwrap();
            let (whole, tenths) = digits.split_once('.').unwrap_or((digits, "0"));
            let unit = 1_000_u128.pow(u32::try_from(thousands).unwrap());
            let told = whole.parse::<u128>().unwrap() * unit + tenths.parse::<u128>().unwrap() * unit / 10;
            prop_assert!(told.abs_diff(number.into()) <= u128::from(number) / 19, "{} {}", number, text);
        }
    }
}
