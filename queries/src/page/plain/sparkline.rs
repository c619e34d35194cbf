//! A trend as a little picture in the line, with what it says in words.

use std::fmt::Write as _;

use maud::{Markup, html};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;
/// So that lines are not cut at the edge.
const EDGE: f64 = 2.0;

/// The trend. Where nothing is known there is no line.
pub(super) fn sparkline(trend: &[Option<u64>], says: &str) -> Markup {
    let highest = trend.iter().flatten().max().copied().unwrap_or(0);
    let path = path(trend, highest);
    html! {
        svg.spark width="120" height="28" viewBox="0 0 120 28" role="img" aria-label=(says) focusable="false" {
            path d=(path);
        }
    }
}

fn path(trend: &[Option<u64>], highest: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a picture of pixels")]
    let (last, highest) = (trend.len().saturating_sub(1).max(1) as f64, highest.max(1) as f64);
    let mut path = String::new();
    let mut draws = false;
    for (at, count) in trend.iter().enumerate() {
        let Some(count) = count else {
            draws = false;
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a picture of pixels")]
        let (x, y) = (at as f64 / last, *count as f64 / highest);
        let (x, y) = (EDGE + x * (WIDTH - 2.0 * EDGE), HEIGHT - EDGE - y * (HEIGHT - 2.0 * EDGE));
        let letter = if draws { 'L' } else { 'M' };
        // Writing to a string does not fail. A point alone is drawn as one: a line of no length with round ends.
        let _ = write!(path, "{letter}{x:.1} {y:.1}");
        if !draws {
            let _ = write!(path, "h0");
        }
        draws = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_gap() {
        assert_eq!(path(&[Some(0), Some(10), None, Some(5)], 10), "M2.0 26.0h0L40.7 2.0M118.0 14.0h0");
        assert_eq!(path(&[None, None], 0), "");
        assert_eq!(path(&[Some(0)], 0), "M2.0 26.0h0");
    }
}
