//! The limits that all nodes share: per address, prefix, country, and of the whole service. Those per identifier are
//! the aggregate's.
//!
//! Counted first, then decided: a request is counted on all its meters at once or refused by the narrowest one that is
//! full, so that a caller over their own limit does not use up the limit that all share. A code that is then not sent, because the
//! aggregate refuses it, is given back. When the store does not answer, no request is let through.
//!
//! What callers who are signed in write is counted by each node for itself first (`WriteMeters`).

pub mod alarms;
pub mod blocks;
pub mod code_stops;
mod conversion;
mod counted_code;
mod limit;
mod limit_subject;
mod meter;
mod near;
mod policy;
mod postgres;
mod redis;
mod subject;
mod used_meter;
mod writes;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::redis::Client as RedisServer;
use backon::{ExponentialBuilder, Retryable as _};
use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::BlockKind;
use counterfoil_domain::values::{AccountId, Identifier};

use crate::crypto::keyring::Keyring;
use crate::delivery::PriceList;
use crate::postgres::Database;
use crate::runtime::clock::Clock;
use crate::runtime::response_delay::RoundTripTimes;
use conversion::Conversion;
use postgres::PostgresStore;
use redis::RedisStore;
use subject::{SERVICE, SubjectNames, country};
use writes::WriteMeters;

pub use counted_code::{BudgetShare, CountedCode};
pub use limit::{LimitKind, UNLIMITED};
pub use limit_subject::LimitSubject;
pub use meter::{CountOutcome, MeterEntry, MeterRule, MeterStore, StoreUnavailable, StoredMeter};
pub use near::{ALARM_LASTS, MeterPosition, PrefixConversion, raise_alarm};
pub use policy::{LimitPolicy, Rate, WritePolicy};
pub use postgres::prune;
pub use used_meter::UsedMeter;

/// How long a caller waits for the store, however often it is asked.
const ANSWER_WITHIN: Duration = Duration::from_millis(600);

/// How long guessing stays slowed down on a node after the last wrong code that was one too many.
const SLOWED_FOR: TimeDelta = TimeDelta::minutes(5);

/// The most that a message is taken to cost: sums of such prices are still numbers.
const DEAREST: i64 = 1 << 40;

/// Where nodes count together.
#[derive(Clone)]
pub enum LimitStore {
    /// In the service's own database.
    Postgres,
    /// In a Redis server.
    Redis(Box<RedisServer>),
}

impl LimitStore {
    /// The store itself, over connections that work on the present runtime.
    pub fn open(&self, database: &Database) -> Box<dyn MeterStore> {
        match self {
            Self::Postgres => Box::new(PostgresStore::new(database.clone())),
            Self::Redis(server) => Box::new(RedisStore::new(RedisServer::clone(server))),
        }
    }
}

/// Without the server's URL, which holds a password.
impl fmt::Debug for LimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "Postgres",
            Self::Redis(_) => "Redis",
        })
    }
}

/// Why a request was not let through.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// A limit is reached.
    #[error("the limit {limit} is reached")]
    Refused {
        /// The limit that was reached.
        limit: LimitKind,
        /// When there can be room again.
        wait: Duration,
    },
    /// No messages are sent to that country.
    #[error("no messages are sent to that country")]
    CountryNotServed,
    /// Staff have blocked the identifier or the address.
    #[error("blocked by staff: {kind:?}")]
    Blocked {
        /// The kind of subject that is blocked.
        kind: BlockKind,
        /// When the block ends, where a time is set.
        until: Option<DateTime<Utc>>,
        /// When the caller may try again at the soonest, as they are told.
        wait: Duration,
    },
    /// The store does not answer.
    #[error(transparent)]
    Unanswered(#[from] StoreUnavailable),
}

impl LimitsError {
    /// The same refusal, where there is room by then at another place as well.
    fn in_at_most(self, other: Duration) -> Self {
        let Self::Refused { limit, wait } = self else { return self };
        Self::Refused { limit, wait: wait.min(other) }
    }
}

/// The limits of a node: those that all nodes share, and its own on what is put on record; or none.
#[derive(Clone)]
pub struct Limits {
    shared: Option<Arc<Inner>>,
    writes: Option<Arc<WriteMeters>>,
}

struct Inner {
    policy: Arc<LimitPolicy>,
    place: LimitStore,
    store: Box<dyn MeterStore>,
    database: Database,
    subjects: SubjectNames,
    prices: PriceList,
    clock: Arc<dyn Clock>,
    seen: Arc<AlarmState>,
}

