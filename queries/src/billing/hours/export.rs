//! All rows of a range as CSV, however many they are: sent while they are read, in little memory.
//!
//! The next rows are read while those before are written and sent. Two pages and their text are held at once, whatever
//! the range, and they take their room until the answer is sent. What goes wrong after the first page breaks the
//! connection off: the last chunk is not sent, so nobody takes half a bill for a whole one.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use flagmeter_ledger::{Hours, Page};
use futures_util::stream::try_unfold;
use tokio::task::JoinSet;

use super::{
    super::{
        caching::{self, Stays, Tag},
        cursor::Snapshot,
        row::{Csv, Provisional},
    },
    Head,
    plan::Asked,
    provisional,
};
use crate::{App, Error, Result, reader::Reading, room::Room};

/// The way in which these bytes are made. With another one they are others, and so is their tag.
const FORM: &[u8] = b"billing hours csv 1";

/// An answer of all rows.
pub(super) struct Export<'a> {
    pub(super) asked: &'a Asked,
    pub(super) snapshot: Snapshot,
    pub(super) stays: Stays,
    pub(super) headers: &'a HeaderMap,
}

impl Export<'_> {
    /// Reads the first rows, and what is not final, so that all that can be refused is refused with a status; the rest
    /// follows as it is read.
    pub(super) async fn begin(self, app: &Arc<App>, mut reading: Reading<'_>) -> Result<Response> {
        let Self { asked, snapshot, stays, headers } = self;
        let question = asked.question(snapshot);
        let is_final = !asked.is_live() || Some(asked.range.to) <= snapshot.until;
        let first = reading.hours(question.clone()).await?;
        let beyond = provisional::read(app, &reading, asked, snapshot, true).await?;
        let room = reading.room_for(question.limit * 2 + beyond.rows.len()).await?;
        let head = Head { next: None, ..Head::new(asked, snapshot, &beyond, &first) };
        let rows = Rows {
            app: Arc::clone(app),
            question,
            read: Some(first),
            reads: JoinSet::new(),
            beyond: beyond.rows,
            csv: Csv::new(),
            _room: room,
        };
        let answer =
            move || Ok((head.headers(), Body::from_stream(try_unfold(rows, Rows::next))).into_response());
        if !is_final {
            // It is of this moment, and too long to be held against another one.
            return answer();
        }
        caching::answer(headers, &tag(asked, snapshot), stays, answer)
    }
}

/// The snapshot and the question determine the bytes.
fn tag(asked: &Asked, snapshot: Snapshot) -> Tag {
    let owner = asked.owner.as_ref();
    let after = asked.after.as_ref().map_or_else(String::new, |after| after.cursor(owner));
    let question = asked.digest.to_be_bytes();
    Tag::of([FORM, snapshot.cursor(owner).as_bytes(), &question, after.as_bytes()])
}

/// The rows that are not sent yet.
struct Rows {
    app: Arc<App>,
    question: Hours,
    /// Rows that were read already.
    read: Option<Page>,
    /// The read that runs, if one does. It ends with the answer.
    reads: JoinSet<Result<Page>>,
    /// Those that are not final.
    beyond: Vec<Provisional>,
    csv: Csv,
    _room: Room,
}

impl Rows {
    /// The next piece of text.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let page = match (self.read.take(), self.reads.join_next().await) {
            (Some(page), _) => page,
            (None, Some(read)) => read.map_err(|error| Error::Encoding(error.to_string()))??,
            (None, None) => return Ok(None),
        };
        if let Some(last) = page.rows.last().filter(|_| page.more) {
            self.question.after = Some(last.key());
            let (app, question) = (Arc::clone(&self.app), self.question.clone());
            self.reads.spawn(async move { app.reader.further_hours(question).await });
        }
        self.csv.reserve(page.rows.len());
        for row in &page.rows {
            self.csv.line(row);
        }
        if !page.more {
            for row in &std::mem::take(&mut self.beyond) {
                self.csv.line(row);
            }
        }
        self.app.metrics.rows(page.rows.len());
        let text = self.csv.take();
        Ok(Some((text.into(), self)))
    }
}
