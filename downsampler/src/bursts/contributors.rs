//! Where what is out of the ordinary comes from.

use std::cmp::Reverse;

use flagmeter_ledger::{AlertKind, Alerted, Contributor, Part, Subject};
use flagmeter_model::Name;
use flagmeter_store::{AxisChoice, ByNode, Dimension, Filter, NodeCounts, Read, RowState, Store, TierChoice};

use crate::{Error, Result};

/// Flags or SDKs that are looked at for what an alert comes from, at most.
const CONTRIBUTORS_READ_MAX: usize = 100_000;
/// Contributors of each sort that are told.
const CONTRIBUTORS_TOLD: usize = 5;

/// Nodes are told of what began no longer ago: they are read from raw points, and of days these are many.
const NODES_SECONDS_MAX: i64 = 3_600;

/// What began so long ago is read to the hour, or to the minute: finer ones may be past their retention.
const fn read_to_seconds(length_seconds: i64) -> i64 {
    match length_seconds {
        ..=3_600 => 10,
        3_601..=86_400 => 60,
        _ => 3_600,
    }
}

/// All of it.
fn of(subject: &Subject) -> Filter {
    let names = |name: Option<&Name>| name.cloned().into_iter().collect();
    Filter {
        customers: vec![subject.customer().clone()],
        projects: names(subject.project()),
        environments: names(subject.environment()),
        names: names(subject.flag()),
        ..Filter::default()
    }
}

/// What it may come from, and by what that is told apart.
const fn parts(of: &Subject) -> &'static [(Part, Dimension)] {
    const FLAG: (Part, Dimension) = (Part::Flag, Dimension::Name);
    const SDK: (Part, Dimension) = (Part::Sdk, Dimension::Sdk);
    match of {
        Subject::Customer(_) => &[(Part::Project, Dimension::Project), FLAG, SDK],
        Subject::Project { .. } => &[(Part::Environment, Dimension::Environment), FLAG, SDK],
        Subject::Environment(_) => &[FLAG, SDK],
        Subject::Flag(..) => &[SDK],
    }
}

/// Where most of what was counted beyond (or below) the ordinary comes from: what was counted since it began, beside as
/// much time just before; of what began long ago, to the minute or the hour.
pub(super) async fn contributors(store: &dyn Store, alerted: &Alerted) -> Result<Vec<Contributor>> {
    let length_seconds = alerted.seen_at.millis_since(alerted.since) / 1_000;
    let to = read_to_seconds(length_seconds);
    let (since, seen_at) = (alerted.since.floor_to(to), alerted.seen_at.floor_to(to));
    let before = since.plus_millis(-seen_at.millis_since(since));
    if before >= since {
        return Ok(Vec::new());
    }
    let (meter, edges, filter) = (alerted.meter, vec![before, since, seen_at], of(&alerted.of));
    let mut told = Vec::new();
    for (part, dimension) in parts(&alerted.of) {
        let read = Read {
            meter,
            edges: edges.clone(),
            filter: filter.clone(),
            group_by: vec![*dimension],
            tiers: TierChoice::Cover,
            axis: AxisChoice::Any,
            groups_max: CONTRIBUTORS_READ_MAX,
        };
        match store.read(&read).await {
            // What is not known before it began is not nothing, and all would seem to come from whoever is named first.
            Ok(answer) if answer.states.iter().any(|state| *state != RowState::Complete) => {
                return Ok(Vec::new());
            }
            Ok(answer) => {
                let parts = answer.rows.into_iter();
                let parts = parts.map(|row| (row.group.into_iter().next().flatten(), row.counts));
                told.extend(most(alerted.kind, *part, parts));
            }
            // An alert without them is worth more than none.
            Err(flagmeter_store::Error::TooMany { .. }) => {}
            Err(error) => return Err(Error::Store(error)),
        }
    }
    let has_nodes = matches!(alerted.of, Subject::Environment(_) | Subject::Flag(..));
    if has_nodes && length_seconds <= NODES_SECONDS_MAX {
        match store.by_node(&ByNode { meter, edges, filter }).await {
            Ok(nodes) => {
                let nodes = nodes.into_iter();
                let nodes =
                    nodes.map(|NodeCounts { node, counts }| (Name::new(&node.to_string()).ok(), counts));
                told.extend(most(alerted.kind, Part::Node, nodes));
            }
            // Raw points are past their retention, or more than are read at once.
            Err(flagmeter_store::Error::Unanswerable(_) | flagmeter_store::Error::TooMany { .. }) => {}
            Err(error) => return Err(Error::Store(error)),
        }
    }
    Ok(told)
}

/// Those that most of it comes from, of what each counted before and since.
fn most(
    kind: AlertKind,
    part: Part,
    counts: impl Iterator<Item = (Option<Name>, Vec<u64>)>,
) -> Vec<Contributor> {
    let kept = i64::MAX.unsigned_abs();
    let contributor = |(name, counts): (_, Vec<u64>)| {
        let [before, count] = <[u64; 2]>::try_from(counts).ok()?;
        Some(Contributor { part, name, count: count.min(kept), before: before.min(kept) })
    };
    let weight = |one: &Contributor| match kind {
        AlertKind::Burst => one.count.saturating_sub(one.before),
        AlertKind::Drop => one.before.saturating_sub(one.count),
    };
    let mut parts: Vec<Contributor> = counts.filter_map(contributor).filter(|one| weight(one) > 0).collect();
    parts.sort_by_key(|one| (Reverse(weight(one)), one.name.clone()));
    parts.truncate(CONTRIBUTORS_TOLD);
    parts
}
