//! Instants as people write them in an address.

use chrono::NaiveDate;
use chrono_tz::Tz;
use flagmeter_model::Timestamp;

use crate::civil;

/// An instant as it was asked for: one that stays where it is, or one that moves along with now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Moment {
    /// This one.
    At(Timestamp),
    /// So many seconds before now.
    Ago(i64),
}

impl Moment {
    /// The instant that is meant, where it is `now`.
    pub(crate) fn as_of(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(seconds) => now.plus_seconds(-seconds),
        }
    }
}

/// Reads `now`, a time before now (`-24h`), an RFC 3339 time, or a date, which means its first instant in
/// `zone`.
pub(crate) fn parse(text: &str, zone: Tz) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment::Ago(0));
    }
    if let Some(span) = text.strip_prefix('-') {
        return parse_span(span).map(Moment::Ago);
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(Moment::At(civil::day_start(zone, date)));
    }
    rfc3339(text).map(Moment::At).ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        format!(
            "{text:?} is not a time. Use RFC 3339 (2026-11-20T12:44:54Z), a date (2026-11-20), a time before \
             now (-24h, -30d, -15m) or now."
        )
    })
}

/// Reads an RFC 3339 time alone.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    // A `+` that was not percent-encoded arrives as a space.
    let repaired = match text.rsplit_once(' ') {
        Some((time, offset)) if time.len() > 10 => format!("{time}+{offset}"),
        _ => text.to_owned(),
    };
    Timestamp::parse_rfc3339(&repaired).ok()
}

/// Reads a length of time such as `30d`, in seconds: a whole number of s, m, h, d or w.
pub(crate) fn parse_span(text: &str) -> Result<i64, String> {
    let wrong = || {
        let text: String = text.chars().take(64).collect();
        format!("{text:?} is not a length of time. Use a number of s, m, h, d or w, such as 24h or 30d.")
    };
    let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    // `parse` would take a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit_seconds)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let now = Timestamp::parse_rfc3339("2026-11-20T12:44:54Z").unwrap();
        parse(text, chrono_tz::Europe::Berlin).map(|moment| moment.as_of(now).to_string())
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, means) in [
            ("now", "2026-11-20T12:44:54Z"),
            ("-24h", "2026-11-19T12:44:54Z"),
            ("-30d", "2026-10-21T12:44:54Z"),
            ("-15m", "2026-11-20T12:29:54Z"),
            ("-2w", "2026-11-06T12:44:54Z"),
            ("-90s", "2026-11-20T12:43:24Z"),
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T12:00:00+01:00", "2026-11-20T11:00:00Z"),
            ("2026-11-20T12:00:00 01:00", "2026-11-20T11:00:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(means), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused_with_what_would_be() {
        for text in
            ["", "-", "-h", "--1h", "-+1h", "-1y", "-1.5h", "yesterday", "2026-13-01", "1700000000", "-1ü"]
        {
            let reason = read(text).unwrap_err();
            assert!(reason.contains("Use"), "{text}: {reason}");
        }
        assert!(read("-9999999999999999999d").is_err());
        assert_eq!(read("-999999999999d").as_deref(), Ok("1970-01-01T00:00:00Z"));
    }
}
