//! Which flags there are: those that were ever evaluated, and those that the registry lists. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;

use flagmeter_model::{Customer, ListedFlag, Name, Registry, Timestamp};
use flagmeter_store::SeriesSeen;

use super::plan::{Asked, FlagKey};
use crate::civil;

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
    /// What the registry says of it, if it lists it.
    pub(super) listed: ListedFlag,
    /// Whether the day of its removal is over.
    pub(super) past_removal: bool,
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
        let key =
            FlagKey { customer: environment.customer, project: environment.project, flag: series.key.name };
        let found = all.entry(key).or_default();
        found.first_seen = Some(found.first_seen.map_or(first_seen, |first| first.min(first_seen)));
        found.last_seen = found.last_seen.max(Some(last_seen));
        found.environments.insert(environment.environment);
    }
    for (key, found) in &mut all {
        found.look_up(key, registry, asked.now);
    }
    let is_stale = |found: &Found, before| found.last_seen.is_none_or(|seen| seen < before);
    let mut meant = all
        .into_iter()
        .filter(|(key, _)| asked.after.as_ref().is_none_or(|after| key > after))
        .filter(|(_, found)| asked.stale_before.is_none_or(|before| is_stale(found, before)))
        .filter(|(_, found)| !asked.only_unknown || found.in_registry == Some(false))
        .filter(|(_, found)| !asked.only_past_removal || found.past_removal)
        .filter(|(_, found)| !asked.only_without_owner || found.listed.owner.is_none())
        .filter(|(key, _)| asked.search.as_ref().is_none_or(|text| key.flag.to_lowercase().contains(text)));
    let flags: Vec<_> = meant.by_ref().take(asked.limit).collect();
    let next = meant.next().and_then(|_| flags.last().map(|(key, _)| key.clone()));
    Page { flags, next }
}

impl Found {
    /// Looks up what the registry says of it, even if no environment of it is registered any more.
    fn look_up(&mut self, key: &FlagKey, registry: &Registry, now: Timestamp) {
        let Some((customer, project)) = registry.project(&key.customer, &key.project) else { return };
        let Some(flags) = &project.flags else { return };
        let listed = flags.get(&key.flag);
        self.in_registry = Some(listed.is_some());
        self.listed = listed.cloned().unwrap_or_default();
        self.past_removal =
            self.listed.remove_by.is_some_and(|day| day < civil::local(zone(customer), now).date());
    }
}

/// Whose days the registry means.
fn zone(customer: &Customer) -> Tz {
    customer.time_zone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC)
}

/// The flags that the registry lists for the projects that are meant.
fn listed(asked: &Asked, registry: &Registry) -> BTreeMap<FlagKey, Found> {
    let filter = asked.scope.filter();
    let mut all = BTreeMap::new();
    for customer in registry.customers() {
        for project in &customer.projects {
            let is_meant = project.environments.iter().any(|of| filter.takes_environment(&of.environment));
            let flags = project.flags.iter().flat_map(|flags| flags.keys());
            for flag in flags.filter(|_| is_meant) {
                if filter.names.is_empty() || filter.names.contains(flag) {
                    let key = FlagKey {
                        customer: customer.id.clone(),
                        project: project.id.clone(),
                        flag: flag.clone(),
                    };
                    all.insert(key, Found::default());
                }
            }
        }
    }
    all
}
