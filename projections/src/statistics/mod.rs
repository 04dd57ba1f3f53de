//! How much happened in each hour and each day, in UTC, by the events' own times. No decision reads it, so it follows the
//! ledger. Unlike the rows of other read models these are sums over all accounts: each event is added once, which the
//! follower sees to by writing its position with them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, CodeRefused, CodeRejected, ProfileFact, SecondFactorFact, SessionFact, StaffFact,
    UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Channel, SessionId};
use deadpool_postgres::GenericClient;
use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::AccountStream;

/// The name of the read model, and of its table.
pub const NAME: &str = "statistics";

/// The form of its rows; raised with a change that takes a rebuild.
pub const FORMAT: i32 = 1;

/// Its tables: the sums, and when each device was last counted.
pub const TABLES: [&str; 2] = [NAME, "statistics_devices"];

/// The events that are counted, or that show a device in use.
pub const HANDLED: [&str; 13] = [
    "LoggedIn",
    "UserRegistered",
    "OtpRequested",
    "OtpResent",
    "OtpRequestRefused",
    "OtpRejected",
    "TokenReuseDetected",
    "SecondFactorRejected",
    "AccessDenied",
    "SignInRefused",
    "SignInRepeated",
    "TokenRefreshed",
    "TokenRefreshRetried",
];

/// How much time is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatisticsSpan {
    /// An hour, in UTC.
    Hour,
    /// A day, in UTC.
    Day,
}

impl StatisticsSpan {
    /// The name as it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long it is.
    pub fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }

    /// When the one that a time lies in began.
    pub fn start(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = time.timestamp() - time.timestamp().rem_euclid(self.length().num_seconds());
        DateTime::from_timestamp_secs(seconds).unwrap_or(time)
    }
}

/// What happened in an hour or a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ActivityCounts {
    /// Device sessions that began.
    pub sign_ins: i64,
    /// Accounts whose first identifier was proved.
    pub new_accounts: i64,
    /// Device sessions that were in use: that began or were refreshed, each counted once.
    pub active_devices: i64,
    /// Codes that were to be sent, for the first time or again, by where to.
    pub codes: CodesSent,
    /// What was refused and is on record. What can be repeated at will is on record once in a while, not each time.
    pub refusals: RefusalCounts,
}

/// Codes that were to be sent. Those of identifiers that are listed for tests, and those that were withheld, are not, as
/// nothing is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CodesSent)]
pub struct CodesSent {
    /// Codes to phone numbers.
    pub phone: i64,
    /// Codes to e-mail addresses.
    pub email: i64,
}

/// How much was refused, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusalCounts {
    /// A code was not sent: the last one was a moment ago.
    pub code_too_soon: i64,
    /// A code was not sent: as many were as one identifier may get.
    pub code_quota_spent: i64,
    /// A code was not sent: too many wrong ones were tried within the hour.
    pub code_paused: i64,
    /// A code was not sent: too many wrong ones were tried in a row.
    pub code_locked: i64,
    /// A code was wrong.
    pub wrong_code: i64,
    /// A code had expired.
    pub expired_code: i64,
    /// A code was not looked at: too many wrong ones were tried within the hour.
    pub tries_paused: i64,
    /// A code was not looked at: too many wrong ones were tried in a row.
    pub tries_locked: i64,
    /// A right code began no session: the account has as many devices as it may.
    pub device_limit: i64,
    /// A right code began no session: the account is suspended.
    pub suspended: i64,
    /// A refresh token had been spent, and its session ended.
    pub token_reuse: i64,
    /// A code of a second factor was wrong, used up, or not looked at.
    pub second_factor: i64,
    /// An action was asked for without the role or the second factor that it takes.
    pub access_denied: i64,
    /// An access rule of the program that embeds the service refused a code, a sign-in or a refresh.
    pub by_rule: i64,
}

/// Declares which column holds which count.
macro_rules! columns {
    ($($column:literal: $first:ident $(. $rest:ident)?),+ $(,)?) => {
        const COLUMNS: &[&str] = &[$($column),+];

        impl ActivityCounts {
            fn values(&self) -> [i64; COLUMNS.len()] {
                [$(self.$first$(.$rest)?),+]
            }

            fn from_row(row: &Row) -> Self {
                let mut counts = Self::default();
                $(counts.$first$(.$rest)? = row.get($column);)+
                counts
            }
        }
    };
}

