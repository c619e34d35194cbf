//! Billing: the period so far and where it leads, statements to take along, and hours with what they are worth.

use std::{collections::HashMap, sync::Arc};

use flagmeter_model::Timestamp;
use maud::{Markup, html};

use super::{
    fields::{self, Choice, Names},
    layout::{self, Shown},
    table::{heads, heads_of_numbers, table},
    view::{self, View},
    words,
};
use crate::{
    App, Result,
    access::Principal,
    billing::{
        hours::{self, BillingHours},
        period::months_back,
        row::{BilledHour, HourState},
        statement::{self, Statement, StatementState},
        thresholds::{self, ToldCrossing},
        to_date::{
            self,
            shape::{MeterToDate, ProjectionToDate, UsageToDate},
        },
    },
    chart::text::grouped,
    parameters::{Parameters, name},
};

/// Customers that are offered at most.
const CUSTOMERS_MAX: usize = 200;
/// Periods that are offered.
const PERIODS: u32 = 24;
/// Rows of a table at most.
const ROWS_MAX: usize = 200;
/// Hours of a page.
const LIMIT: &str = "100";
const HOUR_SECONDS: i64 = 3_600;

const METERS: &[Choice] = &[
    Choice { value: "", words: "evaluations and requests" },
    Choice { value: "evaluations", words: "evaluations" },
    Choice { value: "requests", words: "requests" },
];
const FORMATS: &[(&str, &str)] = &[("csv", "CSV"), ("json", "JSON"), ("focus", "FOCUS 1.2")];

struct Answer {
    to_date: UsageToDate,
    /// The month in which the period begins that runs, and that of the one that is shown.
    running: String,
    period: String,
    statement: Result<Statement>,
    crossings: Result<Vec<ToldCrossing>>,
    hours: BillingHours,
}

/// The view.
pub(super) async fn show(app: &Arc<App>, principal: &Principal, view: &View) -> Shown {
    let registry = Arc::clone(&app.registry.borrow());
    let names = Names::of(&registry, principal);
    let is_own = principal.customer().is_some();
    if !is_own && view.value(name::CUSTOMER).is_none() {
        return Shown::new(view, "Billing", &html! { (choose(view)) (offered(view, &names)) }, Ok(html! {}));
    }
    let form = if is_own {
        html! {}
    } else {
        choose(view)
    };
    let answer = answer(app, principal, view).await;
    Shown::new(view, "Billing", &form, answer.map(|answer| shown(view, &answer)))
}

/// Whose.
fn choose(view: &View) -> Markup {
    html! {
        form.ask method="get" action="/billing" {
            (fields::hidden(view, &[]))
            div.fields { (fields::text(view, name::CUSTOMER, "Customer", "its id")) }
            div.actions { button type="submit" { "Show" } }
        }
    }
}

fn offered(view: &View, names: &Names<'_>) -> Markup {
    html! {
        h2 { "Customers" }
        p { "A period is that of one customer. These are in the registry:" }
        ul.choices {
            @for customer in names.customers.iter().take(CUSTOMERS_MAX) {
                li { a href=(view.with(&[(name::CUSTOMER, Some(customer))])) { (words::name(customer)) } }
            }
        }
        @if names.customers.len() > CUSTOMERS_MAX {
            p { "And " (names.customers.len() - CUSTOMERS_MAX) " more: enter an id above." }
        }
    }
}

async fn answer(app: &Arc<App>, principal: &Principal, view: &View) -> Result<Answer> {
    let of_hours = [name::FROM, name::TO, name::METER, name::AFTER, name::LIMIT, name::PERIOD];
    let parameters = view.parameters(&of_hours, &[], to_date::KNOWN)?;
    let (to_date, _room) = to_date::answer(app, principal, &parameters).await?;
    let running = to_date.from.get(..7).unwrap_or_default().to_owned();
    let period = view.value(name::PERIOD).unwrap_or(&running).to_owned();
    let more = [(name::CUSTOMER, &*to_date.customer), (name::PERIOD, period.as_str()), (name::DRAFT, "true")];
    let parameters = Parameters::of(more, statement::plan::KNOWN)?;
    let statement = statement::answer(app, principal, &parameters).await.map(|(statement, _room)| statement);
    let crossings = thresholds::of_customer(app, principal, &to_date.customer).await;
    let crossings = crossings.map(|(crossings, _room)| crossings);
    // Unless others are asked for, the hours of the period.
    let (from, to) = match &statement {
        Ok(statement) => (full_hour(&statement.from), full_hour(&statement.to)),
        Err(_) => (full_hour(&to_date.from), full_hour(&to_date.to)),
    };
    let default = [(name::FROM, from.as_str()), (name::TO, &to), (name::LIMIT, LIMIT)];
    let more: Vec<_> = default.into_iter().filter(|(name, _)| view.value(name).is_none()).collect();
    let parameters = view.parameters(&[name::PERIOD], &more, hours::plan::KNOWN)?;
    let (hours, _room) = hours::answer(app, principal, &parameters).await?;
    Ok(Answer { to_date, running, period, statement, crossings, hours })
}

