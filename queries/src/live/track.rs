//! What the viewers of one question are sent: the newest answer, the deltas that led to it, and what is wrong.
//!
//! Nobody has a queue. A viewer has a place on this track, and takes what comes next from there; where that is not kept
//! any more it takes the newest answer whole. Nothing here waits or knows of time.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use axum::{
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{delta::Delta, frame::Frame};
use crate::{
    Error,
    problem::{MEDIA_TYPE, Problem},
    usage::Usage,
};

/// Deltas that are kept for those who come back, and their bytes, at most.
const DELTAS_MAX: usize = 120;
const DELTAS_BYTES_MAX: usize = 128 * 1_024;

/// What is sent, and what it is called in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Snapshot,
    /// A snapshot, because its viewer was too slow for the deltas.
    Caught,
    Delta,
    Problem,
    Heartbeat,
}

/// What comes next for a viewer.
pub(super) enum Next {
    /// A snapshot, which is encoded when the first one takes it.
    Whole(Kind, Arc<Answer>),
    Event(Kind, Arc<Frame>),
    /// Nothing until the track changes.
    Nothing,
    /// Nothing any more.
    End,
}

/// Where a viewer is.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The number of the answer that it has.
    seen: Option<u64>,
    /// The number of the trouble that it knows of.
    told: u64,
}

/// An answer with its number.
pub(super) struct Answer {
    id: String,
    pub(super) usage: Usage,
    event: OnceLock<Arc<Frame>>,
}

impl Answer {
    /// The answer as an event. It is encoded once, by whoever needs it first.
    pub(super) fn event(&self) -> Arc<Frame> {
        Arc::clone(self.event.get_or_init(|| event(Some(&self.id), "snapshot", &self.usage)))
    }
}

/// Why there is no newer answer.
struct Trouble {
    number: u64,
    status: StatusCode,
    problem: Bytes,
    event: Arc<Frame>,
}

impl Trouble {
    /// Whether asking again is of no use.
    fn is_final(&self) -> bool {
        self.status.is_client_error()
    }
}

/// What a new answer is to those who have the one before.
pub(super) enum Step {
    /// The same.
    Same,
    /// This much different.
    Delta(Box<Delta>, Usage),
    /// All of it is told again.
    Whole(Usage),
}

/// The track of one question.
pub(super) struct Track {
    /// Tells this track's ids from those of any other, in whatever process.
    epoch: String,
    /// The number of the newest answer. The first is 1.
    number: u64,
    /// The number of the last answer that no delta led to.
    whole: u64,
    answer: Option<Arc<Answer>>,
    /// Those that led to the newest answers, the last one to `number`.
    deltas: VecDeque<Arc<Frame>>,
    deltas_bytes: usize,
    troubles: u64,
    trouble: Option<Trouble>,
    /// Nobody watches: the newest answer grows old.
    rests: bool,
    ended: bool,
}

impl Track {
    /// Nothing is known yet.
    pub(super) const fn new(epoch: String) -> Self {
        Self {
            epoch,
            number: 0,
            whole: 0,
            answer: None,
            deltas: VecDeque::new(),
            deltas_bytes: 0,
            troubles: 0,
            trouble: None,
            rests: false,
            ended: false,
        }
    }

    /// Whether there is anything to tell that is of now.
    pub(super) const fn is_awake(&self) -> bool {
        (self.answer.is_some() || self.trouble.is_some()) && !self.rests || self.ended
    }

    /// Nobody watches.
    pub(super) const fn rest(&mut self) {
        self.rests = true;
    }

    /// The newest answer.
    pub(super) fn newest(&self) -> Option<Arc<Answer>> {
        self.answer.clone()
    }

    /// What `usage` is to those who have the newest answer. It takes a while: apart from [`Self::go`], so that nobody
    /// waits for it.
    pub(super) fn step(newest: Option<&Answer>, in_trouble: bool, usage: Usage) -> Step {
        match newest {
            Some(before) if !in_trouble && before.usage == usage => Step::Same,
            Some(before) => match Delta::between(&before.usage, &usage) {
                Some(delta) => Step::Delta(Box::new(delta), usage),
                None => Step::Whole(usage),
            },
            None => Step::Whole(usage),
        }
    }

