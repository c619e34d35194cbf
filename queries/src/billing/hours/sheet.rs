//! Many rows in one form, piece by piece.

use axum::http::HeaderMap;

use super::{
    super::{
        columns::{Columns, GROUP_ROWS},
        csv_headers, file_headers,
        row::{Csv, Line},
    },
    plan::Form,
};
use crate::Result;

/// Rows that are written one after the other.
pub(super) enum Sheet {
    Csv(Csv),
    Parquet(Box<Columns>),
}

impl Form {
    /// The way in which the bytes are made. With another one they are others, and so is their tag.
    pub(super) const fn version(self) -> &'static [u8] {
        match self {
            Self::Csv => b"billing hours csv 1",
            Self::Parquet => b"billing hours parquet 1",
        }
    }

    /// Rows that are held back until there are enough of them to be written.
    pub(super) const fn rows_held_max(self) -> usize {
        match self {
            Self::Csv => 0,
            Self::Parquet => GROUP_ROWS,
        }
    }

    /// What is said beside the rows, and that it is a file of this form.
    pub(super) fn headers(self, said: &[(&'static str, Option<&str>)]) -> HeaderMap {
        match self {
            Self::Csv => csv_headers("attachment; filename=\"flagmeter-billing-hours.csv\"", said),
            Self::Parquet => file_headers(
                "application/vnd.apache.parquet",
                "attachment; filename=\"flagmeter-billing-hours.parquet\"",
                said,
            ),
        }
    }
}

impl Sheet {
    /// Without a row.
    pub(super) fn new(form: Form) -> Result<Self> {
        Ok(match form {
            Form::Csv => Self::Csv(Csv::new()),
            Form::Parquet => Self::Parquet(Box::new(Columns::new()?)),
        })
    }

    /// Adds rows.
    pub(super) fn lines<'a>(&mut self, lines: impl ExactSizeIterator<Item = Line<'a>>) -> Result<()> {
        match self {
            Self::Csv(csv) => {
                csv.reserve(lines.len());
                lines.for_each(|line| csv.line(line));
                Ok(())
            }
            Self::Parquet(columns) => lines.into_iter().try_for_each(|line| columns.line(&line)),
        }
    }

    /// No row follows.
    pub(super) fn end(&mut self) -> Result<()> {
        match self {
            Self::Csv(_) => Ok(()),
            Self::Parquet(columns) => columns.end(),
        }
    }

    /// What was written since this was asked before: nothing, as long as rows are held back.
    pub(super) fn take(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Csv(csv) => Ok(csv.take()),
            Self::Parquet(columns) => columns.take(),
        }
    }
}