/// Down to the full hour.
fn full_hour(rfc3339: &str) -> String {
    let at = Timestamp::parse_rfc3339(rfc3339);
    at.map_or_else(|_| rfc3339.to_owned(), |at| at.floor_to(HOUR_SECONDS).to_string())
}

fn shown(view: &View, answer: &Answer) -> Markup {
    let Answer { to_date, running, period, statement, crossings, hours } = answer;
    html! {
        section.summary aria-label="In short" {
            p {
                "The period of " (words::name(&to_date.customer)) " runs from " (words::moment(&to_date.from)) " to "
                (words::moment(&to_date.to)) ", " (to_date.tz) "."
            }
            @match &to_date.final_until {
                Some(until) => p { "Hours are final until " (words::moment(until)) "." },
                None => p { "No hour is final yet." },
            }
            (words::completeness(to_date.complete_until.as_deref(), &to_date.missing_nodes))
        }
        @if period == running { @for meter in &to_date.meters { (meter_to_date(meter)) } }
        h2 { "Statement of the period of " (period) }
        (periods(view, running, period))
        @match statement {
            Ok(statement) => (statement_of(statement, period)),
            Err(error) => (layout::why(error)),
        }
        h2 { "Thresholds that were crossed" }
        @match crossings {
            Ok(crossings) => (crossed(crossings)),
            Err(error) => (layout::why(error)),
        }
        (billed_hours(view, hours))
    }
}

/// The period that runs, and those before it.
fn periods(view: &View, running: &str, chosen: &str) -> Markup {
    let periods = (0..PERIODS).filter_map(|back| months_back(running, back));
    html! {
        form.ask method="get" action="/billing" {
            (fields::hidden(view, &[name::CUSTOMER, name::METER]))
            div.fields {
                label {
                    span { "Period that begins in" }
                    select name=(name::PERIOD) {
                        @for period in periods {
                            @let value = if period == running { "" } else { &*period };
                            option value=(value) selected[period == chosen] {
                                (period) @if value.is_empty() { ", to date" }
                            }
                        }
                    }
                }
            }
            div.actions { button type="submit" { "Show" } }
        }
    }
}

fn meter_to_date(meter: &MeterToDate) -> Markup {
    let mut columns = heads(&["Of what is included"]);
    columns.extend(heads_of_numbers(&["With the count"]));
    columns.extend(heads(&["Crossed", "Kind"]));
    let rows = html! {
        @for threshold in &meter.thresholds {
            tr {
                th scope="row" { (threshold.percent) " %" }
                td.number { (words::digits(&threshold.count)) }
                td { @if threshold.crossed { strong { "crossed" } } @else { "not yet" } }
                td { @if threshold.hard { "hard" } @else { "soft" } }
            }
        }
    };
    html! {
        h2 { (meter.meter) }
        dl.facts {
            (fact("Used so far", &digits_or(meter.used.as_deref(), "not known")))
            (fact("Of it final", &html! { (words::digits(&meter.used_final)) }))
            (fact("Not final yet", &html! { (not_final(meter)) }))
            (fact("Included", &digits_or(meter.included.as_deref(), "nothing is agreed")))
            @if let Some(percent) = &meter.percent_used { (fact("Of it used", &html! { (percent) " %" })) }
        }
        p { (words::known(meter.state)) }
        @match &meter.projection {
            Some(projection) => (projected(projection)),
            None => p { "It is too early to say where the period leads: too few weeks are known." },
        }
        @if !meter.thresholds.is_empty() {
            (table(&html! { "Thresholds of the plan for " (meter.meter) }, &columns, &rows))
        }
    }
}

/// What was counted, and is not final yet.
fn not_final(meter: &MeterToDate) -> String {
    let number = |digits: &str| digits.parse::<u128>().ok();
    let rest = meter.used.as_deref().and_then(number).zip(number(&meter.used_final));
    let rest = rest.map(|(used, settled)| used.saturating_sub(settled).to_string());
    rest.map_or_else(|| "not known".to_owned(), |rest| words::digits(&rest))
}

