use chrono_tz::Tz;
use flagmeter_model::{TimeRange, Timestamp};
use flagmeter_store::Floors;
use proptest::prelude::*;

use super::{super::plan, *};
use crate::{
    Config,
    access::{Principal, Role},
    parameters::Parameters,
};

/// A plan of `buckets` buckets of a minute.
fn plan_of(buckets: usize, query: &str) -> Plan {
    let uri = format!("/v1/usage?from=-{buckets}m&resolution=1m&{query}").parse().unwrap();
    let principal = Principal { token_id: "abc".into(), role: Role::Operator };
    let now = Timestamp::from_seconds_clamped(1_800_000_000);
    let parameters = Parameters::read(&uri, plan::KNOWN).unwrap();
    let asked = plan::ask(&parameters, &principal, Tz::UTC, &Config::default()).unwrap();
    asked.plan(asked.range(now).unwrap(), &Floors::default(), &Config::default()).unwrap()
}

fn answer(rows: Vec<Row>, states: Vec<RowState>) -> Answer {
    Answer { rows, states, complete_until: None, missing: vec![], parts: vec![], beyond_retention: None }
}

fn row(group: &str, counts: &[u64]) -> Row {
    Row { group: vec![Some(Name::new(group).unwrap())], counts: counts.to_vec() }
}

/// (flag, counts) of each group, in the order of the answer.
fn by_flag(usage: &Usage) -> Vec<(String, Vec<Option<u64>>)> {
    let mut groups: Vec<(String, Vec<Option<u64>>)> = Vec::new();
    for row in &usage.rows {
        let flag = row.group.text(Dimension::Name);
        match groups.iter_mut().find(|(name, _)| name == flag) {
            Some((_, counts)) => counts.push(row.count),
            None => groups.push((flag.to_owned(), vec![row.count])),
        }
    }
    groups
}

use RowState::{Complete, Open, Unknown};

#[test]
fn the_top_groups_come_first_and_the_rest_is_added_up() {
    let rows = vec![row("a", &[1, 1]), row("b", &[5, 5]), row("c", &[0, 3]), row("d", &[4, 0])];
    let usage = shape(&plan_of(2, "group_by=flag&limit=2"), answer(rows, vec![Complete, Open]));
    let expected = [("b", [5, 5]), ("d", [4, 0]), (OTHER, [1, 4])];
    let expected: Vec<_> =
        expected.map(|(name, counts)| (name.to_owned(), counts.map(Some).to_vec())).into_iter().collect();
    assert_eq!(by_flag(&usage), expected);
    assert_eq!((usage.total, usage.state), (Some(19), Known::Open));
}

