//! Clients live random lives on two nodes while a nemesis works against nodes, database and network. Afterwards every
//! operation, answered or not, is compared with the log.
//!
//! `script/faults` runs 200 rounds; `COUNTERFOIL_FAULT_ROUNDS` and `COUNTERFOIL_FAULT_SEED` say how many and from which
//! seed.
#![expect(clippy::print_stdout, reason = "a run of random faults reports its seed and what it counted")]

mod checker;
mod client;
mod cluster;
mod nemesis;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use checker::EventLog;
use client::{FaultClients, live};
use cluster::FaultCluster;
use nemesis::Nemesis;

/// How many live at a time.
const CLIENTS: usize = 6;

/// How many operations are acknowledged in a round before the nemesis comes, and how long that may take after the last
/// time it came: servers, database and clients have to recover by themselves.
const ACKNOWLEDGED: u64 = 40;
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);

/// After how many rounds everything is compared.
const CHECK_EVERY: u32 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_operation_is_lost_or_done_twice_under_faults() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = u32::try_from(number("COUNTERFOIL_FAULT_ROUNDS").unwrap_or(8)).unwrap();
    let seed = number("COUNTERFOIL_FAULT_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("faults: {rounds} rounds, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let mut cluster = FaultCluster::start().await;
    let lives = Arc::new(FaultClients::new(cluster.apis()));
    for _ in 0..CLIENTS {
        tokio::spawn(live(lives.clone(), random.fork()));
    }
    let (mut by_nemesis, mut slowest) = (BTreeMap::<&str, u32>::new(), Duration::ZERO);
    for round in 1..=rounds {
        slowest = slowest.max(recovered(&lives).await);
        let nemesis = Nemesis::any(&mut random);
        *by_nemesis.entry(nemesis.name()).or_default() += 1;
        nemesis.strike(&mut cluster, &lives, &mut random).await;
        if round % CHECK_EVERY == 0 || round == rounds {
            slowest = slowest.max(recovered(&lives).await);
            // No client has an operation under way while the two are compared.
            let _pause = lives.pause().await;
            let broken = compare(&cluster, &lives).await;
            assert!(broken.is_empty(), "seed {seed}, after round {round}: {broken:#?}");
        }
    }
    println!("faults: {by_nemesis:?}");
    println!("faults: {}; the slowest recovery took {slowest:?}", lives.counts());
}

/// Waits until so much has been acknowledged again; how long that took.
async fn recovered(lives: &FaultClients) -> Duration {
    let (began, before) = (Instant::now(), lives.acknowledged());
    while lives.acknowledged() < before + ACKNOWLEDGED {
        assert!(began.elapsed() < RECOVERED_WITHIN, "not recovered after {RECOVERED_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

async fn compare(cluster: &FaultCluster, lives: &FaultClients) -> Vec<String> {
    let mut broken = cluster.broken_rules().await;
    let log: EventLog = cluster.log().await;
    broken.extend(checker::check(&log, &lives.tallies(|phone| cluster.lookup(phone))));
    broken
}