/// What this node has seen, on any thread; times in microseconds since 1970.
#[derive(Default)]
struct AlarmState {
    guessing_slowed_until: AtomicI64,
    /// Alarms that need not be raised again until then.
    raised: Mutex<HashMap<String, i64>>,
    /// What became of codes, by prefix, and is still to be counted.
    gathered: Mutex<HashMap<String, Conversion>>,
    /// How long callers waited for the store.
    count_times: RoundTripTimes,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limits").field(&self.shared.as_ref().map(|inner| &inner.policy)).finish()
    }
}

impl Limits {
    /// No limits at all.
    pub fn off() -> Self {
        Self { shared: None, writes: None }
    }

    /// Limits on what is put on record, by a node that shares none with others.
    pub fn of_one_node(writes: WritePolicy) -> Self {
        Self { shared: None, writes: Some(Arc::new(WriteMeters::new(writes))) }
    }

    /// Limits that are counted there, alarms being kept in the database.
    pub fn new(
        policy: LimitPolicy,
        place: LimitStore,
        database: Database,
        keyring: &Keyring,
        prices: PriceList,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let writes = WriteMeters::new(policy.writes.node_share());
        let shared = Inner {
            policy: Arc::new(policy),
            store: place.open(&database),
            place,
            database,
            subjects: SubjectNames::new(keyring),
            prices,
            clock,
            seen: Arc::default(),
        };
        Self { shared: Some(Arc::new(shared)), writes: Some(Arc::new(writes)) }
    }

    /// The same limits, asked over connections that work on the present runtime.
    pub fn on_this_thread(&self, database: Database) -> Self {
        let shared = self.shared.as_ref().map(|inner| {
            Arc::new(Inner {
                policy: inner.policy.clone(),
                place: inner.place.clone(),
                store: inner.place.open(&database),
                database,
                subjects: inner.subjects.clone(),
                prices: inner.prices.clone(),
                clock: inner.clock.clone(),
                seen: inner.seen.clone(),
            })
        });
        Self { shared, writes: self.writes.clone() }
    }

    /// Goes on with another keyring's keys, on every thread.
    pub fn use_keyring(&self, keyring: &Keyring) {
        if let Some(inner) = &self.shared {
            inner.subjects.use_keyring(keyring);
        }
    }

    /// How long the node has lately waited for the store; `None` without limits.
    pub fn count_times(&self) -> Option<&RoundTripTimes> {
        self.shared.as_ref().map(|inner| &inner.seen.count_times)
    }

    /// Counts a code that is to be sent, before it is decided whether it is.
    ///
    /// # Errors
    /// [`LimitsError`].
    pub async fn count_code(
        &self,
        identifier: &Identifier,
        ip: IpAddr,
        share: BudgetShare,
    ) -> Result<CountedCode, LimitsError> {
        let Some(inner) = &self.shared else { return Ok(CountedCode(None)) };
        let asked_at = inner.now();
        let mut limits = inner.code(identifier)?;
        let address = (LimitKind::CodesPerAddress, inner.subjects.address(ip), 1);
        let network = inner.subjects.network(ip).map(|network| (LimitKind::CodesPerNetwork, network, 1));
        inner.count_within(share, [&address].into_iter().chain(&network).chain(&limits)).await?;
        if share == BudgetShare::Nothing {
            limits.retain(|(limit, ..)| !limit.is_daily_budget());
        }
        Ok(CountedCode(Some((inner.clone(), limits, asked_at))))
    }

    /// Whether a refusal is one of strangers alone: the budget of the day is spent but for what is kept for identifiers that
    /// have signed in before.
    pub fn keeps_reserve(&self, error: &LimitsError) -> bool {
        let keeps = self.shared.as_ref().is_some_and(|inner| inner.policy.reserve_percent > 0);
        keeps && matches!(error, LimitsError::Refused { limit, .. } if limit.is_daily_budget())
    }

