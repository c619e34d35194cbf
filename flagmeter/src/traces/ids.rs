//! Names of traces and spans: random ones, those of a seal, and those that come with a request.

use axum::http::HeaderMap;
use opentelemetry::{SpanId, TraceId};
use sha2::{Digest as _, Sha256};

/// A span as others name it: its trace and its own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

/// The place of a seal: the same in every process of a deployment, so that whoever stores its records finds its trace
/// although they carry no headers.
pub(super) fn of_seal(deployment: &str, node: u64, seq: u64) -> Place {
    let mut hash = Sha256::new();
    hash.update(b"flagmeter seal\0");
    hash.update(deployment.as_bytes());
    hash.update([0]);
    hash.update(node.to_be_bytes());
    hash.update(seq.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (trace, rest) = digest.split_at(16);
    let trace = trace.iter().fold(0, |number, &byte| number << 8 | u128::from(byte));
    let span = rest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte));
    Place { trace: trace_id(trace), span: span_id(span) }
}

/// A trace that nobody has begun yet.
pub(super) fn new_trace() -> TraceId {
    trace_id(rand::random())
}

/// A span that nobody has named yet.
pub(super) fn new_span() -> SpanId {
    span_id(rand::random())
}

/// 0 names nothing.
pub(super) fn trace_id(number: u128) -> TraceId {
    TraceId::from(number.max(1))
}

fn span_id(number: u64) -> SpanId {
    SpanId::from(number.max(1))
}

/// What the sender of a request says of its trace, in W3C's `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) place: Place,
    pub(super) is_sampled: bool,
}

impl Parent {
    /// One that cannot be read is as good as none, as the standard has it.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all("traceparent").iter();
        match (all.next(), all.next()) {
            (Some(one), None) => Self::parse(one.to_str().ok()?),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = |digits| {
            let part = parts.next()?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (part.len() == digits && is_hex).then_some(part)
        };
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // A later version may say more behind it.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let place = Place { trace: TraceId::from_hex(trace).ok()?, span: SpanId::from_hex(span).ok()? };
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let is_valid = place.trace != TraceId::INVALID && place.span != SpanId::INVALID;
        is_valid.then_some(Self { place, is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seals_trace_is_the_same_in_every_process_and_version() {
        let place = of_seal("flagmeter", 1, 1_795_340_101);
        // An ingester of another version finds the trace of an edge's seal: these may not change.
        assert_eq!(place.trace.to_string(), "305db87666e7050239fa0dbcb1b7998d");
        assert_eq!(place.span.to_string(), "37f6f1bbf19d5a3f");
    }

    #[test]
    fn seals_of_other_nodes_seconds_and_deployments_have_traces_of_their_own() {
        let mut traces = std::collections::HashSet::new();
        for deployment in ["flagmeter", "staging", ""] {
            for node in 0..8 {
                for seq in 0..64 {
                    let place = of_seal(deployment, node, seq);
                    assert!(place.trace != TraceId::INVALID && place.span != SpanId::INVALID);
                    assert!(traces.insert(place.trace), "{deployment} {node} {seq}");
                }
            }
        }
    }

    #[test]
    fn a_parent_is_read_as_the_standard_has_it() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let span = "00f067aa0b9902d7";
        let read = Parent::parse(&format!("00-{trace}-{span}-01")).unwrap();
        assert_eq!(read.place.trace.to_string(), trace);
        assert_eq!(read.place.span.to_string(), span);
        assert!(read.is_sampled);
        assert!(!Parent::parse(&format!("00-{trace}-{span}-00")).unwrap().is_sampled);
        assert!(!Parent::parse(&format!("00-{trace}-{span}-02")).unwrap().is_sampled);
        assert!(Parent::parse(&format!("01-{trace}-{span}-01-more")).unwrap().is_sampled);
        for wrong in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", &trace[1..]),
            format!("00-+{}-{span}-01", &trace[1..]),
        ] {
            assert_eq!(Parent::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let mut headers = HeaderMap::new();
        let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0b9902d7-01".parse().unwrap();
        assert_eq!(Parent::of(&headers), None);
        headers.append("traceparent", value);
        assert!(Parent::of(&headers).is_some());
        let again = headers["traceparent"].clone();
        headers.append("traceparent", again);
        assert_eq!(Parent::of(&headers), None);
    }
}
