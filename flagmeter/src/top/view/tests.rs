use super::*;

fn line(name: &str, now: Option<f64>, hour: Option<u64>) -> Line {
    Line {
        name: name.to_owned(),
        now,
        minute: now,
        hour,
        change: Some(0.25),
        state: State::Complete,
        sparkline: (0..60).map(|minute| (!(24..36).contains(&minute)).then_some(minute)).collect(),
        bursts: Vec::new(),
    }
}

fn table() -> Table {
    let until = Timestamp::parse_rfc3339("2026-11-20T12:44:50Z").unwrap();
    let burst = Burst { at: "2026-11-20T12:31:00Z".into(), count: 421, median: 100 };
    let silent =
        Line {
            now: None, hour: None, change: None, state: State::Gaps, ..line("沉默的客戶", None, None)
        };
    Table {
        by: "customer".into(),
        complete_until: Some(until.to_string()),
        complete_at: Some(until),
        missing_nodes: vec!["2 (us-east)".into()],
        burst_rule: BURST_RULE,
        total: line("all", Some(1_234.5), Some(1_500_000)),
        lines: vec![
            line("acme", Some(3.25), Some(9_000)),
            Line { bursts: vec![burst], ..line("شركة-الأمل", Some(1_200.0), Some(1_400_000)) },
            line(&"x".repeat(200), Some(0.5), Some(900)),
            silent,
            line(OTHERS, Some(99.0), Some(70_000)),
        ],
    }
}

fn around() -> Around {
    let now = Timestamp::parse_rfc3339("2026-11-20T12:44:54Z").unwrap();
    Around { authority: "127.0.0.1:8080".into(), now, away: None }
}

fn drawn(view: &View, width: usize, height: Option<usize>) -> Vec<String> {
    let screen = screen(&table(), &around(), view, Size { width, height });
    plain(&screen).lines().map(str::to_owned).collect()
}

fn names(view: &View) -> Vec<String> {
    shown(&table(), view).iter().map(|line| line.name.chars().take(4).collect()).collect()
}

#[test]
fn at_60_columns_it_tells_the_rates_and_the_hour() {
    assert_eq!(
        drawn(&View::default(), 60, None),
        [
            "flagmeter top  1.2k/s now, 1.5M in 1 h  by customer  127.0.…",
            "complete until 12:44:50 (4 s ago)  silent nodes: 2 (us-east)",
            "customer             now/s▾   1 min/s       1 h last hour",
            "! شركة-الأمل           1.2k      1.2k      1.4M ▂▂▃▄▄··▆▇▇██",
            "acme                   3.25      3.25     9,000 ▂▂▃▄▄··▆▇▇██",
            "xxxxxxxxxxxxxxxx…      0.50      0.50       900 ▂▂▃▄▄··▆▇▇██",
            "沉默的客戶                —         —         — ▂▂▃▄▄··▆▇▇██",
            "(all others)          99.00     99.00    70,000 ▂▂▃▄▄··▆▇▇██",
            "burst: a minute with 3 times the median of the hour before …",
        ]
    );
}

#[test]
fn at_80_columns_it_tells_changes_and_states_as_well() {
    let lines = drawn(&View::default(), 80, None);
    assert_eq!(lines[2], "customer            now/s▾   1 min/s       1 h   change last hour       state");
    assert_eq!(lines[4], "acme                  3.25      3.25     9,000    +25 % ▂▂▃▃▄▄···▆▇▇███ complete");
    assert_eq!(lines[6], "沉默的客戶               —         —         —        — ▂▂▃▃▄▄···▆▇▇███ gaps");
}

#[test]
fn at_140_columns_it_tells_which_bursts_there_were() {
    let lines = drawn(&View::default(), 140, None);
    assert!(lines[2].ends_with("state    bursts"), "{}", lines[2]);
    assert!(
        lines[3].starts_with("شركة-الأمل ") && lines[3].ends_with("complete 1, last 12:31 ×4"),
        "{}",
        lines[3]
    );
    assert!(lines[4].contains('·'), "half an hour ago there is a gap: {}", lines[4]);
    assert!(lines[4].ends_with("complete —"), "{}", lines[4]);
}

