//! In what order lists stand: as an address says it (`sort=total`, or `sort=-total` for the greatest first), and as the
//! page with script has it at the same address. Pure.

use std::cmp::Ordering;

use axum::http::{HeaderMap, header};
use icu_collator::{
    Collator, CollatorBorrowed, CollatorPreferences,
    options::{CollatorOptions, Strength},
    preferences::CollationNumericOrdering,
};
use icu_locale_core::Locale;
use maud::html;

use super::{
    table::Head,
    view::{PAGE, SORT, View},
};

/// A column that a list can be put in order by.
#[derive(Debug)]
pub(super) struct Column {
    /// What it is called in an address.
    pub(super) name: &'static str,
    /// What it is called on the page.
    pub(super) words: &'static str,
    /// Names begin with A, all else with the greatest.
    pub(super) is_of_names: bool,
    pub(super) is_of_numbers: bool,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    /// The name of a column.
    pub(super) by: &'static str,
    pub(super) is_down: bool,
}

impl Sort {
    /// Of an address; what is not understood is the order that a list has by itself.
    pub(super) fn of(view: &View, columns: &[Column], default: Self) -> Self {
        let text = view.value(SORT).unwrap_or_default();
        let (name, is_down) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let known = columns.iter().find(|column| column.name == name);
        known.map_or(default, |column| Self { by: column.name, is_down })
    }

    fn text(self) -> String {
        let sign = if self.is_down { "-" } else { "" };
        sign.to_owned() + self.by
    }

    /// What choosing a column asks for: again turns it round.
    fn turned(self, column: &Column) -> Self {
        let is_down = if self.by == column.name { !self.is_down } else { !column.is_of_names };
        Self { by: column.name, is_down }
    }

    /// The head of a column, which leads to the list in its order.
    pub(super) fn head(self, view: &View, column: &Column) -> Head {
        let address = view.with(&[(SORT, Some(&self.turned(column).text())), (PAGE, None)]);
        let is_by_it = self.by == column.name;
        let (direction, arrow) = if self.is_down { ("descending", " ▼") } else { ("ascending", " ▲") };
        let words = html! {
            a.sort href=(address) {
                (column.words) @if is_by_it { span aria-hidden="true" { (arrow) } }
            }
        };
        let head = Head::sorted(words, is_by_it.then_some(direction));
        if column.is_of_numbers { head.of_numbers() } else { head }
    }

