//! What fuzz targets reach of the words that are exchanged with InfluxDB.

use super::{csv, line::Lines, schema};

/// Reads an answer, and every value of each of its rows in every way.
pub fn answer(body: &[u8]) {
    let _ = csv::visit(body, |row| {
        let _ = (row.label(), row.time());
        for value in 0..4 {
            let _ = (row.text(value), row.count(value), row.number(value), row.name(value));
        }
        Ok(())
    });
}

/// One line of a measurement `m` with these tags, the fields `t` and `n`, and a time.
pub fn line(tags: &[(&str, &str)], text: &str, number: i64) -> Vec<u8> {
    let mut lines = Lines::default();
    let mut line = lines.line("m");
    for (name, value) in tags {
        line.tag(name, value);
    }
    line.text("t", text);
    line.integer("n", number);
    line.end(number);
    lines.text().as_bytes().to_vec()
}

/// The text that a tag stands for.
pub fn text_of_tag(kept: &str) -> String {
    schema::text_of_tag(kept).into_owned()
}
