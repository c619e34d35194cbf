//! Bursts and drops in a picture: a band from its beginning to its end behind the counts, and above it a triangle that points up
//! for a burst and down for a drop, so that nobody needs colours to tell them apart. Nothing of it lies on the counts.

use std::fmt::Display;

use chrono::{Datelike as _, NaiveDateTime};
use chrono_tz::Tz;
use flagmeter_ledger::{AlertKind, Episode};
use flagmeter_model::Timestamp;

use super::{
    scale::Plot,
    scene::Scene,
    svg::{Path, Svg},
    text::isolated,
};
use crate::{
    bursts::marks::{MARKS_MAX, Marks},
    civil,
};

/// Half of a triangle, its height, and how far it stands above the counts.
const HALF: f64 = 5.0;
const HEIGHT: f64 = 8.0;
const RISE: f64 = 4.0;
/// Triangles that are nearer to each other than this are one.
const NEAR: f64 = 2.0 * HALF + 1.0;
/// So many are told by one triangle, one by one.
const TOLD_MAX: usize = 5;

/// How much is said of whose a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nothing: who has a link sees no names but those of its question.
    Nothing,
    /// Project, environment and flag: the customer is who asks.
    Own,
    /// All of it.
    All,
}

/// A burst or a drop, as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: AlertKind,
    since: Timestamp,
    /// None while it goes on.
    until: Option<Timestamp>,
    /// The end of it that is drawn.
    end: Timestamp,
    /// When it is drawn: dates of this year need no year.
    now: Timestamp,
    percent: u64,
    /// Empty where nothing is said of it.
    whose: String,
    is_muted: bool,
}

/// The marks of a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) marks: Vec<Mark>,
    more: bool,
    are_unknown: bool,
}

impl Marked {
    /// Those of what is read.
    pub(super) fn of(marks: &Marks, whose: Whose, now: Timestamp) -> Self {
        let mark = |episode: &Episode| Mark {
            kind: episode.began.alerted.kind,
            since: episode.began.alerted.since,
            until: episode.until(),
            end: episode.until().unwrap_or(now),
            now,
            percent: episode.percent(),
            whose: name(episode, whose),
            is_muted: episode.began.muted.is_some(),
        };
        let Marks { episodes, more, are_unknown } = marks;
        Self { marks: episodes.iter().map(mark).collect(), more: *more, are_unknown: *are_unknown }
    }

    /// Whether there are any of this kind.
    pub(super) fn has(&self, kind: AlertKind) -> bool {
        self.marks.iter().any(|mark| mark.kind == kind)
    }

    /// What else is to be said of them.
    pub(super) fn note(&self) -> Option<String> {
        if self.are_unknown {
            return Some("Bursts and drops could not be read: none is marked, and there may be some.".into());
        }
        self.more.then(|| format!("The last {MARKS_MAX} bursts and drops are marked: there are more."))
    }
}

/// Whose it is, from the largest to the smallest.
fn name(episode: &Episode, whose: Whose) -> String {
    let of = &episode.began.alerted.of;
    let all = [Some(of.customer()), of.project(), of.environment(), of.flag()];
    let told = match whose {
        Whose::Nothing => return String::new(),
        Whose::Own => all.get(1..).unwrap_or_default(),
        Whose::All => &all,
    };
    let told: Vec<_> = told.iter().flatten().map(|name| isolated(name)).collect();
    told.join(" › ")
}

impl Mark {
    /// All of it in words.
    pub(super) fn words(&self, zone: Tz) -> String {
        let what = match self.kind {
            AlertKind::Burst => "Burst",
            AlertKind::Drop => "Drop",
        };
        let how = how_far(self.kind, self.percent);
        let whose = if self.whose.is_empty() { String::new() } else { format!(" of {}", self.whose) };
        let this_year = civil::local(zone, self.now).year();
        let told = |at: NaiveDateTime| {
            let format = if at.year() == this_year { "%-d %b, %H:%M" } else { "%-d %b %Y, %H:%M" };
            at.format(format).to_string()
        };
        let (since, until) =
            (civil::local(zone, self.since), self.until.map(|until| civil::local(zone, until)));
        let begin = told(since);
        let when = match until {
            None => format!("since {begin}"),
            Some(until) if until.date() == since.date() => format!("{begin} to {}", until.format("%H:%M")),
            Some(until) => format!("{begin} to {}", told(until)),
        };
        let muted = if self.is_muted { ", muted" } else { "" };
        format!("{what}{whose}: {how} what is expected, {when}{muted}")
    }
}

