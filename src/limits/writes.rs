//! How often an account, and an address, may ask for something that is put on record, as one node counts it in its memory.
//!
//! Where nodes share no limits, the node grants the whole rate. Where they do, it grants a share by itself, and what exceeds the
//! share is counted in the shared store: a caller who writes little costs no round trip, and one who turns to many nodes gets
//! little more than from one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::AccountId;

use super::meter::MINUTE;
use super::{LimitKind, LimitsError, Rate, WritePolicy};

/// What a node has counted, on all of its threads.
#[derive(Debug)]
pub(super) struct WriteMeters {
    policy: WritePolicy,
    accounts: Mutex<Meters<AccountId>>,
    addresses: Mutex<Meters<IpAddr>>,
    /// Counted apart, so that callers who are not signed in use up nothing of what the users of the same address may write.
    refusals: Mutex<Meters<IpAddr>>,
}

impl WriteMeters {
    /// Meters on which nothing has been counted yet.
    pub(super) fn new(policy: WritePolicy) -> Self {
        Self { policy, accounts: Mutex::default(), addresses: Mutex::default(), refusals: Mutex::default() }
    }

    /// Counts an operation for its account and for the address that it came from; for the account alone where it came from a
    /// service on behalf of many.
    ///
    /// # Errors
    /// [`LimitsError::Refused`] where either has no room. Nothing is counted then.
    pub(super) fn count(
        &self,
        account: AccountId,
        ip: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), LimitsError> {
        let now = now.timestamp_micros();
        let refused = |limit| move |wait| LimitsError::Refused { limit, wait };
        let mut accounts = lock(&self.accounts);
        let of_account = accounts
            .room(account, self.policy.per_account, now)
            .map_err(refused(LimitKind::WritesPerAccount))?;
        if let Some(ip) = ip {
            let mut addresses = lock(&self.addresses);
            let address = network_of(ip);
            let of_address = addresses
                .room(address, self.policy.per_address, now)
                .map_err(refused(LimitKind::WritesPerAddress))?;
            addresses.set(address, of_address, now);
        }
        accounts.set(account, of_account, now);
        Ok(())
    }

    /// Counts a refusal that is to be put on record, for the address that it came from. Returns whether there was room.
    pub(super) fn admits_refusal(&self, ip: IpAddr, now: DateTime<Utc>) -> bool {
        let (now, address) = (now.timestamp_micros(), network_of(ip));
        let mut refusals = lock(&self.refusals);
        let room = refusals.room(address, self.policy.per_address, now);
        room.is_ok_and(|until| {
            refusals.set(address, until, now);
            true
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::crypto::entropy;
    use crate::runtime::clock::{Clock as _, SystemClock};
    use chrono::TimeDelta;

    fn limits(burst: u32, of_address: u32) -> WriteMeters {
        WriteMeters::new(WritePolicy {
            per_account: Rate { burst, per_minute: 30 },
            per_address: Rate { burst: of_address, per_minute: 300 },
        })
    }

    #[test]
    fn a_burst_and_then_one_every_two_seconds() {
        let (limits, now) = (limits(3, 100), SystemClock.now());
        let account = entropy::account_id(now);
        let count = |seconds: i64| match limits.count(account, None, now + TimeDelta::seconds(seconds)) {
            Ok(()) => None,
            Err(LimitsError::Refused { wait, .. }) => Some(wait),
            Err(error) => panic!("{error}"),
        };
        for _ in 0..3 {
            assert_eq!(count(0), None);
        }
        assert_eq!(count(0), Some(Duration::from_secs(2)));
        assert_eq!(count(1), Some(Duration::from_secs(1)));
        assert_eq!(count(2), None);
        assert!(count(2).is_some());
        assert_eq!((count(60), count(60), count(60)), (None, None, None));
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
    fn refusals_on_record_are_counted_for_their_address_and_apart_from_what_users_write() {
        let (limits, now) = (limits(2, 2), SystemClock.now());
        let address: IpAddr = "192.0.2.7".parse().expect("an address");
        let admitted = [(); 3].map(|()| limits.admits_refusal(address, now));
        assert_eq!(admitted, [true, true, false]);
        assert!(limits.admits_refusal("192.0.2.8".parse().expect("an address"), now));
        assert!(limits.admits_refusal(address, now + TimeDelta::minutes(1)));
        assert!(limits.count(entropy::account_id(now), Some(address), now).is_ok());
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
