//! Times of the state as whole microseconds since 1970: the state is written at every commit, and a number costs a tenth
//! of a text of the same time.

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a list of times.
///
/// # Errors
/// Those of the serializer.
pub(in crate::user_account) fn serialize<S: Serializer>(
    times: &[DateTime<Utc>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(times.iter().map(DateTime::timestamp_micros))
}

/// Reads a list of times.
///
/// # Errors
/// Those of the deserializer, and one for a number that is no time.
pub(in crate::user_account) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<DateTime<Utc>>, D::Error> {
    let times = Vec::<i64>::deserialize(deserializer)?;
    times
        .into_iter()
        .map(|time| DateTime::from_timestamp_micros(time).ok_or_else(|| D::Error::custom("no time")))
        .collect()
}
