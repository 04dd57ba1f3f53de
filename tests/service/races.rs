//! Two server processes on one database, and callers that all come at once.
#![expect(clippy::print_stdout, reason = "a run of random guesses reports its seed and what came of it")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use counterfoil_domain::values::Role;
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ApiAnswer, ApiClient, DatabaseProxy, NodeProcess, RedisServer, SignedInDevice, TestDatabase,
};

const PHONE: &str = "+989121234567";

/// The ways that people write it.
const SPELLINGS: [&str; 20] = [
    "+989121234567",
    "09121234567",
    "00989121234567",
    "989121234567",
    "9121234567",
    "0912 123 4567",
    "0912-123-4567",
    "0912.123.4567",
    "(0912) 123-4567",
    "+98 912 123 4567",
    "+98 (912) 123-45-67",
    "+98\u{a0}912\u{a0}123\u{a0}4567",
    "\u{200e}+989121234567",
    "۰۹۱۲۱۲۳۴۵۶۷",
    "٠٩١٢١٢٣٤٥٦٧",
    "０９１２１２３４５６７",
    "+۹۸۹۱۲۱۲۳۴۵۶۷",
    "۰۰۹۸۹۱۲۱۲۳۴۵۶۷",
    "tel:+989121234567",
    "  0912 1234567  ",
];

/// Two nodes with the same database and keys.
struct TwoNodeCluster {
    nodes: [NodeProcess; 2],
    database: TestDatabase,
    folder: PathBuf,
    /// What stands between each node and the database.
    _proxies: Vec<DatabaseProxy>,
}

impl TwoNodeCluster {
    fn start(name: &str) -> Self {
        let database = TestDatabase::new();
        let url = database.url.0.clone();
        Self::of(name, database, [&url, &url], Vec::new(), &[])
    }

    /// With each answer of the database that late, and with some settings in their environment.
    async fn far_from_the_database(name: &str, late_by: Duration, settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::new();
        let proxies =
            vec![DatabaseProxy::start(&database.url).await, DatabaseProxy::start(&database.url).await];
        let urls: Vec<String> = proxies.iter().map(|proxy| proxy.url_of(&database.name).0).collect();
        proxies.iter().for_each(|proxy| proxy.delay(late_by));
        Self::of(name, database, [&urls[0], &urls[1]], proxies, settings)
    }

    fn of(
        name: &str,
        database: TestDatabase,
        urls: [&str; 2],
        proxies: Vec<DatabaseProxy>,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let nodes =
            urls.map(|url| NodeProcess::start(&folder, &[settings, &[("DATABASE_URL", url)]].concat()));
        Self { nodes, database, folder, _proxies: proxies }
    }

    /// Sends `count` requests at once, every other one to the other node.
    async fn at_once<F: Future<Output = ApiAnswer>>(
        &self,
        count: usize,
        request: impl Fn(ApiClient, usize) -> F,
    ) -> Vec<ApiAnswer> {
        join_all((0..count).map(|n| request(self.nodes[n % 2].api.clone(), n))).await
    }
}

impl Drop for TwoNodeCluster {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// How many answers there were of each status.
fn statuses(answers: &[ApiAnswer]) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.status.as_u16()).or_default() += 1;
        assert!(answer.status.as_u16() < 500 || answer.status == 503, "{answer:?}");
    }
    statuses
}

