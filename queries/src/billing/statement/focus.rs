//! A statement with the columns of FOCUS 1.2 (<https://focus.finops.org>), an open specification of cost and usage. Pure.
//!
//! Flagmeter knows what was used, not what it costs, nor who sells it: these columns are null, an empty cell, and never
//! a zero that somebody might add up. Who prices the usage fills them in.

use std::borrow::Cow;

use flagmeter_model::{Environment, Meter, TimeRange, Timestamp};
use serde_json::json;

use super::super::text;

/// What is in a column.
#[derive(Debug, Clone, Copy)]
enum Cell {
    /// Flagmeter does not know it.
    Null,
    BillingAccountId,
    BillingPeriodEnd,
    BillingPeriodStart,
    ChargeClass,
    ChargeDescription,
    ChargePeriodEnd,
    ChargePeriodStart,
    ConsumedQuantity,
    ConsumedUnit,
    ResourceId,
    ResourceName,
    SubAccountId,
    SubAccountName,
    Tags,
    /// The same in all rows.
    Always(&'static str),
    /// Of a correction, columns of our own: which revision of the hour it is, and when it was found.
    Revision,
    ClosedAt,
}

/// The columns in the order of the specification; our own come last. Those of commitments, capacity and regions are left
/// out, as it has them for providers who have such things.
const COLUMNS: [(&str, Cell); 34] = [
    ("BilledCost", Cell::Null),
    ("BillingAccountId", Cell::BillingAccountId),
    ("BillingAccountName", Cell::Null),
    ("BillingCurrency", Cell::Null),
    ("BillingPeriodEnd", Cell::BillingPeriodEnd),
    ("BillingPeriodStart", Cell::BillingPeriodStart),
    ("ChargeCategory", Cell::Always("Usage")),
    ("ChargeClass", Cell::ChargeClass),
    ("ChargeDescription", Cell::ChargeDescription),
    ("ChargeFrequency", Cell::Always("Usage-Based")),
    ("ChargePeriodEnd", Cell::ChargePeriodEnd),
    ("ChargePeriodStart", Cell::ChargePeriodStart),
    ("ConsumedQuantity", Cell::ConsumedQuantity),
    ("ConsumedUnit", Cell::ConsumedUnit),
    ("ContractedCost", Cell::Null),
    ("EffectiveCost", Cell::Null),
    ("InvoiceId", Cell::Null),
    ("InvoiceIssuerName", Cell::Null),
    ("ListCost", Cell::Null),
    ("PricingQuantity", Cell::Null),
    ("PricingUnit", Cell::Null),
    ("ProviderName", Cell::Null),
    ("PublisherName", Cell::Null),
    ("ResourceId", Cell::ResourceId),
    ("ResourceName", Cell::ResourceName),
    ("ResourceType", Cell::Always("Environment")),
    ("ServiceCategory", Cell::Always("Developer Tools")),
    ("ServiceName", Cell::Always("Feature flags")),
    ("ServiceSubcategory", Cell::Always("Other (Developer Tools)")),
    ("SubAccountId", Cell::SubAccountId),
    ("SubAccountName", Cell::SubAccountName),
    ("Tags", Cell::Tags),
    ("x_Revision", Cell::Revision),
    ("x_ClosedAt", Cell::ClosedAt),
];

/// What was used of a meter in a part of the period, or what corrects an hour before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charge<'a> {
    pub(super) of: &'a Environment,
    pub(super) meter: Meter,
    pub(super) range: TimeRange,
    pub(super) count: u128,
    /// Of a correction: the revision of the hour, and when it was found.
    pub(super) corrects: Option<(u32, Timestamp)>,
}

/// Writes the charges of a billing period, and says how many they were.
pub(super) fn csv<'a>(period: TimeRange, charges: impl Iterator<Item = Charge<'a>>) -> (Vec<u8>, usize) {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut out = names.join(",").into_bytes();
    out.push(b'\n');
    let mut written = 0;
    for charge in charges {
        written += 1;
        for (at, (_, cell)) in COLUMNS.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            text::cell(&mut out, &charge.text(*cell, period));
        }
        out.push(b'\n');
    }
    (out, written)
}

impl<'a> Charge<'a> {
    fn text(&self, cell: Cell, period: TimeRange) -> Cow<'a, str> {
        let Environment { customer, project, environment } = self.of;
        match cell {
            Cell::Null => "".into(),
            Cell::Always(text) => text.into(),
            Cell::BillingAccountId => customer.as_str().into(),
            Cell::BillingPeriodEnd => period.to.to_string().into(),
            Cell::BillingPeriodStart => period.from.to_string().into(),
            Cell::ChargeClass => if self.corrects.is_some() { "Correction" } else { "" }.into(),
            Cell::ChargeDescription => {
                let what = match self.meter {
                    Meter::Requests => "API requests",
                    _ => "Flag evaluations",
                };
                let later = if self.corrects.is_some() { ", counted after the hour was billed" } else { "" };
                format!("{what} of {environment} in {project}{later}").into()
            }
            Cell::ChargePeriodEnd => self.range.to.to_string().into(),
            Cell::ChargePeriodStart => self.range.from.to_string().into(),
            Cell::ConsumedQuantity => self.count.to_string().into(),
            Cell::ConsumedUnit => match self.meter {
                Meter::Requests => "Requests",
                _ => "Evaluations",
            }
            .into(),
            Cell::ResourceId => {
                [customer, project, environment].map(|name| path_segment(name)).join("/").into()
            }
            Cell::ResourceName => environment.as_str().into(),
            Cell::SubAccountId => [customer, project].map(|name| path_segment(name)).join("/").into(),
            Cell::SubAccountName => project.as_str().into(),
            Cell::Tags => json!({
                "flagmeter/environment": environment.as_str(),
                "flagmeter/meter": self.meter.name(),
                "flagmeter/project": project.as_str(),
            })
            .to_string()
            .into(),
            Cell::Revision => {
                self.corrects.map_or_else(String::new, |(revision, _)| revision.to_string()).into()
            }
            Cell::ClosedAt => self.corrects.map_or_else(String::new, |(_, at)| at.to_string()).into(),
        }
    }
}

/// A name as a part of an identifier with slashes between: no two lists of names look the same.
fn path_segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}
