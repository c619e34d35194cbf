//! Usage: a picture, what it adds up to, and every number of it.

use std::{collections::BTreeSet, sync::Arc};

use maud::{Markup, html};

use super::{
    bursts,
    fields::{self, Choice, Names},
    layout::Shown,
    table::{Head, heads, heads_of_numbers, table},
    view::View,
    words,
};
use crate::{
    App, Result,
    access::Principal,
    answer::Known,
    bursts::marks::{self, Marks},
    chart,
    parameters::name,
    room::Room,
    usage::{self, Group, Usage, UsageRow, shape::known_sum},
};

/// Groups where none are asked for; as many as a picture has by itself.
const GROUPS_DEFAULT: usize = chart::plan::LIMIT_DEFAULT;
/// Groups that have a column of their own at most; the rest is added up in one.
const COLUMNS_MAX: usize = chart::plan::LIMIT_MAX;
/// Buckets of one table at most, the last ones.
const BUCKETS_MAX: usize = 200;
/// Groups of the table of sums at most.
const SUMS_MAX: usize = 200;
/// A picture where there is room, and on a phone.
const WIDE: (&str, &str) = ("1000", "380");
const NARROW: (&str, &str) = ("380", "320");
const NARROW_MEDIA: &str = "(max-width: 640px)";

const RESOLUTIONS: &[Choice] = &[
    Choice { value: "", words: "as fits the range" },
    Choice { value: "10s", words: "10 seconds" },
    Choice { value: "1m", words: "minutes" },
    Choice { value: "15m", words: "15 minutes" },
    Choice { value: "1h", words: "hours" },
    Choice { value: "1d", words: "days" },
    Choice { value: "1mo", words: "months" },
];
const METERS: &[Choice] =
    &[Choice { value: "", words: "evaluations" }, Choice { value: "requests", words: "requests" }];
const STYLES: &[Choice] = &[
    Choice { value: "", words: "as fits" },
    Choice { value: "lines", words: "lines" },
    Choice { value: "stacked", words: "stacked" },
];
/// What can be told apart, with its words.
const DIMENSIONS: &[(&str, &str)] = &[
    (name::FLAG, "flag"),
    (name::VARIANT, "variant"),
    (name::ENVIRONMENT, "environment"),
    (name::PROJECT, "project"),
    (name::SDK, "SDK"),
    (name::CUSTOMER, "customer"),
];

/// The view.
pub(super) async fn show(app: &Arc<App>, principal: &Principal, view: &View) -> Shown {
    // Whoever takes the last tick away leaves a number of groups behind, that would be refused alone.
    let is_grouped = view.value(name::GROUP_BY).is_some();
    let view = &if is_grouped { view.clone() } else { view.clone().without(name::LIMIT) };
    let registry = Arc::clone(&app.registry.borrow());
    let form = form(view, principal, &Names::of(&registry, principal), app.zone_of(principal).name());
    let answer = answer(app, principal, view, &[], Some(GROUPS_DEFAULT)).await;
    Shown::new(
        view,
        "Usage",
        &form,
        answer.map(|(usage, marks, _room)| shown(view, principal, &usage, &marks)),
    )
}

/// The answer of the API to what the view asks, and to `more`; of so many groups where no number is asked for.
pub(super) async fn counts(
    app: &App,
    principal: &Principal,
    view: &View,
    more: &[(&str, &str)],
    groups_default: Option<usize>,
) -> Result<(Usage, Room)> {
    let (usage, _, room) = read(app, principal, view, more, (groups_default, false)).await?;
    Ok((usage, room))
}

/// The same with what is marked in it.
pub(super) async fn answer(
    app: &App,
    principal: &Principal,
    view: &View,
    more: &[(&str, &str)],
    groups_default: Option<usize>,
) -> Result<(Usage, Marks, Room)> {
    read(app, principal, view, more, (groups_default, true)).await
}

