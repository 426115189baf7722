//! Dates and times as pydantic reads them, and its words for what is wrong with them.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::problem::Fault;

type Parsed<T> = Result<T, &'static str>;

const TOO_SHORT: &str = "input is too short";
const EXTRA: &str = "unexpected extra characters at the end of the input";
const YEAR_0: &str = "year 0 is out of range";

/// A point in time; without an offset it is the wall clock of `zone`.
pub(super) fn datetime(value: &Value, zone: Tz) -> Result<DateTime<Utc>, Fault> {
    let stamp = match value {
        Value::String(text) => stamp_of_text(text).or_else(|_| day_of_text(text).map(Stamp::midnight)),
        Value::Number(number) => {
            return stamp_of_number(number.as_f64().unwrap_or(f64::INFINITY))
                .map(|stamp| stamp.utc(zone))
                .map_err(datetime_parsing);
        }
        _ => return Err(Fault::plain("datetime_type", "Input should be a valid datetime")),
    };
    match stamp {
        Ok(stamp) => Ok(stamp.utc(zone)),
        Err(YEAR_0) => Err(datetime_parsing(YEAR_0)),
        Err(error) => Err(Fault::with(
            "datetime_from_date_parsing",
            format!("Input should be a valid datetime or date, {error}"),
            json!({ "error": error }),
        )),
    }
}

fn datetime_parsing(error: &'static str) -> Fault {
    Fault::with(
        "datetime_parsing",
        format!("Input should be a valid datetime, {error}"),
        json!({ "error": error }),
    )
}

/// A calendar day; a time beside it must be midnight.
pub(super) fn date(value: &Value) -> Result<NaiveDate, Fault> {
    let stamp = match value {
        Value::String(text) => day_of_text(text).map(Stamp::midnight).or_else(|_| stamp_of_text(text)),
        Value::Number(number) => stamp_of_number(number.as_f64().unwrap_or(f64::INFINITY)),
        _ => return Err(Fault::plain("date_type", "Input should be a valid date")),
    };
    match stamp {
        Ok(stamp) if stamp.local.time() == NaiveTime::MIN => Ok(stamp.local.date()),
        Ok(_) => Err(Fault::plain(
            "date_from_datetime_inexact",
            "Datetimes provided to dates should have zero time - e.g. be exact dates",
        )),
        Err(YEAR_0) => Err(Fault::with(
            "date_parsing",
            format!("Input should be a valid date in the format YYYY-MM-DD, {YEAR_0}"),
            json!({ "error": YEAR_0 }),
        )),
        Err(error) => Err(Fault::with(
            "date_from_datetime_parsing",
            format!("Input should be a valid date or datetime, {error}"),
            json!({ "error": error }),
        )),
    }
}

/// A wall clock and, where it was given, its distance from UTC.
struct Stamp {
    local: NaiveDateTime,
    offset_s: Option<i64>,
}

impl Stamp {
    fn midnight(day: NaiveDate) -> Self {
        Self { local: day.and_time(NaiveTime::MIN), offset_s: None }
    }

    fn utc(self, zone: Tz) -> DateTime<Utc> {
        let Some(offset_s) = self.offset_s else { return in_zone(self.local, zone) };
        (self.local - chrono::TimeDelta::seconds(offset_s)).and_utc()
    }
}

/// The hour that clocks skip in spring does not exist: we read it as if they had not moved yet.
/// Of the hour they repeat in autumn we take the first.
fn in_zone(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    if let Some(moment) = zone.from_local_datetime(&local).earliest() {
        return moment.with_timezone(&Utc);
    }
    let day_before =
        local.checked_sub_days(Days::new(1)).and_then(|l| zone.from_local_datetime(&l).earliest());
    day_before.map_or_else(|| local.and_utc(), |moment| moment.with_timezone(&Utc) + Days::new(1))
}

