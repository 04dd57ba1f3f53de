//! Times as people type them: `2026-11-27T18:00:00Z`, `2026-11-27 18:00`, `2026-11-27`, `7d`, `friday`, `yesterday`.

use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday};

use crate::runtime::clock::{Clock as _, SystemClock};

/// What an error shows, so that the next try succeeds.
const EXAMPLES: &str = "that is no time; give it as in 2026-11-27T18:00:00Z, 2026-11-27T18:00, 2026-11-27, friday, yesterday, 7d or 2h \
                        (UTC unless it says otherwise)";

/// To which side of the present a time lies that is told by a distance or a day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Before,
    After,
}

/// Reads a time at which something was: `7d` is seven days ago, `friday` the last one.
///
/// # Errors
/// A text with examples.
pub fn past(text: &str) -> Result<DateTime<Utc>, String> {
    read(text, SystemClock.now(), Direction::Before)
}

/// Reads a time until which something is to be: `7d` is in seven days, `friday` the next one.
///
/// # Errors
/// A text with examples; or that the time is over.
pub fn future(text: &str) -> Result<DateTime<Utc>, String> {
    let now = SystemClock.now();
    let time = read(text, now, Direction::After)?;
    if time > now { Ok(time) } else { Err("this time is over".to_owned()) }
}

/// Returns a length of time, such as `7d`, `2h` or `90s`.
fn length(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    TimeDelta::try_seconds(i64::from(number).checked_mul(seconds)?)
}

fn read(text: &str, now: DateTime<Utc>, direction: Direction) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    written_out(text).or_else(|| told_by_the_present(text, now, direction)).ok_or_else(|| EXAMPLES.to_owned())
}

/// A date, with or without a time of day.
fn written_out(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let forms = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN));
    Some(time.or_else(day)?.and_utc())
}

/// A distance, a day of the week, or a word for a day.
fn told_by_the_present(text: &str, now: DateTime<Utc>, direction: Direction) -> Option<DateTime<Utc>> {
    if let Some(length) = length(text) {
        return match direction {
            Direction::Before => now.checked_sub_signed(length),
            Direction::After => now.checked_add_signed(length),
        };
    }
    let today = now.date_naive();
    let day = match text.to_ascii_lowercase().as_str() {
        "now" => return Some(now),
        "today" => today,
        "yesterday" => today.checked_sub_days(Days::new(1))?,
        "tomorrow" => today.checked_add_days(Days::new(1))?,
        word => {
            let days = i64::from(Weekday::from_str(word).ok()?.num_days_from_monday())
                - i64::from(today.weekday().num_days_from_monday());
            let days = match direction {
                // Today is the last day of its name, and not the next one.
                Direction::Before if days > 0 => days - 7,
                Direction::After if days <= 0 => days + 7,
                Direction::Before | Direction::After => days,
            };
            today.checked_add_signed(TimeDelta::days(days))?
        }
    };
    Some(day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::{Direction, read};
    use chrono::{DateTime, Utc};

    #[test]
    fn times_are_read_as_people_type_them() {
        let now: DateTime<Utc> = "2026-11-26T15:30:00Z".parse().expect("a Thursday");
        for (text, before, after) in [
            ("2026-11-27T18:00:00+03:30", "2026-11-27T14:30:00Z", "2026-11-27T14:30:00Z"),
            ("2026-11-27T18:00", "2026-11-27T18:00:00Z", "2026-11-27T18:00:00Z"),
            ("2026-11-27 18:00:30", "2026-11-27T18:00:30Z", "2026-11-27T18:00:30Z"),
            (" 2026-11-27 ", "2026-11-27T00:00:00Z", "2026-11-27T00:00:00Z"),
            ("7d", "2026-11-19T15:30:00Z", "2026-12-03T15:30:00Z"),
            ("2h", "2026-11-26T13:30:00Z", "2026-11-26T17:30:00Z"),
            ("1w", "2026-11-19T15:30:00Z", "2026-12-03T15:30:00Z"),
            ("Friday", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z"),
            ("thu", "2026-11-26T00:00:00Z", "2026-12-03T00:00:00Z"),
            ("monday", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("yesterday", "2026-11-25T00:00:00Z", "2026-11-25T00:00:00Z"),
            ("today", "2026-11-26T00:00:00Z", "2026-11-26T00:00:00Z"),
            ("now", "2026-11-26T15:30:00Z", "2026-11-26T15:30:00Z"),
        ] {
            for (direction, expected) in [(Direction::Before, before), (Direction::After, after)] {
                let time = read(text, now, direction).expect(text);
                assert_eq!(time, expected.parse::<DateTime<Utc>>().expect(expected), "{text} {direction:?}");
            }
        }
        for text in ["", "noon", "d", "-7d", "7", "2026-13-01", "2026-11-27T25:00", "99999999999d", "۷d"] {
            let said = read(text, now, Direction::Before).expect_err(text);
            assert!(said.contains("2026-11-27") && said.contains("7d"), "{text}: {said}");
        }
    }
}
