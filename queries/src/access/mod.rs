//! Who may read what.
//!
//! A token is `fm_<id>_<secret>`. The id is public and names the token in the audit log; the secret is 256
//! random bits, shown once and kept only as its SHA-256 (a slow hash protects guessable passwords; nobody
//! guesses 256 bits). The audit log is append-only, and its fold is the state: there is no second place that
//! could disagree with it.

mod audit;
mod bearer;
pub(crate) mod cookie;
mod links;
mod secret;
mod site;
mod tokens;

pub use audit::{NewToken, Token};
use axum::http::HeaderMap;
use flagmeter_ledger::Scope;
use flagmeter_model::Name;
use flagmeter_store::Filter;
pub(crate) use links::Link;
pub(crate) use site::is_https;
pub(crate) use tokens::LINK_SECONDS_MAX;
pub use tokens::{Created, Tokens};

use crate::{Error, Result};

/// What a token may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The data of this customer, and nothing of anyone else.
    Customer(Name),
    /// The data of all customers.
    Billing,
    /// The data of all customers, and what operators need besides.
    Operator,
}

impl Role {
    /// Its name in the audit log and on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Customer(_) => "customer",
            Self::Billing => "billing",
            Self::Operator => "operator",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The public part of the token.
    pub token_id: String,
    /// What it may read.
    pub role: Role,
}

/// Who asks, by the token in the headers of a request to `path`. Everything that is not public begins with this.
///
/// Fails with [`Error::Unauthenticated`]; the reason is logged and counted, and not told.
pub fn authenticate(tokens: &Tokens, headers: &HeaderMap, path: &str) -> Result<Principal> {
    let principal = tokens.sender(headers).map_err(|refusal| {
        // The reason is for us: told to the caller it would tell which ids exist.
        tracing::info!(reason = refusal.reason(), path, "a request without a good token");
        Error::Unauthenticated(refusal)
    })?;
    tracing::debug!(token = principal.token_id, role = principal.role.name(), path, "a request");
    Ok(principal)
}

/// Refuses what the page of another site has a browser send. Who says nothing of a site is no browser.
pub(crate) fn refuse_other_sites(headers: &HeaderMap) -> Result<()> {
    if site::of(headers) == site::Site::Another { Err(Error::OtherSite) } else { Ok(()) }
}

/// Refuses a change that is asked for with a cookie, unless it is known to come from a page of ours: a browser sends its
/// cookies along whoever made the request.
pub(crate) fn refuse_borrowed_cookies(headers: &HeaderMap) -> Result<()> {
    let is_borrowed = bearer::is_in_cookie(headers) && site::of(headers) != site::Site::Ours;
    if is_borrowed { Err(Error::OtherSite) } else { Ok(()) }
}

/// Why a token was not accepted. Told to metrics and the log, never to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `Authorization` header, and no cookie of ours.
    #[error("no token was given")]
    Missing,
    /// Not `Bearer fm_<id>_<secret>`, or something else in the cookie.
    #[error("what was given is not a token")]
    Malformed,
    /// No such id, or another secret.
    #[error("no such token")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Missing, Self::Malformed, Self::Unknown, Self::Expired, Self::Revoked];

    /// Its word in metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A filter that takes nothing its asker may not read. It can only be made by [`Principal::scope`], and all
/// that reads the store asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scoped(Filter);

impl Scoped {
    /// The filter.
    pub(crate) const fn filter(&self) -> &Filter {
        &self.0
    }

    /// The same for the ledger, which knows whose a row is and no more.
    pub(crate) fn of_ledger(&self) -> Scope {
        let Self(Filter { customers, projects, environments, .. }) = self.clone();
        Scope { customers, projects, environments }
    }

    /// Narrows the filter to these names, none of which may be an empty list; `None` if nothing is left of it.
    pub(crate) fn narrowed_to(
        self,
        customers: Vec<Name>,
        projects: Vec<Name>,
        names: Vec<Name>,
    ) -> Option<Self> {
        let Self(filter) = self;
        Some(Self(Filter {
            customers: common(&filter.customers, customers)?,
            projects: common(&filter.projects, projects)?,
            names: common(&filter.names, names)?,
            ..filter
        }))
    }
}