fn stamp_of_text(text: &str) -> Parsed<Stamp> {
    stamp_of_calendar(text.as_bytes()).or_else(|error| match unix_seconds(text) {
        Some(seconds) => stamp_of_number(seconds),
        None => Err(error),
    })
}

fn day_of_text(text: &str) -> Parsed<NaiveDate> {
    let bytes = text.as_bytes();
    let day = day_of_bytes(bytes);
    let exact = if bytes.len() > 10 { day.and(Err(EXTRA)) } else { day };
    exact.map_err(|error| match unix_seconds(text) {
        // A whole number that is too large is reported as such, not as a malformed date.
        Some(seconds) if seconds.fract() == 0.0 => stamp_of_number(seconds).err().unwrap_or(error),
        _ => error,
    })
}

/// `1771675200` or `1771675200.25`.
///
/// A string of digits that reads as a calendar stamp (`20260221`, `20260221120000`) is none: taking it for
/// seconds would file a result in 1970 without a word.
fn unix_seconds(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !numeric(whole) || !numeric(fraction) || whole.len() > 19
    {
        return None;
    }
    let calendar = matches!(text.len(), 8 | 12 | 14) && (text.starts_with("19") || text.starts_with("20"));
    if calendar || whole.parse::<i64>().is_err() && !whole.is_empty() { None } else { text.parse().ok() }
}

/// Beyond this many seconds the number counts milliseconds; the same limit as pydantic's.
const MS_WATERSHED: f64 = 2e10;

fn stamp_of_number(number: f64) -> Parsed<Stamp> {
    let per_second = if number.abs() > MS_WATERSHED { 1e3 } else { 1.0 };
    let seconds = number / per_second;
    if seconds >= 253_402_300_800.0 {
        return Err("dates after 9999 are not supported as unix timestamps");
    }
    if seconds < -62_167_219_200.0 {
        return Err("dates before 0000 are not supported as unix timestamps");
    }
    let micros = (number * (1e6 / per_second)).round() as i64;
    let moment =
        DateTime::from_timestamp_micros(micros).filter(|moment| *moment >= first_moment()).ok_or(YEAR_0)?;
    Ok(Stamp { local: moment.naive_utc(), offset_s: Some(0) })
}

fn first_moment() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
}

fn day_of_bytes(bytes: &[u8]) -> Parsed<NaiveDate> {
    if bytes.len() < 10 {
        return Err(TOO_SHORT);
    }
    let year = number(&bytes[0..4], "invalid character in year")?;
    separator(bytes[4])?;
    let month = number(&bytes[5..7], "invalid character in month")?;
    separator(bytes[7])?;
    let day = number(&bytes[8..10], "invalid character in day")?;
    if !(1..=12).contains(&month) {
        return Err("month value is outside expected range of 1-12");
    }
    let date =
        NaiveDate::from_ymd_opt(year as i32, month, day).ok_or("day value is outside expected range")?;
    if year == 0 { Err(YEAR_0) } else { Ok(date) }
}

fn separator(byte: u8) -> Parsed<()> {
    if byte == b'-' { Ok(()) } else { Err("invalid date separator, expected `-`") }
}

fn number(digits: &[u8], error: &'static str) -> Parsed<u32> {
    digits.iter().try_fold(0, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + u32::from(byte - b'0')),
        _ => Err(error),
    })
}

fn stamp_of_calendar(bytes: &[u8]) -> Parsed<Stamp> {
    let day = day_of_bytes(bytes)?;
    match bytes.get(10) {
        Some(b'T' | b't' | b'_' | b' ') => {}
        Some(_) => return Err("invalid datetime separator, expected `T`, `t`, `_` or space"),
        None => return Err(TOO_SHORT),
    }
    let (time, rest) = time_of_bytes(&bytes[11..])?;
    Ok(Stamp { local: day.and_time(time), offset_s: offset_of_bytes(rest)? })
}

