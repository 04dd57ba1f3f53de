//! When the callers of commits could be answered, as this node knows.
//!
//! A commit may succeed although its caller is told 503: its acknowledgement was late, or did not arrive. The client that
//! retries then presents a token or a code that the commit has spent, and must not be taken for a thief. So the node keeps
//! two things for as long as a retry can refer to them: which of its callers got no answer, and in which spans of time
//! commits were not acknowledged. It announces the former to the other nodes, since a load balancer sends the retry to any
//! of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{AnswerTimes, Policy};
use tokio::sync::Notify;

use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::Clock;

/// A commit that is acknowledged later than this leaves its caller without an answer.
const ANSWERED_WITHIN: Duration = Duration::from_millis(900);

/// How far an outage may reach beyond its signs, before the first and after the last, on a node that has nothing to commit.
const UNNOTICED_AT_MOST: TimeDelta = TimeDelta::minutes(5);

/// How many outages, and how many callers without an answer, are remembered.
const OUTAGES_REMEMBERED: usize = 64;
const CALLERS_REMEMBERED: usize = 100_000;

/// How often those are forgotten that can repeat nothing any more.
const FORGOTTEN_EVERY: TimeDelta = TimeDelta::seconds(1);

/// The channel on which nodes announce to each other which callers got no answer.
const CHANNEL: &str = "counterfoil_unanswered";

/// How many callers one notification names: its payload is bounded by 8,000 bytes, and a time takes 17.
const NAMED_TOGETHER: usize = 400;

/// How long a node waits before it tries again to announce or to listen.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The outages that a node has seen. Clones share them.
#[derive(Clone)]
pub struct CommitOutages {
    shared: Arc<SharedOutages>,
}

struct SharedOutages {
    clock: Arc<dyn Clock>,
    seen: Mutex<SeenOutages>,
    /// Wakes the task that announces outages.
    unannounced: Notify,
}

#[derive(Debug)]
struct SeenOutages {
    /// When commits were last acknowledged.
    acknowledged_at: DateTime<Utc>,
    present: Option<OutageSpan>,
    ended: VecDeque<OutageSpan>,
    /// When what these callers asked for was decided, and when it was clear that they would get no answer.
    unanswered: BTreeMap<DateTime<Utc>, DateTime<Utc>>,
    /// When those were last forgotten that can repeat nothing any more.
    forgotten_at: DateTime<Utc>,
    /// Those that other nodes have not been told of.
    to_announce: Vec<DateTime<Utc>>,
}

/// From the first commit that may not have been answered to the first that was, or, of an outage that lasts, to the last
/// sign of it.
#[derive(Clone, Copy, Debug)]
struct OutageSpan {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl OutageSpan {
    fn covers(self, time: DateTime<Utc>) -> bool {
        self.from <= time && time < self.until
    }
}

/// The answer that the caller of a commit waits for. Dropped before it is given, it was not given.
#[derive(Debug)]
pub struct ExpectedAnswer {
    outages: Option<CommitOutages>,
    decided_at: DateTime<Utc>,
    /// Whether only this caller is concerned, because the commit has been acknowledged.
    is_acknowledged: bool,
}

impl ExpectedAnswer {
    /// The caller gets its answer, or will be told to wait by another commit.
    pub fn given(mut self) {
        self.outages = None;
    }
}

impl Drop for ExpectedAnswer {
    fn drop(&mut self) {
        if let Some(outages) = self.outages.take() {
            outages.leave_unanswered(self.decided_at, !self.is_acknowledged);
        }
    }
}

impl fmt::Debug for CommitOutages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitOutages").field("seen", &self.shared.seen).finish_non_exhaustive()
    }
}

