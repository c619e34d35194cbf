//! What is to be said of a flag, which flags are asked for, and in what order they stand: as the page with script does it.
//! Pure.

use std::cmp::Ordering;

use flagmeter_model::Timestamp;
use icu_normalizer::ComposingNormalizer;

use super::{
    order::{self, Column, Names, Sort},
    view::View,
};
use crate::{flags::FlagUse, parameters::name};

/// Which flags, in the pages' own words.
pub(super) const SHOW: &str = "show";
/// How long flags are not evaluated that are stale. Here it says what is called so, and leaves none out.
const STALE_FOR: [(&str, i64); 3] = [("7d", 7), ("30d", 30), ("90d", 90)];
const STALE_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 86_400;

/// Which flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    All,
    Stale,
    Ghost,
    PastRemoval,
    WithoutOwner,
}

impl Show {
    pub(super) const ALL: [Self; 5] =
        [Self::All, Self::Stale, Self::Ghost, Self::PastRemoval, Self::WithoutOwner];

    /// Of an address; what is not understood is all of them.
    pub(super) fn of(view: &View) -> Self {
        let asked = view.value(SHOW).unwrap_or_default();
        Self::ALL.into_iter().find(|show| show.value() == Some(asked)).unwrap_or(Self::All)
    }

    /// What an address says.
    pub(super) const fn value(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Stale => Some("stale"),
            Self::Ghost => Some("ghost"),
            Self::PastRemoval => Some("past_removal"),
            Self::WithoutOwner => Some("without_owner"),
        }
    }

    /// What a page says.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Stale => "Stale",
            Self::Ghost => "Not in the registry",
            Self::PastRemoval => "Past removal",
            Self::WithoutOwner => "No owner",
        }
    }
}

/// After how many days without an evaluation flags are stale.
pub(super) fn stale_days(view: &View) -> i64 {
    let asked = view.value(name::STALE_FOR).unwrap_or_default();
    STALE_FOR.iter().find(|(value, _)| *value == asked).map_or(STALE_DAYS, |(_, days)| *days)
}

/// A flag with what is said of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) flag: FlagUse,
    is_never: bool,
    is_stale: bool,
    is_ghost: bool,
}

impl Judged {
    /// Stale are those that were not evaluated in so many days before `until`, until when everything is in.
    pub(super) fn new(flag: FlagUse, stale_days: i64, until: Timestamp) -> Self {
        let before = until.plus_seconds(-stale_days * DAY_SECONDS);
        let seen = flag.last_seen.as_deref().and_then(|seen| Timestamp::parse_rfc3339(seen).ok());
        let is_never = seen.is_none();
        let is_stale = seen.is_none_or(|seen| seen < before);
        let is_ghost = flag.in_registry == Some(false) && !is_never;
        Self { flag, is_never, is_stale, is_ghost }
    }

    pub(super) fn is_in(&self, show: Show) -> bool {
        match show {
            Show::All => true,
            Show::Stale => self.is_stale,
            Show::Ghost => self.is_ghost,
            Show::PastRemoval => self.flag.past_removal,
            Show::WithoutOwner => self.flag.owner.is_none(),
        }
    }

    /// What is wrong with it, the worst first. Where nobody has an owner, owners are not kept, and nobody lacks one.
    pub(super) fn badges(&self, has_owners: bool) -> impl Iterator<Item = &'static str> {
        let lacks_owner = self.flag.owner.is_none() && !self.is_ghost && has_owners;
        let all = [
            (self.flag.past_removal, "past its removal date"),
            (self.is_ghost, "not in the registry"),
            (self.is_never, "never evaluated"),
            (self.is_stale && !self.is_never, "stale"),
            (lacks_owner, "no owner"),
        ];
        all.into_iter().filter_map(|(holds, words)| holds.then_some(words))
    }
}

/// The words that are searched for, in the names of flags, projects, customers and owners.
#[derive(Debug)]
pub(super) struct Search(Vec<String>);

impl Search {
    pub(super) fn of(view: &View) -> Self {
        let words = folded(view.value(name::Q).unwrap_or_default());
        Self(words.split_whitespace().map(str::to_owned).collect())
    }

    /// Whether all words are in it.
    pub(super) fn finds(&self, flag: &FlagUse) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let owner = flag.owner.as_deref().unwrap_or_default();
        let text = folded(&[&*flag.flag, &*flag.project, &*flag.customer, owner].join("\n"));
        self.0.iter().all(|word| text.contains(word.as_str()))
    }
}

/// Without what does not tell words apart: forms of the same letter, upper and lower case, in any script.
fn folded(text: &str) -> String {
    ComposingNormalizer::new_nfkc().normalize(text).to_uppercase().to_lowercase()
}

const PROJECT: &str = name::PROJECT;
pub(super) const OWNER: &str = "owner";
const ENVIRONMENTS: &str = "environments";
pub(super) const TOTAL: &str = "total";
const CHANGE: &str = "change";
const FIRST_SEEN: &str = "first_seen";
const LAST_SEEN: &str = "last_seen";

