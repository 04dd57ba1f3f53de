//! Two server processes on one database, and callers that all come at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{Answer, Api, Node, TestDatabase};

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
struct Cluster {
    nodes: [Node; 2],
    database: TestDatabase,
    folder: PathBuf,
}

impl Cluster {
    fn start(name: &str) -> Self {
        let database = TestDatabase::new();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let node = || Node::start(&folder, &[("DATABASE_URL", database.url.0.as_str())]);
        Self { nodes: [node(), node()], database, folder }
    }

    /// Sends `count` requests at once, every other one to the other node.
    async fn at_once<F: Future<Output = Answer>>(
        &self,
        count: usize,
        request: impl Fn(Api, usize) -> F,
    ) -> Vec<Answer> {
        join_all((0..count).map(|n| request(self.nodes[n % 2].api.clone(), n))).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// How many answers there were of each status.
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.status.as_u16()).or_default() += 1;
        assert!(answer.status.as_u16() < 500 || answer.status == 503, "{answer:?}");
    }
    statuses
}

#[tokio::test]
async fn fifty_verifies_of_the_right_code_at_once_make_one_session_and_one_200() {
    let cluster = Cluster::start("verifies");
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
    let cluster = Cluster::start("first-logins");
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
    let cluster = Cluster::start("commands");
    let device = &cluster.nodes[0].api.sign_in(PHONE).await;
    let command = async |api: &Api, n: usize| match n % 4 {
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
async fn five_wrong_codes_are_looked_at_however_many_come_at_once() {
    let cluster = Cluster::start("guesses");
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