/// How far it went from what is expected. A drop to little is told in percent, as it is no tenth of a time.
pub(crate) fn how_far(kind: AlertKind, percent: u64) -> String {
    match kind {
        AlertKind::Burst => format!("up to {} times", times(percent)),
        AlertKind::Drop => format!("down to {percent} % of"),
    }
}

/// How many times, from percent.
fn times(percent: u64) -> String {
    // From ten on a tenth says nothing.
    let tenths = percent.saturating_add(5) / 10;
    if tenths < 100 {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        super::text::grouped(percent.saturating_add(50) / 100)
    }
}

/// What is drawn of a mark: from where to where. None where nothing of it lies in the picture.
fn place(plot: &Plot, mark: &Mark) -> Option<(f64, f64)> {
    let (from, to) = (mark.since.max(plot.from), mark.end.min(plot.to));
    if to < from || mark.since >= plot.to {
        return None;
    }
    // However short it was, it is seen.
    let left = plot.x(from).min(plot.right - 2.0);
    Some((left, plot.x(to).max(left + 2.0)))
}

/// The bands, behind the counts.
pub(super) fn bands(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    let mut path = Path::default();
    for (left, right) in scene.marked.marks.iter().filter_map(|mark| place(plot, mark)) {
        path.rectangle(left, plot.top, right - left, plot.height());
    }
    if !path.is_empty() {
        svg.empty("path", &[("class", &"fm-burst fm-band"), ("d", &path)]);
        svg.line();
    }
}

/// The triangles above the counts, each with its words, and a line as long as what it stands for.
pub(super) fn tops(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    let mut places: Vec<(f64, AlertKind, Vec<&Mark>)> = Vec::new();
    let mut lines = Path::default();
    for mark in &scene.marked.marks {
        let Some((left, right)) = place(plot, mark) else { continue };
        lines.rectangle(left, plot.top - 2.0, right - left, 2.0);
        let x = f64::midpoint(left, right).clamp(plot.left + HALF, plot.right - HALF);
        let near = places.iter_mut().find(|(at, kind, _)| *kind == mark.kind && (at - x).abs() < NEAR);
        match near {
            Some((_, _, marks)) => marks.push(mark),
            None => places.push((x, mark.kind, vec![mark])),
        }
    }
    if places.is_empty() {
        return;
    }
    svg.empty("path", &[("class", &"fm-burst"), ("d", &lines)]);
    for (x, kind, marks) in places {
        let mut told: Vec<_> = marks.iter().take(TOLD_MAX).map(|mark| mark.words(scene.zone)).collect();
        if marks.len() > TOLD_MAX {
            told.push(format!("and {} more", marks.len() - TOLD_MAX));
        }
        svg.open("g", &[]);
        svg.text("title", &[], &told.join("; "));
        triangle(svg, kind, x, plot.top - RISE);
        svg.close();
    }
    svg.line();
}

/// A triangle that stands on `bottom`.
pub(super) fn triangle(svg: &mut Svg, kind: AlertKind, x: f64, bottom: f64) {
    let (tip, base) = match kind {
        AlertKind::Burst => (bottom - HEIGHT, bottom),
        AlertKind::Drop => (bottom, bottom - HEIGHT),
    };
    let mut path = Path::default();
    path.move_to(x - HALF, base);
    path.line_to(x + HALF, base);
    path.line_to(x, tip);
    path.close();
    let d: &dyn Display = &path;
    svg.empty("path", &[("class", &"fm-burst"), ("d", d)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_exactly_as_they_mean_something() {
        let told = [0, 4, 5, 499, 500, 994, 995, 1_000, 123_456, u64::MAX].map(times);
        let expected =
            ["0.0", "0.0", "0.1", "5.0", "5.0", "9.9", "10", "10", "1,235", "184,467,440,737,095,516"];
        assert_eq!(told, expected);
    }
}