/// What flags can be put in order by.
pub(super) const COLUMNS: &[Column] = &[
    Column { name: name::FLAG, words: "Flag", is_of_names: true, is_of_numbers: false },
    Column { name: PROJECT, words: "Project", is_of_names: true, is_of_numbers: false },
    Column { name: ENVIRONMENTS, words: "Environments", is_of_names: false, is_of_numbers: false },
    Column { name: OWNER, words: "Owner", is_of_names: true, is_of_numbers: false },
    Column { name: TOTAL, words: "Evaluations", is_of_names: false, is_of_numbers: true },
    Column { name: CHANGE, words: "Change", is_of_names: false, is_of_numbers: true },
    Column { name: FIRST_SEEN, words: "First seen", is_of_names: false, is_of_numbers: false },
    Column { name: LAST_SEEN, words: "Last seen", is_of_names: false, is_of_numbers: false },
];
pub(super) const DEFAULT: Sort = Sort { by: TOTAL, is_down: true };

/// The order of two flags; those that are alike in what is asked for stand by their names.
pub(super) fn compare(sort: Sort, names: &Names, one: &FlagUse, other: &FlagUse) -> Ordering {
    let time = |seen: &Option<String>| seen.as_deref().and_then(|seen| Timestamp::parse_rfc3339(seen).ok());
    let order = match sort.by {
        PROJECT => {
            let project = |flag: &FlagUse| format!("{} {}", flag.customer, flag.project);
            sort.of_known(Some(project(one)), Some(project(other)), |one, other| {
                names.by_letters(&one, &other)
            })
        }
        OWNER => sort.of_known(one.owner.as_deref(), other.owner.as_deref(), |one, other| {
            names.by_letters(one, other)
        }),
        ENVIRONMENTS => {
            let many = |flag: &FlagUse| Some(flag.environments.len());
            sort.of_known(many(one), many(other), |one, other| one.cmp(&other))
        }
        CHANGE => sort.of_known(one.change, other.change, order::of_numbers),
        FIRST_SEEN => {
            sort.of_known(time(&one.first_seen), time(&other.first_seen), |one, other| one.cmp(&other))
        }
        LAST_SEEN => {
            sort.of_known(time(&one.last_seen), time(&other.last_seen), |one, other| one.cmp(&other))
        }
        TOTAL => sort.of_known(one.total, other.total, |one, other| one.cmp(&other)),
        _ => return sort.of_known(Some(one), Some(other), |one, other| by_name(names, one, other)),
    };
    order.then_with(|| by_name(names, one, other))
}