async fn read(
    app: &App,
    principal: &Principal,
    view: &View,
    more: &[(&str, &str)],
    (groups_default, is_marked): (Option<usize>, bool),
) -> Result<(Usage, Marks, Room)> {
    let parameters = view.parameters(&[name::STYLE], more, usage::plan::KNOWN)?;
    let asked = usage::plan::ask(&parameters, principal, app.zone_of(principal), &app.config)?;
    let asked = match groups_default {
        Some(groups) => asked.of_the_top(groups),
        None => asked,
    };
    let range = asked.range(app.clock.now())?;
    let mut reading = app.reader.begin(principal).await?;
    let (plan, usage, room) = usage::answer(&asked, range, &mut reading, &app.config).await?;
    let marks = if is_marked { marks::marks(&reading, &asked, plan.range()).await } else { Marks::default() };
    app.metrics.rows(usage.rows.len());
    Ok((usage, marks, room))
}

pub(super) fn form(view: &View, principal: &Principal, names: &Names<'_>, tz: &'static str) -> Markup {
    let groups: Vec<&str> = view.list(name::GROUP_BY).collect();
    let is_own = principal.customer().is_some();
    let filters = [name::CUSTOMER, name::PROJECT, name::ENVIRONMENT, name::FLAG];
    let is_filtered = filters.iter().any(|filter| view.value(filter).is_some());
    html! {
        (fields::ranges(view, "-24h"))
        form.ask method="get" action="/usage" {
            (fields::hidden(view, &[name::VARIANT, name::SDK]))
            div.fields {
                (fields::range(view, "-24h", tz))
                (fields::select(view, name::RESOLUTION, "By", RESOLUTIONS))
                (fields::select(view, name::METER, "What", METERS))
                (fields::select(view, name::STYLE, "Picture", STYLES))
            }
            fieldset.checks {
                legend { "Tell apart by" }
                @for (dimension, words) in DIMENSIONS.iter().filter(|(name, _)| !(is_own && *name == name::CUSTOMER)) {
                    (fields::checkbox(name::GROUP_BY, dimension, words, groups.contains(dimension)))
                }
                @if !groups.is_empty() {
                    (fields::number(view, name::LIMIT, "The top", "5", 1_000))
                }
            }
            details open[is_filtered] {
                summary { "Only some of it" }
                div.fields {
                    @if !is_own { (fields::filter(view, name::CUSTOMER, "Customer", &names.customers)) }
                    (fields::filter(view, name::PROJECT, "Project", &names.projects))
                    (fields::filter(view, name::ENVIRONMENT, "Environment", &names.environments))
                    (fields::filter(view, name::FLAG, "Flag", &BTreeSet::new()))
                }
            }
            @for (name, words) in [(name::VARIANT, "variant"), (name::SDK, "SDK")] {
                @if view.values(name).next().is_some() {
                    p {
                        "Only the " (words) " "
                        @for value in view.values(name) { (cell(name, Some(value))) " " }
                        a href=(view.with(&[(name, None)])) { "All of them" }
                    }
                }
            }
            div.actions {
                (fields::checkbox(name::COMPARE, "previous", "with the period before", view.value(name::COMPARE).is_some()))
                button type="submit" { "Show" }
            }
        }
    }
}

pub(super) fn shown(view: &View, principal: &Principal, usage: &Usage, marks: &Marks) -> Markup {
    // Each bucket has a row of each group.
    let groups: Vec<&Group> = usage.groups().collect();
    let buckets: Vec<&[UsageRow]> = usage.rows.chunks(groups.len().max(1)).collect();
    html! {
        (summary(view, usage, &buckets))
        (picture(view, usage, buckets.len()))
        p.ways {
            a href=(exactly(view, usage, "csv")) { "These numbers as CSV" }
            " · "
            a href=(exactly(view, usage, "json")) { "as JSON" }
        }
        (bursts::marked(principal, marks, usage.tz))
        @if !usage.group_by.is_empty() { (sums(usage, groups.len())) }
        (numbers(usage, &groups, &buckets))
    }
}

