//! From what was counted by minute to the answer of `/v1/operator/top`. Pure.

use std::cmp::Reverse;

use flagmeter_model::{Name, Timestamp};
use flagmeter_store::{Answer, RowState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{per_second, to_four_places},
    plan::{Order, Plan},
};
use crate::answer::{Known, Missing, growth, shown, total};

/// Whose traffic is large, or changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Top {
    /// What is counted: `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// What comes first: `rate` or `change`.
    #[schema(example = "rate")]
    pub(crate) by: &'static str,
    /// Everything before this is in. Null before the first seal: then nothing is known of anyone.
    #[schema(required, example = "2026-11-20T12:44:50Z")]
    pub(crate) complete_until: Option<String>,
    /// Nodes that are silent: what they received is not in the rates.
    pub(crate) missing_nodes: Vec<Missing>,
    /// The window that rates are of: whole minutes, the last ones of which all is in.
    pub(crate) window: Window,
    /// The one just before it, as long.
    pub(crate) window_before: Window,
    /// The minutes of the sparklines.
    pub(crate) minutes: Minutes,
    /// All customers together.
    pub(crate) total: Line,
    /// The customers, the first ones as asked for. Who counted nothing in the hour is not among them.
    pub(crate) customers: Vec<CustomerLine>,
    /// Those beyond the limit, together. Null where there are none.
    #[schema(required)]
    pub(crate) others: Option<Others>,
}

/// A window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Window {
    /// First instant. Null where nothing is in yet.
    #[schema(required, example = "2026-11-20T12:39:00Z")]
    pub(crate) from: Option<String>,
    /// First instant after.
    #[schema(required, example = "2026-11-20T12:44:00Z")]
    pub(crate) to: Option<String>,
    /// What is known of it.
    pub(crate) state: Known,
}

/// The minutes of the sparklines: each has one value for each.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Minutes {
    /// First instant of the first. Null where nothing is in yet.
    #[schema(required, example = "2026-11-20T11:44:00Z")]
    pub(crate) from: Option<String>,
    /// First instant after the last.
    #[schema(required, example = "2026-11-20T12:44:00Z")]
    pub(crate) to: Option<String>,
    /// What is known of each.
    pub(crate) states: Vec<Known>,
}

/// What one or several customers count.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Line {
    /// Counts per second in the window. Null where nothing is known of it.
    #[schema(required, example = 123.4)]
    pub(crate) rate: Option<f64>,
    /// Counts per second in the window before.
    #[schema(required, example = 98.7)]
    pub(crate) rate_before: Option<f64>,
    /// By how much the rate is more, or less: null unless all of both windows is in.
    #[schema(required, example = 24.7)]
    pub(crate) difference: Option<f64>,
    /// The same as a share of the rate before: 0.25 is a quarter more. Null as well where that was 0.
    #[schema(required, example = 0.2503)]
    pub(crate) change: Option<f64>,
    /// Counts in all of the minutes of which something is known; null if there is none.
    #[schema(required, example = 402_193)]
    pub(crate) hour_total: Option<u64>,
    /// Counts in each of the minutes; null where nothing is known, which is never zero.
    pub(crate) sparkline: Vec<Option<u64>>,
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerLine {
    /// Who.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// What it counts.
    #[serde(flatten)]
    pub(crate) line: Line,
}

/// Customers beyond the limit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Others {
    /// How many they are.
    #[schema(example = 3)]
    pub(crate) customers: usize,
    /// What they count together.
    #[serde(flatten)]
    pub(crate) line: Line,
}

/// The windows of an answer, by the places of their minutes.
struct Spread<'a> {
    states: &'a [RowState],
    /// Minutes of a window, and the place at which it begins; that of the one before it.
    minutes: usize,
    begins: usize,
    begins_before: usize,
}

/// What a line comes to in the windows, to rank it by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(u64, u64);

impl<'a> Spread<'a> {
    fn new(states: &'a [RowState], window: u32) -> Self {
        let minutes = (window as usize).min(states.len());
        let begins = states.len() - minutes;
        Self { states, minutes, begins, begins_before: begins.saturating_sub(minutes) }
    }

    fn in_window<T: Copy>(&self, values: &[T]) -> Vec<T> {
        values.iter().skip(self.begins).copied().collect()
    }

    fn in_window_before<T: Copy>(&self, values: &[T]) -> Vec<T> {
        values.iter().take(self.begins).skip(self.begins_before).copied().collect()
    }

