//! The whole picture: title, plot, axes, legend. Pure: the same scene and look are the same bytes.

use sha2::{Digest as _, Sha256};

use super::{
    bursts,
    legend::Legend,
    marks,
    plan::{Look, Style},
    scale::{Plot, Steps},
    scene::{Scene, Shown},
    style,
    svg::{Px, Svg},
    text,
    ticks::{self, Tick, ticks},
    words,
};
use crate::hex;

/// Around all of it.
const MARGIN: f64 = 14.0;
/// Title, total and range.
const HEAD: f64 = 78.0;
/// The labels of the axis of time.
const AXIS: f64 = 22.0;
/// Between them and the legend.
const APART: f64 = 8.0;
/// Lower than this no picture tells anything: it becomes higher than was asked for.
const PLOT_HEIGHT_MIN: f64 = 96.0;

/// The names of what is referred to inside the picture. Several pictures may stand in one page, so they hold a piece of
/// its hash.
#[derive(Debug)]
pub(super) struct Ids {
    title: String,
    description: String,
    /// Hatches and stripes.
    pub(super) unknown: String,
    pub(super) partial: String,
    pub(super) stripes: String,
}

impl Ids {
    fn with(suffix: &str) -> Self {
        let id = |name: &str| format!("fm-{name}-{suffix}");
        Self {
            title: id("title"),
            description: id("desc"),
            unknown: id("unknown"),
            partial: id("partial"),
            stripes: id("stripes"),
        }
    }
}

/// Draws a scene.
pub(super) fn draw(scene: &Scene, look: &Look) -> String {
    let unnamed = draw_as(scene, look, &Ids::with(""));
    let hash = hex::write(&Sha256::digest(unnamed));
    draw_as(scene, look, &Ids::with(hash.get(..8).unwrap_or_default()))
}

fn draw_as(scene: &Scene, look: &Look, ids: &Ids) -> String {
    let width = f64::from(look.width);
    let legend = Legend::of(scene, width - 2.0 * MARGIN);
    let around = HEAD + AXIS + APART + legend.height() + MARGIN;
    let height = f64::from(look.height).max((around + PLOT_HEIGHT_MIN).ceil());
    let style = look.style_of(scene);
    let plot = plot(scene, style, width, HEAD, height - around + HEAD);
    let mut svg = Svg::default();
    svg.open(
        "svg",
        &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("class", &format_args!("fm fm-{}", look.theme.name())),
            ("role", &"img"),
            ("lang", &"en"),
            ("aria-labelledby", &format_args!("{} {}", ids.title, ids.description)),
            ("width", &Px(width)),
            ("height", &Px(height)),
            ("viewBox", &format_args!("0 0 {} {}", Px(width), Px(height))),
        ],
    );
    svg.line();
    svg.text("title", &[("id", &ids.title)], &text::isolated(&scene.title));
    svg.line();
    svg.text("desc", &[("id", &ids.description)], &words::description(scene));
    svg.line();
    svg.text("style", &[], &style::sheet(look.theme));
    svg.line();
    patterns(&mut svg, ids);
    let size: [(_, &dyn std::fmt::Display); 3] =
        [("class", &"fm-paper"), ("width", &"100%"), ("height", &"100%")];
    svg.empty("rect", &size);
    svg.line();
    head(&mut svg, scene, width);
    axis_of_counts(&mut svg, &plot);
    marks::bands(&mut svg, scene, &plot, ids);
    svg.line();
    bursts::bands(&mut svg, scene, &plot);
    match style {
        Style::Stacked => marks::bars(&mut svg, scene, &plot, ids),
        Style::Lines => marks::lines(&mut svg, scene, &plot),
    }
    svg.line();
    axis_of_time(&mut svg, &plot, &ticks(scene.zone, scene.resolution, &plot));
    until(&mut svg, scene, &plot);
    marks::band_words(&mut svg, scene, &plot);
    nothing(&mut svg, scene, &plot);
    svg.line();
    legend.draw(&mut svg, scene, style, ids, MARGIN, plot.bottom + AXIS + APART);
    svg.line();
    marks::hovers(&mut svg, scene, &plot);
    bursts::tops(&mut svg, scene, &plot);
    svg.finish()
}

fn plot(scene: &Scene, style: Style, width: f64, top: f64, bottom: f64) -> Plot {
    // Lines of the axis are at least 30 pixels apart.
    let steps_max = match bottom - top {
        height if height < 150.0 => 3,
        height if height < 240.0 => 5,
        _ => 7,
    };
    let steps = Steps::up_to(marks::most(scene, style), steps_max);
    let label = steps.counts().map(|count| text::width(&text::short(count), ticks::SIZE)).fold(0.0, f64::max);
    let (from, to) = scene.range();
    Plot { left: MARGIN + label + 8.0, right: width - MARGIN, top, bottom, from, to, steps }
}

