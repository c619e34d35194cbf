//! The rows of `/v1/usage` as CSV: the same columns, and nothing where nothing is known.

use std::borrow::Cow;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{plan::Plan, plan::dimension_name, shape::Usage};
use crate::{Error, Result, room::Room};

/// Writes the answer. What JSON says beside the rows stands in headers.
pub(super) fn response(plan: &Plan, usage: &Usage, room: Room) -> Result<Response> {
    let body = body(plan, usage).map_err(|error| Error::Encoding(error.to_string()))?;
    Ok((headers(usage), room.body(body)).into_response())
}

fn body(plan: &Plan, usage: &Usage) -> Result<Vec<u8>, csv::Error> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let dimensions = || plan.group_by.iter().copied();
    let compares = plan.previous > 0;
    let mut columns = vec!["start", "end", "state", "count"];
    columns.extend(dimensions().map(dimension_name));
    if compares {
        columns.extend(["previous_start", "previous_state", "previous_count"]);
    }
    csv.write_record(columns)?;
    let number = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
    for row in &usage.rows {
        for field in [&row.start, &row.end, row.state.name(), &number(row.count)] {
            csv.write_field(field)?;
        }
        for dimension in dimensions() {
            csv.write_field(&*harmless(row.group.text(dimension)))?;
        }
        if let Some(previous) = row.previous.as_ref().filter(|_| compares) {
            for field in [&previous.start, previous.state.name(), &number(previous.count)] {
                csv.write_field(field)?;
            }
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.into_inner().map_err(|error| error.into_error().into())
}

/// A name as a cell that no spreadsheet takes for a formula: names come from strangers.
pub(crate) fn harmless(name: &str) -> Cow<'_, str> {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{name}").into() } else { name.into() }
}

fn headers(usage: &Usage) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"flagmeter-usage.csv\""),
    );
    let mut say = |name: &'static str, text: &str| {
        // Times, numbers and words of ours: always a header value.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    say("flagmeter-meter", usage.meter);
    say("flagmeter-from", &usage.from);
    say("flagmeter-to", &usage.to);
    say("flagmeter-resolution", usage.resolution);
    say("flagmeter-tz", usage.tz);
    say("flagmeter-state", usage.state.name());
    say("flagmeter-missing-nodes", &usage.missing_nodes.len().to_string());
    if let Some(total) = usage.total {
        say("flagmeter-total", &total.to_string());
    }
    if let Some(until) = &usage.complete_until {
        say("flagmeter-complete-until", until);
    }
    if let Some(from) = &usage.beyond_retention {
        say("flagmeter-beyond-retention", from);
    }
    headers
}
