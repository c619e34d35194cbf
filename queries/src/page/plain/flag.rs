//! A flag: what became of it, and by what its counts can be told apart.

use std::sync::Arc;

use maud::{Markup, html};

use super::{
    bursts, fields, flags,
    judge::Judged,
    layout::Shown,
    sparkline::sparkline,
    table::{heads, heads_of_numbers, table},
    usage,
    view::View,
    words,
};
use crate::{
    App, Error, Result,
    access::Principal,
    bursts::marks::Marks,
    chart,
    flags::{self as api, FlagUse},
    parameters::{Parameters, name},
    usage::Usage,
};

/// What its counts are told apart by, in tables of their own.
const DIMENSIONS: &[(&str, &str)] =
    &[(name::VARIANT, "variant"), (name::ENVIRONMENT, "environment"), (name::SDK, "SDK")];
/// Values of one of these at most.
const VALUES_MAX: usize = 50;
const RANGE: &str = "-30d";
const STALE_DAYS: i64 = 30;

/// What of an address is not asked of what is known of it.
const OWN: &[&str] = &[name::GROUP_BY];

/// What is shown of it.
struct Answer {
    flag: FlagUse,
    parts: Vec<(&'static str, Usage)>,
    marks: Marks,
}

/// The view.
pub(super) async fn show(app: &Arc<App>, principal: &Principal, view: &View, names: [String; 3]) -> Shown {
    let tz = app.zone_of(principal).name();
    let form = html! {
        (fields::ranges(view, RANGE))
        form.ask method="get" action=(view.path()) {
            (fields::hidden(view, &[name::ENVIRONMENT, name::GROUP_BY]))
            div.fields { (fields::range(view, RANGE, tz)) }
            div.actions { button type="submit" { "Show" } }
        }
    };
    let answer = answer(app, principal, view, &names).await;
    let now = app.clock.now();
    let shown = answer.map(|answer| {
        let Answer { flag, parts, marks } = answer;
        let marked = parts.first().map(|(_, usage)| bursts::marked(principal, &marks, usage.tz));
        shown(view, &names, &Judged::new(flag, STALE_DAYS, now), &parts, &marked.unwrap_or_default())
    });
    let [_, _, flag] = &names;
    Shown::new(view, format!("Flag {flag}"), &form, shown)
}

async fn answer(app: &Arc<App>, principal: &Principal, view: &View, names: &[String; 3]) -> Result<Answer> {
    let [customer, project, flag] = names;
    let mut only = vec![
        (name::CUSTOMER, customer.as_str()),
        (name::PROJECT, project.as_str()),
        (name::FLAG, flag.as_str()),
    ];
    if view.value(name::FROM).is_none() {
        only.push((name::FROM, RANGE));
    }
    let parameters = view.parameters(OWN, &only, api::KNOWN)?;
    let (page, _room) = api::answer(app, principal, &parameters).await?;
    let found = match page.flags.into_iter().next() {
        None => any_time(app, principal, &only).await?,
        found => found,
    };
    let found = found.ok_or_else(|| {
        Error::NotFound(format!(
            "{}: no flag of this name was ever evaluated there, and none is listed",
            view.path()
        ))
    })?;
    let mut parts = Vec::new();
    // They are the same for each.
    let mut marks = None;
    for (dimension, words) in DIMENSIONS {
        let mut more = only.clone();
        more.push((name::GROUP_BY, dimension));
        let view = view.clone().without(name::GROUP_BY);
        let usage = if marks.is_none() {
            let (usage, marked, _room) =
                usage::answer(app, principal, &view, &more, Some(VALUES_MAX)).await?;
            marks = Some(marked);
            usage
        } else {
            let (usage, _room) = usage::counts(app, principal, &view, &more, Some(VALUES_MAX)).await?;
            usage
        };
        parts.push((*words, usage));
    }
    let marks = marks.unwrap_or_default();
    Ok(Answer { flag: found, parts, marks })
}

/// A flag that is there, but not in the environments that are asked for.
async fn any_time(app: &App, principal: &Principal, only: &[(&str, &str)]) -> Result<Option<FlagUse>> {
    let names = [name::CUSTOMER, name::PROJECT, name::FLAG];
    let names = only.iter().copied().filter(|(name, _)| names.contains(name));
    let (page, _room) = api::answer(app, principal, &Parameters::of(names, api::KNOWN)?).await?;
    Ok(page.flags.into_iter().next())
}

/// What the picture tells apart.
fn by(view: &View) -> &'static str {
    let asked = view.value(name::GROUP_BY).unwrap_or_default();
    DIMENSIONS.iter().find(|(name, _)| *name == asked).map_or(name::VARIANT, |(name, _)| *name)
}