fn projected(projection: &ProjectionToDate) -> Markup {
    let mut columns = heads(&["If the rest goes as the week"]);
    columns.extend(heads_of_numbers(&["The rest comes to"]));
    let rows = html! {
        @for week in &projection.weeks {
            tr {
                th scope="row" { (words::moment(&week.from)) " – " (words::moment(&week.to)) }
                td.number { (words::digits(&week.rest)) }
            }
        }
    };
    html! {
        p {
            "At its end it will come to about " strong { (words::digits(&projection.count)) }
            @if let Some(percent) = &projection.percent { " (" (percent) " % of what is included)" }
            ", between " (words::digits(&projection.low)) " and " (words::digits(&projection.high))
            ", if the rest goes as the last " (projection.weeks.len()) " weeks went."
        }
        details {
            summary { "How this is made" }
            p { "What lies before " (words::moment(&projection.counted_until)) " was counted. " (projection.method) }
            (table(&html! { "The weeks that it is made from" }, &columns, &rows))
        }
    }
}

fn digits_or(digits: Option<&str>, none: &str) -> Markup {
    html! { @match digits { Some(digits) => (words::digits(digits)), None => (none) } }
}

fn fact(what: &str, is: &Markup) -> Markup {
    html! { div { dt { (what) } dd { (is) } } }
}

/// What is on a statement, the files to keep, and what proves that two copies are the same.
fn statement_of(statement: &Statement, period: &str) -> Markup {
    let is_draft = statement.state == StatementState::Draft;
    let file = |format: &str| {
        let whose = [(name::CUSTOMER, &*statement.customer), (name::PERIOD, period), (name::FORMAT, format)];
        let draft = is_draft.then_some((name::DRAFT, "true"));
        view::address("/v1/billing/statement", whose.into_iter().chain(draft))
    };
    let mut columns = heads(&["Project", "Environment", "Meter"]);
    columns.extend(heads_of_numbers(&["Count"]));
    let rows = html! {
        @for total in statement.totals.iter().take(ROWS_MAX) {
            tr {
                th scope="row" { (words::name(&total.project)) }
                td { (words::name(&total.environment)) }
                td { (total.meter) }
                td.number { (words::digits(&total.count)) }
            }
        }
    };
    let caption = html! {
        "What each environment used from " (words::moment(&statement.from)) " to " (words::moment(&statement.to)) ", "
        (statement.tz)
        @if statement.totals.len() > ROWS_MAX {
            ". " (ROWS_MAX) " of " (statement.totals.len()) " rows: the others are in the files"
        }
    };
    let manifest = &statement.manifest;
    html! {
        @if is_draft {
            p {
                "A draft: only what is final until " (words::moment(&statement.counted_until)) " (" (statement.tz)
                ") is on it; the period ends at " (words::moment(&statement.to)) "."
            }
        } @else {
            p { "Final: every hour of the period is, and the statement has the same bytes for ever." }
        }
        p.ways {
            "The statement as "
            @for (at, (format, words)) in FORMATS.iter().enumerate() {
                @if at > 0 { " · " }
                a href=(file(format)) { (words) }
            }
        }
        @if statement.totals.is_empty() { p { "Nothing was counted in it." } } @else { (table(&caption, &columns, &rows)) }
        details {
            summary {
                (words::digits(&manifest.total)) " in all, in " (grouped(manifest.rows as u64)) " rows: what proves it"
            }
            dl.facts {
                (fact("Used in the period", &html! { (words::digits(&manifest.usage)) }))
                (fact("Corrections of hours before it", &html! { (words::digits(&manifest.corrections)) }))
                (fact("SHA-256 of the CSV", &html! { code { (manifest.sha256) } }))
                (fact("As the ledger stood at", &html! { code { (statement.as_of) } }))
            }
        }
    }
}

/// Thresholds that were crossed, in this period and before, the last one first.
fn crossed(crossings: &[ToldCrossing]) -> Markup {
    if crossings.is_empty() {
        return html! { p { "No threshold was crossed." } };
    }
    let mut columns = heads(&["Found", "Meter"]);
    columns.extend(heads_of_numbers(&["Threshold", "Included", "Used then"]));
    columns.extend(heads(&["Period from"]));
    let rows = html! {
        @for crossing in crossings.iter().rev().take(ROWS_MAX) {
            tr id=(crossing.id) {
                th scope="row" { (words::moment(&crossing.crossed_at)) }
                td { (crossing.meter) }
                td.number { (crossing.percent) " %" @if crossing.hard { " hard" } }
                td.number { (words::digits(&crossing.included)) }
                td.number { (words::digits(&crossing.used)) }
                td { (words::moment(&crossing.period)) }
            }
        }
    };
    let caption = html! {
        "The last one first, UTC"
        @if crossings.len() > ROWS_MAX {
            ". " (ROWS_MAX) " of " (crossings.len()) ": the others are in /v1/billing/thresholds"
        }
    };
    table(&caption, &columns, &rows)
}