#[test]
fn what_was_folded_at_the_edge_is_never_among_the_top() {
    let rows = vec![row(OTHER, &[100]), row("a", &[2]), row("b", &[1])];
    let usage = shape(&plan_of(1, "group_by=flag&limit=2"), answer(rows.clone(), vec![Complete]));
    assert_eq!(by_flag(&usage).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", OTHER]);
    let usage = shape(&plan_of(1, "group_by=flag&limit=1"), answer(rows, vec![Complete]));
    assert_eq!(by_flag(&usage), [("a".to_owned(), vec![Some(2)]), (OTHER.to_owned(), vec![Some(101)])]);
}

#[test]
fn what_is_unknown_is_null_and_what_is_known_to_be_nothing_is_zero() {
    let rows = vec![Row { group: vec![], counts: vec![0, 0, 7] }];
    let usage = shape(&plan_of(3, ""), answer(rows, vec![Unknown, Complete, Complete]));
    let counts: Vec<_> = usage.rows.iter().map(|row| row.count).collect();
    assert_eq!(counts, [None, Some(0), Some(7)]);
    let json = serde_json::to_value(&usage).unwrap();
    assert_eq!(json["rows"][0]["count"], serde_json::Value::Null);
    assert_eq!(json["rows"][0]["state"], "unknown");
    assert_eq!(json["rows"][1]["count"], 0);
}

#[test]
fn a_range_of_which_nothing_is_known_has_no_total() {
    let usage = shape(&plan_of(2, ""), answer(vec![], vec![Unknown, Unknown]));
    assert_eq!((usage.total, usage.state, usage.rows.len()), (None, Known::Unknown, 2));
}

#[test]
fn buckets_without_any_group_still_tell_their_state() {
    let usage = shape(&plan_of(2, "group_by=flag"), answer(vec![], vec![Unknown, Complete]));
    assert_eq!(usage.rows.iter().map(|row| row.count).collect::<Vec<_>>(), [None, Some(0)]);
    assert_eq!(usage.rows[0].group, Group::default());
}

#[test]
fn a_bucket_is_compared_with_the_one_at_the_same_position_before() {
    let rows = vec![row("a", &[1, 2, 3, 4])];
    let states = vec![Unknown, Complete, Complete, Open];
    let usage = shape(&plan_of(2, "group_by=flag&compare=previous"), answer(rows, states));
    let pairs: Vec<_> =
        usage.rows.iter().map(|row| (row.count, row.previous.as_ref().unwrap().count)).collect();
    assert_eq!(pairs, [(Some(3), None), (Some(4), Some(2))]);
    let previous = usage.previous.as_ref().unwrap();
    assert_eq!((usage.total, previous.total, previous.state), (Some(7), Some(2), Known::Partial));
    assert_eq!(previous.to, usage.from);
    assert_eq!(usage.rows[0].previous.as_ref().unwrap().state, Known::Unknown);
}

#[test]
fn what_retention_took_from_the_range_before_is_not_said_of_the_range() {
    let plan = plan_of(2, "compare=previous");
    let mut of_both = answer(vec![], vec![Unknown, Complete, Complete, Complete]);
    of_both.beyond_retention = Some(plan.edges[0]);
    assert_eq!(shape(&plan, of_both.clone()).beyond_retention, None);
    of_both.states = vec![Unknown; 4];
    let usage = shape(&plan, of_both);
    assert_eq!(usage.beyond_retention.as_deref(), Some(&*usage.rows[0].start));
}

fn any_state() -> impl Strategy<Value = RowState> {
    prop_oneof![Just(Complete), Just(Open), Just(RowState::Partial), Just(Unknown)]
}

fn any_answer() -> impl Strategy<Value = (usize, Vec<Row>, Vec<RowState>)> {
    (1_usize..6, 0_usize..12).prop_flat_map(|(buckets, groups)| {
        let states = prop::collection::vec(any_state(), buckets * 2);
        let counts = prop::collection::vec(prop::collection::vec(0_u64..1_000, buckets * 2), groups);
        (Just(buckets), counts, states).prop_map(|(buckets, counts, states)| {
            let rows = counts.into_iter().enumerate().map(|(at, counts)| {
                let group = if at == 7 { OTHER.to_owned() } else { format!("flag-{at}") };
                row(&group, &counts)
            });
            (buckets, rows.collect(), states)
        })
    })
}

proptest! {
    #[test]
    fn rows_add_up_to_the_total_whatever_the_limit((buckets, rows, states) in any_answer(), limit in 1_usize..14) {
        let plan = plan_of(buckets, &format!("group_by=flag&limit={limit}&compare=previous"));
        let usage = shape(&plan, answer(rows.clone(), states.clone()));
        let exact = |range: std::ops::Range<usize>| -> u64 {
            range.filter(|at| states[*at] != Unknown).map(|at| rows.iter().map(|row| row.counts[at]).sum::<u64>()).sum()
        };
        let sum: u64 = usage.rows.iter().filter_map(|row| row.count).sum();
        prop_assert_eq!(sum, exact(buckets..2 * buckets));
        prop_assert_eq!(usage.total.unwrap_or(0), sum);
        let sum_before: u64 =
            usage.rows.iter().filter_map(|row| row.previous.as_ref().and_then(|before| before.count)).sum();
        prop_assert_eq!(sum_before, exact(0..buckets));
        prop_assert!(usage.rows.len() <= buckets * (limit + 1));
        prop_assert_eq!(usage.rows.len(), plan.rows_of(rows.len()).unwrap());
        for row in &usage.rows {
            prop_assert_eq!(row.count.is_none(), row.state == Known::Unknown);
        }
    }

    #[test]
    fn every_group_has_every_bucket_and_times_touch((buckets, rows, states) in any_answer()) {
        let groups = rows.len().max(1);
        let plan = plan_of(buckets, "group_by=flag&compare=previous");
        let usage = shape(&plan, answer(rows, states));
        prop_assert_eq!(usage.rows.len(), buckets * groups);
        for pair in usage.rows.windows(groups + 1) {
            prop_assert_eq!(&pair[0].end, &pair[groups].start);
        }
        let range = TimeRange::new(plan.edges[buckets], plan.edges[2 * buckets]);
        prop_assert_eq!(plan.range(), range);
    }
}