    fn sum(states: &[RowState], counts: &[u64]) -> Option<u64> {
        total(states.iter().copied().zip(counts.iter().copied()))
    }

    /// Counts in the window and the one before.
    fn sums(&self, counts: &[u64]) -> (Option<u64>, Option<u64>) {
        (
            Self::sum(&self.in_window(self.states), &self.in_window(counts)),
            Self::sum(&self.in_window_before(self.states), &self.in_window_before(counts)),
        )
    }

    fn weight(&self, order: Order, counts: &[u64]) -> Weight {
        let (now, before) = self.sums(counts);
        let (now, before) = (now.unwrap_or(0), before.unwrap_or(0));
        match order {
            Order::Rate => Weight(now, before),
            Order::Change => Weight(now.abs_diff(before), now),
        }
    }

    fn line(&self, counts: &[u64], is_comparable: bool) -> Line {
        let seconds = u32::try_from(self.minutes * 60).unwrap_or(u32::MAX);
        let (now, before) = self.sums(counts);
        let rate = |count: Option<u64>| count.map(|count| per_second(count, seconds));
        let (rate_now, rate_before) = (rate(now), rate(before));
        let both = rate_now.zip(rate_before).filter(|_| is_comparable);
        Line {
            rate: rate_now,
            rate_before,
            difference: both.map(|(now, before)| to_four_places(now - before)),
            change: now.zip(before).filter(|_| is_comparable).and_then(|(now, before)| growth(now, before)),
            hour_total: Self::sum(self.states, counts),
            sparkline: self
                .states
                .iter()
                .zip(counts)
                .map(|(state, count)| Known::from(*state).count(*count))
                .collect(),
        }
    }
}

impl Top {
    /// How many numbers it holds.
    pub(super) fn cells(&self) -> usize {
        (self.customers.len() + 2).saturating_mul(self.minutes.states.len().max(1))
    }
}

/// Shapes the answer. `edges` are those of the minutes.
pub(super) fn shape(plan: &Plan, edges: &[Timestamp], answer: Answer) -> Top {
    let Answer { rows, states, complete_until, missing, .. } = answer;
    let spread = Spread::new(&states, plan.window);
    let known = |states: &[RowState], edges: &[Timestamp]| Known::of_all(edges, states, complete_until);
    let window = known(&spread.in_window(&states), &spread.in_window(edges));
    let window_before = known(&spread.in_window_before(&states), &spread.in_window_before(edges));
    let is_comparable = window.is_comparable() && window_before.is_comparable();
    let mut ranked: Vec<(Name, Vec<u64>)> =
        rows.into_iter().filter_map(|row| Some((row.group.into_iter().next()??, row.counts))).collect();
    ranked.sort_by_cached_key(|(name, counts)| (Reverse(spread.weight(plan.order, counts)), name.clone()));
    let sum = |lines: &[(Name, Vec<u64>)]| {
        let mut sum = vec![0_u64; states.len()];
        for (_, counts) in lines {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
        spread.line(&sum, is_comparable)
    };
    let total = sum(&ranked);
    let beyond = ranked.split_off(plan.limit.min(ranked.len()));
    let at = |place: usize| shown(plan.zone, edges.get(place).copied());
    Top {
        meter: plan.meter.name(),
        by: plan.order.name(),
        complete_until: shown(plan.zone, complete_until),
        missing_nodes: Missing::list(&missing, plan.zone),
        window: Window { from: at(spread.begins), to: at(states.len()), state: window },
        window_before: Window { from: at(spread.begins_before), to: at(spread.begins), state: window_before },
        minutes: Minutes {
            from: at(0),
            to: at(states.len()),
            states: states.iter().copied().map(Known::from).collect(),
        },
        total,
        others: (!beyond.is_empty()).then(|| Others { customers: beyond.len(), line: sum(&beyond) }),
        customers: ranked
            .into_iter()
            .map(|(customer, counts)| CustomerLine { customer, line: spread.line(&counts, is_comparable) })
            .collect(),
    }
}

/// The answer where nothing is in yet.
pub(super) fn nothing(plan: &Plan, missing: Vec<Missing>) -> Top {
    let nothing = Answer {
        rows: Vec::new(),
        states: Vec::new(),
        complete_until: None,
        missing: Vec::new(),
        parts: Vec::new(),
        beyond_retention: None,
    };
    Top { missing_nodes: missing, ..shape(plan, &[], nothing) }
}
