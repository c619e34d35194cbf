//! The parameters of a question about usage, once for all that answer it: as counts, live, as a picture.

use utoipa::IntoParams;

use crate::parameters::name;

/// Those that all of them take.
pub(crate) const KNOWN: &[&str] = &[
    name::FROM,
    name::TO,
    name::RESOLUTION,
    name::TZ,
    name::METER,
    name::CUSTOMER,
    name::PROJECT,
    name::ENVIRONMENT,
    name::FLAG,
    name::VARIANT,
    name::SDK,
    name::GROUP_BY,
    name::COMPARE,
    name::LIMIT,
];

/// What the document says of them, but for `limit`: how many groups fit is each one's own.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read by `plan::ask`, by name; here it is described")]
pub(crate) struct Described {
    /// Start: RFC 3339, a date, or a time before now such as -24h, -30d, -15m. Default -24h. Rounded down to the resolution.
    #[param(example = "-24h")]
    from: Option<String>,
    /// End, not included: the same, or `now`, the default. Rounded up to the resolution.
    #[param(example = "now")]
    to: Option<String>,
    /// Length of a bucket: `auto` (60 to 200 buckets, the default), `10s`, `1m`, `15m`, `1h`, `1d` or `1mo`.
    #[param(example = "1h")]
    resolution: Option<String>,
    /// IANA time zone whose hours, days and months are meant, 23 and 25 hours and all. Default: the customer's own zone, else UTC.
    #[param(example = "Europe/Berlin")]
    tz: Option<String>,
    /// `evaluations` (the default) or `requests`.
    meter: Option<String>,
    /// Only these customers. Repeat for several.
    customer: Option<Vec<String>>,
    /// Only these projects. Repeat for several.
    project: Option<Vec<String>>,
    /// Only these environments. Repeat for several.
    environment: Option<Vec<String>>,
    /// Only these flags (for requests: resources). Repeat for several.
    flag: Option<Vec<String>>,
    /// Only these variants; empty means the series without one. Repeat for several.
    variant: Option<Vec<String>>,
    /// Only these SDKs; empty means the series without one. Repeat for several.
    sdk: Option<Vec<String>>,
    /// What to tell apart: any of customer, project, environment, flag, variant, sdk, repeated or with commas.
    #[param(example = json!(["flag"]))]
    group_by: Option<Vec<String>>,
    /// `previous`: beside each bucket the one at the same position of the range before, of as many buckets.
    compare: Option<String>,
}
