//! Line protocol, written by us: whatever a name holds, one line stays one point.

use std::io::Write as _;

use bytes::Bytes;
use flagmeter_model::{Environment, Meter, SeriesKey};
use flate2::{Compression, write::GzEncoder};

use super::schema::tag_text;

/// Bytes of an average line, for the first guess at a body's size.
const LINE_BYTES: usize = 160;

/// Lines as they are sent: gzip.
#[derive(Debug, Clone)]
pub(super) struct LineBody {
    bytes: Bytes,
    lines: usize,
}

impl LineBody {
    /// The bytes; cheap.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// How many lines it holds.
    pub(super) const fn lines(&self) -> usize {
        self.lines
    }
}

/// Lines in the making.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    lines: usize,
}

impl Lines {
    /// With room for so many lines.
    pub(super) fn with_capacity(lines: usize) -> Self {
        Self { text: Vec::with_capacity(lines.saturating_mul(LINE_BYTES)), lines: 0 }
    }

    /// The text, for tests.
    #[cfg(any(test, fuzzing))]
    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }

    /// A count of a series. `time` in nanoseconds.
    pub(super) fn count(
        &mut self,
        measurement: &str,
        environment: &Environment,
        key: &SeriesKey,
        count: u64,
        time: i64,
    ) {
        let mut line = self.line(measurement);
        line.tag("customer", &environment.customer);
        line.tag("environment", &environment.environment);
        line.tag("meter", key.meter.name());
        line.tag("name", &key.name);
        line.tag("project", &environment.project);
        if let Some(sdk) = &key.sdk {
            line.tag("sdk", sdk);
        }
        if let Some(variant) = &key.variant {
            line.tag("variant", variant);
        }
        line.integer("count", count_field(count));
        line.end(time);
    }

    /// A total of an environment; raw ones are told apart by the part of the seal that they come from.
    pub(super) fn total(
        &mut self,
        measurement: &str,
        environment: &Environment,
        meter: Meter,
        part: Option<u16>,
        count: u64,
        time: i64,
    ) {
        let mut line = self.line(measurement);
        line.tag("customer", &environment.customer);
        line.tag("environment", &environment.environment);
        line.tag("meter", meter.name());
        if let Some(part) = part {
            line.number_tag("part", u64::from(part));
        }
        line.tag("project", &environment.project);
        line.integer("count", count_field(count));
        line.end(time);
    }

    /// Begins a line.
    pub(super) fn line(&mut self, measurement: &str) -> Line<'_> {
        self.text.extend_from_slice(measurement.as_bytes());
        Line { lines: self, has_fields: false }
    }

    /// Compresses the lines, at some 5 ns a byte: not on a thread that others wait for.
    pub(super) fn finish(self) -> LineBody {
        let mut gzip = GzEncoder::new(Vec::with_capacity(self.text.len() / 8 + 64), Compression::fast());
        // Writing to memory does not fail.
        let _ = gzip.write_all(&self.text);
        let bytes = gzip.finish().unwrap_or_default().into();
        LineBody { bytes, lines: self.lines }
    }
}

/// One line in the making. First the tags, in the order of their names, then at least one field, then the end.
#[derive(Debug)]
pub(super) struct Line<'a> {
    lines: &'a mut Lines,
    has_fields: bool,
}

impl Line<'_> {
    /// A tag with a text that a stranger chose: not empty, without control characters.
    pub(super) fn tag(&mut self, name: &str, text: &str) {
        self.tag_name(name);
        escape_tag(&mut self.lines.text, text);
    }

    /// The tags of an environment.
    pub(super) fn environment(&mut self, environment: &Environment) {
        self.tag("customer", &environment.customer);
        self.tag("environment", &environment.environment);
        self.tag("project", &environment.project);
    }

    /// A tag with a number.
    pub(super) fn number_tag(&mut self, name: &str, number: u64) {
        self.tag_name(name);
        self.digits(number);
    }

    /// A field with an integer.
    pub(super) fn integer(&mut self, name: &str, number: i64) {
        self.field_name(name);
        if number < 0 {
            self.lines.text.push(b'-');
        }
        self.digits(number.unsigned_abs());
        self.lines.text.push(b'i');
    }

    /// A field with a text, whatever it holds. InfluxDB takes no more than a mebibyte.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.field_name(name);
        self.lines.text.push(b'"');
        for &byte in text.as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.lines.text.push(b'\\');
            }
            self.lines.text.push(byte);
        }
        self.lines.text.push(b'"');
    }

    /// The time, in nanoseconds.
    pub(super) fn end(mut self, time: i64) {
        self.lines.text.push(b' ');
        if time < 0 {
            self.lines.text.push(b'-');
        }
        self.digits(time.unsigned_abs());
        self.lines.text.push(b'\n');
        self.lines.lines += 1;
    }

    fn tag_name(&mut self, name: &str) {
        self.lines.text.push(b',');
        self.lines.text.extend_from_slice(name.as_bytes());
        self.lines.text.push(b'=');
    }

    fn field_name(&mut self, name: &str) {
        self.lines.text.push(if self.has_fields { b',' } else { b' ' });
        self.has_fields = true;
        self.lines.text.extend_from_slice(name.as_bytes());
        self.lines.text.push(b'=');
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            let digit = (number % 10) as u8;
            if let Some(place) = digits.get_mut(at) {
                *place = b'0' + digit;
            }
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.lines.text.extend_from_slice(digits.get(at..).unwrap_or_default());
    }
}

