//! DT and DTM/TS with their precision. `202403` is a month, not the first of it at midnight.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};

/// How much of a time was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYYMM`
    Month,
    /// `YYYYMMDD`
    Day,
    /// `YYYYMMDDHH`
    Hour,
    /// `YYYYMMDDHHMM`
    Minute,
    /// `YYYYMMDDHHMMSS`
    Second,
    /// With a fraction of a second.
    Fraction,
}

/// A time as a sender gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// As sent, without blanks around it.
    pub text: String,
    /// How much of it was sent.
    pub precision: Precision,
    /// Wall-clock time; parts not sent are at their lowest.
    pub local: NaiveDateTime,
    /// The zone, if sent.
    pub offset: Option<FixedOffset>,
}

super::redact_debug!(Timestamp);

impl Timestamp {
    /// Reads `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+/-ZZZZ]`. The old second component with a precision
    /// letter is the caller's: pass the first component only.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (clock, offset) = split_offset(text)?;
        let (digits, fraction) = match clock.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (clock, None),
        };
        let precision = match (digits.len(), fraction) {
            (4, None) => Precision::Year,
            (6, None) => Precision::Month,
            (8, None) => Precision::Day,
            (10, None) => Precision::Hour,
            (12, None) => Precision::Minute,
            (14, None) => Precision::Second,
            (14, Some(_)) => Precision::Fraction,
            _ => return None,
        };
        let local = NaiveDateTime::new(date(digits)?, time(digits.get(8..).unwrap_or_default(), fraction)?);
        Some(Self { text: text.to_owned(), precision, local, offset })
    }

    /// The day, if at least that was sent.
    pub fn date(&self) -> Option<NaiveDate> {
        (self.precision >= Precision::Day).then(|| self.local.date())
    }

    /// The instant. Without an hour there is none: a day is not its midnight. Without a zone the
    /// caller's rule decides (MSH-7's zone, then the sender's); `zone_assumed` is `offset.is_none()`.
    pub fn to_utc(&self, zone: impl FnOnce(NaiveDateTime) -> Option<FixedOffset>) -> Option<DateTime<Utc>> {
        if self.precision < Precision::Hour {
            return None;
        }
        let offset = self.offset.or_else(|| zone(self.local))?;
        offset.from_local_datetime(&self.local).single().map(|t| t.to_utc())
    }

    /// For the eye: `2024-03-15 10:30`, only as exact as it was sent.
    pub fn display(&self) -> String {
        let format = match self.precision {
            Precision::Year => "%Y",
            Precision::Month => "%Y-%m",
            Precision::Day => "%Y-%m-%d",
            Precision::Hour | Precision::Minute => "%Y-%m-%d %H:%M",
            Precision::Second | Precision::Fraction => "%Y-%m-%d %H:%M:%S",
        };
        let shown = self.local.format(format).to_string();
        match self.offset {
            Some(offset) if self.precision >= Precision::Hour => format!("{shown} {offset}"),
            _ => shown,
        }
    }
}

