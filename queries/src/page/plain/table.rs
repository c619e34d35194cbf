//! Tables: with a caption, heads that say what they head, and a place to scroll in where a screen is narrow.

use maud::{Markup, html};

/// What heads a column.
#[derive(Debug, Clone)]
pub(super) struct Head {
    words: Markup,
    /// Which way round the rows are in its order, where they are.
    sort: Option<&'static str>,
    is_of_numbers: bool,
}

impl Head {
    /// A head.
    pub(super) const fn new(words: Markup) -> Self {
        Self::sorted(words, None)
    }

    /// The head of a column that rows may be in the order of.
    pub(super) const fn sorted(words: Markup, sort: Option<&'static str>) -> Self {
        Self { words, sort, is_of_numbers: false }
    }

    /// The same above numbers, which stand at the other edge of their column.
    pub(super) fn of_numbers(self) -> Self {
        Self { is_of_numbers: true, ..self }
    }

    /// The cell.
    pub(super) fn markup(&self) -> Markup {
        html! {
            th scope="col" aria-sort=[self.sort] {
                @if self.is_of_numbers { span.of-numbers { (self.words) } } @else { (self.words) }
            }
        }
    }
}

/// A table. A narrow screen scrolls it on its own, also by keyboard.
pub(super) fn table(caption: &Markup, heads: &[Head], rows: &Markup) -> Markup {
    html! {
        div.scroll role="group" aria-label="Table, scrolls sideways" tabindex="0" {
            table {
                caption { span { (caption) } }
                thead { tr { @for head in heads { (head.markup()) } } }
                tbody { (rows) }
            }
        }
    }
}

/// Heads of plain words.
pub(super) fn heads(words: &[&str]) -> Vec<Head> {
    words.iter().map(|words| Head::new(html! { (words) })).collect()
}

/// The same above numbers.
pub(super) fn heads_of_numbers(words: &[&str]) -> Vec<Head> {
    heads(words).into_iter().map(Head::of_numbers).collect()
}
