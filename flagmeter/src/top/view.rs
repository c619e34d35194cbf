//! What stands on the screen: from a table and what its viewer chose to lines of a width. Pure.

use flagmeter_model::Timestamp;

use super::{
    board::OTHERS,
    table::{BURST_RULE, Burst, Line, State, Table},
    text::{NOTHING, change, count, cut, fit, fit_right, rate, sparkline, width as width_of},
};

/// How a piece of text looks, on a terminal that wants colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    Faint,
    /// Something is not as it should be.
    Warning,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) style: Style,
}

/// The lines of a screen, none wider than it.
pub(super) type Screen = Vec<Vec<Piece>>;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    #[default]
    Now,
    Hour,
    Change,
    Name,
}

impl Sort {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Now => Self::Hour,
            Self::Hour => Self::Change,
            Self::Change => Self::Name,
            Self::Name => Self::Now,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Hour => "1 h",
            Self::Change => "change",
            Self::Name => "name",
        }
    }
}

/// What its viewer chose.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// Whether the filter is being typed.
    pub(super) types: bool,
    pub(super) paused: bool,
    /// Lines above the screen.
    pub(super) scroll: usize,
}

/// What is known besides the table.
#[derive(Debug, Clone)]
pub(super) struct Around {
    pub(super) authority: String,
    pub(super) now: Timestamp,
    /// Why there is nothing newer.
    pub(super) away: Option<String>,
}

/// The size of what is drawn. Without a height all lines are, and no keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: Option<usize>,
}

/// Lines that are not of the table: two on top, the headings, the rule of bursts, and the keys.
const FRAME: usize = 5;
const NUMBERS: usize = 9;

/// How wide each column is; those that do not fit are left out.
struct Columns {
    name: usize,
    spark: usize,
    change: bool,
    bursts: usize,
}

impl Columns {
    const CHANGE: usize = 8;
    const STATE: usize = 8;

    fn of(width: usize) -> Self {
        let change = width >= 72;
        let bursts = if width >= 120 { 24 } else { 0 };
        // Each column has a space before it, but the first.
        let numbers = 3 * (NUMBERS + 1);
        let more = if change { Self::CHANGE + Self::STATE + 2 } else { 0 };
        let bursts_with_space = if bursts > 0 { bursts + 1 } else { 0 };
        let rest = width.saturating_sub(numbers + more + bursts_with_space + 1);
        let spark = [60, 30, 20, 15, 12, 10, 6].into_iter().find(|spark| spark * 2 <= rest).unwrap_or(0);
        Self { name: rest - spark, spark, change, bursts }
    }

    fn row(&self, cells: Cells<'_>) -> Vec<Piece> {
        let mut pieces = vec![Piece { text: fit(cells.name, self.name), style: cells.style }];
        let mut push = |text: String, style| pieces.push(Piece { text: format!(" {text}"), style });
        for number in cells.numbers {
            push(fit_right(&number, NUMBERS), cells.style);
        }
        if self.change {
            push(fit_right(&cells.change, Self::CHANGE), cells.style);
        }
        push(fit(&cells.spark, self.spark), cells.style);
        if self.change {
            push(fit(cells.state, Self::STATE), cells.state_style);
        }
        if self.bursts > 0 {
            push(fit(&cells.bursts, self.bursts), cells.bursts_style);
        }
        pieces
    }
}

struct Cells<'a> {
    name: &'a str,
    numbers: [String; 3],
    change: String,
    spark: String,
    state: &'a str,
    bursts: String,
    style: Style,
    state_style: Style,
    bursts_style: Style,
}

/// The screen.
pub(super) fn screen(table: &Table, around: &Around, view: &View, size: Size) -> Screen {
    let columns = Columns::of(size.width);
    let lines = shown(table, view);
    let mut screen =
        vec![title(table, around, view), standing(table, around), headings(&columns, table, view)];
    let room = room(size.height);
    let scroll = view.scroll.min(scroll_max(lines.len(), size.height));
    let rows = lines.iter().skip(scroll).take(room);
    screen.extend(rows.map(|line| row(&columns, line)));
    if let Some(height) = size.height {
        screen.resize_with(height.saturating_sub(2), Vec::new);
    }
    screen.push(vec![Piece { text: BURST_RULE.to_owned(), style: Style::Faint }]);
    if size.height.is_some() {
        screen.push(keys(view, scroll, lines.len(), room));
    }
    let mut cut: Screen = screen.into_iter().map(|line| within(line, size.width)).collect();
    cut.truncate(size.height.unwrap_or(usize::MAX));
    cut
}

/// Lines of the table that fit.
fn room(height: Option<usize>) -> usize {
    height.map_or(usize::MAX, |height| height.saturating_sub(FRAME))
}

/// How far there is something to scroll to: there the last of so many lines is the last on the screen.
pub(super) fn scroll_max(lines: usize, height: Option<usize>) -> usize {
    lines.saturating_sub(room(height))
}