fn billed_hours(view: &View, hours: &BillingHours) -> Markup {
    let mut columns = heads(&["Hour", "Of", "Meter"]);
    columns.extend(heads_of_numbers(&["Count"]));
    columns.extend(heads(&["State"]));
    columns.extend(heads_of_numbers(&["Revision", "Adds"]));
    columns.extend(heads(&["Found"]));
    // Of each hour, the row that says what it comes to.
    let hour = |row: &BilledHour| (row.project.clone(), row.environment.clone(), row.meter, row.hour.clone());
    let last: HashMap<_, _> = hours.rows.iter().enumerate().map(|(at, row)| (hour(row), at)).collect();
    let rows = html! {
        @for (at, row) in hours.rows.iter().enumerate() { (billed_hour(row, last.get(&hour(row)) != Some(&at))) }
    };
    let caption = html! {
        (hours.rows.len()) " rows of the hours from " (words::moment(&hours.from)) " to " (words::moment(&hours.to))
        ", UTC. Hours without a row counted nothing."
    };
    let is_later = view.value(name::AFTER).is_some();
    html! {
        h2 #hours { "Hours" }
        form.ask method="get" action="/billing#hours" {
            (fields::hidden(view, &[name::CUSTOMER, name::PERIOD]))
            div.fields {
                (fields::text(view, name::FROM, "From a full hour", &hours.from))
                (fields::text(view, name::TO, "To a full hour", &hours.to))
                (fields::select(view, name::METER, "What", METERS))
            }
            div.actions { button type="submit" { "Show" } }
        }
        p.ways {
            a href=(view.api("/v1/billing/hours", hours::plan::KNOWN, &[
                (name::FROM, &hours.from), (name::TO, &hours.to), (name::FORMAT, "csv"), (name::AS_OF, &hours.as_of),
            ])) { "The final ones as CSV" }
        }
        (table(&caption, &columns, &rows))
        @if is_later || hours.next.is_some() {
            nav.pages aria-label="Pages of hours" {
                ul {
                    @if is_later { li { a href=(view.with(&[(name::AFTER, None)])) { "From the beginning" } } }
                    @if let Some(next) = &hours.next {
                        li {
                            // The cursor is of this very range.
                            a rel="next" href=(view.with(&[
                                (name::FROM, Some(&hours.from)), (name::TO, Some(&hours.to)), (name::AFTER, Some(next)),
                            ])) { "Further hours" }
                        }
                    }
                }
            }
        }
    }
}

fn billed_hour(row: &BilledHour, is_replaced: bool) -> Markup {
    let class = match row.state {
        HourState::Final => "state complete",
        HourState::Closing => "state open",
        HourState::Open => "state partial",
    };
    html! {
        tr {
            th scope="row" { (words::moment(&row.hour)) }
            td { (words::name(&row.project)) " / " (words::name(&row.environment)) }
            td { (row.meter) }
            td.number { (words::digits(&row.count)) }
            td {
                span class=(class) { (row.state.name()) }
                @if is_replaced { ", replaced" }
                @if row.correction { " " em { "a correction" } }
                @if !row.complete { " " em { "not all is known" (silent(&row.missing_nodes)) } }
            }
            td.number { @match row.revision { Some(revision) => (revision), None => "–" } }
            td.number { (digits_or(row.difference.as_deref(), "–")) }
            td { (words::moment_or(row.closed_at.as_deref(), "–")) }
        }
    }
}

fn silent(nodes: &[u16]) -> String {
    let nodes: Vec<_> = nodes.iter().map(u16::to_string).collect();
    if nodes.is_empty() { String::new() } else { format!(": silent were nodes {}", nodes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_stand_with_the_last_one_first() {
        assert!(crossed(&[]).into_string().contains("No threshold was crossed"));
        let at = |id: &str, percent, hard, crossed_at: &str| ToldCrossing {
            id: id.to_owned(),
            customer: flagmeter_model::Name::new("acme").unwrap(),
            meter: "evaluations",
            period: "2026-11-01T00:00:00Z".to_owned(),
            percent,
            hard,
            included: "9000".to_owned(),
            used: "7300".to_owned(),
            crossed_at: crossed_at.to_owned(),
        };
        let both = [at("a", 80, false, "2026-11-19T10:00:00Z"), at("b", 120, true, "2026-11-20T11:00:00Z")];
        let shown = crossed(&both).into_string();
        let (first, second) = shown.split_once("id=\"a\"").unwrap();
        assert!(first.contains("2026-11-20 11:00") && first.contains("120 % hard"), "{first}");
        assert!(second.contains("80 %<") && second.contains("9,000") && second.contains("7,300"), "{second}");
    }
}