    /// Whether the last try brought no answer: the next answer is told then, even if it is the same.
    pub(super) const fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Goes on to the next answer. Whether there is anything to tell.
    pub(super) fn go(&mut self, step: Step) -> bool {
        let rested = std::mem::take(&mut self.rests);
        let (delta, usage) = match step {
            Step::Same => return rested,
            Step::Delta(delta, usage) => (Some(delta), usage),
            Step::Whole(usage) => (None, usage),
        };
        self.number += 1;
        let id = format!("{}-{}", self.epoch, self.number);
        if let Some(delta) = delta {
            let delta = event(Some(&id), "delta", &delta);
            self.deltas_bytes += delta.plain().len();
            self.deltas.push_back(delta);
            while self.deltas.len() > DELTAS_MAX || self.deltas_bytes > DELTAS_BYTES_MAX {
                self.deltas_bytes -= self.deltas.pop_front().map_or(0, |delta| delta.plain().len());
            }
        } else {
            self.whole = self.number;
            self.deltas.clear();
            self.deltas_bytes = 0;
        }
        self.trouble = None;
        self.answer = Some(Arc::new(Answer { id, usage, event: OnceLock::new() }));
        true
    }

    /// There is no answer. Whether asking again is of no use.
    pub(super) fn fail(&mut self, error: &Error) -> bool {
        self.rests = false;
        let (status, problem) = Problem::of(error);
        let encoded = json(&problem);
        if self.trouble.as_ref().is_none_or(|trouble| trouble.problem != encoded) {
            self.troubles += 1;
            let event = event(None, "problem", &problem);
            self.trouble = Some(Trouble { number: self.troubles, status, problem: encoded, event });
        }
        self.trouble.as_ref().is_some_and(Trouble::is_final)
    }

    /// Nothing more comes.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    /// The answer to who asks for what has no answer.
    pub(super) fn refusal(&self) -> Option<Response> {
        let trouble = self.trouble.as_ref().filter(|trouble| trouble.is_final())?;
        let head = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        Some((trouble.status, head, trouble.problem.clone()).into_response())
    }

    /// The place of someone who comes back with the id of the last event; the beginning where that leads nowhere.
    pub(super) fn place_after(&self, last_event_id: &str) -> Place {
        let number = last_event_id.split_once('-').filter(|(epoch, _)| *epoch == self.epoch);
        let number = number.and_then(|(_, number)| number.parse::<u64>().ok());
        let seen = number.filter(|seen| *seen == self.number || self.delta_after(*seen).is_some());
        Place { seen: seen.filter(|seen| *seen > 0), told: 0 }
    }

    /// What comes next for someone at this place, who is then beyond it.
    pub(super) fn next(&self, place: &mut Place) -> Next {
        if let Some(answer) = self.answer.as_ref().filter(|_| place.seen != Some(self.number)) {
            if let Some((delta, number)) =
                place.seen.and_then(|seen| Some((self.delta_after(seen)?, seen + 1)))
            {
                place.seen = Some(number);
                return Next::Event(Kind::Delta, Arc::clone(delta));
            }
            let is_late = place.seen.is_some_and(|seen| seen >= self.whole);
            place.seen = Some(self.number);
            return Next::Whole(if is_late { Kind::Caught } else { Kind::Snapshot }, Arc::clone(answer));
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.number > place.told) {
            place.told = trouble.number;
            return Next::Event(Kind::Problem, Arc::clone(&trouble.event));
        }
        if self.ended { Next::End } else { Next::Nothing }
    }

    /// The delta that leads on from an answer, if it is kept.
    fn delta_after(&self, seen: u64) -> Option<&Arc<Frame>> {
        let missed = usize::try_from(self.number.checked_sub(seen)?).ok()?;
        self.deltas.get(self.deltas.len().checked_sub(missed)?)
    }
}

/// An event of a stream, in the words of Server-Sent Events.
fn event(id: Option<&str>, name: &str, data: &impl Serialize) -> Arc<Frame> {
    let mut text = Vec::new();
    if let Some(id) = id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    // One line: JSON has no bare line breaks.
    text.extend_from_slice(&json(data));
    text.extend_from_slice(b"\n\n");
    Frame::new(text)
}

/// The event that ends a stream for a reason that concerns its viewer alone.
pub(super) fn problem_event(error: &Error) -> Arc<Frame> {
    event(None, "problem", &Problem::of(error).1)
}

/// Answers and problems are text and numbers: they always encode.
fn json(data: &impl Serialize) -> Bytes {
    serde_json::to_vec(data).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