    /// The order of two that may not be known: what is not known stands last, whichever way round.
    pub(super) fn of_known<T>(
        self,
        one: Option<T>,
        other: Option<T>,
        compare: impl FnOnce(T, T) -> Ordering,
    ) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) if self.is_down => compare(other, one),
            (Some(one), Some(other)) => compare(one, other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

/// The order of numbers that are never none.
pub(super) fn of_numbers(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or(Ordering::Equal)
}

/// The order of names in the reader's language, as its browser has it.
#[derive(Debug)]
pub(super) struct Names {
    /// Numbers in names count as numbers, and letters alone tell them apart: not their case, not their accents.
    letters: Option<CollatorBorrowed<'static>>,
    /// Whatever tells them apart.
    whole: Option<CollatorBorrowed<'static>>,
}

impl Names {
    /// Of the language that a browser asks for first, which is the one that its scripts put in order by.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|languages| languages.to_str().ok());
        let first = asked.and_then(|languages| languages.split([',', ';']).next());
        Self::in_language(first.unwrap_or_default())
    }

    fn in_language(language: &str) -> Self {
        let language = CollatorPreferences::from(language.trim().parse().unwrap_or(Locale::UNKNOWN));
        let mut numeric = language;
        numeric.numeric_ordering = Some(CollationNumericOrdering::True);
        let mut of_letters = CollatorOptions::default();
        of_letters.strength = Some(Strength::Primary);
        Self {
            letters: Collator::try_new(numeric, of_letters).ok(),
            whole: Collator::try_new(language, CollatorOptions::default()).ok(),
        }
    }

    /// The order of names by their letters and numbers; equal where only case and accents differ.
    pub(super) fn by_letters(&self, one: &str, other: &str) -> Ordering {
        self.letters.as_ref().map_or_else(|| one.cmp(other), |letters| letters.compare(one, other))
    }

    /// The order of names.
    pub(super) fn compare(&self, one: &str, other: &str) -> Ordering {
        self.whole.as_ref().map_or_else(|| one.cmp(other), |whole| whole.compare(one, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column { name: "flag", words: "Flag", is_of_names: true, is_of_numbers: false },
        Column { name: "total", words: "Total", is_of_names: false, is_of_numbers: true },
    ];
    const DEFAULT: Sort = Sort { by: "total", is_down: true };

    fn sort(text: &str) -> Sort {
        let view = View::read(&format!("/flags?sort={text}").parse().unwrap()).unwrap();
        Sort::of(&view, COLUMNS, DEFAULT)
    }

    #[test]
    fn an_address_that_is_not_understood_has_the_order_of_the_list() {
        assert_eq!(
            ["total", "-flag", "price", "", "--flag"].map(|text| sort(text).text()),
            ["total", "-flag", "-total", "-total", "-total"]
        );
    }

    #[test]
    fn a_column_begins_with_a_or_with_the_greatest_and_is_turned_round_when_chosen_again() {
        let chosen = |text: &str, column: usize| sort(text).turned(&COLUMNS[column]).text();
        assert_eq!(
            [chosen("-total", 1), chosen("-total", 0), chosen("flag", 0), chosen("flag", 1)],
            ["total", "flag", "-flag", "-total"]
        );
        let view = View::read(&"/flags?q=a&page=3&sort=flag".parse().unwrap()).unwrap();
        let head = sort("flag").head(&view, &COLUMNS[0]).markup().into_string();
        assert!(head.starts_with("<th scope=\"col\" aria-sort=\"ascending\">"), "{head}");
        assert!(head.contains("href=\"/flags?q=a&amp;sort=-flag\""), "{head}");
        let other = sort("flag").head(&view, &COLUMNS[1]).markup().into_string();
        assert!(!other.contains("aria-sort") && other.contains("of-numbers"), "{other}");
    }

    #[test]
    fn what_is_not_known_stands_last_whichever_way_round() {
        let order =
            |text: &str, one, other| sort(text).of_known(one, other, |one: u8, other| one.cmp(&other));
        for text in ["total", "-total"] {
            assert_eq!(order(text, None, Some(0)), Ordering::Greater);
            assert_eq!(order(text, Some(9), None), Ordering::Less);
            assert_eq!(order(text, None, None), Ordering::Equal);
        }
        assert_eq!(
            (order("total", Some(1), Some(2)), order("-total", Some(1), Some(2))),
            (Ordering::Less, Ordering::Greater)
        );
    }

    #[test]
    fn names_are_in_the_order_of_letters_and_numbers_of_the_readers_language() {
        let sorted = |language: &str, names: &[&str]| {
            let order = Names::in_language(language);
            let mut names = names.to_vec();
            names.sort_by(|one, other| order.by_letters(one, other));
            names.join("|")
        };
        // As `new Intl.Collator(language, { numeric: true, sensitivity: "base" })` has them.
        for (language, names) in [
            ("en", "10|étage|flag_1|flag-2|Flag-9|flag-10|zoo|购物"),
            ("en", "a|b 1|b_1|b-1|b:1|b.1|b@1|b/1|B~1|b1|bé|βeta|Ж|א|ا|한|あ"),
            ("sv-SE", "apa|zoo|ånger"),
            ("no language", "ånger|apa|zoo"),
        ] {
            let mut mixed: Vec<_> = names.split('|').collect();
            mixed.sort_unstable();
            mixed.reverse();
            assert_eq!(sorted(language, &mixed), names, "{language}");
        }
        let swedish = [(header::ACCEPT_LANGUAGE, "sv-SE,sv;q=0.9,en;q=0.8".parse().unwrap())];
        let swedish = Names::of(&swedish.into_iter().collect());
        assert_eq!(swedish.by_letters("zoo", "ånger"), Ordering::Less);
        let order = Names::in_language("en");
        assert_eq!(order.by_letters("Résumé", "resume"), Ordering::Equal);
        assert_eq!(order.compare("resume", "Résumé"), Ordering::Less);
        assert_eq!(order.compare("a10", "a9"), Ordering::Less);
    }
}