columns! {
    "sign_ins": sign_ins,
    "new_accounts": new_accounts,
    "active_devices": active_devices,
    "codes_phone": codes.phone,
    "codes_email": codes.email,
    "refused_code_too_soon": refusals.code_too_soon,
    "refused_code_quota_spent": refusals.code_quota_spent,
    "refused_code_paused": refusals.code_paused,
    "refused_code_locked": refusals.code_locked,
    "refused_wrong_code": refusals.wrong_code,
    "refused_expired_code": refusals.expired_code,
    "refused_tries_paused": refusals.tries_paused,
    "refused_tries_locked": refusals.tries_locked,
    "refused_device_limit": refusals.device_limit,
    "refused_suspended": refusals.suspended,
    "refused_token_reuse": refusals.token_reuse,
    "refused_second_factor": refusals.second_factor,
    "refused_access_denied": refusals.access_denied,
    "refused_by_rule": refusals.by_rule,
}

impl ActivityCounts {
    /// The count that an event belongs to.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test compares this with the events that are declared"
    )]
    fn of_event(&mut self, event: &UserAccountEvent) -> Option<&mut i64> {
        let Self { sign_ins, new_accounts, active_devices: _, codes, refusals } = self;
        Some(match &event.fact {
            AccountFact::Session(SessionFact::LoggedIn { .. }) => sign_ins,
            AccountFact::Profile(ProfileFact::UserRegistered { .. }) => new_accounts,
            AccountFact::Code(
                CodeFact::OtpRequested { test: true, .. }
                | CodeFact::OtpRequested { withheld: true, .. }
                | CodeFact::OtpResent { test: true, .. }
                | CodeFact::OtpResent { withheld: true, .. },
            ) => return None,
            AccountFact::Code(
                CodeFact::OtpRequested { channel, .. } | CodeFact::OtpResent { channel, .. },
            ) => match channel {
                Channel::Phone => &mut codes.phone,
                Channel::Email => &mut codes.email,
            },
            AccountFact::Code(CodeFact::OtpRequestRefused { reason, .. }) => match reason {
                CodeRefused::TooSoon => &mut refusals.code_too_soon,
                CodeRefused::QuotaSpent => &mut refusals.code_quota_spent,
                CodeRefused::Paused => &mut refusals.code_paused,
                CodeRefused::Locked => &mut refusals.code_locked,
            },
            AccountFact::Code(CodeFact::OtpRejected { reason, .. }) => match reason {
                CodeRejected::Wrong => &mut refusals.wrong_code,
                CodeRejected::Expired => &mut refusals.expired_code,
                CodeRejected::Paused => &mut refusals.tries_paused,
                CodeRejected::Locked => &mut refusals.tries_locked,
                CodeRejected::DeviceLimit => &mut refusals.device_limit,
                CodeRejected::Suspended => &mut refusals.suspended,
            },
            AccountFact::Session(SessionFact::TokenReuseDetected { .. }) => &mut refusals.token_reuse,
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected { .. }) => {
                &mut refusals.second_factor
            }
            AccountFact::Staff(StaffFact::AccessDenied { .. }) => &mut refusals.access_denied,
            AccountFact::Session(SessionFact::SignInRefused { .. }) => &mut refusals.by_rule,
            _ => return None,
        })
    }
}

/// The session that an event shows in use.
fn used(fact: &AccountFact) -> Option<SessionId> {
    let AccountFact::Session(
        SessionFact::LoggedIn { session, .. }
        | SessionFact::SignInRepeated { session, .. }
        | SessionFact::TokenRefreshed { session, .. }
        | SessionFact::TokenRefreshRetried { session, .. },
    ) = fact
    else {
        return None;
    };
    Some(*session)
}

/// A device session, by its account.
type Device = (AccountId, SessionId);

