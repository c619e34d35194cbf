//! Who plays in the demo: customers in several time zones, their projects, environments and flags.

use std::fmt::Write as _;

use chrono::{Days, NaiveDate};

use flagmeter_model::Timestamp;

use super::history::rhythm;
use crate::send::Door;

/// A customer.
pub(super) struct Customer {
    pub(super) id: &'static str,
    name: &'static str,
    time_zone: &'static str,
    /// Evaluations that its plan includes in a month.
    included: Option<u64>,
    /// Roughly, for the rhythm of its days; the zone itself is for the charts.
    pub(super) hours_east: f64,
    pub(super) projects: &'static [Project],
}

/// A project.
pub(super) struct Project {
    pub(super) id: &'static str,
    /// The most used first.
    pub(super) flags: &'static [Flag],
    pub(super) environments: &'static [Environment],
}

/// A flag.
#[derive(Clone, Copy)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// Whether code asks for it no longer: only the first day of the history has it.
    pub(super) retired: bool,
    /// Whether it is missing in the registry: what is evaluated all the same is shown as unknown.
    ghost: bool,
    owner: Option<&'static str>,
    /// Days from the start of the demo to the one by which it should be gone; less than none where that is over.
    remove_in: Option<i16>,
}

const fn flag(name: &'static str) -> Flag {
    Flag { name, retired: false, ghost: false, owner: None, remove_in: None }
}

impl Flag {
    const fn retired(self) -> Self {
        Self { retired: true, ..self }
    }

    const fn ghost(self) -> Self {
        Self { ghost: true, ..self }
    }

    const fn of(self, owner: &'static str) -> Self {
        Self { owner: Some(owner), ..self }
    }

    const fn remove_in(self, days: i16) -> Self {
        Self { remove_in: Some(days), ..self }
    }

    /// As it stands in a registry that is written `today`; `None` if it does not.
    fn listed(&self, today: NaiveDate) -> Option<String> {
        if self.ghost {
            return None;
        }
        let Self { name, owner, remove_in, .. } = self;
        let owner = owner.map(|owner| format!(", owner = \"{owner}\""));
        let remove_by = remove_in.and_then(|days| {
            let away = Days::new(days.unsigned_abs().into());
            if days < 0 { today.checked_sub_days(away) } else { today.checked_add_days(away) }
        });
        let remove_by = remove_by.map(|day| format!(", remove_by = \"{day}\""));
        let said = [owner, remove_by].into_iter().flatten().collect::<String>();
        Some(if said.is_empty() { format!("\"{name}\"") } else { format!("{{ id = \"{name}\"{said} }}") })
    }
}

/// An environment.
pub(super) struct Environment {
    pub(super) id: &'static str,
    /// What its SDKs speak.
    pub(super) door: Door,
    pub(super) sdk: &'static str,
    /// Its part in the posts at noon.
    pub(super) share: f64,
    /// Whether its traffic bursts now and then.
    pub(super) bursts: bool,
}

const fn production(door: Door, sdk: &'static str, share: f64, bursts: bool) -> Environment {
    Environment { id: "production", door, sdk, share, bursts }
}

const fn staging(sdk: &'static str) -> Environment {
    Environment { id: "staging", door: Door::Counts, sdk, share: 0.02, bursts: false }
}

pub(super) const CAST: &[Customer] = &[
    Customer {
        id: "acme",
        name: "Acme Inc",
        time_zone: "Europe/Berlin",
        included: Some(75_000_000),
        hours_east: 1.0,
        projects: &[
            Project {
                id: "web",
                flags: &[
                    flag("checkout-v2").of("payments").remove_in(40),
                    flag("new-search").of("search"),
                    flag("dark-mode").of("web"),
                    flag("free-shipping").of("payments").remove_in(-9),
                    flag("beta-banner"),
                    flag("old-checkout").ghost(),
                    flag("spring-sale").of("marketing").remove_in(-2).retired(),
                ],
                environments: &[
                    production(Door::FlagsmithV1, "flagsmith-nodejs-sdk/6.2.0", 0.3, true),
                    staging("flagsmith-nodejs-sdk/6.3.0"),
                ],
            },
            Project {
                id: "mobile",
                flags: &[
                    flag("onboarding-3").of("growth").remove_in(12),
                    flag("push-digest").of("growth"),
                    flag("biometric-login").of("identity"),
                    flag("compact-feed"),
                ],
                environments: &[production(Door::FlagsmithV2, "flagsmith-js-sdk/12.1.0", 0.15, false)],
            },
        ],
    },
    Customer {
        id: "globex",
        name: "Globex",
        time_zone: "America/New_York",
        included: Some(250_000_000),
        hours_east: -5.0,
        projects: &[Project {
            id: "shop",
            flags: &[
                flag("one-click-buy").of("checkout"),
                flag("price-test").of("pricing").remove_in(-30),
                flag("recommendations").of("discovery"),
                flag("gift-cards").of("checkout").remove_in(90),
                flag("loyalty"),
            ],
            environments: &[
                production(Door::Counts, "shop-service/4.1", 0.2, false),
                staging("shop-service/4.2-rc1"),
            ],
        }],
    },
    Customer {
        id: "initech",
        name: "Initech",
        time_zone: "Asia/Kolkata",
        included: None,
        hours_east: 5.5,
        projects: &[Project {
            id: "backoffice",
            flags: &[
                flag("tps-cover-sheet"),
                flag("report-export"),
                flag("sso"),
                flag("audit-trail").ghost(),
            ],
            environments: &[production(Door::Counts, "backoffice/2024.11", 0.15, false)],
        }],
    },
    Customer {
        id: "wonka",
        name: "Wonka",
        time_zone: "Australia/Sydney",
        included: Some(20_000_000),
        hours_east: 11.0,
        projects: &[Project {
            id: "api",
            flags: &[
                flag("golden-ticket").of("willy"),
                flag("rate-limit-v2").of("platform").remove_in(5),
                flag("cocoa-pricing").of("pricing"),
            ],
            environments: &[
                production(Door::FlagsmithV1, "flagsmith-rust-sdk/2.1.0", 0.16, true),
                staging("flagsmith-rust-sdk/2.1.0"),
            ],
        }],
    },
];