/// `12:00`, `12:00:00`, `12:00:00.123456`; hands back what follows.
fn time_of_bytes(bytes: &[u8]) -> Parsed<(NaiveTime, &[u8])> {
    let (Some(hour), Some(colon), Some(minute)) = (bytes.get(0..2), bytes.get(2), bytes.get(3..5)) else {
        return Err(TOO_SHORT);
    };
    let hour = number(hour, "invalid character in hour")?;
    if *colon != b':' {
        return Err("invalid time separator, expected `:`");
    }
    let minute = number(minute, "invalid character in minute")?;
    let (second, micros, rest) = seconds_of_bytes(&bytes[5..])?;
    if hour > 23 {
        return Err("hour value is outside expected range of 0-23");
    }
    if minute > 59 {
        return Err("minute value is outside expected range of 0-59");
    }
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros);
    time.map(|time| (time, rest)).ok_or("second value is outside expected range of 0-59")
}

fn seconds_of_bytes(bytes: &[u8]) -> Parsed<(u32, u32, &[u8])> {
    let [b':', after @ ..] = bytes else { return Ok((0, 0, bytes)) };
    let second =
        number(after.get(0..2).ok_or("invalid character in second")?, "invalid character in second")?;
    if second > 59 {
        return Err("second value is outside expected range of 0-59");
    }
    let rest = &after[2..];
    let [b'.' | b',', fraction @ ..] = rest else { return Ok((second, 0, rest)) };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Err("second fraction digits missing after `.`");
    }
    let kept = number(&fraction[..digits.min(6)], TOO_SHORT)?;
    let micros = kept * 10_u32.pow(6 - digits.min(6) as u32);
    Ok((second, micros, &fraction[digits..]))
}

/// `Z`, `+02:00`, `+0200`, or nothing.
fn offset_of_bytes(bytes: &[u8]) -> Parsed<Option<i64>> {
    let (sign, digits) = match bytes {
        [] => return Ok(None),
        [b'Z' | b'z'] => return Ok(Some(0)),
        [b'Z' | b'z', ..] => return Err(EXTRA),
        [b'+', digits @ ..] => (1, digits),
        // The typographic minus, U+2212.
        [b'-', digits @ ..] | [0xE2, 0x88, 0x92, digits @ ..] => (-1, digits),
        _ => return Err("invalid timezone sign"),
    };
    let hour = number(digits.get(0..2).ok_or("invalid timezone hour")?, "invalid timezone hour")?;
    let minutes = digits[2..].strip_prefix(b":").unwrap_or(&digits[2..]);
    let minute = number(minutes.get(0..2).ok_or("invalid timezone minute")?, "invalid timezone minute")?;
    if minute > 59 {
        return Err("timezone minute value is outside expected range of 0-59");
    }
    if hour > 23 {
        return Err("timezone offset must be less than 24 hours");
    }
    if minutes.len() > 2 { Err(EXTRA) } else { Ok(Some(sign * i64::from(hour * 3600 + minute * 60))) }
}

