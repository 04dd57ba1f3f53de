//! Commits that succeed without being acknowledged: a synchronous standby that is away, and clients that retry.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use counterfoil::postgres::DatabaseUrl;
use counterfoil::postgres::embedded::PrivatePostgres;
use tokio_postgres::{Client, NoTls};

use crate::support::{ApiAnswer, ApiClient, NodeProcess, SignedInDevice};

const PHONE: &str = "+989121234567";

/// Two nodes on a PostgreSQL that can be told to wait for a synchronous standby.
struct StandbyCluster {
    nodes: [NodeProcess; 2],
    database: Client,
    postgres: PrivatePostgres,
}

impl StandbyCluster {
    async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let postgres = PrivatePostgres::start(&folder.join("primary")).unwrap();
        let url = postgres.url();
        let nodes = [Self::node(&folder, &url, settings), Self::node(&folder, &url, settings)];
        let (database, connection) = tokio_postgres::connect(&url.0, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { nodes, database, postgres }
    }

    fn node(folder: &Path, url: &DatabaseUrl, settings: &[(&str, &str)]) -> NodeProcess {
        NodeProcess::start(folder, &[&[("DATABASE_URL", url.0.as_str())], settings].concat())
    }

    fn apis(&self) -> [&ApiClient; 2] {
        self.nodes.each_ref().map(|node| &node.api)
    }

    /// From now on commits wait for a standby that is not there.
    async fn cut_off_the_standby(&self) {
        self.configure("ALTER SYSTEM SET synchronous_standby_names = 'absent'", "absent").await;
    }

    /// Commits that wait go on.
    async fn wait_for_no_standby(&self) {
        self.configure("ALTER SYSTEM RESET synchronous_standby_names", "").await;
    }

