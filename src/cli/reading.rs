//! Readings of the whole log, which tell how far they have come and end with a result.

use serde_json::Value;

use super::client::{StaffClient, StaffRequest};
use super::{Failure, output};

/// Asks for a reading, shows how far it comes, and returns its result. `take` gets what it tells besides.
///
/// # Errors
/// When the reading is refused, or cut off before its result.
pub async fn follow(
    client: &StaffClient,
    request: &StaffRequest,
    mut report: output::ProgressReport,
    mut take: impl FnMut(&Value),
) -> Result<Value, Failure> {
    let mut answer = client.stream(request).await?;
    let mut partial = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        partial.extend_from_slice(&chunk);
        while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = partial.drain(..=end).collect();
            let mut line: Value = serde_json::from_slice(&line)?;
            if let Some(done) = line["progress"]["done"].as_u64() {
                report.count(done, line["progress"]["of"].as_u64().unwrap_or_default(), "");
            } else if line.get("result").is_some() {
                report.finish();
                return Ok(line["result"].take());
            } else {
                take(&line);
            }
        }
    }
    report.finish();
    Err("the reading was cut off before its end".into())
}
