//! The spans of the downsampler, for whoever listens: of a cycle that does something, each of its steps, and hours that close.
//!
//! Most cycles find nothing due and have none. Where nobody listens all of this is a look at a flag.

use flagmeter_store::Rolling;
use tracing::{Span, field, info_span};

use crate::{Closed, Step, cycle::Half};

/// The spans of a cycle on its way.
#[derive(Debug)]
pub(crate) struct Traced {
    half: &'static str,
    cycle: Option<Span>,
    hours: Option<Span>,
}

impl Traced {
    pub(crate) const fn new(half: Half) -> Self {
        let half = match half {
            Half::Rolling => "rolling",
            Half::Closing => "closing",
        };
        Self { half, cycle: None, hours: None }
    }

    fn cycle(&mut self) -> &Span {
        let half = self.half;
        self.cycle.get_or_insert_with(|| info_span!(parent: None, "downsampler cycle", flagmeter.half = half))
    }

    /// A step of the cycle, which is a call to the store, or to the ledger.
    pub(crate) fn step(&mut self, step: &Step) -> Span {
        let name = match step {
            Step::Announce { .. } => "announce",
            Step::Roll(_) => "roll up",
            Step::Advance { .. } => "advance",
            Step::Mark(_) => "mark",
            Step::Correct(_) => "correct hours",
            Step::Clear(_) => "clear marks",
            Step::Retain(_) => "retain",
        };
        let tier = match step {
            Step::Roll(Rolling::Range(tier, _)) | Step::Advance { tier, .. } => Some(*tier),
            Step::Roll(Rolling::Windows(windows)) => windows.first().map(|window| window.window.tier()),
            _ => None,
        };
        info_span!(
            parent: self.cycle(),
            "step",
            otel.name = name,
            otel.kind = "client",
            db.operation.name = name,
            flagmeter.tier = tier.map(field::display),
            error.type = field::Empty
        )
    }

    /// Hours are due: finding out what they came to, and telling the ledger.
    pub(crate) fn hours_are_due(&mut self) {
        if self.hours.is_none() {
            let span = info_span!(
                parent: self.cycle(),
                "close hours",
                flagmeter.closings = field::Empty,
                flagmeter.waits = field::Empty,
                error.type = field::Empty
            );
            self.hours = Some(span);
        }
    }

    /// What came of hours that were due.
    pub(crate) fn hours_closed(&mut self, closed: &Closed) {
        if let Some(span) = self.hours.take() {
            span.record("flagmeter.closings", closed.appended.closings);
            span.record("flagmeter.waits", closed.waits);
        }
    }

    pub(crate) fn hours_failed(&mut self) {
        if let Some(span) = self.hours.take() {
            span.record("error.type", "closing");
        }
    }
}

/// A post of the webhook. It tells its receiver what it is, and nothing of what is posted.
pub(crate) fn post(of: &'static str) -> Span {
    info_span!(
        parent: None,
        "webhook",
        otel.name = "POST",
        otel.kind = "client",
        http.request.method = "POST",
        http.response.status_code = field::Empty,
        flagmeter.of = of,
        error.type = field::Empty
    )
}