#[test]
fn no_line_is_wider_than_the_screen_and_columns_stand_below_each_other() {
    let views = [
        View::default(),
        View { types: true, filter: "沉默".repeat(90), ..View::default() },
        View { paused: true, scroll: 3, ..View::default() },
    ];
    for view in views {
        for width in (0..30).chain((30..200).step_by(13)) {
            for height in [None, Some(0), Some(4), Some(24)] {
                let size = Size { width, height };
                let screen =
                    screen(&table(), &Around { away: Some("x".repeat(300)), ..around() }, &view, size);
                let widths =
                    screen.iter().map(|line| line.iter().map(|piece| width_of(&piece.text)).sum::<usize>());
                assert!(widths.into_iter().all(|cells| cells <= width), "{width}: {}", plain(&screen));
                assert!(height.is_none_or(|height| screen.len() == height), "{height:?}: {}", screen.len());
            }
        }
    }
    for width in [60, 80, 140] {
        let screen = screen(&table(), &around(), &View::default(), Size { width, height: None });
        let rows = screen.iter().skip(2).take(6);
        for row in rows {
            assert_eq!(row.iter().map(|piece| width_of(&piece.text)).sum::<usize>(), width);
        }
    }
}

#[test]
fn lines_come_in_the_order_asked_for_with_all_others_last() {
    let sorted = |sort| names(&View { sort, ..View::default() });
    assert_eq!(sorted(Sort::Now), ["شركة", "acme", "xxxx", "沉默的客", "(all"]);
    assert_eq!(sorted(Sort::Hour), ["شركة", "acme", "xxxx", "沉默的客", "(all"]);
    assert_eq!(sorted(Sort::Name), ["acme", "xxxx", "شركة", "沉默的客", "(all"]);
    assert_eq!(sorted(Sort::Change), ["acme", "xxxx", "شركة", "沉默的客", "(all"]);
    let four = [Sort::Now.next(), Sort::Hour.next(), Sort::Change.next(), Sort::Name.next()];
    assert_eq!(four, [Sort::Hour, Sort::Change, Sort::Name, Sort::Now]);
    let filtered = names(&View { filter: "ACM".into(), ..View::default() });
    assert_eq!(filtered, ["acme"]);
}

#[test]
fn a_screen_shows_the_lines_that_it_was_scrolled_to_and_its_keys() {
    let lines = drawn(&View { scroll: 9, ..View::default() }, 80, Some(7));
    assert_eq!(lines.len(), 7);
    assert!(lines[3].starts_with("沉默的客戶") && lines[4].starts_with("(all others)"), "{lines:?}");
    assert_eq!(lines[6], "4-5 of 5  q quit  s sort (now)  / filter  p pause  ↑↓ scroll");
    let typing = drawn(&View { types: true, filter: "ac".into(), ..View::default() }, 80, Some(9));
    assert_eq!(typing[8], "filter: ac▏ (Enter keeps it, Esc drops it)");
    let none = drawn(&View { filter: "zz".into(), paused: true, ..View::default() }, 80, Some(9));
    assert_eq!(none[8], "0-0 of 0 (some)  q quit  s sort (now)  / filter  p go on  ↑↓ scroll");
    assert!(none[0].starts_with("flagmeter top  paused"), "{}", none[0]);
}

#[test]
fn a_server_that_is_away_is_told_before_everything_else() {
    let away = Around { away: Some("cannot connect".into()), ..around() };
    let screen = screen(&table(), &away, &View::default(), Size { width: 100, height: None });
    assert!(plain(&screen).contains("nothing newer: cannot connect; complete until 12:44:50 (4 s ago)"));
    let nothing = Table { complete_until: None, complete_at: None, missing_nodes: Vec::new(), ..table() };
    let screen = super::screen(&nothing, &around(), &View::default(), Size { width: 100, height: None });
    assert_eq!(plain(&screen).lines().nth(1), Some("nothing is known to be in yet"));
}

#[test]
fn it_is_scrolled_as_far_as_there_are_lines_below() {
    assert_eq!(scroll_max(100, Some(25)), 80);
    assert_eq!([scroll_max(20, Some(25)), scroll_max(100, None), scroll_max(0, Some(3))], [0, 0, 0]);
    let (last, height) = (scroll_max(table().lines.len(), Some(8)), Some(8));
    let at = |scroll| drawn(&View { scroll, ..View::default() }, 60, height);
    assert_eq!((last, at(last).last()), (2, at(last + 5).last()), "there is nothing further down");
    assert_ne!(at(last), at(last - 1), "each step back is seen");
}