fn split_offset(text: &str) -> Option<(&str, Option<FixedOffset>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, FixedOffset::east_opt(0)));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, None)) };
    let (clock, zone) = text.split_at(at);
    let digits = zone.get(1..).filter(|d| d.len() == 4 && all_digits(d))?;
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    if hours > 15 || minutes > 59 {
        return None;
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    Some((clock, Some(FixedOffset::east_opt(sign * (hours * 60 + minutes) * 60)?)))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn number(digits: &str, range: std::ops::Range<usize>, default: u32) -> Option<u32> {
    match digits.get(range) {
        None | Some("") => Some(default),
        Some(part) => part.parse().ok().filter(|_| all_digits(part)),
    }
}

fn date(digits: &str) -> Option<NaiveDate> {
    let year = number(digits, 0..4, 0).filter(|&year| year > 0)?;
    NaiveDate::from_ymd_opt(year as i32, number(digits, 4..6, 1)?, number(digits, 6..8, 1)?)
}

fn time(digits: &str, fraction: Option<&str>) -> Option<NaiveTime> {
    let (hour, minute) = (number(digits, 0..2, 0)?, number(digits, 2..4, 0)?);
    // A leap second is the end of its minute.
    let second = number(digits, 4..6, 0)?;
    let second = if second == 60 { 59 } else { second };
    let nanos = match fraction {
        None => 0,
        Some(f) if !f.is_empty() && f.len() <= 9 && all_digits(f) => format!("{f:0<9}").parse().ok()?,
        Some(_) => return None,
    };
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
}

/// A TM value, `HHMM[SS]` with or without zone, for the eye: `10:30`.
pub fn display_time(text: &str) -> Option<String> {
    let (clock, offset) = split_offset(text.trim())?;
    let digits = clock.split('.').next()?;
    let shown = time(digits, None)?;
    let shown = match digits.len() {
        2 | 4 => shown.format("%H:%M").to_string(),
        6 => shown.format("%H:%M:%S").to_string(),
        _ => return None,
    };
    Some(offset.map_or(shown.clone(), |offset| format!("{shown} {offset}")))
}

/// A DTM with zone, for sending.
pub fn format_dtm(time: &DateTime<FixedOffset>) -> String {
    time.format("%Y%m%d%H%M%S%z").to_string()
}

/// A DT, for sending.
pub fn format_date(date: NaiveDate) -> String {
    date.format("%Y%m%d").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn precisions() {
        let table = [
            ("2024", Precision::Year, "2024"),
            ("202403", Precision::Month, "2024-03"),
            ("20240315", Precision::Day, "2024-03-15"),
            ("2024031510", Precision::Hour, "2024-03-15 10:00"),
            ("202403151030", Precision::Minute, "2024-03-15 10:30"),
            ("20240315103059", Precision::Second, "2024-03-15 10:30:59"),
            (" 20240315103059.1234+0100 ", Precision::Fraction, "2024-03-15 10:30:59 +01:00"),
            ("20240315103060", Precision::Second, "2024-03-15 10:30:59"),
            ("202403151030-0000", Precision::Minute, "2024-03-15 10:30 +00:00"),
            ("20240315103000Z", Precision::Second, "2024-03-15 10:30:00 +00:00"),
        ];
        for (text, precision, shown) in table {
            let time = Timestamp::parse(text).unwrap();
            assert_eq!((time.precision, time.display().as_str()), (precision, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "24",
            "20241301",
            "20240230",
            "2024031525",
            "2024-03-15",
            "20240315+1",
            "0000",
            "20240315103000.",
            "2024031510305",
            "20240315103000+9900",
            "２０２４",
            "+20240",
            "YYYYMMDD",
        ] {
            assert!(Timestamp::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn instants() {
        let cet = FixedOffset::east_opt(3600);
        let utc = |text: &str| Timestamp::parse(text).unwrap().to_utc(|_| cet).map(|t| t.to_rfc3339());
        assert_eq!(utc("202403151030").as_deref(), Some("2024-03-15T09:30:00+00:00"));
        assert_eq!(utc("202403151030-0500").as_deref(), Some("2024-03-15T15:30:00+00:00"));
        assert_eq!(utc("20240315"), None);
    }

    #[test]
    fn times_of_day() {
        assert_eq!(display_time("1030").as_deref(), Some("10:30"));
        assert_eq!(display_time("103015-0500").as_deref(), Some("10:30:15 -05:00"));
        assert_eq!(display_time("2500"), None);
    }

    proptest! {
        #[test]
        fn what_we_format_we_parse(seconds in 0i64..4_000_000_000, quarter in -56i32..56) {
            let offset = FixedOffset::east_opt(quarter * 900).unwrap();
            let time = offset.timestamp_opt(seconds, 0).unwrap();
            let parsed = Timestamp::parse(&format_dtm(&time)).unwrap();
            prop_assert_eq!(parsed.to_utc(|_| None), Some(time.to_utc()));
        }

        #[test]
        fn parsing_never_panics(text in r"[0-9+\-.Zé ]{0,24}") {
            Timestamp::parse(&text);
            display_time(&text);
        }
    }
}