/// The lines that are asked for, in their order; all others together always come last.
pub(super) fn shown<'t>(table: &'t Table, view: &View) -> Vec<&'t Line> {
    let filter = view.filter.to_lowercase();
    let mut lines: Vec<&Line> =
        table.lines.iter().filter(|line| line.name.to_lowercase().contains(&filter)).collect();
    let key = |line: &Line| match view.sort {
        Sort::Now => line.now,
        #[expect(clippy::cast_precision_loss, reason = "it is for an order")]
        Sort::Hour => line.hour.map(|count| count as f64),
        Sort::Change => line.change.map(f64::abs),
        Sort::Name => None,
    };
    lines.sort_by(|one, other| {
        let larger = key(other).unwrap_or(-1.0).total_cmp(&key(one).unwrap_or(-1.0));
        (one.name == OTHERS).cmp(&(other.name == OTHERS)).then(larger).then_with(|| one.name.cmp(&other.name))
    });
    lines
}

fn title(table: &Table, around: &Around, view: &View) -> Vec<Piece> {
    let plain = |text: String| Piece { text, style: Style::Plain };
    let mut pieces = vec![
        Piece { text: "flagmeter top".into(), style: Style::Strong },
        plain(format!("  {}/s now, {} in 1 h", rate(table.total.now), count(table.total.hour))),
        plain(format!("  by {}  {}", table.by, around.authority)),
    ];
    if view.paused {
        pieces.insert(1, Piece { text: "  paused".into(), style: Style::Warning });
    }
    pieces
}

/// Until when everything is in, who is silent, and whether the server is there.
fn standing(table: &Table, around: &Around) -> Vec<Piece> {
    let until = match (&table.complete_until, table.complete_at) {
        (Some(text), Some(at)) => {
            let seconds = around.now.millis_since(at).max(0) / 1_000;
            format!("complete until {} ({seconds} s ago)", clock(text))
        }
        _ => "nothing is known to be in yet".to_owned(),
    };
    let mut pieces = vec![Piece { text: until, style: Style::Plain }];
    if !table.missing_nodes.is_empty() {
        let text = format!("  silent nodes: {}", table.missing_nodes.join(", "));
        pieces.push(Piece { text, style: Style::Warning });
    }
    if let Some(reason) = &around.away {
        // First, because the line may be cut.
        let text = format!("nothing newer: {reason}; ");
        pieces.insert(0, Piece { text, style: Style::Warning });
    }
    pieces
}

/// The time of day of an instant in RFC 3339.
fn clock(text: &str) -> &str {
    text.get(11..19).unwrap_or(text)
}

fn headings(columns: &Columns, table: &Table, view: &View) -> Vec<Piece> {
    let heading = |name: &str, sort| if view.sort == sort { format!("{name}▾") } else { name.to_owned() };
    columns.row(Cells {
        name: &heading(&table.by, Sort::Name),
        numbers: [heading("now/s", Sort::Now), "1 min/s".into(), heading("1 h", Sort::Hour)],
        change: heading("change", Sort::Change),
        spark: "last hour".into(),
        state: "state",
        bursts: "bursts".into(),
        style: Style::Strong,
        state_style: Style::Strong,
        bursts_style: Style::Strong,
    })
}

fn row(columns: &Columns, line: &Line) -> Vec<Piece> {
    let bursts_style = if line.bursts.is_empty() { Style::Faint } else { Style::Warning };
    // Where there is no column for bursts, the name says that there are some.
    let marked = format!("! {}", line.name);
    let is_marked = columns.bursts == 0 && !line.bursts.is_empty();
    columns.row(Cells {
        name: if is_marked { &marked } else { &line.name },
        numbers: [rate(line.now), rate(line.minute), count(line.hour)],
        change: change(line.change),
        spark: sparkline(&line.sparkline, columns.spark),
        state: line.state.name(),
        bursts: bursts(&line.bursts),
        style: if is_marked { Style::Warning } else { Style::Plain },
        state_style: if line.state == State::Complete { Style::Faint } else { Style::Warning },
        bursts_style,
    })
}

/// How many, and the last one.
fn bursts(bursts: &[Burst]) -> String {
    let Some(last) = bursts.last() else { return NOTHING.to_owned() };
    let at = last.at.get(11..16).unwrap_or(&last.at);
    // A median of nothing has no multiple.
    let times = last.count.checked_div(last.median).map(|times| format!(" ×{times}")).unwrap_or_default();
    format!("{}, last {at}{times}", bursts.len())
}

fn keys(view: &View, scroll: usize, lines: usize, room: usize) -> Vec<Piece> {
    if view.types {
        let text = format!("filter: {}▏ (Enter keeps it, Esc drops it)", view.filter);
        return vec![Piece { text, style: Style::Strong }];
    }
    let last = scroll.saturating_add(room).min(lines);
    let filter = if view.filter.is_empty() { "" } else { " (some)" };
    let text = format!(
        "{}-{last} of {lines}{filter}  q quit  s sort ({})  / filter  p {}  ↑↓ scroll",
        (scroll + 1).min(lines),
        view.sort.name(),
        if view.paused { "go on" } else { "pause" },
    );
    vec![Piece { text, style: Style::Faint }]
}

/// What of a line fits.
fn within(line: Vec<Piece>, cells: usize) -> Vec<Piece> {
    let mut left = cells;
    let mut kept = Vec::new();
    for piece in line {
        if left == 0 {
            break;
        }
        let text = cut(&piece.text, left);
        left -= width_of(&text).min(left);
        kept.push(Piece { text, style: piece.style });
    }
    kept
}

/// The text alone, a line for each, without space at their ends.
pub(super) fn plain(screen: &Screen) -> String {
    let lines = screen.iter().map(|line| {
        let text: String = line.iter().map(|piece| piece.text.as_str()).collect();
        text.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