    /// Counts a code that is to be tried.
    ///
    /// # Errors
    /// [`LimitsError`].
    pub async fn count_try(&self, ip: IpAddr) -> Result<(), LimitsError> {
        let Some(inner) = &self.shared else { return Ok(()) };
        let address = inner.subjects.address(ip);
        let mut limits = vec![(LimitKind::TriesPerAddress, address.clone(), 1)];
        limits.extend(inner.subjects.network(ip).map(|network| (LimitKind::TriesPerNetwork, network, 1)));
        if inner.now() < inner.seen.guessing_slowed_until.load(Ordering::Relaxed) {
            limits.insert(0, (LimitKind::SlowTriesPerAddress, address, 1));
        }
        inner.count(&limits).await.map(drop)
    }

    /// Counts an operation that is put on record, for its account and for the address that it came from; for the account alone
    /// where it came from a service on behalf of many.
    ///
    /// # Errors
    /// [`LimitsError`].
    pub async fn count_write(
        &self,
        account: AccountId,
        ip: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), LimitsError> {
        let counted = self.writes.as_ref().map_or(Ok(()), |writes| writes.count(account, ip, now));
        match (counted, &self.shared) {
            (Err(LimitsError::Refused { wait: wait_here, .. }), Some(inner)) => {
                let account = (LimitKind::WritesPerAccount, inner.subjects.account(account), 1);
                let address = ip.map(|ip| (LimitKind::WritesPerAddress, inner.subjects.address(ip), 1));
                let counted = inner.count([&account].into_iter().chain(&address)).await;
                counted.map(drop).map_err(|error| error.in_at_most(wait_here))
            }
            (Err(error), None) => {
                if let LimitsError::Refused { limit, .. } = error {
                    metrics::counter!("counterfoil_limits_refused_total", "limit" => limit.name())
                        .increment(1);
                }
                Err(error)
            }
            (counted, _) => counted,
        }
    }

    /// Counts a refusal by an access rule that is to be put on record, by this node alone. Returns whether its address had room.
    pub fn admits_refusal_record(&self, ip: IpAddr, now: DateTime<Utc>) -> bool {
        self.writes.as_ref().is_none_or(|writes| writes.admits_refusal(ip, now))
    }

    /// Counts a code that was tried and wrong. Many of them are an attack on everybody at once: each node that is
    /// guessed at hears here how many there were on all of them.
    pub fn count_wrong_code(&self) {
        let Some(inner) = self.shared.clone() else { return };
        tokio::spawn(async move {
            let limits = [(LimitKind::WrongCodes, SERVICE.to_owned(), 1)];
            let wrong = inner.count_behind(&limits).await;
            if wrong > inner.policy.wrong_codes_per_hour.into() {
                let until = inner.clock.now() + SLOWED_FOR;
                inner.seen.guessing_slowed_until.fetch_max(until.timestamp_micros(), Ordering::Relaxed);
                inner.raise(LimitKind::WrongCodes.name(), SERVICE).await;
            }
        });
    }

    /// Counts a code that was redeemed, in favour of its prefix.
    pub fn count_redeemed(&self, identifier: &Identifier) {
        let (Some(inner), Identifier::Phone(number)) = (self.shared.clone(), identifier) else { return };
        inner.gather(subject::prefix(number), |conversion| conversion.redeemed += 1);
    }
}

/// A limit, whose meter, and how much is counted on it.
type Use = (LimitKind, String, i64);