/// What else it can tell apart.
fn parts_of_the_picture(view: &View, by: &str) -> Markup {
    html! {
        nav.ranges aria-label="Chart by" {
            ul {
                @for (name, words) in DIMENSIONS {
                    @let asked = (*name != name::VARIANT).then_some(*name);
                    li {
                        a href=(view.with(&[(name::GROUP_BY, asked)])) aria-current=[(*name == by).then_some("true")] {
                            "By " (words)
                        }
                    }
                }
            }
        }
    }
}

fn shown(
    view: &View,
    [customer, project, flag]: &[String; 3],
    judged: &Judged,
    parts: &[(&'static str, Usage)],
    marked: &Markup,
) -> Markup {
    let mut only = vec![(name::CUSTOMER, customer.as_str()), (name::PROJECT, project), (name::FLAG, flag)];
    if view.value(name::FROM).is_none() {
        only.push((name::FROM, RANGE));
    }
    let found = &judged.flag;
    let by = by(view);
    let usage = parts.first().map(|(_, usage)| usage);
    let range = [name::TO, name::TZ].into_iter().filter_map(|name| Some((name, view.value(name)?)));
    let environments = view.values(name::ENVIRONMENT).map(|value| (name::ENVIRONMENT, value));
    let all = only.iter().copied().chain(range).chain(environments).chain([(name::GROUP_BY, by)]);
    let picture = |(width, height)| {
        let mut more = only.clone();
        more.extend([(name::GROUP_BY, by), (name::WIDTH, width), (name::HEIGHT, height)]);
        view.api("/v1/chart.svg", chart::plan::KNOWN, &more)
    };
    html! {
        p { "Of " (words::name(customer)) " / " (words::name(project)) }
        (flags::badges(judged, true))
        dl.facts {
            (fact("Owner", &html! { @match &found.owner { Some(owner) => (words::name(owner)), None => "nobody is named" } }))
            (fact("Remove by", &html! { (found.remove_by.as_deref().unwrap_or("no date is named")) }))
            (fact("First seen", &words::moment_or(found.first_seen.as_deref(), "never")))
            (fact("Last seen", &words::moment_or(found.last_seen.as_deref(), "never")))
            (fact("Environments", &html! {
                @for (at, environment) in found.environments.iter().enumerate() {
                    @if at > 0 { ", " } (words::name(environment))
                }
                @if found.environments.is_empty() { "none yet" }
            }))
            (fact("Registry", &html! {
                @match found.in_registry {
                    Some(true) => "has it",
                    Some(false) => "does not have it",
                    None => "keeps no list here",
                }
            }))
            (fact("Evaluations", &words::count(found.total)))
            (fact("Change", &html! { (words::change(found.change)) }))
        }
        @if let Some(usage) = usage {
            p { (words::known(usage.state)) }
            (words::completeness(usage.complete_until.as_deref(), &usage.missing_nodes))
            (usage::image(picture, usage))
            (parts_of_the_picture(view, by))
        }
        p.ways { a href=(view.address("/usage", all)) { "Its usage, with every number" } }
        (marked)
        @for (words, usage) in parts { (part(words, usage)) }
    }
}

fn fact(what: &str, is: &Markup) -> Markup {
    html! { div { dt { (what) } dd { (is) } } }
}

fn part(words: &str, usage: &Usage) -> Markup {
    let caption = html! {
        "Evaluations by " (words) ", the most first; more than " (VALUES_MAX) " are added up"
    };
    let mut columns = heads(&[words]);
    columns.extend(heads_of_numbers(&["Evaluations", "Share"]));
    columns.extend(heads(&["Trend"]));
    let groups = usage.groups().count().max(1);
    let trend =
        |at: usize| usage.rows.iter().skip(at).step_by(groups).map(|row| row.count).collect::<Vec<_>>();
    let rows = html! {
        @for (at, (group, total)) in usage.sums().enumerate() {
            tr {
                th scope="row" {
                    @for dimension in &usage.group_by { (usage::cell(dimension, group.value(dimension))) }
                }
                td.number { (words::count(total)) }
                td.number { (words::share(total, usage.total)) }
                td { (sparkline(&trend(at), "Its trend")) }
            }
        }
    };
    html! { h2 { "By " (words) } (table(&caption, &columns, &rows)) }
}
