//! Flags: every one of them, with what is wrong with it, in the order that the page with script has at the same address.

use std::{collections::BTreeSet, sync::Arc};

use axum::http::request::Parts;
use flagmeter_model::{Name, Timestamp};
use maud::{Markup, html};

use super::{
    fields::{self, Choice, Names as Known},
    judge::{self, Judged, SHOW, Search, Show},
    layout::Shown,
    order::{Names, Sort},
    sparkline::sparkline,
    table::{Head, heads, table},
    view::{PAGE, SORT, View, of_flag},
    words,
};
use crate::{
    App, Error, Result,
    access::Principal,
    chart::text::grouped,
    flags::{self, FlagPage},
    parameters::{Parameters, name},
};

const STALE_FOR: &[Choice] = &[
    Choice { value: "7d", words: "7 days" },
    Choice { value: "", words: "30 days" },
    Choice { value: "90d", words: "90 days" },
];
/// Flags of a page: each is a row with a picture.
const ROWS: usize = 50;
const ROWS_MAX: usize = 200;
/// Flags that are put in order at most.
const FLAGS_MAX: usize = 20_000;
/// As many as the API tells at once.
const BATCH: usize = 1_000;
/// What of an address is not asked of the API.
const OWN: &[&str] = &[SHOW, name::STALE_FOR, name::Q, name::LIMIT, name::AFTER];

/// Which rows are asked for, and of what.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) show: Show,
    pub(super) stale_days: i64,
    pub(super) search: Search,
    pub(super) sort: Sort,
    pub(super) rows: usize,
    pub(super) page: usize,
}

/// The flags of a page, and how many there are.
pub(super) struct Listed {
    /// The answer of the API, with all about the range; its flags are in `flags`.
    pub(super) about: FlagPage,
    pub(super) flags: Vec<Judged>,
    /// Those that are searched for, by each choice.
    pub(super) found: [usize; Show::ALL.len()],
    /// Those of which the API tells.
    pub(super) all: usize,
    has_owners: bool,
    customers: BTreeSet<Name>,
    projects: BTreeSet<(Name, Name)>,
}

/// The view.
pub(super) async fn show(app: &Arc<App>, principal: &Principal, view: &View, parts: &Parts) -> Shown {
    let registry = Arc::clone(&app.registry.borrow());
    let form = form(view, principal, &Known::of(&registry, principal), app.zone_of(principal).name());
    let answer = answer(app, principal, view, &Names::of(&parts.headers)).await;
    Shown::new(view, "Flags", &form, answer.map(|(asked, listed)| shown(view, &asked, &listed)))
}

async fn answer(app: &App, principal: &Principal, view: &View, names: &Names) -> Result<(Asked, Listed)> {
    let asked = Asked::of(view)?;
    let limit = BATCH.min(app.config.groups_max);
    let limit = limit.to_string();
    let mut after: Option<String> = None;
    let mut listed: Option<Listed> = None;
    loop {
        let mut more = vec![(name::LIMIT, limit.as_str())];
        more.extend(after.as_deref().map(|after| (name::AFTER, after)));
        let parameters = view.parameters(OWN, &more, flags::KNOWN)?;
        let (mut batch, _room) = flags::answer(app, principal, &parameters).await?;
        after = batch.next.take();
        let told = std::mem::take(&mut batch.flags);
        let listed = listed.get_or_insert_with(|| Listed::new(batch));
        listed.take(told, &asked, names, app.clock.now());
        if listed.all > FLAGS_MAX {
            return Err(Error::TooMuch(format!(
                "There are more than {} flags to put in order. Ask for one customer, project or environment.",
                grouped(FLAGS_MAX as u64)
            )));
        }
        if after.is_none() {
            break;
        }
    }
    let mut listed = listed.ok_or_else(|| Error::NotFound(view.path().to_owned()))?;
    listed.flags.drain(..asked.before().min(listed.flags.len()));
    Ok((asked, listed))
}

