//! Ages and sizes as people write them.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Parses an age such as `30d`, `12h`, `45m` or `2w`.
pub(in crate::commands) fn age(text: &str) -> Result<Duration, String> {
    let units = [("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", 7 * DAY)];
    number(text, &units)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is not an age such as 30d, 12h or 2w"))
}

/// Parses a size such as `1GB`, `500MB` or `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let units = [
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("b", 1),
    ];
    number(text, &units).ok_or_else(|| format!("`{text}` is not a size such as 1GB or 500MB"))
}

fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit = unit.trim().to_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// An age such as `3d`, in the largest unit that fits.
pub(super) fn told(seconds: u64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        DAY.. => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * DAY)));
        assert_eq!((size("1GB"), size("2MiB"), size("0b")), (Ok(1_000_000_000), Ok(2 << 20), Ok(0)));
        for text in ["30", "d", "-1d", "1.5d", "1y", "99999999999999999999d", "9999999999999999999w"] {
            assert!(age(text).is_err(), "{text}");
        }
        assert!(size("1").is_err() && size("GB").is_err());
        assert_eq!((told(59), told(3 * HOUR), told(40 * DAY)), ("59s".into(), "3h".into(), "40d".into()));
    }
}