fn patterns(svg: &mut Svg, ids: &Ids) {
    svg.open("defs", &[]);
    for (id, class, apart, turn, stroke) in [
        (&ids.unknown, "fm-hatch", "6", "rotate(45)", "1.5"),
        (&ids.partial, "fm-hatch", "5", "rotate(-45)", "0.9"),
        (&ids.stripes, "fm-stripe", "5", "rotate(-45)", "1.8"),
    ] {
        svg.open(
            "pattern",
            &[
                ("id", id),
                ("width", &apart),
                ("height", &apart),
                ("patternUnits", &"userSpaceOnUse"),
                ("patternTransform", &turn),
            ],
        );
        if *id == ids.unknown {
            // Gaps that are narrower than the hatch are seen all the same.
            svg.empty("rect", &[("class", &"fm-tint"), ("width", &apart), ("height", &apart)]);
        }
        svg.empty(
            "path",
            &[("class", &class), ("stroke-width", &stroke), ("d", &format_args!("M0 0V{apart}"))],
        );
        svg.close();
    }
    svg.close();
    svg.line();
}

fn head(svg: &mut Svg, scene: &Scene, width: f64) {
    let room = width - 2.0 * MARGIN;
    let title = text::isolated(&text::cut(&scene.title, room, 16.5));
    for (class, y, text) in [
        ("fm-h", 26.0, title),
        ("fm-n", 45.0, text::cut(&words::capital(words::total(scene)), room, 13.0)),
        ("fm-q", 61.0, text::cut(&words::range(scene), room, 11.0)),
    ] {
        svg.text("text", &[("class", &class), ("x", &Px(MARGIN)), ("y", &Px(y))], &text);
        svg.line();
    }
}

fn axis_of_counts(svg: &mut Svg, plot: &Plot) {
    for count in plot.steps.counts() {
        let y = plot.y_of_step(count);
        let class = if count == 0 { "fm-base" } else { "fm-grid" };
        horizontal(svg, class, plot, y);
        let place: [(_, &dyn std::fmt::Display); 3] =
            [("x", &Px(plot.left - 8.0)), ("y", &Px(y + 4.0)), ("text-anchor", &"end")];
        svg.text("text", &place, &text::short(count));
    }
    svg.line();
}

fn horizontal(svg: &mut Svg, class: &str, plot: &Plot, y: f64) {
    let y = Px(y.round());
    svg.empty(
        "line",
        &[("class", &class), ("x1", &Px(plot.left)), ("x2", &Px(plot.right)), ("y1", &y), ("y2", &y)],
    );
}

fn axis_of_time(svg: &mut Svg, plot: &Plot, ticks: &[Tick]) {
    horizontal(svg, "fm-base", plot, plot.bottom);
    for tick in ticks {
        let (x, y1, y2) = (Px(tick.x), Px(plot.bottom), Px(plot.bottom + 4.0));
        svg.empty("line", &[("class", &"fm-base"), ("x1", &x), ("x2", &x), ("y1", &y1), ("y2", &y2)]);
        let class = if tick.is_major { "fm-d" } else { "fm-q" };
        let place: [(_, &dyn std::fmt::Display); 4] = [
            ("class", &class),
            ("x", &Px(tick.label_x)),
            ("y", &Px(plot.bottom + 16.0)),
            ("text-anchor", &"middle"),
        ];
        svg.text("text", &place, &tick.label);
    }
    svg.line();
}

/// Where what is in ends.
fn until(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    let Some(until) = scene.complete_until.filter(|until| plot.from < *until && *until < plot.to) else {
        return;
    };
    let x = Px(plot.x(until));
    svg.empty(
        "line",
        &[("class", &"fm-until"), ("x1", &x), ("x2", &x), ("y1", &Px(plot.top)), ("y2", &Px(plot.bottom))],
    );
}

/// Says so where nothing was counted, and where all of it is still to come.
fn nothing(svg: &mut Svg, scene: &Scene, plot: &Plot) {
    let words = if scene.states.iter().all(|state| *state == Shown::ToCome) {
        "Not there yet"
    } else if scene.total == Some(0) && !scene.states.contains(&Shown::Unknown) {
        "Nothing was counted"
    } else {
        return;
    };
    let (x, y) = (f64::midpoint(plot.left, plot.right), f64::midpoint(plot.top, plot.bottom));
    let place: [(_, &dyn std::fmt::Display); 4] =
        [("class", &"fm-n"), ("x", &Px(x)), ("y", &Px(y)), ("text-anchor", &"middle")];
    svg.text("text", &place, words);
}