/// What some events come to.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<(StatisticsSpan, DateTime<Utc>), ActivityCounts>,
    /// In which hours each device was in use.
    used: BTreeMap<Device, BTreeSet<DateTime<Utc>>>,
}

impl Tally {
    fn from_streams(streams: &[AccountStream<'_>]) -> Self {
        let mut tally = Self::default();
        for stream in streams {
            let events = stream.events.iter().map(|recorded| &recorded.event);
            for event in events.filter(|event| HANDLED.contains(&event.name())) {
                for span in [StatisticsSpan::Hour, StatisticsSpan::Day] {
                    if let Some(count) = tally.counts_at(span, event.at).of_event(event) {
                        *count += 1;
                    }
                }
                if let Some(session) = used(&event.fact) {
                    let hours = tally.used.entry((stream.account, session)).or_default();
                    hours.insert(StatisticsSpan::Hour.start(event.at));
                }
            }
        }
        tally
    }

    fn counts_at(&mut self, span: StatisticsSpan, time: DateTime<Utc>) -> &mut ActivityCounts {
        self.counts.entry((span, span.start(time))).or_default()
    }

    /// Counts the devices, given when each was last counted; what comes back is when that is now. The times of a stream never
    /// go back, so whatever is later has not been counted.
    fn count_devices(
        &mut self,
        counted: &BTreeMap<Device, DateTime<Utc>>,
    ) -> BTreeMap<Device, DateTime<Utc>> {
        let mut counted_now = BTreeMap::new();
        for (device, hours) in std::mem::take(&mut self.used) {
            let mut last = counted.get(&device).copied();
            for hour in hours {
                for span in [StatisticsSpan::Hour, StatisticsSpan::Day] {
                    if last.is_none_or(|last| span.start(last) < span.start(hour)) {
                        self.counts_at(span, hour).active_devices += 1;
                    }
                }
                last = last.max(Some(hour));
            }
            if let Some(last) = last.filter(|last| counted.get(&device) != Some(last)) {
                counted_now.insert(device, last);
            }
        }
        counted_now
    }
}

/// Adds events to tables of these names, in the form of [`TABLES`]. Others than those of [`HANDLED`] may be among them. Called twice with an event, it counts twice; the events
/// of an account have to come in their order.
///
/// # Errors
/// When the database does not answer.
pub async fn add(
    client: &impl GenericClient,
    [sums, devices]: [&str; 2],
    streams: &[AccountStream<'_>],
) -> Result<(), Error> {
    let mut tally = Tally::from_streams(streams);
    let (accounts, sessions) = columns_of(tally.used.keys());
    let counted = client.prepare_cached(&include_str!("counted.sql").replace("{devices}", devices)).await?;
    let counted = client.query(&counted, &[&accounts, &sessions]).await?;
    let device = |row: &Row| (AccountId(row.get("account_id")), SessionId(row.get("session_id")));
    let counted = counted.iter().map(|row| (device(row), row.get("hour"))).collect();

    let counted = tally.count_devices(&counted);
    let (accounts, sessions) = columns_of(counted.keys());
    let hours: Vec<DateTime<Utc>> = counted.into_values().collect();
    let count = client.prepare_cached(&include_str!("count.sql").replace("{devices}", devices)).await?;
    client.execute(&count, &[&accounts, &sessions, &hours]).await?;

    let spans: Vec<&str> = tally.counts.keys().map(|(span, _)| span.as_str()).collect();
    let since: Vec<DateTime<Utc>> = tally.counts.keys().map(|(_, since)| *since).collect();
    let values: Vec<[i64; COLUMNS.len()]> = tally.counts.values().map(ActivityCounts::values).collect();
    let columns: Vec<Vec<i64>> =
        (0..COLUMNS.len()).map(|n| values.iter().map(|values| values[n]).collect()).collect();
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&spans, &since];
    parameters.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
    let statement = client.prepare_cached(&addition(sums)).await?;
    client.execute(&statement, &parameters).await?;
    Ok(())
}

fn columns_of<'a>(devices: impl Iterator<Item = &'a Device>) -> (Vec<Uuid>, Vec<Uuid>) {
    devices.map(|(account, session)| (account.0, session.0)).unzip()
}