/// What two lists have in common, the first of which takes all if it is empty; `None` for nothing, because an empty
/// list would take all again.
fn common(taken: &[Name], mut names: Vec<Name>) -> Option<Vec<Name>> {
    names.retain(|name| taken.is_empty() || taken.contains(name));
    (!names.is_empty()).then_some(names)
}

impl Principal {
    /// The filter, kept to what this principal may read. Asking for another customer is refused rather than
    /// answered with nothing, so that nobody takes "forbidden" for "no traffic".
    pub(crate) fn scope(&self, mut filter: Filter) -> Result<Scoped> {
        if let Role::Customer(own) = &self.role {
            if let Some(other) = filter.customers.iter().find(|asked| *asked != own) {
                return Err(Error::Forbidden(format!(
                    "This token reads customer {own:?} only, not {other:?}: leave out customer= or use a token \
                     of that customer."
                )));
            }
            filter.customers = vec![own.clone()];
        }
        Ok(Scoped(filter))
    }

    /// Refuses everyone but operators, who alone may see `what`.
    pub(crate) fn only_operators(&self, what: &str) -> Result<()> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Billing | Role::Customer(_) => {
                Err(Error::Forbidden(format!("Only the token of an operator may see {what}.")))
            }
        }
    }

    /// The one customer it may read, if it is bound to one.
    pub(crate) const fn customer(&self) -> Option<&Name> {
        match &self.role {
            Role::Customer(name) => Some(name),
            Role::Billing | Role::Operator => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn of(role: Role) -> Principal {
        Principal { token_id: "abc".into(), role }
    }

    #[test]
    fn a_customer_is_kept_to_its_own() {
        let acme = of(Role::Customer(name("acme")));
        assert_eq!(acme.scope(Filter::default()).unwrap().filter().customers, [name("acme")]);
        let own = Filter { customers: vec![name("acme")], ..Filter::default() };
        assert_eq!(acme.scope(own).unwrap().filter().customers, [name("acme")]);
    }

    #[test]
    fn another_customer_is_forbidden_even_beside_its_own() {
        let acme = of(Role::Customer(name("acme")));
        for asked in [vec![name("globex")], vec![name("acme"), name("globex")]] {
            let filter = Filter { customers: asked, ..Filter::default() };
            assert!(matches!(acme.scope(filter), Err(Error::Forbidden(_))));
        }
    }

    #[test]
    fn narrowing_never_leaves_the_scope() {
        let acme = of(Role::Customer(name("acme"))).scope(Filter::default()).unwrap();
        let (web, flag) = (vec![name("web")], vec![name("checkout")]);
        let narrowed =
            acme.narrowed_to(vec![name("acme"), name("globex")], web.clone(), flag.clone()).unwrap();
        assert_eq!(narrowed.filter().customers, [name("acme")]);
        assert_eq!((&narrowed.filter().projects, &narrowed.filter().names), (&web, &flag));
        let twice = narrowed.narrowed_to(vec![name("acme")], vec![name("shop"), name("web")], flag).unwrap();
        assert_eq!(twice.filter().projects, web);
    }

    #[test]
    fn narrowing_to_what_is_outside_leaves_nothing_rather_than_everything() {
        let acme = || of(Role::Customer(name("acme"))).scope(Filter::default()).unwrap();
        let (web, flag) = (vec![name("web")], vec![name("checkout")]);
        assert_eq!(acme().narrowed_to(vec![name("globex")], web.clone(), flag.clone()), None);
        assert_eq!(acme().narrowed_to(vec![name("acme")], web.clone(), vec![]), None);
        let filter = Filter { projects: web, ..Filter::default() };
        let scope = of(Role::Operator).scope(filter).unwrap();
        assert_eq!(scope.narrowed_to(vec![name("acme")], vec![name("shop")], flag), None);
    }

    #[test]
    fn billing_and_operators_are_not_kept() {
        for role in [Role::Billing, Role::Operator] {
            assert!(of(role).scope(Filter::default()).unwrap().filter().customers.is_empty());
        }
    }
}