/// Counts are kept as i64; what the model takes fits.
fn count_field(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Commas, spaces and equals signs get a backslash; there are no other ones left (see [`tag_text`]).
fn escape_tag(into: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| !matches!(byte, b',' | b' ' | b'=' | b'\\' | b'%')) {
        into.extend_from_slice(text.as_bytes());
        return;
    }
    for &byte in tag_text(text).as_bytes() {
        if matches!(byte, b',' | b' ' | b'=') {
            into.push(b'\\');
        }
        into.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use flagmeter_model::{ContentEncoding, Name, decompress};
    use proptest::prelude::*;

    use super::*;
    use crate::influx::schema::text_of_tag;

    /// A line as the server reads it: measurement, tags, fields as they are written, and the time.
    type Point = (String, Vec<(String, String)>, String, i64);

    /// Reads lines by the rules of InfluxDB: a backslash takes the next character with it, and is dropped before
    /// `,`, `=` and space. Texts in fields are in quotes, in which only `"` and `\\` are taken so.
    fn parsed(text: &str) -> Vec<Point> {
        let mut points = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (key, after) = split(rest, b' ');
            let (fields, after) = split_fields(after);
            let (time, after) = after.split_once('\n').expect("a line ends");
            rest = after;
            let mut words = Vec::new();
            let mut key = key;
            while !key.is_empty() {
                let (word, after) = split(key, b',');
                words.push(word);
                key = after;
            }
            let tags = words[1..].iter().map(|word| {
                let (name, value) = split(word, b'=');
                (name.to_owned(), text_of_tag(&unescaped(value)).into_owned())
            });
            points.push((
                words[0].to_owned(),
                tags.collect(),
                fields.to_owned(),
                time.parse().expect("a time"),
            ));
        }
        points
    }

    /// Up to a separator that no backslash stands before, and what follows it.
    fn split(text: &str, separator: u8) -> (&str, &str) {
        let mut at = 0;
        while at < text.len() {
            match text.as_bytes()[at] {
                b'\\' => at += 2,
                byte if byte == separator => return (&text[..at], &text[at + 1..]),
                _ => at += 1,
            }
        }
        (text, "")
    }

    fn split_fields(text: &str) -> (&str, &str) {
        let (mut at, mut quoted) = (0, false);
        loop {
            match text.as_bytes()[at] {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b' ' if !quoted => return (&text[..at], &text[at + 1..]),
                _ => {}
            }
            at += 1;
        }
    }

    fn unescaped(text: &str) -> String {
        text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")
    }

    fn name() -> impl Strategy<Value = Name> {
        prop_oneof!["[a ,=\\\\%5C2\"']{1,8}", "\\PC{1,20}"]
            .prop_filter_map("a name", |text| Name::new(&text).ok())
    }

    proptest! {
        #[test]
        fn whatever_the_names_each_point_is_one_line_and_reads_back(
            points in prop::collection::vec(
                (
                    (name(), name(), name(), name()),
                    (prop::option::of(name()), prop::option::of(name())),
                    0..=i64::MAX.unsigned_abs(),
                    any::<i64>(),
                ),
                1..5,
            ),
        ) {
            let (mut lines, mut expected) = (Lines::default(), Vec::new());
            for ((customer, project, environment, name), (variant, sdk), count, time) in points {
                let environment = Environment { customer, project, environment };
                let key = SeriesKey { meter: Meter::Evaluations, name, variant, sdk };
                lines.count("count", &environment, &key, count, time);
                let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                let mut tags = vec![
                    tag("customer", &environment.customer),
                    tag("environment", &environment.environment),
                    tag("meter", "evaluations"),
                    tag("name", &key.name),
                    tag("project", &environment.project),
                ];
                tags.extend(key.sdk.as_deref().map(|sdk| tag("sdk", sdk)));
                tags.extend(key.variant.as_deref().map(|variant| tag("variant", variant)));
                expected.push(("count".to_owned(), tags, format!("count={count}i"), time));
            }
            prop_assert_eq!(lines.text().lines().count(), expected.len());
            prop_assert_eq!(parsed(lines.text()), expected);
        }

        #[test]
        fn whatever_a_text_holds_it_stays_in_its_field(text: String, number: i64) {
            let mut lines = Lines::default();
            let mut line = lines.line("letter");
            line.number_tag("partition", 7);
            line.text("detail", &text);
            line.integer("at", number);
            line.end(9);
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let fields = format!("detail=\"{quoted}\",at={number}i");
            let tags = vec![("partition".to_owned(), "7".to_owned())];
            prop_assert_eq!(parsed(lines.text()), [("letter".to_owned(), tags, fields, 9)]);
        }
    }

    #[test]
    fn a_body_is_its_lines_compressed() {
        let mut lines = Lines::default();
        for number in 0..1_000 {
            let mut line = lines.line("register");
            line.number_tag("name", number % 3);
            line.integer("set", 1);
            line.end(number.cast_signed());
        }
        let plain = lines.text().to_owned();
        let body = lines.finish();
        assert_eq!(body.lines(), 1_000);
        let bytes = body.bytes();
        let read = decompress(&bytes, ContentEncoding::Gzip, 1 << 20).unwrap();
        assert_eq!(read, plain.as_bytes());
        assert!(bytes.len() < plain.len() / 4);
    }
}