/// The statement that adds rows, an array a column, to a table.
fn addition(table: &str) -> String {
    let names = COLUMNS.join(", ");
    let arrays: Vec<String> = (3..).take(COLUMNS.len()).map(|n| format!("${n}::bigint[]")).collect();
    let sums: Vec<String> =
        COLUMNS.iter().map(|name| format!("{name} = t.{name} + excluded.{name}")).collect();
    format!(
        "INSERT INTO {table} AS t (span, since, {names})
         SELECT * FROM unnest($1::text[], $2::timestamptz[], {}) ON CONFLICT (span, since) DO UPDATE SET {}",
        arrays.join(", "),
        sums.join(", "),
    )
}

/// The hours or days that begin since the first time and before the second in which something happened, by when they began.
/// The read model may be a moment behind the log.
///
/// # Errors
/// When the database does not answer.
pub async fn between(
    client: &impl GenericClient,
    span: StatisticsSpan,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<BTreeMap<DateTime<Utc>, ActivityCounts>, Error> {
    let statement = client.prepare_cached(include_str!("between.sql")).await?;
    let rows = client.query(&statement, &[&span.as_str(), &since, &until]).await?;
    Ok(rows.iter().map(|row| (row.get("since"), ActivityCounts::from_row(row))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn the_events_that_are_counted_are_declared() {
        #[derive(serde::Deserialize)]
        struct Golden {
            event: UserAccountEvent,
        }
        let stored = include_str!("../../../domain/tests/golden/events.json");
        let golden: Vec<Golden> = serde_json::from_str(stored).expect("an example of each event");
        let counted = golden.iter().filter(|Golden { event }| {
            ActivityCounts::default().of_event(event).is_some() || used(&event.fact).is_some()
        });
        let counted: BTreeSet<&str> = counted.map(|Golden { event }| event.name()).collect();
        assert_eq!(BTreeSet::from(HANDLED), counted);
    }

    #[test]
    fn spans_begin_with_their_hour_or_day_before_1970_as_after() {
        for (time, hour, day) in [
            ("2026-03-29T01:59:59.999999Z", "2026-03-29T01:00:00Z", "2026-03-29T00:00:00Z"),
            ("2026-03-29T02:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"),
        ] {
            assert_eq!(StatisticsSpan::Hour.start(at(time)), at(hour));
            assert_eq!(StatisticsSpan::Day.start(at(time)), at(day));
        }
    }

    #[test]
    fn a_device_is_counted_once_an_hour_and_once_a_day_whatever_came_with_the_same_page() {
        let device = (AccountId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
        let active = |tally: &Tally, span: StatisticsSpan, since: &str| {
            tally.counts.get(&(span, at(since))).map_or(0, |counts| counts.active_devices)
        };
        let of = |hours: &[&str]| Tally {
            used: BTreeMap::from([(device, hours.iter().map(|hour| at(hour)).collect())]),
            ..Tally::default()
        };
        let (ten, eleven, next) = ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-02T00:00:00Z");
        let (day, next_day) = ("2026-01-01T00:00:00Z", next);

        let mut all = of(&[ten, eleven, next]);
        assert_eq!(all.count_devices(&BTreeMap::new()), BTreeMap::from([(device, at(next))]));
        for (span, since) in [
            (StatisticsSpan::Hour, ten),
            (StatisticsSpan::Hour, eleven),
            (StatisticsSpan::Hour, next),
            (StatisticsSpan::Day, day),
            (StatisticsSpan::Day, next_day),
        ] {
            assert_eq!(active(&all, span, since), 1, "{span:?} {since}");
        }

        let counted = BTreeMap::from([(device, at(ten))]);
        let mut again = of(&[ten]);
        assert_eq!(again.count_devices(&counted), BTreeMap::new());
        assert!(again.counts.is_empty(), "{again:?}");
        let mut later = of(&[ten, eleven]);
        assert_eq!(later.count_devices(&counted), BTreeMap::from([(device, at(eleven))]));
        assert_eq!(
            (active(&later, StatisticsSpan::Hour, eleven), active(&later, StatisticsSpan::Day, day)),
            (1, 0)
        );
    }
}
