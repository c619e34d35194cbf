//! Whose traffic is out of the ordinary.

use std::fmt;

use flagmeter_model::{Environment, Name};

/// What an alert is of: all of a customer, of a project or of an environment, or a flag of an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// All of a customer.
    Customer(Name),
    /// All of a project.
    Project {
        /// Whose.
        customer: Name,
        /// Which.
        project: Name,
    },
    /// All of an environment.
    Environment(Environment),
    /// A flag of an environment.
    Flag(Environment, Name),
}

impl Subject {
    /// What each of them is one of, as [`sort`](Self::sort) has it.
    pub const SORTS: [&str; 4] = ["customer", "project", "environment", "flag"];

    /// The one of these names, of which `None` is all there are; `None` where they are of nothing: a flag of a whole project.
    pub fn from_names(
        customer: Name,
        project: Option<Name>,
        environment: Option<Name>,
        flag: Option<Name>,
    ) -> Option<Self> {
        match (project, environment, flag) {
            (None, None, None) => Some(Self::Customer(customer)),
            (Some(project), None, None) => Some(Self::Project { customer, project }),
            (Some(project), Some(environment), flag) => {
                let environment = Environment { customer, project, environment };
                Some(match flag {
                    None => Self::Environment(environment),
                    Some(flag) => Self::Flag(environment, flag),
                })
            }
            (_, _, _) => None,
        }
    }

    /// What it is one of, for labels of metrics.
    pub const fn sort(&self) -> &'static str {
        match self {
            Self::Customer(_) => "customer",
            Self::Project { .. } => "project",
            Self::Environment(_) => "environment",
            Self::Flag(..) => "flag",
        }
    }

    /// Whose it is.
    pub const fn customer(&self) -> &Name {
        match self {
            Self::Customer(customer) | Self::Project { customer, .. } => customer,
            Self::Environment(environment) | Self::Flag(environment, _) => &environment.customer,
        }
    }

    /// Its project; `None` is all of them.
    pub const fn project(&self) -> Option<&Name> {
        match self {
            Self::Customer(_) => None,
            Self::Project { project, .. } => Some(project),
            Self::Environment(environment) | Self::Flag(environment, _) => Some(&environment.project),
        }
    }

    /// Its environment; `None` is all of them.
    pub const fn environment(&self) -> Option<&Name> {
        match self {
            Self::Customer(_) | Self::Project { .. } => None,
            Self::Environment(environment) | Self::Flag(environment, _) => Some(&environment.environment),
        }
    }

    /// Its flag; `None` is all of them.
    pub const fn flag(&self) -> Option<&Name> {
        match self {
            Self::Customer(_) | Self::Project { .. } | Self::Environment(_) => None,
            Self::Flag(_, flag) => Some(flag),
        }
    }

    /// Whether all that is counted of `other` is counted of this one: of itself, and of its parts.
    pub fn covers(&self, other: &Self) -> bool {
        let takes = |own: Option<&Name>, others: Option<&Name>| own.is_none() || own == others;
        self.customer() == other.customer()
            && takes(self.project(), other.project())
            && takes(self.environment(), other.environment())
            && takes(self.flag(), other.flag())
    }
}

impl From<Environment> for Subject {
    fn from(environment: Environment) -> Self {
        Self::Environment(environment)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer(customer) => write!(f, "{customer}"),
            Self::Project { customer, project } => write!(f, "{customer}/{project}"),
            Self::Environment(environment) => write!(f, "{environment}"),
            Self::Flag(environment, flag) => write!(f, "the flag {flag} of {environment}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixture::{name, subjects};

    #[test]
    fn a_whole_covers_its_parts_and_nothing_beside_them() {
        let parts = subjects("acme");
        for (at, whole) in parts.iter().enumerate() {
            for (of, part) in parts.iter().enumerate() {
                assert_eq!(whole.covers(part), at <= of, "{whole} and {part}");
            }
            assert!(subjects("beta").iter().all(|other| !whole.covers(other) && !other.covers(whole)));
        }
        let Subject::Environment(environment) = &parts[2] else { panic!("{parts:?}") };
        let staging = Subject::from(Environment { environment: name("staging"), ..environment.clone() });
        assert!(parts[1].covers(&staging) && !parts[2].covers(&staging));
        assert!(!parts[3].covers(&Subject::Flag(environment.clone(), name("search"))));
    }

    #[test]
    fn each_is_made_of_its_names_and_names_that_are_of_nothing_make_none() {
        for subject in subjects("acme") {
            let names =
                [subject.project(), subject.environment(), subject.flag()].map(Option::<&Name>::cloned);
            let [project, environment, flag] = names;
            let again = Subject::from_names(subject.customer().clone(), project, environment, flag);
            assert_eq!(again.as_ref(), Some(&subject));
        }
        let [web, production, checkout] = ["web", "production", "checkout"].map(|text| Some(name(text)));
        for (project, environment, flag) in [
            (web.clone(), None, checkout.clone()),
            (None, production.clone(), None),
            (None, production, checkout.clone()),
            (None, None, checkout),
        ] {
            assert_eq!(Subject::from_names(name("acme"), project, environment, flag), None);
        }
    }

    #[test]
    fn each_says_what_it_is() {
        let subjects = subjects("acme");
        assert_eq!(
            subjects.each_ref().map(ToString::to_string),
            ["acme", "acme/web", "acme/web/production", "the flag checkout of acme/web/production"]
        );
        assert_eq!(subjects.each_ref().map(Subject::sort), Subject::SORTS);
        assert!(subjects.is_sorted());
    }
}
