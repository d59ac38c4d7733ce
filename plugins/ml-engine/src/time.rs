//! Timestamps in Google's format.

const NANOSECONDS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Days from 1 March of the year 0 to 1 January 1970.
const DAYS_TO_EPOCH: u64 = 719_468;

/// `2026-11-22T00:00:01.123456789Z` in milliseconds since the Unix epoch.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    nanoseconds(text).map(|nanoseconds| nanoseconds / 1_000_000)
}

/// The same in nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, by: char| {
        text.split(by).map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>()
    };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let ([year, month, day], [hour, minute, second]) =
        (numbers(date, '-')?.try_into().ok()?, numbers(whole, ':')?.try_into().ok()?);
    // Later times have more nanoseconds than fit.
    if !(1970..=2500).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years begin in March, so that a leap day is a year's last day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH;
    let billionths = format!("{fraction:0<9}").get(..9)?.parse::<u64>().ok()?;
    Some((days * DAY_SECONDS + (hour * 60 + minute) * 60 + second) * NANOSECONDS + billionths)
}

/// A time as Cloud Logging's filters take it.
pub(crate) fn text(nanoseconds: u64) -> String {
    let (seconds, billionths) = (nanoseconds / NANOSECONDS, nanoseconds % NANOSECONDS);
    let (days, second) = (seconds / DAY_SECONDS + DAYS_TO_EPOCH, seconds % DAY_SECONDS);
    // Counts in spans of 400 years, which all have the same number of days.
    let (span, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (span * 400 + year + month / 10, (month + 2) % 12 + 1);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{billionths:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_the_epoch() {
        assert_eq!(milliseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(milliseconds("2026-11-22T00:00:01.5Z"), Some(1_795_305_601_500));
        assert_eq!(milliseconds("2024-02-29T23:59:59.123456789Z"), Some(1_709_251_199_123));
        for text in ["", "2026-11-22", "2026-13-01T00:00:00Z", "2026-11-22T99:00:00Z", "soon"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    #[test]
    fn times_survive_a_round_trip() {
        for known in [
            "1970-01-01T00:00:00.000000000Z",
            "2000-02-29T12:00:00.000000001Z",
            "2024-02-29T23:59:59.123456789Z",
            "2024-03-01T00:00:00.000000000Z",
            "2024-12-31T23:59:59.999999999Z",
            "2100-03-01T05:06:07.000000000Z",
        ] {
            assert_eq!(text(nanoseconds(known).unwrap()), known);
        }
        // Each day of a span with all kinds of years.
        for day in 0..50_000 {
            let at = day * DAY_SECONDS * NANOSECONDS;
            assert_eq!(nanoseconds(&text(at)), Some(at), "{}", text(at));
        }
    }
}