/// In a query string an unescaped `+` arrives as a space. `…T12:00:00 02:00` can only have meant the offset,
/// so it gets its sign back; FastAPI refuses it.
pub(super) fn mend_plus(text: &str) -> Option<String> {
    let (head, tail) = text.rsplit_once(' ')?;
    let offset = tail.len() >= 4 && tail.bytes().all(|b| b.is_ascii_digit() || b == b':');
    (offset && head.len() > 10).then(|| format!("{head}+{tail}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    #[test]
    fn every_accepted_spelling() {
        for (given, wanted) in [
            (json!("2026-02-21T12:00:00Z"), "2026-02-21T12:00:00Z"),
            (json!("2026-02-21t12:00:00z"), "2026-02-21T12:00:00Z"),
            (json!("2026-02-21 12:00"), "2026-02-21T12:00:00Z"),
            (json!("2026-02-21_12:00:00,5"), "2026-02-21T12:00:00.5Z"),
            (json!("2026-02-21T12:00:00.123456789Z"), "2026-02-21T12:00:00.123456Z"),
            (json!("2026-02-21T12:00+0200"), "2026-02-21T10:00:00Z"),
            (json!("2026-02-21T12:00:00\u{2212}05:30"), "2026-02-21T17:30:00Z"),
            (json!("2026-02-21"), "2026-02-21T00:00:00Z"),
            (json!(1_771_675_200), "2026-02-21T12:00:00Z"),
            (json!(1_771_675_200.5), "2026-02-21T12:00:00.5Z"),
            (json!("1771675200.25"), "2026-02-21T12:00:00.25Z"),
            (json!(1_771_675_200_000_i64), "2026-02-21T12:00:00Z"),
            (json!("-1"), "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(datetime(&given, Tz::UTC), Ok(utc(wanted)), "{given}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        let too_late = "dates after 9999 are not supported as unix timestamps";
        for (given, error) in [
            ("bad", TOO_SHORT),
            ("2026-02-21T12:00:00 02:00", EXTRA),
            ("2026-02-21T24:00:00", EXTRA),
            ("2026/02/21", "invalid date separator, expected `-`"),
            ("2026-13-01", "month value is outside expected range of 1-12"),
            ("2026-02-29", "day value is outside expected range"),
            ("9223372036854775807", too_late),
            ("20260221120000", "invalid date separator, expected `-`"),
            ("20260221", TOO_SHORT),
        ] {
            let fault = datetime(&json!(given), Tz::UTC).unwrap_err();
            assert_eq!(
                (fault.kind, fault.ctx),
                ("datetime_from_date_parsing", Some(json!({ "error": error }))),
                "{given}"
            );
        }
        assert_eq!(datetime(&json!(1e20), Tz::UTC).unwrap_err().kind, "datetime_parsing");
        assert_eq!(datetime(&json!("0000-01-01"), Tz::UTC).unwrap_err().kind, "datetime_parsing");
        assert_eq!(datetime(&json!(true), Tz::UTC).unwrap_err().kind, "datetime_type");
    }

    #[test]
    fn a_day_allows_midnight_only() {
        let day = NaiveDate::from_ymd_opt(2026, 2, 21).unwrap();
        for given in [
            json!("2026-02-21"),
            json!("2026-02-21T00:00:00+02:00"),
            json!(1_771_632_000),
            json!("1771632000"),
        ] {
            assert_eq!(date(&given), Ok(day), "{given}");
        }
        for (given, kind) in [
            (json!("2026-02-21T12:00:00Z"), "date_from_datetime_inexact"),
            (json!("2026-13-01"), "date_from_datetime_parsing"),
            (json!("0000-01-01"), "date_parsing"),
            (json!(null), "date_type"),
        ] {
            assert_eq!(date(&given).unwrap_err().kind, kind, "{given}");
        }
    }

    #[test]
    fn a_naive_time_is_the_facilitys() {
        let berlin = Tz::Europe__Berlin;
        for (given, wanted) in [
            ("2026-02-21T12:00:00", "2026-02-21T11:00:00Z"),
            ("2026-07-21T12:00:00", "2026-07-21T10:00:00Z"),
            ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("2026-02-21T12:00:00Z", "2026-02-21T12:00:00Z"),
        ] {
            assert_eq!(datetime(&json!(given), berlin), Ok(utc(wanted)), "{given}");
        }
    }

    proptest! {
        #[test]
        fn rfc_3339_text_comes_back(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let moment = DateTime::from_timestamp_micros(micros).unwrap();
            let text = moment.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            prop_assert_eq!(datetime(&json!(text), Tz::UTC), Ok(moment));
        }

        #[test]
        fn no_text_panics(text in "[0-9T:.,+Z \u{2212}é-]{0,32}") {
            let value = json!(text);
            let _ = (datetime(&value, Tz::UTC), date(&value), mend_plus(&text));
        }
    }
}