/// What it comes to, and what that is worth.
fn summary(view: &View, usage: &Usage, buckets: &[&[UsageRow]]) -> Markup {
    let unknown = buckets.iter().filter(|rows| rows.first().is_some_and(|row| row.state == Known::Unknown));
    let unknown = unknown.count();
    let before = usage.previous.as_ref().map(|before| before.total);
    html! {
        section.summary aria-label="In short" {
            p.total { strong { (words::count(usage.total)) } " " (usage.meter) }
            @if let Some(before) = before {
                p {
                    "The period before: " (words::count(before)) " ("
                    (words::change(words::growth(usage.total, before))) ")"
                }
            }
            p {
                (words::moment(&usage.from)) " – " (words::moment(&usage.to)) ", " (usage.tz)
                ", by " (resolution(usage.resolution)) ". " (words::known(usage.state))
            }
            (words::completeness(usage.complete_until.as_deref(), &usage.missing_nodes))
            @if unknown > 0 {
                p.warning {
                    "Nothing is known of " (unknown) " of " (buckets.len())
                    " parts of it: they are gaps, not zeros, and are not in the sums."
                }
            }
            @if let Some(from) = &usage.beyond_retention {
                p.warning {
                    "From " (words::moment(from)) " on, part of it is no longer kept so fine. "
                    @match usage.finest_kept {
                        Some(kept) => a href=(view.with(&[(name::RESOLUTION, Some(kept))])) { "Show by " (resolution(kept)) },
                        None => "A shorter range or another time zone may still tell.",
                    }
                }
            }
        }
    }
}

/// The picture of the same question; the server draws it when the browser asks for it.
pub(super) fn picture(view: &View, usage: &Usage, buckets: usize) -> Markup {
    if buckets > chart::plan::BUCKETS_MAX {
        return html! {
            p.warning {
                "There is no picture of more than " (chart::plan::BUCKETS_MAX) " parts: choose a shorter range or a "
                "coarser resolution. The numbers stand below."
            }
        };
    }
    let too_many = view
        .value(name::LIMIT)
        .and_then(|limit| limit.parse().ok())
        .is_some_and(|limit: usize| limit > COLUMNS_MAX);
    let limit = COLUMNS_MAX.to_string();
    let address = |(width, height): (&str, &str)| {
        let mut more = vec![(name::WIDTH, width), (name::HEIGHT, height)];
        more.extend(too_many.then_some((name::LIMIT, limit.as_str())));
        view.api("/v1/chart.svg", chart::plan::KNOWN, &more)
    };
    image(address, usage)
}

/// A picture for every width.
pub(super) fn image(address: impl Fn((&'static str, &'static str)) -> String, usage: &Usage) -> Markup {
    let total = usage.total.map_or_else(|| "not known".into(), chart::text::grouped);
    let alt = format!(
        "Chart of {} from {} to {}, {total} in all. The same numbers stand in the tables below.",
        usage.meter, usage.from, usage.to
    );
    html! {
        figure.chart {
            picture {
                source media=(NARROW_MEDIA) srcset=(address(NARROW)) width=(NARROW.0) height=(NARROW.1);
                img src=(address(WIDE)) width=(WIDE.0) height=(WIDE.1) alt=(alt);
            }
        }
    }
}

/// The very range that is shown, also if now moves on.
fn exactly(view: &View, usage: &Usage, format: &str) -> String {
    let groups = GROUPS_DEFAULT.to_string();
    let mut pinned = vec![
        (name::FROM, usage.from.as_str()),
        (name::TO, usage.to.as_str()),
        (name::RESOLUTION, usage.resolution),
        (name::TZ, usage.tz),
        (name::FORMAT, format),
    ];
    if !usage.group_by.is_empty() && view.value(name::LIMIT).is_none() {
        pinned.push((name::LIMIT, &groups));
    }
    view.api("/v1/usage", usage::plan::KNOWN, &pinned)
}