impl Asked {
    pub(super) fn of(view: &View) -> Result<Self> {
        const KNOWN: &[&str] = &[PAGE, name::LIMIT];
        let numbers = KNOWN.iter().filter_map(|name| Some((*name, view.value(name)?)));
        let numbers = Parameters::of(numbers, KNOWN)?;
        Ok(Self {
            show: Show::of(view),
            stale_days: judge::stale_days(view),
            search: Search::of(view),
            sort: Sort::of(view, judge::COLUMNS, judge::DEFAULT),
            rows: numbers.number(name::LIMIT, ROWS_MAX)?.unwrap_or(ROWS),
            page: numbers.number(PAGE, FLAGS_MAX)?.unwrap_or(1),
        })
    }

    /// Flags before the page.
    const fn before(&self) -> usize {
        (self.page - 1).saturating_mul(self.rows)
    }
}

impl Listed {
    pub(super) fn new(about: FlagPage) -> Self {
        Self {
            about,
            flags: Vec::new(),
            found: [0; Show::ALL.len()],
            all: 0,
            has_owners: false,
            customers: BTreeSet::new(),
            projects: BTreeSet::new(),
        }
    }

    /// Takes in what the API tells. No more is kept than stands before the end of the page.
    pub(super) fn take(&mut self, told: Vec<flags::FlagUse>, asked: &Asked, names: &Names, now: Timestamp) {
        let until = self.about.complete_until.as_deref();
        let until =
            until.and_then(|until| Timestamp::parse_rfc3339(until).ok()).map_or(now, |until| until.min(now));
        self.all += told.len();
        for flag in told {
            self.has_owners |= flag.owner.is_some();
            self.customers.insert(flag.customer.clone());
            self.projects.insert((flag.customer.clone(), flag.project.clone()));
            if !asked.search.finds(&flag) {
                continue;
            }
            let flag = Judged::new(flag, asked.stale_days, until);
            for (found, show) in self.found.iter_mut().zip(Show::ALL) {
                *found += usize::from(flag.is_in(show));
            }
            if flag.is_in(asked.show) {
                self.flags.push(flag);
            }
        }
        self.flags.sort_by(|one, other| judge::compare(asked.sort, names, &one.flag, &other.flag));
        self.flags.truncate(asked.before().saturating_add(asked.rows));
    }

    fn found(&self, show: Show) -> usize {
        Show::ALL.iter().zip(self.found).find(|(one, _)| **one == show).map_or(0, |(_, found)| found)
    }
}

