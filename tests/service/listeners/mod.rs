//! Event listeners of a program that embeds the service.

mod processes;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counterfoil::journal::Journal;
use counterfoil::listeners::{
    EventListener, ListenedEvent, ListenerFault, ListenerPolicy, ListenerSet, ListenerWorkers,
};
use counterfoil_domain::user_account::UserAccountEvent;
use reqwest::Method;
use serde_json::json;

use crate::support::{ApiClient, TestApp};

const PHONE: &str = "+989121234567";

/// How a listener takes events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum ListenerMode {
    #[default]
    Taking,
    Failing,
    Panicking,
    /// It takes so long for each event.
    Slow(Duration),
}

/// Keeps what it has heard of.
#[derive(Clone, Debug)]
struct TestListener {
    name: &'static str,
    events: &'static [&'static str],
    needs_personal: bool,
    from_beginning: bool,
    /// How long it is left alone when it is parked.
    parked_pause: Duration,
    mode: Arc<Mutex<ListenerMode>>,
    /// What was handed over, whether or not it was taken.
    offered: Arc<Mutex<Vec<ListenedEvent>>>,
    taken: Arc<Mutex<Vec<ListenedEvent>>>,
}

impl TestListener {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            events: UserAccountEvent::NAMES,
            needs_personal: false,
            from_beginning: false,
            parked_pause: Duration::from_secs(3600),
            mode: Arc::default(),
            offered: Arc::default(),
            taken: Arc::default(),
        }
    }

    fn from_beginning(name: &'static str) -> Self {
        Self { from_beginning: true, ..Self::new(name) }
    }

    fn set_mode(&self, mode: ListenerMode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn taken(&self) -> Vec<ListenedEvent> {
        self.taken.lock().unwrap().clone()
    }

    fn taken_numbers(&self) -> Vec<i64> {
        self.taken().iter().map(|event| event.seq).collect()
    }

    fn offered_numbers(&self) -> Vec<i64> {
        self.offered.lock().unwrap().iter().map(|event| event.seq).collect()
    }

    /// Hands events over to it from now on, as a node does, with pauses that suit a test.
    fn start(&self, app: &TestApp) -> ListenerWorkers {
        self.start_on(&app.journal())
    }

    fn start_on(&self, journal: &Journal) -> ListenerWorkers {
        let policy = ListenerPolicy {
            answers_within: Duration::from_millis(700),
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(50),
            failures_until_parked: 5,
            parked_pause: self.parked_pause,
        };
        let listener: Arc<dyn EventListener> = Arc::new(self.clone());
        ListenerSet::new([listener]).unwrap().with_policy(policy).start(journal)
    }

    /// Waits until the listener has its first position, which is where it begins.
    async fn wait_until_registered(&self, app: &TestApp) {
        let sql = format!("SELECT count(*) FROM listeners WHERE name = '{}'", self.name);
        wait_until("the listener has a position", async || app.database.value::<i64>(&sql).await == 1).await;
    }

    /// Waits until it has come to the end of the log.
    async fn wait_until_current(&self, app: &TestApp) {
        let sql = format!(
            "SELECT l.seq = s.seq AND s.seq = (SELECT count(*) FROM events)
               FROM listeners l, sequencer s WHERE name = '{}'",
            self.name
        );
        wait_until("the listener is at the end", async || app.database.value::<bool>(&sql).await).await;
    }
}

#[async_trait]
impl EventListener for TestListener {
    fn name(&self) -> &'static str {
        self.name
    }

    fn event_names(&self) -> &'static [&'static str] {
        self.events
    }

    fn needs_personal(&self) -> bool {
        self.needs_personal
    }

    fn reads_from_beginning(&self) -> bool {
        self.from_beginning
    }

    async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
        self.offered.lock().unwrap().push(event.clone());
        let mode = *self.mode.lock().unwrap();
        match mode {
            ListenerMode::Taking => {}
            ListenerMode::Failing => return Err(ListenerFault::new("the billing service is away")),
            ListenerMode::Panicking => panic!("a fault of the program"),
            ListenerMode::Slow(pause) => tokio::time::sleep(pause).await,
        }
        self.taken.lock().unwrap().push(event.clone());
        Ok(())
    }
}

async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(30), "after 30 seconds: not yet that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A few people who sign in, change their names and sign out.
async fn some_people(app: &TestApp, people: std::ops::Range<u32>) {
    for n in people {
        let device = app.api.sign_in(&format!("+98912000{n:04}")).await;
        app.api.rename(&device.access, &format!("Person {n}")).await.ok();
        app.api.logout(&device.refresh).await;
    }
}

