//! Who plays in the demo: customers in several time zones, their projects, environments and flags.

use std::fmt::Write as _;

use crate::send::Door;

/// A customer.
pub(super) struct Customer {
    pub(super) id: &'static str,
    name: &'static str,
    time_zone: &'static str,
    /// Roughly, for the rhythm of its days; the zone itself is for the charts.
    pub(super) hours_east: f64,
    pub(super) projects: &'static [Project],
}

/// A project, with the flags that its code asks for.
pub(super) struct Project {
    pub(super) id: &'static str,
    /// The most used first.
    pub(super) flags: &'static [&'static str],
    /// How many of them the registry knows: what is evaluated beyond that is shown as unknown.
    registered: usize,
    pub(super) environments: &'static [Environment],
}

/// An environment.
pub(super) struct Environment {
    pub(super) id: &'static str,
    /// Evaluations of its most used flag in five minutes at noon.
    pub(super) noon: f64,
    /// What its SDKs speak.
    pub(super) door: Door,
    pub(super) sdk: &'static str,
    /// Its part in the fleet's posts.
    pub(super) share: f64,
    /// Whether its traffic bursts now and then.
    pub(super) bursts: bool,
}

const fn production(noon: f64, door: Door, sdk: &'static str, share: f64, bursts: bool) -> Environment {
    Environment { id: "production", noon, door, sdk, share, bursts }
}

const fn staging(sdk: &'static str) -> Environment {
    Environment { id: "staging", noon: 40.0, door: Door::Counts, sdk, share: 0.02, bursts: false }
}

pub(super) const CAST: &[Customer] = &[
    Customer {
        id: "acme",
        name: "Acme Inc",
        time_zone: "Europe/Berlin",
        hours_east: 1.0,
        projects: &[
            Project {
                id: "web",
                flags: &[
                    "checkout-v2",
                    "new-search",
                    "dark-mode",
                    "free-shipping",
                    "beta-banner",
                    "old-checkout",
                ],
                registered: 5,
                environments: &[
                    production(9_000.0, Door::FlagsmithV1, "flagsmith-nodejs-sdk/6.2.0", 0.3, true),
                    staging("flagsmith-nodejs-sdk/6.3.0"),
                ],
            },
            Project {
                id: "mobile",
                flags: &["onboarding-3", "push-digest", "biometric-login", "compact-feed"],
                registered: 4,
                environments: &[production(
                    4_000.0,
                    Door::FlagsmithV2,
                    "flagsmith-js-sdk/12.1.0",
                    0.15,
                    false,
                )],
            },
        ],
    },
    Customer {
        id: "globex",
        name: "Globex",
        time_zone: "America/New_York",
        hours_east: -5.0,
        projects: &[Project {
            id: "shop",
            flags: &["one-click-buy", "price-test", "recommendations", "gift-cards", "loyalty"],
            registered: 5,
            environments: &[
                production(6_500.0, Door::Counts, "shop-service/4.1", 0.2, false),
                staging("shop-service/4.2-rc1"),
            ],
        }],
    },
    Customer {
        id: "initech",
        name: "Initech",
        time_zone: "Asia/Kolkata",
        hours_east: 5.5,
        projects: &[Project {
            id: "backoffice",
            flags: &["tps-cover-sheet", "report-export", "sso", "audit-trail"],
            registered: 3,
            environments: &[production(2_500.0, Door::Counts, "backoffice/2024.11", 0.15, false)],
        }],
    },
    Customer {
        id: "wonka",
        name: "Wonka",
        time_zone: "Australia/Sydney",
        hours_east: 11.0,
        projects: &[Project {
            id: "api",
            flags: &["golden-ticket", "rate-limit-v2", "cocoa-pricing"],
            registered: 3,
            environments: &[
                production(3_500.0, Door::FlagsmithV1, "flagsmith-rust-sdk/2.1.0", 0.16, true),
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

impl Role {
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

/// The demo's registry.
pub(super) fn registry() -> String {
    let mut text = String::from(
        "# The registry of `flagmeter demo`. Edit it while it runs: it is read again at once.\n",
    );
    for customer in CAST {
        let Customer { id, name, time_zone, projects, .. } = customer;
        let _infallible =
            write!(text, "\n[[customer]]\nid = \"{id}\"\nname = \"{name}\"\ntime_zone = \"{time_zone}\"\n");
        for project in *projects {
            let flags: Vec<String> =
                project.flags.iter().take(project.registered).map(|flag| format!("\"{flag}\"")).collect();
            let flags = flags.join(", ");
            let _infallible =
                write!(text, "\n[[customer.project]]\nid = \"{}\"\nflags = [{flags}]\n", project.id);
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
        let registry = Registry::parse(&registry()).unwrap();
        assert_eq!(registry.customers().len(), CAST.len());
        for role in roles() {
            assert!(registry.environment_of(&role.key()).is_some(), "{}", role.key());
        }
        for customer in registry.customers() {
            assert!(customer.time_zone.as_deref().is_some_and(flagmeter_queries::is_time_zone));
        }
        let shares: f64 = roles().map(|role| role.environment.share).sum();
        assert!((0.9..1.1).contains(&shares), "{shares}");
    }
}
