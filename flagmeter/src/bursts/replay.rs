//! `flagmeter bursts replay`: what files tell, as if it had just happened.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flagmeter_bursts::{Alert, Count, Detector, Event, History, Kind, Over, Rule};
use flagmeter_model::Timestamp;

use super::file::{self, Counts};
use crate::{Error, Result, output};

/// Reads the files, and says what would have been said.
pub(super) fn run(paths: &[PathBuf]) -> Result<()> {
    let mut counts = None;
    for path in paths {
        let unusable = |reason: String| Error::Counts { path: path.clone(), reason };
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            let opened = File::open(path);
            Box::new(opened.map_err(|error| unusable(format!("{error}: name the file that you saved")))?)
        };
        counts = Some(file::read(source, counts).map_err(unusable)?);
    }
    for line in counts.iter().flat_map(said) {
        output::say(line);
    }
    Ok(())
}

/// What would have been said, in order, and a line about all of it.
fn said(counts: &Counts) -> Vec<String> {
    let mut events = Vec::new();
    let (mut steps, mut unknown) = (0_u64, 0_u64);
    for (name, series) in &counts.series {
        let mut detector = Detector::new(Rule::default(), counts.grain);
        let mut history = History::new(counts.grain);
        let mut at = counts.from;
        while at < counts.to {
            let count: Count = series.get(&at).copied().flatten();
            steps += 1;
            unknown += u64::from(count.is_none());
            if let Some(event) = detector.take(at, count, |slot| history.weeks(slot)) {
                events.push((at.plus_seconds(counts.grain.seconds()), name, event));
            }
            history.take(at, count);
            at = at.plus_seconds(counts.grain.seconds());
        }
    }
    events.sort_by_key(|(at, ..)| *at);
    let of_kind = |kind: Kind| {
        let began = |event: &Event| matches!(event, Event::Begins(alert) if alert.kind == kind);
        events.iter().filter(|(.., event)| began(event)).count() as u64
    };
    let (bursts, drops) = (of_kind(Kind::Burst), of_kind(Kind::Drop));
    let mut lines: Vec<String> = events.iter().map(|(at, name, event)| line(*at, name, event)).collect();
    let known = (steps - unknown) / (60 / counts.grain.seconds()).unsigned_abs();
    lines.push(format!(
        "{} and {} in {}, of {} to {}: {} known of {}",
        counted(bursts, "burst"),
        counted(drops, "drop"),
        counted(counts.series.len() as u64, "series"),
        counts.from,
        counts.to,
        counted(known, "minute"),
        output::grouped(steps / (60 / counts.grain.seconds()).unsigned_abs()),
    ));
    lines
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 || what == "series" { "" } else { "s" };
    format!("{} {what}{plural}", output::grouped(number))
}

fn line(at: Timestamp, name: &str, event: &Event) -> String {
    let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
    match event {
        Event::Begins(alert) => format!("{at}  {}{of} {}", noun(alert.kind), begins(alert)),
        Event::Ends { kind, since, extreme, over, .. } => {
            let (extreme_is, calm) = match kind {
                Kind::Burst => ("at most", "traffic is as expected again"),
                Kind::Drop => ("down to", "traffic is back"),
            };
            let why = match over {
                Over::Calm => calm,
                Over::NewLevel => "this much is what is expected now",
                Over::Unknown => "nothing is known any more",
            };
            let extreme = output::grouped(*extreme);
            format!("{at}  {}{of} since {since} is over: {extreme_is} {extreme} a minute; {why}", noun(*kind))
        }
    }
}

const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Burst => "a burst",
        Kind::Drop => "a drop",
    }
}

fn begins(alert: &Alert) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, for people")]
    let whole = |number: f64| output::grouped(number.round() as u64);
    let (more, learning) = (
        if alert.kind == Kind::Burst { "more" } else { "less" },
        if alert.is_learning { " (still learning: measured by the highest of the last week)" } else { "" },
    );
    format!(
        "since {}: {} in the last minute where {} to {} are expected, {:.1} times {}; {} {more} so far{learning}",
        alert.since,
        output::grouped(alert.observed),
        whole(alert.expected.low),
        whole(alert.expected.high),
        alert.ratio,
        whole(alert.expected.middle),
        whole(alert.excess),
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Three weeks of one hundred a minute, then five times as much for ten minutes, and an hour that is not known.
    fn file() -> String {
        let start = Timestamp::parse_rfc3339("2026-11-02T00:00:00Z").unwrap();
        let burst = 3 * 10_080..3 * 10_080 + 10;
        let mut text = "start,end,state,count,customer\n".to_owned();
        for minute in 0..3 * 10_080 + 180 {
            let (from, to) = (start.plus_seconds(minute * 60), start.plus_seconds(minute * 60 + 60));
            let counted = match minute {
                _ if burst.contains(&minute) => "complete,500",
                minute if minute > 3 * 10_080 + 120 => "unknown,",
                _ => "complete,100",
            };
            let _infallible = writeln!(text, "{from},{to},{counted},acme");
        }
        text
    }

    #[test]
    fn a_file_says_what_would_have_been_said_in_words() {
        let said = said(&file::read(file().as_bytes(), None).unwrap());
        assert_eq!(
            said,
            [
                "2026-11-23T00:02:00Z  a burst of acme since 2026-11-23T00:00:00Z: 500 in the last minute where 78 to \
                 122 are expected, 5.0 times 100; 800 more so far",
                "2026-11-23T00:15:00Z  a burst of acme since 2026-11-23T00:00:00Z is over: at most 500 a minute; \
                 traffic is as expected again",
                "1 burst and 0 drops in 1 series, of 2026-11-02T00:00:00Z to 2026-11-23T03:00:00Z: 30,361 minutes \
                 known of 30,420",
            ]
        );
    }
}