pub(super) fn form(view: &View, principal: &Principal, names: &Known<'_>, tz: &'static str) -> Markup {
    let is_own = principal.customer().is_some();
    let filters = [name::CUSTOMER, name::PROJECT, name::ENVIRONMENT, name::FLAG];
    let is_filtered = filters.iter().any(|filter| view.value(filter).is_some());
    html! {
        (fields::ranges(view, "-30d"))
        form.ask method="get" action="/flags" {
            (fields::hidden(view, &[SHOW, SORT, name::LIMIT]))
            div.fields {
                (fields::text(view, name::Q, "Search", "flag, project or owner"))
                (fields::select(view, name::STALE_FOR, "Stale after", STALE_FOR))
                (fields::range(view, "-30d", tz))
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
            div.actions { button type="submit" { "Show" } }
        }
    }
}

pub(super) fn shown(view: &View, asked: &Asked, listed: &Listed) -> Markup {
    let about = &listed.about;
    let rows = html! { @for flag in &listed.flags { (row(view, flag, listed)) } };
    let found = listed.found(asked.show);
    let caption = html! {
        (many(found))
        @if found != listed.all { " of " (many(listed.all)) }
        @if found > listed.flags.len() && !listed.flags.is_empty() {
            ", from the " (asked.before() + 1) ". to the " (asked.before() + listed.flags.len()) "."
        }
        "; evaluations from " (words::moment(&about.from)) " to " (words::moment(&about.to)) ", " (about.tz)
        ", and their change against as long before"
    };
    html! {
        section.summary aria-label="In short" {
            p { (words::known(about.state)) }
            (words::completeness(about.complete_until.as_deref(), &about.missing_nodes))
        }
        (choices(view, asked, listed))
        @if !listed.flags.is_empty() {
            (table(&caption, &columns(view, asked.sort, listed), &rows))
        } @else if listed.all == 0 {
            p { "There is no flag yet: it is here as soon as it is evaluated, or stands in the registry." }
        } @else if found > 0 {
            p { "There are no more: " a href=(view.with(&[(PAGE, None)])) { "from the beginning" } "." }
        } @else {
            p { "There is no such flag. " a href=(view.with(&[(SHOW, None), (name::Q, None), (PAGE, None)])) { "Show all flags" } }
        }
        (pages(view, asked, found))
    }
}

fn many(flags: usize) -> Markup {
    html! { (grouped(flags as u64)) @if flags == 1 { " flag" } @else { " flags" } }
}

/// Which flags, each choice with how many there are.
fn choices(view: &View, asked: &Asked, listed: &Listed) -> Markup {
    html! {
        nav.ranges aria-label="Which flags" {
            ul {
                @for show in Show::ALL {
                    li {
                        a href=(view.with(&[(SHOW, show.value()), (PAGE, None)]))
                            aria-current=[(asked.show == show).then_some("true")] {
                            (show.words()) " " (grouped(listed.found(show) as u64))
                        }
                    }
                }
            }
        }
    }
}

/// Columns that say the same of every flag are left out.
fn columns(view: &View, sort: Sort, listed: &Listed) -> Vec<Head> {
    let mut all: Vec<Head> = Vec::new();
    for column in judge::COLUMNS {
        match column.name {
            name::PROJECT => {
                if listed.customers.len() > 1 {
                    all.extend(heads(&["Customer"]));
                }
                if listed.projects.len() > 1 {
                    all.push(sort.head(view, column));
                }
            }
            judge::OWNER if !listed.has_owners => {}
            judge::TOTAL => {
                all.extend(heads(&["Trend"]));
                all.push(sort.head(view, column));
            }
            _ => all.push(sort.head(view, column)),
        }
    }
    all.extend(heads(&["Remove by"]));
    all
}

fn row(view: &View, judged: &Judged, listed: &Listed) -> Markup {
    let flag = &judged.flag;
    let names = [&*flag.customer, &*flag.project, &*flag.flag];
    let along = [name::FROM, name::TO, name::TZ, name::ENVIRONMENT];
    let along: Vec<_> =
        along.iter().flat_map(|name| view.values(name).map(move |value| (*name, value))).collect();
    let most = flag.trend.iter().flatten().max();
    let trend = most.map_or_else(
        || "Nothing is known".to_owned(),
        |most| format!("Trend: at most {} in {}", grouped(*most), listed.about.resolution),
    );
    html! {
        tr {
            th scope="row" {
                a href=(of_flag(view, names, &along)) { (words::name(&flag.flag)) }
                (badges(judged, listed.has_owners))
            }
            @if listed.customers.len() > 1 { td { (words::name(&flag.customer)) } }
            @if listed.projects.len() > 1 { td { (words::name(&flag.project)) } }
            td {
                @for (at, environment) in flag.environments.iter().enumerate() {
                    @if at > 0 { ", " } (words::name(environment))
                }
                @if flag.environments.is_empty() { "–" }
            }
            @if listed.has_owners { td { @match &flag.owner { Some(owner) => (words::name(owner)), None => "–" } } }
            td { (sparkline(&flag.trend, &trend)) }
            td.number { (words::count(flag.total)) }
            td.number { (words::change(flag.change)) }
            td { (words::moment_or(flag.first_seen.as_deref(), "never")) }
            td { (words::moment_or(flag.last_seen.as_deref(), "never")) }
            td { (flag.remove_by.as_deref().unwrap_or("–")) }
        }
    }
}

/// What is wrong with it, in words.
pub(super) fn badges(judged: &Judged, has_owners: bool) -> Markup {
    let badges: Vec<_> = judged.badges(has_owners).collect();
    html! { @if !badges.is_empty() { ul.badges { @for words in badges { li { (words) } } } } }
}

/// The way through them.
fn pages(view: &View, asked: &Asked, found: usize) -> Markup {
    let to = |page: usize| view.with(&[(PAGE, (page > 1).then(|| page.to_string()).as_deref())]);
    let is_more = asked.before().saturating_add(asked.rows) < found;
    html! {
        @if asked.page > 1 || is_more {
            nav.pages aria-label="Pages" {
                ul {
                    @if asked.page > 1 {
                        li { a href=(to(1)) { "From the beginning" } }
                        li { a rel="prev" href=(to(asked.page - 1)) { "Flags before" } }
                    }
                    @if is_more { li { a rel="next" href=(to(asked.page + 1)) { "Further flags" } } }
                }
            }
        }
    }
}
