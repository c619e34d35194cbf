//! Questions in InfluxQL.
//!
//! Identifiers are constants of ours; what comes from strangers stands in string literals alone, and [`literal`]
//! lets none of it out.

use std::fmt::{self, Write as _};

use flagmeter_model::{Environment, Meter, Name, TimeRange, Timestamp};

use super::schema::{nanoseconds, tag_text};
use crate::{Dimension, Filter};

/// The tag that tells what is counted.
pub(super) const METER: &str = "meter";

/// The tags that tell an environment.
pub(super) const ENVIRONMENT_TAGS: [&str; 3] =
    [tag(Dimension::Customer), tag(Dimension::Project), tag(Dimension::Environment)];

/// The tag of a dimension.
pub(super) const fn tag(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Customer => "customer",
        Dimension::Project => "project",
        Dimension::Environment => "environment",
        Dimension::Name => "name",
        Dimension::Variant => "variant",
        Dimension::Sdk => "sdk",
    }
}

/// A string literal of InfluxQL.
pub(super) fn literal(text: &str) -> impl fmt::Display + '_ {
    Literal(text)
}

struct Literal<'a>(&'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\'' => f.write_str("\\'")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('\'')
    }
}

/// What stands after `WHERE`: conditions that all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Where(String);

impl Where {
    /// Points of a range of time. Every question for counts has one, so that none reads more than it must.
    pub(super) fn within(range: TimeRange) -> Self {
        Self(format!("time >= {} AND time < {}", nanoseconds(range.from), nanoseconds(range.to)))
    }

    /// Points of any time.
    pub(super) fn always() -> Self {
        Self::within(TimeRange::new(Timestamp::EPOCH, Timestamp::MAX))
    }

    /// Of one meter.
    pub(super) fn meter(self, meter: Meter) -> Self {
        self.and(format_args!("\"{METER}\" = {}", literal(meter.name())))
    }

    /// Of the series, or totals, that a filter means. Totals have no more dimensions than environments.
    pub(super) fn filter(self, filter: &Filter) -> Self {
        let some = |names: &[Name]| names.iter().cloned().map(Some).collect::<Vec<_>>();
        self.any(Dimension::Customer, &some(&filter.customers))
            .any(Dimension::Project, &some(&filter.projects))
            .any(Dimension::Environment, &some(&filter.environments))
            .any(Dimension::Name, &some(&filter.names))
            .any(Dimension::Variant, &filter.variants)
            .any(Dimension::Sdk, &filter.sdks)
    }

    /// What a filter says of environments alone, to stand behind other conditions; empty where it means all of them.
    pub(super) fn environments_of(filter: &Filter) -> String {
        let all = Filter { names: Vec::new(), variants: Vec::new(), sdks: Vec::new(), ..filter.clone() };
        Self(String::new()).filter(&all).0
    }

    /// Of any of these environments.
    pub(super) fn environments<'e>(self, environments: impl IntoIterator<Item = &'e Environment>) -> Self {
        let is = |environment: &Environment| format!("({})", tags_of(environment, "=").join(" AND "));
        self.or(environments.into_iter().map(is))
    }

    /// Of none of these environments. The language has no `NOT`.
    pub(super) fn without<'e>(self, environments: impl IntoIterator<Item = &'e Environment>) -> Self {
        environments.into_iter().fold(self, |conditions, environment| {
            conditions.and(format_args!("({})", tags_of(environment, "!=").join(" OR ")))
        })
    }

    /// With one of these values, where there are any.
    pub(super) fn any(self, dimension: Dimension, values: &[Option<Name>]) -> Self {
        self.or(values.iter().map(|value| equal(dimension, value.as_ref())))
    }

    fn or(self, conditions: impl Iterator<Item = String>) -> Self {
        let mut any = conditions.fold(String::new(), |mut any, condition| {
            any.push_str(if any.is_empty() { "(" } else { " OR " });
            any.push_str(&condition);
            any
        });
        if any.is_empty() {
            return self;
        }
        any.push(')');
        self.and(format_args!("{any}"))
    }

    fn and(mut self, condition: fmt::Arguments<'_>) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.0, " AND {condition}");
        self
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// InfluxQL takes a tag that is not there for an empty one.
fn equal(dimension: Dimension, value: Option<&Name>) -> String {
    let text = value.map_or_else(Default::default, |name| tag_text(name));
    format!("\"{}\" = {}", tag(dimension), literal(&text))
}

/// The tags of an environment, each compared with its value.
fn tags_of(environment: &Environment, compared: &str) -> [String; 3] {
    let Environment { customer, project, environment } = environment;
    [(Dimension::Customer, customer), (Dimension::Project, project), (Dimension::Environment, environment)]
        .map(|(dimension, name)| format!("\"{}\" {compared} {}", tag(dimension), literal(&tag_text(name))))
}

/// Buckets of equal length in a row, cut off at the ends of a part: one `GROUP BY time(…)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The part of the run.
    pub(super) range: TimeRange,
    /// Start of the first bucket, which may lie before the range.
    first: Timestamp,
    /// Length of the buckets in seconds.
    seconds: i64,
    buckets: usize,
}

