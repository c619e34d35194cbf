//! Counts from a file: the CSV of `/v1/usage`, by series.

use std::{collections::BTreeMap, io::Read};

use csv::StringRecord;
use flagmeter_bursts::{Count, Grain};
use flagmeter_model::Timestamp;

/// The columns that are not part of a series' name.
const START: &str = "start";
const END: &str = "end";
const STATE: &str = "state";
const COUNT: &str = "count";
/// Those of a comparison, which say nothing here.
const PREVIOUS: &str = "previous_";
/// Series of one file at most, and how long it may be: both are held in memory.
const SERIES_MAX: usize = 10_000;
const SPAN_SECONDS_MAX: i64 = 400 * 86_400;
const COUNTS_MAX: usize = 50_000_000;

/// What a file tells.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) grain: Grain,
    /// Each series with what is known of it, by time. Without groups there is one, without a name.
    pub(super) series: BTreeMap<String, BTreeMap<Timestamp, Count>>,
    /// The first start of the file, and the last end.
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// Where the columns are.
struct Columns {
    start: usize,
    end: usize,
    state: usize,
    count: usize,
    groups: Vec<usize>,
}

struct Row {
    series: String,
    start: Timestamp,
    grain: Grain,
    count: Count,
}

/// Reads it, and adds it to what other files told `before`; an error is a sentence that names the line and says what to
/// change.
pub(super) fn read(source: impl Read, before: Option<Counts>) -> Result<Counts, String> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let columns = Columns::of(csv.headers().map_err(|error| format!("line 1 cannot be read: {error}"))?)?;
    let mut record = StringRecord::new();
    let mut counts = before;
    let mut rows = 0;
    loop {
        match csv.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                return Err(format!("line {line} cannot be read: is it CSV in UTF-8? ({error})"));
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        let row = columns.row(&record).map_err(|why| format!("line {line}: {why}"))?;
        rows += 1;
        if rows > COUNTS_MAX {
            return Err(format!("line {line}: more than {COUNTS_MAX} rows are too many: cut the file"));
        }
        let (start, end) = (row.start, row.start.plus_seconds(row.grain.seconds()));
        let counts = counts.get_or_insert_with(|| Counts {
            grain: row.grain,
            series: BTreeMap::new(),
            from: start,
            to: end,
        });
        counts.add(row).map_err(|why| format!("line {line}: {why}"))?;
    }
    counts
        .filter(|_| rows > 0)
        .ok_or_else(|| "it has no rows: ask /v1/usage for a time in which something was counted".to_owned())
}

impl Counts {
    fn add(&mut self, row: Row) -> Result<(), String> {
        let Row { series, start, grain, count } = row;
        if grain != self.grain {
            return Err(format!(
                "it is of {} seconds and the rows before are of {}: keep one resolution to a file",
                grain.seconds(),
                self.grain.seconds()
            ));
        }
        self.from = self.from.min(start);
        self.to = self.to.max(start.plus_seconds(grain.seconds()));
        if self.to.millis_since(self.from) > SPAN_SECONDS_MAX * 1_000 {
            return Err("with it the file is of more than 400 days: cut it, or mend its times".to_owned());
        }
        let is_full = self.series.len() == SERIES_MAX;
        if is_full && !self.series.contains_key(&series) {
            return Err(format!("with it there are more than {SERIES_MAX} series: ask for fewer groups"));
        }
        match self.series.entry(series).or_default().insert(start, count) {
            None => Ok(()),
            Some(_) => Err(format!(
                "a second row of {start} for the same series: leave out one, or keep the column that tells them apart"
            )),
        }
    }
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, String> {
        let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        let place = |name: &str| {
            names.iter().position(|own| *own == name).ok_or_else(|| {
                format!(
                    "line 1 has no column {name}: the columns start, end, state and count are needed, as \
                     /v1/usage?resolution=1m gives them as CSV"
                )
            })
        };
        let (start, end, state, count) = (place(START)?, place(END)?, place(STATE)?, place(COUNT)?);
        let is_group = |at: &usize| {
            ![start, end, state, count].contains(at)
                && names.get(*at).is_some_and(|name| !name.starts_with(PREVIOUS))
        };
        Ok(Self { start, end, state, count, groups: (0..names.len()).filter(is_group).collect() })
    }

