//! "Did you mean …?"

/// The sentence that helps someone who wrote `wrong`.
pub(super) fn nearest(wrong: &str, known: impl Iterator<Item = String>) -> String {
    known
        .map(|name| (distance(wrong, &name), name))
        .min()
        .filter(|(edits, name)| *edits <= name.len() / 2)
        .map_or_else(
            || "see `flagmeter config print` for all of them".to_owned(),
            |(_, name)| format!("did you mean {name}?"),
        )
}

/// Levenshtein's distance, in bytes: how many letters must be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.bytes().zip(1..) {
        let mut diagonal = row[0];
        row[0] = left;
        for (at, letter) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(above != letter);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_put_in_taken_out_and_replaced_count_one_each() {
        let edits = [("", "abc"), ("abc", "abc"), ("htpp", "http"), ("kitten", "sitting")];
        assert_eq!(edits.map(|(one, other)| distance(one, other)), [3, 0, 1, 3]);
    }

    #[test]
    fn nothing_is_suggested_for_what_resembles_nothing() {
        assert!(nearest("zzzzzzzz", ["edge.node".to_owned()].into_iter()).contains("config print"));
    }
}
