//! Writes SVG: every element that is opened is closed, every text and value is escaped here and nowhere else.

use std::fmt::{Display, Write as _};

use super::text::escape;

/// A picture that is being written.
#[derive(Debug, Default)]
pub(super) struct Svg {
    out: String,
    open: Vec<&'static str>,
}

/// A number of pixels: a tenth of one is fine enough, and the same on every machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Px(pub(super) f64);

impl Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round();
        // No -0.
        let tenths = if tenths == 0.0 { 0.0 } else { tenths };
        if tenths % 10.0 == 0.0 { write!(f, "{}", tenths / 10.0) } else { write!(f, "{:.1}", tenths / 10.0) }
    }
}

/// The attributes of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Svg {
    /// Opens an element.
    pub(super) fn open(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.start(name, attributes);
        self.out.push('>');
        self.open.push(name);
    }

    /// Closes the last element that is open.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.write(format_args!("</{name}>"));
        }
    }

    /// An element with nothing in it.
    pub(super) fn empty(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.start(name, attributes);
        self.out.push_str("/>");
    }

    /// An element with text in it.
    pub(super) fn text(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.open(name, attributes);
        escape(&mut self.out, text);
        self.close();
    }

    /// Begins a new line: so that a file of it can be compared line by line.
    pub(super) fn line(&mut self) {
        self.out.push('\n');
    }

    /// The picture.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.line();
        self.out
    }

    fn start(&mut self, name: &str, attributes: Attributes<'_>) {
        self.write(format_args!("<{name}"));
        for (name, value) in attributes {
            self.write(format_args!(" {name}=\""));
            escape(&mut self.out, &value.to_string());
            self.out.push('"');
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.out.write_fmt(text);
    }
}

/// The `d` of a path.
#[derive(Debug, Default, Clone)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn move_to(&mut self, x: f64, y: f64) {
        self.push(format_args!("M{} {}", Px(x), Px(y)));
    }

    pub(super) fn line_to(&mut self, x: f64, y: f64) {
        self.push(format_args!("L{} {}", Px(x), Px(y)));
    }

    pub(super) fn close(&mut self) {
        self.0.push('Z');
    }

    pub(super) fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.push(format_args!("M{} {}h{}v{}h{}Z", Px(x), Px(y), Px(width), Px(height), Px(-width)));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(text);
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