    fn row(&self, record: &StringRecord) -> Result<Row, String> {
        let cell = |at: usize| record.get(at).unwrap_or("").trim();
        let time = |at: usize, name: &str| {
            Timestamp::parse_rfc3339(cell(at))
                .map_err(|_| format!("{name} is {:?}: write it like 2026-11-20T12:00:00Z", cell(at)))
        };
        let (start, end) = (time(self.start, START)?, time(self.end, END)?);
        let grain = match end.millis_since(start) {
            10_000 => Grain::TenSeconds,
            60_000 => Grain::Minute,
            other => {
                return Err(format!(
                    "it is of {} seconds: ask for resolution=1m or resolution=10s",
                    other / 1_000
                ));
            }
        };
        if start != start.floor_to(grain.seconds()) {
            return Err(format!("{start} is no full step of {} seconds", grain.seconds()));
        }
        let count = match cell(self.state) {
            "complete" => Some(cell(self.count).parse().map_err(|_| {
                format!("count is {:?}: write a whole number, or the state unknown", cell(self.count))
            })?),
            // What is counted then is not all.
            "open" | "partial" | "unknown" => None,
            other => {
                return Err(format!("state is {other:?}: it is one of complete, open, partial and unknown"));
            }
        };
        let series: Vec<&str> = self.groups.iter().map(|at| cell(*at)).collect();
        Ok(Row { series: series.join(" / "), start, grain, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "start,end,state,count,customer,previous_start\n";

    fn refused(text: &str) -> String {
        read(text.as_bytes(), None).unwrap_err()
    }

    #[test]
    fn rows_of_any_order_become_series_and_what_is_not_complete_is_not_known() {
        let text = format!(
            "{HEAD}2026-11-20T12:01:00Z,2026-11-20T12:02:00Z,partial,7,acme,x\n\
             2026-11-20T12:00:00Z,2026-11-20T12:01:00Z,complete,5,acme,x\n\
             2026-11-20T13:00:00+01:00,2026-11-20T13:01:00+01:00,unknown,,beta,x\n"
        );
        let counts = read(text.as_bytes(), None).unwrap();
        assert_eq!(counts.grain, Grain::Minute);
        assert_eq!(counts.to.millis_since(counts.from), 120_000);
        let acme: Vec<Count> = counts.series["acme"].values().copied().collect();
        assert_eq!(acme, [Some(5), None]);
        assert_eq!(counts.series["beta"].values().copied().collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn several_files_are_one_and_an_empty_one_is_told() {
        let row = |minute: u8| {
            format!("{HEAD}2026-11-20T12:0{minute}:00Z,2026-11-20T12:0{}:00Z,complete,5,acme,x\n", minute + 1)
        };
        let first = read(row(3).as_bytes(), None).unwrap();
        let both = read(row(1).as_bytes(), Some(first)).unwrap();
        assert_eq!((both.series["acme"].len(), both.to.millis_since(both.from)), (2, 180_000));
        assert!(read(HEAD.as_bytes(), Some(both)).unwrap_err().contains("no rows"));
    }

    #[test]
    fn what_cannot_be_read_names_its_line_and_what_to_change() {
        let row = "2026-11-20T12:00:00Z,2026-11-20T12:01:00Z,complete,5,acme,x\n";
        for (text, line, says) in [
            (String::new(), "line 1", "no column start"),
            ("start,end,count\n".to_owned(), "line 1", "no column state"),
            (HEAD.to_owned(), "no rows", "ask /v1/usage"),
            (
                format!("{HEAD}yesterday,2026-11-20T12:01:00Z,complete,5,acme,x\n"),
                "line 2",
                "2026-11-20T12:00:00Z",
            ),
            (format!("{HEAD}{row}{row}"), "line 3", "a second row"),
            (format!("{HEAD}{row}{}", row.replace("12:01", "12:15")), "line 3", "resolution=1m"),
            (format!("{HEAD}{}", row.replace(":00Z", ":30Z")), "line 2", "no full step"),
            (format!("{HEAD}{}", row.replace(",5,", ",five,")), "line 2", "whole number"),
            (format!("{HEAD}{}", row.replace("complete", "fine")), "line 2", "one of complete"),
            (format!("{HEAD}{row}{}", row.replace("2026", "1999")), "line 3", "400 days"),
            (
                format!("{HEAD}{row}{}", row.replace("12:01:00", "12:00:10").replace("acme", "beta")),
                "line 3",
                "keep one resolution",
            ),
        ] {
            let refused = refused(&text);
            assert!(refused.contains(line) && refused.contains(says), "{refused}");
        }
        let latin = [HEAD.as_bytes(), b"\xff\xfe,,,,,\n"].concat();
        assert!(read(&latin[..], None).unwrap_err().contains("UTF-8"));
    }
}
