use flagmeter_model::Name;

use super::*;
use crate::access::Role;

const NOW: &str = "2026-11-20T12:44:54Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn asked(query: &str) -> Result<Asked> {
    asked_by(Role::Operator, query)
}

fn asked_by(role: Role, query: &str) -> Result<Asked> {
    let principal = Principal { token_id: "abc".into(), role };
    let uri = format!("/v1/usage?{query}").parse().unwrap();
    ask(&Parameters::read(&uri, KNOWN)?, &principal, Tz::UTC, &Config::default())
}

fn planned(query: &str) -> Result<Plan> {
    let asked = asked(query)?;
    asked.plan(asked.range(at(NOW))?, &Floors::default(), &Config::default())
}

fn auto_of(hours: i64) -> &'static str {
    let to = at(NOW);
    auto(TimeRange::new(to.plus_seconds(-3_600 * hours), to), &Floors::default()).name()
}

#[test]
fn auto_gives_about_60_to_200_buckets() {
    let to = at(NOW);
    let quarter = auto(TimeRange::new(to.plus_seconds(-900), to), &Floors::default());
    assert_eq!(quarter.name(), "10s");
    assert_eq!(
        [1, 2, 6, 24, 72, 7 * 24, 30 * 24, 90 * 24, 365 * 24, 3 * 365 * 24].map(auto_of),
        ["1m", "1m", "1m", "15m", "1h", "1h", "1d", "1d", "1d", "1mo"]
    );
}

#[test]
fn auto_never_chooses_what_is_not_kept_any_more() {
    let to = at(NOW);
    let range = TimeRange::new(to.plus_seconds(-3_600), to);
    let floors = Floors { raw: Some(to), minute: Some(to), quarter: None };
    assert_eq!(auto(range, &floors), Resolution::Quarter);
    let floors = Floors { raw: Some(to), minute: Some(to), quarter: Some(to) };
    assert_eq!(auto(range, &floors), Resolution::Hour);
}

#[test]
fn the_range_is_the_last_24_hours_where_nothing_is_asked() {
    let plan = planned("").unwrap();
    assert_eq!(plan.range(), TimeRange::new(at("2026-11-19T12:30:00Z"), at("2026-11-20T12:45:00Z")));
    assert_eq!((plan.resolution, plan.meter), (Resolution::Quarter, Meter::Evaluations));
}

#[test]
fn comparing_puts_as_many_buckets_before_whatever_their_length() {
    let plan =
        planned("from=2026-03-29T00:00:00%2B01:00&to=2026-03-31T00:00:00%2B02:00&resolution=1d&tz=Europe/Berlin&compare=previous")
            .unwrap();
    assert_eq!((plan.previous, plan.edges.len()), (2, 5));
    assert_eq!(plan.range().from, at("2026-03-28T23:00:00Z"));
    assert_eq!(plan.edges[0], at("2026-03-26T23:00:00Z"));
}

#[test]
fn a_customer_is_scoped_before_anything_is_planned() {
    let acme = Name::new("acme").unwrap();
    let asked = asked_by(Role::Customer(acme.clone()), "").unwrap();
    assert_eq!(asked.scope.filter().customers, std::slice::from_ref(&acme));
    assert!(matches!(asked_by(Role::Customer(acme), "customer=globex"), Err(Error::Forbidden(_))));
}

#[test]
fn answers_are_bounded() {
    assert!(matches!(planned("from=-30d&resolution=10s"), Err(Error::TooMuch(_))));
    let plan = planned("from=-900m&resolution=1m&group_by=flag").unwrap();
    assert_eq!(plan.groups_max, 1_000);
    let top = planned("from=-900m&resolution=1m&group_by=flag&limit=1000").unwrap();
    assert!(top.groups_max > plan.groups_max, "more groups are ranked than are shown");
    assert_eq!((top.limit, top.groups_max), (Some(1_000), 8_000_000 / (top.edges.len() - 1)));
    let long = planned("from=-9000m&resolution=1m&group_by=flag&compare=previous").unwrap();
    assert_eq!(long.groups_max, 8_000_000 / (long.edges.len() - 1));
}

#[test]
fn a_limit_is_kept_as_asked_and_too_many_rows_are_refused_with_how_to_ask_for_less() {
    let rows_of = |rows_max, query: &str| {
        let config = Config { rows_max, ..Config::default() };
        let asked = asked(&format!("from=-3h&to=2026-11-20T12:00:00Z&resolution=1h&{query}")).unwrap();
        let range = asked.range(at(NOW)).unwrap();
        asked.plan(range, &Floors::default(), &config).unwrap().rows_of(6).map_err(|error| error.to_string())
    };
    assert_eq!(rows_of(12, "group_by=flag&limit=3"), Ok(12), "what was asked for, and the rest");
    let refused = rows_of(11, "group_by=flag&limit=3").unwrap_err();
    assert!(refused.contains("4 groups in 3 buckets are more than 11 rows"), "{refused}");
    assert!(refused.contains("at most 3 fit") && !refused.contains("limit="), "{refused}");
    assert_eq!(rows_of(18, "group_by=flag"), Ok(18));
    let refused = rows_of(17, "group_by=flag").unwrap_err();
    assert!(refused.contains("limit="), "{refused}");
    let refused = rows_of(2, "").unwrap_err();
    assert!(refused.contains("coarser resolution.") && !refused.contains("limit="), "{refused}");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_parameter_at_fault() {
    for (query, parameter) in [
        ("from=yesterday", "from"),
        ("to=-48h", "from"),
        ("resolution=5m", "resolution"),
        ("tz=Mars/Olympus", "tz"),
        ("meter=received", "meter"),
        ("group_by=flag,flag", "group_by"),
        ("group_by=color", "group_by"),
        ("group_by=", "group_by"),
        ("limit=5", "limit"),
        ("limit=0&group_by=flag", "limit"),
        ("compare=last", "compare"),
        ("flag=", "flag"),
    ] {
        match planned(query) {
            Err(Error::Parameter { name, .. }) => assert_eq!(name, parameter, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    assert!(matches!(
        planned("from=1970-01-01T00:00:00Z&to=1970-01-02T00:00:00Z&compare=previous"),
        Err(Error::Parameter { .. })
    ));
}

#[test]
fn csv_is_sent_to_whom_prefers_it() {
    let asked_and_accepted = |query: &str, accept: &str| {
        let headers = [(header::ACCEPT, accept.parse().unwrap())].into_iter().collect();
        let parameters = Parameters::read(&format!("/v1/usage?{query}").parse().unwrap(), KNOWN).unwrap();
        format(&parameters, &headers)
    };
    let format_of = |accept: &str| asked_and_accepted("", accept).unwrap();
    assert_eq!(format_of("text/csv"), Format::Csv);
    assert_eq!(format_of("text/csv, application/json;q=0.5"), Format::Csv);
    assert_eq!(format_of("text/csv;q=0.4, */*"), Format::Json);
    assert_eq!(format_of("text/html, */*;q=0.8"), Format::Json);
    assert_eq!(asked_and_accepted("format=csv", "*/*").unwrap(), Format::Csv);
    let wrong = asked_and_accepted("format=xml", "*/*");
    assert!(matches!(wrong, Err(Error::Parameter { name: "format", .. })), "{wrong:?}");
}
