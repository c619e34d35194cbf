//! OpenTelemetry's spans of `tracing`'s.
//!
//! Why not `tracing-opentelemetry`: it leaves the names of spans to a generator without arguments, and a seal's span must have
//! the name that others derive for it. What is left is this page.
//!
//! A span is in the trace of its parent. One without a parent says to which trace it belongs by its fields: `trace.id`
//! with `trace.parent` for what comes from outside, `seal.node` with `seal.seq` for what happens to a seal; of the latter
//! the one called `seal` is the root. Any other begins a trace. What is not told has no state here, and nor has what is below it.

use std::{fmt, time::SystemTime};

use opentelemetry::{
    InstrumentationScope, Key, KeyValue, SpanId, TraceFlags, Value,
    trace::{Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    export::Queue,
    ids::{self, Place},
    sampling::Share,
};

/// As OpenTelemetry's own limit.
const LINKS_MAX: u32 = 128;
/// The root of a seal's trace.
const SEAL: &str = "seal";

/// What spans say of the systems that they speak to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Systems {
    pub(crate) messaging: &'static str,
    pub(crate) database: &'static str,
}

/// Makes spans and hands them to the queue.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) deployment: String,
    pub(super) seals: Share,
    pub(super) systems: Systems,
    /// Where seals go, on Kafka the topic.
    pub(super) destination: String,
    pub(super) scope: InstrumentationScope,
    pub(super) queue: Queue,
}

/// A span that is told once it is closed.
struct Open {
    data: SpanData,
    has_ended: bool,
}

impl Open {
    fn record(&mut self, fields: Fields) {
        self.data.attributes.extend(fields.attributes);
        let Some(error) = fields.error else { return };
        self.data.attributes.push(KeyValue::new("error.type", error));
        self.data.status = Status::error("");
    }

    fn place(&self) -> Place {
        Place { trace: self.data.span_context.trace_id(), span: self.data.span_context.span_id() }
    }
}

/// Where a span belongs.
struct Position {
    place: Place,
    parent: SpanId,
    is_remote: bool,
}

impl Spans {
    /// `None` if it is not told.
    fn of_root(&self, name: &str, fields: &Fields) -> Option<Position> {
        let new = |trace, parent: Option<u64>| Position {
            place: Place { trace, span: ids::new_span() },
            parent: parent.map_or(SpanId::INVALID, SpanId::from),
            is_remote: parent.is_some(),
        };
        if let Some(trace) = fields.trace {
            return Some(new(ids::trace_id(trace), fields.parent));
        }
        let (Some(node), Some(seq)) = (fields.node, fields.seq) else {
            return Some(new(ids::new_trace(), None));
        };
        let seal = ids::of_seal(&self.deployment, node, seq);
        if !self.seals.takes(seal.trace) {
            return None;
        }
        if name == SEAL {
            return Some(Position { place: seal, parent: SpanId::INVALID, is_remote: false });
        }
        Some(Position { place: Place { span: ids::new_span(), ..seal }, parent: seal.span, is_remote: true })
    }

    fn with_systems(&self, attributes: &mut Vec<KeyValue>) {
        let has = |attributes: &[KeyValue], key| attributes.iter().any(|held| held.key.as_str() == key);
        if has(attributes, "messaging.operation.name") {
            attributes.push(KeyValue::new("messaging.system", self.systems.messaging));
            attributes.push(KeyValue::new("messaging.destination.name", self.destination.clone()));
        }
        if has(attributes, "db.operation.name") {
            attributes.push(KeyValue::new("db.system.name", self.systems.database));
        }
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context_of: Context<'_, S>) {
        let Some(span) = context_of.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let name = attributes.metadata().name();
        let position = match span.parent() {
            None => self.of_root(name, &fields),
            Some(parent) => parent.extensions().get::<Open>().map(|parent| {
                let above = parent.place();
                let place = Place { span: ids::new_span(), ..above };
                Position { place, parent: above.span, is_remote: false }
            }),
        };
        let Some(Position { place, parent, is_remote }) = position else { return };
        let started = now();
        let mut data = SpanData {
            span_context: context(place, false),
            parent_span_id: parent,
            parent_span_is_remote: is_remote,
            span_kind: fields.kind.take().unwrap_or(SpanKind::Internal),
            name: fields.name.take().map_or_else(|| name.into(), Into::into),
            start_time: started,
            end_time: started,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        };
        self.with_systems(&mut fields.attributes);
        data.attributes.reserve(fields.attributes.len());
        let mut open = Open { data, has_ended: false };
        open.record(fields);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut fields = Fields::default();
            values.record(&mut fields);
            open.record(fields);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, of: Context<'_, S>) {
        let (Some(span), Some(before)) = (of.span(id), of.span(follows)) else { return };
        let Some(before) = before.extensions().get::<Open>().map(Open::place) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let links = &mut open.data.links;
            if links.links.len() < LINKS_MAX as usize {
                links.links.push(Link::new(context(before, false), Vec::new(), 0));
            } else {
                links.dropped_count = links.dropped_count.saturating_add(1);
            }
        }
    }

    /// A span ends when it is left for the last time: it may be held longer, for what follows from it.
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            open.data.end_time = now();
            open.has_ended = true;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let open = span.extensions_mut().remove::<Open>();
        if let Some(Open { mut data, has_ended }) = open {
            if !has_ended {
                data.end_time = now();
            }
            self.queue.push(data);
        }
    }
}

/// What is told is sampled.
fn context(Place { trace, span }: Place, is_remote: bool) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, is_remote, TraceState::NONE)
}

#[expect(
    clippy::disallowed_methods,
    reason = "spans of many processes are laid beside each other by the real time"
)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// What a span says of itself.
#[derive(Debug, Default)]
struct Fields {
    attributes: Vec<KeyValue>,
    kind: Option<SpanKind>,
    name: Option<String>,
    trace: Option<u128>,
    parent: Option<u64>,
    node: Option<u64>,
    seq: Option<u64>,
    error: Option<String>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(Key::from_static_str(field.name()), value));
    }
}

impl Visit for Fields {
    fn record_u128(&mut self, field: &Field, value: u128) {
        match field.name() {
            "trace.id" => self.trace = Some(value),
            _ => self.add(field, value.to_string()),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "trace.parent" => {
                self.parent = Some(value);
                return;
            }
            "seal.node" => self.node = Some(value),
            "seal.seq" => self.seq = Some(value),
            _ => {}
        }
        self.add(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "otel.kind" => self.kind = Some(kind(value)),
            "otel.name" => self.name = Some(value.to_owned()),
            "error.type" => self.error = Some(value.to_owned()),
            _ => self.add(field, value.to_owned()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn kind(word: &str) -> SpanKind {
    match word {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// The place of the current span as a `traceparent`, for a request that is sent to somebody else.
pub(crate) fn traceparent() -> Option<String> {
    tracing::Span::current()
        .with_subscriber(|(id, dispatch)| {
            let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>()?;
            let span = registry.span(id)?;
            let Place { trace, span } = span.extensions().get::<Open>()?.place();
            Some(format!("00-{trace}-{span}-01"))
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_that_failed_is_the_root_of_its_trace_all_the_same() {
        let place = ids::of_seal("flagmeter", 3, 7);
        let data = SpanData {
            span_context: context(place, false),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: SEAL.into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        };
        let mut open = Open { data, has_ended: false };
        open.record(Fields { error: Some("journal".into()), ..Fields::default() });
        assert_eq!(
            (open.data.span_context.span_id(), open.data.parent_span_id),
            (place.span, SpanId::INVALID)
        );
        assert_eq!(open.data.status, Status::error(""));
    }
}