/// An environment with all that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Role {
    pub(super) customer: &'static Customer,
    pub(super) project: &'static Project,
    pub(super) environment: &'static Environment,
}

/// Entries of a post.
pub(super) const ENTRIES: usize = 2;

impl Role {
    /// The flags that code still asks for, the most used first.
    pub(super) fn flags_in_use(&self) -> impl Iterator<Item = &'static Flag> {
        self.project.flags.iter().filter(|flag| !flag.retired)
    }

    /// Its posts a second at that time, where all together make `rate` of them at noon.
    pub(super) fn posts_per_second(&self, rate: f64, at: Timestamp) -> f64 {
        rate * self.environment.share * rhythm(at, self.customer.hours_east)
    }

    /// Its key: a demo has no secrets.
    pub(super) fn key(&self) -> String {
        format!("demo-{}-{}-{}", self.customer.id, self.project.id, self.environment.id)
    }
}

/// Every environment.
pub(super) fn roles() -> impl Iterator<Item = Role> {
    CAST.iter().flat_map(|customer| {
        customer.projects.iter().flat_map(move |project| {
            project.environments.iter().map(move |environment| Role { customer, project, environment })
        })
    })
}

/// The demo's registry, as it is written `today`.
pub(super) fn registry(today: NaiveDate) -> String {
    let mut text = String::from(
        "# The registry of `flagmeter demo`. Edit it while it runs: it is read again at once.\n",
    );
    for customer in CAST {
        let Customer { id, name, time_zone, included, projects, .. } = customer;
        let _infallible =
            write!(text, "\n[[customer]]\nid = \"{id}\"\nname = \"{name}\"\ntime_zone = \"{time_zone}\"\n");
        if let Some(included) = included {
            let _infallible = write!(text, "\n[customer.plan]\nevaluations = {included}\n");
        }
        for project in *projects {
            let _infallible = write!(text, "\n[[customer.project]]\nid = \"{}\"\nflags = [\n", project.id);
            for flag in project.flags.iter().filter_map(|flag| flag.listed(today)) {
                let _infallible = writeln!(text, "    {flag},");
            }
            text.push_str("]\n");
            for environment in project.environments {
                let key = Role { customer, project, environment }.key();
                let id = environment.id;
                let _infallible =
                    write!(text, "\n[[customer.project.environment]]\nid = \"{id}\"\nkeys = [\"{key}\"]\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use flagmeter_model::Registry;

    use super::*;

    #[test]
    fn the_cast_makes_a_registry_that_is_taken() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        let registry = Registry::parse(&registry(today)).unwrap();
        assert_eq!(registry.customers().len(), CAST.len());
        for role in roles() {
            assert!(registry.environment_of(&role.key()).is_some(), "{}", role.key());
        }
        for customer in registry.customers() {
            assert!(customer.time_zone.as_deref().is_some_and(flagmeter_queries::is_time_zone));
        }
        let flags = registry.customers()[0].projects[0].flags.as_ref().unwrap();
        assert!(!flags.contains_key("old-checkout") && flags.contains_key("beta-banner"));
        assert_eq!(flags["free-shipping"].remove_by, NaiveDate::from_ymd_opt(2026, 11, 13));
        assert_eq!(flags["new-search"].owner.as_deref(), Some("search"));
        let shares: f64 = roles().map(|role| role.environment.share).sum();
        assert!((0.9..1.1).contains(&shares), "{shares}");
    }
}
