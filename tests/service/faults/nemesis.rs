//! The faults that the test brings about (the term "nemesis" is from Jepsen).

use std::time::Duration;

use super::client::FaultClients;
use super::cluster::FaultCluster;
use crate::support::ProxyMode;

#[derive(Clone, Copy, Debug)]
pub enum Nemesis {
    /// A node is killed and started again.
    KillNode,
    /// PostgreSQL is killed with all its backends, and started again.
    KillPostmaster,
    /// Every connection to the database is ended by it.
    TerminateBackends,
    /// Nothing passes between a node and the database for a while, and nothing is closed.
    Delay,
    /// A node's connections to the database are cut, and new ones refused for a while.
    Cut,
    /// Statements are carried out, and their answers lost with the connection.
    CutAfterCommit,
}

impl Nemesis {
    pub fn any(random: &mut fastrand::Rng) -> Self {
        let all = [
            Self::KillNode,
            Self::KillPostmaster,
            Self::TerminateBackends,
            Self::Delay,
            Self::Cut,
            Self::CutAfterCommit,
        ];
        all[random.usize(..all.len())]
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::KillNode => "kill a node",
            Self::KillPostmaster => "kill the postmaster",
            Self::TerminateBackends => "terminate backends",
            Self::Delay => "delay",
            Self::Cut => "cut",
            Self::CutAfterCommit => "cut after commit",
        }
    }

    pub async fn strike(self, cluster: &mut FaultCluster, lives: &FaultClients, random: &mut fastrand::Rng) {
        let node = random.usize(..2);
        let a_while = Duration::from_millis(random.u64(50..1_500));
        match self {
            Self::KillNode => {
                let api = cluster.restart(node);
                lives.apis.lock().unwrap()[node] = api;
            }
            Self::KillPostmaster => cluster.crash_postgres(),
            Self::TerminateBackends => {
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE application_name LIKE 'counterfoil%' AND pid <> pg_backend_pid()";
                cluster.connect().await.execute(sql, &[]).await.unwrap();
            }
            Self::Delay | Self::Cut => {
                let mood =
                    if matches!(self, Self::Delay) { ProxyMode::Stalled } else { ProxyMode::Disconnected };
                cluster.proxies[node].set_mode(mood).await;
                tokio::time::sleep(a_while).await;
                cluster.proxies[node].set_mode(ProxyMode::Connected).await;
            }
            Self::CutAfterCommit => {
                for _ in 0..5 {
                    cluster.proxies[node].cut_after(random.u32(..8));
                    for _ in 0..200 {
                        if !cluster.proxies[node].is_armed() {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            }
        }
    }
}
