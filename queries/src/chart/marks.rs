//! The counts themselves, and what is known of them.

use std::ops::RangeInclusive;

use super::{
    picture::Ids,
    plan::Style,
    scale::Plot,
    scene::{Line, Scene, Shown},
    style::COLOURS,
    svg::{Path, Px, Svg},
    text, words,
};

/// What stands in a gap that has room for it.
const UNKNOWN_WORDS: &str = "not known";

/// The class of a line's colour.
pub(super) fn colour(line: &Line, at: usize) -> String {
    if line.is_rest { format!("fm-{COLOURS}") } else { format!("fm-{}", at % COLOURS) }
}

/// The largest count that is drawn.
pub(super) fn most(scene: &Scene, style: Style) -> u64 {
    let buckets = 0..scene.states.len();
    let most = match style {
        Style::Stacked => buckets.filter_map(|at| scene.sum(at).max(scene.sum_before(at))).max(),
        Style::Lines => scene
            .lines
            .iter()
            .flat_map(|line| line.counts.iter().chain(&line.before))
            .copied()
            .flatten()
            .max(),
    };
    most.unwrap_or(0)
}

/// Bands behind the counts: where nothing is known, and where not all is.
pub(super) fn bands(svg: &mut Svg, scene: &Scene, plot: &Plot, ids: &Ids) {
    for state in [Shown::Unknown, Shown::Partial] {
        for run in scene.runs(state) {
            let (from, to) = scene.span(run);
            let (left, width) = (plot.x(from), (plot.x(to) - plot.x(from)).max(2.0));
            let fill = if state == Shown::Unknown { &ids.unknown } else { &ids.partial };
            svg.empty(
                "rect",
                &[
                    ("x", &Px(left)),
                    ("y", &Px(plot.top)),
                    ("width", &Px(width)),
                    ("height", &Px(plot.height())),
                    ("fill", &format_args!("url(#{fill})")),
                ],
            );
        }
    }
}

/// The words in gaps, above all that is drawn; turned where a gap is narrow, and left to the legend where it is narrower.
pub(super) fn band_words(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    let needed = text::width(UNKNOWN_WORDS, 11.0) + 10.0;
    for run in scene.runs(Shown::Unknown) {
        let (from, to) = scene.span(run);
        let (width, x) = (plot.x(to) - plot.x(from), f64::midpoint(plot.x(from), plot.x(to)));
        let y = f64::midpoint(plot.top, plot.bottom);
        let class = ("class", &"fm-w" as &dyn std::fmt::Display);
        let anchor = ("text-anchor", &"middle" as &dyn std::fmt::Display);
        if width >= needed {
            svg.text("text", &[class, ("x", &Px(x)), ("y", &Px(y + 4.0)), anchor], UNKNOWN_WORDS);
        } else if width >= 15.0 && plot.height() >= needed {
            let turn = format!("translate({} {}) rotate(-90)", Px(x + 4.0), Px(y));
            svg.text("text", &[class, ("transform", &turn), anchor], UNKNOWN_WORDS);
        }
    }
}

/// The counts as bars that stand on each other: the largest group below.
pub(super) fn bars(svg: &mut Svg, scene: &Scene, plot: &Plot, ids: &Ids) {
    let mut below = vec![0_u64; scene.states.len()];
    let mut partial = Path::default();
    for (at, line) in scene.lines.iter().enumerate() {
        let (mut known, mut filling) = (Path::default(), Path::default());
        for (bucket, below) in below.iter_mut().enumerate() {
            let count = line.counts.get(bucket).copied().flatten().unwrap_or(0);
            if count == 0 {
                continue;
            }
            let (left, width) = bar(scene, plot, bucket);
            let above = below.saturating_add(count);
            // What was counted is seen, however little it is.
            let height = (plot.y(*below) - plot.y(above)).max(0.7);
            let top = plot.y(*below) - height;
            *below = above;
            match scene.states.get(bucket) {
                Some(Shown::Open) => {
                    filling.rectangle(left + 0.5, top + 0.5, (width - 1.0).max(0.3), (height - 0.5).max(0.2));
                }
                _ => known.rectangle(left, top, width, height),
            }
        }
        let colour = colour(line, at);
        paint(svg, &format!("fm-bar {colour}"), &known);
        paint(svg, &format!("fm-filling {colour}"), &filling);
    }
    for (bucket, sum) in below.iter().enumerate() {
        if *sum > 0 && scene.states.get(bucket) == Some(&Shown::Partial) {
            let (left, width) = bar(scene, plot, bucket);
            partial.rectangle(left, plot.y(*sum), width, plot.bottom - plot.y(*sum));
        }
    }
    if !partial.is_empty() {
        svg.empty("path", &[("fill", &format_args!("url(#{})", ids.stripes)), ("d", &partial)]);
    }
    let sums: Vec<_> = (0..scene.states.len()).map(|at| scene.sum_before(at)).collect();
    paint(svg, "fm-before fm-sum", &joined(scene, plot, &sums, |_| true));
}