#[tokio::test]
async fn a_listener_hears_of_each_event_once_in_the_order_of_the_log_while_no_node_dies() {
    let app = TestApp::start().await;
    app.keep_log();
    some_people(&app, 0..5).await;
    let listener = TestListener::from_beginning("billing");
    let _workers = listener.start(&app);
    some_people(&app, 5..15).await;
    listener.wait_until_current(&app).await;

    let taken = listener.taken();
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    assert_eq!(listener.taken_numbers(), (1..=events).collect::<Vec<_>>());
    let client = app.database.connect().await;
    for event in &taken {
        let sql = "SELECT l.account_id, l.sequence, l.event_type, e.metadata->>'request'
                     FROM ledger l JOIN events e ON e.aggregate_id = l.account_id::text AND e.sequence = l.sequence
                    WHERE l.seq = $1";
        let row = client.query_one(sql, &[&event.seq]).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (event.account.0, event.version));
        assert_eq!(row.get::<_, String>(2), event.event.name());
        assert!(event.request.is_some() && row.get::<_, Option<String>>(3) == event.request, "{event:?}");
        assert!(event.event.person.is_none() && event.event.client.is_none(), "it asks for nothing personal");
    }
    let accounts: BTreeSet<_> = taken.iter().map(|event| event.account).collect();
    assert_eq!(accounts.len(), 15);
}

#[tokio::test]
async fn a_listener_hears_of_the_events_that_it_names_with_what_is_personal_if_it_asks() {
    let app = TestApp::start().await;
    app.keep_log();
    let listener = TestListener {
        events: &["ProfileUpdated", "LoggedOut"],
        needs_personal: true,
        ..TestListener::from_beginning("names")
    };
    let _workers = listener.start(&app);
    let device = app.api.sign_in(PHONE).await;
    let rename = app.api.request(Method::PATCH, "/accounts/profile/").bearer_auth(&device.access);
    let id = "0123456789abcdef";
    let request = rename.header("x-request-id", id).json(&json!({"fullname": "Ada Lovelace"}));
    ApiClient::send(request).await.ok();
    app.api.logout(&device.refresh).await;
    listener.wait_until_current(&app).await;
    let taken = listener.taken();
    let names: Vec<&str> = taken.iter().map(|event| event.event.name()).collect();
    assert_eq!(names, ["ProfileUpdated", "LoggedOut"]);
    let renamed = &taken[0];
    assert_eq!((renamed.account, renamed.request.as_deref()), (device.account(), Some(id)));
    assert_eq!(renamed.event.person.as_ref().unwrap().fullname.as_ref().unwrap().as_str(), "Ada Lovelace");
    assert_eq!(renamed.event.client.as_ref().unwrap().ip.to_string(), "127.0.0.1");
}

#[tokio::test]
async fn a_new_listener_begins_at_the_end_of_the_log_and_goes_on_where_it_was() {
    let app = TestApp::start().await;
    app.keep_log();
    some_people(&app, 0..3).await;
    wait_until("all events have numbers", async || {
        let sql = "SELECT (SELECT seq FROM sequencer) = (SELECT count(*) FROM events)";
        app.database.value::<bool>(sql).await
    })
    .await;
    let before: i64 = app.database.value("SELECT seq FROM sequencer").await;
    let listener = TestListener::new("billing");
    let workers = listener.start(&app);
    listener.wait_until_registered(&app).await;
    some_people(&app, 3..5).await;
    listener.wait_until_current(&app).await;
    workers.stop().await;

    // What happens while no node has the listener is handed over later.
    some_people(&app, 5..8).await;
    let _workers = listener.start(&app);
    listener.wait_until_current(&app).await;
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    assert_eq!(listener.taken_numbers(), (before + 1..=events).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_hands_over_at_a_time_and_the_other_goes_on_within_seconds() {
    let app = TestApp::start().await;
    app.keep_log();
    let listener = TestListener::from_beginning("billing");
    listener.set_mode(ListenerMode::Slow(Duration::from_millis(2)));
    let mut nodes = [Some(listener.start(&app)), Some(listener.start(&app))];
    let load = tokio::spawn({
        let api = app.api.clone();
        async move {
            for n in 0..120 {
                api.sign_in(&format!("+98912111{n:04}")).await;
            }
        }
    });
    for round in 0..3 {
        let reached = listener.taken().len() + 30;
        wait_until("some events are taken", async || listener.taken().len() >= reached).await;
        // Aborted wherever it is, as by the death of its process.
        nodes[round % 2] = None;
        nodes[round % 2] = Some(listener.start(&app));
    }
    load.await.unwrap();
    listener.wait_until_current(&app).await;
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    let repeated = check_order(&listener.offered_numbers(), events);
    assert!(repeated <= 3, "at most one event comes again for each node that died, and {repeated} did");
    let mut versions: BTreeMap<_, i64> = BTreeMap::new();
    for event in listener.taken() {
        let version = versions.entry(event.account).or_default();
        assert!(event.version <= *version + 1, "{event:?} after {version}");
        *version = event.version.max(*version);
    }
}

/// Checks that each number from 1 to the last was there and that none was before the one before it. Returns how many came again.
fn check_order(numbers: &[i64], last: i64) -> usize {
    let mut reached = 0;
    for number in numbers {
        assert!(*number <= reached + 1, "{number} after {reached}");
        reached = reached.max(*number);
    }
    assert_eq!(reached, last, "the last event");
    numbers.len() - usize::try_from(last).unwrap()
}