impl Inner {
    fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }

    /// What a code is counted on but for the address that asks, narrow before wide.
    fn code(&self, identifier: &Identifier) -> Result<Vec<Use>, LimitsError> {
        let service = |limit, cost| (limit, SERVICE.to_owned(), cost);
        Ok(match identifier {
            Identifier::Phone(number) => {
                let region = number.region();
                let served = region.is_some_and(|region| self.policy.countries.contains(&region));
                if !served && !self.policy.countries.is_empty() {
                    return Err(LimitsError::CountryNotServed);
                }
                let country = country(region);
                let prefix = subject::prefix(number);
                let price =
                    i64::try_from(self.prices.of(identifier).millionths()).unwrap_or(DEAREST).min(DEAREST);
                vec![
                    (LimitKind::StoppedPrefix, prefix.clone(), 0),
                    (LimitKind::CodesPerPrefix, prefix, 1),
                    (LimitKind::CodesPerCountry, country.clone(), 1),
                    (LimitKind::HourlyCodesPerCountry, country.clone(), 1),
                    (LimitKind::MessagesPerCountry, country, 1),
                    service(LimitKind::Messages, 1),
                    service(LimitKind::Money, price),
                    service(LimitKind::Codes, 1),
                    service(LimitKind::HourlyCodes, 1),
                ]
            }
            Identifier::Email(address) => {
                let is_providers = self.policy.mail_providers.contains(address.domain());
                let of_domain = (LimitKind::CodesPerMailDomain, self.subjects.mail_domain(address), 1);
                let of_mailbox = (LimitKind::CodesPerMailbox, self.subjects.mailbox(address), 1);
                let of_service = [LimitKind::Emails, LimitKind::Codes, LimitKind::HourlyCodes];
                [of_mailbox]
                    .into_iter()
                    .chain((!is_providers).then_some(of_domain))
                    .chain(of_service.map(|limit| service(limit, 1)))
                    .collect()
            }
        })
    }

    /// Counts, or says which limit is reached. What the last of them comes to.
    async fn count<'a>(
        self: &Arc<Self>,
        limits: impl IntoIterator<Item = &'a Use>,
    ) -> Result<i64, LimitsError> {
        self.count_within(BudgetShare::Whole, limits).await
    }

    /// The same, where a share of the daily budgets may be used.
    async fn count_within<'a>(
        self: &Arc<Self>,
        share: BudgetShare,
        limits: impl IntoIterator<Item = &'a Use>,
    ) -> Result<i64, LimitsError> {
        let shared = |of: &'a Use| Some((of, self.entry_within(share, of)?));
        let (limits, entries): (Vec<&Use>, Vec<MeterEntry>) = limits.into_iter().filter_map(shared).unzip();
        let ask = || self.store.count(self.clock.now(), entries.clone());
        let late = || Err(StoreUnavailable("no answer in time".to_owned()));
        // What is counted twice because an answer was lost is too much by one, never too little.
        let counted = async {
            let counted = tokio::time::timeout(ANSWER_WITHIN, ask.retry(backoff())).await;
            counted.unwrap_or_else(|_| late())
        };
        match self.seen.count_times.measure(counted).await? {
            CountOutcome::All(total) => Ok(total),
            CountOutcome::Refused { entry, wait } => {
                let (limit, subject, _) = limits[entry];
                metrics::counter!("counterfoil_limits_refused_total", "limit" => limit.name()).increment(1);
                if limit.raises_alarm() {
                    // The subject of a narrow limit may point to one person.
                    let subject = if limit.is_narrow() { SERVICE } else { subject }.to_owned();
                    let (inner, name) = (self.clone(), limit.name());
                    // The caller does not wait for it.
                    tokio::spawn(async move { inner.raise(name, &subject).await });
                }
                Err(LimitsError::Refused { limit: *limit, wait })
            }
        }
    }

    /// Counts what has happened already, for which it is too late to refuse anything. What the last comes to.
    async fn count_behind(self: &Arc<Self>, limits: &[Use]) -> i64 {
        self.count(limits).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "something was not counted");
            0
        })
    }

    /// A limit's call on a meter; none where the limit is not set.
    fn entry(&self, (limit, subject, cost): &Use) -> Option<MeterEntry> {
        let (rule, most) = limit.rule(&self.policy, subject)?;
        let looks_whether_stopped = *limit == LimitKind::StoppedPrefix && *cost == 0;
        // Wrong codes go on being counted past their number, and what is given back is never refused.
        let only_counted = *limit == LimitKind::WrongCodes || *cost < 0;
        let most = if looks_whether_stopped {
            0
        } else if only_counted {
            UNLIMITED
        } else {
            most
        };
        Some(MeterEntry { meter: format!("{}/{subject}", limit.place()), rule, most, cost: *cost })
    }

    /// A limit's call on a meter, where a share of the daily budgets may be used.
    fn entry_within(&self, share: BudgetShare, of: &Use) -> Option<MeterEntry> {
        let MeterEntry { meter, rule, most, cost } = self.entry(of)?;
        if !of.0.is_daily_budget() {
            return Some(MeterEntry { meter, rule, most, cost });
        }
        Some(match share {
            BudgetShare::Whole => MeterEntry { meter, rule, most, cost },
            BudgetShare::Strangers => {
                let reserve = most / 100 * i64::from(self.policy.reserve_percent)
                    + most % 100 * i64::from(self.policy.reserve_percent) / 100;
                MeterEntry { meter, rule, most: most - reserve, cost }
            }
            // A look that finds room where the cost would have found it.
            BudgetShare::Nothing => MeterEntry { meter, rule, most: most - cost, cost: 0 },
        })
    }
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(100))
        .with_jitter()
        .without_max_times()
}
