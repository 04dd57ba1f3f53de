//! What support staff read first about a number or an address: one sentence.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::Purpose;

use super::identifiers::{CodeQuota, Obstacle, PastStop};
use crate::delivery::outbox::MessageDelivery;

/// Returns what happened last and what is in the way.
pub(super) fn sentence(
    messages: &[MessageDelivery],
    obstacles: &[Obstacle],
    stops: &[PastStop],
    codes: &CodeQuota,
    now: DateTime<Utc>,
) -> String {
    let mut parts = vec![last_code(messages, now)];
    parts.extend(obstacles.iter().map(|obstacle| in_the_way(obstacle, now)));
    if let Some(stop) = stops.iter().find(|stop| !obstacles.iter().any(|other| other.kind == stop.kind)) {
        let since = if stop.present { "and it still holds" } else { "which is over" };
        parts.push(format!("last stopped at {} by {}, {since}", time(stop.last_at, now), words(&stop.kind)));
    }
    if obstacles.is_empty() {
        parts.push("nothing is in the way of a code".to_owned());
    }
    parts.push(format!("{} of {} codes today", codes.sent, codes.limit));
    format!("{}.", parts.join("; "))
}

/// What became of the newest code.
fn last_code(messages: &[MessageDelivery], now: DateTime<Utc>) -> String {
    let is_code = |message: &&MessageDelivery| {
        [Purpose::SignIn, Purpose::AddIdentifier, Purpose::Reauthenticate]
            .iter()
            .any(|purpose| message.kind == purpose.as_str())
    };
    let Some(message) = messages.iter().find(is_code) else {
        return "No code was sent in the last 30 days".to_owned();
    };
    let way = if message.channel == "phone" { "SMS" } else { "e-mail" };
    let asked = time(message.asked_at, now);
    let because = message.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match message.state.as_str() {
        "sent" => {
            let sent = time(message.settled_at.unwrap_or(message.asked_at), now);
            format!("Last code sent at {sent} by {way}, taken by the provider")
        }
        "waiting" => format!("Last code asked for at {asked} by {way}, waiting for the provider{because}"),
        "failed" => format!("Last code asked for at {asked} by {way}, refused by the provider{because}"),
        "replaced" => format!("Last code asked for at {asked} by {way}, replaced by a later one"),
        _ => format!("Last code asked for at {asked} by {way}, not taken by the provider in time{because}"),
    }
}

/// An obstacle in words, and when it ends.
fn in_the_way(obstacle: &Obstacle, now: DateTime<Utc>) -> String {
    let until = match obstacle.until {
        Some(until) => format!(" until {}", time(until, now)),
        None => String::new(),
    };
    match obstacle.kind.as_str() {
        "too_soon" => format!("asked again too soon{until}"),
        "quota_spent" => format!("no more codes{until}"),
        "paused" => format!("paused by wrong codes{until}"),
        "locked" => "locked by wrong codes until the owner or an administrator lifts it".to_owned(),
        "account_suspended" => format!("the account is suspended{until}"),
        kind => format!("stopped by {}{until}", words(kind)),
    }
}

/// The name of a limit, a block or a rule in words.
fn words(kind: &str) -> String {
    if kind == "country_not_served" {
        return "the list of countries".to_owned();
    }
    if let Some(blocked) = kind.strip_prefix("block_") {
        return format!("a block of the {}", blocked.replace('_', " "));
    }
    match kind.strip_prefix("rule_") {
        Some(rule) => format!("the access rule {rule}"),
        None => format!("the limit {kind}"),
    }
}

/// A time of today by the clock alone.
fn time(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let form = if at.date_naive() == now.date_naive() { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::super::identifiers::{CodeQuota, Obstacle};
    use super::sentence;
    use crate::delivery::outbox::MessageDelivery;

    fn now() -> DateTime<Utc> {
        "2026-11-27T00:55:30Z".parse().expect("a time")
    }

    fn message(state: &str, reason: Option<&str>) -> MessageDelivery {
        MessageDelivery {
            asked_at: now() - TimeDelta::seconds(30),
            kind: "sign_in".to_owned(),
            channel: "phone".to_owned(),
            state: state.to_owned(),
            gateway: None,
            reference: None,
            reason: reason.map(str::to_owned),
            attempts: 1,
            settled_at: (state != "waiting").then_some(now() - TimeDelta::seconds(29)),
            took: None,
        }
    }

    #[test]
    fn the_sentence_tells_the_last_code_what_is_in_the_way_and_the_quota() {
        let codes = CodeQuota { sent: 1, limit: 10 };
        let until = Some(now() + TimeDelta::seconds(30));
        let obstacle =
            |kind: &str, until| Obstacle { kind: kind.to_owned(), subject: None, block: None, until };
        let told = |messages: &[MessageDelivery], obstacles: &[Obstacle]| {
            sentence(messages, obstacles, &[], &codes, now())
        };
        assert_eq!(
            told(&[message("sent", None)], &[obstacle("too_soon", until)]),
            "Last code sent at 00:55 UTC by SMS, taken by the provider; asked again too soon until 00:56 UTC; 1 of 10 codes today."
        );
        assert_eq!(
            told(&[message("failed", Some("no such subscriber"))], &[]),
            "Last code asked for at 00:55 UTC by SMS, refused by the provider: no such subscriber; nothing is in the way of a code; \
             1 of 10 codes today."
        );
        let tomorrow = Some(now() + TimeDelta::days(1));
        assert_eq!(
            told(&[], &[obstacle("block_prefix", tomorrow), obstacle("locked", None)]),
            "No code was sent in the last 30 days; stopped by a block of the prefix until 2026-11-28 00:55 UTC; locked by wrong \
             codes until the owner or an administrator lifts it; 1 of 10 codes today."
        );
    }
}