/// What each group comes to.
fn sums(usage: &Usage, groups: usize) -> Markup {
    let before: Vec<Option<u64>> = usage.sums_before().collect();
    let compares = usage.previous.is_some();
    let mut columns = heads(&usage.group_by);
    columns.extend(heads_of_numbers(&["Total", "Share"]));
    if compares {
        columns.extend(heads_of_numbers(&["The period before", "Change"]));
    }
    let rows = html! {
        @for ((group, total), before) in usage.sums().zip(before).take(SUMS_MAX) {
            tr {
                @for (column, dimension) in usage.group_by.iter().enumerate() {
                    @let cell = cell(dimension, group.value(dimension));
                    @if column == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                }
                td.number { (words::count(total)) }
                td.number { (words::share(total, usage.total)) }
                @if compares {
                    td.number { (words::count(before)) }
                    td.number { (words::change(words::growth(total, before))) }
                }
            }
        }
    };
    html! {
        h2 { "By " (usage.group_by.join(", ")) }
        (table(&html! { "The sums of the groups, the largest first" (left_out(groups, SUMS_MAX, "groups")) }, &columns, &rows))
    }
}

/// Every bucket.
fn numbers(usage: &Usage, groups: &[&Group], buckets: &[&[UsageRow]]) -> Markup {
    let is_grouped = !usage.group_by.is_empty();
    let columns = if is_grouped { groups.len().min(COLUMNS_MAX) } else { 0 };
    let mut names = heads(&["From", "State"]);
    names.extend(heads_of_numbers(&["Count"]));
    if usage.previous.is_some() {
        names.extend(heads_of_numbers(&["The period before"]));
    }
    names.extend(
        groups.iter().take(columns).map(|group| Head::new(label(&usage.group_by, group)).of_numbers()),
    );
    if is_grouped && groups.len() > columns {
        names.extend(heads_of_numbers(&["All others"]));
    }
    let offsets = |row: &UsageRow| words::offset(&row.start).to_owned();
    let changes = usage.rows.first().map(offsets) != usage.rows.last().map(offsets);
    let shown = buckets.len().saturating_sub(BUCKETS_MAX);
    let rows = html! {
        @for rows in buckets.iter().skip(shown).rev() {
            @if let Some(first) = rows.first() {
                tr {
                    th scope="row" {
                        (words::moment(&first.start))
                        @if changes { " " small { (words::offset(&first.start)) } }
                    }
                    td { (words::known_short(first.state)) }
                    td.number { (words::count(known_sum(rows.iter().map(|row| row.count)))) }
                    @if usage.previous.is_some() {
                        td.number {
                            (words::count(known_sum(rows.iter().map(|row| row.previous.as_ref().and_then(|before| before.count)))))
                        }
                    }
                    @for row in rows.iter().take(columns) { td.number { (words::count(row.count)) } }
                    @if is_grouped && rows.len() > columns {
                        td.number { (words::count(known_sum(rows.iter().skip(columns).map(|row| row.count)))) }
                    }
                }
            }
        }
    };
    let caption = html! {
        (usage.meter) " by " (resolution(usage.resolution)) ", " (usage.tz) ", the latest first"
        (left_out(buckets.len(), BUCKETS_MAX, "rows"))
    };
    html! { h2 { "Every number" } (table(&caption, &names, &rows)) }
}

/// That a table holds less than there is.
fn left_out(all: usize, max: usize, what: &str) -> Markup {
    html! {
        @if all > max { ". " (max) " of " (all) " " (what) ": the others are in the CSV" }
    }
}

/// What a group is called.
fn label(dimensions: &[&'static str], group: &Group) -> Markup {
    html! {
        @for (at, dimension) in dimensions.iter().enumerate() {
            @if at > 0 { " / " }
            (cell(dimension, group.value(dimension)))
        }
    }
}

/// A value of a dimension.
pub(super) fn cell(dimension: &str, value: Option<&str>) -> Markup {
    html! {
        @match value {
            Some(flagmeter_model::Limits::OTHER) => em { "all others" },
            Some("") | None => em { "without " (dimension) },
            Some(value) => (words::name(value)),
        }
    }
}

/// A resolution in words.
pub(super) fn resolution(name: &str) -> &str {
    RESOLUTIONS.iter().find(|choice| choice.value == name).map_or(name, |choice| choice.words)
}
