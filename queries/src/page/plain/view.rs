//! What an address asks for, and the addresses beside it: all of a view stands in its query. Pure.

use axum::{extract::Query, http::Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    Error, Result,
    parameters::{Parameters, name},
};

/// That a page without script is asked for, also where there is one with it.
const PLAIN: &str = "plain";
/// What of the page with script means nothing here: how its charts are looked at.
const ELSEWHERE: &[&str] = &[PLAIN, "view"];
/// The order of lists, and which part of one: the pages' own, which the API does not know.
pub(super) const SORT: &str = "sort";
pub(super) const PAGE: &str = "page";
const OF_LISTS: &[&str] = &[SORT, PAGE];
/// What a browser sends empty means nothing was filled in; but here an empty value means the series that have none.
const MAY_BE_EMPTY: &[&str] = &[name::VARIANT, name::SDK];
/// What one view hands on to the next.
const HANDED_ON: &[&str] =
    &[name::FROM, name::TO, name::TZ, name::CUSTOMER, name::PROJECT, name::ENVIRONMENT];

/// All but what is never special in an address.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An address of ours, as it was asked for.
#[derive(Debug, Clone)]
pub(super) struct View {
    path: String,
    is_plain: bool,
    pairs: Vec<(String, String)>,
}

impl View {
    /// Reads an address. What cannot be read is told as the API tells it.
    pub(super) fn read(uri: &Uri) -> Result<Self> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Error::parameter("query", error.to_string()))?;
        let mut view = Self::of(uri);
        view.is_plain = pairs.iter().any(|(name, value)| name == PLAIN && value == "1");
        let means = |(name, value): &(String, String)| {
            let name = name.as_str();
            !ELSEWHERE.contains(&name) && (!value.is_empty() || MAY_BE_EMPTY.contains(&name))
        };
        view.pairs = pairs.into_iter().filter(means).collect();
        Ok(view)
    }

    /// The address without its query.
    pub(super) fn of(uri: &Uri) -> Self {
        Self { path: uri.path().to_owned(), is_plain: false, pairs: Vec::new() }
    }

    /// Whether a page with script may stand at the same address.
    pub(super) const fn is_asked_plain(&self) -> bool {
        self.is_plain
    }

    /// The same where scripts run.
    pub(super) fn with_script(&self) -> String {
        Self { is_plain: false, ..self.clone() }.with(&[])
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The first value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Its values, as a list that commas may part as well.
    pub(super) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// The same without a parameter.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.pairs.retain(|(given, _)| given != name);
        self
    }

    /// What the API is asked: all that was given, but for what is the page's own, and with `more`.
    pub(super) fn parameters(
        &self,
        own: &[&str],
        more: &[(&str, &str)],
        known: &'static [&'static str],
    ) -> Result<Parameters> {
        let is_own = |name: &str| own.contains(&name) || OF_LISTS.contains(&name);
        let given = self.pairs.iter().filter(|(name, _)| !is_own(name));
        let given = given.map(|(name, value)| (name.as_str(), value.as_str()));
        Parameters::of(given.chain(more.iter().copied()), known)
    }

    /// This view with other values: `None` takes a parameter away.
    pub(super) fn with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let kept = self.pairs.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let set = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        self.address(&self.path, kept.chain(set))
    }

    /// Another view, with what is handed on to it of what it `knows`.
    pub(super) fn other(&self, path: &str, knows: &[&str]) -> String {
        let handed_on = |name: &str| HANDED_ON.contains(&name) && knows.contains(&name);
        let pairs = self.pairs.iter().filter(|(name, _)| handed_on(name));
        self.address(path, pairs.map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// A page of ours.
    pub(super) fn address<'a>(
        &self,
        path: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let plain = self.is_plain.then_some((PLAIN, "1"));
        address(path, plain.into_iter().chain(pairs))
    }

    /// An address of the API, with all that was given of what it `knows`, but for what `more` says otherwise.
    pub(super) fn api(&self, path: &str, knows: &[&str], more: &[(&str, &str)]) -> String {
        let is_asked = |given: &str| knows.contains(&given) && more.iter().all(|(other, _)| *other != given);
        let pairs = self.pairs.iter().filter(|(name, _)| is_asked(name));
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        address(path, pairs.chain(more.iter().copied()))
    }

    /// What a form has to hand on that has no field in it.
    pub(super) fn hidden<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let plain = self.is_plain.then_some((PLAIN, "1"));
        let pairs = self.pairs.iter().filter(|(name, _)| names.contains(&name.as_str()));
        plain.into_iter().chain(pairs.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A path with a query.
pub(super) fn address<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut address = path.to_owned();
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        address.push(if at == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        address.extend(escaped(value));
    }
    address
}

/// The page of a flag; that of its counts where a browser would take a part of the path for another way of writing it.
pub(super) fn of_flag(view: &View, [customer, project, flag]: [&str; 3], pairs: &[(&str, &str)]) -> String {
    let parts = [customer, project, flag];
    let pairs = pairs.iter().copied();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        let names = [(name::CUSTOMER, customer), (name::PROJECT, project), (name::FLAG, flag)];
        return view.address("/usage", names.into_iter().chain(pairs));
    }
    let mut path = "/flags".to_owned();
    for part in parts {
        path.push('/');
        path.extend(escaped(part));
    }
    view.address(&path, pairs)
}

fn escaped(text: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(text, ESCAPED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view(address: &str) -> View {
        View::read(&address.parse().unwrap()).unwrap()
    }

    #[test]
    fn what_a_form_sends_empty_is_not_asked_but_a_series_without_a_variant_is() {
        let view = view("/usage?plain=1&from=&flag=a&flag=&variant=&view=table");
        assert_eq!(view.values("flag").collect::<Vec<_>>(), ["a"]);
        assert_eq!((view.value("from"), view.value("variant")), (None, Some("")));
        assert_eq!(view.with(&[]), "/usage?plain=1&flag=a&variant=");
        assert_eq!(view.with(&[("flag", Some("b&c")), ("variant", None)]), "/usage?plain=1&flag=b%26c");
    }

    #[test]
    fn a_view_hands_on_what_the_next_one_knows() {
        let view = view("/usage?from=-7d&customer=acme&style=lines&flag=a");
        assert_eq!(view.other("/flags", &["from", "customer", "flag"]), "/flags?from=-7d&customer=acme");
        assert_eq!(view.other("/billing", &["customer"]), "/billing?customer=acme");
        assert_eq!(view.api("/v1/usage", &["from", "flag"], &[("from", "-1h")]), "/v1/usage?flag=a&from=-1h");
    }

    #[test]
    fn what_the_api_does_not_know_is_told_by_its_name() {
        let error = view("/usage?form=-7d").parameters(&["style"], &[], &["from"]).unwrap_err();
        assert!(error.to_string().contains("\"form\""), "{error}");
        assert!(view("/usage?style=lines").parameters(&["style"], &[("from", "-1h")], &["from"]).is_ok());
    }

    #[test]
    fn a_name_that_is_a_way_has_no_page_of_its_own() {
        let view = view("/flags");
        assert_eq!(of_flag(&view, ["a", "b", "c/d e"], &[]), "/flags/a/b/c%2Fd%20e");
        assert_eq!(of_flag(&view, ["a", "b", ".."], &[]), "/usage?customer=a&project=b&flag=..");
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was(value in "\\PC{1,40}") {
            let there = view("/flags").address("/flags", [("q", value.as_str())]);
            let back = view(&there);
            prop_assert_eq!(back.value("q"), Some(value.as_str()));
        }
    }
}
