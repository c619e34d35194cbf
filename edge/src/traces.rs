//! The spans of an edge, for whoever listens: a commit, a seal, an append.
//!
//! Whether a request is traced is not decided here: who serves the doors makes a span for it or none. From there on spans
//! follow from each other: a commit from the requests in it, a seal from its commits, an append from its seal. A seal's span
//! names it by node and number, so that the spans of who stores it join the same trace. Where nobody listens all of this is a
//! look at a flag; where no request is traced no commit is. What is bounded in number lives on until its seal is handed on; after a
//! crash it is gone, and the counts are not.

use std::collections::VecDeque;

use flagmeter_model::{NodeId, Seq};
use tracing::{Span, field, info_span};

use crate::inbox::Submission;

/// So many requests, and commits, are followed to their seal; further ones are left where they are.
const FOLLOWED_MAX: usize = 128;
/// So many seals wait with their spans for the log; of the older ones no append is told.
const WAITING_MAX: usize = 64;

/// The span of the request that is being answered, or none.
pub(crate) fn of_request() -> Span {
    Span::current()
}

/// What is followed until its counts are sealed, and seals until they are handed on.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    requests: Vec<Span>,
    commits: Vec<Span>,
    /// Each with the place of its last record in the outbox.
    seals: VecDeque<(i64, Span)>,
}

impl Traced {
    /// The commit of a group; none if none of its requests is traced.
    pub(crate) fn commit(&mut self, group: &[Submission]) -> Span {
        let mut traced =
            group.iter().map(|request| &request.span).filter(|span| !span.is_disabled()).peekable();
        if traced.peek().is_none() {
            return Span::none();
        }
        let span = info_span!(
            parent: None,
            "journal commit",
            flagmeter.requests = group.len(),
            error.type = field::Empty
        );
        traced.for_each(|request| {
            span.follows_from(request);
        });
        if self.commits.len() < FOLLOWED_MAX {
            self.commits.push(span.clone());
        }
        span
    }

    /// The counts of this request are on disk.
    pub(crate) fn committed(&mut self, request: Span) {
        if !request.is_disabled() && self.requests.len() < FOLLOWED_MAX {
            self.requests.push(request);
        }
    }

    /// A seal of so many points is about to be made of what was committed.
    pub(crate) fn seal(&self, node: NodeId, seq: Seq, points: usize) -> Span {
        if points == 0 {
            return Span::none();
        }
        let span = info_span!(
            parent: None,
            "seal",
            seal.node = node.get(),
            seal.seq = seq.get(),
            flagmeter.points = points,
            error.type = field::Empty
        );
        for commit in &self.commits {
            span.follows_from(commit);
        }
        span
    }

    /// That seal is made, and its last record has this place in the outbox. Each request's own trace says which seal it is.
    pub(crate) fn sealed(&mut self, seal: &Span, node: NodeId, seq: Seq, place: i64) {
        self.commits.clear();
        let requests = std::mem::take(&mut self.requests);
        if seal.is_disabled() {
            return;
        }
        for request in requests {
            let span = info_span!(
                parent: &request,
                "counts sealed",
                flagmeter.node = node.get(),
                flagmeter.seq = seq.get()
            );
            span.follows_from(seal);
        }
        if self.seals.len() == WAITING_MAX {
            self.seals.pop_front();
        }
        self.seals.push_back((place, seal.clone()));
    }

    /// The seals whose last record is among those up to this place.
    pub(crate) fn handed_out(&mut self, through: i64) -> Vec<Span> {
        let count = self.seals.iter().take_while(|&&(place, _)| place <= through).count();
        self.seals.drain(..count).map(|(_, seal)| seal).collect()
    }
}

/// The appends of these seals' last records, which are one.
pub(crate) fn appends(seals: &[Span], records: usize) -> Vec<Span> {
    let append = |seal| {
        info_span!(
            parent: seal,
            "append",
            otel.kind = "producer",
            messaging.operation.name = "append",
            messaging.operation.type = "send",
            messaging.batch.message_count = records,
            error.type = field::Empty
        )
    };
    seals.iter().map(append).collect()
}

/// Says of spans what failed.
pub(crate) fn failed(spans: &[Span], what: &str) {
    for span in spans {
        span.record("error.type", what);
    }
}