impl Run {
    /// `GROUP BY` with these tags; empty where there is nothing to group by.
    pub(super) fn group_by(&self, tags: &[&str]) -> String {
        let time = (self.buckets > 1).then(|| {
            let offset = self.first.as_seconds().rem_euclid(self.seconds.max(1));
            format!("time({}s, {offset}s)", self.seconds)
        });
        let is_by_time = time.is_some();
        let columns: Vec<String> =
            time.into_iter().chain(tags.iter().map(|tag| format!("\"{tag}\""))).collect();
        match (columns.is_empty(), is_by_time) {
            (true, _) => String::new(),
            (false, true) => format!(" GROUP BY {} fill(none)", columns.join(", ")),
            (false, false) => format!(" GROUP BY {}", columns.join(", ")),
        }
    }
}

/// The runs of buckets that a part lies in, in order, each of so many buckets at most.
pub(super) fn runs(edges: &[Timestamp], part: TimeRange, buckets_max: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let from = edges.partition_point(|&edge| edge <= part.from).saturating_sub(1);
    for pair in edges.get(from..).unwrap_or_default().windows(2) {
        let &[start, end] = pair else { continue };
        let range = TimeRange::new(start, end).intersection(part);
        if start >= part.to {
            break;
        }
        if range.is_empty() {
            continue;
        }
        let seconds = end.millis_since(start) / 1_000;
        match runs.last_mut() {
            Some(run) if run.seconds == seconds && run.buckets < buckets_max => {
                run.range.to = range.to;
                run.buckets += 1;
            }
            _ => runs.push(Run { range, first: start, seconds, buckets: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use flagmeter_model::Limits;
    use proptest::prelude::*;

    use super::*;

    /// A literal as InfluxQL's own scanner reads it, and what stands after it. None if it is none.
    fn scanned(text: &str) -> Option<(String, &str)> {
        let mut characters = text.char_indices();
        let (_, '\'') = characters.next()? else { return None };
        let mut read = String::new();
        while let Some((at, character)) = characters.next() {
            match character {
                '\'' => return Some((read, &text[at + 1..])),
                '\n' => return None,
                '\\' => match characters.next()?.1 {
                    'n' => read.push('\n'),
                    escaped @ ('\\' | '"' | '\'') => read.push(escaped),
                    _ => return None,
                },
                other => read.push(other),
            }
        }
        None
    }

    fn nasty() -> impl Strategy<Value = String> {
        prop_oneof!["[\\\\'\";=, a-c%5C25\n]{0,24}", any::<String>()]
    }

    fn name() -> impl Strategy<Value = Name> {
        nasty().prop_filter_map("a name", |text| Name::new(&text).ok())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds_clamped(second)
    }

    /// Every token of a condition that is not a literal, and the literals.
    fn taken_apart(mut text: &str) -> (String, Vec<String>) {
        let (mut rest, mut literals) = (String::new(), Vec::new());
        while let Some(at) = text.find('\'') {
            rest.push_str(&text[..at]);
            let (literal, after) = scanned(&text[at..]).expect("a literal");
            literals.push(literal);
            rest.push('?');
            text = after;
        }
        rest.push_str(text);
        (rest, literals)
    }

    proptest! {
        #[test]
        fn whatever_the_text_it_stays_in_its_literal(text in nasty(), after in nasty()) {
            let question = format!("{}{after}", literal(&text));
            prop_assert_eq!(scanned(&question), Some((text, after.as_str())));
        }

        #[test]
        fn no_name_changes_the_shape_of_a_condition(name in name(), other in name()) {
            let of = |name: &Name, other: &Name| {
                let environment =
                    Environment { customer: name.clone(), project: other.clone(), environment: name.clone() };
                let filter = Filter {
                    customers: vec![name.clone(), other.clone()],
                    names: vec![other.clone()],
                    variants: vec![None, Some(name.clone())],
                    ..Filter::default()
                };
                let conditions = Where::always().meter(Meter::Evaluations).filter(&filter);
                conditions.environments([&environment]).without([&environment]).to_string()
            };
            let plain = Name::new("plain").unwrap();
            let (shape, literals) = taken_apart(&of(&name, &other));
            prop_assert_eq!(shape, taken_apart(&of(&plain, &plain)).0);
            let (name, other) = (tag_text(&name).into_owned(), tag_text(&other).into_owned());
            let expected =
                ["evaluations", &name, &other, &other, "", &name, &name, &other, &name, &name, &other, &name]
                    .map(str::to_owned);
            prop_assert_eq!(literals, expected);
        }

        #[test]
        fn runs_cover_the_part_and_never_mix_lengths(
            lengths in prop::collection::vec(prop_oneof![Just(10_i64), Just(60), Just(3_600), Just(82_800)], 1..30),
            first in 0..100_000_i64,
            ends in (0.0..=1.0, 0.0..=1.0),
            buckets_max in 1..9_usize,
        ) {
            let edges: Vec<Timestamp> = std::iter::once(0)
                .chain(lengths.iter().scan(0, |at, length| { *at += length; Some(*at) }))
                .map(|second| at(second + first * 10))
                .collect();
            let span = edges[edges.len() - 1].millis_since(edges[0]) / 1_000;
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers")]
            let second = |share: f64| (span as f64 * share) as i64 / 10 * 10;
            let (a, b) = (second(ends.0), second(ends.1));
            let part = TimeRange::new(edges[0].plus_seconds(a.min(b)), edges[0].plus_seconds(a.max(b)));
            let runs = runs(&edges, part, buckets_max);
            let mut next = part.from;
            for run in &runs {
                prop_assert_eq!(run.range.from, next, "they touch");
                prop_assert!(!run.range.is_empty() && run.buckets <= buckets_max);
                next = run.range.to;
                // Every edge inside a run is where InfluxQL begins a window.
                let offset = run.first.as_seconds().rem_euclid(run.seconds);
                for edge in edges.iter().filter(|&&edge| run.range.from < edge && edge < run.range.to) {
                    prop_assert_eq!((edge.as_seconds() - offset) % run.seconds, 0);
                    prop_assert!(run.buckets > 1);
                }
            }
            prop_assert_eq!(next.max(part.from), part.to.max(part.from));
        }
    }

    #[test]
    fn days_with_a_change_of_the_clock_are_three_runs() {
        let hour = 3_600;
        let edges: Vec<Timestamp> =
            [0, 24, 48, 71, 95, 119].map(|hours| at(1_000_000 * hour + hours * hour)).into();
        let runs = runs(&edges, TimeRange::new(edges[0], edges[5]), 9);
        let told: Vec<_> = runs.iter().map(|run| run.group_by(&["name"])).collect();
        let whole = "GROUP BY time(86400s, 57600s), \"name\" fill(none)";
        assert_eq!(told[0].trim(), whole);
        assert_eq!(told[1].trim(), "GROUP BY \"name\"");
        assert_eq!(told[2].trim(), whole.replace("57600", "54000"));
        assert_eq!(runs.len(), 3);
    }

    #[test]
    fn the_longest_name_is_a_literal_like_all_others() {
        let name = "'".repeat(Limits::NAME_BYTES_MAX);
        assert_eq!(literal(&name).to_string().len(), 2 * name.len() + 2);
    }
}
