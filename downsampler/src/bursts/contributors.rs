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
/// much time just before.
pub(super) async fn contributors(store: &dyn Store, alerted: &Alerted) -> Result<Vec<Contributor>> {
    let (since, seen_at) = (alerted.since.floor_to(10), alerted.seen_at.floor_to(10));
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
    if matches!(alerted.of, Subject::Environment(_) | Subject::Flag(..)) {
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
