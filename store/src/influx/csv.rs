//! Answers of InfluxQL in CSV, row by row, never trusted.
//!
//! ```text
//! name,tags,time,count,customer       a header for each statement that found something
//! count,,1763985600000000000,17,acme
//!                                     an empty line between them
//! name,tags,time,sum
//! total,,1763985600000000000,4
//! ```
//!
//! Statements that found nothing are not there, so that a section is told from others by what the first value is
//! called: statements that stand in one request choose it (`SELECT … AS "sum"`). The column `tags` of
//! `GROUP BY` is of no use where names hold `,` and `=`: tags are always asked for as columns.
//!
//! That an answer is whole is seen to by the [client](super::client).

use std::borrow::Cow;

use csv::{Reader, ReaderBuilder, StringRecord};
use flagmeter_model::{Environment, Error as ModelError, Name, Timestamp};

use super::schema::{instant, text_of_tag};
use crate::{Error, Result, answering::COUNT_MAX};

/// Columns before the values: measurement, tags, time.
const BEFORE_VALUES: usize = 3;

/// Visits the rows of an answer, in their order. What was visited before an error is void.
pub(super) fn visit(body: &[u8], mut visit: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
    let mut reader: Reader<&[u8]> = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let (mut header, mut record) = (StringRecord::new(), StringRecord::new());
    while reader.read_record(&mut record).map_err(|_| damaged("an answer that is no CSV in UTF-8"))? {
        if record.get(0) == Some("name") && record.get(1) == Some("tags") {
            std::mem::swap(&mut header, &mut record);
            continue;
        }
        if record.len() != header.len() || record.len() <= BEFORE_VALUES {
            return Err(damaged("an answer with a row that does not fit its columns"));
        }
        visit(&Row { header: &header, record: &record })?;
    }
    Ok(())
}

/// One row.
#[derive(Debug)]
pub(super) struct Row<'r> {
    header: &'r StringRecord,
    record: &'r StringRecord,
}

impl<'r> Row<'r> {
    /// The name of the first value: it tells which statement is answered.
    pub(super) fn label(&self) -> &str {
        self.header.get(BEFORE_VALUES).unwrap_or_default()
    }

    /// The time in nanoseconds.
    pub(super) fn nanoseconds(&self) -> Result<i64> {
        self.field(2).parse().map_err(|_| damaged("an answer with a time that is none"))
    }

    /// The instant that the time lies in.
    pub(super) fn time(&self) -> Result<Timestamp> {
        instant(self.nanoseconds()?).map_err(|_| damaged("an answer with a time outside of time"))
    }

    /// The value at a position, the first one at 0; empty where there is none.
    pub(super) fn text(&self, value: usize) -> &'r str {
        self.field(BEFORE_VALUES + value)
    }

    /// A count.
    pub(super) fn count(&self, value: usize) -> Result<u64> {
        let count: i64 = self
            .text(value)
            .parse()
            .map_err(|_| damaged("an answer with a count that is no whole number"))?;
        // The database adds up without looking: a sum that is too large comes back negative.
        u64::try_from(count)
            .ok()
            .filter(|&count| count <= COUNT_MAX)
            .ok_or_else(|| ModelError::Overflow.into())
    }

    /// An instant, told in milliseconds.
    pub(super) fn millis(&self, value: usize) -> Result<Timestamp> {
        let ms = self.number(value)?.and_then(|ms| Timestamp::from_millis(ms).ok());
        ms.ok_or_else(|| damaged("an answer with a time that is none"))
    }

    /// A number; `None` where there is none.
    pub(super) fn number(&self, value: usize) -> Result<Option<i64>> {
        match self.text(value) {
            "" => Ok(None),
            text => {
                text.parse().map(Some).map_err(|_| damaged("an answer with a number that is no whole number"))
            }
        }
    }

    /// A tag as it was said, `None` where there is none.
    pub(super) fn tag(&self, value: usize) -> Option<Cow<'r, str>> {
        Some(self.text(value)).filter(|text| !text.is_empty()).map(text_of_tag)
    }

    /// A tag that is a name, where there is one.
    pub(super) fn name(&self, value: usize) -> Result<Option<Name>> {
        let name =
            |text: Cow<'_, str>| Name::new(&text).map_err(|_| damaged("an answer with a name that is none"));
        self.tag(value).map(name).transpose()
    }

    /// An environment, told by the tags of [`ENVIRONMENT_TAGS`](super::ql::ENVIRONMENT_TAGS) from a position on.
    pub(super) fn environment(&self, first: usize) -> Result<Environment> {
        let name = |value| {
            self.name(first + value)?.ok_or_else(|| damaged("a point without the tags of an environment"))
        };
        Ok(Environment { customer: name(0)?, project: name(1)?, environment: name(2)? })
    }

    fn field(&self, at: usize) -> &'r str {
        self.record.get(at).unwrap_or_default()
    }
}

