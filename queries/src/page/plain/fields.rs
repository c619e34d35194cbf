//! The fields of forms: each is a parameter of the API, filled in as the address has it.

use std::collections::BTreeSet;

use flagmeter_model::Registry;
use maud::{Markup, html};

use super::view::{PAGE, View};
use crate::{access::Principal, parameters::name};

/// Names of one list to choose from at most: a browser sends more with every page.
const CHOICES_MAX: usize = 200;

/// The ranges that most come for.
const RANGES: &[(&str, &str)] =
    &[("-1h", "hour"), ("-24h", "day"), ("-7d", "7 days"), ("-30d", "30 days"), ("-90d", "90 days")];

/// A choice of a list.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) words: &'static str,
}

/// Ranges until now, as ways to the same view.
pub(super) fn ranges(view: &View, default: &str) -> Markup {
    let is_open = view.value(name::TO).is_none_or(|to| to == "now");
    let from = view.value(name::FROM).unwrap_or(default);
    html! {
        nav.ranges aria-label="Ranges" {
            ul {
                @for (value, words) in RANGES {
                    li {
                        a href=(view.with(&[(name::FROM, Some(value)), (name::TO, None), (name::RESOLUTION, None), (name::AFTER, None), (PAGE, None)]))
                            aria-current=[(is_open && from == *value).then_some("true")] { "Last " (words) }
                    }
                }
            }
        }
    }
}

/// Where a range begins and ends, by which clock.
pub(super) fn range(view: &View, from_default: &'static str, tz: &str) -> Markup {
    html! {
        (text(view, name::FROM, "From", from_default))
        (text(view, name::TO, "To", "now"))
        (text(view, name::TZ, "Time zone", tz))
    }
}

/// One line of text.
pub(super) fn text(view: &View, name: &str, words: &str, hint: &str) -> Markup {
    html! {
        label {
            span { (words) }
            input type="text" name=(name) value=[view.value(name)] placeholder=(hint) dir="auto"
                spellcheck="false" autocapitalize="off" autocomplete="off";
        }
    }
}

/// A number.
pub(super) fn number(view: &View, name: &str, words: &str, hint: &str, max: usize) -> Markup {
    html! {
        label {
            span { (words) }
            input type="number" name=(name) value=[view.value(name)] placeholder=(hint) min="1" max=(max);
        }
    }
}

/// One of a few.
pub(super) fn select(view: &View, name: &str, words: &str, choices: &[Choice]) -> Markup {
    let chosen = view.value(name).unwrap_or_default();
    html! {
        label {
            span { (words) }
            select name=(name) {
                @for choice in choices {
                    option value=(choice.value) selected[choice.value == chosen] { (choice.words) }
                }
            }
        }
    }
}

/// Whether or not.
pub(super) fn checkbox(name: &str, value: &str, words: &str, is_checked: bool) -> Markup {
    html! {
        label.check {
            input type="checkbox" name=(name) value=(value) checked[is_checked];
            span { (words) }
        }
    }
}

/// A filter that may have several values: a field for each, and one more. Names of the registry are offered.
pub(super) fn filter(view: &View, name: &str, words: &str, choices: &BTreeSet<&str>) -> Markup {
    let list = format!("choices-of-{name}");
    let list = (!choices.is_empty()).then_some(list);
    let field = |value: Option<&str>| {
        html! {
            input type="text" name=(name) value=[value] list=[list.as_deref()] dir="auto" spellcheck="false"
                autocapitalize="off" autocomplete="off" placeholder="all" aria-label=(words);
        }
    };
    html! {
        div.filter role="group" aria-label=(words) {
            span { (words) }
            @for value in view.values(name) { (field(Some(value))) }
            (field(None))
            @if let Some(list) = &list {
                datalist id=(list) {
                    @for choice in choices.iter().take(CHOICES_MAX) { option value=(choice) {} }
                }
            }
        }
    }
}

/// What a form hands on without showing it.
pub(super) fn hidden(view: &View, names: &[&str]) -> Markup {
    html! { @for (name, value) in view.hidden(names) { input type="hidden" name=(name) value=(value); } }
}

/// The names of the registry that whoever asks may know.
#[derive(Debug, Default)]
pub(super) struct Names<'r> {
    pub(super) customers: BTreeSet<&'r str>,
    pub(super) projects: BTreeSet<&'r str>,
    pub(super) environments: BTreeSet<&'r str>,
}

impl<'r> Names<'r> {
    /// Of its own customer, or of all.
    pub(super) fn of(registry: &'r Registry, principal: &Principal) -> Self {
        let mut names = Self::default();
        let own = principal.customer();
        for customer in
            registry.customers().iter().filter(|customer| own.is_none_or(|own| *own == customer.id))
        {
            names.customers.insert(&customer.id);
            for project in &customer.projects {
                names.projects.insert(&project.id);
                let environments = project.environments.iter();
                names.environments.extend(environments.map(|of| of.environment.environment.as_str()));
            }
        }
        names
    }
}