/// Where the bar of a bucket begins and how wide it is: bars stand apart where there is room.
fn bar(scene: &Scene, plot: &Plot, bucket: usize) -> (f64, f64) {
    let (from, to) = scene.span((bucket, bucket));
    let width = plot.x(to) - plot.x(from);
    let apart = if width >= 4.0 { (width * 0.2).min(3.0) } else { 0.0 };
    (plot.x(from) + apart / 2.0, (width - apart).max(0.8))
}

/// The counts as lines, each with a point in the middle of its bucket. They break where nothing is known.
pub(super) fn lines(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    if let ([line], Style::Lines) = (scene.lines.as_slice(), Style::Lines) {
        paint(svg, &format!("fm-area {}", colour(line, 0)), &area(scene, plot, &line.counts));
    }
    // The largest is drawn last, on top.
    for (at, line) in scene.lines.iter().enumerate().rev() {
        let colour = colour(line, at);
        paint(svg, &format!("fm-before {colour}"), &joined(scene, plot, &line.before, |_| true));
        let is_open = |pair: RangeInclusive<usize>| {
            scene.states.get(pair).is_some_and(|states| states.contains(&Shown::Open))
        };
        let known = joined(scene, plot, &line.counts, |bucket| !is_open(bucket - 1..=bucket));
        let filling = joined(scene, plot, &line.counts, |bucket| is_open(bucket - 1..=bucket));
        paint(svg, &format!("fm-line {colour}"), &known);
        paint(svg, &format!("fm-line fm-open {colour}"), &filling);
        points(svg, scene, plot, line, &colour);
    }
}

/// The middle of a bucket.
fn middle(scene: &Scene, plot: &Plot, bucket: usize) -> f64 {
    let (from, to) = scene.span((bucket, bucket));
    f64::midpoint(plot.x(from), plot.x(to))
}

/// The lines from each count to the next one for which `is_meant` holds.
fn joined(scene: &Scene, plot: &Plot, counts: &[Option<u64>], is_meant: impl Fn(usize) -> bool) -> Path {
    let mut path = Path::default();
    let mut ends_at = None;
    for (at, pair) in counts.windows(2).enumerate() {
        let &[Some(before), Some(count)] = pair else { continue };
        if !is_meant(at + 1) {
            continue;
        }
        if ends_at != Some(at) {
            path.move_to(middle(scene, plot, at), plot.y(before));
        }
        path.line_to(middle(scene, plot, at + 1), plot.y(count));
        ends_at = Some(at + 1);
    }
    path
}

/// What lies below a line.
fn area(scene: &Scene, plot: &Plot, counts: &[Option<u64>]) -> Path {
    let mut path = Path::default();
    let mut known = None;
    for (at, count) in counts.iter().enumerate() {
        let x = middle(scene, plot, at);
        match (*count, known) {
            (Some(count), None) => {
                path.move_to(x, plot.bottom);
                path.line_to(x, plot.y(count));
                known = Some(x);
            }
            (Some(count), Some(_)) => {
                path.line_to(x, plot.y(count));
                known = Some(x);
            }
            (None, Some(last)) => {
                path.line_to(last, plot.bottom);
                path.close();
                known = None;
            }
            (None, None) => {}
        }
    }
    if let Some(last) = known {
        path.line_to(last, plot.bottom);
        path.close();
    }
    path
}

/// Points for counts that no line leads to, for each where there are few, and hollow ones where not all is known.
fn points(svg: &mut Svg, scene: &Scene, plot: &Plot, line: &Line, colour: &str) {
    let count_at = |at: Option<usize>| at.and_then(|at| line.counts.get(at).copied().flatten());
    for (at, count) in line.counts.iter().enumerate() {
        let Some(count) = *count else { continue };
        let is_alone = count_at(at.checked_sub(1)).is_none() && count_at(Some(at + 1)).is_none();
        let (from, to) = scene.span((at, at));
        let has_room = plot.x(to) - plot.x(from) >= 16.0;
        let state = scene.states.get(at).copied();
        let is_hollow = matches!(state, Some(Shown::Partial | Shown::Open));
        if is_alone || has_room || state == Some(Shown::Partial) {
            let class = if is_hollow { format!("{colour} fm-hollow") } else { colour.to_owned() };
            let radius = if has_room || is_alone { 2.5 } else { 1.8 };
            let (x, y) = (middle(scene, plot, at), plot.y(count));
            svg.empty("circle", &[("class", &class), ("cx", &Px(x)), ("cy", &Px(y)), ("r", &Px(radius))]);
        }
    }
}

/// What is told of a bucket that is pointed at, where the picture stands in a page of its own.
pub(super) fn hovers(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    svg.open("g", &[("class", &"fm-hover")]);
    for bucket in 0..scene.states.len() {
        let (from, to) = scene.span((bucket, bucket));
        let mut path = Path::default();
        path.rectangle(plot.x(from), plot.top, plot.x(to) - plot.x(from), plot.height());
        svg.open("path", &[("d", &path)]);
        svg.text("title", &[], &words::bucket(scene, bucket));
        svg.close();
    }
    svg.close();
}

fn paint(svg: &mut Svg, class: &str, path: &Path) {
    if !path.is_empty() {
        svg.empty("path", &[("class", &class), ("d", path)]);
    }
}
