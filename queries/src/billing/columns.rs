//! The rows of bills as Parquet, for those who load a warehouse.
//!
//! The same rows make the same bytes for ever. So all that the crate behind it could choose for itself is chosen here:
//! who made the file is no version, nothing is compressed (a better compressor makes other bytes), and strings are
//! written once per row group. A test holds the bytes of an example; whatever changes them gives the answers of old
//! questions other tags, and must not.

use std::sync::Arc;

use axum::body::Bytes;
use flagmeter_model::{Environment, Timestamp};
use parquet::{
    basic::Compression,
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::ColumnPath},
};

use super::{row::Line, text};
use crate::{Error, Result};

/// Rows of a row group: what is held of a file that is being written.
pub(super) const GROUP_ROWS: usize = 32_768;

/// Bytes of a page of values, and of the strings of a row group, at most.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Rows of a page, and values that are encoded at a time.
const PAGE_ROWS_MAX: usize = 20_000;
const BATCH_ROWS: usize = 1_024;

/// The columns of CSV, with their types.
const SCHEMA: &str = "
    message hours {
        required binary customer (STRING);
        required binary project (STRING);
        required binary environment (STRING);
        required binary meter (STRING);
        required int64 hour (TIMESTAMP(MILLIS, true));
        required binary state (STRING);
        optional int32 revision;
        required int64 count;
        optional int64 difference;
        required boolean correction;
        required boolean complete;
        required binary missing_nodes (STRING);
        optional int64 closed_at (TIMESTAMP(MILLIS, true));
    }
";

/// A file in the making.
pub(super) struct Columns {
    file: SerializedFileWriter<Vec<u8>>,
    group: Group,
    /// The environment of the row before, and its names.
    names: Option<(Arc<Environment>, [ByteArray; 3])>,
}

/// The rows of a row group, column by column.
#[derive(Debug, Default)]
struct Group {
    names: [Vec<ByteArray>; 3],
    meters: Vec<ByteArray>,
    hours: Vec<i64>,
    states: Vec<ByteArray>,
    revisions: Option32,
    counts: Vec<i64>,
    differences: Option64,
    corrections: Vec<bool>,
    complete: Vec<bool>,
    missing: Vec<ByteArray>,
    closed_at: Option64,
}

/// Values, and where there is one: 1, or 0 for none.
#[derive(Debug)]
struct Optional<T> {
    values: Vec<T>,
    there: Vec<i16>,
}

type Option32 = Optional<i32>;
type Option64 = Optional<i64>;

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), there: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.there.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl Columns {
    /// Without a row.
    pub(super) fn new() -> Result<Self> {
        let plain = |builder, column: &str| {
            let builder: parquet::file::properties::WriterPropertiesBuilder = builder;
            builder.set_column_dictionary_enabled(ColumnPath::from(column), false)
        };
        let properties = WriterProperties::builder()
            .set_created_by("flagmeter".to_owned())
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(true)
            .set_dictionary_page_size_limit(PAGE_BYTES_MAX)
            .set_data_page_size_limit(PAGE_BYTES_MAX)
            .set_data_page_row_count_limit(PAGE_ROWS_MAX)
            .set_write_batch_size(BATCH_ROWS)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_write_page_header_statistics(false)
            .set_offset_index_disabled(true);
        let properties = ["count", "difference"].into_iter().fold(properties, plain).build();
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
        Ok(Self { file, group: Group::default(), names: None })
    }

    /// Adds a row.
    pub(super) fn line(&mut self, line: &Line<'_>) -> Result<()> {
        let names = self.names(line.environment);
        let group = &mut self.group;
        for (column, name) in group.names.iter_mut().zip(names) {
            column.push(name);
        }
        group.meters.push(fixed(line.meter.name()));
        group.hours.push(line.hour.as_millis());
        group.states.push(fixed(line.state.name()));
        let revision = line.revision.map(|(number, ..)| signed(number)).transpose()?;
        group.revisions.push(revision);
        group.counts.push(signed(line.count)?);
        let difference = line.revision.map(|(_, difference, ..)| signed(difference)).transpose()?;
        group.differences.push(difference);
        group.corrections.push(line.revision.is_some_and(|(_, _, correction, _)| correction));
        group.complete.push(line.complete);
        group.missing.push(missing(line));
        group.closed_at.push(line.revision.map(|(.., at)| Timestamp::as_millis(at)));
        if group.hours.len() == GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    /// No row follows.
    pub(super) fn end(&mut self) -> Result<()> {
        if !self.group.hours.is_empty() {
            self.end_group()?;
        }
        self.file.finish()?;
        Ok(())
    }

    /// What was written since this was asked before.
    pub(super) fn take(&mut self) -> Result<Vec<u8>> {
        self.file.flush().map_err(|error| Error::Encoding(error.to_string()))?;
        Ok(std::mem::take(self.file.inner_mut()))
    }

    fn names(&mut self, environment: &Arc<Environment>) -> [ByteArray; 3] {
        let known = self.names.as_ref().filter(|(known, _)| Arc::ptr_eq(known, environment));
        if let Some((_, names)) = known {
            return names.clone();
        }
        let Environment { customer, project, environment: name } = &**environment;
        let names = [customer, project, name].map(|name| ByteArray::from(name.as_str()));
        self.names = Some((Arc::clone(environment), names.clone()));
        names
    }

    fn end_group(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        let mut columns = self.file.next_row_group()?;
        let all = &mut columns;
        for names in &group.names {
            column::<ByteArrayType>(all, names, None)?;
        }
        column::<ByteArrayType>(all, &group.meters, None)?;
        column::<Int64Type>(all, &group.hours, None)?;
        column::<ByteArrayType>(all, &group.states, None)?;
        column::<Int32Type>(all, &group.revisions.values, Some(&group.revisions.there))?;
        column::<Int64Type>(all, &group.counts, None)?;
        column::<Int64Type>(all, &group.differences.values, Some(&group.differences.there))?;
        column::<BoolType>(all, &group.corrections, None)?;
        column::<BoolType>(all, &group.complete, None)?;
        column::<ByteArrayType>(all, &group.missing, None)?;
        column::<Int64Type>(all, &group.closed_at.values, Some(&group.closed_at.there))?;
        columns.close()?;
        Ok(())
    }
}

/// Writes the next column of a row group.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<()> {
    let next = group.next_column()?;
    let mut column =
        next.ok_or_else(|| Error::Encoding("the schema has fewer columns than rows have".into()))?;
    column.typed::<T>().write_batch(values, there, None)?;
    Ok(column.close()?)
}

