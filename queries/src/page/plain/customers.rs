//! Customers by what they count: whose traffic is large, and whose changes.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::{
    order::{self, Column, Names, Sort},
    sparkline::sparkline,
    table::{heads, table},
    view::View,
    words,
};
use crate::{
    answer::Known,
    chart::text::grouped,
    operator::top::{CustomerLine, Line, Top},
    parameters::name,
};

const CHANGE: &str = "change";
const DIFFERENCE: &str = "difference";
const RATE_BEFORE: &str = "rate_before";
const HOUR_TOTAL: &str = "hour_total";
const COLUMNS: &[Column] = &[
    Column { name: name::CUSTOMER, words: "Customer", is_of_names: true, is_of_numbers: false },
    of_numbers("rate", "Rate"),
    of_numbers(RATE_BEFORE, "Before"),
    of_numbers(DIFFERENCE, "Difference"),
    of_numbers(CHANGE, "Change"),
    of_numbers(HOUR_TOTAL, "Last hour"),
];
const DEFAULT: Sort = Sort { by: "rate", is_down: true };
/// The windows that most come for.
const WINDOWS: &[(&str, &str)] =
    &[("1m", "1 minute"), ("5m", "5 minutes"), ("15m", "15 minutes"), ("30m", "30 minutes")];
const WINDOW_DEFAULT: &str = "5m";

const fn of_numbers(name: &'static str, words: &'static str) -> Column {
    Column { name, words, is_of_names: false, is_of_numbers: true }
}

/// The order that an address asks for.
pub(super) fn sort(view: &View) -> Sort {
    Sort::of(view, COLUMNS, DEFAULT)
}

/// Which customers the API is to tell of: those who change most, where that is what is looked at.
pub(super) fn asked_by(sort: Sort) -> &'static str {
    if matches!(sort.by, DIFFERENCE | CHANGE) { "change" } else { "rate" }
}

/// The table, and the windows to choose from.
pub(super) fn customers(view: &View, sort: Sort, top: &mut Top, names: &Names) -> Markup {
    top.customers.sort_by(|one, other| compare(sort, names, one, other));
    let mut columns: Vec<_> = COLUMNS.iter().map(|column| sort.head(view, column)).collect();
    columns.extend(heads(&["By minute"]));
    let rows = html! {
        @for CustomerLine { customer, line: counted } in &top.customers {
            @let usage = [(name::CUSTOMER, &**customer), (name::FROM, "-1h")];
            @let tz = view.value(name::TZ).map(|tz| (name::TZ, tz));
            (line(&html! { a href=(view.address("/usage", usage.into_iter().chain(tz))) { (words::name(customer)) } }, counted))
        }
        @if let Some(others) = &top.others {
            (line(&html! { (others.customers) @if others.customers == 1 { " other" } @else { " others" } }, &others.line))
        }
        (line(&html! { "All" }, &top.total))
    };
    let caption = html! {
        @match top.window.from.as_deref().zip(top.window.to.as_deref()) {
            Some((from, to)) => {
                (top.meter) " per second from " (words::moment(from)) " to " (words::moment(to))
                @if top.window.state == Known::Partial { ", perhaps not all" }
                ", and as long before. "
                @if asked_by(sort) == "change" { "Those who change most" } @else { "Those who count most" }
                ", in the order of the column that is marked."
            },
            None => "Nothing is in yet.",
        }
    };
    html! { h2 { "Customers" } (windows(view)) (table(&caption, &columns, &rows)) }
}

fn windows(view: &View) -> Markup {
    let chosen = view.value(name::WINDOW).unwrap_or(WINDOW_DEFAULT);
    html! {
        nav.ranges aria-label="Rates over" {
            ul {
                @for (value, words) in WINDOWS {
                    @let window = (*value != WINDOW_DEFAULT).then_some(*value);
                    li {
                        a href=(view.with(&[(name::WINDOW, window)])) aria-current=[(chosen == *value).then_some("true")] {
                            "Over " (words)
                        }
                    }
                }
            }
        }
    }
}

fn line(head: &Markup, line: &Line) -> Markup {
    let most = line.sparkline.iter().flatten().max();
    let says = most.map_or_else(
        || "Nothing is known of the last hour".to_owned(),
        |most| format!("The last hour: at most {} in a minute", grouped(*most)),
    );
    html! {
        tr {
            th scope="row" { (head) }
            td.number { (words::rate(line.rate)) }
            td.number { (words::rate(line.rate_before)) }
            td.number { (words::more_or_less(line.difference)) }
            td.number { (words::change(line.change)) }
            td.number { (words::count(line.hour_total)) }
            td { (sparkline(&line.sparkline, &says)) }
        }
    }
}

fn compare(sort: Sort, names: &Names, one: &CustomerLine, other: &CustomerLine) -> Ordering {
    let by_name = names.compare(&one.customer, &other.customer);
    let of = |line: &CustomerLine| match sort.by {
        RATE_BEFORE => line.line.rate_before,
        DIFFERENCE => line.line.difference,
        CHANGE => line.line.change,
        _ => line.line.rate,
    };
    match sort.by {
        name::CUSTOMER if sort.is_down => by_name.reverse(),
        name::CUSTOMER => by_name,
        HOUR_TOTAL => {
            let (one, other) = (one.line.hour_total, other.line.hour_total);
            sort.of_known(one, other, |one, other| one.cmp(&other)).then(by_name)
        }
        _ => sort.of_known(of(one), of(other), order::of_numbers).then(by_name),
    }
}
