//! What stands below the axis: which colour is whose, what the marks mean, and what else is to be said.

use flagmeter_ledger::AlertKind;

use super::{
    bursts, marks,
    picture::Ids,
    plan::Style,
    scene::{Scene, Shown},
    svg::{Px, Svg},
    text, words,
};

/// From one line of groups to the next.
const GROUP_LINE: f64 = 19.0;
/// From one line of marks or notes to the next.
const NOTE_LINE: f64 = 16.0;
/// Between groups and what follows.
const APART: f64 = 4.0;
/// A group wants so much room.
const GROUP_WIDTH: f64 = 190.0;

/// What a mark shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    State(Shown),
    Before,
    Alert(AlertKind),
}

/// The legend of a picture, laid out.
#[derive(Debug)]
pub(super) struct Legend {
    columns: usize,
    groups: usize,
    width: f64,
    /// Marks with their words and where they begin, line by line.
    keys: Vec<Vec<(f64, Key, &'static str)>>,
    notes: Vec<String>,
}

impl Legend {
    /// Lays it out in so many pixels.
    pub(super) fn of(scene: &Scene, width: f64) -> Self {
        let groups = if scene.is_grouped { scene.lines.len() } else { 0 };
        let columns = (1..=4).rev().find(|columns| f64::from(*columns) * GROUP_WIDTH <= width).unwrap_or(1);
        let columns = usize::try_from(columns).unwrap_or(1).min(groups.max(1));
        let mut present: Vec<(Key, &'static str)> = Vec::new();
        if scene.is_compared {
            present.push((Key::Before, "the period before"));
        }
        for state in [Shown::Open, Shown::Partial, Shown::Unknown] {
            if scene.states.contains(&state) {
                present.push((Key::State(state), state.words()));
            }
        }
        for (kind, words) in [
            (AlertKind::Burst, "a burst: far more than expected"),
            (AlertKind::Drop, "a drop: far less than expected"),
        ] {
            if scene.marked.has(kind) {
                present.push((Key::Alert(kind), words));
            }
        }
        let mut keys: Vec<Vec<(f64, Key, &'static str)>> = Vec::new();
        let mut x = width;
        for (key, words) in present {
            let needed = 16.0 + text::width(words, 11.0);
            if x + needed > width || keys.is_empty() {
                keys.push(Vec::new());
                x = 0.0;
            }
            if let Some(line) = keys.last_mut() {
                line.push((x, key, words));
            }
            x += needed + 14.0;
        }
        Self { columns, groups, width, keys, notes: text::lines(&words::notes(scene).join(" "), width, 11.0) }
    }

    /// How high it is.
    #[expect(clippy::cast_precision_loss, reason = "there are few lines")]
    pub(super) fn height(&self) -> f64 {
        let apart = if self.groups > 0 { APART } else { 0.0 };
        let groups = self.groups.div_ceil(self.columns) as f64 * GROUP_LINE + apart;
        groups + (self.keys.len() + self.notes.len()) as f64 * NOTE_LINE
    }

    /// Draws it.
    #[expect(clippy::cast_precision_loss, reason = "there are few columns")]
    pub(super) fn draw(&self, svg: &mut Svg, scene: &Scene, style: Style, ids: &Ids, left: f64, top: f64) {
        let mut y = top;
        let column = self.width / self.columns as f64;
        for (at, line) in scene.lines.iter().enumerate().take(self.groups) {
            let x = left + column * (at % self.columns) as f64;
            let total = line.total.map_or_else(|| "not known".into(), text::grouped);
            let room = column - 26.0 - text::width(&total, 12.0);
            let name = text::cut(&line.name, room.max(24.0), 12.0);
            svg.open("g", &[]);
            svg.text("title", &[], &format!("{}: {total}", text::isolated(&line.name)));
            let class = format!("fm-bar {}", marks::colour(line, at));
            let (height, rise) = if style == Style::Lines { (3.0, 5.5) } else { (10.0, 9.0) };
            square(svg, &[("class", &class)], x, y + 12.0 - rise, height);
            svg.open("text", &[("class", &"fm-l"), ("x", &Px(x + 16.0)), ("y", &Px(y + 12.0))]);
            svg.text("tspan", &[], &text::isolated(&name));
            svg.text("tspan", &[("class", &"fm-q"), ("dx", &"6")], &total);
            svg.close();
            svg.close();
            if (at + 1) % self.columns == 0 || at + 1 == self.groups {
                y += GROUP_LINE;
            }
        }
        y += if self.groups > 0 { APART } else { 0.0 };
        svg.line();
        for line in &self.keys {
            for (x, key, words) in line {
                draw_key(svg, *key, ids, left + x, y + 11.0);
                svg.text("text", &[("x", &Px(left + x + 16.0)), ("y", &Px(y + 11.0))], words);
            }
            y += NOTE_LINE;
        }
        for note in &self.notes {
            svg.text("text", &[("x", &Px(left)), ("y", &Px(y + 11.0))], note);
            y += NOTE_LINE;
        }
    }
}

/// A mark, beside its words that stand at `y`.
fn draw_key(svg: &mut Svg, key: Key, ids: &Ids, x: f64, y: f64) {
    let top = y - 9.0;
    match key {
        Key::Before => {
            let (x2, y) = (Px(x + 11.0), Px(y - 4.0));
            let line: [(_, &dyn std::fmt::Display); 5] =
                [("class", &"fm-before fm-sum"), ("x1", &Px(x)), ("x2", &x2), ("y1", &y), ("y2", &y)];
            svg.empty("line", &line);
        }
        Key::Alert(kind) => bursts::triangle(svg, kind, x + 5.5, y),
        Key::State(state @ (Shown::Unknown | Shown::Partial)) => {
            let fill = if state == Shown::Unknown { &ids.unknown } else { &ids.partial };
            let fill = format!("url(#{fill})");
            square(svg, &[("class", &"fm-base"), ("fill", &fill)], x + 0.5, top, 10.0);
        }
        Key::State(_) => square(svg, &[("class", &"fm-filling fm-0")], x + 0.5, top, 10.0),
    }
}

fn square(svg: &mut Svg, with: &[(&'static str, &dyn std::fmt::Display)], x: f64, y: f64, height: f64) {
    let (x, y, height) = (Px(x), Px(y), Px(height));
    let mut attributes: Vec<(&'static str, &dyn std::fmt::Display)> = with.to_vec();
    attributes.extend([
        ("x", &x as &dyn std::fmt::Display),
        ("y", &y),
        ("width", &"10"),
        ("height", &height),
    ]);
    svg.empty("rect", &attributes);
}