fn fixed(text: &'static str) -> ByteArray {
    ByteArray::from(Bytes::from_static(text.as_bytes()))
}

/// Many of those who read Parquet know no numbers without a sign. What is final is within this bound anyway.
fn signed<S: TryFrom<U>, U: Copy + std::fmt::Display>(number: U) -> Result<S> {
    S::try_from(number)
        .map_err(|_| Error::Encoding(format!("{number} is more than a column of Parquet holds")))
}

fn missing(line: &Line<'_>) -> ByteArray {
    if line.missing.is_empty() {
        return fixed("");
    }
    let mut numbers = Vec::new();
    text::nodes(&mut numbers, line.missing);
    ByteArray::from(numbers)
}

#[cfg(test)]
mod tests {
    use flagmeter_ledger::{Position, Row};
    use flagmeter_model::{Meter, Name};
    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::RowAccessor as _,
    };

    use super::*;

    #[test]
    fn rows_are_written_when_there_is_a_group_of_them() {
        let name = |text| Name::new(text).unwrap();
        let environment =
            Environment { customer: name("acme"), project: name("web"), environment: name("production") };
        let (environment, rows) = (Arc::new(environment), GROUP_ROWS + 1_000);
        let (mut columns, mut pieces) = (Columns::new().unwrap(), Vec::new());
        for (number, hour) in (1..).zip(0..).take(rows) {
            let row = Row {
                position: Position::new(number),
                environment: Arc::clone(&environment),
                meter: Meter::Evaluations,
                hour: Timestamp::from_seconds_clamped(hour * 3_600),
                revision: 1,
                count: number,
                previous: 0,
                correction: false,
                complete: true,
                missing: Vec::new(),
                closed_at: Timestamp::from_seconds_clamped(hour * 3_600 + 4_500),
            };
            columns.line(&Line::from(&row)).unwrap();
            let piece = columns.take().unwrap();
            pieces.extend((!piece.is_empty()).then_some(piece));
        }
        columns.end().unwrap();
        pieces.push(columns.take().unwrap());
        // What begins a file, a group, and another one with what ends the file.
        let bytes: Vec<usize> = pieces.iter().map(Vec::len).collect();
        assert!(bytes.len() == 3 && bytes[1] > 10 * bytes[2], "{bytes:?}");
        let file = SerializedFileReader::new(Bytes::from(pieces.concat())).unwrap();
        assert_eq!(file.metadata().num_row_groups(), 2);
        let read = file.get_row_iter(None).unwrap().map(|row| row.unwrap().get_long(7).unwrap());
        assert!(read.eq((1..).take(rows)), "each row once, in its order");
    }
}