impl CommitOutages {
    /// For a node that starts now. A node that was stopped before it may have left callers without an answer.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        let start = OutageSpan { from: now - UNNOTICED_AT_MOST, until: now };
        let seen = SeenOutages {
            acknowledged_at: now,
            present: None,
            ended: VecDeque::from([start]),
            unanswered: BTreeMap::new(),
            forgotten_at: now,
            to_announce: Vec::new(),
        };
        let shared = SharedOutages { clock, seen: Mutex::new(seen), unannounced: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// The answer to the caller of a commit that is about to be sent.
    pub fn expect_answer(&self, decided_at: DateTime<Utc>) -> ExpectedAnswer {
        ExpectedAnswer { outages: Some(self.clone()), decided_at, is_acknowledged: false }
    }

    /// The answer to the caller of a commit that has been acknowledged, where the answer needs something else than the database.
    /// If it fails, that is no sign of an outage for other callers.
    pub fn expect_answer_of_acknowledged(&self, decided_at: DateTime<Utc>) -> ExpectedAnswer {
        ExpectedAnswer { outages: Some(self.clone()), decided_at, is_acknowledged: true }
    }

    /// Tells the other nodes of a database which callers got no answer, and learns it from them, until the future is dropped.
    pub async fn exchange(&self, database: &Database) {
        tokio::join!(self.announce(database), self.listen(database));
    }

    async fn announce(&self, database: &Database) {
        loop {
            self.shared.unannounced.notified().await;
            let callers = std::mem::take(&mut self.lock().to_announce);
            for callers in callers.chunks(NAMED_TOGETHER) {
                while let Err(error) = notify(database, callers).await {
                    tracing::debug!(%error, "callers without an answer could not be announced");
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn listen(&self, database: &Database) {
        loop {
            if let Ok(mut listener) = database.listen(CHANNEL).await {
                while let Some(announced) = listener.next().await {
                    self.learn(&announced);
                }
            }
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
    }

    /// Takes in what a node has announced, which may be this one.
    fn learn(&self, announcement: &str) {
        let now = self.now();
        let mut seen = self.lock();
        let times = announcement.split(' ').filter_map(|micros| micros.parse().ok());
        for decided_at in times.filter_map(DateTime::from_timestamp_micros) {
            seen.remember_unanswered(decided_at, now);
        }
    }

    /// Records that commits which were sent `took` ago have been acknowledged.
    pub(super) fn acknowledged(&self, took: Duration) {
        let now = self.now();
        let mut seen = self.lock();
        if took >= ANSWERED_WITHIN {
            seen.notice(now - span_of(took), now);
        }
        seen.end(now);
        seen.acknowledged_at = now;
    }

    /// Records that commits which were sent `took` ago have failed: it is not known whether they happened.
    pub(super) fn failed(&self, took: Duration) {
        let now = self.now();
        self.lock().notice(now - span_of(took), now);
    }

    fn leave_unanswered(&self, decided_at: DateTime<Utc>, is_outage: bool) {
        let now = self.now();
        let mut seen = self.lock();
        if is_outage {
            seen.notice(decided_at, now);
        }
        seen.remember_unanswered(decided_at, now);
        seen.to_announce.push(decided_at);
        drop(seen);
        self.shared.unannounced.notify_one();
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, SeenOutages> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn span_of(took: Duration) -> TimeDelta {
    TimeDelta::from_std(took).unwrap_or(UNNOTICED_AT_MOST)
}

impl SeenOutages {
    /// A commit that was sent at `sent_at` had no answer by `now`. Commits of other nodes may have had none before that, since
    /// this node was last acknowledged one.
    fn notice(&mut self, sent_at: DateTime<Utc>, now: DateTime<Utc>) {
        let from = self.acknowledged_at.clamp(sent_at - UNNOTICED_AT_MOST, sent_at);
        let from = self.present.map_or(from, |present| present.from.min(from));
        self.present = Some(OutageSpan { from, until: now });
    }

    /// The present outage ends, if there is one.
    fn end(&mut self, now: DateTime<Utc>) {
        let Some(present) = self.present.take() else { return };
        self.ended.retain(|ended| now - ended.until < Policy::LONGEST_REFRESH_GRACE);
        self.ended.truncate(OUTAGES_REMEMBERED - 1);
        self.ended.push_front(OutageSpan { until: now.min(present.until + UNNOTICED_AT_MOST), ..present });
    }

    fn remember_unanswered(&mut self, decided_at: DateTime<Utc>, now: DateTime<Utc>) {
        if now - self.forgotten_at >= FORGOTTEN_EVERY {
            self.unanswered.retain(|_, noted_at| now - *noted_at < Policy::LONGEST_REFRESH_GRACE);
            self.forgotten_at = now;
        }
        if self.unanswered.len() < CALLERS_REMEMBERED {
            // Of a caller that tried again and got no answer again, the last time counts.
            self.unanswered.insert(decided_at, now);
        }
    }

    /// When a caller could first be answered; none while an outage lasts.
    fn answer_possible_at(&self, decided_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let present =
            self.present.map(|present| OutageSpan { until: present.until + UNNOTICED_AT_MOST, ..present });
        if present.is_some_and(|present| present.covers(decided_at) && now < present.until) {
            return None;
        }
        let covering = self.ended.iter().chain(&present).filter(|outage| outage.covers(decided_at));
        Some(covering.map(|outage| outage.until).max().unwrap_or(decided_at))
    }
}

async fn notify(database: &Database, callers: &[DateTime<Utc>]) -> Result<(), DatabaseError> {
    let times: Vec<String> = callers.iter().map(|time| time.timestamp_micros().to_string()).collect();
    let connection = database.connection().await?;
    connection.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &times.join(" ")]).await?;
    Ok(())
}

impl AnswerTimes for CommitOutages {
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.lock().answer_possible_at(decided_at, self.now())
    }

    fn unanswered_until(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let now = self.now();
        let seen = self.lock();
        let noted_at = seen.unanswered.get(&decided_at)?;
        Some(seen.answer_possible_at(decided_at, now).unwrap_or(now).max(*noted_at))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta, Utc};
    use counterfoil_domain::user_account::AnswerTimes as _;

    use super::CommitOutages;
    use crate::runtime::clock::Clock;

    struct TestClock(Mutex<i64>);

    impl Clock for TestClock {
        fn now(&self) -> DateTime<Utc> {
            at(*self.0.lock().expect("unpoisoned"))
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
    }

    const PROMPTLY: Duration = Duration::from_millis(5);

    /// A node that started at 0, and the means to set its time.
    fn node() -> (CommitOutages, impl Fn(i64)) {
        let clock = Arc::new(TestClock(Mutex::new(0)));
        let outages = CommitOutages::new(clock.clone());
        (outages, move |seconds| *clock.0.lock().expect("unpoisoned") = seconds)
    }

    #[test]
    fn what_is_acknowledged_in_time_could_be_answered_at_once() {
        let (outages, set_time) = node();
        for seconds in [0, 1, 100, 5000] {
            set_time(seconds);
            let answer = outages.expect_answer(at(seconds));
            outages.acknowledged(PROMPTLY);
            answer.given();
            assert_eq!(outages.answer_possible_at(at(seconds)), Some(at(seconds)));
            assert_eq!(outages.unanswered_until(at(seconds)), None);
        }
    }

    #[test]
    fn what_was_committed_in_an_outage_could_be_answered_at_its_end() {
        let (outages, set_time) = node();
        set_time(1000);
        outages.acknowledged(PROMPTLY);
        set_time(1012);
        // Another node committed at 1003; this one tried at 1007.
        outages.failed(Duration::from_secs(5));
        for decided_at in [1000, 1003, 1012, 1020] {
            assert_eq!(outages.answer_possible_at(at(decided_at)), None, "the outage lasts");
        }
        assert_eq!(outages.answer_possible_at(at(999)), Some(at(999)));
        set_time(1040);
        outages.acknowledged(PROMPTLY);
        for decided_at in [1000, 1003, 1039] {
            assert_eq!(outages.answer_possible_at(at(decided_at)), Some(at(1040)));
        }
        assert_eq!(outages.answer_possible_at(at(1040)), Some(at(1040)));
    }

    #[test]
    fn a_late_acknowledgement_is_an_outage() {
        let (outages, set_time) = node();
        set_time(60);
        outages.acknowledged(PROMPTLY);
        set_time(100);
        outages.acknowledged(Duration::from_secs(12));
        assert_eq!(outages.answer_possible_at(at(88)), Some(at(100)));
        assert_eq!(outages.unanswered_until(at(88)), None, "of which caller is not known");
    }

    #[test]
    fn a_caller_that_got_no_answer_is_known_on_every_node() {
        let ((node_of_it, set_time), (other, set_other_time)) = (node(), node());
        set_time(70);
        set_other_time(70);
        drop(node_of_it.expect_answer(at(70)));
        assert_eq!(node_of_it.unanswered_until(at(70)), Some(at(70)), "the outage lasts");
        set_time(100);
        node_of_it.acknowledged(PROMPTLY);
        assert_eq!(node_of_it.unanswered_until(at(70)), Some(at(100)));
        assert_eq!(node_of_it.unanswered_until(at(71)), None);

        let micros = at(70).timestamp_micros();
        set_other_time(101);
        other.learn(&format!("x {micros}"));
        assert_eq!(other.unanswered_until(at(70)), Some(at(101)));
        assert!(other.lock().to_announce.is_empty(), "it is not announced again");
        for garbled in ["", " ", "x y", "99999999999999999999"] {
            other.learn(garbled);
        }
        assert_eq!(other.lock().unanswered.len(), 1);
    }

    #[test]
    fn a_caller_that_tries_again_and_gets_no_answer_again_may_try_once_more_from_then_on() {
        let (outages, set_time) = node();
        for seconds in [70, 100, 170] {
            set_time(seconds);
            drop(outages.expect_answer_of_acknowledged(at(70)));
            assert_eq!(outages.unanswered_until(at(70)), Some(at(seconds)));
            assert_eq!(
                outages.answer_possible_at(at(60)),
                Some(at(60)),
                "it is an outage for no other caller"
            );
        }
    }

    #[test]
    fn a_node_that_has_just_started_counts_what_went_before_from_its_start() {
        let (outages, set_time) = node();
        set_time(30);
        assert_eq!(outages.answer_possible_at(at(-20)), Some(at(0)));
        assert_eq!(outages.answer_possible_at(at(-301)), Some(at(-301)));
    }

    #[test]
    fn an_outage_does_not_last_for_hours_because_nothing_was_committed_since() {
        let (outages, set_time) = node();
        set_time(10_000);
        outages.failed(PROMPTLY);
        set_time(20_000);
        assert_eq!(outages.answer_possible_at(at(10_001)), Some(at(10_300)));
        assert_eq!(outages.answer_possible_at(at(19_990)), Some(at(19_990)));
        outages.acknowledged(PROMPTLY);
        assert_eq!(outages.answer_possible_at(at(10_001)), Some(at(10_300)));
        assert_eq!(outages.answer_possible_at(at(10_301)), Some(at(10_301)));
        assert_eq!(
            outages.answer_possible_at(at(9_000)),
            Some(at(9_000)),
            "five minutes before its first sign"
        );
    }
}