    async fn configure(&self, statement: &str, value: &str) {
        self.database.batch_execute(statement).await.unwrap();
        self.database.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.value::<String>("SELECT current_setting('synchronous_standby_names')").await != value {
            assert!(Instant::now() < deadline, "the setting is not taken");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.database.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn events(&self, name: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM events WHERE event_type = '{name}'")).await
    }

    async fn stop(mut self) {
        for node in self.nodes {
            assert!(node.stop());
        }
        self.postgres.stop().unwrap();
    }
}

/// Asks the nodes in turn until one answers other than 503, as a client behind a load balancer does.
async fn retried(mut ask: impl AsyncFnMut(usize) -> ApiAnswer) -> ApiAnswer {
    let deadline = Instant::now() + Duration::from_secs(120);
    for attempt in 0.. {
        let answer = ask(attempt % 2).await;
        if answer.status != 503 {
            return answer;
        }
        assert!(Instant::now() < deadline, "the service does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    unreachable!("attempts do not run out")
}

/// As `Retry-After` of a 503 says.
async fn wait_as_told() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// A number from the environment, for long forms of these tests.
fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Refreshes with that token until it is answered; the next refresh token.
async fn refreshed(apis: [&ApiClient; 2], token: &str, first: usize) -> String {
    let answer = retried(async |attempt| apis[(first + attempt) % 2].refresh(token).await).await;
    answer.ok()["refresh_token"].as_str().unwrap().to_owned()
}

/// All clients refresh while nothing is acknowledged, and retry until they are answered; then copies of their first tokens
/// are presented.
async fn refresh_through_a_stall(cluster: &StandbyCluster, stall: Duration, phones: &[String]) {
    let apis = cluster.apis();
    let mut devices: Vec<SignedInDevice> = Vec::new();
    for phone in phones {
        devices.push(apis[0].sign_in(phone).await);
    }
    let reused_before = cluster.events("TokenReuseDetected").await;
    cluster.cut_off_the_standby().await;
    let refreshes = devices.iter().enumerate().map(|(n, device)| refreshed(apis, &device.refresh, n));
    let refreshes = futures_util::future::join_all(refreshes);
    let stalled = async {
        tokio::time::sleep(stall).await;
        cluster.wait_for_no_standby().await;
    };
    let (children, ()) = tokio::join!(refreshes, stalled);
    let reused = cluster.events("TokenReuseDetected").await - reused_before;
    assert_eq!(reused, 0, "a retry was taken for theft");

    for (device, child) in devices.iter().zip(&children) {
        apis[1].refresh(child).await.ok();
        // Now the child is used, and the first token is a copy.
        apis[0].refresh(&device.refresh).await.is_problem(400, "invalid_token");
    }
    let reused = cluster.events("TokenReuseDetected").await - reused_before;
    assert_eq!(reused, i64::try_from(devices.len()).unwrap());
}

fn phones(prefix: &str, count: u64) -> Vec<String> {
    (0..count).map(|n| format!("+98912{prefix}{n:04}")).collect()
}

/// `COUNTERFOIL_STALLS=5,12,40` and `COUNTERFOIL_STALL_CLIENTS=50` make the long form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_of_synchronous_replication_signs_no_client_out_that_retries() {
    let cluster = StandbyCluster::start("stall", &[]).await;
    let clients = from_environment("COUNTERFOIL_STALL_CLIENTS", 10);
    let stalls = std::env::var("COUNTERFOIL_STALLS").unwrap_or("4".to_owned());
    for (n, seconds) in stalls.split(',').enumerate() {
        let stall = Duration::from_secs(seconds.parse().unwrap());
        refresh_through_a_stall(&cluster, stall, &phones(&format!("{n:03}"), clients)).await;
        eprintln!(
            "a stall of {seconds} s, {clients} clients: 0 sign-outs, {clients} reuses found afterwards"
        );
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_grace_period_of_a_refresh_begins_when_the_stall_ends() {
    let cluster =
        StandbyCluster::start("stall-longer-than-grace", &[("COUNTERFOIL__SESSIONS__REFRESH_GRACE", "2")])
            .await;
    refresh_through_a_stall(&cluster, Duration::from_secs(5), &phones("555", 4)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_was_committed_without_an_answer_is_answered_with_its_session() {
    let cluster = StandbyCluster::start("stalled-sign-in", &[]).await;
    let apis = cluster.apis();
    for (round, first) in [0, 1].into_iter().enumerate() {
        let phone = format!("+98912600000{round}");
        let code = apis[0].login(&phone).await.code();
        cluster.cut_off_the_standby().await;
        apis[first].verify(&phone, &code).await.is_problem(503, "unavailable");
        cluster.wait_for_no_standby().await;
        wait_as_told().await;
        let answer =
            retried(async |attempt| apis[(first + 1 + attempt) % 2].verify(&phone, &code).await).await;
        let device = answer.signed_in();
        let sessions = "SELECT count(*) FROM user_logins";
        assert_eq!(cluster.value::<i64>(sessions).await, i64::try_from(round).unwrap() + 1, "one session");
        let next = refreshed(apis, &device.refresh, first).await;
        // Once it was used, the code is spent as ever.
        apis[first].verify(&phone, &code).await.is_problem(400, "invalid_code");
        apis[first].refresh(&next).await.ok();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_whose_request_was_not_answered_can_be_asked_for_again_at_once() {
    let cluster = StandbyCluster::start("stalled-login", &[]).await;
    let apis = cluster.apis();
    cluster.cut_off_the_standby().await;
    apis[0].login(PHONE).await.is_problem(503, "unavailable");
    cluster.wait_for_no_standby().await;
    wait_as_told().await;
    let code = retried(async |attempt| apis[(1 + attempt) % 2].login(PHONE).await).await.code();
    apis[0].login(PHONE).await.is_problem(406, "code_too_soon");
    apis[1].verify(PHONE, &code).await.signed_in();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sign_out_is_acknowledged_before_a_standby_has_it() {
    let cluster = StandbyCluster::start("unreplicated-sign-out", &[]).await;
    let [first, second] = cluster.apis();
    let device = first.sign_in(PHONE).await;
    cluster.cut_off_the_standby().await;
    let signing_out = first.logout(&device.refresh);
    let end_what_waits = async {
        // Its commit can then be read everywhere, and is on no standby.
        let deadline = Instant::now() + Duration::from_secs(10);
        while cluster.events("LoggedOut").await == 0 {
            let end =
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            cluster.value::<i64>(end).await;
            assert!(Instant::now() < deadline, "the commit cannot be read");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (answer, ()) = tokio::join!(signing_out, end_what_waits);
    answer.is_problem(503, "unavailable");
    for api in [first, second] {
        api.logout(&device.refresh).await.is_problem(503, "unavailable");
    }
    cluster.wait_for_no_standby().await;
    let answer = retried(async |attempt| [first, second][attempt % 2].logout(&device.refresh).await).await;
    assert_eq!(answer.status, 204);
    assert_eq!(cluster.events("LoggedOut").await, 1);
    cluster.stop().await;
}
