//! Which flags there are: those that were ever evaluated, and those that the registry lists. Pure.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::{Name, Registry, Timestamp};
use flagmeter_store::SeriesSeen;

use super::plan::{Asked, FlagKey};

/// What is known of a flag beside its counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// The environments in which it was ever evaluated.
    pub(super) environments: BTreeSet<Name>,
    /// When it was first evaluated; `None` if never.
    pub(super) first_seen: Option<Timestamp>,
    /// When it was last evaluated; `None` if never.
    pub(super) last_seen: Option<Timestamp>,
    /// Whether the registry lists it; `None` where it has no list of flags.
    pub(super) in_registry: Option<bool>,
}

/// A page of flags.
#[derive(Debug)]
pub(super) struct Page {
    /// The flags, in order.
    pub(super) flags: Vec<(FlagKey, Found)>,
    /// The last of them, if there are more.
    pub(super) next: Option<FlagKey>,
}

/// The page that was asked for.
pub(super) fn page(asked: &Asked, seen: Vec<SeriesSeen>, registry: &Registry) -> Page {
    let mut all = listed(asked, registry);
    for SeriesSeen { series, first_seen, last_seen } in seen {
        let environment = series.environment;
        let in_registry = registry.knows_flag(&environment, &series.key.name);
        let key =
            FlagKey { customer: environment.customer, project: environment.project, flag: series.key.name };
        let found = all.entry(key).or_default();
        found.first_seen = Some(found.first_seen.map_or(first_seen, |first| first.min(first_seen)));
        found.last_seen = found.last_seen.max(Some(last_seen));
        found.in_registry = found.in_registry.or(in_registry);
        found.environments.insert(environment.environment);
    }
    let is_stale = |found: &Found, before| found.last_seen.is_none_or(|seen| seen < before);
    let mut meant = all
        .into_iter()
        .filter(|(key, _)| asked.after.as_ref().is_none_or(|after| key > after))
        .filter(|(_, found)| asked.stale_before.is_none_or(|before| is_stale(found, before)))
        .filter(|(_, found)| !asked.only_unknown || found.in_registry == Some(false));
    let flags: Vec<_> = meant.by_ref().take(asked.limit).collect();
    let next = meant.next().and_then(|_| flags.last().map(|(key, _)| key.clone()));
    Page { flags, next }
}

/// The flags that the registry lists for the projects that are meant.
fn listed(asked: &Asked, registry: &Registry) -> BTreeMap<FlagKey, Found> {
    let filter = asked.scope.filter();
    let mut all = BTreeMap::new();
    for customer in registry.customers() {
        for project in &customer.projects {
            let is_meant = project.environments.iter().any(|of| filter.takes_environment(&of.environment));
            for flag in project.flags.iter().flatten().filter(|_| is_meant) {
                if filter.names.is_empty() || filter.names.contains(flag) {
                    let key = FlagKey {
                        customer: customer.id.clone(),
                        project: project.id.clone(),
                        flag: flag.clone(),
                    };
                    all.insert(key, Found { in_registry: Some(true), ..Found::default() });
                }
            }
        }
    }
    all
}