fn by_name(names: &Names, one: &FlagUse, other: &FlagUse) -> Ordering {
    // As scripts compare text: by units of 16 bits.
    fn key(flag: &FlagUse) -> impl Iterator<Item = u16> {
        [&flag.customer, &flag.project, &flag.flag]
            .into_iter()
            .flat_map(|name| name.encode_utf16().chain([0]))
    }
    names.by_letters(&one.flag, &other.flag).then_with(|| key(one).cmp(key(other)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use flagmeter_model::Name;

    use super::*;

    // The flags and the answers are those of `ui/test/flags.test.ts`.

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn flag(text: &str) -> FlagUse {
        FlagUse {
            customer: name("acme"),
            project: name("web"),
            flag: name(text),
            environments: vec![name("production")],
            first_seen: Some("2026-01-01T00:00:00Z".into()),
            last_seen: Some("2026-11-20T11:00:00Z".into()),
            in_registry: Some(true),
            owner: Some(name("payments")),
            remove_by: None,
            past_removal: false,
            total: Some(10),
            previous_total: Some(8),
            change: Some(0.25),
            trend: Vec::new(),
        }
    }

    fn view(query: &str) -> View {
        View::read(&format!("/flags?{query}").parse().unwrap()).unwrap()
    }

    fn judged(flag: FlagUse) -> Judged {
        Judged::new(flag, STALE_DAYS, Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap())
    }

    fn sorted(flags: &[FlagUse], query: &str) -> String {
        let (sort, names) = (Sort::of(&view(query), COLUMNS, DEFAULT), Names::of(&HeaderMap::new()));
        let mut flags: Vec<_> = flags.iter().collect();
        flags.sort_by(|one, other| compare(sort, &names, one, other));
        flags.iter().map(|flag| flag.flag.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_flag_is_stale_when_it_was_not_evaluated_for_so_long_or_never() {
        let seen = |seen: Option<&str>| FlagUse { last_seen: seen.map(str::to_owned), ..flag("a") };
        let stale =
            [Some("2026-10-21T11:59:00Z"), Some("2026-10-21T12:00:00Z"), None].map(|at| judged(seen(at)));
        assert_eq!(stale.each_ref().map(|flag| flag.is_in(Show::Stale)), [true, false, true]);
        assert_eq!(
            stale.map(|flag| flag.badges(true).next()),
            [Some("stale"), None, Some("never evaluated")]
        );
        assert_eq!(
            ["stale_for=7d", "stale_for=90d", "stale_for=8d", ""].map(|query| stale_days(&view(query))),
            [7, 90, 30, 30]
        );
    }

    #[test]
    fn a_flag_is_a_ghost_only_where_there_is_a_list_that_does_not_have_it() {
        let listed = |in_registry| judged(FlagUse { in_registry, ..flag("a") }).is_in(Show::Ghost);
        assert_eq!([Some(false), None, Some(true)].map(listed), [true, false, false]);
        let never = FlagUse { in_registry: Some(false), last_seen: None, ..flag("a") };
        assert!(!judged(never).is_in(Show::Ghost));
    }

    #[test]
    fn where_nobody_has_an_owner_nobody_lacks_one() {
        let alone = judged(FlagUse { owner: None, past_removal: true, ..flag("a") });
        assert_eq!(alone.badges(true).collect::<Vec<_>>(), ["past its removal date", "no owner"]);
        assert_eq!(alone.badges(false).collect::<Vec<_>>(), ["past its removal date"]);
        assert!(alone.is_in(Show::WithoutOwner) && alone.is_in(Show::PastRemoval));
        assert!(!judged(flag("a")).is_in(Show::WithoutOwner) && !judged(flag("a")).is_in(Show::PastRemoval));
    }

    #[test]
    fn the_search_finds_words_in_any_order_whatever_their_case_and_script() {
        let all =
            [flag("Straße-Neu"), flag("购物车结账"), FlagUse { project: name("mobile"), ..flag("ΟΔΟΣ") }];
        let found = |words: &str| {
            let query = super::super::view::address("/flags", [("q", words)]);
            let search = Search::of(&View::read(&query.parse().unwrap()).unwrap());
            all.iter()
                .filter(|flag| search.finds(flag))
                .map(|flag| flag.flag.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(found("STRASSE"), "Straße-Neu");
        assert_eq!(found("结账"), "购物车结账");
        assert_eq!(found("mobile οδος"), "ΟΔΟΣ");
        assert_eq!(
            (found("nothing").as_str(), found("PAYments acme web")),
            ("", "Straße-Neu 购物车结账".into())
        );
        assert_eq!(found("  ").split(' ').count(), 3);
        assert_eq!(folded("Ｆlag"), folded("flag"));
    }

    #[test]
    fn flags_stand_in_the_order_that_the_page_with_script_has() {
        let total = |text, total| FlagUse { total, ..flag(text) };
        let flags = [
            total("flag-10", Some(5)),
            total("flag-9", None),
            total("flag-2", Some(0)),
            total("flag-1", Some(5)),
        ];
        assert_eq!(sorted(&flags, "sort=-total"), "flag-1 flag-10 flag-2 flag-9");
        assert_eq!(sorted(&flags, "sort=price"), sorted(&flags, "sort=-total"));
        assert_eq!(sorted(&flags, "sort=total"), "flag-2 flag-1 flag-10 flag-9");
        assert_eq!(sorted(&flags, "sort=flag"), "flag-1 flag-2 flag-9 flag-10");
        assert_eq!(sorted(&flags, "sort=-flag"), "flag-10 flag-9 flag-2 flag-1");
    }

    #[test]
    fn every_column_has_its_order() {
        let flags = [
            FlagUse {
                project: name("Web"),
                owner: Some(name("Search")),
                environments: vec![name("x"), name("y")],
                change: Some(-0.5),
                first_seen: Some("2026-03-01T00:00:00Z".into()),
                // Later than 10:30 UTC, however it is written.
                last_seen: Some("2026-11-20T11:00:00Z".into()),
                ..flag("a")
            },
            FlagUse {
                project: name("api"),
                owner: Some(name("billing")),
                change: Some(2.0),
                last_seen: Some("2026-11-20T11:30:00+01:00".into()),
                ..flag("b")
            },
            FlagUse {
                customer: name("zeta"),
                project: name("a"),
                owner: None,
                environments: vec![],
                change: None,
                first_seen: None,
                last_seen: None,
                ..flag("c")
            },
        ];
        for (by, up, down) in [
            ("project", "b a c", "c a b"),
            ("owner", "b a c", "a b c"),
            ("environments", "c b a", "a b c"),
            ("change", "a b c", "b a c"),
            ("first_seen", "b a c", "a b c"),
            ("last_seen", "b a c", "a b c"),
        ] {
            assert_eq!(sorted(&flags, &format!("sort={by}")), up, "{by}");
            assert_eq!(sorted(&flags, &format!("sort=-{by}")), down, "-{by}");
        }
    }

    #[test]
    fn names_that_differ_by_case_alone_stand_by_their_units() {
        let other = FlagUse { project: name("api"), ..flag("A") };
        assert_eq!(sorted(&[flag("a"), flag("A"), other], "sort=flag"), "A A a");
        assert_eq!(sorted(&[flag("a"), flag("A")], "sort=-flag"), "a A");
    }
}
