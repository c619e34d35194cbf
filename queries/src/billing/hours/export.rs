//! All rows of a range as CSV or Parquet, however many they are: sent while they are read, in little memory.
//!
//! The next rows are read while those before are written and sent. Two pages and what is written of them are held at
//! once, and of Parquet the rows of a group, whatever the range; they take their room until the answer is sent. What goes wrong after the first page breaks the
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
        cursor::Snapshot,
        row::{Line, Provisional},
    },
    Head,
    plan::{Asked, Form},
    provisional,
    sheet::Sheet,
};
use crate::{
    App, Error, Result,
    caching::{self, Stays, Tag},
    reader::Reading,
    room::Room,
};

/// An answer of all rows.
pub(super) struct Export<'a> {
    pub(super) asked: &'a Asked,
    pub(super) form: Form,
    pub(super) snapshot: Snapshot,
    pub(super) stays: Stays,
    pub(super) headers: &'a HeaderMap,
}

impl Export<'_> {
    /// Reads the first rows, and what is not final, so that all that can be refused is refused with a status; the rest
    /// follows as it is read.
    pub(super) async fn begin(self, app: &Arc<App>, mut reading: Reading<'_>) -> Result<Response> {
        let Self { asked, form, snapshot, stays, headers } = self;
        let question = asked.question(snapshot);
        let is_final = !asked.is_live() || Some(asked.range.to) <= snapshot.until;
        let first = reading.hours(question.clone()).await?;
        let beyond = provisional::read(app, &reading, asked, snapshot, true).await?;
        let rows_max = question.limit * 2 + form.rows_held_max() + beyond.rows.len();
        let room = reading.room_for(rows_max).await?;
        let head = Head { next: None, ..Head::new(asked, snapshot, &beyond, &first) };
        let rows = Rows {
            app: Arc::clone(app),
            question,
            read: Some(first),
            reads: JoinSet::new(),
            beyond: beyond.rows,
            sheet: Sheet::new(form)?,
            _room: room,
        };
        let answer =
            move || Ok((head.headers(form), Body::from_stream(try_unfold(rows, Rows::next))).into_response());
        if !is_final {
            // It is of this moment, and too long to be held against another one.
            return answer();
        }
        caching::answer(headers, &tag(asked, form, snapshot), stays, answer)
    }
}

/// The form, the snapshot and the question determine the bytes.
fn tag(asked: &Asked, form: Form, snapshot: Snapshot) -> Tag {
    let owner = asked.owner.as_ref();
    let after = asked.after.as_ref().map_or_else(String::new, |after| after.cursor(owner));
    let question = asked.digest.to_be_bytes();
    Tag::of([form.version(), snapshot.cursor(owner).as_bytes(), &question, after.as_bytes()])
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
    sheet: Sheet,
    _room: Room,
}

impl Rows {
    /// The next piece.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
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
            self.sheet.lines(page.rows.iter().map(Line::from))?;
            if !page.more {
                self.sheet.lines(self.beyond.iter().map(Line::from))?;
                self.sheet.end()?;
            }
            self.app.metrics.rows(page.rows.len());
            let piece = self.sheet.take()?;
            if !piece.is_empty() {
                return Ok(Some((piece.into(), self)));
            }
        }
    }
}
