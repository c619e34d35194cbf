//! Text in columns: numbers, sparklines, and names of any script cut to the cells that they take. Pure.

use unicode_width::UnicodeWidthChar as _;

use crate::output::grouped;

/// What stands where nothing is known.
pub(super) const NOTHING: &str = "—";
const GAP: char = '·';
/// 0 has the lowest one to itself.
const ZERO: char = '▁';
const BARS: [char; 7] = ['▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A rate in at most six cells.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => NOTHING.to_owned(),
        Some(rate) if rate > 0.0 && rate < 0.01 => "<0.01".to_owned(),
        Some(rate) if rate < 100.0 => format!("{rate:.2}"),
        Some(rate) if rate < 1_000.0 => format!("{rate:.1}"),
        Some(rate) => scaled(rate),
    }
}

/// A count in at most seven cells.
pub(super) fn count(count: Option<u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "large counts are shown with one digit behind the point")]
    match count {
        None => NOTHING.to_owned(),
        Some(count) if count < 100_000 => grouped(count),
        Some(count) => scaled(count as f64),
    }
}

/// A share as per cent, with its sign.
pub(super) fn change(change: Option<f64>) -> String {
    match change {
        None => NOTHING.to_owned(),
        Some(change) if change >= 10.0 => format!("×{:.0}", (change + 1.0).min(99_999.0)),
        Some(change) => format!("{:+.0} %", change * 100.0),
    }
}

fn scaled(number: f64) -> String {
    let mut scaled = number / 1_000.0;
    for unit in ["k", "M", "G", "T", "P"] {
        // 999.95 would be written as 1000.0.
        if scaled < 999.95 {
            return format!("{scaled:.1}{unit}");
        }
        scaled /= 1_000.0;
    }
    format!("{scaled:.1}E")
}

/// So many bars: each stands for the mean of its minutes that are known, and is a gap where none is.
pub(super) fn sparkline(minutes: &[Option<u64>], width: usize) -> String {
    let means: Vec<Option<u64>> = (0..width)
        .map(|place| {
            let of = |place: usize| place * minutes.len() / width.max(1);
            let known: Vec<u64> =
                minutes.get(of(place)..of(place + 1)).unwrap_or_default().iter().flatten().copied().collect();
            let sum = known.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
            // Something is never shown as nothing.
            sum.checked_div(known.len() as u64).map(|mean| if sum > 0 { mean.max(1) } else { 0 })
        })
        .collect();
    let most = means.iter().flatten().copied().max().unwrap_or(0);
    means.into_iter().map(|mean| mean.map_or(GAP, |mean| bar(mean, most))).collect()
}

fn bar(mean: u64, most: u64) -> char {
    if mean == 0 {
        return ZERO;
    }
    let steps = BARS.len() as u128;
    let step = (u128::from(mean) * steps).div_ceil(u128::from(most.max(1))).clamp(1, steps) - 1;
    usize::try_from(step).ok().and_then(|step| BARS.get(step)).copied().unwrap_or(ZERO)
}

/// The cells that a text takes: those of its characters one by one, as terminals have it, which join none of them.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(cells_of).sum()
}

fn cells_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// The text in exactly so many cells: cut with an ellipsis where it is longer, filled up where it is shorter.
pub(super) fn fit(text: &str, cells: usize) -> String {
    let mut fitted = cut(text, cells);
    fitted.extend(std::iter::repeat_n(' ', cells.saturating_sub(width(&fitted))));
    fitted
}

/// The same, filled up in front.
pub(super) fn fit_right(text: &str, cells: usize) -> String {
    let cut = cut(text, cells);
    let mut fitted: String = std::iter::repeat_n(' ', cells.saturating_sub(width(&cut))).collect();
    fitted.push_str(&cut);
    fitted
}

/// The text in at most so many cells.
pub(super) fn cut(text: &str, cells: usize) -> String {
    let safe: String = text.chars().map(harmless).collect();
    if width(&safe) <= cells {
        return safe;
    }
    let Some(room) = cells.checked_sub(1) else { return String::new() };
    let (mut kept, mut taken) = (String::new(), 0);
    for character in safe.chars() {
        taken += cells_of(character);
        if taken > room {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// Names come from strangers: what would move the cursor, or turn the direction of all that follows, is shown as
/// something that cannot.
fn harmless(character: char) -> char {
    match character {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_counts_take_few_cells_whatever_they_are() {
        let rates = [0.0, 0.004, 0.5, 12.345, 123.45, 999.96, 1_234.0, 999_960.0, 2.5e9, 1e21]
            .map(|number| rate(Some(number)));
        assert_eq!(
            rates,
            ["0.00", "<0.01", "0.50", "12.35", "123.5", "1000.0", "1.2k", "1.0M", "2.5G", "1000.0E"]
        );
        let counts = [0, 999, 99_999, 100_000, u64::MAX].map(|number| count(Some(number)));
        assert_eq!(counts, ["0", "999", "99,999", "100.0k", "18.4E"]);
        assert_eq!((rate(None), count(None), change(None)), ("—".into(), "—".into(), "—".into()));
        let changes = [0.0, 0.123, -1.0, 9.994, 41.0].map(|share| change(Some(share)));
        assert_eq!(changes, ["+0 %", "+12 %", "-100 %", "+999 %", "×42"]);
    }

    #[test]
    fn a_sparkline_shows_gaps_as_gaps_and_zero_as_the_lowest_bar() {
        let minutes = [Some(0), Some(1), None, Some(700), Some(350), Some(100)];
        assert_eq!(sparkline(&minutes, 6), "▁▂·█▅▂");
        assert_eq!(sparkline(&minutes, 3), "▂█▄", "half of what is known is shown by the half that is");
        assert_eq!(sparkline(&[None, None, Some(0), Some(0)], 2), "·▁");
        assert_eq!(sparkline(&[], 3), "···");
        assert_eq!(sparkline(&[Some(0), Some(1)], 1), "█", "something is never nothing");
        assert_eq!(sparkline(&[Some(u64::MAX), Some(u64::MAX)], 1), "█");
    }

    #[test]
    fn names_of_any_script_take_the_cells_that_they_are_given() {
        let long = "x".repeat(200);
        let names = [
            "checkout-v2",
            "結帳流程第二版",
            "ميزة-الدفع-الجديدة",
            "e\u{301}te\u{301}",
            "👩‍👩‍👧‍👦 flag",
            &long,
            "",
        ];
        for cells in [0, 1, 2, 7, 12, 40] {
            for name in names {
                assert_eq!(width(&fit(name, cells)), cells, "{name} in {cells}");
                assert_eq!(width(&fit_right(name, cells)), cells, "{name} in {cells}");
            }
        }
        assert_eq!(fit("結帳流程第二版", 8), "結帳流… ", "half a character is none");
        assert_eq!(fit("checkout-v2", 8), "checkou…");
    }

    #[test]
    fn nothing_in_a_name_moves_the_cursor_or_turns_what_follows() {
        assert_eq!(fit("a\u{1b}[2Jb\u{202e}c", 10), "a\u{fffd}[2Jb\u{fffd}c  ");
    }
}