#[tokio::test]
async fn fifty_verifies_of_the_right_code_at_once_make_one_session_and_one_200() {
    let cluster = TwoNodeCluster::start("verifies");
    for round in 0..5 {
        let phone = &format!("+98912000000{round}");
        let code = &cluster.nodes[0].api.login(phone).await.ok()["code"].as_str().unwrap().to_owned();
        let answers = cluster.at_once(50, async |api, _| api.verify(phone, code).await).await;
        let statuses = statuses(&answers);
        assert_eq!(statuses.get(&200), Some(&1), "{statuses:?}");
        assert_eq!(statuses.get(&200).unwrap() + statuses.get(&400).unwrap_or(&0), 50, "{statuses:?}");
    }
    for (sql, expected) in [
        ("SELECT count(*) FROM user_logins", 5),
        ("SELECT count(*) FROM events WHERE event_type = 'LoggedIn'", 5),
        ("SELECT count(*) FROM events WHERE event_type = 'UserRegistered'", 5),
    ] {
        assert_eq!(cluster.database.value::<i64>(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn fifty_first_logins_of_one_number_in_twenty_spellings_at_once_make_one_account() {
    let cluster = TwoNodeCluster::start("first-logins");
    let answers = cluster.at_once(50, async |api, n| api.login(SPELLINGS[n % 20]).await).await;
    let statuses = statuses(&answers);
    assert_eq!(statuses.get(&200), Some(&1), "{statuses:?}");
    for (sql, expected) in [
        ("SELECT count(*) FROM identifiers", 1),
        ("SELECT count(*) FROM heads", 1),
        ("SELECT count(DISTINCT aggregate_id) FROM events", 1),
        ("SELECT count(*) FROM events WHERE event_type = 'OtpRequested'", 1),
        ("SELECT count(*) FROM outbox", 1),
    ] {
        assert_eq!(cluster.database.value::<i64>(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn two_hundred_commands_on_one_account_at_once_leave_a_gapless_stream() {
    let cluster = TwoNodeCluster::start("commands");
    let device = &cluster.nodes[0].api.sign_in(PHONE).await;
    let command = async |api: &ApiClient, n: usize| match n % 4 {
        0 => api.rename(&device.access, &format!("Name {n}")).await,
        1 => api.refresh(&device.refresh).await,
        2 => api.login(PHONE).await,
        _ => api.verify(PHONE, "000000").await,
    };
    let answers = cluster
        .at_once(200, async |api, n| {
            // Who is told to come back does.
            for _ in 0..50 {
                let answer = command(&api, n).await;
                if answer.status != 503 {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("no answer to command {n}")
        })
        .await;
    let statuses = statuses(&answers);
    let succeeded =
        |kind| answers.iter().enumerate().filter(move |(n, answer)| n % 4 == kind && answer.status == 200);
    // All came within the grace period, so all got the one next generation.
    assert_eq!((succeeded(0).count(), succeeded(1).count()), (50, 50), "{statuses:?}");
    for (sql, expected) in [
        ("SELECT max(sequence) - count(*) FROM events", 0),
        ("SELECT (SELECT version FROM heads) - count(*) FROM events", 0),
        ("SELECT count(*) FROM events WHERE event_type = 'TokenRefreshed'", 1),
        ("SELECT count(*) - count(DISTINCT leaf) FROM events", 0),
    ] {
        assert_eq!(cluster.database.value::<i64>(sql).await, expected, "{sql}");
    }
    let names: i64 =
        cluster.database.value("SELECT count(*) FROM events WHERE event_type = 'ProfileUpdated'").await;
    // One that was told 503 may have happened, and then happened again.
    assert!(names >= 50, "{names} recorded");
}

#[tokio::test]
async fn of_many_wrong_codes_at_once_five_are_checked() {
    let cluster = TwoNodeCluster::start("guesses");
    let code = &cluster.nodes[0].api.login(PHONE).await.ok()["code"].as_str().unwrap().to_owned();
    let guesses: Vec<String> = (0..200).map(|n| format!("{n:06}")).filter(|guess| guess != code).collect();
    let guesses = &guesses;
    let answers = cluster.at_once(199, async |api, n| api.verify(PHONE, &guesses[n]).await).await;
    assert!(!statuses(&answers).contains_key(&200));
    let looked_at: i64 =
        cluster.database.value("SELECT count(*) FROM events WHERE event_type = 'OtpRejected'").await;
    assert_eq!(looked_at, 5);
    cluster.nodes[1].api.verify(PHONE, code).await.is_problem(400, "invalid_code");
}

/// How far the database is from the nodes where time is to be had for a race.
const FAR: Duration = Duration::from_millis(20);

/// Rounds: few by default, as many as `COUNTERFOIL_GUESS_ROUNDS` says.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_guesses_at_once_five_are_checked_and_the_right_code_after_them_is_refused() {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let rounds = number("COUNTERFOIL_GUESS_ROUNDS").unwrap_or(3);
    let seed = number("COUNTERFOIL_GUESS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("guesses: {rounds} rounds, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let redis = RedisServer::start();
    let url = redis.url();
    // Counted in Redis, and never the ones that refuse.
    let shared = [
        ("COUNTERFOIL__LIMITS__SHARED", "on"),
        ("COUNTERFOIL__LIMITS__STORE", "redis"),
        ("COUNTERFOIL__LIMITS__REDIS_URL", url.as_str()),
        ("COUNTERFOIL__LIMITS__CODES_BURST", "100000"),
        ("COUNTERFOIL__LIMITS__CODES_PER_PREFIX", "100000"),
        ("COUNTERFOIL__LIMITS__TRIES_BURST", "100000"),
        ("COUNTERFOIL__LIMITS__WRONG_CODES_PER_HOUR", "100000"),
    ];
    guess_at_once("far-guesses", &[], rounds, seed, &mut random).await;
    guess_at_once("far-guesses-redis", &shared, rounds, seed, &mut random).await;
}

async fn guess_at_once(
    name: &str,
    settings: &[(&str, &str)],
    rounds: u64,
    seed: u64,
    random: &mut fastrand::Rng,
) {
    let cluster = TwoNodeCluster::far_from_the_database(name, FAR, settings).await;
    let mut signed_in = 0;
    for round in 0..rounds {
        let phone = &format!("+98912000{round:04}");
        let code = cluster.nodes[0].api.login(phone).await.code();
        let mut guesses: Vec<String> = (0..1_000_000).map(|n| format!("{n:06}")).collect();
        guesses.retain(|guess| *guess != code);
        random.shuffle(&mut guesses);
        // Among the first in every other round: otherwise it would hardly ever be in time.
        let place = random.usize(..if round % 2 == 0 { 200 } else { 6 });
        guesses.insert(place, code.clone());
        let guesses = &guesses[..200];

        let answers = cluster.at_once(200, async |api, n| api.verify(phone, &guesses[n]).await).await;
        let statuses = statuses(&answers);
        let of_the_right = answers[place].status.as_u16();
        let let_in = statuses.get(&200).copied().unwrap_or_default();
        assert!(let_in == usize::from(of_the_right == 200), "seed {seed}, round {round}: {statuses:?}");
        signed_in += let_in;
        for node in &cluster.nodes {
            node.api.verify(phone, &code).await.is_problem(400, "invalid_code");
        }
        println!("round {round}: right code at {place}, answered {of_the_right}, all: {statuses:?}");

        // Who signs in does so before the fifth wrong code, and nothing is looked at after that.
        let streams = "SELECT count(*) FROM (
                SELECT count(*) FILTER (WHERE event_type = 'LoggedIn') AS let_in,
                       count(*) FILTER (WHERE payload->'fact'->'OtpRejected'->>'reason' = 'wrong') AS wrong,
                       max(sequence) FILTER (WHERE event_type = 'OtpRejected')
                         > max(sequence) FILTER (WHERE event_type = 'LoggedIn') AS tried_after
                  FROM events GROUP BY aggregate_id) AS stream
             WHERE CASE let_in WHEN 0 THEN wrong = 5 WHEN 1 THEN wrong < 5 AND NOT coalesce(tried_after, false) END";
        let well: i64 = cluster.database.value(streams).await;
        assert_eq!(well, i64::try_from(round).unwrap() + 1, "seed {seed}, round {round}");
    }
    println!("{name}: {signed_in} of {rounds} rounds ended in a sign-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_logins_and_resends_at_once_one_sends_a_message() {
    let cluster = TwoNodeCluster::far_from_the_database("far-logins", FAR, &[]).await;
    let answers = cluster
        .at_once(100, async |api, n| if n % 4 < 2 { api.login(PHONE).await } else { api.resend(PHONE).await })
        .await;
    let statuses = statuses(&answers);
    assert_eq!(statuses.get(&200), Some(&1), "{statuses:?}");
    let messages = "SELECT count(*) FROM outbox";
    assert_eq!(cluster.database.value::<i64>(messages).await, 1);

    // Once more, when the account is known and a code is pending on both nodes.
    let answers = cluster
        .at_once(100, async |api, n| if n % 4 < 2 { api.login(PHONE).await } else { api.resend(PHONE).await })
        .await;
    assert!(answers.iter().all(|answer| answer.status != 200), "{answers:?}");
    assert_eq!(cluster.database.value::<i64>(messages).await, 1);
}

/// What an administrator does to another one: the last part of the path, and the body.
type StaffAction = (&'static str, fn() -> Value);

const TAKE_ROLES: StaffAction = ("roles", || json!({"roles": []}));
const SUSPEND: StaffAction = ("suspend", || json!({"reason": "fraud"}));

impl TwoNodeCluster {
    /// Two administrators, each signed in on a node of their own.
    async fn administrators(&self, numbers: [&str; 2]) -> [SignedInDevice; 2] {
        let environment = [("DATABASE_URL", self.database.url.0.as_str())];
        let staff =
            |n: usize| self.nodes[n].sign_in_staff(&self.folder, &environment, numbers[n], Role::Admin);
        [staff(0).await, staff(1).await]
    }

    /// Lets each do a deed to the other at once, each on their own node.
    async fn against_each_other(
        &self,
        staff: &[SignedInDevice; 2],
        deeds: [StaffAction; 2],
    ) -> [ApiAnswer; 2] {
        let act = async |n: usize| {
            let (what, body) = deeds[n];
            let path = format!("/admin/accounts/{}/{what}/", staff[1 - n].account());
            loop {
                let answer = self.nodes[n].api.send_json(Method::POST, &path, &staff[n].access, body()).await;
                if answer.status != 503 {
                    return answer;
                }
            }
        };
        let (one, other) = join(act(0), act(1)).await;
        [one, other]
    }
}

/// Rounds: few by default, as many as `COUNTERFOIL_ROLE_ROUNDS` says.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_remove_each_others_role_at_once_one_keeps_it() {
    let rounds = std::env::var("COUNTERFOIL_ROLE_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let cluster = TwoNodeCluster::far_from_the_database("far-roles", FAR, &[]).await;
    let staff = cluster.administrators(["+989130000001", "+989130000002"]).await;
    let mut won = [0, 0];
    for round in 0..rounds {
        let answers = cluster.against_each_other(&staff, [TAKE_ROLES, TAKE_ROLES]).await;
        let winner = usize::from(answers[1].status == 204);
        let [stays, leaves] = [&staff[winner], &staff[1 - winner]];
        assert_eq!(answers[winner].status, 204, "round {round}: {answers:?}");
        answers[1 - winner].is_problem(403, "forbidden");
        won[winner] += 1;
        let api = &cluster.nodes[1 - winner].api;
        api.get("/admin/accounts/", &leaves.access).await.is_problem(403, "forbidden");
        for (what, body) in [TAKE_ROLES, SUSPEND] {
            let own = format!("/admin/accounts/{}/{what}/", stays.account());
            api.send_json(Method::POST, &own, &stays.access, body()).await.is_problem(409, "own_account");
        }
        let back = format!("/admin/accounts/{}/roles/", leaves.account());
        let given = api.send_json(Method::POST, &back, &stays.access, json!({"roles": ["admin"]})).await;
        assert_eq!(given.status, 204, "round {round}: {given:?}");
    }
    println!("{rounds} rounds, won on each node: {won:?}");
    let denied = "SELECT count(*) FROM events
         WHERE payload->'fact'->'AccessDenied'->>'action' = 'POST /admin/accounts/{id}/roles'";
    assert!(cluster.database.value::<i64>(denied).await > 0, "what the loser was denied is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_administrators_who_suspend_each_other_at_once_leave_one_of_them() {
    let cluster = TwoNodeCluster::far_from_the_database("far-suspensions", FAR, &[]).await;
    for (n, deeds) in [[SUSPEND, SUSPEND], [SUSPEND, TAKE_ROLES]].into_iter().enumerate() {
        let numbers = [format!("+98913000001{n}"), format!("+98913000002{n}")];
        let staff = cluster.administrators([&numbers[0], &numbers[1]]).await;
        let answers = cluster.against_each_other(&staff, deeds).await;
        let winner = usize::from(answers[1].status == 204);
        assert_eq!(answers[winner].status, 204, "{answers:?}");
        match deeds[winner].0 {
            "suspend" => answers[1 - winner].is_problem(401, "invalid_access_token"),
            _ => answers[1 - winner].is_problem(403, "forbidden"),
        }
        for node in &cluster.nodes {
            node.api.get("/admin/accounts/", &staff[winner].access).await.ok();
        }
    }
}
