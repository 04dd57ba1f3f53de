//! How often an account, and an address, may ask for something that is put on record. Counted in the memory of the node, so
//! that it costs a request no round trip.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::AccountId;

use super::Rate;
use super::meter::MINUTE;

/// The rates of operations that write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritePolicy {
    /// Of one account.
    pub per_account: Rate,
    /// Of one address: an IPv4 address, or a /64 of IPv6.
    pub per_address: Rate,
}

/// A rate is used up: when there is room again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many operations that write")]
pub struct TooManyWrites {
    /// How long the caller is to wait.
    pub wait: Duration,
}

/// What a node has counted, on all of its threads.
#[derive(Debug)]
pub struct WriteLimits {
    policy: WritePolicy,
    accounts: Mutex<Meters<AccountId>>,
    addresses: Mutex<Meters<IpAddr>>,
}

impl WriteLimits {
    /// Limits under which nothing has been counted yet.
    pub fn new(policy: WritePolicy) -> Self {
        Self { policy, accounts: Mutex::default(), addresses: Mutex::default() }
    }

    /// Counts an operation for its account and for the address that it came from, or for neither; for the account alone where
    /// it came from a service on behalf of many.
    ///
    /// # Errors
    /// [`TooManyWrites`] where either has no room.
    pub fn count(
        &self,
        account: AccountId,
        ip: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), TooManyWrites> {
        let now = now.timestamp_micros();
        let mut accounts = lock(&self.accounts);
        let of_account = refused("writes_per_account", accounts.room(account, self.policy.per_account, now))?;
        if let Some(ip) = ip {
            let mut addresses = lock(&self.addresses);
            let address = network_of(ip);
            let of_address =
                refused("writes_per_address", addresses.room(address, self.policy.per_address, now))?;
            addresses.set(address, of_address, now);
        }
        accounts.set(account, of_account, now);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(limit: &'static str, room: Result<i64, Duration>) -> Result<i64, TooManyWrites> {
    room.map_err(|wait| {
        metrics::counter!("counterfoil_limits_refused_total", "limit" => limit).increment(1);
        TooManyWrites { wait }
    })
}

/// An IPv4 address, or the /64 that an IPv6 address lies in.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// For each key, when all that was counted is used up, in microseconds since 1970 (GCRA, ITU-T I.371).
#[derive(Debug)]
struct Meters<K>(HashMap<K, i64>);

impl<K> Default for Meters<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Meters<K> {
    /// When all is used up with one more; or how long until there is room for it.
    fn room(&self, key: K, rate: Rate, now: i64) -> Result<i64, Duration> {
        let every = MINUTE / i64::from(rate.per_minute);
        let until = self.0.get(&key).copied().unwrap_or(now).max(now) + every;
        match u64::try_from(until - now - every * i64::from(rate.burst)) {
            Ok(wait) if wait > 0 => Err(Duration::from_micros(wait)),
            Ok(_) | Err(_) => Ok(until),
        }
    }

    fn set(&mut self, key: K, until: i64, now: i64) {
        // What is used up is swept when the map would grow, so sweeping costs each caller a constant share.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, until| *until > now);
        }
        self.0.insert(key, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::entropy;
    use chrono::TimeDelta;

    fn limits(burst: u32, of_address: u32) -> WriteLimits {
        WriteLimits::new(WritePolicy {
            per_account: Rate { burst, per_minute: 30 },
            per_address: Rate { burst: of_address, per_minute: 300 },
        })
    }

    #[test]
    fn a_burst_and_then_one_every_two_seconds() {
        let (limits, now) = (limits(3, 100), SystemClock.now());
        let account = entropy::account_id(now);
        let count = |seconds: i64| limits.count(account, None, now + TimeDelta::seconds(seconds));
        for _ in 0..3 {
            assert_eq!(count(0), Ok(()));
        }
        assert_eq!(count(0), Err(TooManyWrites { wait: Duration::from_secs(2) }));
        assert_eq!(count(1), Err(TooManyWrites { wait: Duration::from_secs(1) }));
        assert_eq!(count(2), Ok(()));
        assert!(count(2).is_err());
        assert_eq!((count(60), count(60), count(60)), (Ok(()), Ok(()), Ok(())));
    }

    #[test]
    fn what_the_address_is_refused_is_not_counted_for_the_account() {
        let (limits, now) = (limits(2, 2), SystemClock.now());
        let (one, two): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().expect("an address"), "2001:db8:0:1::1".parse().expect("an address"));
        let neighbour: IpAddr = "2001:db8::2".parse().expect("an address");
        let accounts = [(); 3].map(|()| entropy::account_id(now));
        assert!(limits.count(accounts[0], Some(one), now).is_ok());
        assert!(limits.count(accounts[1], Some(neighbour), now).is_ok());
        for _ in 0..5 {
            assert!(limits.count(accounts[2], Some(one), now).is_err(), "the /64 has no room");
        }
        assert!(limits.count(accounts[2], Some(two), now).is_ok());
        assert!(limits.count(accounts[2], Some(two), now).is_ok());
    }

    #[test]
    fn what_is_used_up_is_forgotten() {
        let limits = limits(3, 100);
        let mut now = SystemClock.now();
        for _ in 0..20_000 {
            now += TimeDelta::seconds(1);
            assert!(limits.count(entropy::account_id(now), None, now).is_ok());
        }
        assert!(lock(&limits.accounts).0.len() < 100);
    }
}