/// What came is not what was asked for.
pub(super) fn damaged(what: &str) -> Error {
    Error::Damaged(format!("InfluxDB gave {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = Vec<(String, i64, Vec<String>)>;

    fn read(body: &[u8]) -> Result<Read> {
        let mut read = Read::new();
        visit(body, |row| {
            let values = (0..row.record.len() - BEFORE_VALUES).map(|at| row.text(at).to_owned()).collect();
            read.push((row.label().to_owned(), row.nanoseconds()?, values));
            Ok(())
        })?;
        Ok(read)
    }

    /// As the server writes it: fields are quoted where they must be.
    fn written(sections: &[(String, Read)]) -> String {
        let quoted = |field: &String| {
            if field.contains([',', '"', '\n', '\r']) || field.starts_with(' ') {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        };
        let section = |(label, rows): &(String, Read)| {
            let rows = rows.iter().map(|(_, time, values)| {
                let values: Vec<_> = values.iter().map(quoted).collect();
                format!("count,,{time},{}\n", values.join(","))
            });
            format!("name,tags,time,{label},a,b\n{}", rows.collect::<String>())
        };
        sections.iter().map(section).collect::<Vec<_>>().join("\n")
    }

    fn sections() -> impl Strategy<Value = Vec<(String, Read)>> {
        let value = prop_oneof!["[a-c,=\" '🚩\\\\\n]{0,9}", any::<String>()];
        let row = (any::<i64>(), prop::collection::vec(value, 3));
        prop::collection::vec(prop::collection::vec(row, 1..6), 0..4).prop_map(|sections| {
            let labelled = |(number, rows): (usize, Vec<(i64, Vec<String>)>)| {
                let label = format!("s{number}");
                let rows = rows.into_iter().map(|(time, values)| (label.clone(), time, values)).collect();
                (label.clone(), rows)
            };
            sections.into_iter().enumerate().map(labelled).collect()
        })
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were_written(sections in sections()) {
            let body = written(&sections);
            let expected: Read = sections.into_iter().flat_map(|(_, rows)| rows).collect();
            prop_assert_eq!(read(body.as_bytes()).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), ours: bool) {
            let mut body = b"name,tags,time,s0,a\n".to_vec();
            if !ours {
                body.clear();
            }
            body.extend(bytes);
            let _ = visit(&body, |row| {
                let _ = (row.label(), row.count(0), row.number(1), row.name(2), row.tag(9), row.time());
                Ok(())
            });
        }

        #[test]
        fn a_body_that_was_cut_gives_no_row_that_was_not_there(sections in sections(), cut: prop::sample::Index) {
            let body = written(&sections);
            let cut = cut.index(body.len() + 1);
            if let Ok(read) = read(&body.as_bytes()[..cut]) {
                let whole: Read = sections.into_iter().flat_map(|(_, rows)| rows).collect();
                // But for the last one, which may be cut in its last field.
                let sure = read.len().saturating_sub(1);
                prop_assert_eq!(&read[..sure], &whole[..sure]);
            }
        }
    }

    #[test]
    fn a_sum_that_wrapped_and_a_count_that_is_none_are_errors() {
        let counts =
            [("7", true), ("-2", false), ("", false), ("1.5", false), ("9223372036854775808", false)];
        for (count, expected) in counts {
            let body = format!("name,tags,time,s0\ncount,,0,{count}\n");
            assert_eq!(visit(body.as_bytes(), |row| row.count(0).map(drop)).is_ok(), expected, "{count}");
        }
    }

    #[test]
    fn a_row_without_its_columns_is_an_error() {
        for body in ["a,b,c,d\n", "name,tags,time,s0\ncount,,0\n", "name,tags\ncount,\n", "\u{fffd}"] {
            assert!(matches!(read(body.as_bytes()), Err(Error::Damaged(_))), "{body}");
        }
        assert_eq!(read(b"").unwrap(), []);
        assert!(read(b"name,tags,time,s0\ncount,,0,\xff\n").is_err());
    }

    #[test]
    fn tags_and_numbers_that_are_not_there_are_none() {
        let body = "name,tags,time,s0,variant,sdk,farewell\ncount,,1000000,7,,a%5Cb,\n";
        visit(body.as_bytes(), |row| {
            assert_eq!((row.count(0)?, row.name(1)?, row.number(3)?), (7, None, None));
            assert_eq!(row.name(2)?.as_deref(), Some("a\\b"));
            assert_eq!((row.label(), row.time()?.as_millis()), ("s0", 1));
            Ok(())
        })
        .unwrap();
    }
}
